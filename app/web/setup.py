"""The first page of all: the set-up link makes the organization and its admin, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, url_for

from app.errors import Conflict, Invalid
from app.services import organizations
from app.services.organizations import LinkState
from app.web import public
from app.web.viewer import begin_session

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("setup", __name__)

SUGGESTED_NAME = "My organization"


@bp.get("/setup")
@public
def show() -> str:
    """The form behind the link that the server prints, or why the link is good for nothing."""
    return _page(request.args.get("token", ""), {"organization": SUGGESTED_NAME}, {})


@bp.post("/setup")
@public
def create() -> Response | tuple[str, int]:
    """Create the organization and its admin, sign the admin in, and go on to the first event."""
    given = {name: request.form.get(name, "") for name in ("organization", "email")}
    token = request.form.get("token", "")
    try:
        made = organizations.set_up(token, given["organization"], given["email"], request.form.get("password", ""))
    except Invalid as error:
        return _page(token, given, {problem.field: problem.message for problem in error.problems}), 422
    except Conflict:
        return _page(token, given, {}), 409
    begin_session(made.user)
    return redirect(url_for("start.index"), 303)


def _page(token: str, given: dict[str, str], errors: dict[str, str]) -> str:
    found = organizations.setup_state(token)
    if found.state is not LinkState.VALID:
        return render_template("setup/over.html", is_used=found.state is LinkState.USED, since=found.since)
    return render_template("setup/show.html", token=token, given=given, errors=errors)
