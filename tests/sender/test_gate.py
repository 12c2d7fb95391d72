"""The gate: a request is seen once, an answer belongs to its request, and only allowed addresses are dialled."""

from __future__ import annotations

import threading
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from app.core.addresses import Allowed
from app.core.states import ErrorClass, Outcome
from app.delivery.gate import Gate
from app.delivery.resolver import Answer
from app.delivery.transfer import Egress
from tests.sender.flights import Certificates, Flight, SideBySide, fly, land, post, until
from tests.support.receiver import Receiver, Script, Wire, answer

if TYPE_CHECKING:
    from app.delivery.sender import Sender

OK = answer(200, {"Content-Type": "text/plain"}, b"taken")
HERE = Answer(("127.0.0.1",))
ENDINGS = ("close", "reset")


def play(sender: Sender, *stories) -> None:
    """Play stories side by side; the first that failed is raised."""
    game = SideBySide(sender, [(str(index), story) for index, story in enumerate(stories)])
    game.play(patience_s=30)
    for ending in game.endings.values():
        if ending is not None:
            raise ending


def counted(flight: Flight, number: int) -> None:
    assert flight.result.outcome is Outcome.SUCCEEDED, flight
    assert flight.result.body == b"%d" % number, "this is the answer to another request"


# Once only


def cut(offset: int, ending: str, *, reused: bool) -> Script:
    """Break the answer off after so many bytes, on the first or on the second request of a connection."""

    def script(wire: Wire) -> None:
        if reused and wire.number == 1:
            wire.read_request()
            wire.send(OK)
        wire.read_request()
        wire.send(OK[:offset])
        getattr(wire, ending)()

    return script


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
def test_an_answer_that_breaks_off_anywhere_leaves_one_request_for_one_attempt(
    sender: Sender, ending: str, reused: bool
) -> None:
    head = OK.index(b"\r\n\r\n") + 4

    def at(offset: int):
        def story():
            with Receiver(cut(offset, ending, reused=reused)) as receiver:
                attempts = 2 if reused else 1
                for _ in range(attempts):
                    flight = yield post(receiver.url, timeout_ms=5000)
                assert len(receiver.requests) == attempts, "the request was seen twice"
                result = flight.result
                if result.outcome is Outcome.SUCCEEDED:
                    assert offset >= head
                    assert (result.error is None) == (
                        offset == len(OK) or (ending == "reset" and result.body == b"taken")
                    )
                else:
                    assert result.error in (ErrorClass.RESET, ErrorClass.BAD_HTTP)
                    # a RST may destroy what the kernel had, but never the other way round
                    assert offset < head or ending == "reset"

        return story

    play(sender, *(at(offset) for offset in range(len(OK) + 1)))


def test_a_hidden_second_sending_is_stopped_and_told_as_ours(sender: Sender) -> None:
    def takes_it_and_goes(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)
        wire.read_request()
        wire.close()

    with Receiver(takes_it_and_goes) as receiver:
        fly(sender, post(receiver.url))
        [flight] = fly(sender, post(receiver.url))

        assert flight.facts.again
        assert (flight.result.error, flight.result.free) == (ErrorClass.RESET, True)
        assert len(receiver.requests) == 2

        [retry] = fly(sender, post(receiver.url, fresh=True))

        assert retry.result.outcome is Outcome.SUCCEEDED
        assert [each.connection for each in receiver.requests] == [1, 1, 2], "another connection was opened for it"


def numbered(extra: bytes, said: list[int], *, at_once: bool) -> Script:
    """Answer with the number of the connection, and add an answer that nobody asked for: at once or as a second one."""

    def script(wire: Wire) -> None:
        while True:
            wire.read_request()
            data = answer(200, body=b"%d" % wire.number)
            if at_once:
                wire.send(data + extra)
            else:
                wire.cork()  # two TLS records in one segment: OpenSSL reads ahead, and hides the second one
                wire.send(data)
                wire.send(extra)
                wire.uncork()
            said.append(wire.number)

    return script


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in one piece", "in two pieces"])
def test_an_answer_nobody_asked_for_is_never_taken_for_the_next_one(
    sender: Sender, certificates: Certificates, encrypted: bool, at_once: bool
) -> None:
    tls = certificates.server() if encrypted else None

    def story():
        said: list[int] = []
        with Receiver(numbered(answer(201, body=b"unasked"), said, at_once=at_once), tls=tls) as receiver:
            for number in range(1, 5):
                counted((yield post(receiver.url)), number)
                yield from until(lambda n=number: len(said) == n)

    play(sender, *[story] * 3)


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_one_that_comes_later_is_not_taken_either(sender: Sender, certificates: Certificates, encrypted: bool) -> None:
    tls = certificates.server() if encrypted else None

    def story():
        said: list[int] = []
        go_on = threading.Semaphore(0)

        def script(wire: Wire) -> None:
            while True:
                wire.read_request()
                wire.send(answer(200, body=b"%d" % wire.number))
                go_on.acquire(timeout=20)
                wire.send(answer(201, body=b"unasked"))
                said.append(wire.number)

        with Receiver(script, tls=tls) as receiver:
            for number in range(1, 5):
                counted((yield post(receiver.url)), number)
                go_on.release()
                yield from until(lambda n=number: len(said) == n)

    play(sender, *[story] * 3)


