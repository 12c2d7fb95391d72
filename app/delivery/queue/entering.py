"""How deliveries come in: new ones, pending or skipped, and for demo data and benchmarks the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.core.states import DeliveryKind, DeliveryState, Reason
from app.database import is_sqlite
from app.door import Door, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.delivery.orders import SentBodyRow
    from app.delivery.queue.rows import Ending


def enqueue(door: Door, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries, pending or skipped, in the caller's transaction; made with `new_row`."""
    door.insert("delivery", rows)


def new_row(
    *,
    public_id: str,
    organization_id: int,
    event_id: int,
    webhook_id: int,
    event_type: str,
    url: str,
    attempts_allowed: int,
    now: int,
    reason: Reason | None = None,
    kind: DeliveryKind = DeliveryKind.NORMAL,
    copy: int = 0,
    by_hand: bool = False,
) -> dict[str, Any]:
    """Return the row of a new delivery: due at once, or skipped when there is a reason."""
    return {
        "public_id": public_id,
        "organization_id": organization_id,
        "event_id": event_id,
        "webhook_id": webhook_id,
        "copy": copy,
        "kind": kind.value,
        "by_hand": by_hand,
        "state": DeliveryState.PENDING.value if reason is None else DeliveryState.SKIPPED.value,
        "reason": None if reason is None else reason.value,
        "event_type": event_type,
        "url": url,
        "attempt_count": 0,
        "interruptions": 0,
        "attempts_allowed": attempts_allowed,
        "next_attempt_at": now if reason is None else None,
        "created_at": now,
        "finished_at": None if reason is None else now,
    }


_LAST_ID = {table: Statement(f"SELECT max(id) FROM {table}") for table in ("event", "delivery")}  # noqa: S608
_NEXT_IDS = Statement("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")


def row_ids(door: Door, table: str, count: int) -> Sequence[int]:
    """Take a block of ids of `event` or `delivery`, so that events and their deliveries go in with plain inserts."""
    if not is_sqlite():
        return [row[0] for row in door.rows(_NEXT_IDS, table=table, count=count)]
    first = (door.rows(_LAST_ID[table])[0][0] or 0) + 1  # we are the only writer
    return range(first, first + count)


# --- the past


def past_row(
    row_id: int, row: dict[str, Any], ending: Ending | None, attempts: int, free: int, at: int
) -> dict[str, Any]:
    """Return a row of `new_row` as `attempts` tries left it, `free` of them outside the budget, the last one at `at`.

    `ending` None: nothing was tried. Rows of one `enqueue` must all be made here: they have more columns.
    """
    past = {
        **row,
        "id": row_id,
        "attempt_count": attempts,
        "interruptions": free,
        "last_status": None,
        "last_error": None,
    }
    if ending is None:
        return {**past, "detail": None}
    past["by_hand"] = False
    past["state"] = ending.state.value
    past["reason"] = None if ending.reason is None else ending.reason.value
    past["next_attempt_at"] = ending.next_attempt_at
    past["last_status"] = ending.last_status
    past["last_error"] = None if ending.last_error is None else ending.last_error.value
    past["finished_at"] = at if ending.next_attempt_at is None else None
    past["detail"] = None
    return past


def enter_attempts(door: Door, attempts: Sequence[dict[str, Any]], bodies: Sequence[SentBodyRow]) -> None:
    """Insert the attempts that past rows had, and what was sent, in the caller's transaction."""
    door.insert("sent_body", [body._asdict() for body in bodies])
    door.insert("attempt", attempts)
