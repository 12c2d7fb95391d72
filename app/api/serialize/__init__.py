"""Rows and views to the wire's shapes: plain values, ready to be written."""

from app.api.serialize.deliveries import attempt, delivery, headers
from app.api.serialize.directory import company, company_import, unit, unit_usage
from app.api.serialize.event_types import event_pack, event_type
from app.api.serialize.events import event, event_summary, explanation, published
from app.api.serialize.inboxes import inbox, inbox_request
from app.api.serialize.people import api_key, audit_entry, change, member, role, saved_view
from app.api.serialize.replays import missed, replay, replay_summary, selection
from app.api.serialize.stats import statistics
from app.api.serialize.system import kept, mail, organization, queue, worker
from app.api.serialize.values import moment_or_null
from app.api.serialize.webhooks import notice, preset, preview, signature, verdict, webhook, why

__all__ = [
    "api_key",
    "attempt",
    "audit_entry",
    "change",
    "company",
    "company_import",
    "delivery",
    "event",
    "event_pack",
    "event_summary",
    "event_type",
    "explanation",
    "headers",
    "inbox",
    "inbox_request",
    "kept",
    "mail",
    "member",
    "missed",
    "moment_or_null",
    "notice",
    "organization",
    "preset",
    "preview",
    "published",
    "queue",
    "replay",
    "replay_summary",
    "role",
    "saved_view",
    "selection",
    "signature",
    "statistics",
    "unit",
    "unit_usage",
    "verdict",
    "webhook",
    "why",
    "worker",
]
