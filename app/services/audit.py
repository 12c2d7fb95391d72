"""The audit log: who changed what. It is added to and read, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import func, select, tuple_

from app import clock
from app.core import cursors
from app.core.access import Permission
from app.database import read
from app.errors import Invalid, Problem
from app.models import AuditEntry, Membership
from app.services.scope import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from app.models import User

MOST_LISTED = 200


class Named(Protocol):
    """Anything that can be named in the audit log."""

    @property
    def public_id(self) -> Any:
        """The id by which it is found."""

    @property
    def name(self) -> Any:
        """What people call it."""


def record(
    session: Session, actor: Actor, action: str, thing: Named, changes: Mapping[str, tuple[Any, Any]] | None = None
) -> None:
    """Put a change on record in the caller's transaction. Secrets appear as ("…", "changed"), never as themselves."""
    session.add(
        AuditEntry(
            organization_id=actor.organization_id,
            at=clock.now(),
            actor=actor.name,
            actor_id=actor.public_id,
            address=actor.address,
            action=action,
            object_name=thing.name,
            object_id=thing.public_id,
            changes={field: list(pair) for field, pair in (changes or {}).items()},
        )
    )


def record_own(session: Session, user: User, action: str, address: str | None) -> None:
    """Put on record what a user did to their own account, in each of their organizations."""
    for membership in session.scalars(select(Membership).where(Membership.user_id == user.id)):
        actor = Actor(membership.organization_id, user.name, frozenset(), public_id=user.public_id, address=address)
        record(session, actor, action, user)


# --- reading it


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: `fields` holds what each setting was and became."""

    at: int
    actor: str
    actor_id: str | None
    address: str | None
    action: str
    object_name: str
    object_id: str
    fields: tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are asked for. `object` is a public id or the name as it was; from `since`, before `until`."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: int | None = None
    until: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first; `next` is the cursor of the following page."""

    entries: tuple[Entry, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """Whom and what one can ask for."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]


def page(actor: Actor, asked: AuditQuery, *, limit: int = 50) -> Page:
    """Return what was changed in the organization, newest first. Raises `Invalid` for an unreadable cursor."""
    actor.require(Permission.AUDIT)
    limit = max(1, min(limit, MOST_LISTED))
    query = _matching(actor, asked).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit + 1)
    with read() as session:
        rows = session.scalars(query).all()
        more = cursors.encode(rows[limit - 1].at, rows[limit - 1].id) if len(rows) > limit else None
        return Page(tuple(_shown(row) for row in rows[:limit]), more)


def choices(actor: Actor) -> Choices:
    """Return who changed something, and which kinds of change there were."""
    actor.require(Permission.AUDIT)
    with read() as session:
        return Choices(*(tuple(sorted(session.scalars(_distinct(actor, name)))) for name in ("actor", "action")))


def _distinct(actor: Actor, name: str) -> Select[str]:
    query = select(func.distinct(getattr(AuditEntry, name)))
    return query.where(AuditEntry.organization_id == actor.organization_id)


def _matching(actor: Actor, asked: AuditQuery) -> Select[AuditEntry]:
    query = select(AuditEntry).where(AuditEntry.organization_id == actor.organization_id)
    if asked.actor:
        query = query.where(AuditEntry.actor == asked.actor)
    if asked.action:
        query = query.where(AuditEntry.action == asked.action)
    if asked.object:
        query = query.where((AuditEntry.object_id == asked.object) | (AuditEntry.object_name == asked.object))
    if asked.since is not None:
        query = query.where(AuditEntry.at >= asked.since)
    if asked.until is not None:
        query = query.where(AuditEntry.at < asked.until)
    if asked.cursor:
        query = query.where(tuple_(AuditEntry.at, AuditEntry.id) < _place(asked.cursor))
    return query


def _place(cursor: str) -> tuple[int, int]:
    try:
        return cursors.decode(cursor)
    except ValueError as error:
        raise Invalid([Problem("cursor", str(error))]) from error


def _shown(row: AuditEntry) -> Entry:
    return Entry(
        at=row.at,
        actor=row.actor,
        actor_id=row.actor_id,
        address=row.address,
        action=row.action,
        object_name=row.object_name,
        object_id=row.object_id,
        fields=tuple((name, *pair) for name, pair in row.changes.items()),
    )
