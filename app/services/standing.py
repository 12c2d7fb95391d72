"""How webhooks stand beyond their own rows: how much waits for them, and what they missed while they were off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Select, func, literal, select, union_all

from app.core.access import Permission
from app.core.states import DeliveryState, Reason
from app.database import read
from app.delivery import queue
from app.models import Delivery
from app.services.missed import offers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from app.services.scope import Actor
    from app.services.webhooks import WebhookView

COUNTED = 10_000
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
        waiting = _counted(session, ((view.row_id, _waiting(view)) for view in views))
        missed = _counted(
            session, ((view.row_id, _missed(view)) for view in views if not view.enabled and view.switched_at)
        )
        offered = _counted(session, _offers(session, actor, views))
    counts = (waiting, missed, offered)
    return {view.id: Standing(*(count.get(view.row_id, 0) for count in counts)) for view in views}


def _offers(session: Session, actor: Actor, views: Sequence[WebhookView]) -> Iterable[tuple[int, Select[int]]]:
    """What can be sent of what was missed, for those who may and who see all of it."""
    if not actor.may(Permission.REPLAY) or not actor.view.sees_everything:
        return ()
    on = {view.row_id: view.switched_at for view in views if view.enabled and view.switched_at}
    return tuple(offers(session, on, {view.row_id: view.id for view in views}).items())


def _waiting(view: WebhookView) -> Select[int]:
    query = select(Delivery.id).where(Delivery.webhook_id == view.row_id, queue.PENDING)
    return query.order_by(Delivery.next_attempt_at)  # the order of the index, or SQLite goes through its whole log


def _missed(view: WebhookView) -> Select[int]:
    return select(Delivery.id).where(
        Delivery.webhook_id == view.row_id,
        Delivery.created_at >= view.switched_at,
        Delivery.state == DeliveryState.SKIPPED,
        Delivery.reason == Reason.WEBHOOK_OFF,
    )


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
