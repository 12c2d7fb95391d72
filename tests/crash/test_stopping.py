"""Signals under load, and a second process on the same data directory."""

from __future__ import annotations

import signal
import time

import pytest

from tests.crash.place import wait_until


@pytest.fixture
def place(make_place, receiver):
    """A server that is serving, with one webhook that takes four requests at once."""
    place = make_place(url=receiver.url, max_in_flight=4)
    place.start()
    return place


def load(place, receiver):
    """Publish twelve events to a receiver that keeps its answers back."""
    receiver.hold()
    for number in range(12):
        assert place.publish(f"e{number}")[0] == 202
    receiver.wait_for(4)


def test_told_to_stop_it_refuses_new_events_ends_what_is_under_way_and_keeps_the_rest(place, receiver):
    load(place, receiver)
    wire = place.connect()
    assert place.publish("before", wire)[0] == 202

    place.child.terminate()
    wait_until(lambda: place.log.read_text().count("stopping"), "it says that it stops")
    assert place.child.poll() is None, "it didn't wait for what was under way"
    status, problem = place.publish("after", wire)
    wire.close()
    receiver.release()

    assert place.wait_for_death() == 0
    assert status == 503
    assert problem["detail"].startswith("The server is stopping")
    assert place.rows("SELECT count(*) FROM event WHERE producer_id = 'after'") == [(0,)]
    assert place.attempts() == [("succeeded", 200)] * len(receiver.requests)
    assert place.rows("SELECT count(*) FROM delivery WHERE state = 'pending' AND attempt_count = 0") == [
        (13 - len(receiver.requests),)
    ]
    assert place.rows("SELECT count(*) FROM delivery WHERE state = 'sending'") == [(0,)]


def test_told_twice_it_stops_at_once_and_says_what_was_interrupted(place, receiver):
    load(place, receiver)

    place.child.terminate()
    wait_until(lambda: place.log.read_text().count("stopping"), "it says that it stops")
    began = time.monotonic()
    place.child.send_signal(signal.SIGINT)
    code = place.wait_for_death()

    assert code == 0
    assert time.monotonic() - began < 8, "it waited for what was under way"
    assert place.attempts() == [("interrupted", None)] * 4
    assert place.rows("SELECT state, count(*) FROM delivery GROUP BY state") == [("pending", 12)]


def test_a_terminal_that_goes_away_does_not_stop_it(place, receiver):
    place.child.send_signal(signal.SIGHUP)

    assert place.publish("a")[0] == 202
    place.drain()
    assert place.child.poll() is None


def test_what_waited_when_it_stopped_is_sent_by_the_next(place, receiver):
    load(place, receiver)
    place.child.terminate()
    receiver.release()
    assert place.wait_for_death() == 0

    place.start()
    place.drain()

    assert len(receiver.requests) == 12
    assert place.rows("SELECT DISTINCT outcome FROM attempt") == [("succeeded",)]


def test_a_second_server_on_the_same_data_directory_is_refused_in_words(place):
    second = place.spawn(PORT=str(place.port - 1))

    assert second.wait(40) == 1
    assert f"Another Postroom (pid {place.child.pid}) uses this data directory." in place.log.read_text()
    assert place.answers()
