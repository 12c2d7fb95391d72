"""Values as they are written on the wire: moments as RFC 3339, payloads as the very text they came as."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from app.core.envelope import moment

Shape = dict[str, Any]


def moment_or_null(at: int | None) -> str | None:
    """Return a moment as it is written on the wire."""
    return None if at is None else moment(at)


def json_or_null(text: bytes | None) -> orjson.Fragment | None:
    """Return JSON text that is written as it stands."""
    return None if text is None else orjson.Fragment(text)


def text_or_null(body: bytes | None) -> str | None:
    """Return a body as text, with replacements for what isn't UTF-8."""
    return None if body is None else body.decode("utf-8", "replace")


def counts(found: Iterable[tuple[Any, int]], name: str) -> list[Shape]:
    """Return pairs of something and how many there are of it."""
    return [{name: each, "count": count} for each, count in found]
