"""Browsers in which people are signed in: what a sign-in leaves behind, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from app import clock, ids
from app.core.browsers import named
from app.database import is_unavailable, read, write
from app.errors import NotFound, Unavailable
from app.models import BrowserSession, User
from app.services import audit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

IDLE_MS = 8 * 3_600_000
LONGEST_MS = 7 * 86_400_000
KEPT_MS = 30 * 86_400_000
NOTED_EVERY_MS = 60_000
LONGEST_AGENT = 400


@dataclass(frozen=True, slots=True)
class BrowserView:
    """A browser in which somebody is signed in, as shown."""

    id: str
    name: str
    """Browser and system, in words."""
    user_agent: str
    address: str | None
    created_at: int
    last_seen_at: int


def begin(user_id: int, user_agent: str, address: str | None) -> str:
    """Note that a user signed in somewhere; return the session's public id. `user_id` is that of the row."""
    now, public_id = clock.now(), ids.new_id("ses")
    with write() as session:
        session.add(
            BrowserSession(
                public_id=public_id,
                user_id=user_id,
                address=address,
                user_agent="".join(each for each in user_agent if each.isprintable())[:LONGEST_AGENT],
                created_at=now,
                last_seen_at=now,
            )
        )
    return public_id


def note_use(public_id: str, now: int) -> None:
    """Note that a session was used. A database that is busy or full is left alone: the next use is noted then."""
    try:
        with write(patience=1.0) as session:
            mine = BrowserSession.public_id == public_id
            session.execute(update(BrowserSession).where(mine).values(last_seen_at=now))
            whose = select(BrowserSession.user_id).where(mine).scalar_subquery()
            session.execute(update(User).where(User.id == whose).values(last_seen_at=now))
    except Exception as error:
        if not isinstance(error, Unavailable) and not is_unavailable(error):
            raise


def list_all(user_id: str) -> list[BrowserView]:
    """Return where the user with this public id is signed in, the browser used last first."""
    now = clock.now()
    query = select(BrowserSession).join(User, User.id == BrowserSession.user_id).where(User.public_id == user_id)
    alive = query.where(BrowserSession.created_at >= now - LONGEST_MS, BrowserSession.last_seen_at >= now - IDLE_MS)
    with read() as session:
        rows = session.scalars(alive.order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id.desc()))
        return [
            BrowserView(
                row.public_id, named(row.user_agent), row.user_agent, row.address, row.created_at, row.last_seen_at
            )
            for row in rows
        ]


def end(public_id: str) -> None:
    """End a session; nothing happens when it ended before."""
    with write() as session:
        session.execute(delete(BrowserSession).where(BrowserSession.public_id == public_id))


def end_one(user_id: str, public_id: str, address: str | None) -> None:
    """End one of the user's own sessions. Raises `NotFound`, also for somebody else's."""
    with write() as session:
        user = _user(session, user_id)
        row = session.scalar(
            select(BrowserSession).where(BrowserSession.user_id == user.id, BrowserSession.public_id == public_id)
        )
        if row is None:
            raise NotFound
        session.delete(row)
        audit.record_own(session, user, "user.signed_out_elsewhere", address)


def end_others(user_id: str, but: str, address: str | None) -> int:
    """End the user's sessions `but` this one; return how many there were."""
    with write() as session:
        user = _user(session, user_id)
        others = BrowserSession.user_id == user.id, BrowserSession.public_id != but
        ended = session.scalars(select(BrowserSession.id).where(*others)).all()
        session.execute(delete(BrowserSession).where(BrowserSession.id.in_(ended)))
        if ended:
            audit.record_own(session, user, "user.signed_out_elsewhere", address)
        return len(ended)


def end_all(session: Session, user: User) -> None:
    """End every session of a user, in the caller's transaction."""
    session.execute(delete(BrowserSession).where(BrowserSession.user_id == user.id))


def _user(session: Session, user_id: str) -> User:
    user = session.scalar(select(User).where(User.public_id == user_id))
    if user is None:
        raise NotFound
    return user
