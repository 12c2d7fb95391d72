"""Deletes what is older than the operator keeps, in slices that never hold the write lock for long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, exists, func, select

from app.core.states import DeliveryState
from app.database import read, write
from app.delivery.installed import installed
from app.faults import fault
from app.models import (
    BrowserSession,
    Delivery,
    Event,
    InboxRequest,
    Installation,
    Organization,
    Replay,
    ReplayItem,
    ReplayState,
    Stat,
    Webhook,
)
from app.services import browser_sessions

if TYPE_CHECKING:
    from app.services.scope import Actor

DAY_MS = 86_400_000
INBOX_MS = DAY_MS
STATS_MS = 90 * DAY_MS
SLICE = 500
KEPT_SHORT = (DeliveryState.DELIVERED, DeliveryState.CANCELED, DeliveryState.SKIPPED)

_LAST_RUN = "retention"


@dataclass(frozen=True, slots=True)
class Days:
    """How many days deliveries stay: delivered, canceled and skipped ones; failed ones."""

    delivered: int
    failed: int


@dataclass(frozen=True, slots=True)
class Run:
    """When old rows were last deleted, and how many."""

    at: int
    deleted: int


def kept(actor: Actor) -> Days:
    """Return how long the log of the actor's organization is kept."""
    with read() as session:
        return days_of(session.get_one(Organization, actor.organization_id))


def prune(now: int) -> int:
    """Delete finished deliveries, then events that have none left, old inbox requests, sign-ins and counts.

    Returns how many rows.

    A delivery that is not finished is never deleted, nor is its event.
    """
    with read() as session:
        organizations = session.scalars(select(Organization).order_by(Organization.id)).all()
        kept = [(row.id, days_of(row)) for row in organizations]
    deleted = _in_slices(InboxRequest, InboxRequest.received_at < now - INBOX_MS)
    deleted += _in_slices(BrowserSession, BrowserSession.created_at < now - browser_sessions.KEPT_MS)
    for organization, days in kept:
        short, long = now - days.delivered * DAY_MS, now - days.failed * DAY_MS
        mine = Delivery.organization_id == organization
        deleted += _in_slices(Delivery, mine, Delivery.created_at < short, Delivery.state.in_(KEPT_SHORT))
        deleted += _in_slices(Delivery, mine, Delivery.created_at < long, Delivery.state == DeliveryState.FAILED)
        unused = ~exists().where(Delivery.event_id == Event.id)
        deleted += _prune_replays(organization, short)
        deleted += _in_slices(Event, Event.organization_id == organization, Event.created_at < short, unused)
    deleted += _prune_stats(now - STATS_MS)
    _note_run(now, deleted)
    return deleted


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


def _prune_replays(organization: int, before: int) -> int:
    """Delete replays that have ended: first what they list, which may be much."""
    ended = select(Replay.id).where(
        Replay.organization_id == organization, Replay.created_at < before, Replay.state != ReplayState.RUNNING
    )
    with read() as session:
        old = session.scalars(ended).all()
    for replay in old:
        _empty(replay)
    return _in_slices(Replay, Replay.id.in_(old)) if old else 0


def _empty(replay: int) -> None:
    """Delete what a replay lists, from its beginning."""
    with read() as session:
        last = session.scalar(select(func.max(ReplayItem.position)).where(ReplayItem.replay_id == replay))
    for begin in range(0, 0 if last is None else last + 1, SLICE):
        with write() as session:
            some = ReplayItem.position.between(begin, begin + SLICE - 1)
            session.execute(delete(ReplayItem).where(ReplayItem.replay_id == replay, some))


def days_of(organization: Organization) -> Days:
    """Return how long the log of an organization is kept: what it wants, and never longer than the operator does."""
    settings = installed().settings
    return Days(
        min(organization.retention_days or settings.retention_days, settings.retention_days),
        min(organization.retention_failed_days or settings.retention_failed_days, settings.retention_failed_days),
    )


def _in_slices(
    table: type[BrowserSession | Delivery | Event | InboxRequest | Replay], *where: ColumnElement[bool]
) -> int:
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


def _note_run(now: int, deleted: int) -> None:
    with write() as session:
        session.merge(Installation(name=_LAST_RUN, value=str(deleted).encode(), changed_at=now))


def last_run() -> Run | None:
    """Return what the last run came to; None before the first."""
    with read() as session:
        row = session.get(Installation, _LAST_RUN)
        return None if row is None else Run(row.changed_at, int(row.value))
