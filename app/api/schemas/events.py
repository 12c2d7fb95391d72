"""Publishing, and events as they are found again. The document is made from these; publishing itself reads slices."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.api.schemas.deliveries import Delivery
from app.api.schemas.shapes import Body, Listed, MomentGiven, MomentShown, Query, Shown
from app.core.states import DeliveryState, Reason

_ID = r"^[A-Za-z0-9_-]{1,64}$"


class Resource(Body):
    """What an event is about."""

    type: str = Field(min_length=1, max_length=200)
    id: str = Field(min_length=1, max_length=200)


class PublishEvent(Body):
    """An event. Numbers, key order and escapes of data, context and previous are kept exactly as they are written."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "job.created",
                    "data": {"id": 42, "name": "Roof repair"},
                    "id": "my-own-id-1",
                    "occurred_at": "2026-11-21T09:00:00Z",
                    "resource": {"type": "job", "id": "42"},
                }
            ]
        }
    )

    type: str = Field(min_length=1, max_length=128, description="An event type of the organization.")
    data: dict[str, Any] = Field(description="What happened.")
    id: str | None = Field(
        None, pattern=_ID, description="Your own id: the same again is answered like the first time and sent once."
    )
    occurred_at: MomentGiven | None = Field(None, description="Left out: now.")
    resource: Resource | None = None
    status: str | None = Field(None, max_length=200)
    business_unit: str | None = Field(None, max_length=100, description="Its external id.")
    public: bool | None = Field(None, description="Goes out as the type's public variant.")
    visible_to: list[str] | None = Field(
        None, max_length=1000, description="Addresses of those who may see it. Left out: everybody who sees the unit."
    )
    context: dict[str, Any] | None = Field(None, description="Values that presets put beside the data.")
    previous: dict[str, Any] | None = Field(None, description="The resource's model before, for the difference.")


class PublishHeader(Query):
    """How publishing is made idempotent without an id in the body."""

    key: str | None = Field(None, alias="Idempotency-Key", pattern=_ID)


class PublishBatch(Body):
    """Several events; each is taken or refused by itself. One that is larger than 256 KiB is refused."""

    events: list[PublishEvent] = Field(min_length=1, max_length=1000)


class Queued(Shown):
    """A delivery that the event made."""

    id: str
    webhook: str
    state: DeliveryState
    reason: Reason | None


class Published(Shown):
    """The event is kept, and its deliveries are under way. `duplicate`: it had been published before."""

    id: str
    type: str
    received_at: MomentShown
    duplicate: bool
    deliveries: list[Queued]


class Accepted(Shown):
    """An event of a batch that was taken."""

    status: Literal[202]
    event: Published


class Rejected(Shown):
    """An event of a batch that was refused."""

    status: int = Field(ge=400)
    problem: dict[str, Any] = Field(description="A problem document.")


class Results(Shown):
    """One result for each event of the batch, in order."""

    results: list[Accepted | Rejected]


class Summary(Shown):
    """An event, without its payload."""

    id: str
    type: str
    producer_id: str | None = Field(description="The producer's own id.")
    received_at: MomentShown
    occurred_at: MomentShown
    resource: Resource | None
    status: str | None
    business_unit: str | None
    public: bool
    visible_to: list[str] | None
    test: bool
    warning: str | None = Field(description="What the type's schema finds wrong with the data.")


class Event(Summary):
    """An event with its payload and its deliveries, newest first (at most 1,000)."""

    data: dict[str, Any]
    context: dict[str, Any] | None
    diff: dict[str, Any] | None = Field(description="Between the resource's model before and now.")
    deliveries: list[Delivery]


class Events(Shown):
    """A page of events, newest first."""

    items: list[Summary]
    next: str | None


class EventsQuery(Listed):
    """Which events."""

    type: str | None = Field(None, description="Only events of this type.")
    business_unit: str | None = Field(None, max_length=200, description="The external id of theirs.")
    status: str | None = Field(None, max_length=200)
    from_at: MomentGiven | None = Field(None, alias="from", description="Received then or later.")
    q: str | None = Field(None, max_length=200, description="An id, or the value of a searchable key.")
    tests: bool = Field(default=True, description="Tests too.")


class Explanation(Shown):
    """What became of the event at one webhook, or why nothing did."""

    webhook: str
    name: str
    outcome: DeliveryState | Literal["not_matched"]
    delivery: str | None
    reason: Reason | None
    also: list[Reason] = Field(description="What else would have stopped it.")


class Explanations(Shown):
    """One explanation for each webhook of the organization."""

    items: list[Explanation]
