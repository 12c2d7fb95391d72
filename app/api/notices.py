"""Notices: what stands above every page until somebody has read it, or until it is over."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import notices as schemas
from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import notifications

calls = Calls("notices", "Notices")


@calls.call("GET", "/notices", Scope.WEBHOOKS_READ, name="listNotices", answers={200: schemas.Notices})
def index(query: Listed) -> Response:
    """List the open notices about webhooks, the oldest of the last 100 first."""
    found = notifications.list_open(actor())
    return bodies.answer(page_of_all(found, query, serialize.notice, lambda notice: notice.row_id))


@calls.call("POST", "/notices/<id>/close", Scope.WEBHOOKS_WRITE, name="closeNotice", answers={204: None})
def close(path: ById) -> tuple[str, int]:
    """Put a notice away, for everybody."""
    notifications.close(actor(), path.id)
    return "", 204
