"""New secrets on their way to the one page that shows them: kept in this process, for minutes, taken out once."""

from __future__ import annotations

import threading

from app import clock

KEPT_MS = 5 * 60_000
MOST_KEPT = 1_000

_lock = threading.Lock()
_kept: dict[tuple[str | None, str], tuple[int, str]] = {}


def keep(viewer: str | None, thing: str, secret: str) -> None:
    """Keep the secret of a thing for who made it, both by public id."""
    now = clock.now()
    with _lock:
        for key in [key for key, (until, _) in _kept.items() if until < now]:
            del _kept[key]
        if len(_kept) < MOST_KEPT:
            _kept[viewer, thing] = (now + KEPT_MS, secret)


def take(viewer: str | None, thing: str) -> str | None:
    """Return the secret and forget it; None: it was shown already, or that is too long ago."""
    with _lock:
        until, secret = _kept.pop((viewer, thing), (0, ""))
    return secret if until >= clock.now() else None
