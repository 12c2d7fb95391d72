"""Every organization of this installation, for its operators: the list, new ones, other names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from app import clock
from app.core.access import Scope
from app.core.passwords import email_problem
from app.core.texts import is_name
from app.database import read, write
from app.errors import Invalid, NotFound, Problem
from app.models import Event, Membership, Organization, User, Webhook
from app.services import api_keys, audit, invitations
from app.services.organizations import FIRST_KEY, LONGEST_NAME, as_admin, create, name_problems, new_user
from app.services.scope import Actor, system_actor

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Listed:
    """An organization with how many belong to it; events are counted up to `COUNTED`."""

    id: str
    name: str
    created_at: int
    members: int
    webhooks: int
    events: int
    row_id: int


@dataclass(frozen=True, slots=True)
class Added:
    """A new organization; the key is shown this once. `to_invite` is its admin, None for who has a password."""

    organization: Listed
    to_invite: str | None
    api_key: str | None


def list_all(operator: Actor, *, only: str | None = None) -> list[Listed]:
    """Return every organization by name, or `only` the one with this id."""
    operator.require_operator()
    mine = Organization.id
    members = select(func.count(Membership.id)).where(Membership.organization_id == mine).scalar_subquery()
    hooks = select(func.count(Webhook.id)).where(Webhook.organization_id == mine, Webhook.deleted_at.is_(None))
    with read() as session:
        query = select(Organization, members, hooks.scalar_subquery()).order_by(Organization.name, Organization.id)
        rows = session.execute(query if only is None else query.where(Organization.public_id == only)).all()
        return [
            Listed(row.public_id, row.name, row.created_at, people, webhooks, _count_events(session, row.id), row.id)
            for row, people, webhooks in rows
        ]


def _count_events(session: Session, organization: int) -> int:
    counted = select(Event.id).where(Event.organization_id == organization).limit(COUNTED)
    return session.scalar(select(func.count()).select_from(counted.subquery())) or 0


def find(operator: Actor, public_id: str) -> Listed:
    """Return one organization. Raises `NotFound`."""
    found = list_all(operator, only=public_id)
    if not found:
        raise NotFound
    return found[0]


def add(operator: Actor, name: str, email: str, admin: str, *, with_key: bool = False) -> Added:
    """Add an organization with its first admin; `with_key` adds an API key that may do everything in it.

    `admin` is their name, for when the e-mail is new here. Raises `Invalid`.
    """
    operator.require_operator()
    name, email, admin = name.strip(), email.strip().lower(), admin.strip()
    problems = name_problems("organization", name)
    if words := email_problem(email):
        problems.append(Problem("email", words))
    if not is_name(admin, LONGEST_NAME):
        problems.append(Problem("name", f"Give a name of 1 to {LONGEST_NAME} characters."))
    if problems:
        raise Invalid(problems)
    now = clock.now()
    with write() as session:
        organization = create(session, name, now)
        user = session.scalar(select(User).where(User.email == email)) or new_user(email, admin, None, now)
        member = as_admin(session, organization, user, now)
        actor = replace(operator, organization_id=organization.id)
        audit.record(session, actor, "organization.created", organization)
        audit.record(session, actor, "member.added", user, {"role": (None, member.role.name)})
        everything = replace(system_actor(organization.id), name=operator.name, public_id=operator.public_id)
        key = api_keys.add(session, everything, FIRST_KEY, [Scope.ADMIN], None, now).key if with_key else None
        shown = Listed(organization.public_id, name, now, 1, 0, 0, organization.id)
        return Added(shown, member.public_id if user.password_hash is None else None, key)


def invitation_of(operator: Actor, member: str) -> str:
    """Return a link for the admin of a new organization."""
    operator.require_operator()
    with read() as session:
        found = session.scalar(select(Membership).where(Membership.public_id == member))
        if found is None:
            raise NotFound
        organization = found.organization_id
    return invitations.link_for(system_actor(organization), member)


def rename(operator: Actor, public_id: str, name: str) -> None:
    """Give any organization another name. Raises `Invalid`, `NotFound`."""
    operator.require_operator()
    name = name.strip()
    if problems := name_problems("name", name):
        raise Invalid(problems)
    with write() as session:
        organization = session.scalar(select(Organization).where(Organization.public_id == public_id))
        if organization is None:
            raise NotFound
        before, organization.name = organization.name, name
        if before != name:
            actor = replace(operator, organization_id=organization.id)
            audit.record(session, actor, "organization.renamed", organization, {"name": (before, name)})
