"""Replays by filter, and what a webhook missed while it was off: counting, starting, following and stopping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor, documented
from app.api.log_queries import asked_of
from app.api.schemas import replays as schemas
from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.core.envelope import moment
from app.services import missed, replay_selection, replays
from app.services.log import LogQuery
from app.services.replay_selection import Wanted
from app.services.replays import Order

calls = Calls("replays", "Replays")
READ, WRITE = Scope.DELIVERIES_READ, Scope.DELIVERIES_WRITE


@calls.call(
    "POST",
    "/replays",
    WRITE,
    name="startReplay",
    answers={200: schemas.Counted, 202: schemas.Replay},
    clashes=True,
)
def start(body: schemas.ReplayOrder) -> Response:
    """Send the events of many deliveries again, oldest first (202); with `dry_run` count them (200).

    A replay is a new delivery of the same event, with today's settings and secret. It waits for webhooks that are
    paused or off.
    """
    wanted = Wanted(_asked(body.filter), only_failed=body.only_failed, leave_out_off=body.leave_out_off)
    if body.dry_run:
        return bodies.answer(serialize.selection(replay_selection.count(actor(), wanted)))
    return _shown(replays.start(actor(), wanted, _order(body), _named(body.filter)), 202)


def _asked(given: schemas.Filter) -> LogQuery:
    chosen = tuple(dict.fromkeys(given.delivery or ()))
    return replace(asked_of(given), delivery=chosen, skipped=given.delivery is not None)


def _named(given: schemas.Filter) -> dict[str, Any]:
    """The filter in the wire's words, as it is kept."""
    named = given.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return named | {name: moment(named[name]) for name in ("from", "to") if name in named}


def _order(body: schemas.ReplayOrder | schemas.MissedOrder) -> Order:
    return Order(rate=body.rate, why=body.reason, expected=body.expected)


@calls.call("GET", "/replays", READ, name="listReplays", answers={200: schemas.Replays})
def index(query: Listed) -> Response:
    """List replays, newest first."""
    page = replays.page(actor(), limit=query.limit, cursor=query.cursor)
    return bodies.answer({"items": [serialize.replay_summary(view) for view in page.items], "next": page.next})


@calls.call("GET", "/replays/<id>", READ, name="getReplay", answers={200: schemas.Replay})
def show(path: ById) -> Response:
    """Return a replay: how far it has come."""
    return _shown(path.id)


@calls.call("POST", "/replays/<id>/stop", WRITE, name="stopReplay", answers={200: schemas.Replay}, needs_body=False)
@documented(path=ById, body=schemas.StopOrder)
def stop(id: str) -> Response:  # noqa: A002
    """Make no more deliveries; those that were made are still sent, or canceled. The body may be left out.

    A replay that has ended stays as it is.
    """
    asked = bodies.read_optional(schemas.StopOrder)
    replays.stop(actor(), id, cancel_waiting=asked.cancel_waiting)
    return _shown(id)


@calls.call(
    "POST",
    "/webhooks/<id>/missed",
    WRITE,
    name="sendMissed",
    answers={200: schemas.MissedCounted, 202: schemas.Replay},
    clashes=True,
    needs_body=False,
)
@documented(path=ById, body=schemas.MissedOrder)
def send_missed(id: str) -> Response:  # noqa: A002
    """Send a webhook that is on what it missed while it was off, oldest first (202); with `dry_run` count it (200).

    What was sent since isn't sent again. The body may be left out.
    """
    body = bodies.read_optional(schemas.MissedOrder)
    if body.dry_run:
        return bodies.answer(serialize.missed(missed.find(actor(), id)))
    return _shown(missed.start(actor(), id, _order(body)), 202)


def _shown(public_id: str, status: int = 200) -> Response:
    return bodies.answer(serialize.replay(replays.progress(actor(), public_id)), status)
