"""What a webhook missed while it was off: offered once it is on again, and sent as a replay."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select

from app import clock
from app.core.access import Permission
from app.core.states import DeliveryState, Reason
from app.database import read
from app.errors import Conflict
from app.models import AuditEntry, Delivery, Webhook
from app.services import replay_selection, replays
from app.services.events import visible
from app.services.replay_selection import MOST, AtWebhook, LeftOut, Selection
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.orm import Session

    from app.services.replays import Order

OFFERED_MS = 7 * 86_400_000  # how long after turning it on the lists offer it; the page stays
_MADE = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DELIVERED, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True)
class Missed:
    """The events a webhook missed the last time it was off, and that nobody has sent to it since."""

    webhook: str
    name: str
    is_on: bool
    total: int  # no more than one replay sends
    is_more: bool
    first_at: int | None  # when the first and the last of them happened
    last_at: int | None
    by_type: tuple[tuple[str, int], ...]


def offers(session: Session, hooks: Mapping[int, int], ids: Mapping[int, str]) -> dict[int, Select[int]]:
    """Return what finds the missed deliveries of webhooks that are on, by row id, for lists.

    `hooks`: when each was turned on; `ids`: their public ids. Those on for longer than `OFFERED_MS` are left out.
    """
    lately = {row_id: at for row_id, at in hooks.items() if at > clock.now() - OFFERED_MS}
    if not lately:
        return {}
    off = _went_off(session, [ids[row_id] for row_id in lately])
    return {
        row_id: _missed(row_id, off[ids[row_id]], at).with_only_columns(Delivery.id)
        for row_id, at in lately.items()
        if off.get(ids[row_id], at) < at
    }


def find(actor: Actor, webhook_id: str) -> Missed:
    """Return what a webhook missed. Raises `NotFound`."""
    actor.require(Permission.REPLAY)
    with read() as session:
        hook = for_org(session, actor, Webhook).one(webhook_id)
        rows = session.execute(_listed(session, actor, hook)).all()
    shown, types = rows[:MOST], Counter(row.event_type for row in rows[:MOST])
    return Missed(
        webhook=hook.public_id,
        name=hook.name,
        is_on=hook.enabled,
        total=len(shown),
        is_more=len(rows) > MOST,
        first_at=shown[0].created_at if shown else None,
        last_at=shown[-1].created_at if shown else None,
        by_type=tuple(types.most_common()),
    )


def start(actor: Actor, webhook_id: str, order: Order) -> str:
    """Send a webhook what it missed, oldest first, as a replay; return the replay's id.

    Raises `Conflict` while it is off, when nothing was missed, or when it isn't as much as was expected.
    """
    actor.require(Permission.REPLAY)
    with read() as session:
        hook = for_org(session, actor, Webhook).one(webhook_id)
        if not hook.enabled:
            raise Conflict(f"{hook.name} is off. Turn it on first.")
        asked = {"missed": {"webhook": hook.public_id, "name": hook.name}, "leave_out_off": True}
        row_id = hook.id
    return replays.begin(actor, lambda session: _select(session, actor, session.get_one(Webhook, row_id)), order, asked)


def _select(session: Session, actor: Actor, hook: Webhook) -> Selection:
    rows = session.execute(_listed(session, actor, hook)).all()
    pairs = tuple((row.event_id, hook.id) for row in rows[:MOST])
    return Selection(
        pairs=pairs,
        matching=len(rows),
        is_more=False,
        by_webhook=(AtWebhook(hook.public_id, hook.name, hook.enabled, len(rows), len(pairs)),),
        by_state=((DeliveryState.SKIPPED, len(rows)),),
        left_out=((LeftOut.BEYOND, len(rows) - len(pairs)),) if len(rows) > len(pairs) else (),
    )


def _listed(session: Session, actor: Actor, hook: Webhook) -> Select[*tuple[Any, ...]]:
    """The missed deliveries that the actor may see, oldest first, one more than a replay takes."""
    begin, end = _period(session, hook)
    query = _missed(hook.id, begin, end).order_by(Delivery.created_at, Delivery.id).limit(MOST + 1)
    if actor.view.sees_everything:
        return query
    return query.join(Delivery.event).where(visible(actor))


def _period(session: Session, hook: Webhook) -> tuple[int, int]:
    """When it was off, the last time: until now while it is off. Empty for one that never was turned off."""
    if hook.switched_at is None:
        return 0, 0
    if not hook.enabled:
        return hook.switched_at, clock.now() + 1
    return _went_off(session, [hook.public_id]).get(hook.public_id, hook.switched_at), hook.switched_at


def _went_off(session: Session, public_ids: Collection[str]) -> dict[str, int]:
    """When each webhook was last turned off: the row itself says only when it was last switched."""
    query = (
        select(AuditEntry.object_id, func.max(AuditEntry.at))
        .where(AuditEntry.object_id.in_(public_ids), AuditEntry.action == "webhook.turned_off")
        .group_by(AuditEntry.object_id)
    )
    return {object_id: at - 1_000 for object_id, at in session.execute(query)}  # put on record a moment after the deed


def _missed(webhook_id: int, begin: int, end: int) -> Select[*tuple[Any, ...]]:
    return select(Delivery.event_id, Delivery.event_type, Delivery.created_at).where(
        Delivery.webhook_id == webhook_id,
        Delivery.created_at >= begin,
        Delivery.created_at < end,
        Delivery.state == DeliveryState.SKIPPED,
        Delivery.reason == Reason.WEBHOOK_OFF,
        ~replay_selection.made_again(_MADE),
        ~replay_selection.in_running_replay(),
    )
