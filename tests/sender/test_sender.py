"""The loop: it moves many requests, wakes, ends, and survives whatever breaks inside it."""

from __future__ import annotations

import errno
import gc
import os
import resource
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app import faults
from app.core.addresses import Allowed
from app.core.states import ErrorClass, Outcome
from app.delivery import gate as gate_module
from app.delivery import transfer as transfer_module
from app.delivery.resolver import Answer
from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from tests.sender.flights import Certificates, answer_for, flight_of, fly, land, post
from tests.support.receiver import Receiver, Wire, answer

if TYPE_CHECKING:
    import socket

HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", "Postroom/1"),
    ("Accept", "*/*"),
    ("webhook-id", "evt_1"),
    ("X-Empty", ""),
    ("Authorization", "Basic dTpw"),
)


@pytest.mark.parametrize("body", [b"", b'{"a":1.50}', bytes(range(256)) * 8, b"x" * 2_000_000])
def test_the_request_arrives_byte_for_byte_as_it_is_shown(sender: Sender, body: bytes) -> None:
    with Receiver() as receiver:
        request = post(receiver.at("hooks.test", "/a/../b//c?q={a,b}&z=[1-3]&t=%0d"), body, headers=HEADERS)

        [flight] = fly(sender, request)

        assert flight.result.outcome is Outcome.SUCCEEDED
        [received] = receiver.requests
        assert received.head == request.head
        assert received.body == body


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_host_header_names_the_port_unless_it_is_the_schemes_own(sender: Sender, host: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    with Receiver(host=host) as receiver:
        request = post(receiver.url)
        fly(sender, request)

        assert receiver.requests[0].head == request.head
        assert f"Host: {shown}:{receiver.port}\r\n".encode() in request.head
    assert b"Host: a.test\r\n" in post("https://a.test/").head
    assert b"Host: a.test\r\n" in post("http://a.test:80/").head
    assert b"Host: a.test:443\r\n" in post("http://a.test:443/").head


def test_many_requests_move_side_by_side(sender: Sender) -> None:
    with Receiver() as receiver:
        receiver.hold()
        requests = [post(receiver.url, b"%d" % number) for number in range(200)]
        for key, request in enumerate(requests):
            sender.start(key, request, answer_for(request))
        while len(receiver.requests) < 200:
            assert sender.turn(50) == []
        assert sender.in_flight == 200
        receiver.release()

        flights = land(sender, requests)

        assert {flight.result.status for flight in flights} == {200}
        assert Counter(each.body for each in receiver.requests) == Counter(b"%d" % number for number in range(200))
        assert sender.in_flight == 0


def test_starting_never_waits_and_even_a_refusal_comes_back_from_a_turn(sender: Sender) -> None:
    sender.start(7, post("http://10.0.0.5/"), Answer(("10.0.0.5",)))

    assert sender.in_flight == 0
    began = time.monotonic()
    [(key, facts)] = sender.turn(5000)

    assert (key, facts.refused) == (7, "10.0.0.5 is a private address, which is blocked")
    assert time.monotonic() - began < 1


def test_a_turn_ends_when_its_patience_does(sender: Sender) -> None:
    began = time.monotonic()

    assert sender.turn(60) == []
    assert 0.055 < time.monotonic() - began < 1
    assert sender.turn(0) == []


def test_a_wake_from_another_thread_ends_a_turn_and_is_not_lost_before_it(sender: Sender) -> None:
    began = time.monotonic()
    threading.Timer(0.05, sender.wake).start()
    assert sender.turn(10_000) == []

    for _ in range(3):
        sender.wake()
    assert sender.turn(10_000) == []

    assert time.monotonic() - began < 5
    assert sender.turn(30) == [], "three wakes are one"


def test_every_deadline_is_kept(sender: Sender) -> None:
    with Receiver(Wire.stay_silent) as silent:
        requests = [post(silent.url, timeout_ms=timeout_ms) for timeout_ms in (200, 400, 600, 800, 1000)]

        for flight, request in zip(fly(sender, *requests), requests, strict=True):
            assert flight.result.error is ErrorClass.TIMEOUT
            assert request.timeout_ms - 5 <= flight.facts.timings.total_ms <= request.timeout_ms + 500


def test_aborting_ends_everything_as_interrupted_and_the_sender_goes_on(sender: Sender) -> None:
    with Receiver(Wire.stay_silent) as silent, Receiver() as receiver:
        for key in range(20):
            sender.start(key, post(silent.url), Answer(("127.0.0.1",)))
        silent_ones: list[tuple[int, object]] = []
        while silent.connections < 20:
            silent_ones += sender.turn(10)
        began = time.monotonic()

        ended = sender.abort()

        assert time.monotonic() - began < 1
        assert silent_ones == []
        assert sorted(key for key, _ in ended) == list(range(20))
        assert all(facts.local for _, facts in ended)
        assert sender.in_flight == 0
        assert fly(sender, post(receiver.url))[0].result.outcome is Outcome.SUCCEEDED


def test_closing_is_quick_and_leaves_no_descriptor_open(egress: Egress, certificates: Certificates) -> None:
    before = _descriptors()
    sender = Sender(egress)
    with Receiver() as plain, Receiver(tls=certificates.server()) as encrypted, Receiver(Wire.stay_silent) as silent:
        fly(sender, *[post(plain.url)] * 5, *[post(encrypted.url)] * 5)
        sender.start(0, post(silent.url), Answer(("127.0.0.1",)))
        sender.turn(10)
        began = time.monotonic()

        sender.close()

        assert time.monotonic() - began < 1
        sender.wake()
    del sender
    gc.collect()
    _until(lambda: _descriptors() <= before)


def test_a_handle_forgets_the_tls_settings_of_one_webhook(sender: Sender, certificates: Certificates) -> None:
    with Receiver(tls=certificates.server(ca=certificates.unknown)) as stranger, Receiver() as plain:
        own = certificates.unknown.cert_pem.bytes()
        for settings in ({"verify_ssl": False}, {"ca": own}, {"verify_ssl": False, "ca": own}):
            [lenient] = fly(sender, post(stranger.url, fresh=True, **settings))
            [strict] = fly(sender, post(stranger.url, fresh=True))

            assert lenient.result.outcome is Outcome.SUCCEEDED
            assert strict.result.error is ErrorClass.TLS
        assert fly(sender, post(plain.url))[0].result.outcome is Outcome.SUCCEEDED


def test_an_unreadable_certificate_of_a_webhook_fails_in_words(sender: Sender, certificates: Certificates) -> None:
    with Receiver(tls=certificates.server()) as receiver:
        wrong_key, wrong_ca = fly(sender, post(receiver.url, client_certificate=b"x"), post(receiver.url, ca=b"x"))

        assert wrong_key.result.error is ErrorClass.TLS
        assert wrong_key.result.message == "The client certificate of this webhook can't be used"
        assert wrong_ca.result.error is ErrorClass.TLS


def test_the_tls_version_is_told_on_fresh_and_on_reused_connections(sender: Sender, certificates: Certificates) -> None:
    with Receiver(tls=certificates.server()) as encrypted, Receiver() as plain:
        for _ in range(2):
            [flight] = fly(sender, post(encrypted.url))
            assert flight.result.tls_version == "TLSv1.3"
        assert encrypted.connections == 1
        assert flight.result.timings.tls_ms == 0
        assert fly(sender, post(plain.url))[0].result.tls_version is None


# What breaks inside


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch):
    """Arm one fault point; it is disarmed afterwards."""
    monkeypatch.setattr(faults, "_armed", {})
    monkeypatch.setattr(faults, "_passed", Counter())
    return faults.arm


