"""Test inboxes: receivers inside this server."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Json, Key, Moment


class Inbox(Model):
    """An address that takes anything and answers as it is told."""

    __tablename__ = "inbox"
    __table_args__ = (Index(None, "organization_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    token: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    answers: Mapped[list[str]] = mapped_column(Json)  # what it answers next; the last one stays
    created_at: Mapped[int] = mapped_column(Moment)


class InboxRequest(Model):
    """A request that an inbox received."""

    __tablename__ = "inbox_request"
    __table_args__ = (Index(None, "inbox_id", "id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    inbox_id: Mapped[int] = mapped_column(ForeignKey("inbox.id", ondelete="CASCADE"))
    method: Mapped[str]
    headers: Mapped[list[list[str]]] = mapped_column(Json)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int]
    answered: Mapped[str]
    delivery: Mapped[str | None]  # public id, from its Postroom-Delivery header
    received_at: Mapped[int] = mapped_column(Moment)
