"""Log History: deliveries that match what is asked for, a page at a time, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Row, Select, func, select

from app.core import cursors
from app.core.access import Permission
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Reason
from app.database import read
from app.errors import Invalid, Problem
from app.models import (
    Attempt,
    Delivery,
    Event,
    Lane,
    Webhook,
)
from app.services.events import visible
from app.services.log_query import LogQuery as LogQuery
from app.services.log_query import beyond, conditions, floor_of, placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from app.services.scope import Actor

MOST_LISTED = 250
COUNTED = 10_000
NEWER_COUNTED = 100
S = DeliveryState


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as a list shows it."""

    id: str
    event: str
    event_type: str
    webhook: str
    webhook_name: str
    url: str
    verify_ssl: bool
    state: DeliveryState
    kind: DeliveryKind
    is_paused: bool
    shut_until: int
    reason: Reason | None
    detail: str | None
    attempt_count: int
    interruptions: int
    attempts_allowed: int
    next_attempt_at: int | None
    last_status: int | None
    last_error: ErrorClass | None
    duration_ms: int | None  # of the latest attempt
    created_at: int
    finished_at: int | None
    cursor: str
    is_on: bool
    paused_at: int | None

    @property
    def tries(self) -> int:
        """Attempts that count against the budget: interruptions don't."""
        return self.attempt_count - self.interruptions

    @property
    def display(self) -> str:
        """The state as people read it: queued, retrying, paused, or the stored one."""
        if self.state is not S.PENDING:
            return self.state.value
        if self.is_paused:
            return "paused"
        return "retrying" if self.attempt_count > self.interruptions else "queued"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the log, newest first, with cursors to the pages beside it (None: there is none)."""

    rows: tuple[DeliveryRow, ...]
    older: str | None
    newer: str | None
    arrived: int = 0  # what came after `top`, counted no further than 100
    looked_to: int | None = None  # the moment up to which was searched, when that was not all
    ran_out_of_time: bool = False  # that is why


_latest_ms = (
    select(Attempt.duration_ms)
    .where(Attempt.delivery_id == Delivery.id)
    .order_by(Attempt.number.desc())
    .limit(1)
    .correlate(Delivery)
    .scalar_subquery()
)
_COLUMNS = (
    Delivery.id.label("row_id"),
    Delivery.public_id,
    Event.public_id.label("event"),
    Delivery.event_type,
    Webhook.public_id.label("webhook"),
    Webhook.name.label("webhook_name"),
    Delivery.url,
    Webhook.verify_ssl,
    Delivery.state,
    Delivery.kind,
    Webhook.paused,
    Webhook.paused_at,
    Webhook.enabled,
    Webhook.id.label("webhook_row_id"),
    Lane.shut_until,
    Delivery.reason,
    Delivery.detail,
    Delivery.attempt_count,
    Delivery.interruptions,
    Delivery.attempts_allowed,
    Delivery.next_attempt_at,
    Delivery.last_status,
    Delivery.last_error,
    Delivery.created_at,
    Delivery.finished_at,
    _latest_ms.label("duration_ms"),
)


def page(actor: Actor, asked: LogQuery) -> Page:
    """Return a page of the log that `asked` describes, of what the actor may see. Raises `Invalid` for a bad cursor."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    limit = min(asked.limit, MOST_LISTED)
    with read() as session:
        floor = floor_of(session, actor, asked)
        query = placed(matching(actor, asked), asked, floor)
        found = session.execute(query.limit(limit + 1)).all()
        arrived = _arrived(session, actor, asked)
    has_more, found = len(found) > limit, found[:limit]
    rows = tuple(row_of(row) for row in (found[::-1] if asked.newer else found))
    looked_to = None if has_more or floor is None else floor[0]
    if not rows:
        return Page((), cursors.encode(*floor) if floor else None, None, arrived, looked_to)
    older = rows[-1].cursor if has_more or asked.newer else cursors.encode(*floor) if floor else None
    has_newer = has_more if asked.newer else asked.cursor is not None
    return Page(rows, older, rows[0].cursor if has_newer else None, arrived, looked_to)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a page of the log would show, without showing it: changes whenever the page does."""

    shown: tuple[tuple[Any, ...], ...]
    arrived: int
    moved_at: int  # when something on the page last began or ended
    is_busy: bool  # something is being sent


_STAMPED = (
    Delivery.id,
    Delivery.state,
    Delivery.attempt_count,
    Delivery.next_attempt_at,
    Delivery.created_at,
    Delivery.finished_at,
    Webhook.version,
    Lane.shut_until,
)


def stamp(actor: Actor, asked: LogQuery) -> Stamp:
    """Return the stamp of a page: one query over ids and states. Raises `Invalid` for a bad cursor."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        floor = floor_of(session, actor, asked)
        shown = tuple(tuple(row) for row in session.execute(_stamped(actor, asked, floor)))
        arrived = _arrived(session, actor, asked)
    moved_at = max((max(row[4], row[5] or 0) for row in shown), default=0)
    return Stamp(shown, arrived, moved_at, any(row[1] is S.SENDING for row in shown))


