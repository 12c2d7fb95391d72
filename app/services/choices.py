"""What can be chosen in a webhook's form: kinds of event, business units, owners, fields of companies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import CompoundSelect, Select, cast, null, select, union_all
from sqlalchemy.orm import joinedload

from app.core.access import Permission
from app.database import read
from app.models import BusinessUnit, Company, EventType, Membership, User
from app.models.types import Json

if TYPE_CHECKING:
    from app.services.scope import Actor

COMPANIES_READ = 1_000


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """An event type under the name that events of it carry."""

    name: str
    description: str
    example: bytes
    listed: str
    """Its name in the catalogue, which a public variant doesn't have."""


@dataclass(frozen=True, slots=True)
class OwnerChoice:
    """A member who can own a webhook, and in words what they may see."""

    email: str
    name: str
    sees: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything the form offers besides free text."""

    kinds: tuple[tuple[str, tuple[TypeChoice, ...]], ...]
    units: tuple[tuple[str, str], ...]
    """External id and name."""
    owners: tuple[OwnerChoice, ...]
    fields: tuple[str, ...]
    """Names of the fields that companies have."""

    @property
    def types(self) -> dict[str, TypeChoice]:
        """Every type by its name, public variants included."""
        return {each.name: each for _, types in self.kinds for each in types}


def choices(actor: Actor) -> Choices:
    """Return what the actor can choose from. Owners: everybody for who manages members, else only oneself."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        types = session.scalars(
            select(EventType).where(EventType.organization_id == actor.organization_id).order_by(EventType.id)
        ).all()
        kinds: dict[str, list[TypeChoice]] = {}
        for kind in types:
            kinds.setdefault(kind.kind, []).extend(_choices_of(kind))
        units = session.execute(_units_and_fields(actor)).all()
        return Choices(
            kinds=tuple((kind, tuple(found)) for kind, found in kinds.items()),
            units=tuple((external_id, name) for external_id, name, _ in units if external_id is not None),
            owners=tuple(_owner(member) for member in session.scalars(_members(actor)).unique()),
            fields=tuple(sorted({name for _, _, fields in units for name in fields or ()})),
        )


def _units_and_fields(actor: Actor) -> CompoundSelect[Any]:
    """External id and name of every unit, by name; and the fields of companies, in rows without these."""
    units = select(BusinessUnit.external_id, BusinessUnit.name, cast(null(), Json)).where(
        BusinessUnit.organization_id == actor.organization_id
    )
    fields = select(Company.fields).where(Company.organization_id == actor.organization_id).limit(COMPANIES_READ)
    read_fields = fields.subquery()
    both = union_all(units, select(null(), null(), read_fields.c.fields))
    return both.order_by(both.selected_columns[1])


def _choices_of(kind: EventType) -> list[TypeChoice]:
    found = [TypeChoice(kind.name, kind.description, bytes(kind.example), kind.name)]
    if kind.public_name:
        words = f"{kind.title}, published as public."
        found.append(TypeChoice(kind.public_name, words, bytes(kind.example), kind.name))
    return found


def _members(actor: Actor) -> Select[Membership]:
    query = (
        select(Membership)
        .join(User, User.id == Membership.user_id)
        .where(Membership.organization_id == actor.organization_id)
        .options(joinedload(Membership.user), joinedload(Membership.role), joinedload(Membership.units))
        .order_by(User.name)
    )
    return query if actor.may(Permission.MEMBERS) else query.where(Membership.id == actor.membership_id)


def _owner(member: Membership) -> OwnerChoice:
    if member.view.sees_everything:
        return OwnerChoice(member.user.email, member.user.name, f"{member.user.name} sees everything.")
    units = ", ".join(sorted(unit.name for unit in member.units))
    sees = f"{units}, and " if units else ""
    words = f"Sends only what this person may see: {sees}events of no unit or addressed to {member.user.name}."
    return OwnerChoice(member.user.email, member.user.name, words)
