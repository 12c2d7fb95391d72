"""The notice above every page: what happened to a webhook while nobody looked. Read once, it is put away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, url_for

from app.core.access import Permission
from app.services import notifications
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
