"""Signing in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, url_for
from flask_login import current_user

from app.services import sign_in
from app.services.sign_in import TooManyFailuresError, WrongPasswordError
from app.web import own_path, public
from app.web.viewer import begin_session, end_session

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("sign_in", __name__)


@bp.get("/login")
@public
def show() -> str | Response:
    """The form; whoever is signed in already goes on."""
    if current_user.is_authenticated:
        return redirect(_going())
    return _page("", None)


@bp.post("/login")
@public
def enter() -> Response | tuple[str, int]:
    """Sign in and go where one was going."""
    email = request.form.get("email", "")
    try:
        user = sign_in.sign_in(email, request.form.get("password", ""), request.remote_addr)
    except WrongPasswordError as error:
        return _page(email, error.message), 422
    except TooManyFailuresError as error:
        return _page(email, error.message), 429
    begin_session(user)
    return redirect(_going(), 303)


@bp.post("/logout")
@public
def sign_out() -> Response:
    """End this session."""
    end_session()
    return redirect(url_for("sign_in.show"), 303)


@bp.get("/forgot")
@public
def forgot() -> str:
    """What to do without a password."""
    return render_template("sign_in/forgot.html")


def _page(email: str, error: str | None) -> str:
    return render_template("sign_in/show.html", email=email, error=error, going=request.values.get("next"))


def _going() -> str:
    """Where to go on: a path of this server and nothing else."""
    return own_path(request.values.get("next")) or url_for("start.home")
