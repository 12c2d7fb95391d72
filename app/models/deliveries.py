"""Deliveries and their attempts: what is claimed, retried, canceled and shown."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.states import FINISHED, UNDELIVERED, DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.extensions import Model
from app.models.events import Event
from app.models.types import Key, Moment, any_of, one_of, partial_index, text_enum
from app.models.webhooks import Webhook

_FINISHED = any_of("state", sorted(FINISHED))
_UNDELIVERED = any_of("state", sorted(UNDELIVERED))


class Delivery(Model):
    """One event for one webhook."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("event_id", "webhook_id", "copy"),  # copy 0: made by publishing; also finds an event's
        CheckConstraint(f"(finished_at IS NOT NULL) = ({_FINISHED})", name="finished"),
        one_of("kind", DeliveryKind),
        one_of("state", DeliveryState),
        one_of("reason", Reason),
        one_of("last_error", ErrorClass),
        CheckConstraint("(next_attempt_at IS NULL) = (finished_at IS NOT NULL)", name="waits_or_is_finished"),
        CheckConstraint("(leased_until IS NOT NULL) = (state = 'sending')", name="leased"),
        CheckConstraint("(lease_id IS NULL) = (leased_until IS NULL)", name="lease_has_id"),
        CheckConstraint("interruptions <= attempt_count", name="interruptions"),
        partial_index("ix_delivery_waiting", "webhook_id", "next_attempt_at", "id", where="state = 'pending'"),
        partial_index("ix_delivery_leased", "leased_until", where="state = 'sending'"),
        partial_index("ix_delivery_by_hand", "id", where="state = 'pending' AND by_hand"),
        partial_index("ix_delivery_suspect", "id", where="state = 'pending' AND interruptions >= 2"),
        Index(None, "organization_id", "created_at", "id"),
        Index(None, "webhook_id", "created_at", "id"),
        partial_index("ix_delivery_trouble", "organization_id", "created_at", "id", where=_UNDELIVERED),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    copy: Mapped[int] = mapped_column(default=0)
    kind: Mapped[DeliveryKind] = mapped_column(text_enum(DeliveryKind, checked=False), default=DeliveryKind.NORMAL)
    by_hand: Mapped[bool] = mapped_column(default=False)  # a person asked: passes a shut, paused or off webhook
    state: Mapped[DeliveryState] = mapped_column(text_enum(DeliveryState, checked=False))
    reason: Mapped[Reason | None] = mapped_column(text_enum(Reason, checked=False))
    detail: Mapped[str | None]  # who canceled it, what could not be built, or that it is a probe
    event_type: Mapped[str]
    url: Mapped[str]  # the one called last
    attempt_count: Mapped[int] = mapped_column(default=0)
    interruptions: Mapped[int] = mapped_column(default=0)
    attempts_allowed: Mapped[int]
    next_attempt_at: Mapped[int | None] = mapped_column(Moment)  # while sending: when it had been due
    lease_id: Mapped[int | None] = mapped_column(Moment)
    leased_until: Mapped[int | None] = mapped_column(Moment)
    last_status: Mapped[int | None]
    last_error: Mapped[ErrorClass | None] = mapped_column(text_enum(ErrorClass, checked=False))
    created_at: Mapped[int] = mapped_column(Moment)
    finished_at: Mapped[int | None] = mapped_column(Moment)

    event: Mapped[Event] = relationship()
    webhook: Mapped[Webhook] = relationship()

    @property
    def tries(self) -> int:
        """Attempts that count against the budget: interruptions don't."""
        return self.attempt_count - self.interruptions

    @property
    def is_retrying(self) -> bool:
        """Whether it has failed before and will be tried again."""
        return self.state is DeliveryState.PENDING and self.tries > 0


class Attempt(Model):
    """One request of a delivery: what was sent and what came back. Written once."""

    __tablename__ = "attempt"
    __table_args__ = (
        one_of("outcome", Outcome),
        one_of("error", ErrorClass),
        {"sqlite_with_rowid": False},  # one tree instead of a table and an index
    )

    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[Outcome] = mapped_column(text_enum(Outcome, checked=False))
    status: Mapped[int | None]
    error: Mapped[ErrorClass | None] = mapped_column(text_enum(ErrorClass, checked=False))
    message: Mapped[str | None]
    started_at: Mapped[int] = mapped_column(Moment)
    duration_ms: Mapped[int]
    timings: Mapped[str | None]  # dns connect tls first_byte total, in microseconds, parted by blanks
    peer: Mapped[str | None]
    tls: Mapped[str | None]
    url: Mapped[str]
    request_headers: Mapped[bytes] = mapped_column(LargeBinary)  # as sent, credentials masked
    body_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    response_headers: Mapped[bytes | None] = mapped_column(LargeBinary)
    response_body: Mapped[bytes | None] = mapped_column(LargeBinary)
    response_size: Mapped[int | None]
    truncated: Mapped[bool] = mapped_column(default=False)
    late: Mapped[bool] = mapped_column(default=False)  # it came after its lease had lapsed
