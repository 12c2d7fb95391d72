"""Replays by filter: starting and stopping one, and how far each has come."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from app import clock, ids
from app.core import cursors
from app.core.access import Permission
from app.core.states import DeliveryState, Reason
from app.core.texts import is_readable
from app.database import door_of, read, write
from app.delivery import queue
from app.errors import Conflict, Invalid, Problem
from app.models import Delivery, Event, Replay, ReplayItem, ReplayState
from app.services import audit, replay_selection
from app.services.replay_selection import LeftOut, Selection, Wanted
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SLOWEST, FASTEST, USUAL = 0.1, 1000.0, 10.0  # deliveries a second
LONGEST_WHY = 300
MOST_LISTED = 250
_SLICE = 1_000
_NEW_ID = re.compile(r"rpl_[0-9a-z]{26}")
S = DeliveryState


@dataclass(frozen=True, slots=True)
class Order:
    """How a replay is to run. The same `id` twice is the same replay: the second starts none.

    `expected`: the figure that was shown; when meanwhile another number would be sent, nothing is started.
    """

    rate: float = USUAL  # deliveries a second
    why: str = ""
    id: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class ReplayView:
    """A replay as it is listed."""

    id: str
    state: ReplayState
    made_by: str
    why: str
    asked: dict[str, Any]  # filter and boxes, as they were
    rate: float
    total: int
    position: int
    created_at: int
    finished_at: int | None
    row_id: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of each delivery of a replay; all figures together are its total."""

    replay: ReplayView
    delivered: int = 0
    failed: int = 0
    waiting: int = 0  # queued, retrying, held, or under way
    canceled: int = 0
    forgotten: int = 0  # made, and deleted since as the retention says
    gone: int = 0  # never made: the event was deleted before its turn
    left: int = 0  # not made yet; when it was stopped: not made
    refused: tuple[tuple[Reason, int], ...] = ()

    @property
    def is_moving(self) -> bool:
        """Whether its figures will change without anybody doing anything."""
        return self.replay.state is ReplayState.RUNNING or self.waiting > 0

    @property
    def seconds_left(self) -> float:
        """How long it takes at its rate until the last one is made; 0 when it has ended."""
        return self.left / self.replay.rate if self.replay.state is ReplayState.RUNNING else 0.0


def start(actor: Actor, wanted: Wanted, order: Order, shown: dict[str, Any]) -> str:
    """Start a replay and return its id. `shown`: the filter in the wire's words, kept for the page.

    What it sends is listed now: what matches later isn't in it. Raises `Conflict` when nothing is to be sent, or not
    as many as were expected.
    """
    actor.require(Permission.REPLAY)
    asked = {"filter": shown, "only_failed": wanted.only_failed, "leave_out_off": wanted.leave_out_off}
    return begin(actor, lambda session: replay_selection.select_now(session, actor, wanted), order, asked)


def begin(actor: Actor, choose: Any, order: Order, asked: dict[str, Any]) -> str:
    """Start a replay of what `choose(session)` selects; for `start` and its likes, which check permissions."""
    _check(order)
    public_id = order.id or ids.new_id("rpl")
    if order.id is not None and _exists(actor, order.id):
        return public_id
    with read() as session:
        chosen: Selection = choose(session)
    asked |= {"left_out": dict(chosen.left_out), "is_more": chosen.is_more}
    try:
        _check_figure(chosen, order)
        _store(actor, public_id, chosen, order, asked)
    except (Conflict, IntegrityError):
        if not _exists(actor, public_id):  # else the same form was pressed twice in the same moment
            raise
    return public_id


def _check(order: Order) -> None:
    problems = []
    if not math.isfinite(order.rate) or not SLOWEST <= order.rate <= FASTEST:
        problems.append(Problem("rate", f"Choose a rate from {SLOWEST:g} to {FASTEST:g} a second."))
    if len(order.why) > LONGEST_WHY or not is_readable(order.why):
        problems.append(Problem("reason", f"Keep the reason to one line of {LONGEST_WHY} characters."))
    if order.id is not None and not _NEW_ID.fullmatch(order.id):
        problems.append(Problem("id", "Leave the id out, or take it from the form."))
    if problems:
        raise Invalid(problems)


def _check_figure(chosen: Selection, order: Order) -> None:
    if not chosen.total:
        raise Conflict("Nothing is left to replay.")
    if order.expected is not None and order.expected != chosen.total:
        raise Conflict(f"Meanwhile it would be {chosen.total:,} instead of {order.expected:,}. Look again, then go on.")


def _exists(actor: Actor, public_id: str) -> bool:
    with read() as session:
        query = for_org(session, actor, Replay).query().where(Replay.public_id == public_id)
        return session.scalar(query) is not None


def _store(actor: Actor, public_id: str, chosen: Selection, order: Order, asked: dict[str, Any]) -> None:
    """Write the replay and its list. It runs only when the list is complete: a crash before that leaves it stopped."""
    now = clock.now()
    with write() as session:
        replay = Replay(
            public_id=public_id,
            organization_id=actor.organization_id,
            made_by=actor.name,
            made_by_id=actor.public_id,
            why=order.why,
            filter=asked,
            rate=order.rate,
            state=ReplayState.STOPPED,
            total=chosen.total,
            position=0,
            next_at=now,
            created_at=now,
            finished_at=now,
        )
        session.add(replay)
        session.flush()
        row_id = replay.id
    for first in range(0, chosen.total, _SLICE):
        with write() as session:
            _list(session, row_id, first, chosen.pairs[first : first + _SLICE])
    with write() as session:
        replay = session.get_one(Replay, row_id)
        replay.state, replay.finished_at = ReplayState.RUNNING, None
        changes = {"deliveries": (None, chosen.total), "rate": (None, order.rate)}
        audit.record(session, actor, "replay.started", _named(replay), changes | _reason(order.why))


