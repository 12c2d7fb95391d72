"""Events: what was published, where each one went and why not, and publishing by hand."""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Blueprint, flash, redirect, render_template, request, url_for

from app import clock
from app.core import cursors, raw
from app.core.access import Permission
from app.core.raw import RawError
from app.errors import AppError, Invalid, Problem
from app.services import deliveries, event_search, event_types, events, explain, log_menus
from app.services.events import EventQuery, Posted
from app.web import is_fragment, live, log_filters, needs, words
from app.web.deliveries import LOG, voice
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from app.models import Event
    from app.services.explain import Explanation

bp = Blueprint("events", __name__)

ON_A_PAGE = 50
FIELDS = ("type", "id", "business_unit", "status", "resource_type", "resource_id", "visible_to", "public")
SWITCHES = {"switch": "webhooks.turn_on", "resume": "webhooks.resume"}


@bp.get("/events")
@needs(*LOG)
def index() -> str:
    """What was published, newest first."""
    return render_template("events/index.html", menus=log_menus.menus(actor()), periods=log_filters.PERIODS, **_list())


@bp.get("/events/rows")
@needs(*LOG)
def rows() -> BaseResponse:
    """The rows alone, for the poll."""
    if not is_fragment():
        return redirect(_address(_given()))
    found = _list()
    stamp = [(event.id, event.repeated_at, found["tallies"].get(event.id)) for event in found["rows"]]
    return live.region("events/_rows.html", stamp, lambda: found, seconds=2)


def _given() -> dict[str, str]:
    names = ("q", "event_type", "unit", "status", "from", "cursor", "newer")
    return {name: text for name in names if (text := request.args.get(name, "").strip()[:200])}


def _list() -> dict[str, Any]:
    given = _given()
    asked = EventQuery(
        type_name=given.get("event_type"),
        unit=given.get("unit"),
        status=given.get("status"),
        from_at=log_filters.moment("from", given.get("from"), voice()),
        q=given.get("q"),
        include_tests=False,
        before=_place(given.get("cursor")),
        after=_place(given.get("newer")),
    )
    found, looked_to = _found(asked)
    has_more, found = len(found) > ON_A_PAGE, found[:ON_A_PAGE]
    if asked.after is not None:
        found.reverse()
    has_newer = has_more if asked.after is not None else asked.before is not None
    has_older = has_more or asked.after is not None
    end = cursors.encode(*looked_to) if looked_to else _cursor(found[-1]) if found and has_older else ""
    filters = {name: text for name, text in given.items() if name not in ("cursor", "newer")}
    return {
        "rows": found,
        "tallies": events.tally(found),
        "units": events.unit_names(found),
        "asked": given,
        "filters": filters,
        "is_searched": _is_searched(asked),
        "looked_to": looked_to[0] if looked_to else None,
        "voice": voice(),
        "newer": _address(filters, newer=_cursor(found[0])) if found and has_newer else "",
        "older": _address(filters, cursor=end) if end else "",
        "curl": _curl(b'{"type":"job.created","data":{"id":42}}'),
    }


def _address(filters: dict[str, str], **more: str) -> str:
    return url_for("events.index", **{**filters, **more})  # type: ignore[arg-type]


def _is_searched(asked: EventQuery) -> bool:
    """Whether values are looked for, which takes its time: an event's id is looked up."""
    return events.is_searched(asked.q) and asked.after is None


def _found(asked: EventQuery) -> tuple[list[Event], tuple[int, int] | None]:
    keys = event_search.searchable(actor()) if _is_searched(asked) else {}
    if not keys:
        return events.page(actor(), asked, ON_A_PAGE), None
    found = event_search.search(actor(), asked, keys, ON_A_PAGE)
    return found.rows, found.looked_to


def _place(cursor: str | None) -> tuple[int, int] | None:
    try:
        return cursors.decode(cursor) if cursor else None
    except ValueError as error:
        raise Invalid([Problem("cursor", str(error))], str(error)) from None


def _cursor(event: Event) -> str:
    return cursors.encode(event.created_at, event.id)


def _curl(item: bytes) -> str:
    """The command that publishes an event, with the key to be filled in."""
    headers = "-H 'Authorization: Bearer prk_…' -H 'Content-Type: application/json'"
    return f"curl {request.url_root}api/v1/events {headers} -d {shlex.quote(item.decode())}"


def _command(event: Event) -> str:
    """The command that publishes the same once more, as an event of its own."""
    given: dict[str, object] = {
        "resource": {"type": event.resource_type, "id": event.resource_id} if event.resource_id else None
    }
    given |= {"status": event.status, "public": event.is_public or None}
    said = json.dumps({"type": event.type, **{name: value for name, value in given.items() if value}})
    return _curl(said.encode()[:-1] + b', "data": ' + event.data + b"}")


# --- one event


@bp.get("/events/<public_id>")
@needs(*LOG)
def show(public_id: str) -> str:
    """An event as it was received, and every webhook with what became of it there."""
    view = events.show(actor(), public_id)
    event = view.event
    return render_template(
        "events/show.html",
        view=view,
        event=event,
        context=_members(event.context),
        curl=_command(event),
        diff=event.diff if event.diff not in (None, b"{}") else b"",
        masked=not actor().may(Permission.PAYLOADS),
        **_where(public_id, event.type, view.unit, explain.explain(actor(), public_id)),
    )


def _members(context: bytes | None) -> list[tuple[str, str]]:
    """The members of the context: texts as they are, everything else as it was posted."""
    found = raw.cut(context) if context else {}
    return [(name, json.loads(text) if text[:1] == b'"' else text.decode()) for name, text in found.items()]


