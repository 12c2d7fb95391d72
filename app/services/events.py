"""Publishing events, and finding them again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Select, Text, func, literal, or_, select, tuple_, type_coerce

from app import disk
from app.core import schemas
from app.core.access import Permission
from app.core.states import DeliveryState
from app.database import hot_read, read
from app.delivery.installed import installed
from app.errors import AppError, Invalid, NotFound, Problem, Unavailable
from app.models import ApiKey, BusinessUnit, Delivery, Event, EventType, MembershipUnit, SchemaMode, Webhook
from app.services import resources
from app.services.intake import Answer, Prepared, Stored, intake
from app.services.routing import KnownType, RoutingTable, kept_table, table_of
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

PRODUCER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_LISTED = 250
LARGEST_EVENT = 256 * 1024  # bytes of the request


@dataclass(frozen=True, slots=True)
class Posted:
    """An event as it was posted: `data`, `context` and `previous` are slices of the posted text."""

    type: str
    data: bytes
    digest: bytes  # SHA-256 of the whole item without white space
    producer_id: str | None = None
    occurred_at: int | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    status: str | None = None
    business_unit: str | None = None
    is_public: bool = False
    visible_to: tuple[str, ...] | None = None
    context: bytes | None = None
    previous: bytes | None = None
    not_to: str | None = None  # the webhook it is about, which isn't to hear of its own trouble


def publish(actor: Actor, posted: Posted, now: int) -> Stored:
    """Publish one event; the answer is final once this returns. Raises `AppError` when it is refused."""
    answer = publish_batch(actor, [posted], now)[0]
    if isinstance(answer, AppError):
        raise answer
    return answer


def publish_batch(actor: Actor, batch: Sequence[Posted | AppError], now: int) -> list[Answer]:
    """Publish several events; the good ones are kept whatever the others are. One answer each, in order.

    An item may be an `AppError` already: it could not be read, and that is its answer.
    """
    settings = installed().settings
    if disk.is_full(settings.data_dir, settings.disk_reserve_mb):
        raise Unavailable("The disk is nearly full, so new events are refused. Free some space.", retry_after=60)
    answers: list[Answer | None] = [None] * len(batch)
    good: list[int] = []
    prepared: list[Prepared] = []
    for index, posted in enumerate(batch):
        try:
            if isinstance(posted, AppError):
                raise posted
            prepared.append(_prepare(actor, posted, now))
            good.append(index)
        except AppError as error:
            answers[index] = error
    if prepared:
        for index, answer in zip(good, intake.submit(prepared), strict=True):
            answers[index] = answer
    return [answer for answer in answers if answer is not None]


def prepare_at_once(actor: Actor, posted: Posted, now: int) -> Prepared | None:
    """Return an event ready for the intake when memory suffices to check it; None: `publish` has to look further.

    Raises `Invalid` when the data break the schema.
    """
    settings = installed().settings
    table = kept_table(actor.organization_id)
    known = _find(table, posted) if table else None
    if known is None or disk.is_full(settings.data_dir, settings.disk_reserve_mb):
        return None
    return _prepared(actor, posted, now, *known)


def _prepare(actor: Actor, posted: Posted, now: int) -> Prepared:
    return _prepared(actor, posted, now, *_known(actor.organization_id, posted))


def _prepared(actor: Actor, posted: Posted, now: int, kind: KnownType, unit: int | None) -> Prepared:
    resource_type, resource_id = posted.resource_type, posted.resource_id
    if resource_id is None and kind.resource_in is not None:
        resource_type, resource_id = resources.named_in(posted.data, kind.resource_in)
    return Prepared(
        organization_id=actor.organization_id,
        type_id=kind.id,
        type=kind.public_name if posted.is_public and kind.public_name else kind.name,
        producer_id=posted.producer_id,
        digest=posted.digest,
        data=posted.data,
        context=posted.context,
        previous=posted.previous,
        status=posted.status,
        resource_type=resource_type,
        resource_id=resource_id,
        business_unit_id=unit,
        visible_to=frozenset(address.lower() for address in posted.visible_to)
        if posted.visible_to is not None
        else None,
        is_public=posted.is_public,
        occurred_at=posted.occurred_at if posted.occurred_at is not None else now,
        warning=_schema_warning(kind, posted.data),
        api_key_id=actor.api_key_id,
        diff_model=kind.diff_model,
        diff_into=kind.diff_into,
        not_to=posted.not_to,
    )


def _known(organization_id: int, posted: Posted) -> tuple[KnownType, int | None]:
    """Find the type and the business unit, in memory first; what isn't there is looked up before it is refused."""
    table = kept_table(organization_id)
    found = _find(table, posted) if table else None
    if found is None:
        with hot_read() as door:
            table = table_of(door, organization_id)
        found = _find(table, posted)
    if found is None:
        raise Invalid(_unknown(table, posted)) if table else NotFound
    return found


