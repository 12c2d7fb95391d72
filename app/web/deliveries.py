"""Log History, one delivery with its attempts, and the buttons on both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for

from app import clock
from app.core.access import Permission
from app.core.states import DeliveryKind, DeliveryState
from app.errors import Conflict, Invalid, NotFound
from app.services import deliveries, explain, exports, inside, log, log_menus, retention, saved_views, tests
from app.services.exports import Kind
from app.web import attempts, downloads, is_fragment, live, log_filters, needs, own_path, payloads, words
from app.web.carrying import with_query
from app.web.filters import number, zone_named
from app.web.viewer import actor, viewer
from app.web.words import Voice

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from app.services.deliveries import DeliveryView
    from app.services.log import DeliveryRow
    from app.web.log_filters import Filters

bp = Blueprint("deliveries", __name__)

MOST_OPEN = 10
LOCAL = "http://127.0.0.1:8000/"
LOG = (Permission.WEBHOOKS, Permission.LOG)
S = DeliveryState


def voice() -> Voice:
    """The viewer's zone and the present moment."""
    zone = zone_named(viewer().zone)
    assert zone is not None
    return Voice(zone, clock.now())


# --- Log History


@bp.get("/log")
@needs(*LOG)
def index() -> BaseResponse:
    """Deliveries, newest first."""
    filters = log_filters.read(request.args, voice())
    menus, views = log_menus.menus(actor()), saved_views.list_all(actor())
    response = make_response(
        render_template(
            "deliveries/index.html",
            views=views,
            this_view=next((view for view in views if view.query == filters.query), None),
            sentence=log_filters.sentence(filters, menus, voice()),
            chips=log_filters.chips(filters, menus, voice()),
            **{**_form(filters, menus), **_list(filters)},
        )
    )
    if is_fragment():  # the filters were changed: the address is to say what is shown, and no more
        response.headers["HX-Replace-Url"] = filters.url()
    return response


@bp.get("/log/choices")
@needs(*LOG)
def choices() -> BaseResponse:
    """The filter form with all there is to choose from, one of its menus open."""
    filters = log_filters.read(request.args, voice())
    if not is_fragment():
        return redirect(filters.url(choose=_chosen_menu()))
    return make_response(render_template("deliveries/_filters.html", **_form(filters, log_menus.menus(actor()))))


def _chosen_menu() -> str:
    return request.args.get("choose", "")[:20]


def _form(filters: Filters, menus: log_menus.Menus) -> dict[str, Any]:
    """Everything `_filters.html` needs besides the filters."""
    return {
        "filters": filters,
        "menus": menus,
        "choices": log_filters,
        "chosen_menu": _chosen_menu(),
        "own_from": "" if log_filters.is_period(filters.one("from")) else _input(filters.asked.from_at),
        "own_to": _input(filters.asked.to_at),
    }


def _input(at: int | None) -> str:
    return log_filters.as_input(at, voice().zone)


@bp.get("/log/rows")
@needs(*LOG)
def rows() -> BaseResponse:
    """The rows alone, for the poll; 304 while nothing they show has changed."""
    filters = log_filters.read(request.args, voice())
    if not is_fragment():
        return redirect(filters.url(open=_open()))
    if filters.asked.is_inside:  # what takes seconds is shown once, and not kept up to date
        return make_response(render_template("deliveries/_rows.html", **_list(filters)))
    stamp = log.stamp(actor(), filters.asked)
    return live.region("deliveries/_rows.html", stamp, lambda: _list(filters), seconds=_pace(stamp))


def _pace(stamp: log.Stamp) -> int:
    quiet_ms = clock.now() - stamp.moved_at
    if stamp.is_busy or quiet_ms < 60_000:
        return 2
    return 5 if quiet_ms < 600_000 else 15


def _open() -> list[str]:
    return list(dict.fromkeys(request.args.getlist("open")))[:MOST_OPEN]


