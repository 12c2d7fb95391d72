"""Rows as a test looks at them: read in a transaction of their own, detached, columns only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.database import read
from app.models import Attempt, AuditEntry, Delivery, Event, Lane, Notification, Webhook


def all_of(table: Any, *where: Any) -> list[Any]:
    """Every row of a table that fits, oldest first."""
    with read() as session:
        rows = list(session.scalars(select(table).where(*where).order_by(*table.__table__.primary_key)))
        session.expunge_all()
    return rows


def deliveries() -> list[Delivery]:
    """Every delivery."""
    return all_of(Delivery)


def the_delivery() -> Delivery:
    """The only delivery there is."""
    (found,) = deliveries()
    return found


def attempts(delivery: Delivery | None = None) -> list[Attempt]:
    """Every attempt, or those of one delivery."""
    return all_of(Attempt) if delivery is None else all_of(Attempt, Attempt.delivery_id == delivery.id)


def event(public_id: str) -> Event:
    """One event."""
    (found,) = all_of(Event, Event.public_id == public_id)
    return found


def webhook(public_id: str) -> Webhook:
    """One webhook."""
    (found,) = all_of(Webhook, Webhook.public_id == public_id)
    return found


def lane(public_id: str) -> Lane:
    """A webhook's lane."""
    (found,) = all_of(Lane, Lane.webhook_id == webhook(public_id).id)
    return found


def notices() -> list[Notification]:
    """Every notification."""
    return all_of(Notification)


def audited(action: str) -> list[AuditEntry]:
    """The audit entries of one action."""
    return all_of(AuditEntry, AuditEntry.action == action)
