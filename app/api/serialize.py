"""Rows and views to the wire's shapes: plain values, moments as RFC 3339, payloads as the very text they came as."""

from __future__ import annotations

from typing import Any

import orjson

from app.core.envelope import moment
from app.core.outcome import Timings
from app.core.packs import EventPack
from app.core.redaction import shown_headers
from app.models import Delivery, Event, EventType
from app.services.business_units import Unit
from app.services.companies import CompanyView
from app.services.deliveries import AttemptView
from app.services.events import FoundEvent
from app.services.explain import Explanation
from app.services.intake import Stored
from app.services.log import DeliveryRow
from app.services.preview import Preview
from app.services.stats import Percentiles, Statistics, Volume
from app.services.webhooks import WebhookView

Shape = dict[str, Any]


def moment_or_null(at: int | None) -> str | None:
    """Return a moment as it is written on the wire."""
    return None if at is None else moment(at)


def _json(text: bytes | None) -> orjson.Fragment | None:
    return None if text is None else orjson.Fragment(text)


# --- events


def published(stored: Stored) -> Shape:
    """What a publisher is told of its event."""
    return {
        "id": stored.id,
        "type": stored.type,
        "received_at": moment(stored.received_at),
        "duplicate": stored.duplicate,
        "deliveries": [
            {"id": queued.id, "webhook": queued.webhook, "state": queued.state, "reason": queued.reason}
            for queued in stored.deliveries
        ],
    }


def event_summary(event: Event, unit: str | None) -> Shape:
    """An event as a list shows it."""
    resource = {"type": event.resource_type, "id": event.resource_id}
    return {
        "id": event.public_id,
        "type": event.type,
        "producer_id": event.producer_id,
        "received_at": moment(event.created_at),
        "occurred_at": moment(event.occurred_at),
        "resource": resource if event.resource_type is not None else None,
        "status": event.status,
        "business_unit": unit,
        "public": event.is_public,
        "visible_to": event.visible_to,
        "test": event.is_test,
        "warning": event.warning,
    }


def event(found: FoundEvent) -> Shape:
    """An event with payload and deliveries."""
    row = found.event
    return event_summary(row, found.business_unit) | {
        "data": _json(bytes(row.data)),
        "context": _json(row.context),
        "diff": _json(row.diff),
        "deliveries": [_delivery(each, each.public_id, row.public_id, hook) for each, hook in found.deliveries],
    }


def explanation(found: Explanation) -> Shape:
    """What became of an event at one webhook."""
    return {
        "webhook": found.webhook,
        "name": found.name,
        "outcome": found.outcome,
        "delivery": found.delivery,
        "reason": found.reason,
        "also": list(found.also),
    }


# --- deliveries


def delivery(row: DeliveryRow) -> Shape:
    """A delivery."""
    return _delivery(row, row.id, row.event, row.webhook)


def _delivery(row: DeliveryRow | Delivery, public_id: str, event_id: str, webhook_id: str) -> Shape:
    return {
        "id": public_id,
        "event": event_id,
        "event_type": row.event_type,
        "webhook": webhook_id,
        "url": row.url,
        "state": row.state,
        "kind": row.kind,
        "attempt_count": row.attempt_count,
        "attempts_allowed": row.attempts_allowed,
        "next_attempt_at": moment_or_null(row.next_attempt_at),
        "last_status": row.last_status,
        "last_error": row.last_error,
        "created_at": moment(row.created_at),
        "finished_at": moment_or_null(row.finished_at),
        "reason": row.reason,
    }


def attempt(row: AttemptView) -> Shape:
    """An attempt; what receivers sent becomes text, with replacements for what isn't UTF-8."""
    return {
        "id": row.id,
        "number": row.number,
        "started_at": moment(row.started_at),
        "duration_ms": row.duration_ms,
        "timings": _timings(row.timings) if row.timings else None,
        "outcome": row.outcome,
        "status": row.status,
        "error": {"class": row.error, "message": row.message or ""} if row.error else None,
        "peer": row.peer,
        "request": {
            "method": "POST",
            "url": row.url,
            "headers": headers(row.request_headers),
            "body": _text(row.request_body),
        },
        "response": None if row.response_headers is None else _response(row, row.response_headers),
    }