def _find(table: RoutingTable, posted: Posted) -> tuple[KnownType, int | None] | None:
    kind = table.types.get(posted.type)
    if kind is None:
        return None
    if posted.business_unit is None:
        return kind, None
    unit = table.units.get(posted.business_unit)
    return None if unit is None else (kind, unit)


def _unknown(table: RoutingTable, posted: Posted) -> list[Problem]:
    if posted.type not in table.types:
        return [Problem("type", f"There is no event type {posted.type}. Add it, or install the pack that has it.")]
    return [Problem("business_unit", f"There is no business unit {posted.business_unit}. Add it first.")]


def _schema_warning(kind: KnownType, data: bytes) -> str | None:
    if kind.schema is None or kind.schema_mode is SchemaMode.OFF:
        return None
    found = schemas.problems(kind.schema, data)
    if not found:
        return None
    if kind.schema_mode is SchemaMode.REJECT:
        raise Invalid([Problem(f"data.{p.field}" if p.field else "data", p.message) for p in found])
    return "; ".join(f"{p.field}: {p.message}" for p in found)[:1000]


# --- finding them again


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event with its deliveries, newest first, and its business unit's external id."""

    event: Event
    business_unit: str | None
    deliveries: tuple[tuple[Delivery, str], ...]  # with the webhook's public id


def find(actor: Actor, public_id: str) -> FoundEvent:
    """Return one event with its deliveries. Raises `NotFound` for what the actor may not see."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        event = for_org(session, actor, Event).one(public_id)
        if not may_see(actor, event):
            raise NotFound
        query = (
            select(Delivery, Webhook.public_id)
            .join(Webhook, Webhook.id == Delivery.webhook_id)
            .where(Delivery.event_id == event.id)
            .order_by(Delivery.id.desc())
            .limit(1_000)
        )
        deliveries = tuple(session.execute(query))
        unit = _unit_name(session, event)
        session.expunge_all()
    return FoundEvent(event, unit, deliveries)


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as its page shows it."""

    event: Event
    unit: str | None  # its name
    title: str | None  # of the event type, when there still is one
    description: str | None
    published_by: str | None  # the API key, shortened; None: by hand, or the key is gone


def show(actor: Actor, public_id: str) -> EventView:
    """Return one event for its page. Raises `NotFound` for what the actor may not see."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    query = (
        select(Event, BusinessUnit.name, EventType.title, EventType.description, ApiKey.public_id, ApiKey.last_four)
        .outerjoin(BusinessUnit, BusinessUnit.id == Event.business_unit_id)
        .outerjoin(EventType, EventType.id == Event.event_type_id)
        .outerjoin(ApiKey, ApiKey.id == Event.api_key_id)
        .where(Event.organization_id == actor.organization_id, Event.public_id == public_id)
    )
    with read() as session:
        row = session.execute(query).first()
        if row is None or not may_see(actor, row[0]):
            raise NotFound
        session.expunge_all()
    event, unit, title, description, key, last_four = row
    return EventView(event, unit, title, description, f"prk_…{last_four}" if key else None)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What events are asked for; `before` and `after` are places: (created_at, id)."""

    type_name: str | None = None
    unit: str | None = None  # external id
    status: str | None = None
    from_at: int | None = None
    q: str | None = None  # an id of theirs
    include_tests: bool = True
    before: tuple[int, int] | None = None
    after: tuple[int, int] | None = None


ANY = EventQuery()


def page(actor: Actor, asked: EventQuery = ANY, limit: int = 50) -> list[Event]:
    """Return events the actor may see, newest first, and one more than `limit` where there is more.

    Those before the place, or with `after` the ones just newer than that, oldest first.
    """
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        found: list[Event] = list(session.scalars(matching(actor, asked).limit(min(limit, MOST_LISTED) + 1)))
        session.expunge_all()
    return found


