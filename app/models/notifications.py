"""Notices to the people behind a webhook."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.organizations import Organization
from app.models.types import Key, Moment, partial_index, text_enum
from app.models.webhooks import Webhook


class Cause(StrEnum):
    """What a notice is about."""

    FAILING = "failing"
    WARNING = "warning"
    TURNED_OFF = "turned_off"
    RECOVERED = "recovered"


class Notification(Model):
    """Something a webhook's owner should know; open until it was read or is over."""

    __tablename__ = "notification"
    __table_args__ = (
        Index(None, "organization_id", "closed_at"),
        partial_index("ix_notification_untold", "id", where="told_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), index=True)
    cause: Mapped[Cause] = mapped_column(text_enum(Cause), default=Cause.TURNED_OFF)
    subject: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[int] = mapped_column(Moment)
    closed_at: Mapped[int | None] = mapped_column(Moment)
    told_at: Mapped[int | None] = mapped_column(Moment)  # when it was mailed, or found to have nobody to mail to
    mail_tries: Mapped[int] = mapped_column(default=0)
    mail_due_at: Mapped[int | None] = mapped_column(Moment)  # None: at once

    webhook: Mapped[Webhook] = relationship()
    organization: Mapped[Organization] = relationship()
