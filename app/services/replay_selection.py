"""What a replay would send: the deliveries that match, what is left out of them and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, exists, func, literal_column, select
from sqlalchemy.orm import aliased

from app.core.access import Permission
from app.core.states import DeliveryKind, DeliveryState
from app.database import read
from app.delivery import queue
from app.models import Delivery, Replay, ReplayItem, ReplayState, Webhook
from app.services import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from app.services.log import LogQuery
    from app.services.scope import Actor

MOST = 10_000  # deliveries of one replay
MOST_CHOSEN = 500  # deliveries named by id
LOOKED_AT = 50_000  # deliveries counted for one answer

S = DeliveryState
_WAITING = (S.PENDING, S.SENDING)
_MADE_GOOD = (*_WAITING, S.DELIVERED)


class LeftOut(StrEnum):
    """Why a delivery that matches is not replayed."""

    WAITING = "waiting"  # it is on its way, and would arrive twice
    NOT_FAILED = "not_failed"
    UNDER_WAY = "under_way"  # a later delivery of the event succeeded or is on its way, or a replay will make one
    REPEATED = "repeated"  # another one of the same event for the same webhook is replayed
    WEBHOOK_OFF = "webhook_off"
    WEBHOOK_DELETED = "webhook_deleted"
    TEST = "test"
    BEYOND = "beyond"  # the oldest 10,000 go first
    NOT_FOUND = "not_found"  # chosen by id, but not there, or not to be seen


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries are to be replayed: those of Log History that `asked` describes, narrowed by two boxes."""

    asked: LogQuery
    only_failed: bool = True  # and not made good since
    leave_out_off: bool = True  # else theirs wait until the webhook is turned on


@dataclass(frozen=True, slots=True)
class AtWebhook:
    """How many deliveries of a webhook match, and how many of them are replayed."""

    id: str
    name: str
    is_on: bool
    matching: int
    replayed: int


@dataclass(frozen=True, slots=True)
class Selection:
    """What a replay would send, oldest first, and what it leaves out. Counts end at `LOOKED_AT` when `is_more`."""

    pairs: tuple[tuple[int, int], ...]  # event and webhook, by row id
    matching: int
    is_more: bool
    by_webhook: tuple[AtWebhook, ...]
    by_state: tuple[tuple[DeliveryState, int], ...]
    left_out: tuple[tuple[LeftOut, int], ...]

    @property
    def total(self) -> int:
        """How many deliveries it would make."""
        return len(self.pairs)


def count(actor: Actor, wanted: Wanted) -> Selection:
    """Return what a replay of this would send now; nothing is changed. Raises `Invalid` for a filter that is none."""
    actor.require(Permission.REPLAY)
    with read() as session:
        return select_now(session, actor, wanted)


def select_now(session: Session, actor: Actor, wanted: Wanted) -> Selection:
    """Return the same in the caller's transaction, of what the actor may see."""
    groups = _groups(session, actor, wanted.asked)
    hooks = _webhooks(session, {group.webhook_id for group in groups})
    matching = sum(group.count for group in groups)
    is_more = matching > LOOKED_AT
    rows = session.execute(_candidates(actor, wanted).limit(LOOKED_AT)).all()
    unique = list(dict.fromkeys((row.event_id, row.webhook_id) for row in rows))
    pairs = tuple(unique[:MOST])
    left_out = _left_out(groups, hooks, wanted)
    candidates = matching - left_out.total()
    left_out[LeftOut.UNDER_WAY] = 0 if is_more else max(0, candidates - len(rows))
    left_out[LeftOut.REPEATED] = len(rows) - len(unique)
    left_out[LeftOut.BEYOND] = len(unique) - len(pairs)
    left_out[LeftOut.NOT_FOUND] = max(0, len(wanted.asked.delivery) - matching)
    return Selection(
        pairs=pairs,
        matching=min(matching, LOOKED_AT),
        is_more=is_more,
        by_webhook=_by_webhook(groups, hooks, pairs),
        by_state=_by_state(groups),
        left_out=tuple((why, left_out[why]) for why in LeftOut if left_out[why]),
    )


