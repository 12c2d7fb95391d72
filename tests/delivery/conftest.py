"""What the tests of delivery share: an engine that runs beside the test, and receivers that count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pytest

from app.extensions import db
from tests.support.receiver import OK, Receiver, Wire

if TYPE_CHECKING:
    from flask import Flask

    from app.delivery.engine import Engine

PATIENCE_S = 20.0

Running = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def running(app: Flask, engine: Engine) -> Running:
    """Let engines deliver in threads of their own while the block runs: `with running():`, `running(first, second)`."""

    def run(each: Engine) -> None:
        with app.app_context():
            each.run(linger_s=0)
            db.session.remove()

    @contextmanager
    def meanwhile(*engines: Engine) -> Iterator[None]:
        threads = [threading.Thread(target=run, args=(each,)) for each in engines or (engine,)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for thread in threads:
                thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads), "an engine didn't come to rest"

    return meanwhile


class Crowd:
    """A script that keeps answers back until `expected` requests are there at once; `peak` is the most there were."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.peak = 0
        self._present = 0
        self._news = threading.Condition()

    def __call__(self, wire: Wire) -> None:
        while True:
            wire.read_request()
            with self._news:
                self._present += 1
                self.peak = max(self.peak, self._present)
                self._news.notify_all()
                self._news.wait_for(lambda: self.peak >= self.expected, PATIENCE_S)
            wire.pause(20)  # whoever else is allowed to come has come by now
            with self._news:
                self._present -= 1
            wire.send(OK)


@pytest.fixture
def crowd() -> Iterator[Callable[[int], tuple[Crowd, str]]]:
    """Make a receiver that wants to see `expected` requests at once; gives the count and the URL."""
    receivers: list[Receiver] = []

    def make(expected: int) -> tuple[Crowd, str]:
        found = Crowd(expected)
        receivers.append(Receiver(found))
        return found, receivers[-1].url

    yield make
    for receiver in receivers:
        receiver.close()
