"""System ▸ Mail: what is set up, how mails fared, what couldn't be sent; for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from app.delivery.installed import installed
from app.errors import Conflict, Throttled, Unavailable
from app.services import mails
from app.web import operator

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("mail", __name__)

UNWANTED = "no-mail"
YEAR_S = 365 * 86_400


@bp.get("/system/mail")
@operator
def index() -> str:
    """What is set up; never the password."""
    return render_template(
        "system/mail.html", section="system", mail=mails.state(), settings=installed().settings, to=current_user.email
    )


@bp.post("/system/mail/test")
@operator
def send_test() -> Response:
    """Send a test mail to oneself."""
    try:
        mails.send_test([current_user.email], current_user.public_id)
        flash(f"The test mail was handed over for {current_user.email}.")
    except (Conflict, Throttled, Unavailable) as error:
        flash(error.message)
    return redirect(url_for("mail.index"), 303)


@bp.post("/system/mail/unwanted")
@operator
def put_away() -> Response:
    """Say no more that mail isn't set up, in this browser."""
    response = redirect(url_for("webhooks.index"), 303)
    response.set_cookie(UNWANTED, "1", max_age=YEAR_S, samesite="Lax", secure=request.is_secure)
    return response


def is_missed() -> bool:
    """Whether the viewer should be told that mail isn't set up: an operator who hasn't put that away."""
    if mails.is_set_up() or request.cookies.get(UNWANTED):
        return False
    return bool(current_user.is_authenticated and current_user.is_operator)
