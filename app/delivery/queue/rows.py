"""What the moves share: the tables, the conditions that the partial indexes know, the rows they take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from app.models import Attempt, Delivery
from app.models.types import core_table

if TYPE_CHECKING:
    from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Reason

delivery = core_table(Delivery)
attempt = core_table(Attempt)

# Written out, not bound: SQLite uses a partial index only for a condition it can read in the statement.
PENDING = text("delivery.state = 'pending'")
SENDING = text("delivery.state = 'sending'")
UNDELIVERED = text("delivery.state IN ('failed', 'pending', 'sending')")

SLICE = 500
RELEASED = {"lease_id": None, "leased_until": None}


class Claim(NamedTuple):
    """A delivery that is ours until `until`: attempt `number` of it may be made."""

    id: int
    public_id: str
    event_id: int
    webhook_id: int
    number: int
    tries: int  # this one included, interruptions not
    attempts_allowed: int
    kind: DeliveryKind
    by_hand: bool
    url: str
    due_at: int
    event_type: str
    created_at: int
    lease: int
    until: int


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


class SentBodyRow(NamedTuple):
    """A body as it is kept: once for all who sent the same."""

    event_id: int
    digest: bytes
    head: bytes
    tail: bytes
    has_data: bool