def _arrived(session: Session, actor: Actor, asked: LogQuery) -> int:
    """How many have come since the page was pinned."""
    return (session.scalar(_newer(actor, asked)) or 0) if asked.top else 0


# Kept for a page's polls: building these statements costs more than running them. Nothing in them hangs on the clock.


@lru_cache(128)
def _stamped(actor: Actor, asked: LogQuery, floor: tuple[int, int] | None) -> Select[*tuple[Any, ...]]:
    return placed(matching(actor, asked, _STAMPED), asked, floor).limit(min(asked.limit, MOST_LISTED) + 1)


@lru_cache(128)
def _newer(actor: Actor, asked: LogQuery) -> Select[int]:
    newer = matching(actor, asked, (Delivery.id,)).where(beyond(str(asked.top), newer=True)).limit(NEWER_COUNTED)
    return select(func.count()).select_from(newer.subquery())


class Counted(NamedTuple):
    """How many match, no further than 10,000 (then 10,001), and since when, where not the whole log was looked at."""

    matching: int
    since: int | None


def counted(actor: Actor, asked: LogQuery) -> Counted:
    """Count what matches, looking no further than a page of it does."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    asked = replace(asked, cursor=None, newer=False, top=None, oldest_first=False)
    with read() as session:
        floor = floor_of(session, actor, asked)
        query = placed(matching(actor, asked, (Delivery.id,)), asked, floor).limit(COUNTED + 1)
        found = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    return Counted(found, floor[0] if floor else None)


def count(actor: Actor, asked: LogQuery) -> int:
    """Return how many deliveries match, as `counted` does."""
    return counted(actor, asked).matching


def matching(actor: Actor, asked: LogQuery, columns: Sequence[Any] = ()) -> Select[*tuple[Any, ...]]:
    """Select columns of what matches; left out: those of `row_of`. Raises `Invalid` if payloads had to be looked at."""
    if asked.is_inside:
        raise Invalid([Problem("inside", "Payloads are searched in the list alone. Take that box away first.")])
    query = (
        select(*(columns or _COLUMNS))
        .join(Event, Event.id == Delivery.event_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .join(Lane, Lane.webhook_id == Webhook.id)
        .where(*conditions(actor, asked))
    )
    return query if actor.view.sees_everything else query.where(visible(actor))


def row_of(row: Row[Any]) -> DeliveryRow:
    return DeliveryRow(
        id=row.public_id,
        event=row.event,
        event_type=row.event_type,
        webhook=row.webhook,
        webhook_name=row.webhook_name,
        url=row.url,
        verify_ssl=row.verify_ssl,
        state=row.state,
        kind=row.kind,
        is_paused=row.paused,
        shut_until=row.shut_until,
        reason=row.reason,
        detail=row.detail,
        attempt_count=row.attempt_count,
        interruptions=row.interruptions,
        attempts_allowed=row.attempts_allowed,
        next_attempt_at=row.next_attempt_at,
        last_status=row.last_status,
        last_error=row.last_error,
        duration_ms=row.duration_ms,
        created_at=row.created_at,
        finished_at=row.finished_at,
        cursor=cursors.encode(row.created_at, row.row_id),
        is_on=row.enabled,
        paused_at=row.paused_at,
    )
