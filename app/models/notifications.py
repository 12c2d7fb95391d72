"""Notices to the people behind a webhook."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.types import Key, Moment
from app.models.webhooks import Webhook


class Notification(Model):
    """Something a webhook's owner should know; open until it was read or is over."""

    __tablename__ = "notification"
    __table_args__ = (Index(None, "organization_id", "closed_at"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), index=True)
    subject: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[int] = mapped_column(Moment)
    closed_at: Mapped[int | None] = mapped_column(Moment)

    webhook: Mapped[Webhook] = relationship()
