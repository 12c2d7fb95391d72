"""How many of the last events a filter lets pass, before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.core import filters
from app.core.access import Permission
from app.core.routing import patterns_for
from app.database import read
from app.errors import Invalid, Problem
from app.models import Event
from app.services.events import visible

if TYPE_CHECKING:
    from collections.abc import Collection

    from app.services.scope import Actor

JUDGED = 20
LOOKED_AT = 500  # of the newest events, for those of the selected types


@dataclass(frozen=True, slots=True)
class Matched:
    """Of so many events that the webhook selects, so many pass; and why the newest that doesn't is left out."""

    passed: int
    of: int
    example: str = ""


def matches(actor: Actor, expression: str, patterns: Collection[str]) -> Matched:
    """Try a filter on the last 20 events of the selected types that the actor may see, tests left out.

    Raises `Invalid` for an expression that can't be used.
    """
    actor.require(Permission.WEBHOOKS)
    if wrong := filters.problem(expression):
        raise Invalid([Problem("filter", wrong)], wrong)
    wanted = set(patterns)
    newest = select(Event.type, Event.id).where(Event.organization_id == actor.organization_id, ~Event.is_test)
    if not actor.view.sees_everything:
        newest = newest.where(visible(actor))
    newest = newest.order_by(Event.created_at.desc(), Event.id.desc()).limit(LOOKED_AT)
    with read() as session:
        ids = [row.id for row in session.execute(newest) if wanted.intersection(patterns_for(row.type))][:JUDGED]
        rows = session.execute(select(Event.id, Event.data).where(Event.id.in_(ids))) if ids else ()
        data = {row.id: bytes(row.data) for row in rows}
    failed = [row_id for row_id in ids if not filters.passes(expression, data[row_id])]
    why = filters.explain(expression, data[failed[0]]) if failed else ""
    return Matched(len(ids) - len(failed), len(ids), why)
