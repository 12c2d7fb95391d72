"""The periods that statistics are told of, cut into slots that fit a clock on the wall."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import tzinfo


class Period(StrEnum):
    """How far back: a day by hours, a week by quarters of a day, thirty days by days."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


class Slot(NamedTuple):
    """A part of a period, in milliseconds since 1970 UTC; the last one reaches into the future."""

    from_at: int
    to_at: int


_STEPS = {Period.DAY: (24, 1), Period.WEEK: (28, 6), Period.MONTH: (30, 24)}  # how many, how many hours each


def slots(period: Period, now: int, zone: tzinfo) -> list[Slot]:
    """Return the slots of a period, oldest first; the last one contains `now`.

    They begin at full hours, at 0, 6, 12 and 18 o'clock, or at midnight, of `zone`: a day in which clocks are
    changed has 23 or 25 hours.
    """
    count, hours = _STEPS[period]
    local = datetime.fromtimestamp(now / 1000, zone)
    if hours == 1:
        last = now - now % 3_600_000
        return [Slot(last - n * 3_600_000, last - (n - 1) * 3_600_000) for n in reversed(range(count))]
    begin = local.replace(hour=local.hour - local.hour % hours, minute=0, second=0, microsecond=0, tzinfo=None)
    walls = [begin - timedelta(hours=hours * n) for n in range(count - 1, -2, -1)]  # read off the wall, not waited
    edges = [round(wall.replace(tzinfo=zone).timestamp() * 1000) for wall in walls]
    return [Slot(from_at, to_at) for from_at, to_at in pairwise(edges)]
