"""A lost password: asking for a link, and choosing a new one behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.errors import Conflict, Invalid, Throttled
from app.services import mails, password_resets
from app.web import public

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("password_resets", __name__)


@bp.get("/forgot")
@public
def forgot() -> str:
    """The form, or what to do where no mail can be sent."""
    return _forgot("")


@bp.post("/forgot")
@public
def ask() -> str | tuple[str, int]:
    """Have a link sent; the answer is the same whether there is such an account."""
    email = request.form.get("email", "").strip()
    if not email:
        return _forgot(email, "Write the e-mail that you sign in with."), 422
    try:
        password_resets.ask(email, request.remote_addr)
    except Throttled as error:
        return _forgot(email, error.message), 429
    except Conflict as error:
        return _forgot(email, error.message), 409
    return render_template("sign_in/asked.html", email=email)


def _forgot(email: str, error: str = "") -> str:
    return render_template("sign_in/forgot.html", email=email, error=error, has_mail=mails.is_set_up())


@bp.get("/reset/<token>")
@public
def show(token: str) -> str | tuple[str, int]:
    """Ask for the new password, or say that the link is over."""
    return _page(token, {})


@bp.post("/reset/<token>")
@public
def save(token: str) -> Response | str | tuple[str, int]:
    """Set the password; then one signs in with it, and with a code where the account asks for one."""
    try:
        password_resets.use(token, request.form.get("password", ""))
    except Invalid as error:
        return _page(token, {problem.field: problem.message for problem in error.problems}, 422)
    except Conflict:
        return _page(token, {})
    flash("Password set. Sign in with it.")
    return redirect(url_for("sign_in.show"), 303)


def _page(token: str, errors: dict[str, str], code: int = 200) -> tuple[str, int]:
    try:
        email = password_resets.find(token)
    except Conflict as error:
        return render_template("sign_in/reset_over.html", words=error.message), 409
    return render_template("sign_in/reset.html", token=token, email=email, errors=errors), code
