"""Sending to wherever its attempt leads, or back to pending when none was made."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import update

from app.core.states import DeliveryState, Outcome
from app.database import write
from app.delivery.queue.rows import RELEASED, SENDING, Ending, Finished, attempt, delivery
from app.door import Door, Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.orm import Session

    from app.delivery.orders import Claim, OrderKey

_FINISH = """
UPDATE delivery SET state = :state, next_attempt_at = :due_at, reason = :why, last_status = :status,
    last_error = :error, finished_at = :ended_at, by_hand = FALSE, lease_id = NULL, leased_until = NULL {}
WHERE id IN :ids[] AND lease_id = :lease AND state = 'sending' RETURNING id
"""
_FINISH_COUNTED = Statement(_FINISH.format(""))
_FINISH_FREE = Statement(_FINISH.format(", interruptions = interruptions + 1"))  # so that it doesn't use the budget


def finish(door: Door, finished: Sequence[Finished], now: int) -> set[OrderKey]:
    """Move the deliveries on and record their attempts, in the caller's transaction.

    Returns the keys of the claims that were still ours. Whoever slept through a lease moves nothing: what it learned
    completes the `interrupted` row of its attempt, marked late.
    """
    groups: defaultdict[tuple[Ending, int], list[int]] = defaultdict(list)
    for item in finished:
        groups[item.ending, item.claim.lease].append(item.claim.id)
    moved: set[OrderKey] = set()
    for (ending, lease), ids in groups.items():
        moved.update((delivery_id, lease) for delivery_id in _finish(door, ending, lease, ids, now))
    bodies = {(item.body.event_id, item.body.digest): item.body for item in finished if item.body}
    door.insert("sent_body", [body._asdict() for body in bodies.values()], or_keep=True)
    door.insert("attempt", [item.attempt for item in finished if item.claim.key in moved])
    for item in finished:
        if item.claim.key not in moved:
            _complete_late(door.session, item)
        elif item.url != item.claim.url:
            door.run(_CALLED, id=item.claim.id, url=item.url)
    return moved


_CALLED = Statement("UPDATE delivery SET url = :url WHERE id = :id")


def _finish(door: Door, ending: Ending, lease: int, ids: list[int], now: int) -> list[int]:
    rows = door.rows(
        _FINISH_FREE if ending.is_free else _FINISH_COUNTED,
        ids=ids,
        lease=lease,
        state=ending.state.value,
        due_at=ending.next_attempt_at,
        why=None if ending.reason is None else ending.reason.value,
        status=ending.last_status,
        error=None if ending.last_error is None else ending.last_error.value,
        ended_at=None if ending.next_attempt_at is not None else now,
    )
    return [row[0] for row in rows]


def _complete_late(session: Session, item: Finished) -> None:
    known = {name: value for name, value in item.attempt.items() if name not in ("delivery_id", "number", "late")}
    session.execute(
        update(attempt)
        .where(
            attempt.c.delivery_id == item.claim.id,
            attempt.c.number == item.claim.number,
            attempt.c.outcome == Outcome.INTERRUPTED,
        )
        .values(**known, late=True)
    )


def hand_back(claims: Collection[Claim]) -> None:
    """Give claims back that were not begun: unsent, uncounted."""
    if not claims:
        return
    by_lease: defaultdict[int, list[int]] = defaultdict(list)
    for item in claims:
        by_lease[item.lease].append(item.id)
    with write() as session:
        for lease, ids in by_lease.items():
            session.execute(
                update(delivery)
                .where(delivery.c.id.in_(ids), delivery.c.lease_id == lease, SENDING)
                .values(state=DeliveryState.PENDING, attempt_count=delivery.c.attempt_count - 1, **RELEASED)
            )
