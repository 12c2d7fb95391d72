"""Applies a batch's results to the lanes, and turns webhooks off that must be: in the transaction that records them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from app import ids, logs
from app.core import health as rules
from app.core.health import Health, Seen
from app.core.states import Reason
from app.database import write
from app.door import Statement
from app.models import AuditEntry, Lane, Notification, Organization, Webhook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from app.door import Door

_FIELDS = tuple(Health.__slots__)

WORDS = {
    Reason.EXHAUSTED: "every attempt of a delivery failed",
    Reason.GONE: "the receiver answered 410 Gone",
    Reason.ASKED: "the receiver asked for it",
    Reason.SUSTAINED_FAILURE: "no success for 5 days",
}


_LANES = Statement(f"SELECT webhook_id, {', '.join(_FIELDS)} FROM lane WHERE webhook_id IN :webhooks[]")  # noqa: S608
_KEEP = Statement(f"UPDATE lane SET {', '.join(f'{name} = :{name}' for name in _FIELDS)} WHERE webhook_id = :webhook")  # noqa: S608


def fold(door: Door, seen: Mapping[int, Sequence[Seen]], now: int) -> list[int]:
    """Fold each webhook's results into its lane; return the webhooks whose lane is shut now."""
    shut: list[int] = []
    changed: list[dict[str, Any]] = []
    for webhook_id, *values in door.rows(_LANES, webhooks=list(seen)):
        before = Health(*values)
        after, _ = rules.fold(before, seen[webhook_id], now)
        if before.failing_since is not None and after.failing_since is None:
            close_notices(door.session, webhook_id, now)
        changed.append({"webhook": webhook_id, **{name: getattr(after, name) for name in _FIELDS}})
        if after.shut_until > now:
            shut.append(webhook_id)
    door.run_each(_KEEP, changed)
    return shut


def health_of(lane: Lane) -> Health:
    """Return a lane's health as the rules take it."""
    return Health(**{name: getattr(lane, name) for name in _FIELDS})


def turn_off(session: Session, webhook_ids: Mapping[int, Reason], now: int) -> list[int]:
    """Turn webhooks off by themselves, on record and with a notice to their owner; return which were on."""
    turned: list[int] = []
    for webhook in session.scalars(select(Webhook).where(Webhook.id.in_(list(webhook_ids)))):
        reason = webhook_ids[webhook.id]
        if webhook.turn_off(reason, None, now):
            turned.append(webhook.id)
            _tell(session, webhook, reason, now)
            _bump_routing(session, webhook.organization_id)
    return turned


def _tell(session: Session, webhook: Webhook, reason: Reason, now: int) -> None:
    session.add(
        AuditEntry(
            organization_id=webhook.organization_id,
            at=now,
            actor="Postroom",
            action="webhook.turned_off",
            object_name=webhook.name,
            object_id=webhook.public_id,
            changes={"enabled": [True, False], "reason": [None, reason.value]},
        )
    )
    session.add(
        Notification(
            public_id=ids.new_id("ntf"),
            organization_id=webhook.organization_id,
            webhook_id=webhook.id,
            subject=f"{webhook.name} was turned off",
            body=f"It was turned off because {WORDS[reason]}. New events are not queued until it is turned on.",
            created_at=now,
        )
    )
    logs.log("webhook turned off", webhook=webhook.public_id, reason=reason.value)


def _bump_routing(session: Session, organization_id: int) -> None:
    move = update(Organization).where(Organization.id == organization_id)
    session.execute(move.values(routing_version=Organization.routing_version + 1))


def close_notices(session: Session, webhook_id: int, now: int) -> None:
    """Close the open notices of a webhook: what they told is over."""
    open_ones = select(Notification).where(Notification.webhook_id == webhook_id, Notification.closed_at.is_(None))
    for notice in session.scalars(open_ones):
        notice.closed_at = now


def review(now: int) -> list[int]:
    """Turn off the webhooks that have failed for too long; return which. Only time decides here."""
    with write() as session:
        failing = select(Lane).join(Webhook, Webhook.id == Lane.webhook_id)
        failing = failing.where(Webhook.enabled, Lane.failing_since < now - rules.AUTO_OFF_AFTER_MS)
        due = _due(session.scalars(failing), now)
        return turn_off(session, dict.fromkeys(due, Reason.SUSTAINED_FAILURE), now)


def _due(lanes: Iterable[Lane], now: int) -> list[int]:
    return [lane.webhook_id for lane in lanes if rules.must_turn_off(health_of(lane), now)]