def _groups(session: Session, actor: Actor, asked: LogQuery) -> list[Any]:
    """What matches, by webhook, state and whether it is a test."""
    is_test = (Delivery.kind == DeliveryKind.TEST).label("is_test")
    query = log.matching(actor, asked).with_only_columns(Delivery.webhook_id, Delivery.state, is_test)
    found = query.limit(LOOKED_AT + 1).subquery()
    keys = (found.c.webhook_id, found.c.state, found.c.is_test)
    return list(session.execute(select(*keys, func.count().label("count")).group_by(*keys)))


def _webhooks(session: Session, row_ids: Iterable[int]) -> dict[int, Any]:
    columns = (Webhook.id, Webhook.public_id, Webhook.name, Webhook.enabled, Webhook.deleted_at)
    return {row.id: row for row in session.execute(select(*columns).where(Webhook.id.in_(list(row_ids))))}


def _left_out(groups: list[Any], hooks: dict[int, Any], wanted: Wanted) -> Counter[LeftOut]:
    """What the boxes and the state of things leave out, each delivery under the first reason that holds."""
    found: Counter[LeftOut] = Counter()
    for group in groups:
        hook = hooks[group.webhook_id]
        if group.is_test:
            found[LeftOut.TEST] += group.count
        elif group.state in _WAITING:
            found[LeftOut.WAITING] += group.count
        elif wanted.only_failed and group.state is not S.FAILED:
            found[LeftOut.NOT_FAILED] += group.count
        elif hook.deleted_at is not None:
            found[LeftOut.WEBHOOK_DELETED] += group.count
        elif wanted.leave_out_off and not hook.enabled:
            found[LeftOut.WEBHOOK_OFF] += group.count
    return found


def _candidates(actor: Actor, wanted: Wanted) -> Any:
    query = (
        log.matching(actor, wanted.asked)
        .with_only_columns(Delivery.event_id, Delivery.webhook_id)
        .where(Delivery.kind != DeliveryKind.TEST, Webhook.deleted_at.is_(None), ~in_running_replay())
        .order_by(Delivery.created_at, Delivery.id)
    )
    if not wanted.only_failed:
        query = query.where(Delivery.state.not_in(_WAITING))
    else:
        query = query.where(Delivery.state == S.FAILED, queue.UNDELIVERED, ~made_again(_MADE_GOOD))
    if wanted.leave_out_off:
        query = query.where(Webhook.enabled)
    return query


def made_again(states: Iterable[DeliveryState]) -> ColumnElement[bool]:
    """Whether there is a later delivery of the same event for the same webhook, in one of these states."""
    later = aliased(Delivery)
    return (
        exists(literal_column("1"))
        .where(
            later.event_id == Delivery.event_id,
            later.webhook_id == Delivery.webhook_id,
            later.copy > Delivery.copy,
            later.kind != DeliveryKind.TEST,
            later.state.in_(list(states)),
        )
        .correlate(Delivery)
    )


def in_running_replay() -> ColumnElement[bool]:
    """Whether a replay that runs will make another delivery of the same event for the same webhook."""
    return (
        exists(literal_column("1"))
        .where(
            ReplayItem.event_id == Delivery.event_id,
            ReplayItem.webhook_id == Delivery.webhook_id,
            Replay.id == ReplayItem.replay_id,
            Replay.state == ReplayState.RUNNING,
            ReplayItem.position >= Replay.position,
        )
        .correlate(Delivery)
    )


def _by_webhook(groups: list[Any], hooks: dict[int, Any], pairs: Iterable[tuple[int, int]]) -> tuple[AtWebhook, ...]:
    matching: Counter[int] = Counter()
    for group in groups:
        matching[group.webhook_id] += group.count
    replayed = Counter(webhook_id for _, webhook_id in pairs)
    found = [
        AtWebhook(hooks[row_id].public_id, hooks[row_id].name, hooks[row_id].enabled, number, replayed[row_id])
        for row_id, number in matching.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.replayed, -each.matching, each.name)))


def _by_state(groups: list[Any]) -> tuple[tuple[DeliveryState, int], ...]:
    counts: Counter[DeliveryState] = Counter()
    for group in groups:
        counts[group.state] += group.count
    return tuple(counts.most_common())
