"""The log: deliveries, their attempts, and what can be done with one."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor, documented
from app.api.paging import page_of_all
from app.api.schemas import deliveries as schemas
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import deliveries, log

calls = Calls("deliveries", "Deliveries")


@calls.call("GET", "/deliveries", Scope.DELIVERIES_READ, name="listDeliveries", answers={200: schemas.Deliveries})
def index(query: schemas.LogQuery) -> Response:
    """List deliveries, newest first unless asked otherwise."""
    page = log.page(actor(), _asked(query))
    return bodies.answer({"items": [serialize.delivery(row) for row in page.rows], "next": page.older})


def _asked(query: schemas.LogQuery) -> log.LogQuery:
    return log.LogQuery(
        state=tuple(query.state or ()),
        webhook=tuple(query.webhook or ()),
        event=query.event,
        event_type=tuple(query.event_type or ()),
        response=tuple(query.response or ()),
        error=tuple(query.error or ()),
        from_at=query.from_at,
        to_at=query.to_at,
        test=schemas.TESTS.get(query.test, query.test),
        kind=tuple(query.kind or ()),
        unit=tuple(query.unit or ()),
        attempts=query.attempts,
        slow=query.slow,
        q=query.q,
        oldest_first=query.sort == "oldest",
        cursor=query.cursor,
        limit=query.limit,
    )


@calls.call("GET", "/deliveries/<id>", Scope.DELIVERIES_READ, name="getDelivery", answers={200: schemas.Delivery})
def show(path: schemas.ById) -> Response:
    """Return one delivery."""
    return _shown(path.id)


@calls.call(
    "GET",
    "/deliveries/<id>/attempts",
    Scope.DELIVERIES_READ,
    name="listAttempts",
    answers={200: schemas.Attempts},
)
def attempts(path: schemas.ById, query: Listed) -> Response:
    """List a delivery's attempts, the first one first: what was sent and what came back."""
    found = deliveries.find(actor(), path.id).attempts
    return bodies.answer(page_of_all(found, query, serialize.attempt, lambda attempt: attempt.number))


@calls.call(
    "POST",
    "/deliveries/<id>/retry",
    Scope.DELIVERIES_WRITE,
    name="retryDelivery",
    answers={200: schemas.Delivery},
    clashes=True,
)
def retry(path: schemas.ById) -> Response:
    """Make the next attempt now; one that failed or was canceled gets one more."""
    deliveries.retry(actor(), path.id)
    return _shown(path.id)


@calls.call(
    "POST",
    "/deliveries/<id>/cancel",
    Scope.DELIVERIES_WRITE,
    name="cancelDelivery",
    answers={200: schemas.Delivery},
    clashes=True,
)
def cancel(path: schemas.ById) -> Response:
    """Make no more attempts."""
    deliveries.cancel(actor(), path.id)
    return _shown(path.id)


@calls.call(
    "POST",
    "/deliveries/<id>/replay",
    Scope.DELIVERIES_WRITE,
    name="replayDelivery",
    answers={202: schemas.Delivery},
    clashes=True,
    needs_body=False,
)
@documented(path=schemas.ById, body=schemas.Replay)
def replay(id: str) -> Response:  # noqa: A002
    """Make a new delivery of the same event, with today's settings and secret. The body may be left out."""
    asked = bodies.read_optional(schemas.Replay)
    return _shown(deliveries.replay(actor(), id, webhook=asked.webhook), 202)


def _shown(public_id: str, status: int = 200) -> Response:
    return bodies.answer(serialize.delivery(deliveries.find(actor(), public_id).row), status)
