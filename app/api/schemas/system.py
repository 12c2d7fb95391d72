"""The whole installation, for its operators."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.shapes import Body, MomentShown, Shown
from app.core.states import DeliveryState


class Queue(Shown):
    """What waits, counted up to 100,000, and what is under way."""

    waiting: int
    in_flight: int
    oldest_due_at: MomentShown | None


class Worker(Shown):
    """A process that delivers. `silent`: it hasn't reported for 2 minutes."""

    name: str
    started_at: MomentShown
    seen_at: MomentShown
    silent: bool


class Sizes(Shown):
    """Bytes of the database, of its write-ahead log (SQLite), and free where the data lies."""

    database: int
    log: int | None
    free: int


class Growth(Shown):
    """Bytes a day, and days until new events are refused; null: it doesn't grow."""

    bytes_a_day: int
    days_left: int | None


class Finding(Shown):
    """What the doctor found, with what to do about it."""

    verdict: Literal["ok", "note", "wrong"]
    about: str
    words: str


class OwnFile(Shown):
    """A preset or event pack of the data directory."""

    path: str
    in_use: bool
    words: str


class System(Shown):
    """How the installation is doing. `problems`: why it isn't ready."""

    ready: bool
    problems: list[str]
    queue: Queue
    workers: list[Worker]
    sizes: Sizes
    growth: Growth | None
    delivered_per_minute: float
    lag_p95_ms: int | None = Field(description="From the event to its delivery, this hour and the one before.")
    last_backup_at: MomentShown | None
    clock_off_ms: int = Field(description="How far the clock is ahead of receivers', or the database's; 0: not known.")
    findings: list[Finding]
    own_files: list[OwnFile]
    version: str


class Options(Shown):
    """Every option by the name of its variable, as it is in force; secrets masked."""

    options: dict[str, str]


class InState(Shown):
    """Deliveries in a state: about how many there are, and how many bytes they take with their events."""

    state: DeliveryState
    count: int
    bytes: int


class Kept(Shown):
    """What the log holds. `estimate`: the newest stand for all."""

    events: int
    estimate: bool
    deliveries: list[InState]
    retention_days: int
    retention_failed_days: int


class Unsent(Shown):
    """A notice whose mail wasn't taken yet; `next_at` null: it was given up."""

    organization: str
    subject: str
    created_at: MomentShown
    tries: int
    next_at: MomentShown | None


class Mail(Shown):
    """Whether mail is set up, and how mails fare."""

    set_up: bool
    sender: str
    sent_at: MomentShown | None
    failed_at: MomentShown | None
    failure: str | None
    unsent: list[Unsent]


class MailTest(Body):
    """To whom a test mail goes."""

    to: str = Field(max_length=254)


class MailTested(Shown):
    """To whom the test mail was handed over."""

    to: list[str]
