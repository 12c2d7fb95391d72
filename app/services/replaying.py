"""Makes the next deliveries of every replay that runs, at its rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, select, text, update
from sqlalchemy.orm import selectinload

from app import ids
from app.core.states import DeliveryKind, Reason
from app.database import read, write
from app.delivery import bell, queue
from app.faults import fault
from app.models import Event, Membership, Replay, ReplayItem, ReplayState, Webhook
from app.models.types import core_table
from app.services.routing import target_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.orm import Session

SLICE = 100  # deliveries in one transaction
CATCH_UP_MS = 2_000  # of a rate that could not be kept; what is older than that is not made up for

_RUNNING = text("replay.state = 'running'")  # written out, or SQLite doesn't use the partial index
_item = core_table(ReplayItem)
_note = (
    update(_item)
    .where(_item.c.replay_id == bindparam("of"), _item.c.position == bindparam("at"))
    .values(delivery_id=bindparam("made"), refused=bindparam("why"))
)


def advance(now: int) -> int:
    """Make what is due of every running replay, oldest replay first; return how many deliveries were made.

    Each slice moves the replay on in the transaction that makes its deliveries: a crash repeats and loses none, and
    of several processes one at a time has a replay.
    """
    with read() as session:
        due = session.scalars(select(Replay.id).where(_RUNNING, Replay.next_at <= now).order_by(Replay.id)).all()
    made = 0
    for replay_id in due:
        is_more = True
        while is_more:
            number, is_more = _take(replay_id, now)
            made += number
    if made:
        bell.ring()
    return made


def _take(replay_id: int, now: int) -> tuple[int, bool]:
    """Make the next slice of one replay; return how many were made, and whether more is due now."""
    with write() as session:
        replay = session.scalar(
            select(Replay).where(Replay.id == replay_id, _RUNNING).with_for_update(skip_locked=True)
        )
        if replay is None:  # stopped, or in the hands of another process
            return 0, False
        begin = max(replay.next_at, now - CATCH_UP_MS)
        due = int((now - begin) * replay.rate / 1000) + 1 if begin <= now else 0
        places = min(due, SLICE)
        if not places:
            return 0, False
        items = session.execute(_next_items(replay, places)).all()
        made = _make(session, replay, items, now)
        replay.position = items[-1].position + 1 if len(items) == places else replay.total
        replay.next_at = begin + round(places * 1000 / replay.rate)
        if replay.position >= replay.total:
            replay.state, replay.finished_at = ReplayState.DONE, now
        is_more = due > places and replay.state is ReplayState.RUNNING
        session.flush()
        fault("replay.before")
    fault("replay.committed")
    return made, is_more


def _next_items(replay: Replay, places: int) -> Select[*tuple[Any, ...]]:
    """The next items with their events, in order. Those whose event was deleted meanwhile are gone with it."""
    query = select(ReplayItem.position, Event.id, Event.type, Event.business_unit_id, Event.visible_to)
    return (
        query.add_columns(ReplayItem.webhook_id)
        .join(Event, Event.id == ReplayItem.event_id)
        .where(ReplayItem.replay_id == replay.id, ReplayItem.position >= replay.position)
        .order_by(ReplayItem.position)
        .limit(places)
    )


def _make(session: Session, replay: Replay, items: Sequence[Any], now: int) -> int:
    """Make a delivery for each item that has none of the reasons against it; note on each what became of it."""
    hooks = _webhooks(session, {item.webhook_id for item in items})
    owners = {hook.id: target_of(hook).owner for hook in hooks.values()}
    copies = queue.next_copies(session, {(item.id, item.webhook_id) for item in items})
    rows, notes = [], []
    for item in items:
        hook = hooks[item.webhook_id]
        refused = _obstacle(replay, item, hook, owners[hook.id])
        public_id = ids.new_id("dlv") if refused is None else None
        notes.append({"of": replay.id, "at": item.position, "made": public_id, "why": refused})
        if public_id is not None:
            copy = copies[item.id, hook.id]
            rows.append(_new_row(public_id, item, hook, copy, now))
    queue.enqueue(session, rows)
    made = queue.ids_of(session, [row["public_id"] for row in rows])
    if notes:
        session.connection().execute(_note, [{**note, "made": made.get(note["made"])} for note in notes])
    return len(rows)


def _webhooks(session: Session, row_ids: Collection[int]) -> dict[int, Webhook]:
    owner = selectinload(Webhook.owner)
    query = select(Webhook).where(Webhook.id.in_(row_ids)).options(owner.selectinload(Membership.units))
    return {hook.id: hook for hook in session.scalars(query)}


def _obstacle(replay: Replay, item: Any, hook: Webhook, owner: Any) -> Reason | None:
    visible_to = frozenset(item.visible_to) if item.visible_to is not None else None
    if hook.deleted_at is not None:
        return Reason.WEBHOOK_DELETED
    if not hook.enabled and replay.filter.get("leave_out_off"):
        return Reason.WEBHOOK_OFF
    if owner is None or not owner.includes(item.business_unit_id, visible_to):
        return Reason.OWNER_CANNOT_SEE
    return None


def _new_row(public_id: str, item: Any, hook: Webhook, copy: int, now: int) -> dict[str, Any]:
    return queue.new_row(
        public_id=public_id,
        organization_id=hook.organization_id,
        event_id=item.id,
        webhook_id=hook.id,
        event_type=item.type,
        url=hook.url,
        attempts_allowed=hook.retry.tries,
        now=now,
        kind=DeliveryKind.REPLAY,
        copy=copy,
    )
