"""Public ids: a prefix, a millisecond and chance, in Crockford's base 32."""

from __future__ import annotations

import secrets

from app import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, at: int | None = None) -> str:
    """Return `prefix_` and 26 characters that sort by time (now, or `at`), so that a unique index grows at its end."""
    number = ((clock.now() if at is None else at) << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join([_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)])
