"""What the people behind a webhook are told: subjects and first paragraphs. Facts in, plain text out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.core.causes import ERRORS, TURNED_OFF, hint, status_line
from app.core.redaction import redacted
from app.core.states import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.core.states import Reason

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")  # noqa: SIM905  a list takes a line a word
LONGEST_SUBJECT = 160


@dataclass(frozen=True, slots=True)
class Text:
    """A notice in words: one line, and a paragraph."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Clock:
    """How moments are written: in UTC, and in a person's own zone where they chose one."""

    now: int
    zone: tzinfo = UTC

    def day_and_time(self, at: int) -> str:
        """Write a moment in full: `26 Nov, 09:12 UTC (10:12 Europe/Berlin)`."""
        there, local = datetime.fromtimestamp(at / 1000, UTC), datetime.fromtimestamp(at / 1000, self.zone)
        words = f"{_day(there, self.now)}, {there:%H:%M} UTC"
        if local.utcoffset() == there.utcoffset():
            return words
        day = "" if local.date() == there.date() else f"{_day(local, self.now)}, "
        return f"{words} ({day}{local:%H:%M} {self.zone})"

    def short(self, at: int) -> str:
        """Write a moment for a subject: `09:12 UTC` when it is today's, else with its day."""
        there, today = (datetime.fromtimestamp(each / 1000, UTC) for each in (at, self.now))
        day = "" if there.date() == today.date() else f"{_day(there, self.now)}, "
        return f"{day}{there:%H:%M} UTC"


def _day(moment: datetime, now: int) -> str:
    words = f"{moment.day} {MONTHS[moment.month - 1]}"
    return words if moment.year == datetime.fromtimestamp(now / 1000, UTC).year else f"{words} {moment.year}"


def failing(name: str, since: int, failed: int, off_at: int | None, clock: Clock) -> Text:
    """Say that a webhook has been failing for so long, or so often, that somebody should look."""
    body = f"Failing since {clock.day_and_time(since)}: {failed} of {failed} attempts failed."
    if off_at is not None:
        body += f" If this goes on it is turned off on {clock.day_and_time(off_at)}."
    return Text(subject(f"{name} is failing since {clock.short(since)}"), body)


def warning(name: str, since: int, failed: int, off_at: int, waiting: int, clock: Clock) -> Text:
    """Say a day before that a webhook will be turned off."""
    body = (
        f"Failing since {clock.day_and_time(since)}: {failed} of {failed} attempts failed. Unless one succeeds, it is "
        f"turned off on {clock.day_and_time(off_at)}. {_waiting(waiting)}"
    )
    return Text(subject(f"{name} will be turned off tomorrow, {clock.short(off_at)}"), body)


def turned_off(name: str, reason: Reason, waiting: int, probe_at: int | None, clock: Clock) -> Text:
    """Say that a webhook went off by itself, what becomes of events, and how it comes on again."""
    body = (
        f"It was turned off on {clock.day_and_time(clock.now)} because {_because(reason)}. {_waiting(waiting)} "
        "New events are recorded but not queued until it is turned on; what it missed can be sent afterwards."
    )
    if probe_at is not None:
        body += (
            f" Postroom sends it a test payload on {clock.day_and_time(probe_at)}, and turns it on if that is accepted."
        )
    return Text(subject(f"{name} was turned off"), body)


def recovered(name: str, since: int, waiting: int, missed: int, *, was_off: bool, by_probe: bool, clock: Clock) -> Text:
    """Say that a webhook delivers again. `since`: when it began to fail, or was turned off where `was_off`."""
    began = "It had been off since" if was_off else "It had failed since"
    body = f"{began} {clock.day_and_time(since)}."
    if by_probe:
        body = f"A test payload was accepted, so Postroom turned it on. {body}"
    if waiting:
        body += f" {_count(waiting, 'delivery', 'deliveries')} that waited {'is' if waiting == 1 else 'are'} sent now."
    if missed:
        body += f" {_count(missed, 'event')} happened while it was off; they can be sent from its page."
    return Text(subject(f"{name} delivers again"), body)


def _because(reason: Reason) -> str:
    words = TURNED_OFF.get(reason, "of a rule of this server")
    return f"there was {words}" if words.startswith("no ") else words


def _waiting(count: int) -> str:
    if not count:
        return "Nothing waits for it."
    return f"{_count(count, 'delivery waits', 'deliveries wait')} for it and {'is' if count == 1 else 'are'} kept."


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def subject(text: str) -> str:
    """Return a text as one line that a header can hold: no control characters, and not without end."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…"


def cause(failures: Iterable[tuple[int | None, ErrorClass | None]]) -> str:
    """Return the most common of these causes with its hint, as a sentence or two; empty without failures."""
    counted = Counter(failures)
    if not counted:
        return ""
    (status, error), times = counted.most_common(1)[0]
    what = status_line(status) if status is not None else ERRORS[error].short if error is not None else "unknown"
    total = counted.total()
    often = "" if total == 1 else f", {times} of the last {total}"
    return f"{what}{often}. {hint(status, error or ErrorClass.STATUS)}".rstrip()


def shown_url(url: str) -> str:
    """Return a receiver's address for a mail: without its query, which often holds a key."""
    parts = urlsplit(url)
    return redacted(f"{parts.scheme}://{parts.netloc}{parts.path}")
