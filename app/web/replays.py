"""Replays by filter: the list, the question with its figures, and one while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from app import clock, ids
from app.core.access import Permission
from app.errors import Conflict, Invalid
from app.services import log_menus, replay_selection, replays
from app.services.log import LogQuery
from app.services.replay_selection import MOST_CHOSEN, Wanted
from app.services.replays import Order, Progress, ReplayView
from app.web import is_fragment, live, log_filters, needs, own_path, words
from app.web.filters import zone_named
from app.web.log_filters import Filters
from app.web.viewer import actor, viewer
from app.web.words import Voice

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

bp = Blueprint("replays", __name__)

SECOND_MS = 1_000


def voice() -> Voice:
    """How to speak to the viewer of moments."""
    return Voice(zone_named(viewer().zone) or UTC, clock.now())


@bp.get("/replays")
@needs(Permission.REPLAY)
def index() -> str:
    """The list, newest first."""
    page = replays.page(actor(), cursor=request.args.get("cursor"))
    return render_template(
        "replays/index.html",
        items=[(view, what(view)) for view in page.items],
        words=words,
        older=url_for(".index", cursor=page.next) if page.next else "",
        newest=url_for(".index") if request.args.get("cursor") else "",
    )


# --- asking for one


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for: deliveries by filter or by id, and the boxes."""

    filters: Filters
    wanted: Wanted

    @property
    def shown(self) -> dict[str, Any]:
        """The filter in the wire's words."""
        if self.wanted.asked.delivery:
            return {"delivery": list(self.wanted.asked.delivery)}
        return {
            name: list(values) if name in log_filters.SEVERAL else values[0]
            for name, values in self.filters.given.items()
        }


def _read() -> Asked:
    """Read filter and boxes. Without boxes in the request they are as usual: ticked, but for chosen deliveries."""
    given, now = request.values, voice()
    chosen = tuple(dict.fromkeys(given.getlist("delivery")))
    if len(chosen) > MOST_CHOSEN:
        raise Conflict(f"Choose {MOST_CHOSEN} deliveries at most, or use the filter.")
    filters = Filters() if chosen else _pinned(log_filters.read(given, now), now.now_at)
    asked = LogQuery(delivery=chosen) if chosen else filters.asked
    has_boxes = "boxes" in given
    return Asked(
        filters,
        Wanted(
            asked,
            only_failed="only_failed" in given if has_boxes else not chosen,
            leave_out_off="leave_out_off" in given or not has_boxes,
        ),
    )


def _pinned(filters: Filters, now: int) -> Filters:
    """The same filter with moments instead of lengths of time, up to now: what is shown is what will be sent."""
    asked = replace(filters.asked, cursor=None, newer=False, top=None)
    given = dict(filters.given)
    end = asked.to_at if asked.to_at is not None else now + SECOND_MS
    limits = {"to": end // SECOND_MS * SECOND_MS}
    if asked.from_at is not None:
        limits["from"] = asked.from_at // SECOND_MS * SECOND_MS
    for name, at in limits.items():
        given[name] = (f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",)
    return Filters(given, replace(asked, from_at=limits.get("from"), to_at=limits["to"]))


@bp.get("/replays/new")
@needs(Permission.REPLAY)
def new() -> str:
    """What would be replayed, and the question whether to."""
    return _question(_read(), {})


@bp.post("/replays/count")
@needs(Permission.REPLAY)
def recount() -> str:
    """The figures anew, after a box was changed."""
    return _question(_read(), {})


@bp.post("/replays/new")
@needs(Permission.REPLAY)
def create() -> BaseResponse | tuple[str, int]:
    """Start it; the same form sent twice starts one."""
    asked = _read()
    try:
        order = order_of(request.form)
        made = replays.start(actor(), asked.wanted, order, asked.shown)
    except Invalid as error:
        return _question(asked, {problem.field: problem.message for problem in error.problems}), 422
    except Conflict as error:
        return _question(asked, {"figure": error.message}), 409
    return redirect(url_for(".show", public_id=made), 303)


def order_of(form: MultiDict[str, str]) -> Order:
    """Read rate, reason, the form's id and the figure it showed. Raises `Invalid` for a rate that is no number."""
    try:
        rate = float(form.get("rate", str(replays.USUAL)).strip().replace(",", "."))
    except ValueError:
        rate = 0.0  # the service says what it may be
    why = " ".join(form.get("reason", "").split())
    return Order(rate, why, form.get("id") or None, form.get("expected", type=int))


def _question(asked: Asked, errors: dict[str, str]) -> str:
    given = request.values
    chosen = asked.wanted.asked.delivery
    hidden = {"delivery": list(chosen)} if chosen else {name: list(v) for name, v in asked.filters.given.items()}
    return render_template(
        "replays/new.html",
        selection=replay_selection.count(actor(), asked.wanted),
        wanted=asked.wanted,
        what=_sentence(asked.filters, len(chosen)),
        hidden=hidden,
        errors=errors,
        rate=given.get("rate", f"{replays.USUAL:g}"),
        reason=given.get("reason", ""),
        form_id=given.get("id") if not errors.get("id") and given.get("id") else ids.new_id("rpl"),
        back=own_path(given.get("back")) or (url_for("deliveries.index") if chosen else asked.filters.url()),
        words=words,
    )


def _sentence(filters: Filters, chosen: int) -> str:
    if chosen:
        return "The selected delivery" if chosen == 1 else f"{chosen} selected deliveries"
    said = log_filters.sentence(filters, log_menus.menus(actor()), voice())
    return said.rpartition(", newest first")[0] or said


# --- one of them


def what(view: ReplayView) -> str:
    """Say what a replay sends, as it was asked for."""
    if "missed" in view.asked:
        return f"What {view.asked['missed']['name']} missed while it was off"
    given = view.asked.get("filter", {})
    if "delivery" in given:
        return _sentence(Filters(), len(given["delivery"]))
    pairs = MultiDict(given)
    try:
        return _sentence(log_filters.read(pairs, voice()), 0)
    except Invalid:  # a filter that this version doesn't know any more
        return "Deliveries by filter"


@bp.get("/replays/<public_id>")
@needs(Permission.REPLAY)
def show(public_id: str) -> str:
    """How far it has come."""
    return render_template("replays/show.html", **_told(replays.progress(actor(), public_id)))


@bp.get("/replays/<public_id>/live")
@needs(Permission.REPLAY)
def running(public_id: str) -> BaseResponse:
    """The same while it moves, for the poll."""
    if not is_fragment():
        return redirect(url_for(".show", public_id=public_id))
    found = replays.progress(actor(), public_id)
    return live.region("replays/_running.html", found, lambda: _told(found), seconds=1)


def _told(found: Progress) -> dict[str, Any]:
    return {
        "found": found,
        "view": found.replay,
        "what": what(found.replay),
        "left_out": replays.left_out_of(found.replay),
        "words": words,
        "voice": voice(),
    }


@bp.get("/replays/<public_id>/stop")
@needs(Permission.REPLAY)
def ask_stop(public_id: str) -> str:
    """Ask what becomes of what was made and not sent."""
    return render_template("replays/stop.html", found=replays.progress(actor(), public_id))


@bp.post("/replays/<public_id>/stop")
@needs(Permission.REPLAY)
def stop(public_id: str) -> BaseResponse:
    """Make no more deliveries."""
    replays.stop(actor(), public_id, cancel_waiting=request.form.get("waiting") == "cancel")
    return redirect(url_for(".show", public_id=public_id), 303)
