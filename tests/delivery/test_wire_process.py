"""The wire in a process of its own, as `serve` has it: real time, real processes."""

from __future__ import annotations

import os
import signal
import socket
from types import SimpleNamespace

import certifi
import pytest

from app import clock as app_clock
from app.core.states import DeliveryState
from app.delivery import engine as engines
from app.delivery import messages
from app.delivery import settings as kept
from app.delivery.channel import Channel
from app.delivery.engine import new_engine
from app.delivery.installed import installed
from app.delivery.orders import Terms
from app.delivery.transfer import Egress
from app.delivery.wire_process import WireProcess
from app.services import deliveries, webhooks
from tests.support import rows
from tests.support.receiver import Receiver, answer

PATIENCE_S = 20.0


@pytest.fixture
def clock():
    """The real one: the other process has no other."""
    return SimpleNamespace(now=app_clock.now())


@pytest.fixture
def wire(app):
    egress = Egress(installed().allowed, certifi.where())
    found = WireProcess(Terms(egress, 64, True, installed().preset_files, "text", ""))
    yield found
    assert found.process.poll() is not None, "the process was left behind"


@pytest.fixture
def engine(wire):
    made = new_engine("worker-1", wire, roll=lambda: 0)
    yield made
    made.close()


@pytest.mark.parametrize("preset", ["standard", "vomo", "jobs", "github"])
def test_a_webhooks_settings_are_the_same_at_the_other_end(app, owner, make_webhook, preset):
    made = webhooks.create(
        owner,
        {
            "name": "Hooks",
            "url": "https://hooks.acme.test/in",
            "preset": preset,
            "headers": {"X-Env": "prod"},
            "rate_limit": 5,
        },
    ).webhook
    settings = {made.row_id: kept.of(made.row_id), 7: None}

    read_there = messages.read_settings(messages.pack_settings(settings), installed().presets, installed().schemes)

    assert read_there == settings


def test_a_request_is_signed_and_every_word_of_the_answer_comes_back(publish, make_webhook, receiver, deliver, states):
    receiver.answers(answer(418, {"X-Tea": "yes"}, body=b"short and stout"), 200)
    make_webhook(url=receiver.url, success_codes=["418"])
    publish(data=b'{"total":1.50}')

    deliver()

    assert states() == [("delivered", [418])]
    [request] = receiver.requests
    [attempt] = rows.attempts()
    assert b'"data":{"total":1.50}' in request.body
    assert request.headers["webhook-signature"].startswith("v1,")
    assert b"X-Tea: yes" in attempt.response_headers
    assert attempt.response_body == b"short and stout"
    assert f"webhook-id: {request.headers['webhook-id']}".encode() in attempt.request_headers
    assert attempt.url == receiver.url


def test_hundreds_of_deliveries_of_several_webhooks_all_arrive(publish, make_webhook, deliver, states):
    with Receiver() as one, Receiver() as two:
        for receiver in (one, two):
            make_webhook(url=receiver.url)
        for _ in range(150):
            publish(data=b'{"text":"%s"}' % (b"x" * 5_000))

        deliver()

        assert states() == [("delivered", [200])] * 300
        assert [len(receiver.requests) for receiver in (one, two)] == [150, 150]


def test_a_killed_process_is_replaced_and_what_it_had_counts_as_interrupted(
    publish, make_webhook, receiver, running, engine, wire, owner, deliver, states, monkeypatch
):
    monkeypatch.setattr(engines, "OUR_FAULT_PAUSE_S", 0)
    make_webhook(url=receiver.url)
    publish()
    receiver.hold()
    with running():
        receiver.wait_for(1)
        before = wire.process.pid
        os.kill(before, signal.SIGKILL)
    receiver.release()
    assert states() == [("pending", ["interrupted"])]
    assert (rows.the_delivery().tries, rows.the_delivery().interruptions) == (0, 1)
    [attempt] = rows.attempts()
    assert "may have got it" in attempt.message

    deliveries.retry(owner, rows.the_delivery().public_id)
    deliver()

    assert wire.process.pid != before
    assert states() == [("delivered", ["interrupted", 200])]


def test_turning_off_returns_what_has_not_begun(publish, make_webhook, receiver, running, owner, deliver, states):
    hook = make_webhook(url=receiver.url, max_in_flight=2)
    for _ in range(10):
        publish()
    receiver.hold()
    with running():
        receiver.wait_for(2)
        webhooks.turn_off(owner, hook.id)
        receiver.release()

    assert len(receiver.requests) == 2
    assert sorted(states()) == [("delivered", [200])] * 2 + [("pending", [])] * 8
    assert deliver() == 0


def test_an_edit_holds_for_what_waits_there(publish, make_webhook, receiver, running, owner, states):
    hook = make_webhook(url=receiver.url, max_in_flight=1)
    for _ in range(3):
        publish()
    receiver.hold()
    with running():
        receiver.wait_for(1)
        webhooks.edit(owner, hook.id, {"headers": {"X-Edited": "yes"}})
        receiver.release()

    assert states() == [("delivered", [200])] * 3
    assert ["x-edited" in request.headers for request in receiver.requests] == [False, True, True]


@pytest.mark.parametrize("asked_twice", [False, True])
def test_it_ends_when_it_is_told_to(publish, make_webhook, receiver, running, engine, states, asked_twice):
    make_webhook(url=receiver.url, max_in_flight=1)
    publish()
    publish()
    receiver.hold()
    with running():
        receiver.wait_for(1)
        while {row.state for row in rows.deliveries()} != {DeliveryState.SENDING}:
            pass
        (engine.interrupt if asked_twice else engine.stop)()
        if not asked_twice:
            while {row.state for row in rows.deliveries()} == {DeliveryState.SENDING}:
                pass
            receiver.release()

    first = ("pending", ["interrupted"]) if asked_twice else ("delivered", [200])
    assert sorted(states()) == sorted([first, ("pending", [])])


def test_a_bell_that_was_heard_is_silent_again(wire, engine):
    wire.wake()
    wire.turn(int(PATIENCE_S * 1000))

    with pytest.raises(BlockingIOError):
        os.eventfd_read(wire._bell)


class TestChannel:
    @pytest.fixture
    def ends(self):
        ours, theirs = (Channel(end) for end in socket.socketpair())
        yield ours, theirs
        ours.close()
        theirs.close()

    def test_what_the_other_end_has_no_room_for_goes_later_and_nobody_waits(self, ends):
        big = b"x" * 3_000_000
        for end in ends:
            end.send("big", big)
            end.send("small")
            assert end.has_unsent

        heard: list[list[object]] = [[], []]
        while any(len(each) < 2 for each in heard):
            for number, end in enumerate(ends):
                end.flush()
                heard[number] += end.receive()

        assert heard == [[("big", big), ("small",)]] * 2
        assert not any(end.has_unsent for end in ends)

    def test_what_was_said_before_the_end_is_heard_and_then_the_end(self, ends):
        ours, theirs = ends
        ours.send("last")
        ours.close()
        assert theirs.receive() == [("last",)]

        with pytest.raises(EOFError):
            theirs.receive()
        theirs.send("to nobody")