@pytest.mark.parametrize("point", ["callback.open_socket", "callback.gate", "callback.body"])
@pytest.mark.parametrize("problem", [RuntimeError("a bug"), SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_what_is_raised_in_a_callback_ends_that_attempt_alone(
    sender: Sender, arm, monkeypatch: pytest.MonkeyPatch, point: str, problem: BaseException
) -> None:
    def strike() -> None:
        raise problem

    monkeypatch.setitem(faults._ACTIONS, "raise", strike)
    with Receiver() as receiver:
        for point_at in range(3):
            faults._passed.clear()
            arm(f"{point}:{point_at + 1}=raise")
            flights = fly(sender, *[post(receiver.url, fresh=True)] * 3)

            broken = [flight for flight in flights if flight.facts.local]
            assert len(broken) == 1
            assert broken[0].result.outcome is Outcome.INTERRUPTED
            assert broken[0].result.free
            assert Counter(flight.result.outcome for flight in flights)[Outcome.SUCCEEDED] == 2
        assert sender.in_flight == 0


def test_a_fault_before_dialling_reaches_the_caller_and_costs_no_seat(sender: Sender, arm) -> None:
    arm("send.before_dial:1=raise")

    with pytest.raises(RuntimeError, match="fault point"):
        sender.start(1, post("http://127.0.0.1/"), Answer(("127.0.0.1",)))

    assert sender.in_flight == 0


def test_running_out_of_descriptors_is_our_fault_and_not_the_receivers(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with Receiver() as receiver:
        with monkeypatch.context() as patch:
            patch.setattr(transfer_module.socket, "socket", refuse)
            [flight] = fly(sender, post(receiver.url))

        assert (flight.result.outcome, flight.result.free) == (Outcome.INTERRUPTED, True)
        assert flight.result.message == "The server had to stop before the request; nothing was sent"
        assert fly(sender, post(receiver.url))[0].result.outcome is Outcome.SUCCEEDED


def test_it_works_beyond_descriptor_1023_without_a_busy_loop(egress: Egress) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"needs 4,096 descriptors, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    sender = Sender(egress)
    try:
        with Receiver(Wire.stay_silent) as silent, Receiver() as receiver:
            assert fly(sender, post(receiver.url))[0].result.outcome is Outcome.SUCCEEDED
            sender.start(0, post(silent.url, timeout_ms=60_000), Answer(("127.0.0.1",)))
            sender.turn(50)
            cpu = time.thread_time()

            assert sender.turn(500) == []

            assert time.thread_time() - cpu < 0.1, "it waits by spinning"
    finally:
        sender.abort()
        sender.close()
        for descriptor in files:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_idle_connection_that_the_receiver_talks_on_or_closes_costs_no_busy_loop(sender: Sender) -> None:
    def talks(wire: Wire) -> None:
        wire.read_request()
        wire.send(answer(200))
        wire.pause(20)
        wire.send(b"unasked")
        wire.stay_silent()

    def closes(wire: Wire) -> None:
        wire.read_request()
        wire.send(answer(200))
        wire.pause(20)
        wire.close()

    with Receiver(talks) as talking, Receiver(closes) as closing:
        fly(sender, post(talking.url), post(closing.url))
        sender.turn(100)
        cpu = time.thread_time()

        sender.turn(400)

        assert time.thread_time() - cpu < 0.05, "it waits by spinning"


def test_new_rules_hold_for_handles_that_are_used_again(
    sender: Sender, egress: Egress, certificates: Certificates, tmp_path: Path
) -> None:
    bundle = tmp_path / "other.pem"
    certificates.unknown.cert_pem.write_to_path(str(bundle))
    with (
        Receiver(tls=certificates.server()) as ours,
        Receiver(tls=certificates.server(ca=certificates.unknown)) as theirs,
    ):
        for accepted, refused in ((ours, theirs), (theirs, ours)):
            good, bad = fly(sender, post(accepted.url, fresh=True), post(refused.url, fresh=True))

            assert good.result.outcome is Outcome.SUCCEEDED
            assert bad.result.error is ErrorClass.TLS
            sender.follow(replace(egress, ca_file=str(bundle)))


def test_new_rules_hold_for_handles_that_were_on_the_wire(
    sender: Sender, egress: Egress, certificates: Certificates, tmp_path: Path
) -> None:
    bundle = tmp_path / "other.pem"
    certificates.unknown.cert_pem.write_to_path(str(bundle))
    with Receiver() as plain, Receiver(tls=certificates.server(ca=certificates.unknown)) as theirs:
        request = post(plain.url)
        sender.start(0, request, answer_for(request))
        sender.follow(replace(egress, ca_file=str(bundle)))
        land(sender, [request])

        assert fly(sender, post(theirs.url))[0].result.outcome is Outcome.SUCCEEDED


# One bad receiver and the others


def test_a_hundred_hanging_requests_make_the_others_cost_little_more(sender: Sender) -> None:
    def drips(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\n")
        wire.drip(b"X-A: b\r\n", 50, endless=True)

    def work() -> float:
        began = time.thread_time()
        for _ in range(300):
            assert fly_one(sender, receiver.url).result.outcome is Outcome.SUCCEEDED
        return time.thread_time() - began

    with Receiver() as receiver, Receiver(drips) as dripping, Receiver(Wire.stay_silent) as silent:
        alone = work()
        urls = [dripping.url, silent.url, silent.url.replace("http:", "https:")]
        for number in range(100):
            sender.start(1000 + number, post(urls[number % 3], timeout_ms=60_000), Answer(("127.0.0.1",)))

        while dripping.connections + silent.connections < 100:
            assert sender.turn(20) == []

        beside = work()

        assert sender.in_flight == 100
        assert beside < alone * 3, f"{beside * 1000:.0f} ms of work beside them, {alone * 1000:.0f} ms alone"


def fly_one(sender: Sender, url: str):
    """Send one request while others hang."""
    request = post(url)
    sender.start(0, request, answer_for(request))
    ended: list = []
    while not ended:
        ended = sender.turn(5000)
    [(key, facts)] = ended
    assert key == 0
    return flight_of(facts, request)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _until(holds) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        threading.Event().wait(0.01)


def test_the_register_of_connections_has_one_entry_a_descriptor() -> None:
    gate = gate_module.Gate(Egress(Allowed(), ""))
    for port in range(1000):
        gate.learn(port % 4, ("127.0.0.1", port, "127.0.0.1", 80), None)

    assert len(gate._by_ends) == 4
    assert gate.known(("127.0.0.1", 0, "127.0.0.1", 80)) is None
