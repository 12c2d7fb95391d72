"""Test inboxes."""

from __future__ import annotations

from app.api.serialize.deliveries import by_name
from app.api.serialize.values import Shape
from app.api.serialize.webhooks import verdict
from app.core.envelope import moment
from app.services.inboxes import InboxView, RequestView


def inbox(found: InboxView) -> Shape:
    """A test inbox."""
    return {
        "id": found.id,
        "name": found.name,
        "url": found.url,
        "answers": list(found.answers),
        "created_at": moment(found.created_at),
    }


def inbox_request(found: RequestView) -> Shape:
    """What an inbox received."""
    return {
        "id": found.id,
        "method": found.method,
        "headers": by_name(found.headers),
        "body": found.body.decode("utf-8", "replace"),
        "size": found.size,
        "truncated": found.is_cut,
        "event_type": found.event_type,
        "answered": found.answered,
        "delivery": found.delivery,
        "signature": verdict(found.verdict) if found.verdict else None,
        "received_at": moment(found.received_at),
    }
