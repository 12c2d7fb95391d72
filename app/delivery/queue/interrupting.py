"""Sending whose lease ran out, back to pending: its process is gone, and nobody knows what the receiver got."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from app.core.states import DeliveryState, ErrorClass, Outcome, Reason
from app.database import door_of, write
from app.delivery.queue.rows import RELEASED, SENDING, SLICE, delivery
from app.faults import fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

MOST_INTERRUPTIONS = 3
AFTER_SECOND_INTERRUPTION_MS = 10_000


def release_lapsed(now: int, *, all_of_them: bool = False) -> list[int]:
    """Release deliveries whose lease ran out (at the start of the only process: all), recording an interruption each.

    Returns the ids of those that have failed for it: interrupted for the third time.
    """
    failed: list[int] = []
    while True:
        with write() as session:
            lapsed = _lapsed(session, now, all_of_them=all_of_them)
            if not lapsed:
                return failed
            door_of(session).insert("attempt", [_interrupted_row(row, now) for row in lapsed])
            fault("release.middle")
            failed += _release(session, lapsed, now)


def _lapsed(session: Session, now: int, *, all_of_them: bool) -> Sequence[Any]:
    columns = (
        delivery.c.id,
        delivery.c.attempt_count,
        delivery.c.interruptions,
        delivery.c.url,
        delivery.c.leased_until,
    )
    query = select(*columns).where(SENDING).limit(SLICE).with_for_update(skip_locked=True)
    if not all_of_them:
        query = query.where(delivery.c.leased_until < now)
    return session.execute(query).all()


def _interrupted_row(row: Any, now: int) -> dict[str, Any]:
    return {
        "delivery_id": row.id,
        "number": row.attempt_count,
        "outcome": Outcome.INTERRUPTED.value,
        "error": ErrorClass.INTERRUPTED.value,
        "message": "The server stopped during the request; the receiver may have got it.",
        "started_at": now,
        "duration_ms": 0,
        "url": row.url,
        "request_headers": b"",
        "truncated": False,
        "late": False,
    }


def _release(session: Session, lapsed: Sequence[Any], now: int) -> list[int]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for row in lapsed:
        groups[row.interruptions + 1].append(row.id)
    failed: list[int] = []
    for interruptions, ids in groups.items():
        if interruptions >= MOST_INTERRUPTIONS:
            ending = {
                "state": DeliveryState.FAILED,
                "reason": Reason.INTERRUPTED_REPEATEDLY,
                "finished_at": now,
                "next_attempt_at": None,
            }
            failed += ids
        else:
            wait = AFTER_SECOND_INTERRUPTION_MS if interruptions > 1 else 0
            ending = {"state": DeliveryState.PENDING, "next_attempt_at": now + wait}
        session.execute(
            update(delivery)
            .where(delivery.c.id.in_(ids), SENDING)
            .values(interruptions=interruptions, last_error=ErrorClass.INTERRUPTED, **ending, **RELEASED)
        )
    return failed
