"""How webhooks stand beyond their own rows: how much waits for them, and what they missed while they were off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Select, func, literal, select, union_all

from app.core.access import Permission
from app.core.states import DeliveryKind, ErrorClass
from app.database import door_of, read
from app.delivery import queue
from app.door import Statement
from app.models import Delivery
from app.services.missed import offers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from app.services.scope import Actor
    from app.services.webhooks import WebhookView

COUNTED = 10_000
CAUSES_OF = 1_000  # deliveries, the newest
FIRST_TRY_MS = 150_000  # an event comes so much earlier, at most, than its first try is recorded as failed
_AT_ONCE = 100  # SQLite takes 500 parts of a compound query


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page says about a webhook besides its settings. Counts go no further than `COUNTED`."""

    waiting: int
    """Deliveries queued, retrying or held."""
    missed: int
    """Events that were not queued because it was off, since it was turned off."""
    offered: int = 0
    """Events it missed the last time it was off, that can be sent now that it is on."""


def of(actor: Actor, views: Sequence[WebhookView]) -> dict[str, Standing]:
    """Return how each of these webhooks stands, by public id, in two queries for up to 100 of them."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        waiting_ones = waiting(session, [view.row_id for view in views])
        unheard = missed(session, [view.row_id for view in views if not view.enabled])
        offered = _counted(session, _offers(session, actor, views))
    counts = (waiting_ones, unheard, offered)
    return {view.id: Standing(*(count.get(view.row_id, 0) for count in counts)) for view in views}


@dataclass(frozen=True, slots=True)
class Cause:
    """What some deliveries of a failing webhook last ended with."""

    status: int | None
    error: ErrorClass | None
    count: int


def next_due(actor: Actor, view: WebhookView) -> int | None:
    """Return when the first delivery that waits for a webhook is due; None: nothing waits."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        return session.scalar(
            select(func.min(Delivery.next_attempt_at)).where(Delivery.webhook_id == view.row_id, queue.PENDING)
        )


def _offers(session: Session, actor: Actor, views: Sequence[WebhookView]) -> Iterable[tuple[int, Select[int]]]:
    """What can be sent of what was missed, for those who may and who see all of it."""
    if not actor.may(Permission.REPLAY) or not actor.view.sees_everything:
        return ()
    on = {view.row_id: view.switched_at for view in views if view.enabled and view.switched_at}
    return tuple(offers(session, on, {view.row_id: view.id for view in views}).items())


def causes(actor: Actor, view: WebhookView) -> tuple[Cause, ...]:
    """Return what the deliveries of a failing webhook last ended with, since it fails, the most frequent first."""
    actor.require(Permission.WEBHOOKS)
    if view.failing_since is None:
        return ()
    tried = Delivery.attempt_count > Delivery.interruptions
    owed = (
        select(Delivery.last_status, Delivery.last_error)
        .where(
            Delivery.webhook_id == view.row_id,
            Delivery.created_at >= view.failing_since - FIRST_TRY_MS,
            queue.UNDELIVERED,
            Delivery.kind == DeliveryKind.NORMAL,
            tried,
        )
        .order_by(Delivery.created_at.desc(), Delivery.id.desc())
        .limit(CAUSES_OF)
        .subquery()
    )
    query = select(owed.c.last_status, owed.c.last_error, func.count()).group_by(owed.c.last_status, owed.c.last_error)
    with read() as session:
        found = [Cause(*row) for row in session.execute(query)]
    return tuple(sorted(found, key=lambda cause: -cause.count))


_COUNTED = """SELECT webhook.id, (SELECT count(*) FROM (
    SELECT delivery.id FROM delivery WHERE delivery.webhook_id = webhook.id AND {} LIMIT :most) AS counted)
FROM webhook WHERE webhook.id IN :webhooks[]"""
_WAITING = Statement(  # in the order of the index, or SQLite goes through its whole log
    _COUNTED.format("delivery.state = 'pending' ORDER BY delivery.next_attempt_at")
)
_MISSED = Statement(
    _COUNTED.format(
        "delivery.created_at >= webhook.switched_at AND delivery.state = 'skipped' AND delivery.reason = 'webhook_off'"
    )
)


def waiting(session: Session, row_ids: Sequence[int]) -> dict[int, int]:
    """Return how much waits for each of these webhooks, by the number of its row, in one query."""
    return dict(door_of(session).rows(_WAITING, webhooks=list(row_ids), most=COUNTED))


def missed(session: Session, row_ids: Sequence[int]) -> dict[int, int]:
    """Return what webhooks that are off did not hear of since they were switched, by the number of the row."""
    return dict(door_of(session).rows(_MISSED, webhooks=list(row_ids), most=COUNTED)) if row_ids else {}


_NEWEST = Statement("""SELECT webhook.id, (
    SELECT delivery.id FROM delivery WHERE delivery.webhook_id = webhook.id
    ORDER BY delivery.created_at DESC, delivery.id DESC LIMIT 1)
FROM webhook WHERE webhook.id IN :webhooks[]""")


def newest(session: Session, row_ids: Sequence[int]) -> dict[int, int | None]:
    """Return each webhook's newest delivery: as long as it is the same, one that is off has missed nothing more."""
    return dict(door_of(session).rows(_NEWEST, webhooks=list(row_ids))) if row_ids else {}


def _counted(session: Session, asked: Iterable[tuple[int, Select[int]]]) -> dict[int, int]:
    """Count the rows of several queries in one, none further than `COUNTED`."""
    parts = [
        select(literal(row_id), select(func.count()).select_from(query.limit(COUNTED).subquery()).scalar_subquery())
        for row_id, query in asked
    ]
    found: dict[int, int] = {}
    for begin in range(0, len(parts), _AT_ONCE):
        found |= dict(session.execute(union_all(*parts[begin : begin + _AT_ONCE])).all())
    return found