def _list(filters: Filters) -> dict[str, Any]:
    """Everything `_rows.html` needs: the page, what is open in it, and addresses that keep both."""
    page = (inside if filters.asked.is_inside else log).page(actor(), filters.asked)
    shown = {row.id for row in page.rows}
    opened = [public_id for public_id in _open() if public_id in shown]
    raw = [public_id for public_id in request.args.getlist("raw") if public_id in opened]
    place = {"newer" if filters.asked.newer else "cursor": filters.asked.cursor or ""}
    top = filters.asked.top or (page.rows[0].cursor if page.rows and not filters.asked.cursor else "")
    if filters.asked.oldest_first:  # what arrives comes at the far end
        top = ""
    return {
        "page": page,
        "filters": filters,
        "opened": deliveries.details(actor(), opened),
        "come_for": opened[-1] if opened and not is_fragment() else None,
        "raw": raw,
        "links": _Links(filters, {**place, "top": top}, opened, raw),
        "masked": not actor().may(Permission.PAYLOADS),
        "words": words,
        "voice": voice(),
        "inline": payloads.INLINE,
        "top": top,
        "paging": place,
        "without_date": _without_date(filters) if not page.rows else 0,
        "kept": retention.kept(actor()) if page.rows and not page.older else None,
        "headers": attempts.headers,
    }


class _Links:
    """Addresses of the list with other rows opened; made often, so by joining texts."""

    def __init__(self, filters: Filters, place: dict[str, str], opened: list[str], raw: list[str]) -> None:
        pairs = [(name, value) for name, values in filters.given.items() for value in values]
        self.query = urlencode(pairs)
        self._pinned = urlencode([*pairs, *((name, value) for name, value in place.items() if value)])
        self._unpinned = urlencode([*pairs, *((n, v) for n, v in place.items() if v and n != "top")])
        self._opened, self._raw = opened, raw
        self._index = url_for("deliveries.index")
        self._path = self._index.partition("?")[0]

    def toggled(self, public_id: str) -> str:
        """The query that opens a row, or closes it."""
        is_open = public_id in self._opened
        others = [one for one in self._opened if one != public_id]
        return self._with(others if is_open else [*others, public_id], [one for one in self._raw if one != public_id])

    def _with(self, opened: list[str], raw: list[str]) -> str:
        more = "".join([f"&open={one}" for one in opened] + [f"&raw={one}" for one in raw])
        return ((self._pinned if opened else self._unpinned) + more).lstrip("&")

    def page(self, query: str) -> str:
        """The page of a query."""
        return with_query(self._index, query) if query else self._index

    def beside(self, query: str) -> str:
        """The page of a query, written as short as can be; for links on the very page."""
        return self.page(query).removeprefix(self._path) if query else self._index

    def views(self, public_id: str) -> list[tuple[str, str, bool]]:
        """The ways a payload can be shown."""
        others = [one for one in self._raw if one != public_id]
        is_raw = public_id in self._raw
        at = f"#{public_id}"
        return [
            ("Pretty", self.page(self._with(self._opened, others)) + at, not is_raw),
            ("Raw", self.page(self._with(self._opened, [*others, public_id])) + at, is_raw),
        ]

    def here(self) -> str:
        """This very list, to come back to."""
        return self.page(self._with(self._opened, self._raw))

    def newest(self) -> str:
        """The list from its top, with what is open."""
        pairs = self.query + "".join(f"&open={one}" for one in self._opened)
        return self.page(pairs.lstrip("&"))


def _without_date(filters: Filters) -> int:
    """How many would match at any time, for a page that found nothing."""
    if filters.asked.is_inside or (filters.asked.from_at is None and filters.asked.to_at is None):
        return 0
    return log.count(actor(), replace(filters.asked, from_at=None, to_at=None, cursor=None))


@bp.get("/log/counts")
@needs(*LOG)
def counts() -> BaseResponse:
    """How many match, once the rows stand there."""
    filters = log_filters.read(request.args, voice())
    if not is_fragment():
        return redirect(filters.url())
    found, since = log.counted(actor(), filters.asked)
    figure = number(log.COUNTED) + "+" if found > log.COUNTED else number(found)
    looked = f" since {voice().plain(since)}" if since is not None else ""
    return make_response(render_template("deliveries/_counts.html", filters=filters, figure=figure, looked=looked))


