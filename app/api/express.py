"""Publishing by the short way: one event, read and answered by the server's own threads, past Flask.

It takes only what is plain: a known key, a known type, a body of ordinary size, all of it checked in memory. Whatever
else comes, and whatever is wrong, goes the long way, which finds the words for it. Both ways read with the same
functions, and a test holds their answers against one another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from app import clock
from app.api import posted, problems, serialize
from app.core.access import Scope
from app.errors import AppError, Unavailable
from app.services import api_keys, events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.services.intake import Answer, Prepared

PATH = "/api/v1/events"
LARGEST = 16 * 1024
"""Bytes of a body: a larger one takes long enough to be read by a thread of its own."""

_STATUS = {code: f"{code} {problems.problem(code, '')['title']}" for code in (202, 409, 422, 503)}
_HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


class Response(NamedTuple):
    """What goes back: the status line's end, headers without Content-Length, the body."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def read(headers: Mapping[str, str], body: bytes) -> Prepared | None:
    """Return the event of a POST to `PATH`, checked and ready for the intake; None: it has to go the long way.

    `headers` are named as waitress names them: AUTHORIZATION, CONTENT_TYPE. Asks no database and doesn't wait.
    """
    if headers.get("CONTENT_TYPE") != "application/json" or "CONTENT_ENCODING" in headers:
        return None
    scheme, _, key = headers.get("AUTHORIZATION", "").partition(" ")
    now = clock.now()
    holder = api_keys.kept(key.strip(), now) if scheme.lower() == "bearer" else None
    if holder is None or not holder.may(Scope.EVENTS_WRITE):
        return None
    try:
        event = posted.read_event(body, headers.get("IDEMPOTENCY_KEY"))
        return events.prepare_at_once(holder.actor(None), event, now)
    except AppError:
        return None


def answer(found: Answer | None) -> Response:
    """Return the answer to a publisher; None: nothing came back from the intake, so it is unknown what is kept."""
    if found is None:
        found = Unavailable("The event could not be stored in time. Publish it again with the same id.")
    if not isinstance(found, AppError):
        return Response(_STATUS[202], _typed("application/json"), orjson.dumps(serialize.published(found)))
    document = problems.problem_of(found)
    headers = _typed("application/problem+json")
    if isinstance(found, Unavailable):
        headers.append(("Retry-After", str(found.retry_after)))
    return Response(_STATUS[document["status"]], headers, orjson.dumps(document))


def _typed(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type), *_HEADERS]
