"""One libcurl multi over epoll: requests in, facts out. The only place from which Postroom sends anything."""

from __future__ import annotations

import contextlib
import os
import select
import time
import weakref
from typing import TYPE_CHECKING

import pycurl

from app.delivery.gate import Gate, bytes_received
from app.delivery.transfer import Egress, Request, Transfer
from app.faults import fault

if TYPE_CHECKING:
    from app.core.outcome import Facts
    from app.delivery.resolver import Answer

MOST_RECEIVED = 1024 * 1024
GUARD_EVERY_S = 1.0

_EPOLL = {pycurl.POLL_IN: select.EPOLLIN, pycurl.POLL_OUT: select.EPOLLOUT}
_EPOLL[pycurl.POLL_INOUT] = select.EPOLLIN | select.EPOLLOUT


class Sender:
    """Lets requests move side by side. One thread owns it; only `wake` may be called from others.

    `socket_action` and not `perform`: what hangs costs nothing. Never `select`: above descriptor 1,023 it returns
    at once with nothing.
    """

    def __init__(self, egress: Egress, seats: int = 256) -> None:
        self._gate = Gate(egress)
        self._flights: dict[pycurl.Curl, Transfer] = {}
        self._idle: list[Transfer] = []
        self._done: list[tuple[int, Facts]] = []
        self._watched: dict[int, int] = {}
        self._resting: set[int] = set()
        self._guard_at = time.monotonic() + GUARD_EVERY_S
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Not closed by `close`: a thread that wakes us later must not write into whatever has the number by then.
        weakref.finalize(self, os.close, self._bell).atexit = False
        self._epoll.register(self._bell, select.EPOLLIN)
        self._also: int | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, 2 * seats)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        # No M_TIMERFUNCTION: it is called for every request; `turn` asks for the next timeout once a round.

    @property
    def in_flight(self) -> int:
        """How many requests are on the wire."""
        return len(self._flights)

    def follow(self, egress: Egress) -> None:
        """Put other rules in force, for connections that are open already too."""
        self._gate.follow(egress)
        for transfer in self._idle:
            transfer.settle()
        for transfer in self._flights.values():
            transfer.settle_later()

    def start(self, key: int, request: Request, answer: Answer) -> None:
        """Put a request on the wire. Never blocks; what comes of it is among the results of a later `turn`."""
        fault("send.before_dial")
        transfer = self._idle.pop() if self._idle else Transfer(self._gate, self._forget)
        if transfer.prepare(key, request, answer):
            self._fly(transfer)
        else:
            self._land(transfer, transfer.facts(0, ""))

    def turn(self, patience_ms: int) -> list[tuple[int, Facts]]:
        """Let the wire move until something came back, somebody woke us, or the patience has ended."""
        until = time.monotonic() + patience_ms / 1000
        while True:
            if self._multi.timeout() == 0:
                self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
                self._collect()
            woken = self._serve_sockets(0.0 if self._done else max(0.0, self._next_at(until) - time.monotonic()))
            self._collect()
            now = time.monotonic()
            if now >= self._guard_at:
                self._guard(now)
            if self._done or woken or now >= until:
                done, self._done = self._done, []
                return done

    def watch(self, descriptor: int) -> None:
        """End each `turn` as soon as something can be read there."""
        self._also = descriptor
        self._epoll.register(descriptor, select.EPOLLIN)

    def wake(self) -> None:
        """End the present or the next `turn`. The one method for other threads, harmless after `close` too."""
        with contextlib.suppress(BlockingIOError):  # the counter is full: it has been rung
            os.eventfd_write(self._bell, 1)

    def abort(self) -> list[tuple[int, Facts]]:
        """Take everything off the wire at once; each request that was there ends as interrupted."""
        for handle, transfer in list(self._flights.items()):
            self._take_down(handle)
            transfer.local = "the server was told to stop at once"
            self._land(transfer, transfer.facts(0, ""))
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Close every connection. What is still on the wire is lost: call `abort` first."""
        for handle in list(self._flights):
            self._take_down(handle)
        self._multi.close()
        for transfer in self._idle:
            transfer.handle.close()
        self._idle.clear()
        self._epoll.close()

    def _fly(self, transfer: Transfer) -> None:
        self._flights[transfer.handle] = transfer
        self._multi.add_handle(transfer.handle)

    def _take_down(self, handle: pycurl.Curl) -> Transfer:
        self._multi.remove_handle(handle)
        return self._flights.pop(handle)

    def _land(self, transfer: Transfer, facts: Facts) -> None:
        self._done.append((transfer.key, facts))
        transfer.release()
        self._idle.append(transfer)

    def _collect(self) -> None:
        """Bring in what has ended."""
        waiting = 1
        while waiting:
            waiting, whole, broken = self._multi.info_read()
            for handle in whole:
                transfer = self._take_down(handle)
                self._land(transfer, transfer.facts(0, ""))
            for handle, code, text in broken:
                self._bring_in(self._take_down(handle), code, text)

    def _bring_in(self, transfer: Transfer, code: int, text: str) -> None:
        """A connection that was not fit for use carried nothing yet, so the same attempt dials once more."""
        if transfer.dirty and not transfer.redialled and transfer.redial():
            self._fly(transfer)
        else:
            self._land(transfer, transfer.facts(code, text))

    def _serve_sockets(self, seconds: float) -> bool:
        """Wait for the wire, let libcurl serve what moved; True: somebody woke us."""
        woken = False
        act = self._multi.socket_action
        for descriptor, events in self._epoll.poll(seconds):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
                woken = True
                continue
            if descriptor == self._also:
                woken = True
                continue
            if descriptor in self._resting:  # bytes or an end that nobody waits for: the gate will see it
                self._forget(descriptor)
                with contextlib.suppress(OSError):  # closed since the wait
                    self._epoll.unregister(descriptor)
                continue
            mask = (pycurl.CSELECT_IN if events & select.EPOLLIN else 0) | (
                pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            )
            if events & (select.EPOLLERR | select.EPOLLHUP):
                mask |= pycurl.CSELECT_ERR
            act(descriptor, mask)
        return woken

    def _next_at(self, until: float) -> float:
        """When something has to be done although nothing moves."""
        wait_ms = self._multi.timeout()
        at = min(until, self._guard_at)
        return at if wait_ms < 0 else min(at, time.monotonic() + wait_ms / 1000)

    def _guard(self, now: float) -> None:
        """Take down what has received megabytes without an answer: an endless chunk extension reaches no callback."""
        self._guard_at = now + GUARD_EVERY_S
        for handle, transfer in list(self._flights.items()):
            if transfer.connection is None or now - transfer.began < GUARD_EVERY_S:
                continue
            received = bytes_received(transfer.connection.descriptor)
            if transfer.baseline is None:
                transfer.baseline = received  # a connection that was used before starts to count at the first look
            if received - transfer.baseline > MOST_RECEIVED:
                self._take_down(handle)
                self._land(transfer, transfer.facts(0, "", removed_late=True))

    def _watch(self, event: int, descriptor: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        """libcurl says which sockets it waits for.

        One that it no longer waits for stays with epoll and rests: the next request on it needs the same again.
        """
        if event == pycurl.POLL_REMOVE:
            self._resting.add(descriptor)
            return
        self._resting.discard(descriptor)
        before, mask = self._watched.get(descriptor), _EPOLL[event]
        if before == mask:
            return
        self._watched[descriptor] = mask
        if before is None:
            self._epoll.register(descriptor, mask)
        else:
            self._epoll.modify(descriptor, mask)

    def _forget(self, descriptor: int) -> None:
        """A new socket has this number: epoll dropped the old one when it was closed."""
        self._watched.pop(descriptor, None)
        self._resting.discard(descriptor)