@bp.get("/events/<public_id>/where")
@needs(*LOG)
def where(public_id: str) -> BaseResponse:
    """Where it went, for the poll."""
    if not is_fragment():
        return redirect(url_for("events.show", public_id=public_id))
    told = explain.explain(actor(), public_id)
    view = events.show(actor(), public_id)
    is_moving = any(one.outcome in ("pending", "sending") for one in told)
    return live.region(
        "events/_where.html",
        told,
        lambda: {"event": view.event, **_where(public_id, view.event.type, view.unit, told)},
        seconds=2 if is_moving else 15,
    )


def _where(public_id: str, event_type: str, unit: str | None, told: list[Explanation]) -> dict[str, Any]:
    told = sorted(told, key=lambda one: one.display == "skipped")  # where it went comes first, each part by name
    counts = {
        "sent": sum(one.outcome in ("delivered", "failed", "sending") or one.display == "retrying" for one in told),
        "waiting": sum(one.display == "queued" for one in told),
        "held": sum(one.display == "paused" for one in told),
        "not sent": sum(one.display in ("skipped", "canceled") for one in told),
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    noun = "1 webhook" if len(told) == 1 else f"{len(told)} webhooks"
    return {
        "told": told,
        "summary": f"{noun}: {said}" if told else "",
        "sentences": [words.went(one, voice(), event_type=event_type, unit=unit) for one in told],
        "ways_out": [words.REASONS[one.reason] if one.reason else None for one in told],
        "switches": SWITCHES,
        "public_id": public_id,
        "voice": voice(),
    }


@bp.get("/events/<public_id>/send")
@needs(Permission.WEBHOOKS)
def ask_send(public_id: str) -> str:
    """Whether to send it to a webhook that didn't get it."""
    view = events.show(actor(), public_id)
    webhook = request.args.get("webhook", "")
    told = next((one for one in explain.explain(actor(), public_id) if one.webhook == webhook), None)
    if told is None:
        raise Invalid([Problem("webhook", "Choose a webhook.")], "Choose a webhook of this organization.")
    back = url_for("events.show", public_id=public_id)
    return render_template("events/send.html", event=view.event, told=told, back=back, action=request.path)


@bp.post("/events/<public_id>/send")
@needs(Permission.WEBHOOKS)
def send(public_id: str) -> BaseResponse:
    """Send it, and show that delivery."""
    made = deliveries.send_event(actor(), public_id, request.form.get("webhook", ""))
    return redirect(url_for("deliveries.show", public_id=made), 303)


# --- by hand


@bp.route("/events/new", methods=["GET", "POST"])
@needs(Permission.CATALOGUE)
def new() -> str | BaseResponse | tuple[str, int]:
    """Publish an event by hand."""
    if request.method == "GET":
        return _form({"type": request.args.get("type", "")}, None, {})
    given = {name: request.form.get(name, "").strip() for name in FIELDS}
    texts = {name: request.form.get(name, "") for name in ("data", "context", "previous")}
    if "example" in request.form:  # without script: the button that fills in the chosen type's example
        return _form(given, None, {})
    try:
        stored = events.publish(actor(), _posted(given, texts), clock.now())
    except Invalid as error:
        return _form(given, texts, {problem.field: problem.message for problem in error.problems}), 422
    except AppError as error:
        return _form(given, texts, {"id": error.message}), 422
    if stored.duplicate:
        flash("This id was published before with the same content, so nothing was sent again.")
    return redirect(url_for("events.show", public_id=stored.id), 303)


def _form(given: dict[str, str], texts: dict[str, str] | None, errors: dict[str, str]) -> str:
    types = event_types.list_all(actor())
    chosen = next((kind for kind in types if kind.name == given.get("type")), types[0] if types else None)
    if texts is None:
        example = msgspec.json.format(chosen.example, indent=2).decode() if chosen else "{}"
        texts = {"data": example, "context": "", "previous": ""}
    kinds: dict[str, list[tuple[str, str]]] = {}
    for kind in types:
        kinds.setdefault(kind.kind, []).append((kind.name, f"{kind.name}: {kind.title}"))
    return render_template(
        "events/new.html",
        kinds=list(kinds.items()),
        chosen=chosen,
        given=given,
        texts=texts,
        errors=errors,
        units=[("", "None"), *log_menus.unit_names(actor())],
    )


def _posted(given: dict[str, str], texts: dict[str, str]) -> Posted:
    """Read the form into an event. Raises `Invalid` naming every field that can't be read."""
    problems: list[Problem] = []

    def member(name: str) -> bytes | None:
        if not texts[name].strip():
            return None
        try:
            raw.cut(texts[name].encode())
            return raw.compact(texts[name].encode())
        except RawError as error:
            problems.append(Problem(name, error.message))
            return None

    data, context, previous = member("data"), member("context"), member("previous")
    if data is None and not problems:
        problems.append(Problem("data", "Give the event's data: a JSON object."))
    if given["id"] and not events.PRODUCER_ID.fullmatch(given["id"]):
        problems.append(Problem("id", "Use up to 64 letters, digits, _ and -."))
    if bool(given["resource_type"]) != bool(given["resource_id"]):
        problems.append(Problem("resource_id", "A resource has both a type and an id."))
    if problems or data is None:
        raise Invalid(problems)
    addresses = given["visible_to"].replace(",", " ").split()
    item = json.dumps({**given, "data": data.decode(), "context": texts["context"], "previous": texts["previous"]})
    return Posted(
        type=given["type"],
        data=data,
        digest=hashlib.sha256(item.encode()).digest(),
        producer_id=given["id"] or None,
        resource_type=given["resource_type"] or None,
        resource_id=given["resource_id"] or None,
        status=given["status"] or None,
        business_unit=given["business_unit"] or None,
        is_public=bool(given["public"]),
        visible_to=tuple(addresses) or None,
        context=context,
        previous=previous,
    )
