"""Search: a full id jumps to its page; other words find webhooks and event types, and go on into the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import AppError
from app.services import deliveries, event_types, events, replays, webhooks
from app.web import needs
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from app.services.scope import Actor

bp = Blueprint("search", __name__)

MOST_SHOWN = 20


def _replay(asking: Actor, public_id: str) -> object:
    asking.require(Permission.REPLAY)
    return replays.progress(asking, public_id)


# What a prefix of an id stands for: who finds it, and the page that shows it.
JUMPS = {
    "whk_": (webhooks.find, "webhooks.show"),
    "dlv_": (deliveries.find, "deliveries.show"),
    "evt_": (events.find, "events.show"),
    "rpl_": (_replay, "replays.show"),
}


@bp.get("/search")
@needs(Permission.WEBHOOKS, Permission.LOG)
def index() -> str | Response:
    """What was found, or straight to the thing whose id it is."""
    asked = request.args.get("q", "").strip()
    target = _jump(asked)
    if target is not None:
        return redirect(target)
    return render_template(
        "search/index.html", asked=asked, hooks=_webhooks(asked.lower()), types=_types(asked.lower())
    )


def _jump(asked: str) -> str | None:
    """The page of the thing with this id, when the viewer may see it; an attempt's is its delivery's."""
    if asked.startswith("att_"):
        asked = "dlv_" + asked.removeprefix("att_").rpartition("_")[0]
    found = JUMPS.get(asked[:4])
    if found is None:
        return None
    find, endpoint = found
    try:
        find(actor(), asked)
    except AppError:
        return None
    return url_for(endpoint, public_id=asked)


def _webhooks(asked: str) -> list[tuple[str, str, str]]:
    """Id, name and URL of the webhooks in whose name or URL the words stand."""
    if not asked or not actor().may(Permission.WEBHOOKS):
        return []
    found = [
        view
        for view in webhooks.list_all(actor())
        if asked in f"{view.settings['name']}\n{view.settings['url']}".lower()
    ]
    return [(view.id, view.settings["name"], view.settings["url"]) for view in found[:MOST_SHOWN]]


def _types(asked: str) -> list[tuple[str, str]]:
    """Name and description of the event types in which the words stand."""
    if not asked:
        return []
    found = [kind for kind in event_types.list_all(actor()) if asked in f"{kind.name}\n{kind.title}".lower()]
    return [(kind.name, kind.description) for kind in found[:MOST_SHOWN]]
