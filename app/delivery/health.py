"""Applies results to the lanes; turns webhooks off, and on again, by themselves: in the transaction that records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select, update

from app import logs
from app.core import health as rules
from app.core.health import Happening, Health, Seen
from app.core.states import PROBE, Reason
from app.database import write
from app.delivery import notices
from app.models import AuditEntry, Delivery, Lane, Organization, Webhook
from app.models.types import core_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from app.delivery.notices import Happened

_FIELDS = tuple(Health.__slots__)

# What these turned off is tried again by itself: nobody asked for it to stop.
PROBED = frozenset({Reason.SUSTAINED_FAILURE, Reason.EXHAUSTED})

_lane = core_table(Lane)
_lanes = select(_lane.c.webhook_id, *[_lane.c[name] for name in _FIELDS]).where(
    _lane.c.webhook_id.in_(bindparam("webhooks", expanding=True))
)
_keep_lane = update(_lane).where(_lane.c.webhook_id == bindparam("lane"))
_keep_lane = _keep_lane.values({_lane.c[name]: bindparam(f"new_{name}") for name in _FIELDS})


def fold(session: Session, seen: Mapping[int, Sequence[Seen]], now: int) -> tuple[list[int], list[Happened]]:
    """Fold each webhook's results into its lane; return the webhooks whose lane is shut now, and what is to be told."""
    connection = session.connection()
    shut: list[int] = []
    happened: list[Happened] = []
    changed: list[dict[str, Any]] = []
    for webhook_id, *values in connection.execute(_lanes, {"webhooks": list(seen)}):
        before = Health(*values)
        after, happenings = rules.fold(before, seen[webhook_id], now)
        happened += [(webhook_id, what, after if what is Happening.FAILING else before) for what in happenings]
        changed.append({"lane": webhook_id, **{f"new_{name}": getattr(after, name) for name in _FIELDS}})
        if after.shut_until > now:
            shut.append(webhook_id)
    if changed:
        connection.execute(_keep_lane, changed)
    return shut, happened


def health_of(lane: Lane) -> Health:
    """Return a lane's health as the rules take it."""
    return Health(**{name: getattr(lane, name) for name in _FIELDS})


def begin_again(lane: Lane, now: int, *, must_prove: bool) -> None:
    """Forget what speaks against a webhook that is turned on, and when it was to be tried again."""
    health = rules.begun_again(health_of(lane), now, must_prove=must_prove)
    for name in _FIELDS:
        setattr(lane, name, getattr(health, name))
    lane.probe_at, lane.probes = None, 0


def turn_off(session: Session, webhook_ids: Mapping[int, Reason], now: int) -> list[int]:
    """Turn webhooks off by themselves, on record and with a notice to their owner; return which were on."""
    turned: list[int] = []
    for webhook in session.scalars(select(Webhook).where(Webhook.id.in_(list(webhook_ids)))):
        reason = webhook_ids[webhook.id]
        if webhook.turn_off(reason, None, now):
            turned.append(webhook.id)
            wait_ms = rules.probe_after(0) if reason in PROBED else None
            webhook.lane.probe_at, webhook.lane.probes = (None if wait_ms is None else now + wait_ms), 0
            notices.tell_turned_off(session, webhook, reason, webhook.lane.probe_at, now)
            _record(session, webhook, "webhook.turned_off", [True, False], [None, reason.value], now)
            logs.log("webhook turned off", webhook=webhook.public_id, reason=reason.value)
    return turned


class Probed(NamedTuple):
    """A test payload that has ended, as far as probes are concerned."""

    delivery_id: int
    webhook_id: int
    is_well: bool
    is_gone: bool  # 410, or the receiver asks to be left alone


def judge_probes(session: Session, ended: Iterable[Probed], now: int) -> list[int]:
    """Turn on the webhooks whose probe was accepted, end the probing of those that are gone; return those turned on.

    Tests that a person sent change nothing.
    """
    told = {probe.delivery_id: probe for probe in ended if probe.is_well or probe.is_gone}
    query = select(Delivery.id).where(Delivery.id.in_(list(told)), Delivery.detail == PROBE)
    healed: list[int] = []
    for delivery_id in session.scalars(query) if told else ():
        probe = told[delivery_id]
        webhook = session.get_one(Webhook, probe.webhook_id)
        if webhook.enabled or webhook.off_reason not in PROBED or webhook.deleted_at is not None:
            continue
        if probe.is_gone:
            webhook.lane.probe_at = None
        elif webhook.owner is not None:
            _heal(session, webhook, now)
            healed.append(webhook.id)
    return healed


def _heal(session: Session, webhook: Webhook, now: int) -> None:
    reason, off_since = webhook.off_reason, webhook.switched_at or now
    webhook.turn_on("Postroom", now)
    begin_again(webhook.lane, now, must_prove=False)
    notices.tell_healed(session, webhook, off_since, now)
    _record(session, webhook, "webhook.turned_on", [False, True], [reason.value if reason else None, PROBE], now)
    logs.log("webhook turned on: it accepted a probe", webhook=webhook.public_id)


def _record(session: Session, webhook: Webhook, action: str, enabled: list[bool], why: list[Any], now: int) -> None:
    """Put a switch on record, and let every process see that routing changed."""
    session.add(
        AuditEntry(
            organization_id=webhook.organization_id,
            at=now,
            actor="Postroom",
            action=action,
            object_name=webhook.name,
            object_id=webhook.public_id,
            changes={"enabled": enabled, "reason": why},
        )
    )
    move = update(Organization).where(Organization.id == webhook.organization_id)
    session.execute(move.values(routing_version=Organization.routing_version + 1))


def review(now: int) -> list[int]:
    """Warn of webhooks that will be turned off for failing too long, and turn off those warned a day ago.

    Only time decides here. Returns which were turned off.
    """
    horizon = now - rules.AUTO_OFF_AFTER_MS + rules.WARNED_BEFORE_MS + rules.EARLY_MS
    with write() as session:
        query = select(Lane).join(Webhook, Webhook.id == Lane.webhook_id)
        lanes = session.scalars(query.where(Webhook.enabled, Lane.failing_since <= horizon)).all()
        warned = notices.warned_at(session, lanes) if lanes else {}
        due: list[int] = []
        for lane in lanes:
            health = health_of(lane)
            off_at = rules.goes_off_at(health, warned.get(lane.webhook_id), now)
            if off_at is None:
                continue
            if lane.webhook_id not in warned:
                notices.tell_warning(session, session.get_one(Webhook, lane.webhook_id), health, off_at, now)
            elif now >= off_at:
                due.append(lane.webhook_id)
        return turn_off(session, dict.fromkeys(due, Reason.SUSTAINED_FAILURE), now)
