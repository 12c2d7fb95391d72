"""The state machine: each guarded move, the fence, interruptions, and that two processes never claim the same."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from app.core.states import DeliveryState, ErrorClass, Outcome, Reason
from app.database import hot_write, is_sqlite, write
from app.delivery import queue
from app.delivery.queue import Ending, Finished, by_hand, claiming, interrupting
from app.models import Delivery, Lane
from app.services import webhooks
from tests.support import rows

LEASE_MS = 150_000
WORKER = "worker-1"


@pytest.fixture
def hook(make_webhook):
    """A webhook that is on, to which nothing is ever sent."""
    return make_webhook(url="http://127.0.0.1:9001/hook", preset="vomo")


def claim(hook, clock, places=10, worker=WORKER, held=()):
    with hot_write() as door:
        return queue.claim(door, {hook.row_id: places}, held, worker, clock.now, LEASE_MS)


def attempt_row(taken, outcome=Outcome.SUCCEEDED, status=200):
    return {
        "delivery_id": taken.id,
        "number": taken.number,
        "outcome": outcome.value,
        "status": status,
        "error": None,
        "message": None,
        "started_at": taken.due_at,
        "duration_ms": 12,
        "timings": None,
        "peer": None,
        "tls": None,
        "url": taken.url,
        "request_headers": b"",
        "body_digest": None,
        "response_headers": b"",
        "response_body": b"",
        "response_size": 0,
        "truncated": False,
        "late": False,
    }


def finish(taken, clock, state=DeliveryState.DELIVERED, due_at=None, reason=None):
    ending = Ending(state, due_at, reason, 200, None)
    with hot_write() as door:
        return queue.finish(door, [Finished(taken, ending, attempt_row(taken), None, taken.url)], clock.now)


def interrupt(hook, clock, times):
    """Let deliveries be claimed and lost so many times."""
    for _ in range(times):
        claims = claim(hook, clock) or queue.claim_suspect(clock.now, LEASE_MS)
        assert claims
        queue.release_lapsed(clock.now, all_of_them=True)
        clock.advance(seconds=10)


class TestWaiting:
    def test_each_webhook_is_named_once_with_its_first_due_delivery(self, publish, make_webhook, clock, organization):
        first, second = (make_webhook(url=f"http://127.0.0.1:{port}/") for port in (9001, 9002))
        publish()
        clock.advance(seconds=5)
        publish()

        found = queue.look(clock.now, WORKER).lines

        due_at = clock.now - 5_000
        assert [(line.webhook_id, line.organization_id, line.due_at, line.retrying) for line in found] == [
            (first.row_id, organization.id, due_at, False),
            (second.row_id, organization.id, due_at, False),
        ]

    def test_what_is_not_due_yet_is_named_too(self, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)
        finish(taken, clock, DeliveryState.PENDING, due_at=clock.now + 10_000)

        (line,) = queue.look(clock.now, WORKER).lines

        assert (line.due_at, line.retrying) == (clock.now + 10_000, True)

    @pytest.mark.parametrize("way", ["off", "paused", "shut", "held"])
    def test_a_webhook_that_may_not_be_served_is_left_out(self, way, publish, hook, clock, owner):
        publish()
        if way == "off":
            webhooks.turn_off(owner, hook.id)
        elif way == "paused":
            webhooks.pause(owner, hook.id)
        else:
            values = {"shut_until": clock.now + 1} if way == "shut" else {"worker": "other", "held_until": clock.now}
            with write() as session:
                session.execute(update(Lane).values(**values))

        assert queue.look(clock.now, WORKER).lines == []
        assert len(queue.look(clock.now + 1, WORKER).lines) == (way in {"shut", "held"})

    def test_a_lane_of_ones_own_stays_open(self, publish, hook, clock):
        publish()
        publish()
        claim(hook, clock, places=1)

        assert len(queue.look(clock.now, WORKER).lines) == 1
        assert queue.look(clock.now, "worker-2").lines == []
        queue.let_go(WORKER)
        assert len(queue.look(clock.now, "worker-2").lines) == 1


class TestClaiming:
    def test_a_claim_is_on_record_before_anything_is_sent(self, publish, hook, clock):
        publish()

        (taken,) = claim(hook, clock)

        row = rows.the_delivery()
        assert (row.state, row.attempt_count) == (DeliveryState.SENDING, 1)
        assert (row.lease_id, row.leased_until) == (taken.lease, clock.now + LEASE_MS)
        assert (taken.number, taken.tries, taken.attempts_allowed, taken.due_at) == (1, 1, 3, clock.now)

    def test_no_more_is_claimed_than_the_share_and_the_oldest_due_first(self, publish, hook, clock):
        for _ in range(5):
            publish()
            clock.advance(ms=1)

        claims = claim(hook, clock, places=2)

        assert sorted(taken.id for taken in claims) == [row.id for row in rows.deliveries()][:2]
        assert len(claim(hook, clock, places=10)) == 3

    def test_what_is_not_due_is_not_claimed(self, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)
        finish(taken, clock, DeliveryState.PENDING, due_at=clock.now + 10_000)

        clock.advance(ms=9_999)
        assert claim(hook, clock) == []
        clock.advance(ms=1)
        (again,) = claim(hook, clock)
        assert (again.number, again.tries) == (2, 2)

    def test_a_lane_that_another_worker_holds_gives_nothing(self, publish, hook, clock):
        publish()
        publish()
        claim(hook, clock, places=1)

        assert claim(hook, clock, worker="worker-2") == []
        clock.advance(ms=LEASE_MS + 1)
        assert len(claim(hook, clock, worker="worker-2")) == 1

    def test_two_at_once_claim_different_deliveries_without_waiting_for_each_other(self, publish, hook, clock, app):
        if is_sqlite():
            pytest.skip("left out: SQLite lets one writer in at a time")
        for _ in range(4):
            publish()
        claimed: list[int] = []

        def other() -> None:
            with app.app_context():
                claimed.extend(each.id for each in claim(hook, clock, places=2, held={hook.row_id}))

        with hot_write() as door:
            values = {"webhook": hook.row_id, "share": 2, "now": clock.now, "lease": 1, "until": clock.now}
            mine = [row[0] for row in door.rows(claiming._CLAIM_SHARE, **values)]
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(5)
            assert not thread.is_alive(), "it waited for locked rows"

        assert len(mine) == len(claimed) == 2
        assert not set(mine) & set(claimed)

    def test_two_engines_never_send_the_same_delivery(
        self, publish, make_webhook, receiver, make_engine, running, clock, states
    ):
        for _ in range(6):
            make_webhook(url=receiver.url)
        for _ in range(10):
            publish()
        first, second = make_engine("one"), make_engine("two")

        with running(first, second):
            pass

        sent = Counter(request.headers["postroom-delivery"] for request in receiver.requests)
        assert len(sent) == 60
        assert set(sent.values()) == {1}
        assert states() == [("delivered", [200])] * 60


class TestTheFence:
    def test_whoever_slept_through_its_lease_moves_nothing(self, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)
        clock.advance(ms=LEASE_MS + 1)
        queue.release_lapsed(clock.now)

        assert finish(taken, clock) == set()

        row = rows.the_delivery()
        assert (row.state, row.interruptions, row.finished_at) == (DeliveryState.PENDING, 1, None)

    def test_what_a_late_finisher_learned_completes_the_interrupted_attempt(self, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)
        queue.release_lapsed(clock.now, all_of_them=True)

        finish(taken, clock)

        (attempt,) = rows.attempts()
        assert (attempt.outcome, attempt.status, attempt.late) == (Outcome.SUCCEEDED, 200, True)

    def test_a_late_finisher_leaves_the_next_claim_alone(self, publish, hook, clock):
        publish()
        (late,) = claim(hook, clock)
        queue.release_lapsed(clock.now, all_of_them=True)
        (present,) = claim(hook, clock)

        assert finish(late, clock) == set()
        assert finish(present, clock) == {present.key}
        assert [(each.number, each.late) for each in rows.attempts()] == [(1, True), (2, False)]

    def test_an_engine_whose_lease_was_taken_records_its_answer_as_late(
        self, publish, make_webhook, receiver, running, deliver, states
    ):
        make_webhook(url=receiver.url)
        publish()
        receiver.hold()
        with running():
            receiver.wait_for(1)
            queue.release_lapsed(0, all_of_them=True)
            receiver.release()

        assert [attempt.late for attempt in rows.attempts()] == [True, False]
        assert states() == [("delivered", [200, 200])]


class TestHandingBack:
    def test_what_was_not_begun_is_given_back_uncounted(self, publish, hook, clock):
        publish()
        claims = claim(hook, clock)

        queue.hand_back(claims)

        row = rows.the_delivery()
        assert (row.state, row.attempt_count, row.lease_id) == (DeliveryState.PENDING, 0, None)
        assert rows.attempts() == []

    def test_only_whoever_holds_the_lease_can_give_it_back(self, publish, hook, clock):
        publish()
        (old,) = claim(hook, clock)
        queue.release_lapsed(clock.now, all_of_them=True)
        claim(hook, clock)

        queue.hand_back([old])

        assert rows.the_delivery().state is DeliveryState.SENDING


class TestInterruptions:
    def test_a_lapsed_lease_becomes_an_interrupted_attempt_and_is_due_at_once(self, publish, hook, clock):
        publish()
        claim(hook, clock)

        clock.advance(ms=LEASE_MS)
        queue.release_lapsed(clock.now)
        assert rows.the_delivery().state is DeliveryState.SENDING, "released before its time"
        clock.advance(ms=1)
        queue.release_lapsed(clock.now)

        row = rows.the_delivery()
        assert (row.state, row.next_attempt_at) == (DeliveryState.PENDING, clock.now)
        assert (row.tries, row.interruptions, row.last_error) == (0, 1, ErrorClass.INTERRUPTED)
        (attempt,) = rows.attempts()
        assert (attempt.number, attempt.outcome, attempt.status) == (1, Outcome.INTERRUPTED, None)
        assert "may have got it" in attempt.message

    def test_the_second_interruption_waits_ten_seconds_and_the_third_is_the_end(self, publish, hook, clock):
        publish()
        interrupt(hook, clock, 1)
        claim(hook, clock)
        queue.release_lapsed(clock.now, all_of_them=True)
        assert rows.the_delivery().next_attempt_at == clock.now + 10_000

        clock.advance(seconds=10)
        (suspect,) = queue.claim_suspect(clock.now, LEASE_MS)
        failed = queue.release_lapsed(clock.now, all_of_them=True)

        row = rows.the_delivery()
        assert failed == [suspect.id]
        assert (row.state, row.reason) == (DeliveryState.FAILED, Reason.INTERRUPTED_REPEATEDLY)
        assert [attempt.number for attempt in rows.attempts()] == [1, 2, 3]

    def test_interruptions_leave_the_tries_untouched(self, publish, make_webhook, receiver, clock, deliver, states):
        hook = make_webhook(url=receiver.url, preset="vomo")
        receiver.answers(500)
        publish()
        interrupt(hook, clock, 1)
        for _ in range(4):
            queue.let_go(WORKER)
            deliver()
            clock.advance(seconds=100)

        assert states() == [("failed", ["interrupted", 500, 500, 500])]

    def test_more_than_a_slice_is_released(self, publish, make_webhook, clock, monkeypatch):
        monkeypatch.setattr(interrupting, "SLICE", 4)
        hook = make_webhook(url="http://127.0.0.1:9001/")
        for _ in range(10):
            publish()
        claim(hook, clock)

        queue.release_lapsed(clock.now, all_of_them=True)

        assert {row.state for row in rows.deliveries()} == {DeliveryState.PENDING}
        assert len(rows.attempts()) == 10


class TestStarting:
    def test_a_new_engine_on_sqlite_takes_over_at_once_what_a_dead_one_held(
        self, publish, make_webhook, receiver, make_engine, clock, states
    ):
        if not is_sqlite():
            pytest.skip("left out: on PostgreSQL another worker may be alive")
        hook = make_webhook(url=receiver.url)
        publish()
        publish()
        claim(hook, clock, places=1, worker="dead")

        make_engine("new").run(linger_s=0)

        assert states() == [("delivered", ["interrupted", 200]), ("delivered", [200])]

    def test_a_new_engine_on_postgresql_leaves_the_leases_of_the_others_alone(
        self, publish, make_webhook, receiver, make_engine, clock, states
    ):
        if is_sqlite():
            pytest.skip("left out: on SQLite there are no others")
        hook = make_webhook(url=receiver.url)
        publish()
        claim(hook, clock, places=1, worker="alive")

        make_engine("new").run(linger_s=0)
        assert states() == [("sending", [])]

        clock.advance(ms=LEASE_MS + 1)
        queue.release_lapsed(clock.now)
        make_engine("newer").run(linger_s=0)
        assert states() == [("delivered", ["interrupted", 200])]


class TestQuarantine:
    def test_a_suspect_is_claimed_by_nothing_but_its_own_claim(self, publish, hook, clock):
        publish()
        interrupt(hook, clock, 2)

        assert claim(hook, clock) == []
        assert queue.claim_by_hand(10, clock.now, LEASE_MS) == []
        assert [taken.number for taken in queue.claim_suspect(clock.now, LEASE_MS)] == [3]

    def test_suspects_are_claimed_one_at_a_time(self, publish, hook, clock):
        publish()
        publish()
        interrupt(hook, clock, 2)

        assert len(queue.claim_suspect(clock.now, LEASE_MS)) == 1

    @pytest.mark.parametrize("way", [webhooks.turn_off, webhooks.pause])
    def test_a_suspect_that_may_not_be_sent_does_not_stand_before_the_others(
        self, way, publish, make_webhook, receiver, clock, deliver, states, owner
    ):
        stopped = make_webhook(url=receiver.url, name="A")
        publish()
        interrupt(stopped, clock, 2)
        way(owner, stopped.id)
        well = make_webhook(url=receiver.url, name="B")
        publish("job.updated")
        interrupt(well, clock, 2)
        queue.let_go(WORKER)

        deliver()

        assert [state for state, _ in states(well.id)] == ["delivered"]
        assert states(stopped.id)[0][0] == "pending"

    def test_suspects_are_sent_one_after_the_other_beside_the_others(
        self, publish, make_webhook, receiver, clock, deliver, states
    ):
        hook = make_webhook(url=receiver.url)
        for _ in range(3):
            publish()
        interrupt(hook, clock, 2)
        queue.let_go(WORKER)
        publish()

        deliver()

        assert states() == [("delivered", ["interrupted", "interrupted", 200])] * 3 + [("delivered", [200])]

    def test_a_suspect_that_was_handed_back_gets_its_turn_again(
        self, publish, make_webhook, receiver, clock, deliver, states, owner, engine, running
    ):
        hook = make_webhook(url=receiver.url, rate_limit=0.01)
        publish()
        interrupt(hook, clock, 2)
        queue.let_go(WORKER)
        engine.wire.seats.wait_for_token(hook.row_id, 0.01, 1e9)  # the next token comes in a hundred seconds
        with running():
            while rows.the_delivery().state is not DeliveryState.SENDING:
                pass
            webhooks.pause(owner, hook.id)
        assert states() == [("pending", ["interrupted", "interrupted"])]

        webhooks.edit(owner, hook.id, {"rate_limit": None})
        webhooks.resume(owner, hook.id)
        engine._not_before.clear()
        engine.wire._not_before.clear()
        deliver()

        assert states() == [("delivered", ["interrupted", "interrupted", 200])]


class TestByHand:
    def test_only_what_waits_can_be_canceled(self, publish, hook, clock):
        publish()
        publish()
        (taken,) = claim(hook, clock, places=1)
        ids = [row.id for row in rows.deliveries()]

        with write() as session:
            canceled = queue.cancel(session, ids, Reason.BY_PERSON, "Ada", clock.now)

        assert canceled == set(ids) - {taken.id}
        assert [row.state.value for row in rows.deliveries()] == ["sending", "canceled"]

    def test_what_waits_for_a_webhook_is_hastened_in_slices_and_keeps_its_place_in_line(
        self, publish, hook, clock, monkeypatch
    ):
        monkeypatch.setattr(by_hand, "SLICE", 3)
        for _ in range(7):
            publish()
        claims = claim(hook, clock, 7)
        finish_all = [finish(each, clock, state=DeliveryState.PENDING, due_at=clock.now + 60_000) for each in claims]
        assert all(finish_all)

        assert queue.hasten_waiting(hook.row_id, clock.now) == 7
        assert queue.hasten_waiting(hook.row_id, clock.now) == 0

        assert {(row.next_attempt_at, row.by_hand) for row in rows.deliveries()} == {(clock.now, False)}

    def test_what_waits_for_a_webhook_is_canceled_in_slices(self, publish, hook, clock, monkeypatch):
        monkeypatch.setattr(by_hand, "SLICE", 3)
        for _ in range(7):
            publish()

        assert queue.cancel_waiting(hook.row_id, Reason.WEBHOOK_OFF, "Ada", clock.now) == 7
        assert {(row.state.value, row.detail) for row in rows.deliveries()} == {("canceled", "Ada")}

    def test_what_waits_can_be_made_due_now(self, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)
        finish(taken, clock, DeliveryState.PENDING, due_at=clock.now + 100_000)

        with write() as session:
            assert queue.hasten(session, [taken.id], clock.now) == {taken.id}

        assert [again.id for again in queue.claim_by_hand(5, clock.now, LEASE_MS)] == [taken.id]

    @pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.FAILED])
    def test_what_has_failed_can_be_tried_once_more_and_what_arrived_cannot(self, state, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)
        finish(taken, clock, state, reason=Reason.GONE if state is DeliveryState.FAILED else None)

        with write() as session:
            requeued = queue.requeue(session, [taken.id], clock.now)

        row = rows.the_delivery()
        if state is DeliveryState.DELIVERED:
            assert requeued == set()
            assert row.state is DeliveryState.DELIVERED
        else:
            assert requeued == {taken.id}
            assert (row.state, row.attempts_allowed, row.finished_at, row.reason) == ("pending", 2, None, None)


class TestRows:
    def test_a_finished_delivery_has_no_lease_and_no_next_attempt(self, publish, hook, clock):
        publish()
        (taken,) = claim(hook, clock)

        assert finish(taken, clock) == {taken.key}

        row = rows.the_delivery()
        assert (row.lease_id, row.leased_until, row.next_attempt_at) == (None, None, None)
        assert (row.finished_at, row.last_status) == (clock.now, 200)

    def test_the_database_itself_refuses_a_half_finished_delivery(self, publish, hook):
        publish()

        with pytest.raises(IntegrityError), write() as session:
            session.execute(update(Delivery).values(state=DeliveryState.DELIVERED))
