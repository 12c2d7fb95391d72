"""The server is killed exactly before and after each commit that matters, and started again."""

from __future__ import annotations

import contextlib
import signal

import pytest

from tests.crash.place import LOST, wait_until
from tests.support.receiver import Receiver

INTERRUPTED, DELIVERED = ("interrupted", None), ("succeeded", 200)


@pytest.fixture
def place(make_place, receiver):
    """A server with one webhook."""
    return make_place(url=receiver.url, preset="vomo")


def publish_into(place, event_id, **options):
    """Publish to a server that will be killed on the way; return the status that was answered, if any."""
    place.start(**options)
    try:
        status, _ = place.publish(event_id)
    except LOST:
        status = None
    assert place.wait_for_death() == -signal.SIGKILL
    return status


def test_killed_before_an_event_is_stored_nobody_was_told_otherwise(place, receiver):
    assert publish_into(place, "a", FAULTS="publish.before=kill") is None
    assert place.rows("SELECT count(*) FROM event") == [(0,)]

    place.start()
    status, event = place.publish("a")
    place.drain()

    assert (status, event["duplicate"]) == (202, False)
    assert len(receiver.requests) == 1


def test_killed_between_commit_and_answer_the_repeat_gets_the_first_answer(place, receiver):
    assert publish_into(place, "a", FAULTS="publish.committed=kill") is None
    ((stored,),) = place.rows("SELECT public_id FROM event")

    place.start()
    status, event = place.publish("a")
    place.drain()

    assert (status, event["id"], event["duplicate"]) == (202, stored, True)
    assert place.rows("SELECT count(*) FROM event") == [(1,)]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("point", "attempts", "requests"),
    [
        pytest.param("claim.before", [DELIVERED], 1, id="before the claim"),
        pytest.param("claim.committed", [INTERRUPTED, DELIVERED], 1, id="after the claim"),
        pytest.param("finish.before", [INTERRUPTED, DELIVERED], 2, id="answered, not yet recorded"),
        pytest.param("finish.committed", [DELIVERED], 1, id="recorded"),
    ],
)
def test_killed_on_the_way_to_the_receiver_the_event_arrives_and_the_log_is_true(
    point, attempts, requests, place, receiver
):
    publish_into(place, "a", FAULTS=f"{point}=kill")

    place.start()
    assert place.publish("a")[0] == 202
    place.drain()

    assert place.attempts() == attempts
    assert len(receiver.requests) == requests
    assert place.stop() == 0


def test_killed_before_dialling_the_process_that_sends_is_replaced_and_the_event_arrives(place, receiver):
    place.start(FAULTS="send.before_dial=kill")
    assert place.publish("a")[0] == 202
    place.drain()

    assert place.attempts() == [INTERRUPTED, DELIVERED]
    assert len(receiver.requests) == 1
    assert place.stop() == 0, "the server ended too"


def test_killed_while_releasing_leases_each_interruption_is_recorded_once(place, receiver):
    publish_into(place, "a", FAULTS="claim.committed=kill")
    place.start(FAULTS="release.middle=kill")
    assert place.wait_for_death() == -signal.SIGKILL

    place.start()
    place.drain()

    assert place.attempts() == [INTERRUPTED, DELIVERED]
    assert place.rows("SELECT attempt_count, interruptions FROM delivery") == [(2, 1)]


def test_killed_in_a_replay_each_event_is_sent_again_once(place):
    place.start()
    for event_id in ("a", "b", "c"):
        place.publish(event_id)
    place.drain()
    assert place.stop() == 0
    place.write("UPDATE delivery SET state = 'failed'")

    place.start(FAULTS="replay.before:2=kill")
    place.ask("POST", "/api/v1/replays", {"filter": {"state": "failed"}, "rate": 2})
    assert place.wait_for_death() == -signal.SIGKILL
    place.start()
    wait_until(lambda: place.rows("SELECT state FROM replay") == [("done",)], "the replay ends")
    place.drain()

    assert place.rows("SELECT count(*), count(DISTINCT event_id) FROM delivery WHERE kind = 'replay'") == [(3, 3)]
    assert place.rows("SELECT count(DISTINCT delivery_id) FROM replay_item") == [(3,)]
    assert place.stop() == 0


def test_killed_by_what_it_sends_a_delivery_is_given_up_after_three_times_and_the_others_arrive(make_place):
    def poison(wire):
        while True:
            request = wire.read_request()
            if b'"bad"' in request.body:
                place.kill()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Receiver(poison) as receiver:
        place = make_place(url=receiver.url, preset="vomo")
        for _ in range(3):
            place.start()
            for event_id in ("good", "bad"):
                with contextlib.suppress(LOST):
                    place.publish(event_id)
            place.write("UPDATE delivery SET next_attempt_at = 1 WHERE state = 'pending'")  # ten seconds pass
            place.wait_for_death()
        place.start()
        place.publish("good")
        place.publish("better")
        place.drain()

    told = "SELECT producer_id, state, reason FROM delivery JOIN event ON event.id = event_id ORDER BY producer_id"
    assert place.rows(told) == [
        ("bad", "failed", "interrupted_repeatedly"),
        ("better", "delivered", None),
        ("good", "delivered", None),
    ]
    assert sum(b'"bad"' in request.body for request in receiver.requests) == 3
