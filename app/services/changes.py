"""The changes of one object, from the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app.database import read
from app.models import AuditEntry

if TYPE_CHECKING:
    from app.services.scope import Actor

MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: who did what, and for each setting what it was and became."""

    at: int
    actor: str
    action: str
    fields: tuple[tuple[str, Any, Any], ...]
    row_id: int


def of(actor: Actor, object_id: str, limit: int = MOST_LISTED) -> list[Change]:
    """Return the changes of the actor's own organization's object, newest first.

    The caller has made sure that the actor may see the object.
    """
    query = (
        select(AuditEntry)
        .where(AuditEntry.organization_id == actor.organization_id, AuditEntry.object_id == object_id)
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    with read() as session:
        return [
            Change(row.at, row.actor, row.action, tuple((name, *pair) for name, pair in row.changes.items()), row.id)
            for row in session.scalars(query)
        ]
