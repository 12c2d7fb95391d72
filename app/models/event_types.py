"""Event types: what an organization's producers may publish."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Json, Key, Moment, text_enum


class SchemaMode(StrEnum):
    """What happens to an event whose data breaks the schema."""

    OFF = "off"
    WARN = "warn"
    REJECT = "reject"


class EventType(Model):
    """A type of event, with an example and, if wished, a JSON Schema."""

    __tablename__ = "event_type"
    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    name: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    example: Mapped[bytes] = mapped_column(LargeBinary)  # a JSON object
    schema: Mapped[bytes | None] = mapped_column(LargeBinary)
    schema_mode: Mapped[SchemaMode] = mapped_column(text_enum(SchemaMode), default=SchemaMode.WARN)
    public_name: Mapped[str | None]  # the type a public event of this type goes out as
    searchable: Mapped[list[str]] = mapped_column(Json, default=list)
    diff_model: Mapped[str | None]  # where in the data the resource's model lies
    diff_into: Mapped[str | None]  # where in the data the difference goes
    pack: Mapped[str | None]
    created_at: Mapped[int] = mapped_column(Moment)
