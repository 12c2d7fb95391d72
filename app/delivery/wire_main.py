"""The wire's own process: hears what the engine says on standard input, and tells it the news in batches."""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from app import datafiles, faults, logs
from app.core.presets import load_presets
from app.core.schemes import load_schemes
from app.delivery import messages
from app.delivery.channel import Channel
from app.delivery.orders import News
from app.delivery.resolver import Resolver
from app.delivery.sender import Sender
from app.delivery.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.delivery.orders import Terms

LANDINGS_AT_ONCE = 64
RIPE_MS = 3
IDLE_MS = 1_000


class WireMain:
    """Goes round until the engine is gone. The engine's messages are named like the methods that take them."""

    def __init__(self, channel: Channel, terms: Terms) -> None:
        self._channel = channel
        self._schemes = load_schemes(datafiles.signatures())
        self._presets = load_presets(terms.preset_files, self._schemes)
        self._sender = Sender(terms.egress, terms.seats)
        self._sender.watch(channel.fileno())
        resolver = Resolver(local_names=terms.local_names, on_ready=self._sender.wake)
        self._wire = Wire(self._sender, resolver, terms.seats)
        self._news = News([], [], {}, 0)
        self._news_since = 0.0
        self._is_asked = False

    def run(self) -> None:
        """Do what the engine says. Raises `EOFError` when it is gone: what it wanted ends with it."""
        while True:
            for name, *arguments in self._channel.receive():
                getattr(self, name)(*arguments)
            self._add(self._wire.turn(self._patience_ms()))
            if self._is_ripe():
                self._tell_news()
            self._channel.flush()

    # --- what the engine says: see the methods of `Wire`

    def hand(self, orders: Sequence[Any], settings: messages.Packed, as_of: int) -> None:
        """Take orders."""
        told = messages.read_settings(settings, self._presets, self._schemes)
        self._wire.hand(messages.read_orders(orders), told, as_of)

    def tell(self, settings: messages.Packed, as_of: int) -> None:
        """Follow changed settings."""
        self._wire.tell(messages.read_settings(settings, self._presets, self._schemes), as_of)

    def hold(self, webhook_id: int, change: int) -> None:
        """Begin nothing for a webhook until its settings are told."""
        self._wire.hold(webhook_id, change)

    def give_back(self, webhook_ids: Collection[int] | None) -> None:
        """Return what has not begun."""
        self._wire.give_back(webhook_ids)

    def abort(self) -> None:
        """End what is on the wire."""
        self._wire.abort()

    def answer(self) -> None:
        """Say something, if only that there is no news."""
        self._is_asked = True

    # --- what the engine is told

    def _add(self, fresh: News) -> None:
        if not self._news.landed:
            self._news_since = time.monotonic()
        landed, returned, pauses, _ = self._news
        landed += fresh.landed
        returned += fresh.returned
        self._news = News(landed, returned, pauses | fresh.pauses, fresh.waiting)

    def _patience_ms(self) -> int:
        return RIPE_MS if self._news.landed or self._channel.has_unsent else IDLE_MS

    def _is_ripe(self) -> bool:
        landed, returned, pauses, waiting = self._news
        if returned or pauses or self._is_asked or len(landed) >= LANDINGS_AT_ONCE:
            return True
        if not landed:
            return False
        is_idle = not waiting and not self._sender.in_flight
        return is_idle or time.monotonic() - self._news_since >= RIPE_MS / 1000

    def _tell_news(self) -> None:
        landed, returned, pauses, waiting = self._news
        self._channel.send([messages.pack_landing(landing) for landing in landed], returned, pauses, waiting)
        self._news = News([], [], {}, waiting)
        self._is_asked = False


def main() -> None:
    """Be the wire's process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the engine says when to stop
    channel = Channel(socket.socket(fileno=os.dup(0)))
    try:
        channel.wait(None)
        ((terms,),) = channel.receive(most=1)
        logs.set_up(terms.log_format)
        faults.arm(terms.faults)
        wire = WireMain(channel, terms)
        gc.collect()
        gc.freeze()  # as the server does with what is loaded now
        gc.set_threshold(50_000, 20, 100)
        wire.run()
    except EOFError:
        os._exit(0)  # without waiting for threads that look names up
