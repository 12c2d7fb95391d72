"""Codes at sign-in: set up with an app, recovery codes shown once, new ones, and turning it off."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user
from markupsafe import Markup

from app.errors import Conflict, Invalid, Problem
from app.services import sign_in, two_factor
from app.services.sign_in import TooManyFailuresError, WrongPasswordError
from app.web import once, signed_in
from app.web.viewer import viewer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("two_factor", __name__)

_CODES = "recovery codes"
Errors = dict[str, str]
Answer = tuple[str, int]


@bp.get("/account/two-factor")
@signed_in
def show() -> str:
    """Set it up; or see how many recovery codes are left, make new ones, turn it off."""
    return _page({})


@bp.post("/account/two-factor")
@signed_in
def turn_on() -> Response | Answer:
    """Ask for codes from now on, once one was right."""
    try:
        _confirm()
        codes = two_factor.turn_on(
            current_user.public_id, request.form.get("sealed", ""), request.form.get("code", ""), request.remote_addr
        )
    except (Conflict, Invalid, TooManyFailuresError) as error:
        return _refused(error)
    return _show_once(codes)


@bp.post("/account/two-factor/codes")
@signed_in
def renew() -> Response | Answer:
    """Make new recovery codes; the old ones stop working."""
    try:
        _confirm()
        codes = two_factor.renew_codes(current_user.public_id, request.remote_addr)
    except (Conflict, Invalid, TooManyFailuresError) as error:
        return _refused(error)
    return _show_once(codes)


@bp.get("/account/two-factor/codes")
@signed_in
def codes() -> str | Response:
    """Show new recovery codes, this once."""
    found = once.take(current_user.public_id, _CODES)
    if found is None:
        return redirect(url_for("two_factor.show"))
    text = f"Recovery codes of {current_user.email} at {request.host}. Each works once.\n\n{found}\n"
    return render_template("account/codes.html", codes=found.split("\n"), text=text)


@bp.get("/account/two-factor/off")
@signed_in
def ask_off() -> str:
    """Ask for password and code before it is turned off."""
    return _off_page({})


@bp.post("/account/two-factor/off")
@signed_in
def turn_off() -> Response | Answer:
    """Ask for codes no more."""
    try:
        _confirm()
        two_factor.turn_off(current_user.public_id, request.form.get("code", ""), request.remote_addr)
    except Invalid as error:
        return _off_page({problem.field: problem.message for problem in error.problems}), 422
    except TooManyFailuresError as error:
        return _off_page({"current": error.message}), 429
    flash("Signing in asks for no code any more.")
    return redirect(url_for("account.index"), 303)


def _confirm() -> None:
    try:
        sign_in.confirm(current_user, request.form.get("current", ""), request.remote_addr)
    except WrongPasswordError as error:
        raise Invalid([Problem("current", "This isn't your password.")]) from error


def _refused(error: Conflict | Invalid | TooManyFailuresError) -> Answer:
    if isinstance(error, Invalid):
        return _page({problem.field: problem.message for problem in error.problems}), 422
    if isinstance(error, TooManyFailuresError):
        return _page({"current": error.message}), 429
    return _page({"current": error.message}), 409


def _show_once(codes: list[str]) -> Response:
    once.keep(current_user.public_id, _CODES, "\n".join(codes))
    return redirect(url_for("two_factor.codes"), 303)


def _page(errors: Errors) -> str:
    state = two_factor.state(current_user.public_id)
    if state.is_on:
        return render_template("account/two_factor_on.html", state=state, errors=errors)
    offer = two_factor.offer(current_user.public_id, f"Postroom {request.host}", request.form.get("sealed"))
    return render_template("account/two_factor.html", offer=offer, picture=_picture(offer.address), errors=errors)


def _off_page(errors: Errors) -> str:
    return render_template(
        "account/two_factor_off.html",
        errors=errors,
        email=viewer().email,
        action=url_for("two_factor.turn_off"),
        back=url_for("two_factor.show"),
    )


def _picture(address: str) -> Markup:
    """The address as a QR code: dark on light whatever the theme, or apps can't read it."""
    drawn = io.BytesIO()
    code = segno.make(address, error="m", micro=False)
    code.save(
        drawn,
        kind="svg",
        scale=4,
        border=4,
        light="#fff",
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        title="QR code of the key",
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704  made by the library from its own numbers
