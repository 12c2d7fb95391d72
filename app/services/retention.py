"""Deletes what is older than the operator keeps, in slices that never hold the write lock for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, exists, func, select

from app.core.states import DeliveryState
from app.database import read, write
from app.delivery.installed import installed
from app.faults import fault
from app.models import Delivery, Event, InboxRequest, Organization, Stat, Webhook

if TYPE_CHECKING:
    from app.services.scope import Actor

DAY_MS = 86_400_000
INBOX_MS = DAY_MS
STATS_MS = 90 * DAY_MS
SLICE = 500
KEPT_SHORT = (DeliveryState.DELIVERED, DeliveryState.CANCELED, DeliveryState.SKIPPED)


def kept(actor: Actor) -> tuple[int, int]:
    """Return for how many days the organization's log keeps what was delivered, and what failed."""
    settings = installed().settings
    with read() as session:
        own = session.execute(
            select(Organization.retention_days, Organization.retention_failed_days).where(
                Organization.id == actor.organization_id
            )
        ).first() or (None, None)
    return (
        min(own[0] or settings.retention_days, settings.retention_days),
        min(own[1] or settings.retention_failed_days, settings.retention_failed_days),
    )


def prune(now: int) -> int:
    """Delete finished deliveries, then events that have none left, old inbox requests and counts; return how many rows.

    A delivery that is not finished is never deleted, nor is its event.
    """
    settings = installed().settings
    short, long = now - settings.retention_days * DAY_MS, now - settings.retention_failed_days * DAY_MS
    with read() as session:
        organizations = session.scalars(select(Organization.id)).all()
    deleted = _in_slices(InboxRequest, InboxRequest.received_at < now - INBOX_MS)
    for organization in organizations:
        mine = Delivery.organization_id == organization
        deleted += _in_slices(Delivery, mine, Delivery.created_at < short, Delivery.state.in_(KEPT_SHORT))
        deleted += _in_slices(Delivery, mine, Delivery.created_at < long, Delivery.state == DeliveryState.FAILED)
        unused = ~exists().where(Delivery.event_id == Event.id)
        deleted += _in_slices(Event, Event.organization_id == organization, Event.created_at < short, unused)
    return deleted + _prune_stats(now - STATS_MS)


def _prune_stats(before: int) -> int:
    """Delete old counts, a webhook's day at a time, by their key: it begins with webhook and hour."""
    deleted = 0
    with read() as session:
        webhooks = session.scalars(select(Webhook.id)).all()
    for webhook in webhooks:
        while (oldest := oldest_hour(webhook)) is not None and oldest < before:
            until = min(oldest + DAY_MS, before)
            with write() as session:
                old = delete(Stat).where(Stat.webhook_id == webhook, Stat.hour < until)
                deleted += len(session.scalars(old.returning(Stat.hour)).all())
            fault("retention.slice")
    return deleted


def oldest_hour(webhook_id: int) -> int | None:
    """Return the first hour of which counts of a webhook are kept."""
    with read() as session:
        return session.scalar(select(func.min(Stat.hour)).where(Stat.webhook_id == webhook_id))


def _in_slices(table: type[Delivery | Event | InboxRequest], *where: ColumnElement[bool]) -> int:
    deleted = 0
    while True:
        with write() as session:
            ids = session.scalars(select(table.id).where(*where).limit(SLICE)).all()
            if ids:
                session.execute(delete(table).where(table.id.in_(ids)))
        fault("retention.slice")
        deleted += len(ids)
        if len(ids) < SLICE:
            return deleted
