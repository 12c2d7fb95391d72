"""Publishing events, and finding them again."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app import clock
from app.api import bodies, posted, problems, serialize
from app.api.auth import Calls, actor, documented
from app.api.paging import page_of, place_of
from app.api.schemas import events as schemas
from app.api.schemas.deliveries import ById, Delivery, SendTo
from app.core import cursors
from app.core.access import Scope
from app.errors import AppError, Invalid, Problem
from app.services import business_units, deliveries, event_search, events, explain
from app.services.events import EventQuery
from app.services.intake import Answer, Stored

calls = Calls("events", "Events")
_KEY = "HTTP_IDEMPOTENCY_KEY"


@calls.call("POST", "/events", Scope.EVENTS_WRITE, name="publishEvent", answers={202: schemas.Published}, clashes=True)
@documented(header=schemas.PublishHeader, body=schemas.PublishEvent)
def publish() -> Response:
    """Publish one event. With an id, or an Idempotency-Key, the same can be sent again without harm."""
    body = bodies.take_bytes(posted.LARGEST)
    event = posted.read_event(body, request.environ.get(_KEY))
    stored = events.publish(actor(), event, clock.now())
    assert isinstance(stored, Stored)  # a refusal is raised
    return bodies.answer(serialize.published(stored), 202)


@calls.call("POST", "/events/batch", Scope.EVENTS_WRITE, name="publishBatch", answers={202: schemas.Results})
@documented(body=schemas.PublishBatch)
def publish_batch() -> Response:
    """Publish up to 1,000 events. The good ones are kept whatever the others are; one result each, in order."""
    if _KEY in request.environ:
        raise Invalid([Problem("Idempotency-Key", "In a batch, each event has an id of its own.")])
    batch = posted.read_batch(bodies.take_bytes(posted.LARGEST_BATCH))
    answers = events.publish_batch(actor(), batch, clock.now())
    return bodies.answer({"results": [_result(each) for each in answers]}, 202)


def _result(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, AppError):
        document = problems.problem_of(answer)
        return {"status": document["status"], "problem": document}
    return {"status": 202, "event": serialize.published(answer)}


@calls.call("GET", "/events", Scope.EVENTS_READ, name="listEvents", answers={200: schemas.Events})
def index(query: schemas.EventsQuery) -> Response:
    """List events, newest first. Payloads come with the single event."""
    asked = EventQuery(
        before=place_of(query.cursor),
        type_name=query.type,
        unit=query.business_unit,
        status=query.status,
        from_at=query.from_at,
        q=query.q,
        include_tests=query.tests,
    )
    keys = event_search.searchable(actor()) if events.is_searched(query.q) else {}
    found = event_search.search(actor(), asked, keys, query.limit) if keys else None
    rows = found.rows if found else events.page(actor(), asked, query.limit)
    units = business_units.names(actor())
    page = page_of(
        rows,
        query,
        lambda row: serialize.event_summary(row, units.get(row.business_unit_id or 0)),
        lambda row: (row.created_at, row.id),
    )
    if found and found.looked_to:  # time ran out: the next page goes on there
        page["next"] = cursors.encode(*found.looked_to)
    return bodies.answer(page)


@calls.call("GET", "/events/<id>", Scope.EVENTS_READ, name="getEvent", answers={200: schemas.Event})
def show(path: ById) -> Response:
    """Return one event with its payload and its deliveries."""
    return bodies.answer(serialize.event(events.find(actor(), path.id)))


@calls.call("GET", "/events/<id>/explain", Scope.EVENTS_READ, name="explainEvent", answers={200: schemas.Explanations})
def why(path: ById) -> Response:
    """Say for every webhook of the organization what became of the event there, or why nothing did."""
    found = explain.explain(actor(), path.id)
    return bodies.answer({"items": [serialize.explanation(each) for each in found]})


@calls.call(
    "POST", "/events/<id>/send", Scope.DELIVERIES_WRITE, name="sendEvent", answers={202: Delivery}, clashes=True
)
def send(path: ById, body: SendTo) -> Response:
    """Send an event to a webhook that didn't get it, with today's settings."""
    made = deliveries.send_event(actor(), path.id, body.webhook)
    return bodies.answer(serialize.delivery(deliveries.find(actor(), made).row), 202)
