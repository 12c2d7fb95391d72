"""Test inboxes: what they received, and how they answer."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import inboxes as schemas
from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import inboxes

calls = Calls("inboxes", "Test inboxes")
READ, WRITE = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE
RECEIVED = "/inboxes/<id>/requests"


@calls.call("GET", "/inboxes", READ, name="listInboxes", answers={200: schemas.Inboxes})
def index(query: Listed) -> Response:
    """List test inboxes, the oldest first."""
    return bodies.answer(page_of_all(inboxes.list_all(actor()), query, serialize.inbox, lambda inbox: inbox.row_id))


@calls.call("POST", "/inboxes", WRITE, name="createInbox", answers={201: schemas.Inbox})
def create(body: schemas.InboxNew) -> Response:
    """Make an inbox. It answers 200 until told otherwise."""
    made = inboxes.create(actor(), body.name)
    return bodies.answer(serialize.inbox(made), 201, location=f"/api/v1/inboxes/{made.id}")


@calls.call("GET", "/inboxes/<id>", READ, name="getInbox", answers={200: schemas.Inbox})
def show(path: ById) -> Response:
    """Return one inbox."""
    return bodies.answer(serialize.inbox(inboxes.find(actor(), path.id)))


@calls.call("PUT", "/inboxes/<id>/answers", WRITE, name="setInboxAnswers", answers={200: schemas.Inbox})
def respond(path: ById, body: schemas.AnswersGiven) -> Response:
    """Say what the inbox answers next."""
    return bodies.answer(serialize.inbox(inboxes.set_answers(actor(), path.id, body.answers)))


@calls.call("GET", RECEIVED, READ, name="listInboxRequests", answers={200: schemas.InboxRequests})
def received(path: ById, query: Listed) -> Response:
    """List what the inbox received in the last 24 hours, newest first, with each signature checked."""
    page = inboxes.requests(actor(), path.id, cursor=query.cursor, limit=query.limit)
    return bodies.answer({"items": [serialize.inbox_request(each) for each in page.items], "next": page.next})


@calls.call("GET", f"{RECEIVED}/<request>", READ, name="getInboxRequest", answers={200: schemas.InboxRequest})
def show_request(path: schemas.ByRequest) -> Response:
    """Return one request that the inbox received."""
    return bodies.answer(serialize.inbox_request(inboxes.find_request(actor(), path.id, path.request)))


@calls.call("DELETE", RECEIVED, WRITE, name="clearInbox", answers={204: None})
def clear(path: ById) -> tuple[str, int]:
    """Delete what the inbox received."""
    inboxes.clear(actor(), path.id)
    return "", 204
