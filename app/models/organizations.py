"""Organizations, and what the installation remembers about itself."""

from __future__ import annotations

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Json, Key, Moment


class Organization(Model):
    """Whoever owns webhooks. Everything but people and the installation belongs to one."""

    __tablename__ = "organization"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    routing_version: Mapped[int] = mapped_column(default=0)  # moves with every change that routing must notice
    default_preset: Mapped[str | None]
    default_owner: Mapped[str | None]  # of new webhooks: a member's public id; who has left is nobody
    retention_days: Mapped[int | None]  # None: the operator's
    retention_failed_days: Mapped[int | None]
    alert_addresses: Mapped[list[str]] = mapped_column(Json, default=list)
    alert_events: Mapped[bool] = mapped_column(default=False)  # alerts are also published, for webhooks to hear
    created_at: Mapped[int] = mapped_column(Moment)


class Installation(Model):
    """A named value of this installation: the set-up link, the canary that proves the encryption key."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    changed_at: Mapped[int] = mapped_column(Moment)
