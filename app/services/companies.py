"""Companies: whose extra fields are reported with the events of their business unit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from app import clock, ids
from app.core.access import Permission
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import AuditEntry, BusinessUnit, Company, Webhook
from app.services import audit
from app.services.business_units import check_external_id, checked_name, row_of
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

MOST_LISTED = 250
MOST_FIELDS = 200
LARGEST_FIELDS = 64 * 1024


@dataclass(frozen=True, slots=True)
class CompanyView:
    """A company as it is shown."""

    external_id: str
    business_unit: str  # its external id
    name: str
    fields: dict[str, Any]
    created_at: int
    updated_at: int
    row_id: int


def page(actor: Actor, unit: str, *, limit: int = 50, after: int | None = None) -> list[CompanyView]:
    """Return a unit's companies in the order they were added, from behind row `after`; one more than `limit`."""
    actor.require(Permission.DIRECTORY, Permission.WEBHOOKS)
    with read() as session:
        found = row_of(session, actor, unit)
        query = select(Company).where(Company.business_unit_id == found.id)
        if after is not None:
            query = query.where(Company.id > after)
        rows = session.scalars(query.order_by(Company.id).limit(min(limit, MOST_LISTED) + 1))
        return [_view(row, unit) for row in rows]


def find(actor: Actor, unit: str, external_id: str) -> CompanyView:
    """Return one company of a unit."""
    actor.require(Permission.DIRECTORY, Permission.WEBHOOKS)
    with read() as session:
        return _view(_row_of(session, actor, unit, external_id), unit)


def unit_of(actor: Actor, external_id: str) -> str:
    """Return the external id of the business unit that a company belongs to."""
    actor.require(Permission.DIRECTORY)
    query = select(BusinessUnit.external_id).join(Company, Company.business_unit_id == BusinessUnit.id)
    query = query.where(Company.organization_id == actor.organization_id, Company.external_id == external_id)
    with read() as session:
        found = session.scalar(query)
    if found is None:
        raise NotFound
    return found


def changed_by(actor: Actor, external_id: str) -> str | None:
    """Return who said last what is known of a company, a member or an API key; None: it isn't on record any more."""
    actor.require(Permission.DIRECTORY, Permission.WEBHOOKS)
    query = select(AuditEntry.actor).join(Company, Company.public_id == AuditEntry.object_id)
    query = query.where(Company.organization_id == actor.organization_id, Company.external_id == external_id)
    with read() as session:
        return session.scalar(query.order_by(AuditEntry.id.desc()).limit(1))


def is_known(actor: Actor, external_id: str) -> bool:
    """Whether the organization has a company with this external id, in whatever unit."""
    actor.require(Permission.DIRECTORY)
    with read() as session:
        query = for_org(session, actor, Company).query().where(Company.external_id == external_id)
        return session.scalar(query) is not None


def reporters(actor: Actor, unit: str) -> dict[str, tuple[str, ...]]:
    """Return, by field, the names of the webhooks that report it with the events of this unit."""
    actor.require(Permission.DIRECTORY)
    with read() as session:
        home = row_of(session, actor, unit)
        query = for_org(session, actor, Webhook).query().options(selectinload(Webhook.units)).order_by(Webhook.name)
        found: dict[str, tuple[str, ...]] = {}
        for webhook in session.scalars(query):
            if not webhook.units or any(each.id == home.id for each in webhook.units):
                for field in webhook.extra_fields:
                    found[field] = (*found.get(field, ()), webhook.name)
        return found


def put(actor: Actor, unit: str, external_id: str, name: str, fields: Mapping[str, Any]) -> tuple[CompanyView, bool]:
    """Add a company to a unit, or replace what is known of it; return it and whether it is new.

    Raises `Conflict` when the company belongs to another unit.
    """
    actor.require(Permission.DIRECTORY)
    check_external_id(external_id)
    name = checked_name(name)
    kept = checked_fields(fields)
    now = clock.now()
    with write() as session:
        found = _locked(session, row_of(session, actor, unit))
        company = session.scalar(for_org(session, actor, Company).query().where(Company.external_id == external_id))
        is_new = company is None
        if company is None:
            company = Company(
                public_id=ids.new_id("cmp"),
                organization_id=actor.organization_id,
                business_unit_id=found.id,
                external_id=external_id,
                name=name,
                fields=kept,
                created_at=now,
                updated_at=now,
            )
            session.add(company)
            audit.record(session, actor, "company.created", company)
        elif company.business_unit_id != found.id:
            raise Conflict(f"The company {external_id} belongs to another business unit. Delete it there first.")
        else:
            _change(session, actor, company, name, kept, now)
        session.flush()
        return _view(company, unit), is_new


def delete(actor: Actor, unit: str, external_id: str) -> None:
    """Delete a company."""
    actor.require(Permission.DIRECTORY)
    with write() as session:
        company = _row_of(session, actor, unit, external_id)
        audit.record(session, actor, "company.deleted", company)
        session.delete(company)


def _locked(session: Session, unit: BusinessUnit) -> BusinessUnit:
    """Two that put the same company at once wait for each other here."""
    return session.scalars(select(BusinessUnit).where(BusinessUnit.id == unit.id).with_for_update()).one()


def _change(session: Session, actor: Actor, company: Company, name: str, fields: dict[str, Any], now: int) -> None:
    pairs = {"name": (company.name, name), "fields": (company.fields, fields)}
    changes = {each: pair for each, pair in pairs.items() if pair[0] != pair[1]}
    if changes:
        company.name, company.fields, company.updated_at = name, fields, now
        audit.record(session, actor, "company.edited", company, changes)


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields when they can be written into a payload again. Raises `Invalid`."""
    kept = dict(fields)
    problem = None
    if len(kept) > MOST_FIELDS:
        problem = f"There can be {MOST_FIELDS} fields."
    else:
        try:
            json.dumps(kept, allow_nan=False)
            if len(orjson.dumps(kept)) > LARGEST_FIELDS:
                problem = f"The fields are larger than {LARGEST_FIELDS >> 10} KiB."
        except (ValueError, TypeError, RecursionError):  # beyond 64 bits, 1e400, too deep
            problem = "A number in it is too large to be kept. Write it as text."
    if problem is not None:
        raise Invalid([Problem("fields", problem)])
    return kept


def _row_of(session: Session, actor: Actor, unit: str, external_id: str) -> Company:
    query = for_org(session, actor, Company).query().join(BusinessUnit, BusinessUnit.id == Company.business_unit_id)
    found = session.scalar(query.where(BusinessUnit.external_id == unit, Company.external_id == external_id))
    if found is None:
        raise NotFound(f"There is no company {external_id} in the business unit {unit}.")
    return found


def _view(row: Company, unit: str) -> CompanyView:
    return CompanyView(
        external_id=row.external_id,
        business_unit=unit,
        name=row.name,
        fields=dict(row.fields),
        created_at=row.created_at,
        updated_at=row.updated_at,
        row_id=row.id,
    )
