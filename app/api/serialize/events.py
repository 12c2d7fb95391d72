"""Events, and what became of them."""

from __future__ import annotations

from app.api.serialize.deliveries import delivery_of
from app.api.serialize.values import Shape, json_or_null
from app.core.envelope import moment
from app.models import Event
from app.services.events import FoundEvent
from app.services.explain import Explanation
from app.services.intake import Stored


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
        "data": json_or_null(bytes(row.data)),
        "context": json_or_null(row.context),
        "diff": json_or_null(row.diff),
        "deliveries": [delivery_of(each, each.public_id, row.public_id, hook) for each, hook in found.deliveries],
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
