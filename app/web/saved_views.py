"""Saved views of Log History: keeping the filters under a name, renaming, deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.errors import Invalid
from app.services import log_menus, saved_views
from app.web import log_filters, needs
from app.web.deliveries import LOG, voice
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from app.services.saved_views import View
    from app.web.log_filters import Filters

bp = Blueprint("saved_views", __name__)


@bp.get("/log/views/new")
@needs(*LOG)
def new() -> str:
    """Ask for a name for the filters that stand in the address."""
    return _new(log_filters.read(request.args, voice()), "", "")


@bp.post("/log/views/new")
@needs(*LOG)
def create() -> Response | tuple[str, int]:
    """Keep them."""
    filters = log_filters.read(request.form, voice())
    name = request.form.get("name", "")
    try:
        made = saved_views.create(actor(), name, filters.query)
    except Invalid as error:
        return _new(filters, name, error.problems[0].message), 422
    flash(f"{made.name} was saved.")
    return redirect(_address(made), 303)


def _new(filters: Filters, name: str, error: str) -> str:
    return render_template(
        "saved_views/new.html",
        action=url_for("saved_views.create"),
        back=filters.url(),
        filters=filters,
        sentence=log_filters.sentence(filters, log_menus.menus(actor()), voice()),
        name=name,
        error=error,
    )


@bp.get("/log/views/<public_id>")
@needs(*LOG)
def edit(public_id: str) -> str:
    """Offer to rename or delete one."""
    view = saved_views.find(actor(), public_id)
    return _edit(view, view.name, "")


@bp.post("/log/views/<public_id>")
@needs(*LOG)
def rename(public_id: str) -> Response | tuple[str, int]:
    """Give it another name."""
    name = request.form.get("name", "")
    try:
        view = saved_views.rename(actor(), public_id, name)
    except Invalid as error:
        return _edit(saved_views.find(actor(), public_id), name, error.problems[0].message), 422
    return redirect(_address(view), 303)


@bp.post("/log/views/<public_id>/delete")
@needs(*LOG)
def delete(public_id: str) -> Response:
    """Delete it; the filters stay as they are shown."""
    view = saved_views.delete(actor(), public_id)
    flash(f"{view.name} was deleted.")
    return redirect(_address(view), 303)


def _edit(view: View, name: str, error: str) -> str:
    action = url_for("saved_views.rename", public_id=view.id)
    return render_template(
        "saved_views/edit.html", action=action, back=_address(view), view=view, name=name, error=error
    )


def _address(view: View) -> str:
    return f"{url_for('deliveries.index')}?{view.query}"
