"""What a webhook missed while it was off: the question whether to send it, and sending it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, url_for

from app import ids
from app.core.access import Permission
from app.errors import Conflict, Invalid
from app.services import missed, replays
from app.web import needs
from app.web.replays import order_of
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("missed", __name__)


@bp.get("/webhooks/<public_id>/missed")
@needs(Permission.REPLAY)
def ask(public_id: str) -> str:
    """Whether to send what it missed."""
    return _question(public_id, {})


@bp.post("/webhooks/<public_id>/missed")
@needs(Permission.REPLAY)
def send(public_id: str) -> Response | tuple[str, int]:
    """Send it, oldest first; the same form sent twice sends it once."""
    try:
        made = missed.start(actor(), public_id, order_of(request.form))
    except Invalid as error:
        return _question(public_id, {problem.field: problem.message for problem in error.problems}), 422
    except Conflict as error:
        return _question(public_id, {"figure": error.message}), 409
    return redirect(url_for("replays.show", public_id=made), 303)


def _question(public_id: str, errors: dict[str, str]) -> str:
    return render_template(
        "replays/missed.html",
        found=missed.find(actor(), public_id),
        errors=errors,
        rate=request.values.get("rate", f"{replays.USUAL:g}"),
        form_id=ids.new_id("rpl"),
    )