@bp.get("/log.<any(csv, ndjson):kind>")
@needs(*LOG)
def export(kind: str) -> BaseResponse:
    """The filtered log as a file; with `bodies`, for who may see payloads, with those too."""
    filters = log_filters.read(request.args, voice())
    file = exports.deliveries_file(actor(), filters.asked, Kind(kind), with_bodies="bodies" in request.args)
    return downloads.answer(file)


# --- one delivery


@bp.get("/deliveries/<public_id>")
@needs(*LOG)
def show(public_id: str) -> str:
    """A delivery, what came of it and what is planned."""
    filters = log_filters.read(request.args, voice())
    view = deliveries.find(actor(), public_id)
    newer, older = deliveries.neighbours(actor(), filters.asked, view.row)
    beside = [filters.url("deliveries.show", public_id=one) if one else "" for one in (newer, older)]
    return render_template(
        "deliveries/show.html", newer=beside[0], older=beside[1], log_url=filters.url(), **_told(view, filters)
    )


@bp.get("/deliveries/<public_id>/live")
@needs(*LOG)
def running(public_id: str) -> BaseResponse:
    """The same while it is not finished, for the poll."""
    filters = log_filters.read(request.args, voice())
    if not is_fragment():
        return redirect(filters.url("deliveries.show", public_id=public_id))
    stamp = deliveries.stamp_of(actor(), public_id)
    soon = stamp[0] is S.SENDING or (stamp[2] or 0) - clock.now() < 60_000
    load = lambda: _told(deliveries.find(actor(), public_id), filters)  # noqa: E731
    return live.region("deliveries/_running.html", stamp, load, seconds=1 if soon else 5)


def _told(view: DeliveryView, filters: Filters) -> dict[str, Any]:
    how = request.args.get("as", "pretty")
    is_form = view.content_type.startswith("application/x-www-form-urlencoded")
    links = [("Pretty", "pretty"), ("Raw", "raw")] if not is_form else [("Form", "pretty"), ("Raw", "raw")]
    return {
        "view": view,
        "row": view.row,
        "filters": filters,
        "words": words,
        "voice": voice(),
        "masked": not actor().may(Permission.PAYLOADS),
        "raw": how == "raw",
        "views": [
            (text, filters.url("deliveries.show", public_id=view.row.id, **{"as": value}) + "#payload", value == how)
            for text, value in links
        ],
        "timeline": attempts.timeline(view, voice()),
        "phases": attempts.phases,
        "headers": attempts.headers,
        "differs": attempts.differing(view),
        "is_live": view.row.finished_at is None,
        "is_test": view.row.kind is DeliveryKind.TEST,
        "not_sent": _not_sent(view.row),
    }


def _not_sent(row: DeliveryRow) -> dict[str, Any] | None:
    """Why it was not sent, with the facts, and where the setting lies; None for what was, and for who may not ask."""
    if row.state is not S.SKIPPED or not actor().may(Permission.WEBHOOKS):
        return None
    try:
        why = explain.why(actor(), row.webhook, row.event)
    except NotFound:  # the webhook was deleted since
        return None
    if why.told.delivery != row.id:  # it was replayed since
        return None
    said = words.went(why.told, voice(), event_type=why.event_type, unit=why.unit)
    return {"said": said, "way": words.REASONS[why.told.reason] if why.told.reason else None}


@bp.get("/deliveries/<public_id>/attempts/<int:number>")
@needs(*LOG)
def attempt(public_id: str, number: int) -> str:
    """One attempt in full, to be linked to and printed."""
    filters = log_filters.read(request.args, voice())
    view = deliveries.find(actor(), public_id)
    numbers = [one.number for one in view.attempts]
    if number not in numbers:
        raise NotFound
    newer, older = (
        filters.url("deliveries.attempt", public_id=public_id, number=beside) if beside in numbers else ""
        for beside in (number + 1, number - 1)
    )
    shown = view.attempts[numbers.index(number)]
    return render_template("deliveries/attempt.html", attempt=shown, newer=newer, older=older, **_told(view, filters))


