"""One's own account: name, password, where one is signed in, and preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from app.errors import Invalid
from app.services import accounts, browser_sessions, sign_in, two_factor
from app.services.accounts import THEMES, Preferences
from app.services.sign_in import TooManyFailuresError
from app.web import signed_in
from app.web.filters import zone_named
from app.web.viewer import actor, begin_session, this_browser, viewer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("account", __name__)

YEAR_S = 365 * 86_400


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
    user = sign_in.find_user(current_user.public_id, version)
    if user is not None:
        begin_session(user)
    flash("Password changed. You were signed out everywhere else.")
    return redirect(url_for("account.index"), 303)


@bp.post("/account/sign-out-everywhere")
@signed_in
def sign_out_everywhere() -> Response:
    """End every session but this one."""
    ended = browser_sessions.end_others(current_user.public_id, this_browser(), request.remote_addr)
    flash("You were signed out everywhere else." if ended else "You were signed in nowhere else.")
    return redirect(url_for("account.index"), 303)


@bp.post("/account/sessions/<session>/end")
@signed_in
def sign_out(session: str) -> Response:
    """End one session, in another browser or here."""
    browser_sessions.end_one(current_user.public_id, session, request.remote_addr)
    flash("Signed out there.")
    return redirect(url_for("account.index") + "#sessions", 303)


@bp.post("/account/preferences")
@signed_in
def save_preferences() -> Response | tuple[str, int]:
    """Keep how pages look and whether mails come, for all of one's browsers."""
    chosen = Preferences(
        theme=request.form.get("theme", ""),
        zone=request.form.get("zone") or None,
        is_compact=request.form.get("density") == "compact",
        has_shortcuts="shortcuts" in request.form,
        gets_mail="mails" in request.form,
    )
    try:
        accounts.prefer(actor(), chosen)
    except Invalid as error:
        return _page({}, _by_field(error)), 422
    flash("Preferences saved.")
    response = redirect(url_for("account.index") + "#preferences", 303)
    _remember(response, "theme", chosen.theme)
    _remember(response, "zone", chosen.zone)
    return response


@bp.post("/account/prefer")
@signed_in
def prefer() -> Response:
    """What the bar above every page switches, in this browser alone: cookies that only say that."""
    response = redirect(_back(), 303)
    theme, zone = request.form.get("theme"), request.form.get("zone")
    if theme in THEMES:
        _remember(response, "theme", theme)
    if zone and zone_named(zone) is not None:
        _remember(response, "zone", zone)
    return response


def _remember(response: Response, name: str, value: str | None) -> None:
    if value is None:
        response.delete_cookie(name, samesite="Lax", secure=request.is_secure)
    else:
        response.set_cookie(name, value, max_age=YEAR_S, samesite="Lax", secure=request.is_secure)


def _back() -> str:
    """The page the form stood on, when that is one of ours."""
    came_from = request.referrer or ""
    return came_from if came_from.startswith(request.host_url) else url_for("account.index")


def _by_field(error: Invalid) -> dict[str, str]:
    return {problem.field: problem.message for problem in error.problems}


def _page(given: dict[str, str], errors: dict[str, str]) -> str:
    zones = [("", "As the browser says")] + [(name, name.replace("_", " ")) for name in accounts.zones()]
    return render_template(
        "account/index.html",
        given=given,
        errors=errors,
        zones=zones,
        shown=viewer(),
        preferences=accounts.preferences(actor()),
        codes=two_factor.state(current_user.public_id),
        browsers=browser_sessions.list_all(current_user.public_id),
        here=this_browser(),
    )
