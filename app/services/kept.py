"""What the log holds, by status, and about how much room each part takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from app.core.states import DeliveryState
from app.database import read
from app.models import Delivery, Event
from app.services import system

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LOOKED_AT = 50_000


@dataclass(frozen=True, slots=True)
class Part:
    """Deliveries of one kind: about how many there are, and how many bytes they take with their events."""

    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts by status. `is_estimate`: there are more than were looked at, so the newest stand for all."""

    parts: dict[DeliveryState, Part]
    events: int
    is_estimate: bool


def estimate() -> Kept:
    """Look at the newest 50,000 deliveries and say what that makes of all of them."""
    newest = select(Delivery.state).order_by(Delivery.id.desc()).limit(LOOKED_AT).subquery()
    with read() as session:
        found: dict[DeliveryState, int] = dict(
            session.execute(select(newest.c.state, func.count()).group_by(newest.c.state)).all()
        )
        deliveries, events = _about(session, Delivery), _about(session, Event)
    looked_at = sum(found.values())
    total = deliveries if looked_at >= LOOKED_AT else looked_at
    size = system.sizes().database
    parts = {
        state: Part(total * found.get(state, 0) // max(looked_at, 1), size * found.get(state, 0) // max(looked_at, 1))
        for state in DeliveryState
    }
    return Kept(parts, events, total > looked_at)


def _about(session: Session, table: type[Delivery | Event]) -> int:
    """How many rows there are between the first and the last, were none missing."""
    first, last = session.scalar(select(func.min(table.id))), session.scalar(select(func.max(table.id)))
    return 0 if first is None or last is None else last - first + 1