@bp.get("/deliveries/<public_id>/body")
@needs(Permission.PAYLOADS)
def body(public_id: str) -> BaseResponse:
    """The payload, byte for byte."""
    view = deliveries.find(actor(), public_id)
    response = Response(view.body or b"", mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{public_id}.{_extension(view)}"'
    return response


def _extension(view: DeliveryView) -> str:
    return "json" if "json" in view.content_type else "txt"


@bp.get("/deliveries/<public_id>/curl")
@needs(Permission.PAYLOADS)
def curl(public_id: str) -> BaseResponse:
    """A command that sends the latest request again; to this machine with `to=local`. Secrets are to be filled in."""
    url = LOCAL if request.args.get("to") == "local" else None
    return Response(deliveries.curl(actor(), public_id, url=url) + "\n", mimetype="text/plain")


@bp.get("/deliveries/<public_id>/compare")
@needs(*LOG)
def compare(public_id: str) -> str:
    """Two attempts side by side."""
    view = deliveries.find(actor(), public_id)
    numbered = {item.number: item for item in view.attempts}
    chosen = [numbered.get(request.args.get(name, 0, type=int)) for name in ("a", "b")]
    if chosen[0] is None or chosen[1] is None:
        raise Conflict("Choose two attempts of this delivery.")
    masked = not actor().may(Permission.PAYLOADS)
    parts = attempts.comparison(chosen[0], chosen[1], voice(), masked=masked)
    return render_template("deliveries/compare.html", row=view.row, view=view, parts=parts, a=chosen[0], b=chosen[1])


# --- by hand


@bp.post("/deliveries/<public_id>/retry")
@needs(Permission.WEBHOOKS)
def retry(public_id: str) -> BaseResponse:
    """Make the next attempt now."""
    try:
        deliveries.retry(actor(), public_id)
    except Conflict as error:
        flash(error.message)
    return _back(url_for("deliveries.show", public_id=public_id))


@bp.get("/deliveries/<public_id>/cancel")
@needs(Permission.WEBHOOKS)
def ask_cancel(public_id: str) -> str:
    """Whether to make no more attempts."""
    return _ask("deliveries/cancel.html", public_id)


@bp.post("/deliveries/<public_id>/cancel")
@needs(Permission.WEBHOOKS)
def cancel(public_id: str) -> BaseResponse:
    """Make no more attempts."""
    try:
        deliveries.cancel(actor(), public_id)
    except Conflict as error:
        flash(error.message)
    return _back(url_for("deliveries.show", public_id=public_id))


@bp.get("/deliveries/<public_id>/replay")
@needs(Permission.WEBHOOKS)
def ask_replay(public_id: str) -> str:
    """Whether to send the event once more."""
    return _ask("deliveries/replay.html", public_id)


@bp.post("/deliveries/<public_id>/replay")
@needs(Permission.WEBHOOKS)
def replay(public_id: str) -> BaseResponse:
    """Send the event once more, and show that delivery."""
    return redirect(url_for("deliveries.show", public_id=deliveries.replay(actor(), public_id)), 303)


def _ask(template: str, public_id: str) -> str:
    view = deliveries.find(actor(), public_id)
    back = own_path(request.args.get("back")) or url_for("deliveries.show", public_id=public_id)
    return render_template(template, row=view.row, back=back, action=request.path)


@bp.route("/deliveries/<public_id>/edit-test", methods=["GET", "POST"])
@needs(Permission.WEBHOOKS)
def edit_test(public_id: str) -> BaseResponse | tuple[str, int] | str:
    """Change the event's data and send it as a test."""
    actor().require(Permission.PAYLOADS)
    view = deliveries.find(actor(), public_id)
    if request.method == "GET":
        return _editor(view, msgspec.json.format(view.data, indent=2).decode(), {})
    text = request.form.get("data", "")
    try:
        made = tests.send(actor(), view.row.webhook, event=view.row.event, data=text.encode())
    except Invalid as error:
        return _editor(view, text, {problem.field: problem.message for problem in error.problems}), 422
    return redirect(url_for("deliveries.show", public_id=made), 303)


def _editor(view: DeliveryView, text: str, errors: dict[str, str]) -> str:
    return render_template("deliveries/edit_test.html", row=view.row, text=text, errors=errors)


def _back(otherwise: str) -> BaseResponse:
    return redirect(own_path(request.form.get("back")) or otherwise, 303)
