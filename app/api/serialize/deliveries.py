"""Deliveries and attempts."""

from __future__ import annotations

from collections.abc import Iterable

from app.api.serialize.values import Shape, moment_or_null, text_or_null
from app.core.envelope import moment
from app.core.outcome import Timings
from app.core.redaction import shown_headers
from app.models import Delivery
from app.services.deliveries import AttemptView
from app.services.log import DeliveryRow


def delivery(row: DeliveryRow) -> Shape:
    """A delivery."""
    return delivery_of(row, row.id, row.event, row.webhook)


def delivery_of(row: DeliveryRow | Delivery, public_id: str, event_id: str, webhook_id: str) -> Shape:
    """A delivery, by its row and the public ids of what it belongs to."""
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
            "body": text_or_null(row.request_body),
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
    return {"headers": headers(block), "body": text_or_null(row.response_body) or "", "truncated": row.truncated}


def headers(block: bytes) -> dict[str, str]:
    """Return a block of header lines by name; lines of one name are joined by commas (RFC 9110, section 5.3)."""
    lines = (line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n"))
    return by_name(shown_headers([(name, value.strip()) for name, colon, value in lines if colon], ()))


def by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name; values of one name are joined by commas."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
