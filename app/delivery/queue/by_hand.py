"""What people do to deliveries: cancel them, hasten them, give failed ones another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from app.core.states import DeliveryState, Reason
from app.database import door_of, write
from app.delivery import stats
from app.delivery.queue.looking import pending_of
from app.delivery.queue.rows import PENDING, SLICE, delivery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.orm import Session

_counted_by = (
    delivery.c.webhook_id,
    delivery.c.created_at,
    delivery.c.event_type,
    delivery.c.kind,
    (delivery.c.attempt_count - delivery.c.interruptions).label("tries"),
)


def cancel(session: Session, ids: Collection[int], reason: Reason, detail: str | None, now: int) -> set[int]:
    """Cancel those of `ids` that are waiting; return which were. The statistics forget them."""
    move = (
        update(delivery)
        .where(delivery.c.id.in_(ids), PENDING)
        .values(state=DeliveryState.CANCELED, reason=reason, detail=detail, finished_at=now, next_attempt_at=None)
        .returning(delivery.c.id, *_counted_by)
    )
    moved = session.execute(move).all()
    stats.recount(door_of(session), moved, -1)
    return {row.id for row in moved}


def cancel_waiting(webhook_id: int, reason: Reason, detail: str | None, now: int) -> int:
    """Cancel all that waits for a webhook, in slices with a commit each; return how many."""
    canceled = 0
    while True:
        with write() as session:
            ids = session.scalars(pending_of(webhook_id).limit(SLICE)).all()
            canceled += len(cancel(session, ids, reason, detail, now)) if ids else 0
        if len(ids) < SLICE:
            return canceled


def hasten(session: Session, ids: Iterable[int], now: int) -> set[int]:
    """Make waiting deliveries due now, because a person asked; return which were waiting."""
    move = (
        update(delivery)
        .where(delivery.c.id.in_(list(ids)), PENDING)
        .values(next_attempt_at=now, by_hand=True)
        .returning(delivery.c.id)
    )
    return set(session.scalars(move))


def hasten_waiting(webhook_id: int, now: int) -> int:
    """Make all that waits for a webhook due now, in slices with a commit each; return how many were not yet due.

    Unlike what is hastened one by one, they keep their place in line and to the webhook's limits.
    """
    later = pending_of(webhook_id).where(delivery.c.next_attempt_at > now).limit(SLICE)
    hastened = 0
    while True:
        with write() as session:
            ids = session.scalars(later).all()
            session.execute(update(delivery).where(delivery.c.id.in_(ids), PENDING).values(next_attempt_at=now))
        hastened += len(ids)
        if len(ids) < SLICE:
            return hastened


def requeue(session: Session, ids: Iterable[int], now: int) -> set[int]:
    """Give failed or canceled deliveries one more try, because a person asked; return which were."""
    given = list(ids)
    return _requeue(session, given, DeliveryState.FAILED, now) | _requeue(session, given, DeliveryState.CANCELED, now)


def _requeue(session: Session, ids: list[int], left: DeliveryState, now: int) -> set[int]:
    tries = delivery.c.attempt_count - delivery.c.interruptions
    move = (
        update(delivery)
        .where(delivery.c.id.in_(ids), delivery.c.state == left)
        .values(
            state=DeliveryState.PENDING,
            attempts_allowed=tries + 1,
            next_attempt_at=now,
            finished_at=None,
            reason=None,
            detail=None,
            by_hand=True,
        )
        .returning(delivery.c.id, *_counted_by)
    )
    moved = session.execute(move).all()
    if left is DeliveryState.CANCELED:
        stats.recount(door_of(session), moved, 1)
    return {row.id for row in moved}
