"""Whom the organization tells of trouble, and the notice above every page: read once, it is put away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import Conflict, Invalid, Throttled, Unavailable
from app.services import alerts, mails, notifications
from app.web import needs
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("notifications", __name__)


@bp.post("/notices/<public_id>/close")
@needs(Permission.WEBHOOKS)
def close(public_id: str) -> Response:
    """Put a notice away, and show the webhook it is about in the list."""
    notifications.close(actor(), public_id)
    return redirect(url_for("webhooks.index"), 303)


@bp.get("/settings/notifications")
@needs(Permission.SETTINGS)
def settings() -> str:
    """Alert addresses, and whether alerts are events too."""
    found = alerts.find(actor())
    return _page(", ".join(found.addresses), found.events)


@bp.post("/settings/notifications")
@needs(Permission.SETTINGS)
def save() -> Response | tuple[str, int]:
    """Set who is told."""
    given, as_events = request.form.get("addresses", ""), "events" in request.form
    try:
        alerts.save(actor(), given.replace(",", " ").replace(";", " ").split(), as_events=as_events)
    except Invalid as error:
        return _page(given, as_events, error.problems[0].message), 422
    flash("Notifications saved.")
    return redirect(url_for("notifications.settings"), 303)


@bp.post("/settings/notifications/test")
@needs(Permission.SETTINGS)
def send_test() -> Response:
    """Send a test mail to the alert addresses and to oneself."""
    try:
        flash(f"The test mail was handed over for {', '.join(alerts.send_test(actor()))}.")
    except (Conflict, Throttled, Unavailable) as error:
        flash(error.message)
    return redirect(url_for("notifications.settings"), 303)


def _page(addresses: str, as_events: bool, error: str = "") -> str:
    return render_template(
        "settings/notifications.html",
        section="settings",
        addresses=addresses,
        as_events=as_events,
        error=error,
        has_mail=mails.is_set_up(),
    )