def is_searched(text: str | None) -> bool:
    """Whether values are looked for, which takes its time: an event's id is looked up."""
    return bool(text) and not str(text).startswith("evt_")


def matching(actor: Actor, asked: EventQuery) -> Select[Event]:
    """Select what is asked for of what the actor may see, in order."""
    units = select(BusinessUnit.id).where(BusinessUnit.external_id == asked.unit)
    conditions = [
        Event.organization_id == actor.organization_id,
        None if actor.view.sees_everything else visible(actor),
        Event.type == asked.type_name if asked.type_name is not None else None,
        Event.business_unit_id.in_(units) if asked.unit is not None else None,
        Event.status == asked.status if asked.status is not None else None,
        Event.created_at >= asked.from_at if asked.from_at is not None else None,
        named(asked.q) if asked.q else None,
        None if asked.include_tests else ~Event.is_test,
        _beside(asked),
    ]
    query = select(Event).where(*[condition for condition in conditions if condition is not None])
    keys = (Event.created_at, Event.id)
    return query.order_by(*[key.asc() if asked.after is not None else key.desc() for key in keys])


def _beside(asked: EventQuery) -> ColumnElement[bool] | None:
    """What lies beside a place, in a form that both databases find by an index."""
    place = tuple_(Event.created_at, Event.id)
    if asked.after is not None:
        return place > tuple_(*[literal(part) for part in asked.after])
    if asked.before is not None:
        return place < tuple_(*[literal(part) for part in asked.before])
    return None


def named(text: str) -> ColumnElement[bool]:
    """The events with this id: their own, their producer's, or that of their resource."""
    return or_(Event.public_id == text, Event.producer_id == text, Event.resource_id == text)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of an event at the webhooks: how many deliveries succeeded, are under way, failed, were not sent."""

    delivered: int = 0
    under_way: int = 0
    failed: int = 0
    not_sent: int = 0


_PLACES = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "under_way",
    DeliveryState.SENDING: "under_way",
    DeliveryState.FAILED: "failed",
    DeliveryState.CANCELED: "not_sent",
    DeliveryState.SKIPPED: "not_sent",
}


def tally(rows: Sequence[Event]) -> dict[int, Tally]:
    """Count the deliveries of events already found, by the event's row id, in one query; replays count too."""
    query = (
        select(Delivery.event_id, Delivery.state, func.count())
        .where(Delivery.event_id.in_([row.id for row in rows]))
        .group_by(Delivery.event_id, Delivery.state)
    )
    counts: dict[int, dict[str, int]] = {}
    with read() as session:
        for event_id, state, count in session.execute(query) if rows else ():
            of = counts.setdefault(event_id, {})
            of[_PLACES[state]] = of.get(_PLACES[state], 0) + count
    return {event_id: Tally(**of) for event_id, of in counts.items()}


def unit_names(rows: Sequence[Event]) -> dict[int, str]:
    """Return the names of the business units of events already found, by row id."""
    wanted = {row.business_unit_id for row in rows if row.business_unit_id is not None}
    query = select(BusinessUnit.id, BusinessUnit.name).where(BusinessUnit.id.in_(wanted))
    with read() as session:
        return dict(session.execute(query).all()) if wanted else {}


def visible(actor: Actor) -> ColumnElement[bool]:
    """The events an actor sees who doesn't see all: those of their business units, of none, or addressed to them."""
    units = select(MembershipUnit.business_unit_id).where(MembershipUnit.membership_id == actor.membership_id)
    mine = Event.visible_to.is_(None) & (Event.business_unit_id.is_(None) | Event.business_unit_id.in_(units))
    return mine | type_coerce(Event.visible_to, Text).contains(f'"{actor.view.email}"', autoescape=True)


def may_see(actor: Actor, event: Event) -> bool:
    """Whether the actor sees an event: its business unit is theirs, or it was addressed to them."""
    visible_to = frozenset(event.visible_to) if event.visible_to is not None else None
    return actor.view.includes(event.business_unit_id, visible_to)


def _unit_name(session: Session, event: Event) -> str | None:
    if event.business_unit_id is None:
        return None
    return session.scalar(select(BusinessUnit.external_id).where(BusinessUnit.id == event.business_unit_id))
