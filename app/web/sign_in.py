"""Signing in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_login import current_user

from app import clock
from app.errors import NotFound
from app.services import sign_in
from app.services.sign_in import CodeNeededError, TooManyFailuresError, WrongCodeError, WrongPasswordError
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
    except CodeNeededError as needed:
        end_session()
        session["half"] = [needed.public_id, needed.version, needed.until]
        return redirect(url_for("sign_in.code", next=own_path(request.values.get("next"))), 303)
    begin_session(user)
    return redirect(_going(), 303)


# --- the second step: the session holds whose password was right, which opens nothing


@bp.get("/login/code")
@public
def code() -> str | Response:
    """Ask for the code of the app."""
    return redirect(url_for("sign_in.show", next=request.args.get("next"))) if _half() is None else _code_page("")


@bp.post("/login/code")
@public
def enter_code() -> Response | tuple[str, int]:
    """Sign in with the code and go where one was going."""
    half = _half()
    if half is None:
        return redirect(url_for("sign_in.show", next=own_path(request.values.get("next"))), 303)
    try:
        user = sign_in.enter_code(*half, request.form.get("code", ""), request.remote_addr)
    except WrongCodeError as error:
        return _code_page(error.message), 422
    except TooManyFailuresError as error:
        return _code_page(error.message), 429
    except NotFound:
        session.pop("half")
        return redirect(url_for("sign_in.show"), 303)
    begin_session(user)
    return redirect(_going(), 303)


def _half() -> tuple[str, int] | None:
    """Whose password was right not long ago; None: nobody's."""
    public_id, version, until = session.get("half") or ("", 0, 0)
    return (public_id, version) if until > clock.now() else None


def _code_page(error: str) -> str:
    return render_template("sign_in/code.html", error=error, going=request.values.get("next"))


@bp.post("/logout")
@public
def sign_out() -> Response:
    """End this session."""
    end_session()
    return redirect(url_for("sign_in.show"), 303)


def _page(email: str, error: str | None) -> str:
    return render_template("sign_in/show.html", email=email, error=error, going=request.values.get("next"))


def _going() -> str:
    """Where to go on: a path of this server and nothing else."""
    return own_path(request.values.get("next")) or url_for("start.home")
