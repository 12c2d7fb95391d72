"""Business units: the parts of an organization that events belong to."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Key, Moment


class BusinessUnit(Model):
    """A part of an organization, known to producers by its external id."""

    __tablename__ = "business_unit"
    __table_args__ = (UniqueConstraint("organization_id", "external_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    external_id: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[int] = mapped_column(Moment)
