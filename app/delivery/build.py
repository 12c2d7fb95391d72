"""Event and settings in, request out. Deliveries, tests and the preview all come through here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from app.core import shaping, signing
from app.core.redaction import masked
from app.core.shaping import EventFacts
from app.delivery.orders import SentBodyRow
from app.delivery.transfer import Request
from app.version import __version__

if TYPE_CHECKING:
    from app.delivery.orders import DeliverySettings, Loaded, Surroundings

USER_AGENT = f"Postroom/{__version__}"
_OWN = (("User-Agent", USER_AGENT), ("Accept", "*/*"))


def facts_of(
    event: Loaded, around: Surroundings, settings: DeliverySettings, delivery: str, *, is_test: bool
) -> EventFacts:
    """Gather what payload and headers may say about an event for one webhook."""
    return EventFacts(  # in the order of its fields: naming them costs as much again
        event.public_id,
        event.type,
        event.created_at,
        event.occurred_at,
        event.data,
        settings.organization,
        settings.public_id,
        delivery,
        event.status,
        event.resource_type,
        event.resource_id,
        around.business_unit,
        event.context,
        around.companies,
        is_test,
    )


def body_of(facts: EventFacts, settings: DeliverySettings, now: int) -> bytes:
    """Return the bytes to send. Raises `ShapeError` when the payload can't be built."""
    return shaping.shape(facts, settings.shape, now)


def request_of(facts: EventFacts, settings: DeliverySettings, body: bytes, now: int, *, fresh: bool = False) -> Request:
    """Return the request for `body`, signed with the second of `now`. `fresh`: on a new connection."""
    assert settings.url is not None, "a blocked URL is never built for"
    return Request(  # in the order of its fields: naming them costs as much again
        settings.url,
        _headers(facts, settings, body, now),
        body,
        settings.retry.timeout_ms,
        settings.verify_ssl,
        settings.ca,
        settings.client_certificate,
        fresh,
        settings.own_inbox,
    )


def _headers(facts: EventFacts, settings: DeliverySettings, body: bytes, now: int) -> tuple[tuple[str, str], ...]:
    content_type, *preset_headers = shaping.headers(settings.preset.headers, facts, settings.shape.content_type, now)
    keys = settings.keys_at(now)
    signed = signing.sign(settings.scheme, keys, facts.id, now // 1000, body, settings.signature_header)
    return (
        content_type,
        *_OWN,
        ("Postroom-Delivery", facts.delivery_id),
        *preset_headers,
        *signed,
        *settings.headers,
        *((settings.authorization,) if settings.authorization else ()),
    )


def shown_headers(request: Request, settings: DeliverySettings) -> bytes:
    """Return the request's headers as the log keeps them: as sent, with credentials masked."""
    secret = settings.secret_headers
    lines = [f"Host: {request.url.authority}"]
    for name, value in request.headers:
        if name.lower() in secret:
            value = masked(value)
        lines.append(f"{name}: {value}" if value else f"{name}:")
    lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join(lines).encode()


def sent_body(event: Loaded, body: bytes) -> SentBodyRow:
    """Return a body as it is kept: around the event's data where it holds them, so that it costs little."""
    head, found, tail = body.partition(event.data)
    return SentBodyRow(event.id, hashlib.sha256(body).digest(), head, tail, bool(found))
