"""Requests on their way: what the sender's tests have in common."""

from __future__ import annotations

import heapq
import itertools
import ssl
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from app.core.addresses import Allowed
from app.core.outcome import Facts, Result, judge
from app.core.urls import parse
from app.delivery.resolver import Answer
from app.delivery.transfer import Request

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from app.delivery.sender import Sender

LOOPBACK = Allowed(networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
HEADERS = (("Content-Type", "application/json"), ("User-Agent", "Postroom/1"), ("Accept", "*/*"))
LATENESS_MS = 2000  # the receivers are threads of the same process


@dataclass(frozen=True, slots=True)
class Certificates:
    """Two authorities; the sender trusts what the first one signed."""

    trusted: trustme.CA
    unknown: trustme.CA
    trusted_file: Path

    def server(self, *names: str, ca: trustme.CA | None = None, **terms: object) -> ssl.SSLContext:
        """What a TLS receiver presents; for 127.0.0.1 unless names are given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = (ca or self.trusted).issue_cert(*(names or ("127.0.0.1", "hooks.test")), **terms)  # type: ignore[arg-type]
        certificate.configure_cert(context)
        return context


@dataclass(frozen=True, slots=True)
class Flight:
    """A request that has ended: what it left behind, and what that is judged to be."""

    facts: Facts
    result: Result


@dataclass(frozen=True, slots=True)
class Pause:
    """A step of a story: nothing is sent for so long."""

    duration_ms: int


def until(holds: Callable[[], bool]) -> Generator[Pause, object, None]:
    """A step of a story that lasts until something holds; the story's own end is bounded by the player."""
    while not holds():
        yield Pause(2)


def post(url: str, body: bytes = b'{"id":1}', timeout_ms: int = 8000, **settings: object) -> Request:
    """A request to `url`; its timeout is generous, because a busy machine shall fail no test."""
    headers = settings.pop("headers", HEADERS)
    return Request(parse(url), headers, body, timeout_ms, **settings)  # type: ignore[arg-type]


def answer_for(request: Request) -> Answer:
    """Every name stands for this machine; `eight.test` for eight addresses of it."""
    if request.url.host == "eight.test":
        return Answer(tuple(f"127.0.0.{number}" for number in range(1, 9)))
    return Answer((request.url.host,) if request.url.host_is_literal else ("127.0.0.1",))


def fly(sender: Sender, *requests: Request, answer: Answer | None = None) -> list[Flight]:
    """Send them side by side and return how they ended, in the order given."""
    for key, request in enumerate(requests):
        sender.start(key, request, answer or answer_for(request))
    return land(sender, list(requests))


def land(sender: Sender, requests: list[Request]) -> list[Flight]:
    """Wait for requests that were started under their positions as keys."""
    ended: dict[int, Facts] = {}
    until = time.monotonic() + 30
    while len(ended) < len(requests):
        assert time.monotonic() < until, f"only {len(ended)} of {len(requests)} requests came to an end"
        ended.update(sender.turn(1000))
    return [flight_of(ended[key], request) for key, request in enumerate(requests)]


def flight_of(facts: Facts, request: Request) -> Flight:
    return Flight(facts, judge(facts, request.url, ("2xx",), facts.started_at))


Step = Request | list[Request] | Pause
Story = Callable[[], Generator[Step, object, None]]


class SideBySide:
    """Plays many stories over one sender at the same time.

    A story yields a request, a list of requests or a pause, and is given the flight or the flights when they ended.
    """

    def __init__(self, sender: Sender, stories: Iterable[tuple[str, Story]]) -> None:
        self._sender = sender
        self._keys = itertools.count()
        self._waiting: dict[int, tuple[str, int]] = {}
        self._requests: dict[int, Request] = {}
        self._landed: dict[str, dict[int, Flight]] = {}
        self._single: dict[str, bool] = {}
        self._alarms: list[tuple[float, str]] = []
        self._running = {name: story() for name, story in stories}
        self.endings: dict[str, BaseException | None] = {}

    def play(self, patience_s: float) -> None:
        """Play all to their ends; what a story raised is kept under its name."""
        until = time.monotonic() + patience_s
        for name in list(self._running):
            self._go_on(name, None)
        while self._running:
            assert time.monotonic() < until, f"these did not come to an end: {sorted(self._running)}"
            for key, facts in self._sender.turn(self._patience_ms()):
                self._take(key, facts)
            while self._alarms and self._alarms[0][0] <= time.monotonic():
                self._go_on(heapq.heappop(self._alarms)[1], None)

    def _patience_ms(self) -> int:
        return 100 if not self._alarms else max(0, min(100, int((self._alarms[0][0] - time.monotonic()) * 1000) + 1))

    def _go_on(self, name: str, news: object) -> None:
        try:
            step = self._running[name].send(news)
        except BaseException as end:  # noqa: BLE001 - shown by the story's own test
            del self._running[name]
            self.endings[name] = None if isinstance(end, StopIteration) else end
            return
        if isinstance(step, Pause):
            heapq.heappush(self._alarms, (time.monotonic() + step.duration_ms / 1000, name))
            return
        requests = step if isinstance(step, list) else [step]
        self._single[name] = not isinstance(step, list)
        self._landed[name] = {}
        for position, request in enumerate(requests):
            key = next(self._keys)
            self._waiting[key] = name, position
            self._requests[key] = request
            self._sender.start(key, request, answer_for(request))

    def _take(self, key: int, facts: Facts) -> None:
        name, position = self._waiting.pop(key)
        request = self._requests.pop(key)
        landed = self._landed[name]
        landed[position] = flight_of(facts, request)
        if facts.timings.total_ms > request.timeout_ms + LATENESS_MS:
            self._running.pop(name).close()
            self.endings[name] = AssertionError(f"took {facts.timings.total_ms:.0f} ms of {request.timeout_ms}")
        elif not any(other == name for other, _ in self._waiting.values()):
            flights = [landed[index] for index in sorted(landed)]
            self._go_on(name, flights[0] if self._single[name] else flights)
