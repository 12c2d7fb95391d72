"""Texts inside payloads: looked for in the bytes, row after row, for two seconds at most.

Nothing is locked meanwhile: each slice is a short read of its own, and what it finds is loaded afterwards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ColumnElement, LargeBinary, func, literal, or_, select

from app.core import cursors
from app.core.access import Permission
from app.database import is_sqlite, read
from app.models import Delivery, Event, SentBody
from app.services import log, log_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from app.services.log import LogQuery, Page
    from app.services.scope import Actor

LONGEST_S = 2.0
SLICE = 250  # rows between two looks at the clock


def needles(text: str) -> tuple[bytes, ...]:
    """Return how a text may stand in JSON: as it is, and with everything beyond ASCII or special escaped."""
    plain = text.encode("utf-8", "surrogatepass")
    quoted = orjson.dumps(text.encode("utf-8", "ignore").decode())[1:-1]
    escaped = "".join(f"\\u{ord(char):04x}" if 0x7F < ord(char) < 0x10000 else char for char in quoted.decode())
    return tuple(dict.fromkeys((plain, quoted, escaped.encode())))


def holds(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a column of bytes has the text in it, upper and lower case told apart."""
    if is_sqlite():
        return or_(*[func.instr(column, literal(needle, LargeBinary)) > 0 for needle in needles(text)])
    return or_(*[func.pg_catalog.position(column, literal(needle, LargeBinary)) > 0 for needle in needles(text)])


@dataclass(slots=True)
class Patience:
    """The time that a search may take, in seconds."""

    until: float

    @classmethod
    def begin(cls) -> Patience:
        """Begin to lose it."""
        return cls(time.monotonic() + LONGEST_S)

    @property
    def is_over(self) -> bool:
        """Whether the search has to stop."""
        return time.monotonic() >= self.until


def page(actor: Actor, asked: LogQuery) -> Page:
    """Return a page of the log whose rows match by themselves or have `asked.q` in their payload.

    Where time ran out, `looked_to` says how far was looked, and the page goes on from there.
    """
    actor.require(Permission.PAYLOADS)
    limit = min(asked.limit, log.MOST_LISTED)
    patience = Patience.begin()
    found: list[int] = []
    last: tuple[int, int] | None = None
    rest = replace(asked, q=None, inside=False)
    is_all = False
    while len(found) <= limit and not is_all and not (last and patience.is_over):
        with read() as session:
            places = _places(session, actor, rest, asked.q or "")
            is_all = len(places) < SLICE
            if places:
                found += _hits(session, places, asked.q or "")
                last = (places[-1].created_at, places[-1].id)
                rest = replace(rest, cursor=cursors.encode(*last))
    return _page(actor, asked, found, limit, None if is_all or len(found) > limit else last)


def _places(session: Session, actor: Actor, rest: LogQuery, text: str) -> Sequence[Any]:
    """The next rows that the other filters reach, and whether each matches without its payload."""
    columns = (Delivery.id, Delivery.created_at, Delivery.event_id, log_query.searched(text).label("matches"))
    return session.execute(
        log_query.placed(log.matching(actor, rest).with_only_columns(*columns), rest, None).limit(SLICE)
    ).all()


def _hits(session: Session, places: Sequence[Any], text: str) -> list[int]:
    ids = {place.event_id for place in places if not place.matches}
    events = select(Event.id).where(Event.id.in_(ids), holds(Event.data, text))
    bodies = select(SentBody.event_id).where(
        SentBody.event_id.in_(ids), or_(holds(SentBody.head, text), holds(SentBody.tail, text))
    )
    hit = set(session.scalars(events.union(bodies))) if ids else set()
    return [place.id for place in places if place.matches or place.event_id in hit]


def _page(actor: Actor, asked: LogQuery, found: list[int], limit: int, stopped: tuple[int, int] | None) -> Page:
    has_more, chosen = len(found) > limit, found[:limit]
    with read() as session:
        query = log.matching(actor, log.LogQuery()).where(Delivery.id.in_(chosen))
        loaded = {row.row_id: row for row in session.execute(query)} if chosen else {}
    rows = [log.row_of(loaded[row_id]) for row_id in chosen if row_id in loaded]
    on = rows[-1].cursor if has_more and rows else cursors.encode(*stopped) if stopped else None
    if asked.newer:
        rows.reverse()
    back = rows[0].cursor if rows and asked.cursor else None
    return log.Page(
        rows=tuple(rows),
        older=rows[-1].cursor if asked.newer and rows else on,
        newer=(on if asked.newer else back),
        looked_to=stopped[0] if stopped else None,
        ran_out_of_time=stopped is not None,
    )
