"""The catalogue: event types, and the packs they come in."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import event_types as schemas
from app.api.schemas.shapes import Listed
from app.core import raw
from app.core.access import Scope
from app.core.envelope import moment
from app.services import event_types

calls = Calls("event_types", "Event types")
READ = (Scope.EVENTS_READ, Scope.EVENTS_WRITE, Scope.WEBHOOKS_READ)
WRITE = Scope.EVENTS_WRITE
_JSON = frozenset({"example", "schema"})


@calls.call("GET", "/event-types", *READ, name="listEventTypes", answers={200: schemas.EventTypes})
def index(query: Listed) -> Response:
    """List the event types that may be published, in the order they were added."""
    return bodies.answer(page_of_all(event_types.list_all(actor()), query, serialize.event_type, lambda row: row.id))


@calls.call("POST", "/event-types", WRITE, name="createEventType", answers={201: schemas.EventType}, clashes=True)
def create(body: schemas.EventTypeDraft) -> Response:
    """Add an event type."""
    made = event_types.create(actor(), _values(body))
    return bodies.answer(serialize.event_type(made), 201)


@calls.call("GET", "/event-types/<name>", *READ, name="getEventType", answers={200: schemas.EventType})
def show(path: schemas.ByName) -> Response:
    """Return one event type."""
    return bodies.answer(serialize.event_type(event_types.find(actor(), path.name)))


@calls.call("GET", "/event-types/<name>/usage", *READ, name="getEventTypeUsage", answers={200: schemas.TypeUsage})
def usage(path: schemas.ByName) -> Response:
    """Return who receives an event type, how many came in 7 days, and how its last events fit the schema."""
    kind = event_types.find(actor(), path.name)
    breaches, judged = event_types.schema_breaches(actor(), kind)
    volume, receivers = event_types.volume(actor()), event_types.receivers(actor(), [kind.name])[kind.name]
    return bodies.answer(
        {
            "webhooks": [{"id": each.id, "name": each.name, "enabled": each.is_on} for each in receivers],
            "events": volume.counts.get(kind.name, 0),
            "events_since": moment(volume.since_at),
            "schema_breaches": breaches,
            "schema_judged": judged,
        }
    )


@calls.call("PATCH", "/event-types/<name>", WRITE, name="editEventType", answers={200: schemas.EventType})
def edit(path: schemas.ByName, body: schemas.EventTypePatch) -> Response:
    """Change what is given of an event type."""
    return bodies.answer(serialize.event_type(event_types.edit(actor(), path.name, _values(body))))


def _values(body: schemas.EventTypePatch) -> dict[str, Any]:
    """What was given; example and schema as they were written, so that their numbers stay."""
    given = body.model_dump(exclude_unset=True, by_alias=True)
    written = raw.cut(request.get_data())
    return {name: written[name] if name in _JSON and value is not None else value for name, value in given.items()}


@calls.call("GET", "/event-packs", *READ, name="listEventPacks", answers={200: schemas.EventPacks})
def packs(query: Listed) -> Response:
    """List the packs that can be installed, with what installing each would do."""
    found = event_types.pack_states(actor())
    numbers = {state.pack.name: number for number, state in enumerate(found, 1)}
    return bodies.answer(page_of_all(found, query, serialize.event_pack, lambda state: numbers[state.pack.name]))


@calls.call("POST", "/event-packs/<name>/install", WRITE, name="installEventPack", answers={200: schemas.Installed})
def install(path: schemas.ByName) -> Response:
    """Install a pack, or bring an installed one up to date."""
    return bodies.answer({"name": path.name, "added": event_types.install(actor(), path.name)})
