"""Names to addresses, looked up in threads of our own: libcurl's few would all wait for one silent name server."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

LookUp = Callable[..., Sequence[tuple[Any, ...]]]

FOUND_KEPT_S = 30.0
FAILED_KEPT_S = 10.0
LONGEST_LOOK_UP_MS = 5_000
MOST_ADDRESSES = 16
NAMES_KEPT = 4096

SILENT = "the name server gave no answer in time"
_REASONS = {
    socket.EAI_NONAME: "there is no such name",
    getattr(socket, "EAI_NODATA", None): "the name has no address",
    socket.EAI_AGAIN: "the name server could not be asked",
    socket.EAI_FAIL: "the name server failed",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, or in words why there are none. `took_ms` goes to the first who asked, once."""

    addresses: tuple[str, ...] = ()
    failed: str | None = None
    took_ms: float = 0.0


@dataclass(slots=True)
class _Name:
    """One name: what is known of it, and the look-up that is waiting or running."""

    host: str
    answer: Answer | None = None
    kept_until: float = 0.0
    proven: bool = False
    waiting: bool = False
    began: float | None = None
    wake_at: list[float] = field(default_factory=list)


class Resolver:
    """Looks names up, each once at a time however many ask.

    Names never found before, or not found last time, share a small lane in which organizations take turns, so
    a thousand dead names delay nobody whose name is known to be good. `look_up` has the arguments and the result
    of `socket.getaddrinfo`. With `local_names` (the operator lets webhooks reach internal networks) a name that
    is not found as an absolute one is looked up as written too: in /etc/hosts and the search domains.
    `on_ready` is called, in any thread, when asking again may bring an answer.
    """

    def __init__(
        self,
        look_up: LookUp = socket.getaddrinfo,
        threads: int = 32,
        unproven: int = 8,
        *,
        local_names: bool = False,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._look_up = look_up
        self._most_threads = threads
        self._most_unproven = unproven
        self._local_names = local_names
        self.on_ready = on_ready
        self._lock = threading.Lock()
        self._work_came = threading.Condition(self._lock)
        self._deadlines_changed = threading.Condition(self._lock)
        self._names: dict[str, _Name] = {}
        self._timed: set[str] = set()
        self._proven: deque[_Name] = deque()
        self._unproven: dict[int, deque[_Name]] = {}
        self._unproven_running = 0
        self._threads = 0
        self._idle = 0
        self._watching = False
        self._closed = False

    def answer(
        self,
        host: str,
        port: int,  # noqa: ARG002 - whoever asks has one, and the answer is the same for all
        organization: int,
        timeout_ms: int = LONGEST_LOOK_UP_MS,
    ) -> Answer | None:
        """Return what is known of `host` now; None while it is being looked up. Never blocks.

        A look-up that has run for `timeout_ms`, at most 5 s, counts as failed while its thread goes on waiting.
        """
        if (literal := _literal(host)) is not None:
            return literal
        now = time.monotonic()
        with self._lock:
            name = self._names.get(host)
            if name is None:
                name = self._remember(host, now)
            if name.answer is not None and now < name.kept_until:
                answer, name.answer = name.answer, Answer(name.answer.addresses, name.answer.failed)
                return answer
            patience = min(timeout_ms, LONGEST_LOOK_UP_MS) / 1000
            if name.began is not None:
                if now >= name.began + patience:
                    return Answer(failed=SILENT, took_ms=patience * 1000)
                self._wake_later(name, name.began + patience)
            elif not name.waiting:
                self._enqueue(name, organization)
            self._staff()
        return None

    def close(self) -> None:
        """Take no more work. Threads that wait for a name server end when it answers; nobody waits for them."""
        with self._lock:
            self._closed = True
            self._proven.clear()
            self._unproven.clear()
            self._work_came.notify_all()
            self._deadlines_changed.notify_all()

    def _remember(self, host: str, now: float) -> _Name:
        if len(self._names) >= NAMES_KEPT:
            kept = {h: n for h, n in self._names.items() if n.waiting or n.began is not None or now < n.kept_until}
            self._names = kept
        name = self._names[host] = _Name(host)
        return name

    def _enqueue(self, name: _Name, organization: int) -> None:
        name.waiting = True
        if name.proven:
            self._proven.append(name)
        else:
            self._unproven.setdefault(organization, deque()).append(name)
        self._work_came.notify()

    def _staff(self) -> None:
        """Start a thread when work waits and nobody is free; where none can be started, those there are must do."""
        waiting = len(self._proven) + min(len(self._unproven), self._most_unproven - self._unproven_running)
        if self._closed or waiting <= self._idle or self._threads >= self._most_threads:
            return
        try:
            threading.Thread(target=self._serve, name="resolver", daemon=True).start()
        except RuntimeError:
            return  # no new thread: the next who asks tries again
        self._threads += 1

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                while (name := self._next()) is None and not self._closed:
                    self._work_came.wait()
                self._idle -= 1
                if name is None:
                    self._threads -= 1
                    return
                unproven = not name.proven
                name.waiting, name.began = False, time.monotonic()
                self._unproven_running += unproven
                self._wake_later(name, name.began + LONGEST_LOOK_UP_MS / 1000)
            addresses, failed = self._ask(name.host)
            with self._lock:
                self._unproven_running -= unproven
                self._keep(name, addresses, failed)
                self._work_came.notify()
            self.on_ready()

    def _next(self) -> _Name | None:
        """The name to look up next; organizations take turns in the lane of the unproven."""
        if self._proven:
            return self._proven.popleft()
        if not self._unproven or self._unproven_running >= self._most_unproven:
            return None
        organization = next(iter(self._unproven))
        names = self._unproven.pop(organization)
        name = names.popleft()
        if names:
            self._unproven[organization] = names  # at the end: the others come first
        return name

    def _keep(self, name: _Name, addresses: tuple[str, ...], failed: str | None) -> None:
        now = time.monotonic()
        took_ms = (now - (name.began or now)) * 1000
        name.answer = Answer(addresses, failed, took_ms)
        name.proven = failed is None
        name.kept_until = now + (FOUND_KEPT_S if name.proven else FAILED_KEPT_S)
        name.began = None
        name.wake_at.clear()

    def _ask(self, host: str) -> tuple[tuple[str, ...], str | None]:
        """Ask for a name with a dot as an absolute one, so that no search domain turns it into an internal one."""
        absolute = host + "." if "." in host else host
        addresses, failed = self._ask_once(absolute)
        if failed and self._local_names and absolute != host:
            return self._ask_once(host)
        return addresses, failed

    def _ask_once(self, name: str) -> tuple[tuple[str, ...], str | None]:
        try:
            found = self._look_up(name, None, 0, socket.SOCK_STREAM)
        except socket.gaierror as problem:
            return (), _REASONS.get(problem.errno, "the name server failed")
        except (OSError, UnicodeError):
            return (), "it could not be looked up"
        addresses = tuple(dict.fromkeys(str(row[4][0]) for row in found))[:MOST_ADDRESSES]
        return addresses, None if addresses else "the name has no address"

    def _wake_later(self, name: _Name, moment: float) -> None:
        """See to it that somebody asks again when the look-up has run out of time."""
        if moment in name.wake_at:
            return
        name.wake_at.append(moment)
        self._timed.add(name.host)
        if self._watching:
            self._deadlines_changed.notify()
            return
        try:
            threading.Thread(target=self._watch, name="resolver-watch", daemon=True).start()
        except RuntimeError:
            return
        self._watching = True

    def _watch(self) -> None:
        """Call `on_ready` for look-ups that ran out of time."""
        while True:
            with self._lock:
                now = time.monotonic()
                lapsed = False
                for host in list(self._timed):
                    moments = self._names[host].wake_at if host in self._names else []
                    lapsed = lapsed or any(moment <= now for moment in moments)
                    moments[:] = [moment for moment in moments if moment > now]
                    if not moments:
                        self._timed.discard(host)
                if self._closed:
                    return
                if not lapsed:
                    next_at = min((m for host in self._timed for m in self._names[host].wake_at), default=None)
                    self._deadlines_changed.wait(None if next_at is None else max(0.0, next_at - now))
                    continue
            self.on_ready()


@lru_cache(4096)
def _literal(host: str) -> Answer | None:
    """What is known of a host that is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return None
    return Answer((host,))
