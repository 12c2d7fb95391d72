"""Deliveries and attempts."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field, field_validator

from app.api.schemas.shapes import Body, Listed, MomentGiven, MomentShown, Query, Shown
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason

State = Literal["pending", "sending", "delivered", "failed", "canceled", "skipped", "queued", "retrying", "paused"]


TESTS = {"true": "only", "false": "exclude"}


class Delivery(Shown):
    """One event for one webhook."""

    id: str
    event: str
    event_type: str
    webhook: str
    url: str = Field(description="The one called last.")
    state: DeliveryState
    kind: DeliveryKind
    attempt_count: int
    attempts_allowed: int
    next_attempt_at: MomentShown | None
    last_status: int | None
    last_error: ErrorClass | None
    created_at: MomentShown
    finished_at: MomentShown | None
    reason: Reason | None


class Deliveries(Shown):
    """A page of the log, newest first."""

    items: list[Delivery]
    next: str | None


class Timings(Shown):
    """Milliseconds from the start of the attempt until each phase ended; `total` is all of it."""

    dns: float
    connect: float
    tls: float
    first_byte: float
    total: float


class AttemptError(Shown):
    """What kept an attempt from a clean success."""

    error_class: ErrorClass = Field(alias="class")
    message: str


class Request(Shown):
    """A request as it was sent, credentials masked. `body` null: nothing was sent."""

    method: Literal["POST"]
    url: str
    headers: dict[str, str]
    body: str | None


class Response(Shown):
    """What came back: headers of one name joined by commas, the body as far as it is kept."""

    headers: dict[str, str]
    body: str
    truncated: bool


class Attempt(Shown):
    """One request of a delivery."""

    id: str
    number: int
    started_at: MomentShown
    duration_ms: int
    timings: Timings | None
    outcome: Outcome
    status: int | None
    error: AttemptError | None
    peer: str | None
    request: Request
    response: Response | None


class Attempts(Shown):
    """A delivery's attempts, the first one first."""

    items: list[Attempt]
    next: str | None


def check_responses(values: list[str] | None) -> list[str] | None:
    """Refuse what is neither a status nor a class of them, nor none; for pydantic."""
    for value in values or ():
        is_status = value.isascii() and value.isdigit() and len(value) == 3 and value[0] != "0"
        if not is_status and value not in {"1xx", "2xx", "3xx", "4xx", "5xx", "none"}:
            raise ValueError(f"{value[:20]} is no status. Write 2xx for a class, 404 for one, or none.")
    return values


class ById(Query):
    """The id in the path."""

    id: str = Field(max_length=100)


class LogFilter(Protocol):
    """The filters that the log, its count, its file and replays share, wherever they are read from."""

    webhook: list[str] | None
    event: str | None
    event_type: list[str] | None
    state: list[State] | None
    response: list[str] | None
    error: list[ErrorClass] | None
    from_at: int | None
    to_at: int | None
    test: Literal["all", "exclude", "only", "true", "false"]
    kind: list[str] | None
    unit: list[str] | None
    attempts: int | None
    slow: bool
    q: str | None


class CountQuery(Query):
    """Which deliveries. A filter given several times means any of its values."""

    webhook: list[str] | None = Field(None, max_length=100)
    event: str | None = None
    event_type: list[str] | None = Field(None, max_length=100)
    state: list[State] | None = Field(
        None, max_length=9, description="queued, retrying and paused (at a paused webhook) part what is pending."
    )
    response: list[str] | None = Field(
        None, max_length=100, description="2xx, 3xx, 4xx, 5xx, none, or a status such as 404: of the last attempt."
    )
    error: list[ErrorClass] | None = Field(None, max_length=20)
    from_at: MomentGiven | None = Field(None, alias="from", description="Created then or later.")
    to_at: MomentGiven | None = Field(None, alias="to", description="Created before.")
    test: Literal["all", "exclude", "only", "true", "false"] = Field(
        "all", description="Tests too; without them (also false); or they alone (also true)."
    )
    kind: list[str] | None = Field(None, max_length=100, description="Of event types, as the catalogue names it.")
    unit: list[str] | None = Field(None, max_length=100, description="External ids of business units.")
    attempts: int | None = Field(None, ge=0, le=9_999, description="At least so many.")
    slow: bool = Field(default=False, description="Those of which an attempt took 5 s or longer.")
    q: str | None = Field(None, max_length=200, description="A full id, a type's beginning, a URL's part, an error.")
    replay: str | None = Field(None, max_length=100, description="Made by this replay.")
    skipped: bool = Field(default=True, description="Those not sent too.")

    check_response = field_validator("response")(check_responses)


class LogQuery(CountQuery, Listed):
    """Which deliveries, and which page of them."""

    inside: bool = Field(default=False, description="Look for q in payloads too, for 2 s; next leads on from there.")
    sort: Literal["newest", "oldest"] = Field("newest", description="What comes first.")


class ExportQuery(CountQuery):
    """Which deliveries a file holds, and how it is written."""

    format: Literal["csv", "ndjson"] = "ndjson"
    bodies: bool = Field(default=False, description="With what was sent last, and what was answered to it.")
    sort: Literal["newest", "oldest"] = Field("newest", description="What comes first.")


class DeliveriesCounted(Shown):
    """How many match. `more`: there are more than 10,000. `since`: no further back was looked."""

    count: int
    more: bool
    since: MomentShown | None


class Curl(Shown):
    """A shell command; secrets stand as a variable to fill in."""

    curl: str


class SendTo(Body):
    """The webhook that an event is sent to."""

    webhook: str


class ReplayTo(Body):
    """Where an event is sent again: to the same webhook, unless another is named."""

    webhook: str | None = None
