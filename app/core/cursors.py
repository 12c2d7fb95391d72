"""Keyset cursors: the place in a list after which the next page begins, as a short text."""

from __future__ import annotations

import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

_PLACE = struct.Struct(">qq")  # both fit the database's bigint
_TEXT = re.compile(r"[A-Za-z0-9_-]{22}")


def encode(at: int, id: int) -> str:  # noqa: A002
    """Return the cursor of the row `id` at the moment `at` (milliseconds); neither may be negative."""
    return urlsafe_b64encode(_PLACE.pack(at, id)).decode().rstrip("=")


def decode(text: str) -> tuple[int, int]:
    """Return moment and id; raise ValueError for whatever `encode` did not make."""
    if _TEXT.fullmatch(text):
        at, row_id = _PLACE.unpack(urlsafe_b64decode(text + "=="))
        if at >= 0 and row_id >= 0 and encode(at, row_id) == text:
            return at, row_id
    raise ValueError("The cursor can't be read. Begin again without it.")
