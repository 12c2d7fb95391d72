"""The list of webhooks: filtered, a page at a time, and the stamp that tells whether it would look otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, func, literal, or_, select

from app.core.access import Permission
from app.core.routing import patterns_for
from app.database import read
from app.models import BusinessUnit, EventType, Lane, Webhook, WebhookPattern, WebhookUnit
from app.services import standing
from app.services.scope import Actor, for_org
from app.services.webhooks import NEEDS_ATTENTION, views

if TYPE_CHECKING:
    from app.services.webhooks import WebhookView

LISTED = 100
STATES: dict[str, ColumnElement[bool]] = {
    "attention": NEEDS_ATTENTION,
    "on": Webhook.enabled & ~Webhook.paused,
    "off": ~Webhook.enabled,
    "paused": Webhook.enabled & Webhook.paused,
}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What of the list is asked for; what there is nothing of finds nothing."""

    q: str = ""  # a part of the name or the URL
    state: str = ""  # a key of STATES
    unit: str = ""  # the external id of a business unit: webhooks that may send its events
    event: str = ""  # an event type: webhooks that select it
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out."""
        return bool(self.q or self.state or self.unit or self.event)


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """A page of the list, those that need attention first, then by name."""

    views: tuple[WebhookView, ...]
    matching: int
    total: int
    pages: int


def page(actor: Actor, asked: ListQuery) -> WebhookPage:
    """Return a page of the list."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        mine = for_org(session, actor, Webhook).query()
        found = _matching(actor, asked)
        query = mine.where(Webhook.id.in_(found)).join(Lane, Lane.webhook_id == Webhook.id)
        shown = tuple(views(session, _on_page(query, asked.page)))
        if not asked.is_filtered and asked.page == 1 and len(shown) < LISTED:
            return WebhookPage(shown, len(shown), len(shown), 1)  # all there are
        total = session.scalar(select(func.count()).select_from(mine.subquery())) or 0
        matching = (
            session.scalar(select(func.count()).select_from(found.subquery())) or 0 if asked.is_filtered else total
        )
    return WebhookPage(shown, matching, total, max(1, -(-matching // LISTED)))


def row_ids(actor: Actor, asked: ListQuery) -> frozenset[int]:
    """Return which webhooks match, on whatever page."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        return frozenset(session.scalars(_matching(actor, asked)))


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is shown of some webhooks, without showing it: changes whenever the pages do.

    A lane moves with every try that is counted, so the figures need no look of their own.
    """

    rows: tuple[tuple[Any, ...], ...]
    waiting: dict[int, int]
    newest: dict[int, int | None]  # of those that are off: whether they have missed more

    @property
    def shut_until(self) -> list[int]:
        """Until when each of them backs off."""
        return [row[-1] for row in self.rows]


_STAMPED = (
    Webhook.id,
    Webhook.version,
    Webhook.enabled,
    Webhook.switched_at,
    Webhook.owner_id,
    Lane.failing_since,
    Lane.failed_attempts,
    Lane.failures_in_row,
    Lane.deliveries_failing,
    Lane.last_success_at,
    Lane.probe_at,
    Lane.shut_until,
)


def stamp(actor: Actor, asked: ListQuery) -> Stamp:
    """Return the stamp of a page of the list: three small queries."""
    actor.require(Permission.WEBHOOKS)
    query = _stamped().where(Webhook.id.in_(_matching(actor, asked)))
    return _stamp(_on_page(query, asked.page))


def stamp_of(actor: Actor, public_id: str) -> Stamp:
    """Return the stamp of one webhook. Raises `NotFound`."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        row_id = for_org(session, actor, Webhook).one(public_id).id
    return _stamp(_stamped().where(Webhook.id == row_id))


def _stamped() -> Any:
    return select(*_STAMPED).join(Lane, Lane.webhook_id == Webhook.id)


def _stamp(query: Select[Any]) -> Stamp:
    with read() as session:
        rows = session.execute(query).all()
        waiting = standing.waiting(session, [row.id for row in rows])
        newest = standing.newest(session, [row.id for row in rows if not row.enabled])
    return Stamp(tuple(tuple(row) for row in rows), waiting, newest)


def units(actor: Actor) -> list[tuple[str, str]]:
    """Return the business units that the list can be filtered by: external id and name."""
    actor.require(Permission.WEBHOOKS)
    query = select(BusinessUnit.external_id, BusinessUnit.name).order_by(BusinessUnit.name)
    with read() as session:
        found = session.execute(query.where(BusinessUnit.organization_id == actor.organization_id)).all()
    return [(external_id, name) for external_id, name in found]


def types(actor: Actor) -> list[str]:
    """Return the event types that the list can be filtered by, public variants included."""
    actor.require(Permission.WEBHOOKS)
    query = select(EventType.name, EventType.public_name).order_by(EventType.name)
    with read() as session:
        pairs = session.execute(query.where(EventType.organization_id == actor.organization_id)).all()
    return [name for pair in pairs for name in pair if name]


def _on_page(query: Select[Any], number: int) -> Select[Any]:
    order = (NEEDS_ATTENTION.desc(), func.lower(Webhook.name), Webhook.id)
    return query.order_by(*order).limit(LISTED).offset((number - 1) * LISTED)


def _matching(actor: Actor, asked: ListQuery) -> Select[int]:
    """The ids of the webhooks that fit."""
    query = select(Webhook.id).where(Webhook.organization_id == actor.organization_id, Webhook.deleted_at.is_(None))
    if asked.q:
        text = asked.q.lower()
        fits = [func.lower(column).contains(text, autoescape=True) for column in (Webhook.name, Webhook.url)]
        query = query.where(or_(*fits))
    if asked.state:
        query = query.join(Lane, Lane.webhook_id == Webhook.id).where(STATES.get(asked.state, literal(False)))
    if asked.unit:
        query = query.where(_sends_unit(actor, asked.unit))
    if asked.event:
        chosen = select(WebhookPattern.webhook_id).where(WebhookPattern.pattern.in_(patterns_for(asked.event)))
        query = query.where(Webhook.id.in_(chosen))
    return query


def _sends_unit(actor: Actor, external_id: str) -> ColumnElement[bool]:
    """Bound to this unit, or to none at all."""
    bound = select(WebhookUnit.webhook_id).where(WebhookUnit.webhook_id == Webhook.id)
    unit = select(BusinessUnit.id).where(
        BusinessUnit.organization_id == actor.organization_id, BusinessUnit.external_id == external_id
    )
    return unit.exists() & (~bound.exists() | bound.where(WebhookUnit.business_unit_id.in_(unit)).exists())
