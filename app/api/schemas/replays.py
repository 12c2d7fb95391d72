"""Replays by filter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from app.api.schemas.deliveries import State, check_responses
from app.api.schemas.shapes import Body, MomentGiven, MomentShown, Shown
from app.core.states import DeliveryState, ErrorClass, Reason
from app.models import ReplayState
from app.services.replay_selection import MOST_CHOSEN, LeftOut
from app.services.replays import FASTEST, LONGEST_WHY, SLOWEST, USUAL


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _word(value: str) -> str:
    if not value.isprintable():
        raise ValueError("It contains a character that can't be seen. Type it anew.")
    return value


Word = Annotated[str, AfterValidator(_word)]
Texts = Annotated[list[Word], BeforeValidator(_several), Field(min_length=1, max_length=100)]


class Filter(Body):
    """Which deliveries, by the names of `GET /deliveries`; a list means any of its values. Empty: all that were sent.

    What was not sent at all is replayed when `state` names skipped, or when it is named by id.
    """

    webhook: Texts | None = None
    event: Word | None = None
    event_type: Texts | None = None
    state: Annotated[list[State], BeforeValidator(_several), Field(min_length=1, max_length=9)] | None = None
    response: Texts | None = None
    error: (
        Annotated[list[ErrorClass], BeforeValidator(_several), Field(min_length=1, max_length=20, strict=False)] | None
    ) = None
    from_at: MomentGiven | None = Field(None, alias="from", description="Created then or later.")
    to_at: MomentGiven | None = Field(None, alias="to", description="Created before.")
    test: Literal["all", "exclude", "only", "true", "false"] = Field("all", description="Tests are never replayed.")
    kind: Texts | None = Field(None, description="Of event types, as the catalogue names it.")
    unit: Texts | None = Field(None, description="External ids of business units.")
    attempts: int | None = Field(None, ge=0, le=9_999, description="At least so many.")
    slow: bool = Field(False, description="Those of which an attempt took 5 s or longer.")
    q: Word | None = Field(None, max_length=200, description="As in the log.")
    delivery: Annotated[list[Word], BeforeValidator(_several), Field(min_length=1, max_length=MOST_CHOSEN)] | None = (
        Field(None, description="These deliveries, by id.")
    )

    check_response = field_validator("response")(check_responses)


class _Order(Body):
    rate: float = Field(USUAL, ge=SLOWEST, le=FASTEST, description="Deliveries a second.")
    reason: Word = Field("", max_length=LONGEST_WHY, description="Goes to the audit log.")
    expected: int | None = Field(None, ge=0, description="Start only when exactly so many would be made; else 409.")
    dry_run: bool = Field(False, description="Count, and start nothing.")


class ReplayOrder(_Order):
    """What is to be sent again, and how fast."""

    filter: Filter
    only_failed: bool = Field(False, description="Only those that failed and were not made good by a later delivery.")
    leave_out_off: bool = Field(
        False, description="Leave out webhooks that are off. Otherwise their deliveries wait until these are turned on."
    )


class MissedOrder(_Order):
    """How fast a webhook is sent what it missed."""


class StopOrder(Body):
    """Whether to cancel what was made and not sent; otherwise it is still sent."""

    cancel_waiting: bool = False


class AtWebhook(Shown):
    """How many deliveries of a webhook match, and how many of them are replayed."""

    webhook: str
    name: str
    enabled: bool
    matching: int
    replayed: int


class LeftOutShown(Shown):
    """How many deliveries that match are not replayed, and why."""

    reason: LeftOut
    count: int


class StateCount(Shown):
    """How many of those that match are in a state."""

    state: DeliveryState
    count: int


class Counted(Shown):
    """What a replay would send: `total` deliveries, the oldest first."""

    total: int
    matching: int
    more: bool = Field(description="More match than were counted.")
    webhooks: list[AtWebhook]
    states: list[StateCount]
    left_out: list[LeftOutShown]


class TypeCount(Shown):
    """How many missed events are of a type."""

    event_type: str
    count: int


class MissedCounted(Shown):
    """What a webhook missed the last time it was off, and was not sent since."""

    total: int
    more: bool = Field(description="There are more than one replay takes.")
    first_at: MomentShown | None
    last_at: MomentShown | None
    event_types: list[TypeCount]


class Refused(Shown):
    """How many deliveries were not made when their turn came, and why."""

    reason: Reason
    count: int


class ReplaySummary(Shown):
    """A replay as a list shows it. `made` counts those that had their turn."""

    id: str
    state: ReplayState
    total: int
    made: int
    rate: float
    filter: dict[str, Any] | None = Field(description="As it was asked for; null: what a webhook missed.")
    webhook: str | None = Field(description="The webhook that is sent what it missed.")
    reason: str
    made_by: str
    created_at: MomentShown
    finished_at: MomentShown | None
    left_out: list[LeftOutShown]


class Replay(ReplaySummary):
    """A replay and what became of its deliveries: these figures together are `total`."""

    delivered: int
    failed: int
    waiting: int
    canceled: int
    deleted: int = Field(description="Made, and deleted since as the retention says.")
    event_deleted: int = Field(description="Not made: the event was deleted before its turn.")
    left: int
    refused: list[Refused]
    seconds_left: float


class Replays(Shown):
    """A page of replays, newest first."""

    items: list[ReplaySummary]
    next: str | None
