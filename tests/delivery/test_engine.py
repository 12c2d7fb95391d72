"""The engine: schedules to the second, who may be sent to, what edits change, and stopping."""

from __future__ import annotations

import ssl
import threading
from dataclasses import replace

import pytest
import trustme
from sqlalchemy import delete, update

from app.core import signing
from app.core.addresses import Allowed
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Reason
from app.database import write
from app.delivery import engine as engines
from app.delivery import installed as surroundings
from app.delivery import queue
from app.delivery import settings as kept
from app.delivery.installed import installed
from app.models import Delivery, Event
from app.services import companies, deliveries, signing_secrets, tests, webhooks
from tests.support import rows
from tests.support.receiver import Receiver, answer

HOUR_S = 3600
LONG = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
SCHEDULES = {
    "standard": LONG,
    "contracts": (300, 300),
    "jobs": (300, 600),
    "vomo": (10, 100),
    "integrations": LONG,
    "reporting": LONG,
    "github": (),
    "stripe": LONG,
    "cloudevents": LONG,
}


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """What a TLS receiver presents whose certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


class TestSchedules:
    def test_a_failed_delivery_waits_its_turn_and_then_arrives(
        self, publish, make_webhook, receiver, clock, deliver, states
    ):
        make_webhook(url=receiver.url, preset="vomo")
        receiver.answers(503, 204)
        publish("project.updated", data=b'{"total":12.50}')

        deliver()
        assert states() == [("pending", [503])]

        clock.advance(seconds=9.9)
        assert deliver() == 0, "it was tried again too early"

        clock.advance(seconds=0.1)
        deliver()
        assert states() == [("delivered", [503, 204])]
        first, second = receiver.requests
        assert first.body == second.body
        assert b'"data":{"total":12.50}' in first.body, "the number was rewritten"
        assert first.headers["webhook-id"] == second.headers["webhook-id"]

    @pytest.mark.parametrize("preset", SCHEDULES)
    def test_every_preset_keeps_its_schedule_to_the_millisecond(
        self, preset, publish, make_webhook, make_unit, clock, deliver, states, tls
    ):
        make_unit("north")
        with Receiver(tls=tls if preset == "jobs" else None) as receiver:
            receiver.answers(500)
            make_webhook(
                url=receiver.url,
                preset=preset,
                verify_ssl=False,
                business_units=["north"],
                content_type="application/json",
            )
            publish(business_unit="north", status="open", context=b'{"customer_id":"c-9","state":"abc"}')

            assert deliver() == 1
            for delay in SCHEDULES[preset]:
                clock.advance(ms=delay * 1000 - 1)
                assert deliver() == 0, f"tried before {delay} s had passed"
                clock.advance(ms=1)
                assert deliver() == 1, f"not tried after {delay} s"
            clock.advance(seconds=30 * 24 * HOUR_S)
            assert deliver() == 0

        assert states() == [("failed", [500] * (1 + len(SCHEDULES[preset])))]
        assert rows.the_delivery().reason is Reason.EXHAUSTED

    @pytest.mark.parametrize(("roll", "most"), [(0, 5_000), (8, 5_500), (15, 5_937)])
    def test_jitter_lengthens_a_wait_by_at_most_a_fifth(
        self, roll, most, publish, make_webhook, receiver, clock, deliver, engine
    ):
        engine.roll = lambda: roll
        receiver.answers(500)
        make_webhook(url=receiver.url, preset="standard")
        publish()

        deliver()

        assert rows.the_delivery().next_attempt_at == clock.now + most

    def test_the_engine_says_when_the_next_delivery_falls_due(self, publish, make_webhook, receiver, clock, engine):
        receiver.answers(500)
        make_webhook(url=receiver.url, preset="vomo")
        publish()

        engine.run(linger_s=0)

        assert engine.run(linger_s=0) == clock.now + 10_000


class TestWhatAReceiverAsksFor:
    @pytest.mark.parametrize(
        ("asked", "waits_s"),
        [("60", 60), ("3", 10), ("999999", 6 * HOUR_S), ("Sat, 21 Nov 2026 09:02:00 GMT", 120), ("soon", 10)],
    )
    def test_retry_after_lengthens_the_wait_up_to_six_hours(
        self, asked, waits_s, publish, make_webhook, receiver, clock, deliver
    ):
        receiver.answers(answer(400, {"Retry-After": asked}), 200)
        make_webhook(url=receiver.url, preset="vomo")
        publish()
        deliver()

        clock.advance(ms=waits_s * 1000 - 1)
        assert deliver() == 0
        clock.advance(ms=1)
        assert deliver() == 1

    @pytest.mark.parametrize("status", [429, 503])
    def test_the_whole_webhook_waits_when_the_receiver_is_overrun(
        self, status, publish, make_webhook, receiver, clock, deliver, states
    ):
        receiver.answers(answer(status, {"Retry-After": "60"}), 200)
        make_webhook(url=receiver.url, preset="vomo")
        publish()
        deliver()
        publish()

        clock.advance(ms=59_999)
        assert deliver() == 0
        clock.advance(ms=1)
        deliver()
        assert states() == [("delivered", [status, 200]), ("delivered", [200])]

    def test_other_failures_with_retry_after_hold_up_only_their_own_delivery(
        self, publish, make_webhook, receiver, deliver, states
    ):
        receiver.answers(answer(400, {"Retry-After": "60"}), 200)
        make_webhook(url=receiver.url, preset="vomo")
        publish()
        deliver()
        publish()

        deliver()

        assert states() == [("pending", [400]), ("delivered", [200])]

    def test_410_turns_the_webhook_off_at_once_and_tells_its_owner(
        self, publish, make_webhook, receiver, deliver, states, clock
    ):
        receiver.answers(410)
        hook = make_webhook(url=receiver.url, preset="standard")
        publish()

        deliver()

        assert states() == [("failed", [410])]
        assert rows.the_delivery().reason is Reason.GONE
        row = rows.webhook(hook.id)
        assert (row.enabled, row.off_reason, row.switched_at) == (False, Reason.GONE, clock.now)
        (notice,) = rows.notices()
        assert "410" in notice.body
        assert [entry.actor for entry in rows.audited("webhook.turned_off")] == ["Postroom"]

    def test_what_waits_for_a_webhook_that_went_off_is_kept_and_new_events_are_skipped(
        self, publish, make_webhook, receiver, deliver, states, clock, owner
    ):
        receiver.answers(500, 410, 200)
        hook = make_webhook(url=receiver.url, preset="vomo")
        publish()
        deliver()
        publish()
        deliver()

        publish()
        clock.advance(seconds=HOUR_S)
        assert deliver() == 0
        assert states() == [("pending", [500]), ("failed", [410]), ("skipped", [])]

        webhooks.turn_on(owner, hook.id)
        deliver()
        assert states()[0] == ("delivered", [500, 200])

    def test_an_answer_can_ask_for_the_webhook_to_be_turned_off(self, publish, make_webhook, receiver, deliver, states):
        receiver.answers(answer(200, {"Webhook-Delivery": "disable"}))
        hook = make_webhook(url=receiver.url)
        publish()

        deliver()

        assert states() == [("delivered", [200])]
        assert rows.webhook(hook.id).off_reason is Reason.ASKED

    def test_an_answer_can_ask_for_a_delivery_to_be_given_up(self, publish, make_webhook, receiver, deliver, states):
        receiver.answers(answer(500, {"Webhook-Delivery": "abort-message"}))
        hook = make_webhook(url=receiver.url)
        publish()

        deliver()

        assert states() == [("failed", [500])]
        assert rows.the_delivery().reason is Reason.ASKED
        assert rows.webhook(hook.id).enabled


class TestExhaustion:
    def test_contracts_turns_itself_off_after_the_third_failure_and_says_so(
        self, publish, make_webhook, receiver, clock, deliver, states
    ):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="contracts")
        publish()
        for _ in range(3):
            assert rows.webhook(hook.id).enabled
            deliver()
            clock.advance(seconds=300)

        assert states() == [("failed", [500, 500, 500])]
        row = rows.webhook(hook.id)
        assert (row.enabled, row.off_reason) == (False, Reason.EXHAUSTED)
        (notice,) = rows.notices()
        assert notice.subject == "Hooks was turned off"
        assert "every attempt of a delivery failed" in notice.body
        assert rows.audited("webhook.turned_off")[0].changes["reason"] == [None, "exhausted"]

    def test_the_other_presets_stay_on(self, publish, make_webhook, receiver, clock, deliver):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="vomo")
        publish()
        for _ in range(3):
            deliver()
            clock.advance(seconds=100)

        assert rows.webhook(hook.id).enabled
        assert rows.notices() == []

    def test_it_is_tried_with_the_number_of_tries_it_was_published_with(
        self, publish, make_webhook, receiver, clock, deliver, states, owner
    ):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="vomo")
        publish()
        webhooks.edit(owner, hook.id, {"retry": {"delays": []}})

        for _ in range(5):
            deliver()
            clock.advance(seconds=100)

        assert states() == [("failed", [500] * 3)]


class TestPausedOffAndByHand:
    def test_a_paused_webhook_holds_everything_and_drains_when_it_goes_on(
        self, publish, make_webhook, receiver, deliver, states, owner
    ):
        hook = make_webhook(url=receiver.url)
        webhooks.pause(owner, hook.id)
        publish()
        publish()

        assert deliver() == 0
        assert states() == [("pending", []), ("pending", [])]

        webhooks.resume(owner, hook.id)
        assert deliver() == 2

    @pytest.mark.parametrize("state", ["off", "paused"])
    def test_what_a_person_asks_for_passes_a_webhook_that_is_off_or_paused(
        self, state, publish, make_webhook, receiver, deliver, states, owner
    ):
        hook = make_webhook(url=receiver.url)
        publish()
        publish()
        {"off": webhooks.turn_off, "paused": webhooks.pause}[state](owner, hook.id)
        deliveries.retry(owner, rows.deliveries()[0].public_id)

        deliver()

        assert states() == [("delivered", [200]), ("pending", [])]

    def test_a_retry_by_hand_passes_a_shut_lane(self, publish, make_webhook, receiver, deliver, states, owner):
        receiver.answers(answer(503, {"Retry-After": "600"}), 200)
        make_webhook(url=receiver.url)
        publish()
        deliver()
        deliveries.retry(owner, rows.the_delivery().public_id)

        deliver()

        assert states() == [("delivered", [503, 200])]

    def test_a_failed_delivery_that_a_person_retries_gets_one_more_try(
        self, publish, make_webhook, receiver, deliver, states, owner
    ):
        receiver.answers(500)
        make_webhook(url=receiver.url, preset="github")
        publish()
        deliver()
        deliveries.retry(owner, rows.the_delivery().public_id)

        deliver()
        deliver()

        assert states() == [("failed", [500, 500])]

    def test_no_request_begins_after_a_webhook_was_turned_off(
        self, publish, make_webhook, receiver, running, states, owner, deliver
    ):
        hook = make_webhook(url=receiver.url, max_in_flight=4)
        for _ in range(40):
            publish()
        receiver.hold()
        with running():
            receiver.wait_for(4)
            under_way = webhooks.turn_off(owner, hook.id).in_flight
            receiver.release()

        assert len(receiver.requests) == 4
        assert under_way >= 4
        assert sorted(states()) == [("delivered", [200])] * 4 + [("pending", [])] * 36
        assert {row.attempt_count for row in rows.deliveries()} == {0, 1}
        assert deliver() == 0

    def test_replays_leave_three_quarters_of_the_seats_to_what_is_fresh(
        self, publish, make_webhook, make_type, receiver, running, engine
    ):
        engine.wire.seats.total = 8
        for name in ("job.old", "job.new"):
            make_type(name)
        old, fresh = (make_webhook(url=receiver.url, events=[name], max_in_flight=8) for name in ("job.old", "job.new"))
        for _ in range(6):
            publish("job.old")
        with write() as session:
            session.execute(update(Delivery).values(kind=DeliveryKind.REPLAY))
        publish("job.new")
        receiver.hold()
        with running():
            receiver.wait_for(3)
            sitting = (engine.wire.seats.by_webhook[old.row_id], engine.wire.seats.by_webhook[fresh.row_id])
            receiver.release()

        assert sitting == (2, 1)
        assert engine.wire.seats.replays == 0

    def test_what_waits_for_a_deleted_webhook_is_canceled(
        self, publish, make_webhook, receiver, deliver, states, owner
    ):
        hook = make_webhook(url=receiver.url)
        publish()
        webhooks.delete(owner, hook.id)

        assert deliver() == 0
        assert states() == [("canceled", [])]
        assert rows.the_delivery().reason is Reason.WEBHOOK_DELETED


class TestOrdered:
    def test_an_ordered_webhook_sends_one_after_the_other_and_none_overtakes(
        self, publish, make_webhook, receiver, clock, deliver, states
    ):
        make_webhook(url=receiver.url, preset="vomo", ordered=True)
        receiver.answers(500, 200)
        for number in range(3):
            publish(data=b'{"n":%d}' % number)

        deliver()
        assert states() == [("pending", [500]), ("pending", []), ("pending", [])]
        clock.advance(ms=9_999)
        assert deliver() == 0
        clock.advance(ms=1)
        deliver()

        assert states() == [("delivered", [500, 200]), ("delivered", [200]), ("delivered", [200])]
        numbers = [request.body[request.body.index(b'"n":') + 4 : -2] for request in receiver.requests]
        assert numbers == [b"0", b"0", b"1", b"2"]

    def test_one_that_has_finally_failed_lets_the_next_pass(
        self, publish, make_webhook, receiver, clock, deliver, states
    ):
        make_webhook(url=receiver.url, preset="vomo", ordered=True, retry={"delays": [10]})
        receiver.answers(500, 500, 200)
        publish()
        publish()

        deliver()
        clock.advance(seconds=10)
        deliver()

        assert states() == [("failed", [500, 500]), ("delivered", [200])]

    def test_the_next_waits_until_it_is_on_record_how_the_one_before_ended(
        self, publish, make_webhook, receiver, running, engine, states, monkeypatch
    ):
        monkeypatch.setattr(engines, "RIPE_AFTER_S", 30)
        make_webhook(url=receiver.url, preset="vomo", ordered=True)
        receiver.answers(500, 200)
        looked, look, turn = threading.Event(), queue.look, engine.wire.turn

        def looking(now, worker):
            if receiver.requests and engine.in_flight == 2:
                looked.set()
            return look(now, worker)

        def turning(patience_ms):
            news = turn(patience_ms)
            if news.landed:
                engine.ring()  # as if something else fell due before this is on record
            return news

        monkeypatch.setattr(queue, "look", looking)
        monkeypatch.setattr(engine.wire, "turn", turning)
        with Receiver() as slow:
            make_webhook(url=slow.url)
            slow.hold()
            publish()
            publish()
            with running():
                assert looked.wait(20)
                slow.release()

        assert states() == [("pending", [500]), ("delivered", [200]), ("pending", []), ("delivered", [200])]

    def test_one_request_is_in_flight_at_a_time(self, publish, make_webhook, crowd, deliver, states):
        counted, url = crowd(1)
        make_webhook(url=url, ordered=True, max_in_flight=10)
        for _ in range(5):
            publish()

        deliver()

        assert counted.peak == 1
        assert [state for state, _ in states()] == ["delivered"] * 5


class TestCaps:
    def test_a_webhook_has_no_more_in_flight_than_it_allows(self, publish, make_webhook, crowd, deliver):
        counted, url = crowd(3)
        make_webhook(url=url, max_in_flight=3)
        for _ in range(12):
            publish()

        assert deliver() == 12
        assert counted.peak == 3

    def test_a_host_gets_eight_requests_at_once_however_many_webhooks_point_to_it(
        self, publish, make_webhook, crowd, deliver
    ):
        counted, url = crowd(8)
        for _ in range(4):
            make_webhook(url=url, max_in_flight=4)
        for _ in range(4):
            publish()

        assert deliver() == 16
        assert counted.peak == 8

    def test_a_rate_limit_is_kept(self, publish, make_webhook, receiver, deliver):
        make_webhook(url=receiver.url, rate_limit=10, max_in_flight=50)
        for _ in range(14):
            publish()

        deliver()

        moments = [request.at for request in receiver.requests]
        assert len(moments) == 14
        # Ten may have been saved up; the other four come a tenth of a second apart.
        assert moments[13] - moments[0] >= 0.35
        assert moments[9] - moments[0] < 0.38, "what was saved up had to wait too"


class TestEdits:
    def test_an_edit_applies_from_the_next_attempt_of_what_waits(
        self, publish, make_webhook, receiver, clock, deliver, states, owner
    ):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="vomo")
        publish(data=b'{"name":"Roof"}')
        deliver()
        clock.advance(seconds=10)

        with Receiver() as other:
            webhooks.edit(
                owner,
                hook.id,
                {
                    "url": other.url,
                    "headers": {"X-Env": "prod"},
                    "field_mapping": [{"field": "name", "property": "title"}],
                },
            )
            deliver()

            (second,) = other.requests
        assert states() == [("delivered", [500, 200])]
        assert b'"data":{"title":"Roof"}' in second.body
        assert second.headers["x-env"] == "prod"
        assert rows.the_delivery().url == other.url
        assert [attempt.url for attempt in rows.attempts()] == [receiver.url, other.url]

    def test_a_retry_sends_the_same_bytes_even_if_a_company_was_renamed_meanwhile(
        self, publish, make_webhook, make_unit, receiver, clock, deliver, owner
    ):
        make_unit("north")
        companies.put(owner, "north", "c-1", "Roofs Ltd", {"region": "west"})
        receiver.answers(500, 500, 200)
        hook = make_webhook(url=receiver.url, preset="vomo", extra_fields=["region"])
        clock.advance(seconds=1)
        publish(business_unit="north")
        deliver()

        companies.put(owner, "north", "c-1", "Roofs & Sons", {"region": "east"})
        clock.advance(seconds=10)
        deliver()
        webhooks.edit(owner, hook.id, {"headers": {"X-Env": "prod"}})
        clock.advance(seconds=100)
        deliver()

        first, second, third = [request.body for request in receiver.requests]
        assert b"Roofs Ltd" in first
        assert second == first
        assert b"Roofs & Sons" in third, "an edit shapes anew"

    def test_turning_off_and_on_or_pausing_does_not_change_the_bytes(
        self, publish, make_webhook, make_unit, receiver, clock, deliver, owner
    ):
        make_unit("north")
        companies.put(owner, "north", "c-1", "Roofs Ltd", {})
        receiver.answers(500, 200)
        hook = make_webhook(url=receiver.url, preset="vomo", extra_fields=["region"])
        clock.advance(seconds=1)
        publish(business_unit="north")
        deliver()
        companies.put(owner, "north", "c-1", "Roofs & Sons", {})
        webhooks.pause(owner, hook.id)
        webhooks.resume(owner, hook.id)
        clock.advance(seconds=10)

        deliver()

        assert receiver.requests[0].body == receiver.requests[1].body

    def test_a_rotated_secret_signs_beside_the_old_one_for_a_day_and_then_alone(
        self, publish, make_webhook, receiver, clock, deliver, owner
    ):
        receiver.answers(500)
        made = webhooks.create(owner, {"name": "Hooks", "url": receiver.url})
        webhooks.turn_on(owner, made.webhook.id)
        deliver()  # the test payload
        publish()
        deliver()
        new = signing_secrets.rotate(owner, made.webhook.id).secret
        clock.advance(seconds=5)
        deliver()
        clock.advance(seconds=24 * HOUR_S)
        deliver()

        scheme = installed().schemes["standard"]
        times = (0, 5, 24 * HOUR_S + 5)
        for request, elapsed, (is_old_valid, is_new_valid) in zip(
            receiver.requests[1:], times, [(True, False), (True, True), (False, True)], strict=True
        ):
            now_s = clock.now // 1000 - times[-1] + elapsed
            headers = dict(request.headers)
            assert signing.check(scheme, [made.secret], headers, request.body, now_s).valid is is_old_valid
            assert signing.check(scheme, [new], headers, request.body, now_s).valid is is_new_valid

    def test_nothing_begins_for_a_webhook_between_its_change_and_what_is_told_of_it(
        self, publish, make_webhook, receiver, running, engine, states
    ):
        hook = make_webhook(url=receiver.url)
        publish()
        engine.wire.hold(hook.row_id, kept.changes() + 1)
        with running():
            while states() == [("pending", [])]:
                pass
            assert (states(), receiver.requests) == ([("sending", [])], [])
            kept.forget(hook.row_id)

        assert states() == [("delivered", [200])]


class TestSharedBodies:
    def test_an_event_in_the_row_of_a_deleted_one_goes_out_with_its_own_data(
        self, publish, make_webhook, receiver, deliver
    ):
        make_webhook(url=receiver.url)
        publish(data=b'{"n":1}')
        deliver()
        with write() as session:
            session.execute(delete(Event))

        publish(data=b'{"n":2}')
        deliver()

        assert [b'"data":{"n":2}' in request.body for request in receiver.requests] == [False, True]


class TestWhatCannotBeSent:
    def test_a_payload_that_cannot_be_built_fails_in_words_without_a_request(
        self, publish, make_webhook, receiver, deliver, states
    ):
        make_webhook(url=receiver.url, field_mapping=[{"field": "name", "property": "customer.name"}])
        publish(data=b'{"name":"Roof","customer":"Ada"}')

        deliver()

        assert states() == [("failed", ["shape_failed"])]
        assert rows.the_delivery().reason is Reason.SHAPE_FAILED
        (attempt,) = rows.attempts()
        assert attempt.message.startswith("The payload couldn't be built:")
        assert attempt.body_digest is None
        assert receiver.requests == []

    def test_a_url_is_held_against_the_rules_again_when_it_is_sent_to(
        self, publish, make_webhook, receiver, deliver, states
    ):
        make_webhook(url=receiver.url)
        publish()
        surroundings.use(replace(installed(), allowed=Allowed()))
        kept.forget_all()

        deliver()

        assert states() == [("failed", ["blocked"])]
        assert rows.the_delivery().reason is Reason.REFUSED_BY_RULE
        assert rows.attempts()[0].message
        assert receiver.connections == 0

    def test_a_host_that_does_not_answer_is_tried_again(self, publish, make_webhook, receiver, deliver, states, clock):
        make_webhook(url=receiver.url, preset="vomo")
        receiver.close()
        publish()

        deliver()

        assert states() == [("pending", ["refused"])]
        assert rows.the_delivery().next_attempt_at == clock.now + 10_000


class TestTests:
    def test_tests_tell_nothing_about_a_webhooks_health(self, make_webhook, receiver, deliver, states, clock, owner):
        receiver.answers(503)
        hook = make_webhook(url=receiver.url)
        for _ in range(8):
            tests.send(owner, hook.id)
        deliver()

        assert states() == [("failed", [503])] * 8
        lane = rows.lane(hook.id)
        assert (lane.failed_attempts, lane.failing_since, lane.shut_until) == (0, None, 0)

    def test_a_test_that_is_answered_410_leaves_the_webhook_on(self, make_webhook, receiver, deliver, owner):
        receiver.answers(410)
        hook = make_webhook(url=receiver.url)
        tests.send(owner, hook.id)

        deliver()

        assert rows.webhook(hook.id).enabled

    def test_a_test_passes_a_shut_lane(self, publish, make_webhook, receiver, deliver, states, owner):
        receiver.answers(answer(429, {"Retry-After": "600"}), 200)
        hook = make_webhook(url=receiver.url)
        publish()
        deliver()
        tests.send(owner, hook.id)

        deliver()

        assert states() == [("pending", [429]), ("delivered", [200])]


class TestStopping:
    def test_a_stopped_engine_ends_what_is_under_way_and_hands_the_rest_back_uncounted(
        self, publish, make_webhook, receiver, running, engine, states
    ):
        make_webhook(url=receiver.url, max_in_flight=2)
        for _ in range(10):
            publish()
        receiver.hold()
        with running():
            receiver.wait_for(2)
            engine.stop()
            receiver.release()

        assert len(receiver.requests) == 2
        assert sorted(states()) == [("delivered", [200])] * 2 + [("pending", [])] * 8
        waiting = [row for row in rows.deliveries() if row.state is DeliveryState.PENDING]
        assert {(row.attempt_count, row.lease_id, row.leased_until) for row in waiting} == {(0, None, None)}

    def test_a_second_signal_ends_what_is_under_way_as_interrupted(
        self, publish, make_webhook, receiver, running, engine, states
    ):
        make_webhook(url=receiver.url)
        publish()
        receiver.hold()
        with running():
            receiver.wait_for(1)
            engine.interrupt()

        assert states() == [("pending", ["interrupted"])]
        row = rows.the_delivery()
        assert (row.tries, row.interruptions) == (0, 1), "an interruption used the budget"
        assert row.last_error is ErrorClass.INTERRUPTED


class TestSleep:
    def test_what_slept_through_its_lease_is_claimed_anew_and_told_apart_from_what_went_before(
        self, publish, make_webhook, receiver, running, engine, clock, states
    ):
        make_webhook(url=receiver.url, max_in_flight=1)
        publish()
        publish()
        receiver.hold()
        with running():
            receiver.wait_for(1)
            clock.advance(ms=queue.LEASE_MS + 1)
            queue.release_lapsed(clock.now)
            engine.ring()
            while {row.attempt_count for row in rows.deliveries()} != {2}:
                pass
            receiver.release()

        assert states() == [("delivered", [200, 200]), ("delivered", ["interrupted", 200])]
        assert [attempt.late for attempt in rows.attempts()] == [True, False, False, False]
        assert len(receiver.requests) == 3


class TestWatching:
    @pytest.mark.parametrize("why", ["the hand is full", "it is stopping"])
    def test_an_engine_that_may_take_nothing_waits_for_the_wire(
        self, publish, make_webhook, receiver, running, engine, monkeypatch, why
    ):
        monkeypatch.setattr(engines, "BATCH", 1 if why == "the hand is full" else 500)
        make_webhook(url=receiver.url, max_in_flight=1)
        for _ in range(4):
            publish()
        patiences, enough, turn = [], threading.Event(), engine.wire.turn

        def watched(patience_ms):
            patiences.append(patience_ms)
            if len(patiences) == 5:
                enough.set()
            return turn(patience_ms)

        receiver.hold()
        with running():
            receiver.wait_for(1)
            if why == "it is stopping":
                engine.stop()
            engine.ring()
            monkeypatch.setattr(engine.wire, "turn", watched)
            assert enough.wait(20)
            receiver.release()

        assert 0 not in patiences[1:5], "it turned without a pause"
