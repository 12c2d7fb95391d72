"""Waits in words, as people write and read them: `5 s, 5 min, 2 h`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PART = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>s|sec|min|m|h|d|days?)?", re.I)
_UNIT_S = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "day": 86_400, "days": 86_400}


def seconds_of(text: str) -> list[float] | None:
    """Read `5 s, 5 min, 2 h` as seconds; a bare number is seconds. None when a part can't be read."""
    found: list[float] = []
    for part in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        match = _PART.fullmatch(part)
        if match is None or len(match["amount"]) > 9:
            return None
        seconds = float(match["amount"]) * _UNIT_S[(match["unit"] or "s").lower()]
        found.append(int(seconds) if seconds.is_integer() else seconds)
    return found


def ladder(delays: Sequence[float]) -> str:
    """Write waits (seconds) the way `seconds_of` reads them: `5 s, 5 min, 20 h`."""
    return ", ".join(map(_wait, delays))


def _wait(seconds: float) -> str:
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)} {unit}"
    return f"{plain(seconds)} s"


def plain(value: float) -> str:
    """Write a number without needless zeros, to six places at most."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
