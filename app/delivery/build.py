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


def facts_of(
    event: Loaded, around: Surroundings, settings: DeliverySettings, delivery: str, *, is_test: bool
) -> EventFacts:
    """Gather what payload and headers may say about an event for one webhook."""
    return EventFacts(
        id=event.public_id,
        type=event.type,
        created_at=event.created_at,
        occurred_at=event.occurred_at,
        status=event.status,
        resource_type=event.resource_type,
        resource_id=event.resource_id,
        business_unit=around.business_unit,
        context=event.context,
        data=event.data,
        companies=around.companies,
        organization_id=settings.organization,
        webhook_id=settings.public_id,
        delivery_id=delivery,
        test=is_test,
    )


def body_of(facts: EventFacts, settings: DeliverySettings, now: int) -> bytes:
    """Return the bytes to send. Raises `ShapeError` when the payload can't be built."""
    return shaping.shape(facts, settings.shape, now)


def request_of(facts: EventFacts, settings: DeliverySettings, body: bytes, now: int, *, fresh: bool = False) -> Request:
    """Return the request for `body`, signed with the second of `now`. `fresh`: on a new connection."""
    assert settings.url is not None, "a blocked URL is never built for"
    return Request(
        url=settings.url,
        headers=tuple(_headers(facts, settings, body, now)),
        body=body,
        timeout_ms=settings.retry.timeout_ms,
        verify_ssl=settings.verify_ssl,
        ca=settings.ca,
        client_certificate=settings.client_certificate,
        fresh=fresh,
        own_inbox=settings.own_inbox,
    )


def _headers(facts: EventFacts, settings: DeliverySettings, body: bytes, now: int) -> list[tuple[str, str]]:
    content_type, *preset_headers = shaping.headers(settings.preset.headers, facts, settings.shape.content_type, now)
    own = [("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Postroom-Delivery", facts.delivery_id)]
    headers = [content_type, *own, *preset_headers]
    keys = settings.keys_at(now)
    headers += signing.sign(settings.scheme, keys, facts.id, now // 1000, body, settings.signature_header)
    headers += settings.headers
    if settings.authorization:
        headers.append(settings.authorization)
    return headers


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
