"""Test inboxes, and what they received."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Body, MomentShown, Shown
from app.services.inboxes import ANSWERS


class ByRequest(ById):
    """A request's id in the path, below its inbox's."""

    request: str = Field(max_length=100)


class InboxNew(Body):
    """An inbox to be made."""

    name: str = Field(max_length=200)


class AnswersGiven(Body):
    """What the inbox answers next, each once; the last one stays."""

    answers: list[str] = Field(min_length=1, max_length=50, description="Of: " + ", ".join(ANSWERS))


class Inbox(Shown):
    """A receiver inside this server that takes anything sent to its `url`."""

    id: str
    name: str
    url: str
    answers: list[str]
    created_at: MomentShown


class Inboxes(Shown):
    """A page of inboxes, the oldest first."""

    items: list[Inbox]
    next: str | None


class Step(Shown):
    """One thing that was checked, and what came of it in a sentence."""

    ok: bool
    text: str


class Verdict(Shown):
    """Whether a request's signature holds; `reason` says why it doesn't."""

    valid: bool
    reason: str | None
    steps: list[Step]


class InboxRequest(Shown):
    """A request that an inbox received; credentials are masked. `size` is that of the whole body, in bytes."""

    id: str
    method: str
    headers: dict[str, str]
    body: str
    size: int
    truncated: bool
    event_type: str | None
    answered: str
    delivery: str | None
    signature: Verdict | None = Field(description="null: there was nothing to check.")
    received_at: MomentShown


class InboxRequests(Shown):
    """A page of what an inbox received in the last 24 hours, newest first."""

    items: list[InboxRequest]
    next: str | None
