"""The wire in a process of its own: the engine's end of it.

So that two processors share the work, and so that what receivers answer is read where neither the database nor the
key to its secrets can be reached.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.delivery import messages
from app.delivery.channel import Channel
from app.delivery.orders import News

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from app.delivery.orders import DeliverySettings, Landing, Order, OrderKey, Terms

ASK_EVERY_S = 1.0
BEGIN_AGAIN_AFTER_S = 1.0
PATIENCE_AT_END_S = 2.0
_ROOT = str(Path(__file__).parents[2])
_MAIN = f"import sys; sys.path.insert(0, {_ROOT!r}); from app.delivery.wire_main import main; main()"


class WireLost(Exception):
    """The other process has ended, and another one has begun. What it had is not known any more."""


class WireProcess:
    """What the engine has in its hand: the same as a `Wire`, while the work is done in another process."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Not closed by `close`: a thread that wakes us later must not write into whatever has the number by then.
        weakref.finalize(self, os.close, self._bell).atexit = False
        self._begin()

    def _begin(self) -> None:
        self._began_at = self._heard_at = time.monotonic()
        self._asked_at: float | None = None
        self._waiting = 0
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  ourselves
                # From where this module lies, not from the working directory: another `app` may be there.
                [sys.executable, "-P", "-c", _MAIN, "postroom wire"],  # what it is called in a list of processes
                stdin=theirs.fileno(),
                start_new_session=True,  # a terminal's Ctrl-C is for the server, which lets requests under way end
            )
        self._channel = Channel(ours)
        self._channel.send(self._terms)

    def _begin_again(self) -> None:
        """Start another process in place of one that has ended; not more than one a second."""
        time.sleep(max(0.0, self._began_at + BEGIN_AGAIN_AFTER_S - time.monotonic()))
        self._channel.close()
        self._terms = replace(self._terms, faults="")  # a fault point strikes once
        self._begin()

    @property
    def turned_at(self) -> float:
        """When the other process was last known to go round, on the monotonic clock."""
        return time.monotonic() if self._asked_at is None else self._asked_at

    def hand(self, orders: Sequence[Order], settings: Mapping[int, DeliverySettings | None], as_of: int) -> None:
        """See `Wire.hand`."""
        self._channel.send("hand", messages.pack_orders(orders), messages.pack_settings(settings), as_of)

    def tell(self, settings: Mapping[int, DeliverySettings | None], as_of: int) -> None:
        """See `Wire.tell`."""
        self._channel.send("tell", messages.pack_settings(settings), as_of)

    def hold(self, webhook_id: int, change: int) -> None:
        """See `Wire.hold`."""
        self._channel.send("hold", webhook_id, change)

    def give_back(self, webhook_ids: Collection[int] | None) -> None:
        """See `Wire.give_back`."""
        self._channel.send("give_back", webhook_ids)

    def abort(self) -> None:
        """See `Wire.abort`."""
        self._channel.send("abort")

    def wake(self) -> None:
        """End the present or the next `turn`. From any thread."""
        os.eventfd_write(self._bell, 1)

    def turn(self, patience_ms: int) -> News:
        """Return what has happened, waiting for it as long as the patience lasts. Raises `WireLost`."""
        try:
            self._channel.flush()
            heard = self._channel.receive()
            if not heard and patience_ms:
                self._channel.wait(patience_ms / 1000, self._bell)
                with suppress(BlockingIOError):  # it wasn't rung
                    os.eventfd_read(self._bell)
                heard = self._channel.receive()
        except EOFError:
            code = self.process.wait()
            self._begin_again()
            raise WireLost(f"exit code {code}") from None
        self._ask_whether_it_goes_round(has_heard=bool(heard))
        return self._read(heard)

    def _read(self, heard: Sequence[Any]) -> News:
        landed: list[Landing] = []
        returned: list[OrderKey] = []
        pauses: dict[int, float] = {}
        for landings, more_returned, more_pauses, waiting in heard:
            landed += [messages.read_landing(packed) for packed in landings]
            returned += more_returned
            pauses |= more_pauses
            self._waiting = waiting
        return News(landed, returned, pauses, self._waiting)

    def _ask_whether_it_goes_round(self, *, has_heard: bool) -> None:
        now = time.monotonic()
        if has_heard:
            self._asked_at = None
            self._heard_at = now
        elif self._asked_at is None and now - self._heard_at > ASK_EVERY_S:
            self._asked_at = now
            self._channel.send("answer")

    def close(self) -> None:
        """End the other process; what is on its way is lost."""
        self._channel.close()
        try:
            self.process.wait(PATIENCE_AT_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