def test_a_connection_closed_while_idle_is_redialled_within_the_same_attempt(sender: Sender) -> None:
    def once(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)
        wire.close()

    def story():
        with Receiver(once) as receiver:
            for number in range(1, 5):
                flight = yield post(receiver.url)
                assert flight.result.outcome is Outcome.SUCCEEDED
                assert not flight.facts.dirty
                yield from until(lambda n=number: receiver.ended == n)
            assert (len(receiver.requests), receiver.connections) == (4, 4)

    play(sender, story)


def test_a_connection_that_stays_is_used_again(sender: Sender, certificates: Certificates) -> None:
    with Receiver() as plain, Receiver(tls=certificates.server()) as encrypted:
        for receiver in (plain, encrypted):
            flights = [fly(sender, post(receiver.url))[0] for _ in range(5)]

            assert receiver.connections == 1
            assert len(receiver.requests) == 5
            assert flights[0].facts.timings.connect_ms > 0
            assert flights[4].facts.timings.connect_ms == 0
            assert {flight.facts.peer for flight in flights} == {f"127.0.0.1:{receiver.port}"}


def test_a_later_attempt_asks_for_a_connection_of_its_own(sender: Sender) -> None:
    with Receiver() as receiver:
        for _ in range(3):
            fly(sender, post(receiver.url, fresh=True))

        assert receiver.connections == 3


# Whom it may dial


def blocked(flight: Flight, words: str) -> None:
    assert flight.result.outcome is Outcome.BLOCKED, flight
    assert flight.result.error is ErrorClass.BLOCKED
    assert words in flight.result.message
    assert flight.result.message.endswith("; nothing was sent")


@pytest.fixture
def strict(egress: Egress) -> Egress:
    """Rules under which this machine may not be reached."""
    return replace(egress, allowed=Allowed())


def test_a_forbidden_literal_is_refused_for_good_and_named(sender: Sender, strict: Egress) -> None:
    sender.follow(strict)
    with Receiver() as receiver:
        [flight] = fly(sender, post(receiver.url))

        blocked(flight, "127.0.0.1 is a loopback address")
        assert flight.result.final
        assert receiver.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("127.0.0.1", "93.184.216.34"), ("93.184.216.34", "fc00::1")],
)
def test_one_forbidden_address_refuses_the_whole_name_without_telling_it(
    sender: Sender, strict: Egress, addresses: tuple[str, ...]
) -> None:
    sender.follow(strict)

    [flight] = fly(sender, post("http://hooks.test:8080/"), answer=Answer(addresses))

    blocked(flight, "hooks.test resolves to a")
    assert not any(address in flight.result.message for address in addresses)
    assert not flight.result.final, "names can be repaired"


def test_the_socket_is_refused_when_vetting_let_an_address_pass(sender: Sender, egress: Egress, strict: Egress) -> None:
    with Receiver() as receiver:
        request = post(receiver.at("hooks.test"))
        sender.start(0, request, HERE)
        sender.follow(strict)  # as if a bug had let it through until here

        [flight] = land(sender, [request])

        blocked(flight, "hooks.test resolves to a loopback address")
        sender.follow(egress)
        fly(sender, request)
        assert receiver.requests[0].connection == 1, "the forbidden address was dialled"


def test_a_pooled_connection_is_refused_once_its_network_is_no_longer_allowed(sender: Sender, strict: Egress) -> None:
    with Receiver() as receiver:
        fly(sender, post(receiver.at("hooks.test")))
        request = post(receiver.at("hooks.test"))
        sender.start(0, request, HERE)
        sender.follow(strict)

        [flight] = land(sender, [request])

        blocked(flight, "hooks.test resolves to a loopback address")
        assert len(receiver.requests) == 1


def test_the_vetted_address_is_dialled_whatever_the_system_says_about_the_name(sender: Sender) -> None:
    with Receiver(host="127.0.0.2") as vetted, Receiver(host="127.0.0.1", port=vetted.port) as system:
        [flight] = fly(sender, post(vetted.at("localhost")), answer=Answer(("127.0.0.2",)))

        assert flight.result.outcome is Outcome.SUCCEEDED
        assert (len(vetted.requests), system.connections) == (1, 0)


