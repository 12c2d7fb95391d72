"""Writes what the people behind a webhook are told, in the transaction that finds it out. Mails follow the rows."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select, update

from app import ids
from app.core import health as rules
from app.core import notices as words
from app.core.health import Happening
from app.core.notices import Clock, Text
from app.core.states import DeliveryState, Reason
from app.delivery import queue
from app.models import Cause, Delivery, Lane, Notification, Webhook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from app.core.health import Health

COUNTED = 10_000

Happened = tuple[int, Happening, "Health"]  # the webhook, what, and the lane as it was (recovered) or is (failing)


def tell(session: Session, happened: Iterable[Happened], now: int) -> None:
    """Tell what a batch of results changed: once an episode, and nothing of a webhook that is off by now."""
    for webhook_id, what, health in happened:
        last = None if what is Happening.FAILING else _last(session, webhook_id)
        if what is Happening.RECOVERED and (last is None or last.cause is Cause.RECOVERED):
            continue  # nobody was told of a failure
        webhook = session.get_one(Webhook, webhook_id)
        if not webhook.enabled:
            continue
        if last is None:
            _add(session, webhook, Cause.FAILING, _failing(webhook, health, now), now)
        else:
            _recovered(session, webhook, health, last, now)


def tell_warning(session: Session, webhook: Webhook, health: Health, off_at: int, now: int) -> None:
    """Tell that a webhook will be turned off."""
    since, waiting = health.failing_since or now, queue.count_pending(session, webhook.id)
    text = words.warning(webhook.name, since, health.failed_attempts, off_at, waiting, _clock(webhook, now))
    close(session, webhook.id, now)
    _add(session, webhook, Cause.WARNING, text, now)


def tell_turned_off(session: Session, webhook: Webhook, reason: Reason, probe_at: int | None, now: int) -> None:
    """Tell that a webhook went off by itself. What was told before is over."""
    waiting = queue.count_pending(session, webhook.id)
    close(session, webhook.id, now)
    text = words.turned_off(webhook.name, reason, waiting, probe_at, _clock(webhook, now))
    _add(session, webhook, Cause.TURNED_OFF, text, now)


def tell_healed(session: Session, webhook: Webhook, off_since: int, now: int) -> None:
    """Tell that a probe was accepted and the webhook is on again."""
    waiting, missed = queue.count_pending(session, webhook.id), _missed(session, webhook.id, off_since)
    clock = _clock(webhook, now)
    text = words.recovered(webhook.name, off_since, waiting, missed, was_off=True, by_probe=True, clock=clock)
    close(session, webhook.id, now)
    _add(session, webhook, Cause.RECOVERED, text, now)


def close(session: Session, webhook_id: int, now: int) -> None:
    """Close the open notices of a webhook: what they told is over."""
    move = update(Notification).where(Notification.webhook_id == webhook_id, Notification.closed_at.is_(None))
    session.execute(move.values(closed_at=now))


def warned_at(session: Session, lanes: Iterable[Lane]) -> dict[int, int]:
    """Return when each lane's webhook was warned since it began to fail; those that weren't are left out."""
    query = (
        select(Notification.webhook_id, func.max(Notification.created_at))
        .join(Lane, Lane.webhook_id == Notification.webhook_id)
        .where(
            Notification.webhook_id.in_([lane.webhook_id for lane in lanes]),
            Notification.cause == Cause.WARNING,
            Notification.created_at >= Lane.failing_since,
        )
        .group_by(Notification.webhook_id)
    )
    return dict(session.execute(query).all())


def _failing(webhook: Webhook, health: Health, now: int) -> Text:
    since, off_at = health.failing_since or now, rules.turns_off_at(health)
    return words.failing(webhook.name, since, health.failed_attempts, off_at, _clock(webhook, now))


def _last(session: Session, webhook_id: int) -> Notification | None:
    query = select(Notification).where(Notification.webhook_id == webhook_id).order_by(Notification.id.desc())
    return session.scalar(query.limit(1))


def _recovered(session: Session, webhook: Webhook, before: Health, last: Notification, now: int) -> None:
    was_off = last.cause is Cause.TURNED_OFF
    is_known = before.failed_attempts and not was_off  # else it was turned on again, and what was counted forgotten
    since = before.failing_since if is_known and before.failing_since else last.created_at
    waiting = queue.count_pending(session, webhook.id)
    missed = _missed(session, webhook.id, since) if was_off else 0
    clock = _clock(webhook, now)
    text = words.recovered(webhook.name, since, waiting, missed, was_off=was_off, by_probe=False, clock=clock)
    close(session, webhook.id, now)
    _add(session, webhook, Cause.RECOVERED, text, now)


def _missed(session: Session, webhook_id: int, since: int) -> int:
    """Events that were not queued because it was off, counted no further than 10,000."""
    query = select(Delivery.id).where(
        Delivery.webhook_id == webhook_id,
        Delivery.created_at >= since,
        Delivery.state == DeliveryState.SKIPPED,
        Delivery.reason == Reason.WEBHOOK_OFF,
    )
    return session.scalar(select(func.count()).select_from(query.limit(COUNTED).subquery())) or 0


def _add(session: Session, webhook: Webhook, cause: Cause, text: Text, now: int) -> None:
    session.add(
        Notification(
            public_id=ids.new_id("ntf"),
            organization_id=webhook.organization_id,
            webhook_id=webhook.id,
            cause=cause,
            subject=text.subject,
            body=text.body,
            created_at=now,
            mail_tries=0,
        )
    )


def _clock(webhook: Webhook, now: int) -> Clock:
    """Moments as the webhook's owner reads them."""
    return Clock(now, _zone(webhook.owner.user.zone if webhook.owner else None))


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
