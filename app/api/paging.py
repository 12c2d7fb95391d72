"""Pages of lists: `{"items": […], "next": "cursor or null"}`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.api.schemas.shapes import Listed
from app.core import cursors
from app.errors import Invalid, Problem

Row = TypeVar("Row")


def place_of(cursor: str | None) -> tuple[int, int] | None:
    """Return the moment and row that a cursor stands for. Raises `Invalid` for a text that is no cursor."""
    if cursor is None:
        return None
    try:
        return cursors.decode(cursor)
    except ValueError as error:
        raise Invalid([Problem("cursor", str(error))]) from None


def page_of(
    rows: Sequence[Row], asked: Listed, shown: Callable[[Row], Any], place: Callable[[Row], tuple[int, int]]
) -> dict[str, Any]:
    """Return a page of `rows`, which begin behind the cursor and are one more than asked for when there are more."""
    items = rows[: asked.limit]
    has_more = len(rows) > len(items)
    return {
        "items": [shown(row) for row in items],
        "next": cursors.encode(*place(items[-1])) if has_more else None,
    }


def page_of_all(
    rows: Sequence[Row], asked: Listed, shown: Callable[[Row], Any], number: Callable[[Row], int]
) -> dict[str, Any]:
    """Return a page of a list that is here as a whole, in the order of its rows' numbers."""
    after = place_of(asked.cursor)
    ahead = sorted((row for row in rows if after is None or number(row) > after[1]), key=number)
    return page_of(ahead, asked, shown, lambda row: (0, number(row)))