def _list(session: Session, row_id: int, first: int, pairs: tuple[tuple[int, int], ...]) -> None:
    """Put items on the list; those whose event was deleted since it was found are left out, and counted as gone."""
    query = select(Event.id).where(Event.id.in_({event_id for event_id, _ in pairs}))
    query = query.with_for_update(read=True, key_share=True)
    there = set(session.scalars(query))
    items = [
        {"replay_id": row_id, "position": position, "event_id": event_id, "webhook_id": webhook_id}
        for position, (event_id, webhook_id) in enumerate(pairs, first)
        if event_id in there
    ]
    door_of(session).insert("replay_item", items)


def _reason(why: str) -> dict[str, tuple[Any, Any]]:
    return {"reason": (None, why)} if why else {}


@dataclass(frozen=True, slots=True)
class _Named:
    public_id: str
    name: str


def _named(replay: Replay) -> _Named:
    return _Named(replay.public_id, f"{replay.total:,} {'delivery' if replay.total == 1 else 'deliveries'}")


def stop(actor: Actor, public_id: str, *, cancel_waiting: bool = False) -> bool:
    """Make no more deliveries; what was made is still sent, unless `cancel_waiting`: then only what is under way.

    Returns False when it had ended already.
    """
    actor.require(Permission.REPLAY)
    now = clock.now()
    with write() as session:
        replay = for_org(session, actor, Replay).one(public_id)
        move = update(Replay).where(Replay.id == replay.id, Replay.state == ReplayState.RUNNING)
        moved = session.scalar(move.values(state=ReplayState.STOPPED, finished_at=now).returning(Replay.position))
        if moved is None:
            return False
        audit.record(session, actor, "replay.stopped", _named(replay), {"made": (None, moved)})
        row_id = replay.id
    if cancel_waiting:
        _cancel_waiting(row_id, actor.name, now)
    return True


def _cancel_waiting(row_id: int, by: str, now: int) -> None:
    """Cancel what a replay has made and nobody has begun to send, in slices with a commit each."""
    made = select(ReplayItem.delivery_id).join(Delivery, Delivery.id == ReplayItem.delivery_id)
    waiting = made.where(ReplayItem.replay_id == row_id, queue.PENDING).limit(_SLICE)
    while True:
        with write() as session:
            ids = [found for found in session.scalars(waiting) if found is not None]
            queue.cancel(session, ids, Reason.BY_PERSON, by, now)
        if len(ids) < _SLICE:
            return


# --- looking


@dataclass(frozen=True, slots=True)
class Page:
    """Some replays, newest first; `next` is the cursor of the following page."""

    items: tuple[ReplayView, ...]
    next: str | None


def page(actor: Actor, *, limit: int = 50, cursor: str | None = None) -> Page:
    """Return the organization's replays, newest first. Raises `Invalid` for an unreadable cursor."""
    actor.require(Permission.REPLAY, Permission.LOG)
    limit = max(1, min(limit, MOST_LISTED))
    with read() as session:
        query = for_org(session, actor, Replay).query().order_by(Replay.id.desc()).limit(limit + 1)
        if cursor:
            query = query.where(Replay.id < _place(cursor))
        rows = session.scalars(query).all()
        more = cursors.encode(0, rows[limit - 1].id) if len(rows) > limit else None
        return Page(tuple(_view(row) for row in rows[:limit]), more)


def _place(cursor: str) -> int:
    try:
        return cursors.decode(cursor)[1]
    except ValueError as error:
        raise Invalid([Problem("cursor", str(error))]) from None


def progress(actor: Actor, public_id: str) -> Progress:
    """Return how far a replay has come. Raises `NotFound`."""
    actor.require(Permission.REPLAY, Permission.LOG)
    with read() as session:
        view = _view(for_org(session, actor, Replay).one(public_id))
        return _progress(session, view)


def _progress(session: Session, view: ReplayView) -> Progress:
    is_taken = (ReplayItem.position < view.position).label("is_taken")
    keys = (Delivery.state, ReplayItem.refused, is_taken)
    query = (
        select(*keys, func.count())
        .select_from(ReplayItem)
        .outerjoin(Delivery, Delivery.id == ReplayItem.delivery_id)
        .where(ReplayItem.replay_id == view.row_id)
        .group_by(*keys)
    )
    figures = dict.fromkeys(("delivered", "failed", "waiting", "canceled", "forgotten", "left"), 0)
    refused: dict[Reason, int] = {}
    for state, why, taken, number in session.execute(query):
        if why is not None:
            refused[Reason(why)] = number
        else:
            figures[_PLACES[state] if state is not None else "forgotten" if taken else "left"] += number
    gone = view.total - sum(figures.values()) - sum(refused.values())
    return Progress(view, gone=gone, refused=tuple(refused.items()), **figures)


_PLACES = {
    S.PENDING: "waiting",
    S.SENDING: "waiting",
    S.DELIVERED: "delivered",
    S.FAILED: "failed",
    S.CANCELED: "canceled",
    S.SKIPPED: "forgotten",  # none is made so
}


def _view(row: Replay) -> ReplayView:
    return ReplayView(
        id=row.public_id,
        state=row.state,
        made_by=row.made_by,
        why=row.why,
        asked=row.filter,
        rate=row.rate,
        total=row.total,
        position=row.position,
        created_at=row.created_at,
        finished_at=row.finished_at,
        row_id=row.id,
    )


def left_out_of(view: ReplayView) -> list[tuple[LeftOut, int]]:
    """Return what was left out of a replay when it was started, and why."""
    given = view.asked.get("left_out", {})
    return [(why, given[why.value]) for why in LeftOut if why.value in given]
