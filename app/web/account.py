"""One's own account: name, password, sessions, and how pages look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from app.errors import Invalid
from app.services import accounts, sign_in
from app.services.sign_in import TooManyFailuresError
from app.web import signed_in
from app.web.filters import zone_named
from app.web.viewer import actor, begin_session, viewer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("account", __name__)

YEAR_S = 365 * 86_400
THEMES = ("system", "light", "dark")


@bp.get("/account")
@signed_in
def index() -> str:
    """The account."""
    return _page({}, {})


@bp.post("/account/name")
@signed_in
def rename() -> Response | tuple[str, int]:
    """Change the name that others see."""
    name = request.form.get("name", "")
    try:
        accounts.rename(actor(), name)
    except Invalid as error:
        return _page({"name": name}, _by_field(error)), 422
    flash("Name saved.")
    return redirect(url_for("account.index"), 303)


@bp.post("/account/password")
@signed_in
def change_password() -> Response | tuple[str, int]:
    """Change the password, which signs out everywhere else."""
    try:
        version = sign_in.change_password(
            current_user, request.form.get("current", ""), request.form.get("new", ""), request.remote_addr
        )
    except Invalid as error:
        return _page({}, _by_field(error)), 422
    except TooManyFailuresError as error:
        return _page({}, {"current": error.message}), 429
    return _stay("Password changed. You were signed out everywhere else.", version)


@bp.post("/account/sign-out-everywhere")
@signed_in
def sign_out_everywhere() -> Response:
    """End every session but this one."""
    return _stay("You were signed out everywhere else.", sign_in.sign_out_everywhere(current_user))


@bp.post("/account/prefer")
@signed_in
def prefer() -> Response:
    """Remember how pages look, in cookies that only say that."""
    response = redirect(_back(), 303)
    theme, zone = request.form.get("theme"), request.form.get("zone")
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR_S, samesite="Lax", secure=request.is_secure)
    if zone and zone_named(zone) is not None:
        response.set_cookie("zone", zone, max_age=YEAR_S, samesite="Lax", secure=request.is_secure)
    return response


def _back() -> str:
    """The page the form stood on, when that is one of ours."""
    came_from = request.referrer or ""
    return came_from if came_from.startswith(request.host_url) else url_for("account.index")


def _stay(words: str, version: int) -> Response:
    """Carry on in a session of the new version, and say what was done."""
    user = sign_in.find_user(current_user.public_id, version)
    if user is not None:
        begin_session(user)
    flash(words)
    return redirect(url_for("account.index"), 303)


def _by_field(error: Invalid) -> dict[str, str]:
    return {problem.field: problem.message for problem in error.problems}


def _page(given: dict[str, str], errors: dict[str, str]) -> str:
    zones = [(name, name.replace("_", " ")) for name in accounts.zones()]
    shown = viewer()
    return render_template("account/index.html", given=given, errors=errors, zones=zones, shown=shown)
