"""Counts what waits and finds deliveries, changing nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ScalarSelect, Select, func, select

from app.delivery.queue.rows import PENDING, SENDING, delivery
from app.models import Webhook

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session


def pending_of(webhook_id: Any) -> Select[int]:
    """What waits for a webhook. In the order of the index, or SQLite goes through all that ever was sent to it."""
    query = select(delivery.c.id).where(delivery.c.webhook_id == webhook_id, PENDING)
    return query.order_by(delivery.c.next_attempt_at, delivery.c.id)


def count_pending(session: Session, webhook_id: int) -> int:
    """Return how many deliveries wait for a webhook, counting no further than 10,000."""
    waiting_ones = pending_of(webhook_id).limit(10_000)
    return session.scalar(select(func.count()).select_from(waiting_ones.subquery())) or 0


def pending_beside() -> ScalarSelect[int]:
    """Count the same for each row of a statement over webhooks."""
    waiting_ones = pending_of(Webhook.id).limit(10_000).correlate(Webhook)
    return select(func.count()).select_from(waiting_ones.subquery()).scalar_subquery()


def count_sending(session: Session, webhook_id: int) -> int:
    """Return how many requests to a webhook are under way."""
    query = select(func.count()).where(SENDING, delivery.c.webhook_id == webhook_id)
    return session.scalar(query.select_from(delivery)) or 0


def next_copy(session: Session, event_id: int, webhook_id: int) -> int:
    """Return the copy number that a new delivery of this event to this webhook gets."""
    query = select(func.max(delivery.c.copy)).where(
        delivery.c.event_id == event_id, delivery.c.webhook_id == webhook_id
    )
    latest = session.scalar(query)
    return 0 if latest is None else latest + 1


def next_copies(session: Session, pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the copy number that a new delivery gets, for each of these pairs of an event and a webhook."""
    events, webhooks = ({pair[place] for pair in pairs} for place in (0, 1))
    query = (
        select(delivery.c.event_id, delivery.c.webhook_id, func.max(delivery.c.copy))
        .where(delivery.c.event_id.in_(events), delivery.c.webhook_id.in_(webhooks))
        .group_by(delivery.c.event_id, delivery.c.webhook_id)
    )
    latest = {(event_id, webhook_id): copy for event_id, webhook_id, copy in session.execute(query)}
    return {pair: latest.get(pair, -1) + 1 for pair in pairs}


def ids_of(session: Session, public_ids: Collection[str]) -> dict[str, int]:
    """Return the row ids of deliveries by their public ids."""
    query = select(delivery.c.public_id, delivery.c.id).where(delivery.c.public_id.in_(public_ids))
    return dict(session.execute(query).all())
