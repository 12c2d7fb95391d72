"""Rows and views to the wire's shapes: plain values, ready to be written."""

from app.api.serialize.deliveries import attempt, delivery, headers
from app.api.serialize.directory import company, unit
from app.api.serialize.event_types import event_pack, event_type
from app.api.serialize.events import event, event_summary, explanation, published
from app.api.serialize.people import audit_entry, member, role
from app.api.serialize.replays import missed, replay, replay_summary, selection
from app.api.serialize.stats import statistics
from app.api.serialize.values import moment_or_null
from app.api.serialize.webhooks import preview, webhook

__all__ = [
    "attempt",
    "audit_entry",
    "company",
    "delivery",
    "event",
    "event_pack",
    "event_summary",
    "event_type",
    "explanation",
    "headers",
    "member",
    "missed",
    "moment_or_null",
    "preview",
    "published",
    "replay",
    "replay_summary",
    "role",
    "selection",
    "statistics",
    "unit",
    "webhook",
]
