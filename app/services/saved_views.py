"""Saved views: filters of Log History that a member keeps under a name. Nobody else sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import func, select

from app import clock, ids
from app.core.access import Permission
from app.core.texts import is_name
from app.database import read, write
from app.errors import Invalid, NotFound, Problem, Refused
from app.models import Membership, SavedView
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

LONGEST_NAME = 60
LONGEST_QUERY = 4_000
MOST_VIEWS = 50


@dataclass(frozen=True, slots=True)
class View:
    """A view: `query` is that of the log's address, without a question mark."""

    id: str
    name: str
    query: str
    created_at: int
    row_id: int


def keeper(actor: Actor, member: str) -> Actor:
    """Return the actor as one who keeps the views of this member. Raises `NotFound`."""
    actor.require(Permission.MEMBERS)
    with read() as session:
        return replace(actor, membership_id=for_org(session, actor, Membership).one(member).id)


def list_all(actor: Actor) -> tuple[View, ...]:
    """Return the actor's own views by name; an API key has none."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        return tuple(_view(row) for row in session.scalars(_mine(actor).order_by(SavedView.name)))


def find(actor: Actor, public_id: str) -> View:
    """Return one view. Raises `NotFound` for anybody else's."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        return _view(_one(session, actor, public_id))


def create(actor: Actor, name: str, query: str) -> View:
    """Keep filters, the query of the log's address, under a name.

    Raises `Invalid` for a name that is taken or too long, and for no filters.
    """
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    if actor.membership_id is None:
        raise Refused("Views belong to a member: sign in to keep one.")
    query = urlencode(sorted(parse_qsl(query)))  # the same whatever order they were given in
    if not query or len(query) > LONGEST_QUERY:
        raise Invalid([Problem("name", "Set at least one filter, and fewer than this." if query else "Set a filter.")])
    with write() as session:
        name = _checked(session, actor, name)
        if (session.scalar(select(func.count()).select_from(_mine(actor).subquery())) or 0) >= MOST_VIEWS:
            raise Invalid([Problem("name", f"You have {MOST_VIEWS} views. Delete one first.")])
        row = SavedView(
            public_id=ids.new_id("view"),
            organization_id=actor.organization_id,
            membership_id=actor.membership_id,
            name=name,
            query=query,
            created_at=clock.now(),
        )
        session.add(row)
        session.flush()
        return _view(row)


def rename(actor: Actor, public_id: str, name: str) -> View:
    """Give a view another name. Raises `Invalid` as `create` does."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with write() as session:
        row = _one(session, actor, public_id)
        row.name = _checked(session, actor, name, other_than=row.id)
        return _view(row)


def delete(actor: Actor, public_id: str) -> View:
    """Delete a view and return what it was."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with write() as session:
        row = _one(session, actor, public_id)
        session.delete(row)
        return _view(row)


def _checked(session: Session, actor: Actor, name: str, other_than: int = 0) -> str:
    name = " ".join(name.split())
    if not is_name(name, LONGEST_NAME):
        raise Invalid([Problem("name", f"Give the view a name of 1 to {LONGEST_NAME} characters.")])
    if session.scalar(_mine(actor).where(SavedView.name == name, SavedView.id != other_than)) is not None:
        raise Invalid([Problem("name", f"You have a view {name} already. Choose another name.")])
    return name


def _mine(actor: Actor) -> Select[SavedView]:
    return select(SavedView).where(
        SavedView.organization_id == actor.organization_id, SavedView.membership_id == actor.membership_id
    )


def _one(session: Session, actor: Actor, public_id: str) -> SavedView:
    row = session.scalar(_mine(actor).where(SavedView.public_id == public_id))
    if row is None:
        raise NotFound
    return row


def _view(row: SavedView) -> View:
    return View(row.public_id, row.name, row.query, row.created_at, row.id)
