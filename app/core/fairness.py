"""Who may claim how much: one bad receiver must not be felt by the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALLEST_PORTION = 8  # fewer are not worth a claim


@dataclass(frozen=True, slots=True)
class Line:
    """A webhook that has something due: how much it may take, and when it was last served."""

    webhook_id: int
    organization_id: int
    room: int
    retrying: bool  # its oldest due delivery is a retry
    last_served: int  # a count that grows; 0: never
    replaying: bool = False  # its oldest due delivery is one of a replay


def share(lines: Iterable[Line], free: int) -> dict[int, int]:
    """Divide `free` places among the lines and return how many each webhook may claim.

    Least recently served first, each up to its room: an even portion for all, then more for the first, because a
    line of hundreds may hold one delivery only. Lines that begin with a retry get at most half of the places together,
    those that begin with a replay at most a quarter while others wait, and one organization at most half while another
    waits: none can starve the rest.

    >>> share([Line(1, 1, 4, False, 2), Line(2, 1, 4, False, 1)], free=6)
    {2: 4, 1: 2}
    """
    waiting = sorted((line for line in lines if line.room > 0), key=lambda line: (line.last_served, line.webhook_id))
    several = len({line.organization_id for line in waiting}) > 1
    has_fresh = any(not line.replaying for line in waiting)
    half, quarter = max(1, free // 2), max(1, free // 4)
    by_organization: Counter[int] = Counter()
    retries = replays = 0
    shares: dict[int, int] = {}
    even = max(SMALLEST_PORTION, free // max(1, len(waiting)))
    for line, portion in [(line, even) for line in waiting] + [(line, free) for line in waiting]:
        places = min(line.room - shares.get(line.webhook_id, 0), free, portion)
        if line.retrying:
            places = min(places, half - retries)
        if line.replaying and has_fresh:
            places = min(places, quarter - replays)
        if several:
            places = min(places, half - by_organization[line.organization_id])
        if places <= 0:
            continue
        shares[line.webhook_id] = shares.get(line.webhook_id, 0) + places
        free -= places
        by_organization[line.organization_id] += places
        retries += places if line.retrying else 0
        replays += places if line.replaying else 0
    return shares
