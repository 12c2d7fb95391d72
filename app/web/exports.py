"""The log as a file: CSV for spreadsheets, NDJSON for programs; times in UTC, no bodies."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import orjson
from flask import Response, stream_with_context

from app.services import log
from app.web.filters import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.services.log import DeliveryRow, LogQuery
    from app.services.scope import Actor

MOST_ROWS = 100_000
SLICE = 250
COLUMNS = (
    "id",
    "event",
    "event_type",
    "created_at",
    "webhook",
    "webhook_name",
    "url",
    "state",
    "kind",
    "reason",
    "response",
    "error",
    "attempt_count",
    "attempts_allowed",
    "duration_ms",
    "next_attempt_at",
    "finished_at",
)

Cell = str | int | None

# A spreadsheet runs a cell that begins like this as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def stream(kind: str, actor: Actor, asked: LogQuery) -> Response:
    """Answer with at most 100,000 rows of the log, newest first, page by page, so that none of it is kept in memory."""
    pages = _pages(actor, asked)
    first = next(pages, ())  # what is wrong with the filters is said before the answer begins
    write, mimetype = (_csv, "text/csv") if kind == "csv" else (_ndjson, "application/x-ndjson")
    response = Response(stream_with_context(write(first, pages)), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="deliveries.{kind}"'
    return response


def _pages(actor: Actor, asked: LogQuery) -> Iterator[tuple[DeliveryRow, ...]]:
    cursor: str | None = None
    left = MOST_ROWS
    while left > 0:
        page = log.page(actor, replace(asked, cursor=cursor, limit=min(SLICE, left)))
        yield page.rows
        left -= len(page.rows)
        cursor = page.older
        if cursor is None:
            return


def _csv(first: tuple[DeliveryRow, ...], pages: Iterator[tuple[DeliveryRow, ...]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for rows in chain([first], pages):
        writer.writerows([[escaped(cell) for cell in cells(row).values()] for row in rows])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _ndjson(first: tuple[DeliveryRow, ...], pages: Iterator[tuple[DeliveryRow, ...]]) -> Iterator[bytes]:
    for rows in chain([first], pages):
        yield b"".join([orjson.dumps(cells(row)) + b"\n" for row in rows])


def cells(row: DeliveryRow) -> dict[str, Cell]:
    """A row under the names of `COLUMNS`, moments as RFC 3339 in UTC."""
    return {
        "id": row.id,
        "event": row.event,
        "event_type": row.event_type,
        "created_at": iso(row.created_at),
        "webhook": row.webhook,
        "webhook_name": row.webhook_name,
        "url": row.url,
        "state": row.display,
        "kind": row.kind.value,
        "reason": row.reason.value if row.reason else None,
        "response": row.last_status,
        "error": row.last_error.value if row.last_error else None,
        "attempt_count": row.attempt_count,
        "attempts_allowed": row.attempts_allowed,
        "duration_ms": row.duration_ms,
        "next_attempt_at": iso(row.next_attempt_at) if row.next_attempt_at is not None else None,
        "finished_at": iso(row.finished_at) if row.finished_at is not None else None,
    }


def escaped(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
