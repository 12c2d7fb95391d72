"""Business units: the parts of an organization that events belong to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Text, func, select, type_coerce, update

from app import clock, ids
from app.core.access import Permission
from app.core.texts import is_name
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import BusinessUnit, Company, Event, MembershipUnit, Webhook, WebhookUnit
from app.services import audit, routing
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LONGEST_ID = 100
LONGEST_NAME = 100
_EXTERNAL_ID = re.compile(r"[^\s/](?:[^/]*[^\s/])?")


@dataclass(frozen=True, slots=True)
class Unit:
    """A business unit as it is shown."""

    external_id: str
    name: str
    created_at: int
    row_id: int
    public_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A business unit with how many companies and members it has, and the webhooks that hear of it."""

    unit: Unit
    companies: int
    members: int
    bound: tuple[str, ...]
    """Names of the webhooks that chose it."""
    listening: int
    """Webhooks that chose it or hear of all units."""


def list_all(actor: Actor, *, only: str | None = None) -> list[Unit]:
    """Return all business units by name, or `only` the one with this external id."""
    actor.require(Permission.DIRECTORY, Permission.WEBHOOKS, Permission.MEMBERS)
    with read() as session:
        query = for_org(session, actor, BusinessUnit).query().order_by(BusinessUnit.name, BusinessUnit.id)
        if only is not None:
            query = query.where(BusinessUnit.external_id == only)
        return [_view(row) for row in session.scalars(query)]


def names(actor: Actor) -> dict[int, str]:
    """Return the external ids of all business units by row."""
    with read() as session:
        query = select(BusinessUnit.id, BusinessUnit.external_id)
        return dict(session.execute(query.where(BusinessUnit.organization_id == actor.organization_id)).all())


def find(actor: Actor, external_id: str) -> Unit:
    """Return one business unit."""
    actor.require(Permission.DIRECTORY, Permission.WEBHOOKS)
    with read() as session:
        return _view(row_of(session, actor, external_id))


def overview(actor: Actor, *, only: str | None = None) -> list[Listed]:
    """Return all business units by name, or `only` one, with their counts, in five queries however many there are."""
    units = list_all(actor, only=only)
    with read() as session:
        companies = _counted(session, Company.business_unit_id, units)
        members = _counted(session, MembershipUnit.business_unit_id, units)
        mine = (Webhook.organization_id == actor.organization_id) & Webhook.deleted_at.is_(None)
        chosen = session.execute(
            select(WebhookUnit.business_unit_id, Webhook.name)
            .join(Webhook, Webhook.id == WebhookUnit.webhook_id)
            .where(mine)
            .order_by(Webhook.name)
        ).all()
        bound_to_some = select(WebhookUnit.webhook_id)
        of_all = session.scalar(select(func.count()).select_from(Webhook).where(mine, Webhook.id.not_in(bound_to_some)))
    return [
        Listed(
            unit=unit,
            companies=companies.get(unit.row_id, 0),
            members=members.get(unit.row_id, 0),
            bound=(bound := tuple(name for row_id, name in chosen if row_id == unit.row_id)),
            listening=len(bound) + (of_all or 0),
        )
        for unit in units
    ]


def usage(actor: Actor, external_id: str) -> Listed:
    """Return one business unit with its counts. Raises `NotFound`."""
    found = overview(actor, only=external_id)
    if not found:
        raise NotFound
    return found[0]


def _counted(session: Session, column: Any, units: list[Unit]) -> dict[int, int]:
    query = select(column, func.count()).where(column.in_([unit.row_id for unit in units])).group_by(column)
    return dict(session.execute(query).all())


def put(actor: Actor, external_id: str, name: str) -> tuple[Unit, bool]:
    """Add a business unit, or rename the one there is; return it and whether it is new."""
    actor.require(Permission.DIRECTORY)
    check_external_id(external_id)
    name = checked_name(name)
    with write() as session:
        routing.bump(session, actor.organization_id)
        session.flush()  # two that put the same unit at once wait for each other here
        unit = _found(session, actor, external_id)
        is_new = unit is None
        if unit is None:
            unit = BusinessUnit(
                public_id=ids.new_id("bun"),
                organization_id=actor.organization_id,
                external_id=external_id,
                name=name,
                created_at=clock.now(),
            )
            session.add(unit)
            audit.record(session, actor, "business_unit.created", unit)
        elif unit.name != name:
            before, unit.name = unit.name, name
            audit.record(session, actor, "business_unit.edited", unit, {"name": (before, name)})
        session.flush()
        return _view(unit), is_new


def delete(actor: Actor, external_id: str) -> None:
    """Delete a business unit and its companies. Raises `Conflict` while a webhook is bound to it.

    Its events stay, for those who see everything: without a unit they would be anybody's.
    """
    actor.require(Permission.DIRECTORY)
    with write() as session:
        unit = row_of(session, actor, external_id)
        bound = session.scalars(_webhooks_bound_to(unit)).all()
        if bound:
            raise Conflict(f"The webhook {bound[0]} is bound to it. Change the webhook first.")
        session.execute(
            update(Event)
            .where(Event.organization_id == actor.organization_id, Event.business_unit_id == unit.id)
            .values(business_unit_id=None, visible_to=func.coalesce(type_coerce(Event.visible_to, Text), "[]"))
            .execution_options(synchronize_session=False)
        )
        audit.record(session, actor, "business_unit.deleted", unit)
        routing.bump(session, actor.organization_id)
        session.delete(unit)
    routing.forget_all()  # publishing looks there first, and would name a unit that is gone


def row_of(session: Session, actor: Actor, external_id: str) -> BusinessUnit:
    """Return the row of a business unit. Raises `NotFound`."""
    unit = _found(session, actor, external_id)
    if unit is None:
        raise NotFound(f"There is no business unit {external_id}.")
    return unit


def check_external_id(external_id: str) -> None:
    """Raise `Invalid` for an id that could not stand in an address or not be seen."""
    fits = _EXTERNAL_ID.fullmatch(external_id) and external_id not in {".", ".."}
    if not fits or len(external_id) > LONGEST_ID or not external_id.isprintable():
        message = f"An external id has 1 to {LONGEST_ID} visible characters, no slash, and no blank at its ends."
        raise Invalid([Problem("external_id", message)])


def checked_name(name: str) -> str:
    """Return a name without blanks at its ends. Raises `Invalid`."""
    name = name.strip()
    if not is_name(name, LONGEST_NAME):
        raise Invalid([Problem("name", f"A name has 1 to {LONGEST_NAME} visible characters.")])
    return name


def _found(session: Session, actor: Actor, external_id: str) -> BusinessUnit | None:
    query = for_org(session, actor, BusinessUnit).query()
    return session.scalar(query.where(BusinessUnit.external_id == external_id))


def _webhooks_bound_to(unit: BusinessUnit) -> Select[str]:
    query = select(Webhook.name).join(WebhookUnit, WebhookUnit.webhook_id == Webhook.id)
    return query.where(WebhookUnit.business_unit_id == unit.id, Webhook.deleted_at.is_(None)).order_by(Webhook.name)


def _view(row: BusinessUnit) -> Unit:
    return Unit(row.external_id, row.name, row.created_at, row.id, row.public_id)
