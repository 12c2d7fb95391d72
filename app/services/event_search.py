"""Events by a value of theirs: the keys that the catalogue calls searchable, looked at for two seconds at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, select

from app.core.access import Permission
from app.database import read
from app.models import Event, EventType
from app.services import events
from app.services.inside import SLICE, Patience, holds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from app.services.events import EventQuery
    from app.services.scope import Actor

Keys = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """Events, newest first; `looked_to` is the place where time ran out, to go on from (None: it didn't)."""

    rows: list[Event]
    looked_to: tuple[int, int] | None


def searchable(actor: Actor) -> Keys:
    """Return the searchable keys by event type, public variants included; none for who may not see payloads."""
    if not actor.may(Permission.PAYLOADS):
        return {}
    query = select(EventType.name, EventType.public_name, EventType.searchable)
    with read() as session:
        rows = session.execute(query.where(EventType.organization_id == actor.organization_id)).all()
    return {name: tuple(row.searchable) for row in rows for name in row[:2] if row.searchable and name}


def search(actor: Actor, asked: EventQuery, keys: Keys, limit: int = 50) -> Found:
    """Return events that have `asked.q` as an id or as the value of a searchable key.

    Goes from new to old; one more than `limit` is returned where there is more.
    """
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    text, patience = asked.q or "", Patience.begin()
    rest = replace(asked, q=None, after=None)
    found: list[int] = []
    while True:
        with read() as session:
            some = _slice(session, actor, rest, text, keys)
            found += _holding(session, some, text, keys)
        is_all = len(some) < SLICE
        if is_all or len(found) > limit or patience.is_over:
            break
        rest = replace(rest, before=(some[-1].created_at, some[-1].id))
    rows = _loaded(found[: limit + 1])
    return Found(rows, None if is_all or len(found) > limit else (some[-1].created_at, some[-1].id))


def _slice(session: Session, actor: Actor, rest: EventQuery, text: str, keys: Keys) -> Sequence[Any]:
    columns = (
        Event.id,
        Event.created_at,
        Event.type,
        events.named(text).label("is_named"),
        and_(Event.type.in_(keys), holds(Event.data, text)).label("may_hold"),
    )
    return session.execute(events.matching(actor, rest).with_only_columns(*columns).limit(SLICE)).all()


def _holding(session: Session, some: Sequence[Any], text: str, keys: Keys) -> list[int]:
    maybe = [row.id for row in some if row.may_hold and not row.is_named]
    data = dict(session.execute(select(Event.id, Event.data).where(Event.id.in_(maybe))).all()) if maybe else {}
    return [
        row.id
        for row in some
        if row.is_named or (row.id in data and has_value(bytes(data[row.id]), keys[row.type], text))
    ]


def _loaded(ids: Sequence[int]) -> list[Event]:
    with read() as session:
        rows = {row.id: row for row in session.scalars(select(Event).where(Event.id.in_(ids)))} if ids else {}
        session.expunge_all()
    return [rows[row_id] for row_id in ids if row_id in rows]


def has_value(data: bytes, paths: Sequence[str], text: str) -> bool:
    """Whether one of the dotted paths leads to this value; lists are looked through, numbers written plainly."""
    found = orjson.loads(data)
    return any(text in _texts(found, path.split(".")) for path in paths)


def _texts(value: Any, path: Sequence[str]) -> list[str]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each, path)]
    if path:
        return _texts(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []
    return [] if isinstance(value, dict) or value is None else [value if isinstance(value, str) else _written(value)]


def _written(value: Mapping[str, Any] | float | bool) -> str:
    return orjson.dumps(value).decode()
