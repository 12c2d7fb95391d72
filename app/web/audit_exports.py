"""The audit log as a file: CSV for spreadsheets, NDJSON for programs; times in UTC."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, stream_with_context

from app.services import audit
from app.web.exports import MOST_ROWS, SLICE, escaped
from app.web.filters import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.services.audit import AuditQuery, Entry
    from app.services.scope import Actor

COLUMNS = ("at", "actor", "actor_id", "address", "action", "object", "object_id", "changes")


def stream(kind: str, actor: Actor, asked: AuditQuery) -> Response:
    """Answer with at most 100,000 entries, newest first, page by page, so that none of it is kept in memory."""
    pages = _pages(actor, asked)
    first = next(pages, ())  # what is wrong with the filters is said before the answer begins
    write, mimetype = (_csv, "text/csv") if kind == "csv" else (_ndjson, "application/x-ndjson")
    response = Response(stream_with_context(write(first, pages)), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="audit.{kind}"'
    return response


def _pages(actor: Actor, asked: AuditQuery) -> Iterator[tuple[Entry, ...]]:
    cursor, left = asked.cursor, MOST_ROWS
    while left > 0:
        page = audit.page(actor, replace(asked, cursor=cursor), limit=min(SLICE, left))
        yield page.entries
        left -= len(page.entries)
        cursor = page.next
        if cursor is None:
            return


def _csv(first: tuple[Entry, ...], pages: Iterator[tuple[Entry, ...]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entries in chain([first], pages):
        for entry in entries:
            cells = _cells(entry) | {"changes": orjson.dumps(_changes(entry)).decode() if entry.fields else ""}
            writer.writerow([escaped(cell) for cell in cells.values()])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _ndjson(first: tuple[Entry, ...], pages: Iterator[tuple[Entry, ...]]) -> Iterator[bytes]:
    for entries in chain([first], pages):
        yield b"".join([orjson.dumps(_cells(entry) | {"changes": _changes(entry)}) + b"\n" for entry in entries])


def _cells(entry: Entry) -> dict[str, Any]:
    return {
        "at": iso(entry.at),
        "actor": entry.actor,
        "actor_id": entry.actor_id,
        "address": entry.address,
        "action": entry.action,
        "object": entry.object_name,
        "object_id": entry.object_id,
    }


def _changes(entry: Entry) -> dict[str, Any]:
    return {name: {"before": before, "after": after} for name, before, after in entry.fields}
