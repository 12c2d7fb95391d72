"""Public ids: a prefix, a millisecond and chance, in Crockford's base 32."""

from __future__ import annotations

import secrets

from app import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """Return `prefix_` and 26 characters that sort by time, so that a unique index grows at its end."""
    return id_of(prefix, clock.now(), secrets.randbits(80))


def id_of(prefix: str, at: int, roll: int) -> str:
    """Return the id of the moment `at`, in milliseconds since 1970, and 80 bits of chance."""
    number = (at << 80) | roll
    return f"{prefix}_" + "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