def _timings(timings: Timings) -> Shape:
    return {
        "dns": timings.dns_ms,
        "connect": timings.connect_ms,
        "tls": timings.tls_ms,
        "first_byte": timings.first_byte_ms,
        "total": timings.total_ms,
    }


def _response(row: AttemptView, block: bytes) -> Shape:
    return {"headers": headers(block), "body": _text(row.response_body) or "", "truncated": row.truncated}


def headers(block: bytes) -> dict[str, str]:
    """Return a block of header lines by name; lines of one name are joined by commas (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    lines = (line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n"))
    for name, value in shown_headers([(name, value.strip()) for name, colon, value in lines if colon], ()):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "replace")


# --- webhooks


def webhook(view: WebhookView, **more: Any) -> Shape:
    """A webhook, secrets masked, and whatever the answer adds."""
    return {
        "id": view.id,
        **view.settings,
        "enabled": view.enabled,
        "paused": view.paused,
        "off_reason": view.off_reason,
        "switched_at": moment_or_null(view.switched_at),
        "created_at": moment(view.created_at),
        "updated_at": moment(view.updated_at),
        "version": view.version,
        "failing_since": moment_or_null(view.failing_since),
        "last_success_at": moment_or_null(view.last_success_at),
        "last_error": view.last_error,
        **more,
    }


def preview(shown: Preview) -> Shape:
    """A request that would be sent."""
    return {
        "method": shown.method,
        "url": shown.url,
        "headers": dict(shown.headers),
        "body": _text(shown.body),
        "curl": shown.curl,
        "not_sent": shown.not_sent,
    }


# --- catalogue and directory


def event_type(kind: EventType) -> Shape:
    """An event type."""
    return {
        "name": kind.name,
        "kind": kind.kind,
        "title": kind.title,
        "description": kind.description,
        "example": _json(bytes(kind.example)),
        "schema": _json(kind.schema),
        "schema_mode": kind.schema_mode,
        "public_name": kind.public_name,
        "searchable": kind.searchable,
        "pack": kind.pack,
        "created_at": moment(kind.created_at),
    }


def event_pack(pack: EventPack) -> Shape:
    """A pack and the types it brings."""
    titles = {kind.name: kind.title for kind in pack.kinds}
    return {
        "name": pack.name,
        "title": pack.title,
        "types": [
            {
                "name": each.name,
                "kind": titles.get(each.kind, each.kind),
                "title": each.title,
                "description": each.description,
                "public_name": each.public,
            }
            for each in pack.types
        ],
    }


def unit(found: Unit) -> Shape:
    """A business unit."""
    return {"external_id": found.external_id, "name": found.name, "created_at": moment(found.created_at)}


def company(found: CompanyView) -> Shape:
    """A company of a business unit."""
    return {
        "external_id": found.external_id,
        "business_unit": found.business_unit,
        "name": found.name,
        "fields": found.fields,
        "created_at": moment(found.created_at),
        "updated_at": moment(found.updated_at),
    }


# --- statistics


def statistics(found: Statistics) -> Shape:
    """A period in figures; rates are shares from 0 to 1."""
    return {
        "period": found.period,
        "from": moment(found.slots[0].slot.from_at),
        "to": moment(found.slots[-1].slot.to_at),
        "attempted": found.attempted,
        "delivered": found.delivered,
        "delivered_first_try": found.first,
        "success_rate": _rate(found.delivered, found.attempted),
        "first_try_rate": _rate(found.first, found.attempted),
        "duration_ms": _percentiles(found.duration),
        "lag_ms": _percentiles(found.lag),
        "volume": [_volume(part) for part in found.slots],
        "by_answer": [{"answer": answer, "count": count} for answer, count in found.by_answer],
        "by_event_type": [
            {"event_type": name, "attempted": attempted, "delivered": delivered}
            for name, attempted, delivered in found.by_event
        ],
    }


def _volume(part: Volume) -> Shape:
    return {
        "from": moment(part.slot.from_at),
        "to": moment(part.slot.to_at),
        "attempted": part.attempted,
        "delivered": part.delivered,
        "duration_ms": _percentiles(part.duration),
    }


def _percentiles(found: Percentiles) -> Shape:
    return {"p50": found.p50, "p95": found.p95, "p99": found.p99}


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
