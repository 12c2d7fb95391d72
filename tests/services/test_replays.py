"""Replays by filter: what is counted is what is made, at the rate, once, and until it is stopped."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, select, text, update

from app import faults, ids
from app.core.states import DeliveryKind, DeliveryState, Reason
from app.database import is_sqlite, read, write
from app.errors import Conflict, Invalid, NotFound, Refused
from app.extensions import db
from app.models import Delivery, Event, Replay, ReplayItem, ReplayState
from app.services import deliveries, replay_selection, replaying, replays, retention, webhooks
from app.services.log import LogQuery
from app.services.replay_selection import LeftOut, Wanted
from app.services.replays import Order
from tests.support import plans, rows

STILL_FAILED = Wanted(LogQuery())
ALL = Wanted(LogQuery(), only_failed=False, leave_out_off=False)
DAY_S = 86_400


def replayed() -> list[Delivery]:
    """The deliveries that replays made, in the order in which they were made."""
    return rows.all_of(Delivery, Delivery.kind == DeliveryKind.REPLAY)


def count_replayed() -> int:
    """How many deliveries replays have made."""
    with read() as session:
        return session.scalar(select(func.count()).where(Delivery.kind == DeliveryKind.REPLAY)) or 0


@pytest.fixture
def hook(make_webhook, receiver):
    """A webhook that gives up at its first failure."""
    return make_webhook(url=receiver.url, retry={"delays": []})


@pytest.fixture
def fail(hook, publish, receiver, deliver, clock):
    """Publish so many events, a second apart, whose deliveries fail; return their ids."""

    def run(number: int, **more) -> list[str]:
        receiver.answers(*[500] * number)
        made = []
        for _ in range(number):
            clock.advance(seconds=1)
            made.append(publish(**more).id)
        deliver()
        receiver.answers(200)
        return made

    return run


@pytest.fixture
def failed(hook, publish, organization, clock):
    """Put so many failed deliveries on record, a millisecond apart."""

    def fill(number: int) -> None:
        publish()
        with write() as session:
            (first,) = session.scalars(select(Delivery)).all()
            event = session.get_one(Event, first.event_id)
            columns = [c for c in Event.__table__.c if c.name not in ("id", "public_id", "created_at")]
            copied = {c.name: getattr(event, c.name) for c in columns}
            session.add_all(Event(**copied, public_id=f"evt_{i}", created_at=clock.now + i) for i in range(1, number))
            session.flush()
            move = {"state": DeliveryState.FAILED, "finished_at": clock.now, "next_attempt_at": None}
            session.execute(update(Delivery).values(**move))
            columns = [c for c in Delivery.__table__.c if c.name not in ("id", "public_id", "event_id", "created_at")]
            session.refresh(first)
            copied = {c.name: getattr(first, c.name) for c in columns}
            session.add_all(
                Delivery(**copied, public_id=f"dlv_{one.id}", event_id=one.id, created_at=one.created_at)
                for one in session.scalars(select(Event).where(Event.id != event.id))
            )
        clock.advance(seconds=60)

    return fill


@pytest.fixture
def start(owner):
    """Start a replay of all that is still failed, or of what is given."""

    def run(wanted=STILL_FAILED, by=owner, **order) -> str:
        return replays.start(by, wanted, Order(**order), {})

    return run


def run_to_its_end(clock) -> None:
    """Let the clockwork tick until no replay runs."""
    while rows.all_of(Replay, Replay.state == ReplayState.RUNNING):
        replaying.advance(clock.now)
        clock.advance(seconds=1)


def test_the_figure_shown_is_the_figure_done(owner, fail, start, deliver, receiver, clock):
    events = fail(5)
    shown = replay_selection.count(owner, STILL_FAILED).total

    made = start(expected=shown, why="The receiver was down")
    run_to_its_end(clock)
    clock.advance(seconds=300)  # the lane had been shut
    deliver()

    done = replays.progress(owner, made)
    assert (shown, done.delivered, done.left, done.replay.state) == (5, 5, 0, ReplayState.DONE)
    assert not done.is_moving
    assert sorted(request.headers["webhook-id"] for request in receiver.requests[5:]) == sorted(events)
    assert [row.event_id for row in replayed()] == sorted(row.event_id for row in replayed()), "not oldest first"
    assert {(row.copy, row.by_hand) for row in replayed()} == {(1, False)}
    (entry,) = rows.audited("replay.started")
    assert (entry.object_name, entry.changes["reason"]) == ("5 deliveries", [None, "The receiver was down"])


def test_what_is_left_out_is_counted_by_its_reason(
    owner, fail, hook, publish, make_webhook, receiver, deliver, clock, start
):
    other = make_webhook(url=receiver.url, name="Off", retry={"delays": []})
    gone = make_webhook(url=receiver.url, name="Gone", retry={"delays": []})
    receiver.answers(*[500] * 6)
    publish("job.created")  # fails at all three
    publish("job.updated")
    deliver()
    receiver.answers(200)
    publish("job.moved")  # succeeds at all three
    deliver()
    (again,) = [row for row in rows.deliveries() if row.event_type == "job.updated" and row.webhook_id == hook.row_id]
    deliveries.replay(owner, again.public_id)  # made good since
    deliver()
    webhooks.turn_off(owner, other.id)
    webhooks.delete(owner, gone.id)

    found = replay_selection.count(owner, STILL_FAILED)

    assert dict(found.left_out) == {
        LeftOut.NOT_FAILED: 4,
        LeftOut.WEBHOOK_OFF: 2,
        LeftOut.WEBHOOK_DELETED: 2,
        LeftOut.UNDER_WAY: 1,
    }
    assert (found.total, found.matching) == (1, 10)
    assert found.total + sum(number for _, number in found.left_out) == found.matching
    assert (found.by_webhook[0].name, found.by_webhook[0].replayed) == ("Hooks", 1)
    assert replay_selection.count(owner, ALL).total == 6, "each event once for each webhook that is there"


def test_more_than_one_replay_takes_is_left_for_the_next_the_oldest_first(owner, failed, start, clock, monkeypatch):
    monkeypatch.setattr(replay_selection, "MOST", 7)
    failed(10)

    found = replay_selection.count(owner, STILL_FAILED)
    start()
    run_to_its_end(clock)

    assert (found.total, dict(found.left_out)) == (7, {LeftOut.BEYOND: 3})
    oldest = sorted(rows.all_of(Event), key=lambda event: event.created_at)[:7]
    assert [row.event_id for row in replayed()] == [event.id for event in oldest]
    assert replay_selection.count(owner, STILL_FAILED).total == 3


def test_tests_and_what_is_on_its_way_are_never_replayed(owner, hook, publish, receiver, deliver):
    webhooks.turn_off(owner, hook.id)
    webhooks.turn_on(owner, hook.id)  # sends a test payload
    receiver.answers(500)
    deliver()
    publish()

    assert dict(replay_selection.count(owner, ALL).left_out) == {LeftOut.TEST: 1, LeftOut.WAITING: 1}


def test_a_second_submit_of_the_same_form_makes_none(owner, fail, start, clock):
    fail(3)
    form = ids.new_id("rpl")

    first = start(id=form)
    second = start(id=form)
    run_to_its_end(clock)

    assert first == second == form
    assert len(replayed()) == 3
    assert len(rows.audited("replay.started")) == 1


def test_a_form_pressed_twice_in_the_same_moment_starts_one(app, owner, fail, clock):
    fail(3)
    order = Order(id=ids.new_id("rpl"))

    def press(_):
        with app.app_context():
            return replays.start(owner, STILL_FAILED, order, {})

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(press, range(4)))
    run_to_its_end(clock)

    assert made == {order.id}
    assert len(replayed()) == 3


def test_what_a_running_replay_will_send_is_not_in_another(owner, fail, start):
    fail(3)
    start()

    assert replay_selection.count(owner, STILL_FAILED).total == 0
    with pytest.raises(Conflict, match="Nothing is left"):
        start()


def test_nothing_is_started_when_the_figure_has_changed(owner, fail, start):
    fail(2)

    with pytest.raises(Conflict, match="Meanwhile it would be 2 instead of 3"):
        start(expected=3)
    assert rows.all_of(Replay) == []


@pytest.mark.parametrize("rate", [0.0, 0.05, 1000.5, float("nan"), float("inf"), -1.0])
def test_a_rate_out_of_bounds_is_refused(rate, start, failed):
    failed(1)

    with pytest.raises(Invalid, match="can't be used"):
        start(rate=rate)


@pytest.mark.parametrize(
    ("rate", "after_each_second"),
    [(10, [10, 20, 30]), (1.5, [1, 3, 4]), (0.5, [1, 1, 2]), (300, [300, 600, 900])],
)
def test_it_keeps_its_rate(rate, after_each_second, failed, start, clock):
    failed(1_000)
    start(rate=rate)

    seen = []
    for _ in range(3):
        clock.advance(ms=999)
        replaying.advance(clock.now)
        seen.append(count_replayed())
        clock.advance(ms=1)

    assert seen == pytest.approx(after_each_second, abs=1)


def test_after_a_pause_it_goes_on_at_its_rate_instead_of_catching_up(failed, start, clock):
    failed(1_000)
    start(rate=10)
    replaying.advance(clock.now)

    clock.advance(seconds=3600)
    replaying.advance(clock.now)

    assert count_replayed() <= 25


def test_stop_stops(owner, failed, start, clock):
    failed(50)
    made = start(rate=10)
    replaying.advance(clock.now)
    clock.advance(seconds=1)
    replaying.advance(clock.now)

    assert replays.stop(owner, made)
    for _ in range(3):
        clock.advance(seconds=1)
        replaying.advance(clock.now)

    found = replays.progress(owner, made)
    assert (found.replay.state, found.replay.position, found.left) == (ReplayState.STOPPED, 11, 39)
    assert len(replayed()) == 11
    assert rows.audited("replay.stopped")[0].changes == {"made": [None, 11]}
    assert not replays.stop(owner, made), "stopped twice"


def test_stopping_can_cancel_what_was_made_and_not_sent(owner, failed, start, clock):
    failed(50)
    made = start(rate=10)
    replaying.advance(clock.now)
    clock.advance(seconds=1)
    replaying.advance(clock.now)
    assert replays.progress(owner, made).waiting == 11

    replays.stop(owner, made, cancel_waiting=True)

    found = replays.progress(owner, made)
    assert (found.waiting, found.canceled, found.left) == (0, 11, 39)
    assert {(row.reason, row.detail) for row in replayed()} == {(Reason.BY_PERSON, "Ada")}


@pytest.mark.parametrize("point", ["replay.before", "replay.committed"])
def test_a_crash_between_two_slices_makes_no_delivery_twice_and_leaves_none_out(
    point, failed, start, clock, monkeypatch
):
    monkeypatch.setattr(faults, "_armed", {point: (2, "raise")})
    monkeypatch.setattr(faults, "_passed", type(faults._passed)())
    failed(300)
    start(rate=1000)

    clock.advance(seconds=1)
    with pytest.raises(RuntimeError):
        replaying.advance(clock.now)
    run_to_its_end(clock)

    made = replayed()
    assert len(made) == len({row.event_id for row in made}) == 300
    assert {item.delivery_id for item in rows.all_of(ReplayItem)} == {row.id for row in made}


def test_several_processes_share_a_replay_without_making_anything_twice(app, failed, start, clock):
    if is_sqlite():
        pytest.skip("left out: several processes need PostgreSQL")
    failed(400)
    start(rate=1000)
    clock.advance(seconds=1)

    def tick(_):
        with app.app_context():
            try:
                return replaying.advance(clock.now)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(4) as pool:
        made = sum(pool.map(tick, range(8)))

    assert made == count_replayed() == 400
    assert len({row.event_id for row in replayed()}) == 400


def test_what_can_not_be_sent_when_its_turn_comes_is_refused_with_the_reason(
    owner, fail, hook, start, clock, make_webhook, publish, receiver, deliver
):
    fail(3)
    made = start()
    webhooks.turn_off(owner, hook.id)
    run_to_its_end(clock)

    found = replays.progress(owner, made)
    assert found.refused == ((Reason.WEBHOOK_OFF, 3),)
    assert replayed() == []


def test_a_webhook_that_is_off_keeps_its_replays_until_it_is_turned_on(owner, fail, hook, start, clock, deliver):
    fail(2)
    webhooks.turn_off(owner, hook.id)
    made = start(Wanted(LogQuery(state=("failed",)), leave_out_off=False))
    run_to_its_end(clock)
    deliver()
    assert replays.progress(owner, made).waiting == 2

    webhooks.turn_on(owner, hook.id)
    deliver()

    assert replays.progress(owner, made).delivered == 2


def test_an_event_deleted_before_its_turn_is_told_as_such(owner, failed, start, clock):
    failed(4)
    made = start()
    with write() as session:
        first = session.scalar(select(func.min(Event.id)))
        session.execute(delete(Event).where(Event.id == first))

    run_to_its_end(clock)

    found = replays.progress(owner, made)
    assert (found.gone, found.waiting, found.replay.state) == (1, 3, ReplayState.DONE)


def test_its_owner_may_still_not_see_the_event(
    owner, make_member, make_unit, make_webhook, publish, receiver, start, clock
):
    north = make_unit("north")
    max_ = make_member("max", role="Developer").actor
    make_webhook(url=receiver.url, by=max_)
    publish(business_unit="north")
    assert [row.reason for row in rows.deliveries()] == [Reason.OWNER_CANNOT_SEE]

    with pytest.raises(Conflict, match="may not see this event"):
        deliveries.replay(owner, rows.the_delivery().public_id)
    made = start(Wanted(LogQuery(state=("skipped",)), only_failed=False))
    run_to_its_end(clock)

    assert replays.progress(owner, made).refused == ((Reason.OWNER_CANNOT_SEE, 1),)
    assert north.id


def test_a_member_replays_what_they_may_see_and_nobody_without_the_permission(
    owner, stranger, fail, make_member, make_unit, start
):
    make_unit("north")
    fail(2, business_unit="north")
    fail(1)
    limited = make_member("lea", role="Developer").actor
    object.__setattr__(limited, "permissions", owner.permissions)

    assert replay_selection.count(limited, STILL_FAILED).total == 1
    assert replay_selection.count(stranger, STILL_FAILED).matching == 0
    made = start(by=limited)
    with pytest.raises(NotFound):
        replays.progress(stranger, made)
    with pytest.raises(NotFound):
        replays.stop(stranger, made)
    with pytest.raises(Refused):
        start(by=make_member("max", role="Developer").actor)


def test_chosen_deliveries_are_replayed_and_what_is_not_there_is_told(owner, failed, start, clock):
    failed(5)
    chosen = tuple(row.public_id for row in rows.deliveries()[:2])
    wanted = Wanted(LogQuery(delivery=(*chosen, "dlv_unknown")), only_failed=False)

    found = replay_selection.count(owner, wanted)
    start(wanted)
    run_to_its_end(clock)

    assert (found.total, dict(found.left_out)) == (2, {LeftOut.NOT_FOUND: 1})
    assert len(replayed()) == 2


def test_a_replay_is_forgotten_with_the_log(owner, failed, start, clock):
    failed(3)
    made = start(rate=0.1)
    clock.advance(seconds=100 * DAY_S)
    retention.prune(clock.now)
    assert len(rows.all_of(Replay)) == 1, "one that runs was deleted"

    replays.stop(owner, made)
    retention.prune(clock.now)

    assert rows.all_of(Replay) == []
    assert rows.all_of(ReplayItem) == []


def test_its_questions_are_answered_by_indexes(owner, hook, organization, clock, start):
    plans.fill(organization.id, clock.now)
    with write() as session:  # the filling has one event for all deliveries; a replay takes each event once
        session.execute(update(Delivery).values(event_id=Delivery.id))
    with plans.plans() as counting:
        replay_selection.count(owner, STILL_FAILED)
    with write() as session:  # a list that is long enough to be worth an index
        session.execute(update(Delivery).where(Delivery.state == DeliveryState.DELIVERED).values(state="failed"))
    start()
    if not is_sqlite():
        with db.engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    with plans.plans() as running:
        replaying.advance(clock.now)

    assert any("ix_delivery_trouble" in plan for plan in counting), counting
    asked = [plan for plan in running if "delivery" in plan or "replay" in plan]
    assert asked
    whole = r"Seq Scan on (delivery|event|replay_item)\b|SCAN (delivery|event|replay_item|later)\b(?! USING)"
    for plan in asked:
        assert not re.search(whole, plan), plan
