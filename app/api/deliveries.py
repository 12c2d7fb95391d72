"""The log: deliveries, their attempts, and what can be done with one."""

from __future__ import annotations

from dataclasses import replace

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor, documented
from app.api.bodies import EXPORTED
from app.api.log_queries import asked_of
from app.api.paging import page_of_all
from app.api.schemas import deliveries as schemas
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import deliveries, exports, inside, log
from app.services.exports import Kind

calls = Calls("deliveries", "Deliveries")
READ, WRITE = Scope.DELIVERIES_READ, Scope.DELIVERIES_WRITE


@calls.call("GET", "/deliveries", READ, name="listDeliveries", answers={200: schemas.Deliveries})
def index(query: schemas.LogQuery) -> Response:
    """List deliveries, newest first unless asked otherwise."""
    asked = replace(_asked(query), cursor=query.cursor, limit=query.limit, inside=query.inside)
    page = (inside if asked.is_inside else log).page(actor(), asked)
    return bodies.answer({"items": [serialize.delivery(row) for row in page.rows], "next": page.older})


def _asked(query: schemas.LogQuery | schemas.ExportQuery) -> log.LogQuery:
    return replace(_matching(query), oldest_first=query.sort == "oldest")


def _matching(query: schemas.CountQuery) -> log.LogQuery:
    return replace(asked_of(query), replay=query.replay, skipped=query.skipped)


@calls.call("GET", "/deliveries/count", READ, name="countDeliveries", answers={200: schemas.DeliveriesCounted})
def count(query: schemas.CountQuery) -> Response:
    """Count deliveries, up to 10,000."""
    found, since = log.counted(actor(), _matching(query))
    shape = {"count": min(found, log.COUNTED), "more": found > log.COUNTED, "since": serialize.moment_or_null(since)}
    return bodies.answer(shape)


@calls.call("GET", "/deliveries/export", READ, name="exportDeliveries", answers=EXPORTED)
def export(query: schemas.ExportQuery) -> Response:
    """Return up to 100,000 deliveries as a file, written while it is sent."""
    file = exports.deliveries_file(actor(), _asked(query), Kind(query.format), with_bodies=query.bodies)
    return bodies.stream(file)


@calls.call("GET", "/deliveries/<id>", READ, name="getDelivery", answers={200: schemas.Delivery})
def show(path: schemas.ById) -> Response:
    """Return one delivery."""
    return _shown(path.id)


@calls.call(
    "GET",
    "/deliveries/<id>/attempts",
    READ,
    name="listAttempts",
    answers={200: schemas.Attempts},
)
def attempts(path: schemas.ById, query: Listed) -> Response:
    """List a delivery's attempts, the first one first: what was sent and what came back."""
    found = deliveries.find(actor(), path.id).attempts
    return bodies.answer(page_of_all(found, query, serialize.attempt, lambda attempt: attempt.number))


@calls.call("GET", "/deliveries/<id>/curl", READ, name="getCurl", answers={200: schemas.Curl}, clashes=True)
def curl(path: schemas.ById) -> Response:
    """Return the command that sends the latest request again; 409 when nothing was sent yet."""
    return bodies.answer({"curl": deliveries.curl(actor(), path.id)})


@calls.call(
    "POST",
    "/deliveries/<id>/retry",
    WRITE,
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
    WRITE,
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
    WRITE,
    name="replayDelivery",
    answers={202: schemas.Delivery},
    clashes=True,
    needs_body=False,
)
@documented(path=schemas.ById, body=schemas.ReplayTo)
def replay(id: str) -> Response:  # noqa: A002
    """Make a new delivery of the same event, with today's settings and secret. The body may be left out."""
    asked = bodies.read_optional(schemas.ReplayTo)
    return _shown(deliveries.replay(actor(), id, webhook=asked.webhook), 202)


def _shown(public_id: str, status: int = 200) -> Response:
    return bodies.answer(serialize.delivery(deliveries.find(actor(), public_id).row), status)