def test_a_name_that_moved_is_followed_although_a_connection_is_open(sender: Sender) -> None:
    with Receiver(host="127.0.0.2") as before, Receiver(host="127.0.0.3", port=before.port) as after:
        fly(sender, post(before.at("hooks.test")), answer=Answer(("127.0.0.2",)))

        [flight] = fly(sender, post(before.at("hooks.test")), answer=Answer(("127.0.0.3",)))

        assert flight.facts.peer == f"127.0.0.3:{before.port}"
        assert (len(before.requests), len(after.requests)) == (1, 1)


def test_the_next_address_is_tried_when_one_does_not_answer(sender: Sender) -> None:
    with Receiver(host="127.0.0.2") as receiver:
        [flight] = fly(sender, post(receiver.at("hooks.test")), answer=Answer(("127.0.0.9", "127.0.0.2")))

        assert flight.result.outcome is Outcome.SUCCEEDED


def test_both_families_are_dialled_and_shown(sender: Sender) -> None:
    with Receiver(host="::1") as receiver:
        [flight] = fly(sender, post(receiver.url))

        assert flight.facts.peer == f"[::1]:{receiver.port}"
        assert flight.result.outcome is Outcome.SUCCEEDED


def test_a_port_of_another_service_is_refused_for_good(sender: Sender) -> None:
    [flight] = fly(sender, post("http://hooks.test:6379/"))

    blocked(flight, "Port 6379 is a port of another service")
    assert flight.result.final


def test_headers_that_would_become_more_than_one_line_are_refused(sender: Sender) -> None:
    with Receiver() as receiver:
        bad = [
            ("X-A", "a\r\nX-B: b"),
            ("X-A", "a\nb"),
            ("X-A", "a\0b"),
            ("X-A", "é"),
            ("X-A: b\r\nX-C", "d"),
            ("", "a"),
        ]
        flights = fly(sender, *(post(receiver.url, headers=(header,)) for header in bad))

        for flight in flights:
            blocked(flight, "A header breaks the rules for headers")
            assert flight.result.final
        assert receiver.connections == 0


# This server itself


def test_the_own_port_is_refused_on_every_address_of_this_machine(sender: Sender, egress: Egress) -> None:
    with Receiver(host="0.0.0.0") as server:
        sender.follow(replace(egress, own=("127.0.0.1", server.port)))
        urls = [server.at(host) for host in ("127.0.0.1", "127.0.0.5", "hooks.test")]

        flights = fly(sender, *map(post, urls))

        for flight in flights:
            blocked(flight, "this server itself")
        assert server.connections == 0


def test_a_port_behind_the_proxy_is_closed_too_to_the_inbox_as_well(sender: Sender, egress: Egress) -> None:
    with Receiver() as server:
        sender.follow(replace(egress, own=("postroom.test", 443), listening=frozenset({server.port})))

        webhook, inbox = fly(sender, post(server.url), post(server.url, own_inbox=True))

        blocked(webhook, "this server itself")
        blocked(inbox, "not the test inbox")
        assert server.connections == 0


def test_the_test_inbox_reaches_the_own_address_and_nothing_else(sender: Sender, strict: Egress) -> None:
    with Receiver() as server, Receiver() as other:
        sender.follow(replace(strict, own=("127.0.0.1", server.port)))
        requests = [
            post(server.url, own_inbox=True),
            post(other.url, own_inbox=True),
            post(server.at("127.0.0.2"), own_inbox=True),
        ]

        inbox, *others = fly(sender, *requests)

        assert inbox.result.outcome is Outcome.SUCCEEDED
        for flight in others:
            blocked(flight, "not the test inbox")
        assert other.connections == 0


def test_the_test_inbox_is_found_under_the_name_of_the_base_url(sender: Sender, strict: Egress) -> None:
    with Receiver() as server:
        sender.follow(replace(strict, own=("postroom.test", server.port)))

        inbox, other = fly(sender, post(server.at("postroom.test"), own_inbox=True), post(server.at("postroom.test")))

        assert inbox.result.outcome is Outcome.SUCCEEDED
        assert other.result.outcome is Outcome.BLOCKED


def test_a_connection_that_the_inbox_opened_is_closed_to_everybody_else(sender: Sender, egress: Egress) -> None:
    with Receiver() as server:
        sender.follow(replace(egress, own=("127.0.0.1", server.port)))
        fly(sender, post(server.url, own_inbox=True))

        [flight] = fly(sender, post(server.url))

        blocked(flight, "this server itself")
        assert len(server.requests) == 1


def test_another_address_of_this_machine_counts_as_private() -> None:
    gate = Gate(Egress(Allowed(), ""))
    request = post("http://hooks.test/")

    assert gate.refusal(request, "93.184.216.34", 80, local="93.184.216.35") is None
    assert gate.refusal(request, "93.184.216.34", 80, local="93.184.216.34") == "an address of this machine"

    gate.follow(Egress(Allowed(networks=(ip_network("93.184.216.0/24"),)), ""))

    assert gate.refusal(request, "93.184.216.34", 80, local="93.184.216.34") is None
