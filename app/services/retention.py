"""Deletes what is older than the operator keeps, in slices that never hold the write lock for long."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, select

from app.core.states import DeliveryState
from app.database import read, write
from app.delivery.installed import installed
from app.faults import fault
from app.models import BrowserSession, Delivery, Event, InboxRequest, Installation, Organization
from app.services import browser_sessions

DAY_MS = 86_400_000
INBOX_MS = DAY_MS
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


def prune(now: int) -> int:
    """Delete finished deliveries, then events that have none left, then old inbox requests and sign-ins.

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
        deleted += _in_slices(Event, Event.organization_id == organization, Event.created_at < short, unused)
    _note_run(now, deleted)
    return deleted


def days_of(organization: Organization) -> Days:
    """Return how long the log of an organization is kept: what it wants, and never longer than the operator does."""
    settings = installed().settings
    return Days(
        min(organization.retention_days or settings.retention_days, settings.retention_days),
        min(organization.retention_failed_days or settings.retention_failed_days, settings.retention_failed_days),
    )


def _in_slices(table: type[BrowserSession | Delivery | Event | InboxRequest], *where: ColumnElement[bool]) -> int:
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
