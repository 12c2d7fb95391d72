"""What an organization settles for itself: its name, the preset of new webhooks, and how long its log is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.core.access import Permission
from app.core.texts import is_name
from app.database import read, write
from app.delivery.installed import installed
from app.errors import Invalid, Problem
from app.models import Membership, Organization, User
from app.services import audit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.services.scope import Actor

LONGEST_NAME = 100
DEFAULT_PRESET = "standard"
OWNER = "default_owner"


@dataclass(frozen=True, slots=True)
class OrganizationSettings:
    """The settings; None: as the operator has it, the preset `standard`, or whoever makes a webhook owns it.

    `default_owner` is a member's e-mail address.
    """

    name: str
    default_preset: str | None
    default_owner: str | None
    retention_days: int | None
    retention_failed_days: int | None


def find(actor: Actor) -> OrganizationSettings:
    """Return the settings of the actor's organization."""
    actor.require(Permission.SETTINGS)
    with read() as session:
        return _shown(session, session.get_one(Organization, actor.organization_id))


def change(actor: Actor, wanted: OrganizationSettings) -> None:
    """Make the settings these. Raises `Invalid`; days can only be fewer than the operator's."""
    actor.require(Permission.SETTINGS)
    wanted = replace(wanted, name=wanted.name.strip())
    problems = list(_problems(wanted))
    if problems:
        raise Invalid(problems)
    with write() as session:
        organization = session.get_one(Organization, actor.organization_id, with_for_update=True)
        before, after = asdict(_shown(session, organization)), asdict(wanted)
        changes = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        for name, (_, value) in changes.items():
            setattr(organization, name, _member_named(session, organization, value) if name == OWNER else value)
        renamed = {"name": changes.pop("name")} if "name" in changes else {}
        if renamed:
            audit.record(session, actor, "organization.renamed", organization, renamed)
        if changes:
            audit.record(session, actor, "organization.changed", organization, changes)


@dataclass(frozen=True, slots=True)
class Begins:
    """What the form of a new webhook begins with; `owner` is an e-mail address, empty for whoever makes it."""

    preset: str
    owner: str


def new_webhooks(actor: Actor) -> Begins:
    """Return what the organization chose for new webhooks. Who may choose no other owner owns what they make."""
    actor.require(Permission.WEBHOOKS)
    query = (
        select(Organization.default_preset, User.email)
        .outerjoin(
            Membership,
            (Membership.public_id == Organization.default_owner) & (Membership.organization_id == Organization.id),
        )
        .outerjoin(User, (User.id == Membership.user_id) & User.is_active)
        .where(Organization.id == actor.organization_id)
    )
    with read() as session:
        preset, owner = session.execute(query).one()
    known = preset if preset is not None and preset in installed().presets else DEFAULT_PRESET
    return Begins(known, owner if owner and actor.may(Permission.MEMBERS) else "")


def _problems(wanted: OrganizationSettings) -> list[Problem]:
    problems = []
    if not is_name(wanted.name, LONGEST_NAME):
        problems.append(Problem("name", f"Give the organization a name of 1 to {LONGEST_NAME} characters."))
    if wanted.default_preset is not None and wanted.default_preset not in installed().presets:
        problems.append(Problem("default_preset", f"There is no preset {wanted.default_preset}. Choose another."))
    operators = installed().settings
    for field in ("retention_days", "retention_failed_days"):
        days, most = getattr(wanted, field), getattr(operators, field)
        if days is not None and not 1 <= days <= most:
            problems.append(Problem(field, f"Enter 1 to {most} days: this server keeps nothing longer than {most}."))
    return problems


def default_owner(session: Session, organization: Organization) -> Membership | None:
    """Return who owns new webhooks, in the caller's transaction; None: nobody was chosen, or may sign in no more."""
    member = select(Membership).join(User, User.id == Membership.user_id).where(User.is_active)
    member = member.where(Membership.organization_id == organization.id)
    return session.scalar(member.where(Membership.public_id == organization.default_owner))


def owners(actor: Actor) -> list[tuple[str, str]]:
    """Return who can be chosen, as e-mail address and name, by name."""
    actor.require(Permission.SETTINGS)
    query = select(User.email, User.name).join(Membership, Membership.user_id == User.id)
    query = query.where(Membership.organization_id == actor.organization_id, User.is_active).order_by(User.name)
    with read() as session:
        return [(email, name) for email, name in session.execute(query)]


def _member_named(session: Session, organization: Organization, email: str | None) -> str | None:
    if email is None:
        return None
    member = select(Membership.public_id).join(User, User.id == Membership.user_id).where(User.is_active)
    found = session.scalar(member.where(Membership.organization_id == organization.id, User.email == email.lower()))
    if found is None:
        raise Invalid([Problem(OWNER, f"Nobody here has the e-mail {email}, or they may not sign in.")])
    return found


def _shown(session: Session, row: Organization) -> OrganizationSettings:
    owner = default_owner(session, row)
    return OrganizationSettings(
        name=row.name,
        default_preset=row.default_preset,
        default_owner=owner.user.email if owner else None,
        retention_days=row.retention_days,
        retention_failed_days=row.retention_failed_days,
    )
