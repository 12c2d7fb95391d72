"""How far this machine's clock is off, by the Date of receivers' answers: receivers reject signatures from elsewhen."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from app.core.retry import http_date
from app.delivery.installed import installed

if TYPE_CHECKING:
    from collections.abc import Sequence

Host = tuple[str, int]

KEPT = 50  # answers
FEWEST_HOSTS = 3  # one of them may be the one that is off
EVERY_MS = 10_000  # one answer of a host in that time is enough, and costs nothing
MOST_HOSTS = 1_000

_seen: tuple[tuple[Host, int], ...] = ()  # replaced as a whole: the engine's thread writes, others read
_looked_at: dict[Host, int] = {}


def note(host: Host, headers: Sequence[tuple[bytes, bytes]], now: int) -> None:
    """Look at the headers of an answer that came at `now`, unless this host's was looked at lately."""
    global _seen
    if 0 <= now - _looked_at.get(host, 0) < EVERY_MS:
        return
    if len(_looked_at) >= MOST_HOSTS:
        _looked_at.clear()
    _looked_at[host] = now
    said = {name.lower(): value for name, value in reversed(headers)}
    if b"date" not in said or b"age" in said or _is_own(host):  # an answer out of a cache has the date of another one
        return
    moment = http_date(said[b"date"], now)
    if moment is not None:
        _seen = (*_seen[1 - KEPT :], (host, now - moment - 500))  # a Date has no fractions: half a second on average


def _is_own(host: Host) -> bool:
    base = installed().base
    return base is not None and (base.host, base.port) == host


def off_ms() -> int | None:
    """Return how far the clock is ahead, as most receivers have it; None: too few have told."""
    seen = _seen
    if len({host for host, _ in seen}) < FEWEST_HOSTS:
        return None
    return round(median(off for _, off in seen))


def forget_all() -> None:
    """Begin anew: the clock was set, or another application runs in this process."""
    global _seen
    _seen = ()
    _looked_at.clear()
