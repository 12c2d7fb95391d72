"""What the moves share: the tables, the conditions that the partial indexes know, the rows they take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from app.models import Attempt, Delivery
from app.models.types import core_table

if TYPE_CHECKING:
    from app.core.states import DeliveryState, ErrorClass, Reason
    from app.delivery.orders import Claim, SentBodyRow

delivery = core_table(Delivery)
attempt = core_table(Attempt)

# Written out, not bound: SQLite uses a partial index only for a condition it can read in the statement.
PENDING = text("delivery.state = 'pending'")
SENDING = text("delivery.state = 'sending'")
UNDELIVERED = text("(delivery.state = 'failed' OR delivery.state = 'pending' OR delivery.state = 'sending')")

SLICE = 500
RELEASED = {"lease_id": None, "leased_until": None}


class Ending(NamedTuple):
    """How a claimed delivery moves on; deliveries that end alike are moved by one statement."""

    state: DeliveryState
    next_attempt_at: int | None
    reason: Reason | None
    last_status: int | None
    last_error: ErrorClass | None
    is_free: bool = False  # the attempt doesn't use the budget


class Finished(NamedTuple):
    """A claim with its ending, its attempt's row and the body that was sent."""

    claim: Claim
    ending: Ending
    attempt: dict[str, Any]
    body: SentBodyRow | None
    url: str
