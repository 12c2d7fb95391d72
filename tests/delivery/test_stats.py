"""What is counted: by a real receiver's answers, in the transaction that records them."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from app.core.states import Reason
from app.core.stats import HOUR_MS, Try, counts
from app.database import hot_write
from app.delivery import queue, stats
from app.extensions import db
from app.models import Stat
from app.services import deliveries, tests
from tests.support import rows


def counted(*measures):
    """The counts of these measures, those that came to nothing left out."""
    found = {}
    for row in rows.all_of(Stat, Stat.measure.in_(measures or ("first", "missed", "later")), Stat.count != 0):
        found[row.measure, row.key] = found.get((row.measure, row.key), 0) + row.count
    return found


def answers():
    found: Counter[str] = Counter()
    for (_, key), count in counted("answer").items():
        found[key.partition(" ")[0]] += count
    return found


@pytest.fixture
def hook(make_webhook, receiver):
    """A webhook with three tries."""
    return make_webhook(url=receiver.url, preset="vomo")


def test_a_first_try_that_arrives_counts_once_with_its_answer_and_its_lag(hook, publish, deliver, clock):
    publish()
    deliver()

    assert counted() == {("first", "job.created"): 1}
    assert answers() == {"200": 1}
    assert sum(counted("lag").values()) == 1
    assert {row.hour for row in rows.all_of(Stat)} == {clock.now - clock.now % HOUR_MS}


def test_a_delivery_that_arrives_hours_later_counts_in_the_hour_of_its_event(hook, publish, deliver, receiver, clock):
    receiver.answers(503, 200)
    publish()
    came_at = clock.now
    deliver()
    assert counted() == {("missed", "job.created"): 1}

    clock.advance(ms=3 * HOUR_MS)
    deliver()

    assert counted() == {("missed", "job.created"): 1, ("later", "job.created"): 1}
    assert answers() == {"503": 1, "200": 1}
    assert {row.hour for row in rows.all_of(Stat)} == {came_at - came_at % HOUR_MS}
    (lag,) = counted("lag")
    assert int(lag[1]) == pytest.approx(3 * HOUR_MS, rel=0.1)


def test_a_delivery_that_never_arrives_counts_one_miss_and_every_answer(hook, publish, deliver, receiver, clock):
    receiver.answers(500, 500, 404)
    publish()
    for _ in range(3):
        deliver()
        clock.advance(seconds=100)

    assert rows.the_delivery().state == "failed"
    assert counted() == {("missed", "job.created"): 1}
    assert answers() == {"500": 2, "404": 1}


def test_what_is_canceled_after_a_try_is_taken_back_and_counts_again_when_it_is_retried(
    hook, owner, publish, deliver, receiver, clock
):
    receiver.answers(503, 200)
    publish()
    deliver()
    dlv = rows.the_delivery().public_id

    deliveries.cancel(owner, dlv)
    assert counted() == {}

    deliveries.retry(owner, dlv)
    assert counted() == {("missed", "job.created"): 1}
    deliver()
    assert counted() == {("missed", "job.created"): 1, ("later", "job.created"): 1}


def test_what_is_canceled_before_its_first_try_never_counted_and_counts_with_the_first(
    hook, owner, publish, deliver, clock
):
    publish()
    queue.cancel_waiting(hook.row_id, Reason.WEBHOOK_OFF, "Ada", clock.now)
    assert counted() == {}

    deliveries.retry(owner, rows.the_delivery().public_id)
    assert counted() == {}
    deliver()
    assert counted() == {("first", "job.created"): 1}


def test_tests_and_replays_do_not_count_nor_does_a_replay_that_is_canceled(
    hook, owner, publish, deliver, receiver, clock
):
    publish()
    deliver()
    before = counted(), answers()

    receiver.answers(503)
    tests.send(owner, hook.id)
    replayed = deliveries.replay(owner, rows.deliveries()[0].public_id)
    deliver()
    deliveries.cancel(owner, replayed)

    assert len(rows.attempts()) == 3
    assert (counted(), answers()) == before


def test_an_interrupted_try_does_not_count_and_the_next_one_is_the_first(hook, publish, deliver, clock):
    publish()
    with hot_write() as door:
        queue.claim(door, {hook.row_id: 1}, (), "gone", clock.now, 150_000)
    queue.release_lapsed(clock.now, all_of_them=True)
    queue.let_go()

    deliver()

    assert [attempt.number for attempt in rows.attempts()] == [1, 2]
    assert counted() == {("first", "job.created"): 1}
    assert answers() == {"200": 1}


def test_an_answer_whose_lease_was_taken_counts_for_nothing(hook, publish, running, receiver, deliver):
    publish()
    receiver.hold()
    with running():
        receiver.wait_for(1)
        queue.release_lapsed(0, all_of_them=True)
        receiver.release()

    assert [attempt.late for attempt in rows.attempts()] == [True, False]
    assert counted() == {("first", "job.created"): 1}
    assert answers() == {"200": 1}


def test_processes_that_add_to_the_same_rows_at_once_lose_nothing(app, hook, clock):
    tries = [Try(hook.row_id, clock.now, f"type.{n}", 1, "200", n, clock.now + n) for n in range(150)]
    start = threading.Barrier(2)

    def add(mine):
        with app.app_context():
            start.wait()
            for _ in range(10):
                with hot_write() as door:
                    stats.add(door, counts(mine))
            db.session.remove()

    threads = [threading.Thread(target=add, args=(mine,)) for mine in (tries, tries[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert counted() == {("first", f"type.{n}"): 20 for n in range(150)}
    assert sum(counted("answer").values()) == sum(counted("lag").values()) == 3_000
