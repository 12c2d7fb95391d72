"""Saved views: filters of Log History that a member keeps under a name."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Key, Moment


class SavedView(Model):
    """A member's own name for a set of filters."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("membership_id", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"), index=True)
    membership_id: Mapped[int] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    name: Mapped[str]
    query: Mapped[str]  # the query string of the log's address
    created_at: Mapped[int] = mapped_column(Moment)
