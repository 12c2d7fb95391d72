"""The audit log: who changed what."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Json, Key, Moment


class AuditEntry(Model):
    """One change, with who made it. Never updated; secrets appear as "changed"."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "organization_id", "at", "id"),
        Index(None, "object_id", "id"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    at: Mapped[int] = mapped_column(Moment)
    actor: Mapped[str]  # the name is kept, whatever becomes of the person
    actor_id: Mapped[str | None]  # public id of a user or key; None: the system
    address: Mapped[str | None]
    action: Mapped[str]
    object_name: Mapped[str]
    object_id: Mapped[str]
    changes: Mapped[dict[str, list[Any]]] = mapped_column(Json, default=dict)  # field: [before, after]
