"""The audit log: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app import clock
from app.models import AuditEntry
from app.services.scope import Actor


class Named(Protocol):
    """Anything that can be named in the audit log."""

    public_id: Any
    name: Any


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
