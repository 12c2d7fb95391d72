"""When a failed delivery is tried again: the webhook's own schedule, and what the receiver asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

LONGEST_RETRY_AFTER_MS = 6 * 60 * 60 * 1000


class Exhausted(StrEnum):
    """What becomes of the webhook when one delivery has used its tries."""

    KEEP = "keep"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, how long apart, and how long a single try may take."""

    delays_ms: tuple[int, ...]
    timeout_ms: int
    jitter: float = 0.0
    on_exhausted: Exhausted = Exhausted.KEEP

    @property
    def tries(self) -> int:
        """How many tries a delivery has, the first one included."""
        return 1 + len(self.delays_ms)

    def wait_after(self, tries: int, asked_ms: int | None, roll: int) -> int:
        """Return how many milliseconds to wait after failed try `tries`, counted from 1.

        `asked_ms` is the receiver's own Retry-After (RFC 9110): it lengthens the wait, up to
        `LONGEST_RETRY_AFTER_MS`, and never shortens it. `roll`, 0 to 15, spreads retries apart in sixteenths
        of the jitter, so that a batch of failures ends in few kinds of row. A try that a person asked for may
        go beyond the schedule: it waits like the last one.

        >>> RetryPolicy((10_000, 100_000), timeout_ms=3_000).wait_after(2, None, roll=7)
        100000
        """
        wait = self.delays_ms[min(tries, len(self.delays_ms)) - 1] if self.delays_ms else 0
        wait += int(wait * self.jitter * roll / 16)
        return max(wait, min(asked_ms or 0, LONGEST_RETRY_AFTER_MS))


_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {name: number for number, name in enumerate(_NAMES.split(), 1)}
_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = "(?P<month>{})".format("|".join(_MONTHS)).encode()
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        # RFC 9110, section 5.6.7: the form of today, and the two that recipients still have to take
        rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT",
        rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{2})-"
        + _MONTH
        + rb"-(?P<year>[0-9]{2}) "
        + _TIME
        + rb" GMT",
        rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + _MONTH + rb" (?P<day>[0-9 ][0-9]) " + _TIME + rb" (?P<year>[0-9]{4})",
    )
)
_SECONDS = re.compile(rb"[0-9]{1,10}")


def retry_after_ms(value: bytes, now_at: int) -> int | None:
    """Return how many milliseconds a Retry-After asks to wait, at most `LONGEST_RETRY_AFTER_MS`.

    RFC 9110, section 10.2.3: seconds, or one of the three HTTP dates. None: unreadable or past, so it is ignored.
    """
    value = value.strip(b" \t")
    if _SECONDS.fullmatch(value):
        return min(int(value) * 1000, LONGEST_RETRY_AFTER_MS)
    moment = http_date(value, now_at)
    if moment is None or moment <= now_at:
        return None
    return min(moment - now_at, LONGEST_RETRY_AFTER_MS)


def http_date(value: bytes, now_at: int) -> int | None:
    """Return the moment of an HTTP date (RFC 9110, section 5.6.7); None for what is none."""
    return next((_moment(date, now_at) for pattern in _DATES if (date := pattern.fullmatch(value))), None)


def _moment(date: re.Match[bytes], now_at: int) -> int | None:
    """Milliseconds since 1970 of a matched HTTP date; None when there is no such day or time."""
    second = min(int(date["second"]), 59) if date["second"] == b"60" else int(date["second"])  # a leap second
    try:
        moment = datetime(
            _full_year(date["year"], now_at),
            _MONTHS[date["month"].decode()],
            int(date["day"]),
            int(date["hour"]),
            int(date["minute"]),
            second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000


def _full_year(digits: bytes, now_at: int) -> int:
    """A year of two digits that seems more than 50 years ahead is one of the past (RFC 9110)."""
    if len(digits) == 4:
        return int(digits)
    latest = 1970 + now_at // 31_556_952_000 + 50  # the mean length of a year: exact enough this far ahead
    return latest - (latest - int(digits)) % 100
