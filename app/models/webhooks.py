"""Webhooks: where to send what, how, signed with which secrets, and how their lane is doing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.encoding import ContentType
from app.core.retry import Exhausted, RetryPolicy
from app.core.shaping import DataMode
from app.core.states import Reason
from app.extensions import Model
from app.models.business_units import BusinessUnit
from app.models.members import Membership
from app.models.types import Encrypted, Json, Key, Moment, partial_index, text_enum


class WebhookPattern(Model):
    """An event type, or a pattern such as `job.*`, that a webhook selects."""

    __tablename__ = "webhook_pattern"
    __table_args__ = (Index(None, "organization_id", "pattern"),)

    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    pattern: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))


class WebhookUnit(Model):
    """A business unit that a webhook is bound to."""

    __tablename__ = "webhook_unit"

    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    business_unit_id: Mapped[int] = mapped_column(ForeignKey("business_unit.id", ondelete="CASCADE"), primary_key=True)


class SigningSecret(Model):
    """A secret that requests are signed with until `expires_at`; the newest has none."""

    __tablename__ = "signing_secret"
    __table_args__ = (Index(None, "webhook_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    secret: Mapped[str] = mapped_column(Encrypted("signing_secret.secret"))
    made_by: Mapped[str]
    created_at: Mapped[int] = mapped_column(Moment)
    expires_at: Mapped[int | None] = mapped_column(Moment)


class Lane(Model):
    """The engine's own row about a webhook: who serves it, until when it is shut, how it is doing."""

    __tablename__ = "lane"

    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    worker: Mapped[str | None]
    held_until: Mapped[int] = mapped_column(Moment, default=0)
    shut_until: Mapped[int] = mapped_column(Moment, default=0)
    failures_in_row: Mapped[int] = mapped_column(default=0)
    deliveries_failing: Mapped[int] = mapped_column(default=0)
    failed_attempts: Mapped[int] = mapped_column(default=0)  # since the last success
    times_opened: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[int | None] = mapped_column(Moment)
    last_failure_at: Mapped[int | None] = mapped_column(Moment)
    last_success_at: Mapped[int | None] = mapped_column(Moment)
    last_error: Mapped[str | None]
    probe_at: Mapped[int | None] = mapped_column(Moment)  # when a webhook that turned itself off is tried again
    probes: Mapped[int] = mapped_column(default=0)


class Webhook(Model):
    """A receiver's address and everything about how events reach it."""

    __tablename__ = "webhook"
    __table_args__ = (
        CheckConstraint("max_in_flight >= 1", name="max_in_flight"),
        CheckConstraint("(deleted_at IS NULL) OR NOT enabled", name="deleted_is_off"),
        Index(None, "organization_id", "name"),
        partial_index("ix_webhook_enabled", "organization_id", where="enabled"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("membership.id", ondelete="SET NULL"))
    name: Mapped[str]
    url: Mapped[str]
    preset: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)  # moves with every change the engine must notice
    enabled: Mapped[bool] = mapped_column(default=False)
    off_reason: Mapped[Reason | None] = mapped_column(text_enum(Reason))
    switched_at: Mapped[int | None] = mapped_column(Moment)
    switched_by: Mapped[str | None]
    paused: Mapped[bool] = mapped_column(default=False)
    paused_at: Mapped[int | None] = mapped_column(Moment)
    paused_by: Mapped[str | None]
    content_type: Mapped[ContentType] = mapped_column(text_enum(ContentType))
    verify_ssl: Mapped[bool] = mapped_column(default=True)
    data_mode: Mapped[DataMode] = mapped_column(text_enum(DataMode))
    extra_fields: Mapped[list[str]] = mapped_column(Json, default=list)
    field_mapping: Mapped[list[list[str | None]]] = mapped_column(Json, default=list)
    only_mapped_fields: Mapped[bool] = mapped_column(default=False)
    auth: Mapped[str | None] = mapped_column(Encrypted("webhook.auth"))  # JSON of wire.md's `auth`
    headers: Mapped[str | None] = mapped_column(Encrypted("webhook.headers"))  # JSON object
    filter: Mapped[str | None]
    scheme: Mapped[str | None]  # None: not signed
    signature_header: Mapped[str | None]
    delays_ms: Mapped[list[int]] = mapped_column(Json)
    timeout_ms: Mapped[int]
    jitter: Mapped[float]
    on_exhausted: Mapped[Exhausted] = mapped_column(text_enum(Exhausted))
    rate_limit: Mapped[float | None]  # requests a second
    max_in_flight: Mapped[int] = mapped_column(default=4)
    ordered: Mapped[bool] = mapped_column(default=False)
    success_codes: Mapped[list[str]] = mapped_column(Json)
    ca: Mapped[str | None]
    client_certificate: Mapped[str | None] = mapped_column(Encrypted("webhook.client_certificate"))
    alert_addresses: Mapped[list[str]] = mapped_column(Json, default=list)
    created_at: Mapped[int] = mapped_column(Moment)
    updated_at: Mapped[int] = mapped_column(Moment)
    deleted_at: Mapped[int | None] = mapped_column(Moment)

    owner: Mapped[Membership | None] = relationship()
    patterns: Mapped[list[WebhookPattern]] = relationship(cascade="all, delete-orphan", passive_deletes=True)
    units: Mapped[list[BusinessUnit]] = relationship(secondary="webhook_unit")
    secrets: Mapped[list[SigningSecret]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by=SigningSecret.id.desc()
    )
    lane: Mapped[Lane] = relationship(cascade="all, delete-orphan", passive_deletes=True, uselist=False)

    @property
    def retry(self) -> RetryPolicy:
        """When it is tried again."""
        return RetryPolicy(tuple(self.delays_ms), self.timeout_ms, self.jitter, self.on_exhausted)

    @property
    def events(self) -> list[str]:
        """The selected types and patterns, in order."""
        return sorted(row.pattern for row in self.patterns)

    def turn_on(self, by: str, now: int) -> bool:
        """Turn it on; return False when it was on already."""
        if self.enabled:
            return False
        self.enabled, self.off_reason, self.switched_at, self.switched_by = True, None, now, by
        self.version += 1
        return True

    def turn_off(self, reason: Reason, by: str | None, now: int) -> bool:
        """Turn it off; return False when it was off already."""
        if not self.enabled:
            return False
        self.enabled, self.off_reason, self.switched_at, self.switched_by = False, reason, now, by
        self.version += 1
        return True

    def touch(self, now: int) -> None:
        """Let the engine and readers see that it changed."""
        self.version += 1
        self.updated_at = now

    def secrets_valid_at(self, now: int) -> list[SigningSecret]:
        """The secrets requests are signed with at `now`, newest first."""
        return [secret for secret in self.secrets if secret.expires_at is None or secret.expires_at > now]

    def stored(self) -> dict[str, Any]:
        """The plain settings columns, for a copy or a comparison; secrets left out."""
        names = [
            "name",
            "url",
            "preset",
            "content_type",
            "verify_ssl",
            "data_mode",
            "extra_fields",
            "field_mapping",
            "only_mapped_fields",
            "filter",
            "scheme",
            "signature_header",
            "delays_ms",
            "timeout_ms",
            "jitter",
            "on_exhausted",
            "rate_limit",
            "max_in_flight",
            "ordered",
            "success_codes",
            "alert_addresses",
        ]
        return {name: getattr(self, name) for name in names}
