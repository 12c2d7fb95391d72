"""Loads what a batch of claims needs: its events, and the bodies that were sent before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from app.database import hot_read, read
from app.delivery.orders import Loaded, Sent
from app.door import Statement
from app.models import Attempt, Delivery, Event, SentBody
from app.models.types import core_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.delivery.orders import Claim

delivery = core_table(Delivery)
attempt = core_table(Attempt)
event = core_table(Event)


_EVENTS = Statement(f"SELECT {', '.join(Loaded._fields)} FROM event WHERE id IN :ids[]")  # noqa: S608  our own names


def events_of(claims: Sequence[Claim]) -> dict[int, Loaded]:
    """Load the events of a batch with one query, by their row ids."""
    with hot_read() as door:
        rows = door.rows(_EVENTS, ids=list({claim.event_id for claim in claims}))
    return {row[0]: Loaded._make(row) for row in rows}


def sent_by(claims: Sequence[Claim]) -> dict[int, Sent]:
    """Load what the latest attempt of each claimed delivery sent, by its id; those that sent nothing are absent."""
    if not claims:
        return {}
    of_event = (SentBody.event_id == event.c.id) & (SentBody.digest == attempt.c.body_digest)
    query = (
        select(attempt.c.delivery_id, attempt.c.started_at, event.c.data, SentBody)
        .join(delivery, delivery.c.id == attempt.c.delivery_id)
        .join(event, event.c.id == delivery.c.event_id)
        .join(SentBody, of_event)
        .where(attempt.c.delivery_id.in_([item.id for item in claims]))
        .order_by(attempt.c.number)
    )
    with read() as session:
        return {
            delivery_id: Sent(started_at, body.whole(data))
            for delivery_id, started_at, data, body in session.execute(query)
        }
