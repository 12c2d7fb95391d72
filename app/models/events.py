"""Events as they were published, the last version seen of a resource, and bodies as they were sent."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Json, Key, Moment, partial_index


class Event(Model):
    """Something that happened, as its producer reported it. What came from outside is kept as bytes."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("organization_id", "producer_id"),  # idempotency
        Index(None, "organization_id", "created_at", "id"),
        partial_index("ix_event_business_unit", "business_unit_id", where="business_unit_id IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    event_type_id: Mapped[int | None] = mapped_column(ForeignKey("event_type.id", ondelete="SET NULL"))
    type: Mapped[str]  # as it goes out: the public variant for a public event
    producer_id: Mapped[str | None]
    digest: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256 of the item as posted, without white space
    data: Mapped[bytes] = mapped_column(LargeBinary)
    context: Mapped[bytes | None] = mapped_column(LargeBinary)
    diff: Mapped[bytes | None] = mapped_column(LargeBinary)
    status: Mapped[str | None]
    resource_type: Mapped[str | None]
    resource_id: Mapped[str | None]
    business_unit_id: Mapped[int | None] = mapped_column(ForeignKey("business_unit.id", ondelete="SET NULL"))
    visible_to: Mapped[list[str] | None] = mapped_column(Json)
    is_public: Mapped[bool] = mapped_column(default=False)
    is_test: Mapped[bool] = mapped_column(default=False)
    warning: Mapped[str | None]  # what the schema would have refused
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_key.id", ondelete="SET NULL"))
    occurred_at: Mapped[int] = mapped_column(Moment)
    created_at: Mapped[int] = mapped_column(Moment)  # when it was received
    repeated_at: Mapped[int | None] = mapped_column(Moment)  # when the same was last published again


class Resource(Model):
    """The last model seen of a resource, for the difference to the next one."""

    __tablename__ = "resource"

    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"), primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[int] = mapped_column(Moment)


class SentBody(Model):
    """A body as it was sent: `head`, the event's data when `has_data`, `tail`. Shared by all who sent the same."""

    __tablename__ = "sent_body"
    __table_args__ = ({"sqlite_with_rowid": False},)

    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    head: Mapped[bytes] = mapped_column(LargeBinary)
    tail: Mapped[bytes] = mapped_column(LargeBinary)
    has_data: Mapped[bool]

    def whole(self, data: bytes) -> bytes:
        """Return the bytes that were sent, given the event's data."""
        return bytes(self.head + data + self.tail) if self.has_data else bytes(self.head)
