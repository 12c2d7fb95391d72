"""The resolver, with a scripted look-up: nobody waits for another's silent name server."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app.core.addresses import Allowed
from app.core.states import ErrorClass, Outcome
from app.delivery import resolver as module
from app.delivery.resolver import SILENT, Answer, Resolver
from tests.sender.flights import fly, post
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.delivery.sender import Sender
    from app.delivery.transfer import Egress

Row = tuple[int, int, int, str, tuple[str, int]]


def found(*addresses: str) -> list[Row]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


class NameServer:
    """Answers from a table; names that begin with `silent` get no answer until it is told to speak."""

    def __init__(self) -> None:
        self.table: dict[str, list[Row] | Exception] = {}
        self.asked: list[str] = []
        self.running = 0
        self.most_running = 0
        self.speak = threading.Event()
        self._lock = threading.Lock()

    def look_up(self, name: str, *_: object) -> list[Row]:
        with self._lock:
            self.asked.append(name)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            if name.startswith("silent"):
                self.speak.wait(20)
            result = self.table.get(name, socket.gaierror(socket.EAI_NONAME, "not known"))
        finally:
            with self._lock:
                self.running -= 1
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.speak.set()


@pytest.fixture
def make(names: NameServer) -> Iterator[Callable[..., Resolver]]:
    made: list[Resolver] = []

    def build(**settings: object) -> Resolver:
        made.append(Resolver(names.look_up, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for resolver in made:
        resolver.close()


def answer_of(resolver: Resolver, host: str, organization: int = 1, timeout_ms: int = 5000) -> Answer:
    """Ask until there is an answer, as the engine does when it is woken."""
    ready = threading.Event()
    resolver.on_ready = ready.set
    until = time.monotonic() + 10
    while (answer := resolver.answer(host, 443, organization, timeout_ms)) is None:
        assert time.monotonic() < until, f"no answer about {host}"
        ready.wait(0.2)
        ready.clear()
    return answer


def test_an_address_needs_no_look_up(make: Callable[..., Resolver], names: NameServer) -> None:
    resolver = make()

    assert resolver.answer("192.0.2.7", 80, 1) == Answer(("192.0.2.7",))
    assert resolver.answer("2606:4700::1", 80, 1) == Answer(("2606:4700::1",))
    assert names.asked == []


def test_asking_never_waits_and_somebody_is_called_when_there_is_an_answer(
    make: Callable[..., Resolver], names: NameServer
) -> None:
    names.table["silent.test."] = found("192.0.2.7")
    ready = threading.Event()
    resolver = make(on_ready=ready.set)

    assert resolver.answer("silent.test", 80, 1) is None
    names.speak.set()

    assert ready.wait(5)
    answer = resolver.answer("silent.test", 80, 1)
    assert answer is not None
    assert answer.addresses == ("192.0.2.7",)
    assert answer.took_ms > 0
    assert resolver.answer("silent.test", 80, 1) == Answer(("192.0.2.7",)), "one who asked later waited for nothing"


def test_a_name_is_looked_up_once_however_many_ask(make: Callable[..., Resolver], names: NameServer) -> None:
    names.table["silent.test."] = found("192.0.2.7")
    resolver = make()

    for organization in range(100):
        assert resolver.answer("silent.test", 80, organization) is None
    names.speak.set()
    answer_of(resolver, "silent.test")
    answer_of(resolver, "silent.test")

    assert names.asked == ["silent.test."]


def test_a_name_with_a_dot_is_absolute_so_no_search_domain_makes_it_an_internal_one(
    make: Callable[..., Resolver], names: NameServer
) -> None:
    names.table |= {"a.b": found("10.0.0.1"), "db": found("10.0.0.2"), "real.test.": found("192.0.2.7")}
    resolver = make()

    assert answer_of(resolver, "a.b").failed == "there is no such name"
    assert answer_of(resolver, "db").addresses == ("10.0.0.2",)
    assert answer_of(resolver, "real.test").addresses == ("192.0.2.7",)
    assert names.asked == ["a.b.", "db", "real.test."]


def test_where_networks_are_allowed_a_name_is_looked_up_as_written_too(
    make: Callable[..., Resolver], names: NameServer
) -> None:
    names.table |= {"a.b": found("10.0.0.1"), "real.test.": found("192.0.2.7"), "real.test": found("10.0.0.9")}
    resolver = make(local_names=True)

    assert answer_of(resolver, "a.b").addresses == ("10.0.0.1",)
    assert answer_of(resolver, "real.test").addresses == ("192.0.2.7",)


def test_addresses_are_told_once_and_at_most_sixteen(make: Callable[..., Resolver], names: NameServer) -> None:
    many = [f"192.0.{number // 250}.{number % 250}" for number in range(10_000)]
    names.table["many.test."] = found(*["192.0.0.0"] * 50, *many)

    assert answer_of(make(), "many.test").addresses == tuple(many[:16])


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "there is no such name"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the name server could not be asked"),
        (socket.gaierror(socket.EAI_FAIL, "x"), "the name server failed"),
        (OSError("too many open files"), "it could not be looked up"),
        (UnicodeError("label too long"), "it could not be looked up"),
        ([], "the name has no address"),
    ],
)
def test_failures_are_told_in_words(
    make: Callable[..., Resolver], names: NameServer, problem: list[Row] | Exception, reason: str
) -> None:
    names.table["x.test."] = problem

    assert answer_of(make(), "x.test").failed == reason


def test_answers_are_kept_for_a_while_failures_for_less(
    make: Callable[..., Resolver], names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.table["good.test."] = found("192.0.2.7")
    resolver = make()
    answer_of(resolver, "good.test")
    answer_of(resolver, "bad.test")
    real = time.monotonic

    monkeypatch.setattr(module.time, "monotonic", lambda: real() + 9)
    assert resolver.answer("good.test", 80, 1) is not None
    assert resolver.answer("bad.test", 80, 1) is not None

    monkeypatch.setattr(module.time, "monotonic", lambda: real() + 11)
    names.table["bad.test."] = found("192.0.2.8")
    assert resolver.answer("good.test", 80, 1) is not None
    assert answer_of(resolver, "bad.test").addresses == ("192.0.2.8",)

    monkeypatch.setattr(module.time, "monotonic", lambda: real() + 31)
    names.table["good.test."] = found("192.0.2.9")
    assert answer_of(resolver, "good.test").addresses == ("192.0.2.9",), "the name moved"


def test_twenty_silent_names_do_not_delay_a_proven_one(make: Callable[..., Resolver], names: NameServer) -> None:
    names.table["good.test."] = found("192.0.2.7")
    resolver = make()
    answer_of(resolver, "good.test")
    resolver._names["good.test"].kept_until = 0.0  # its half minute is over

    for number in range(20):
        assert resolver.answer(f"silent{number}.test", 80, 1) is None
    began = time.monotonic()

    assert answer_of(resolver, "good.test").addresses == ("192.0.2.7",)
    assert time.monotonic() - began < 1
    assert names.most_running <= 9, "the lane of the unproven holds eight"


def test_threads_that_stand_idle_do_not_widen_the_lane_of_the_unproven(
    make: Callable[..., Resolver], names: NameServer
) -> None:
    resolver = make()
    for number in range(16):
        resolver._remember(f"silent-proven{number}.test", 0.0).proven = True
        resolver.answer(f"silent-proven{number}.test", 80, 1)
    _until(lambda: names.running == 16)
    names.speak.set()
    _until(lambda: names.running == 0)
    names.speak.clear()
    names.most_running = 0

    for number in range(20):
        resolver.answer(f"silent{number}.test", 80, number)
    _until(lambda: names.running >= 8)
    threading.Event().wait(0.05)  # time for a ninth, were it let in

    assert names.most_running == 8


def test_organizations_take_turns_with_names_never_seen_before(
    make: Callable[..., Resolver], names: NameServer
) -> None:
    resolver = make(threads=1, unproven=1)
    assert resolver.answer("silent.test", 80, 1) is None
    _until(lambda: names.asked == ["silent.test."])

    for number in range(5):
        resolver.answer(f"first{number}.test", 80, 1)
    resolver.answer("second.test", 80, 2)
    names.speak.set()
    _until(lambda: len(names.asked) == 7)

    assert names.asked.index("second.test.") <= 2, "it waited behind all of another organization's names"


def test_a_silent_name_server_is_given_up_in_time_and_its_answer_still_counts(
    make: Callable[..., Resolver], names: NameServer
) -> None:
    names.table["silent.test."] = found("192.0.2.7")
    resolver = make()
    began = time.monotonic()

    answer = answer_of(resolver, "silent.test", timeout_ms=300)

    assert answer == Answer(failed=SILENT, took_ms=300)
    assert 0.25 < time.monotonic() - began < 2, "nobody was called when the time was over"
    assert resolver.answer("silent.test", 80, 1, 5000) is None, "another may wait longer"
    names.speak.set()
    assert answer_of(resolver, "silent.test").addresses == ("192.0.2.7",)


def test_waiting_for_a_thread_is_not_counted(make: Callable[..., Resolver], names: NameServer) -> None:
    names.table["late.test."] = found("192.0.2.7")
    resolver = make(threads=1, unproven=1)
    assert resolver.answer("silent.test", 80, 1) is None
    _until(lambda: names.asked == ["silent.test."])
    assert resolver.answer("late.test", 80, 1, 50) is None
    threading.Event().wait(0.1)  # longer than the second may take

    assert resolver.answer("late.test", 80, 1, 50) is None
    names.speak.set()

    assert answer_of(resolver, "late.test", timeout_ms=2000).addresses == ("192.0.2.7",)


def test_without_a_new_thread_it_waits_and_goes_on_later(
    make: Callable[..., Resolver], names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.table["a.test."] = found("192.0.2.7")
    resolver = make()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert resolver.answer("a.test", 80, 1) is None

    assert answer_of(resolver, "a.test").addresses == ("192.0.2.7",)


def test_what_is_remembered_has_a_bound(
    make: Callable[..., Resolver], names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMES_KEPT", 50)
    monkeypatch.setattr(module, "FAILED_KEPT_S", 0.0)
    resolver = make()

    for number in range(200):
        resolver.answer(f"n{number}.test", 80, number)
        _until(lambda n=number: len(names.asked) == n + 1 and not names.running)

    assert len(resolver._names) <= 52


def test_closing_waits_for_nobody(make: Callable[..., Resolver], names: NameServer) -> None:
    resolver = make()
    for number in range(40):
        resolver.answer(f"silent{number}.test", 80, number)
    began = time.monotonic()

    resolver.close()

    assert time.monotonic() - began < 0.5


# With the sender


def test_a_name_that_is_not_found_fails_as_dns(sender: Sender, make: Callable[..., Resolver]) -> None:
    answer = answer_of(make(), "nowhere.test")

    [flight] = fly(sender, post("http://nowhere.test/"), answer=answer)

    assert (flight.result.outcome, flight.result.error) == (Outcome.FAILED, ErrorClass.DNS)
    assert flight.result.message == "Host name not found: nowhere.test (there is no such name)"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["192.0.0.9", "127.0.0.1"], ["169.254.169.254"], ["fe80::1%lo"], ["::ffff:127.0.0.1"]]
)
def test_a_name_of_an_internal_address_is_blocked(
    sender: Sender, egress: Egress, make: Callable[..., Resolver], names: NameServer, addresses: list[str]
) -> None:
    """However it is reached: by a record of its own, a chain of aliases, a service such as nip.io."""
    sender.follow(replace(egress, allowed=Allowed()))
    names.table["inner.test."] = found(*addresses)

    [flight] = fly(sender, post("http://inner.test/"), answer=answer_of(make(), "inner.test"))

    assert flight.result.outcome is Outcome.BLOCKED
    assert not any(address in flight.result.message for address in addresses)


def test_the_look_up_counts_in_the_timeout(sender: Sender) -> None:
    with Receiver() as receiver:
        receiver.hold()

        [flight] = fly(
            sender, post(receiver.at("slow.test"), timeout_ms=5000), answer=Answer(("127.0.0.1",), None, 4700.0)
        )

        assert flight.result.error is ErrorClass.TIMEOUT
        assert flight.facts.timings.dns_ms == 4700.0
        assert 4950 < flight.facts.timings.total_ms < 6000


def test_names_with_an_underscore_are_dialled(sender: Sender, make: Callable[..., Resolver], names: NameServer) -> None:
    names.table["my_app.test."] = found("127.0.0.1")
    with Receiver() as receiver:
        [flight] = fly(sender, post(receiver.at("my_app.test")), answer=answer_of(make(), "my_app.test"))

        assert flight.result.outcome is Outcome.SUCCEEDED
        assert receiver.requests[0].headers["host"] == f"my_app.test:{receiver.port}"


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        threading.Event().wait(0.005)
