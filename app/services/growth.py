"""How fast the database grows, from a measurement a day, and how long the disk lasts at this rate."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app import clock
from app.database import read, write
from app.delivery.installed import installed
from app.models import Installation
from app.services import system

DAY_MS = 86_400_000
DAYS_KEPT = 30
SHORTEST_MS = DAY_MS
_SIZES = "sizes"


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a day, and days until new events are refused; None: it doesn't grow."""

    bytes_a_day: int
    days_left: int | None


def note(now: int) -> None:
    """Measure the database, at most once a day."""
    with read() as session:
        sizes = _read(session.get(Installation, _SIZES))
    if sizes and now - sizes[-1][0] < DAY_MS:
        return
    sizes = [*sizes, (now, system.sizes().database)][-DAYS_KEPT:]
    with write() as session:
        session.merge(Installation(name=_SIZES, value=json.dumps(sizes).encode(), changed_at=now))


def rate() -> Growth | None:
    """Return how fast it grew lately; None until there is a day to compare with."""
    with read() as session:
        sizes = _read(session.get(Installation, _SIZES))
    if not sizes or clock.now() - sizes[0][0] < SHORTEST_MS:
        return None
    now = system.sizes()
    grown = (now.database - sizes[0][1]) * DAY_MS // (clock.now() - sizes[0][0])
    room = now.free - (installed().settings.disk_reserve_mb << 20)
    return Growth(grown, max(0, room) // grown if grown > 0 else None)


def _read(row: Installation | None) -> list[tuple[int, int]]:
    return [] if row is None else [(at, size) for at, size in json.loads(row.value)]
