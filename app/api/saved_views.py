"""Saved views of Log History. A key has none of its own: they are a member's."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import saved_views as schemas
from app.api.schemas.people import ByMember
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import saved_views
from app.services.saved_views import keeper

calls = Calls("saved_views", "Saved views")
ADMIN = Scope.ADMIN
ALL, ONE = "/members/<member>/views", "/members/<member>/views/<view>"


@calls.call("GET", ALL, ADMIN, name="listSavedViews", answers={200: schemas.SavedViews})
def index(path: ByMember, query: Listed) -> Response:
    """List a member's views of Log History, the oldest first."""
    found = saved_views.list_all(keeper(actor(), path.member))
    return bodies.answer(page_of_all(found, query, serialize.saved_view, lambda view: view.row_id))


@calls.call("POST", ALL, ADMIN, name="saveView", answers={201: schemas.SavedView})
def create(path: ByMember, body: schemas.ViewNew) -> Response:
    """Keep filters for a member under a name."""
    made = saved_views.create(keeper(actor(), path.member), body.name, body.query)
    return bodies.answer(serialize.saved_view(made), 201)


@calls.call("PATCH", ONE, ADMIN, name="renameSavedView", answers={200: schemas.SavedView})
def rename(path: schemas.ByView, body: schemas.ViewChange) -> Response:
    """Give a view another name."""
    return bodies.answer(serialize.saved_view(saved_views.rename(keeper(actor(), path.member), path.view, body.name)))


@calls.call("DELETE", ONE, ADMIN, name="deleteSavedView", answers={204: None})
def delete(path: schemas.ByView) -> tuple[str, int]:
    """Delete a view."""
    saved_views.delete(keeper(actor(), path.member), path.view)
    return "", 204
