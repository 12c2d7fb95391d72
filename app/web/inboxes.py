"""Test inboxes: what they received, how they answer, and the address itself that takes anything."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from waitress.channel import ClientDisconnected
from werkzeug.wrappers import Response

from app import clock
from app.core.access import Permission
from app.errors import Invalid, NotFound
from app.extensions import csrf
from app.services import inboxes
from app.services.inboxes import ANSWERS, Page, Reply, RequestView
from app.web import is_fragment, live, needs
from app.web.viewer import actor

bp = Blueprint("inboxes", __name__)

FIRST_NAME = "Test inbox"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
LIST = "list"
LARGEST = 9 * 2**20  # of what an inbox takes; the server itself takes no more
ANSWER_WORDS = {
    "200": "200",
    "204": "204",
    "400": "400",
    "401": "401",
    "410": "410",
    "429": "429 with Retry-After",
    "500": "500",
    "after 20 s": "200 after 20 s",
    "close": "Close the connection",
}
BUSY_MS = 120_000  # so long after an arrival the next one is looked for every second


@bp.get("/inbox")
@needs(Permission.WEBHOOKS)
def index() -> Response | str:
    """Go to the inbox that received last, or offer to make the first one."""
    found = inboxes.last_used(actor())
    if found is None:
        return render_template("inboxes/none.html", section="inbox", name=FIRST_NAME)
    return redirect(url_for("inboxes.show", public_id=found))


@bp.get("/inbox/<public_id>")
@needs(Permission.WEBHOOKS)
def show(public_id: str) -> str:
    """One inbox: its address, how it answers, and what came."""
    return _page(public_id)


@bp.get("/inbox/<public_id>/received")
@needs(Permission.WEBHOOKS)
def received(public_id: str) -> Response:
    """What came, for the poll."""
    stamp, given = inboxes.stamp(actor(), public_id), request.args
    if not is_fragment():
        asked = given.get("request"), given.get("cursor"), given.get("view")
        return redirect(url_for("inboxes.show", public_id=public_id, request=asked[0], cursor=asked[1], view=asked[2]))
    is_busy = stamp.newest_at is not None and clock.now() - stamp.newest_at < BUSY_MS
    return live.region("inboxes/_received.html", stamp, lambda: _received(public_id), seconds=1 if is_busy else 2)


@bp.post("/inbox/<public_id>/answers")
@needs(Permission.WEBHOOKS)
def respond(public_id: str) -> Response | tuple[str, int]:
    """Say what the inbox answers next."""
    chosen, listed = request.form.get("answer", ""), request.form.get("answers", "")
    answers = [part.strip() for part in listed.split(",") if part.strip()] if chosen == LIST else [chosen]
    try:
        inboxes.set_answers(actor(), public_id, answers)
    except Invalid as error:
        return _page(public_id, typed=listed, error=error.problems[0].message), 422
    return redirect(url_for("inboxes.show", public_id=public_id, request=request.form.get("request") or None), 303)


@bp.get("/inbox/<public_id>/clear")
@needs(Permission.WEBHOOKS)
def ask_clear(public_id: str) -> str:
    """Ask before what came is deleted."""
    back, action = url_for("inboxes.show", public_id=public_id), url_for("inboxes.clear", public_id=public_id)
    count = inboxes.stamp(actor(), public_id).count
    return render_template("inboxes/clear.html", section="inbox", back=back, action=action, count=count)


@bp.post("/inbox/<public_id>/clear")
@needs(Permission.WEBHOOKS)
def clear(public_id: str) -> Response:
    """Delete what came."""
    inboxes.clear(actor(), public_id)
    flash("Inbox cleared.")
    return redirect(url_for("inboxes.show", public_id=public_id), 303)


@bp.get("/inbox/new")
@needs(Permission.WEBHOOKS)
def new() -> str:
    """Ask for the name of another inbox."""
    return _new("", "")


@bp.post("/inbox/new")
@needs(Permission.WEBHOOKS)
def create() -> Response | tuple[str, int]:
    """Make another inbox."""
    name = request.form.get("name", "")
    try:
        made = inboxes.create(actor(), name)
    except Invalid as error:
        return _new(name, error.problems[0].message), 422
    return redirect(url_for("inboxes.show", public_id=made.id), 303)


def _new(name: str, error: str) -> str:
    back, action = url_for("inboxes.index"), url_for("inboxes.create")
    return render_template("inboxes/new.html", section="inbox", back=back, action=action, name=name, error=error)


def _page(public_id: str, typed: str = "", error: str = "") -> str:
    inbox = inboxes.find(actor(), public_id)
    return render_template(
        "inboxes/show.html",
        section="inbox",
        known=inboxes.list_all(actor()),
        answers=[(answer, ANSWER_WORDS[answer]) for answer in ANSWERS],
        answer=inbox.answers[0] if len(inbox.answers) == 1 and not error else LIST,
        typed=typed or ", ".join(inbox.answers if len(inbox.answers) > 1 else ("500", "500", "200")),
        error=error,
        **_received(public_id),
    )


def _received(public_id: str) -> dict[str, Any]:
    """The requests, and the opened one: the one asked for, else the newest."""
    page = inboxes.requests(actor(), public_id, cursor=request.args.get("cursor"))
    asked = request.args.get("request")
    return {
        "inbox": inboxes.find(actor(), public_id),
        "page": page,
        "opened": _opened(public_id, asked, page) if asked else next(iter(page.items), None),
        "asked": asked or "",
        "cursor": request.args.get("cursor") or "",
        "raw": request.args.get("view") == "raw",
    }


def _opened(public_id: str, asked: str, page: Page) -> RequestView | None:
    found = next((item for item in page.items if item.id == asked), None)
    if found is not None:
        return found
    try:
        return inboxes.find_request(actor(), public_id, asked)
    except NotFound:
        return None  # deleted meanwhile; the inbox itself is there


# --- the address


@bp.route("/in/<token>", methods=METHODS, provide_automatic_options=False)
@csrf.exempt  # type: ignore[untyped-decorator]
def take(token: str) -> Response:
    """Keep whatever comes, and answer as the inbox was told to."""
    request.max_content_length = LARGEST
    body = b"" if request.content_length == 0 else request.get_data(cache=False, parse_form_data=False)
    reply = inboxes.receive(token, request.method, list(request.headers.items()), body)
    if reply.closes:
        return Response(_NoAnswer())
    reply.wait()
    return _answer(reply)


take.__access__ = "receiver"


def _answer(reply: Reply) -> Response:
    response = Response(status=reply.status)
    if reply.status not in (204, 304):
        response = Response(f"{reply.status}\n", reply.status, mimetype="text/plain")
    if reply.retry_after_s is not None:
        response.headers["Retry-After"] = str(reply.retry_after_s)
    return response


class _NoAnswer:
    """Ends the connection before a byte was sent: waitress takes this exception as the peer's leaving."""

    def __iter__(self) -> _NoAnswer:
        return self

    def __next__(self) -> bytes:
        raise ClientDisconnected
