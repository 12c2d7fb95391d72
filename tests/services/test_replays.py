"""Replays by filter: what is counted is what is made, at the rate, once, and until it is stopped."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from app import faults
from app.core.states import DeliveryKind, DeliveryState, Reason
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Refused
from app.models import Delivery, Event, Replay, ReplayItem, ReplayState
from app.services import deliveries, replay_selection, replaying, replays, retention, webhooks
from app.services.log import LogQuery
from app.services.replay_selection import LeftOut, Wanted
from app.services.replays import Order
from tests.support import rows

EVERYTHING = Wanted(LogQuery())
DAY_S = 86_400


def replayed() -> list[Delivery]:
    """The deliveries that replays made, in the order in which they were made."""
    return rows.all_of(Delivery, Delivery.kind == DeliveryKind.REPLAY)


@pytest.fixture
def hook(make_webhook, receiver):
    """A webhook that gives up at its first failure."""
    return make_webhook(url=receiver.url, retry={"delays": []})


@pytest.fixture
def fail(hook, publish, receiver, deliver, clock):
    """Publish so many events, a second apart, whose deliveries fail; return their ids."""

    def run(number: int, **more) -> list[str]:
        receiver.answers(*[500] * number)
        made = []
        for _ in range(number):
            clock.advance(seconds=1)
            made.append(publish(**more).id)
        while deliver():
            clock.advance(seconds=60)
        receiver.answers(200)
        return made

    return run


@pytest.fixture
def start(owner):
    """Start a replay of everything that is still failed, or of what is given."""

    def run(wanted=EVERYTHING, by=owner, **order) -> str:
        return replays.start(by, wanted, Order(**order), {})

    return run


def run_to_its_end(clock) -> None:
    """Let the clockwork tick until no replay runs."""
    while rows.all_of(Replay, Replay.state == ReplayState.RUNNING):
        replaying.advance(clock.now)
        clock.advance(seconds=1)


def test_the_figure_shown_is_the_figure_done(owner, fail, start, deliver, receiver, clock):
    fail(5)
    shown = replay_selection.count(owner, EVERYTHING).total

    made = start(expected=shown)
    run_to_its_end(clock)
    deliver()

    done = replays.progress(owner, made)
    assert (shown, done.delivered, done.left, done.replay.state) == (5, 5, 0, ReplayState.DONE)
    assert len(replayed()) == 5
    assert [entry.object_name for entry in rows.audited("replay.started")] == ["5 deliveries"]
