"""What is deleted after a while, and what never is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from app.core.states import DeliveryState
from app.database import read
from app.models import Attempt, Delivery, Event, Stat
from app.services import retention
from tests.support import rows

DAY_S = 86_400


def _counts() -> tuple[int, int, int]:
    with read() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0 for table in (Event, Delivery, Attempt)
        )


def test_delivered_events_go_after_thirty_days_with_their_attempts(
    publish: Any, make_webhook: Any, receiver: Any, clock: Any, deliver: Any
) -> None:
    make_webhook(url=receiver.url)
    publish("job.created")
    deliver()

    clock.advance(seconds=29 * DAY_S)
    retention.prune(clock.now)
    assert _counts()[0] == 1, "it was deleted too early"

    clock.advance(seconds=2 * DAY_S)
    retention.prune(clock.now)
    assert _counts() == (0, 0, 0)


def test_what_is_not_finished_is_never_deleted(
    publish: Any, make_webhook: Any, receiver: Any, clock: Any, deliver: Any
) -> None:
    make_webhook(url=receiver.url)
    receiver.answers(500)
    publish("job.created")
    deliver()

    clock.advance(seconds=400 * DAY_S)
    retention.prune(clock.now)

    with read() as session:
        states = session.scalars(select(Delivery.state)).all()
    assert states == [DeliveryState.PENDING]
    assert _counts()[0] == 1


def test_counts_are_kept_for_ninety_days_after_their_hour_longer_than_the_log(
    publish: Any, make_webhook: Any, receiver: Any, clock: Any, deliver: Any
) -> None:
    make_webhook(url=receiver.url)
    for _ in range(3):
        publish("job.created")
        deliver()
        clock.advance(seconds=DAY_S)
    hours = sorted({row.hour for row in rows.all_of(Stat)})

    clock.now = hours[0] + 90 * DAY_S * 1000
    retention.prune(clock.now)
    assert {row.hour for row in rows.all_of(Stat)} == set(hours)
    assert _counts() == (0, 0, 0)

    clock.now = hours[2] + 90 * DAY_S * 1000
    retention.prune(clock.now)
    assert {row.hour for row in rows.all_of(Stat)} == {hours[2]}
