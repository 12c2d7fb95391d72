"""Where one lands, the first event, and help."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, request, url_for

from app.core.access import Permission
from app.core.states import FINISHED, Outcome
from app.delivery.installed import installed
from app.services import event_types, first_run, inboxes
from app.web import live, needs, signed_in, words
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from app.services.deliveries import DeliveryView
    from app.services.first_run import Exchange

bp = Blueprint("start", __name__)

NO_PACK = "none"
PREFERRED_PACK = "jobs"
LANDINGS = (
    (Permission.WEBHOOKS, "webhooks.index"),
    (Permission.LOG, "deliveries.index"),
    (Permission.CATALOGUE, "event_types.index"),
    (Permission.DIRECTORY, "business_units.index"),
    (Permission.MEMBERS, "members.index"),
)


@bp.get("/")
@signed_in
def home() -> Response:
    """The first event until one was delivered; then the first page one may see."""
    asking = actor()
    if asking.may(Permission.WEBHOOKS) and not first_run.is_over(asking):
        return redirect(url_for("start.index"))
    place = next((endpoint for permission, endpoint in LANDINGS if asking.may(permission)), "account.index")
    return redirect(url_for(place))


@bp.get("/start")
@needs(Permission.WEBHOOKS)
def index() -> str:
    """The first event: one button, and then what it does."""
    sent = request.args.get("sent")
    if sent is not None:
        facts = _exchange(sent)
        found: Exchange = facts["exchange"]
        curl = publishing_curl(found.delivery.row.event_type, found.delivery.data)
        return render_template("start/sent.html", curl=curl, **facts)
    packs = [pack for pack in event_types.packs() if not pack.own] if actor().may(Permission.CATALOGUE) else []
    presets = installed().presets
    packs.sort(key=lambda pack: presets[pack.name].order if pack.name in presets else len(presets))
    known = inboxes.list_all(actor())
    return render_template("start/index.html", packs=packs, preferred=PREFERRED_PACK, inbox=next(iter(known), None))


@bp.post("/start")
@needs(Permission.WEBHOOKS)
def begin() -> Response:
    """Make the webhook, turn it on and publish an event."""
    pack = request.form.get("pack", NO_PACK)
    return _to(first_run.begin(actor(), None if pack == NO_PACK else pack))


@bp.post("/start/again")
@needs(Permission.WEBHOOKS)
def send_again() -> Response:
    """Send another event; `fail` makes the inbox refuse it twice."""
    return _to(first_run.send_again(actor(), fails_first="fail" in request.form))


@bp.post("/start/answer")
@needs(Permission.WEBHOOKS)
def set_answer() -> Response:
    """Choose what the inbox answers from now on."""
    inboxes.set_answers(actor(), request.form.get("inbox", ""), [request.form.get("answer", "200")])
    return _to(request.form.get("sent", ""))


@bp.get("/start/exchange")
@needs(Permission.WEBHOOKS)
def exchange() -> Response:
    """Both ends of the delivery, for the poll."""
    facts = _exchange(request.args.get("sent", ""))
    row, arrived = facts["exchange"].delivery.row, facts["exchange"].request
    stamp = (row.state, row.attempt_count, row.next_attempt_at, arrived.id if arrived else None)
    return live.region("start/_exchange.html", stamp, lambda: facts, seconds=1)


@bp.get("/help", endpoint="help")
@signed_in
def show_help() -> str:
    """Keys, the first event, the API."""
    return render_template("start/help.html")


def _to(delivery: str) -> Response:
    return redirect(url_for("start.index", sent=delivery), 303)


def _exchange(sent: str) -> dict[str, Any]:
    found = first_run.exchange(actor(), sent)
    is_moving = found.delivery.row.state not in FINISHED or found.request is None
    return {
        "sent": sent,
        "exchange": found,
        "steps": steps(found.delivery),
        "is_moving": is_moving,
        "content_type": _content_type(found),
        "answers": [(answer, answer) for answer in inboxes.ANSWERS],
    }


def _content_type(found: Exchange) -> str:
    """The content type of what arrived."""
    headers = found.request.headers if found.request else ()
    return next((value for name, value in headers if name.lower() == "content-type"), "")


def publishing_curl(event_type: str, data: bytes) -> str:
    """Return the shell command that publishes an event like this one; the key stands as a variable to fill in."""
    body = b'{"type": "%s", "data": %s}' % (event_type.encode(), data)
    return (
        f"curl -X POST {request.host_url}api/v1/events \\\n"
        f'  -H "Authorization: Bearer $POSTROOM_KEY" -H "Content-Type: application/json" \\\n'
        f"  --data-binary {shlex.quote(body.decode())}"
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline. `at` None: it has no moment yet; `state` empty: it is planned."""

    title: str
    note: str = ""
    at: int | None = None
    state: str = ""
    due_at: int | None = None


def steps(delivery: DeliveryView) -> list[Step]:
    """Return what became of a delivery and what comes next, oldest first."""
    row = delivery.row
    found = [Step("Queued", at=row.created_at, state="done")]
    for attempt in reversed(delivery.attempts):
        answer = words.attempt_line(attempt.outcome, attempt.status, attempt.message)
        note = f"{answer} in {attempt.duration_ms} ms"
        found.append(Step("Sending", at=attempt.started_at, state="done"))
        delivered = attempt.outcome is Outcome.SUCCEEDED
        title, state = ("Delivered", "delivered") if delivered else ("Failed", "failed")
        found.append(Step(title, note, attempt.started_at + attempt.duration_ms, state))
    if row.state.value == "sending":
        found.append(Step("Sending", state="sending"))
    if row.state not in FINISHED:
        if row.attempt_count and row.state.value == "pending":
            found.append(Step("Next attempt", due_at=row.next_attempt_at))
        elif not row.attempt_count:
            found += [Step("Sending")] if row.state.value == "pending" else []
        found.append(Step("Delivered"))
    return found
