"""Log History and the audit log as files: CSV for spreadsheets, NDJSON for programs; times in UTC."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from app.core.access import Permission
from app.core.envelope import moment
from app.database import write
from app.services import audit, deliveries, log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.services.audit import AuditQuery, Entry
    from app.services.deliveries import DeliveryView
    from app.services.log import DeliveryRow, LogQuery
    from app.services.scope import Actor

MOST_ROWS = 100_000
SLICE = 250
SLICE_WITH_BODIES = 25  # a body can have 256 KiB
BODIES = ("request_body", "response_body")

Cells = dict[str, Any]

# A spreadsheet runs a cell that begins like this as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Kind(StrEnum):
    """How a file is written."""

    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class File:
    """A file that is written while it is sent, page by page, so that none of it is kept in memory."""

    name: str
    mimetype: str
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class _Named:
    """What the audit log calls that which was exported."""

    public_id: str
    name: str


def deliveries_file(actor: Actor, asked: LogQuery, kind: Kind, *, with_bodies: bool = False) -> File:
    """Return the deliveries that match, at most 100,000, in the order asked for. Raises `Invalid` before it begins.

    `with_bodies` adds the payload as it was sent last and what the receiver answered to the latest attempt, as text;
    it takes the permission that payloads take. Who exported what is audited.
    """
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    if with_bodies:
        actor.require(Permission.PAYLOADS)
    asked = replace(asked, cursor=None, newer=False, top=None)
    columns = (*DELIVERY, *(BODIES if with_bodies else ()))
    file = _file("deliveries", kind, columns, _delivery_pages(actor, asked, with_bodies))
    with write() as session:
        thing = _Named("log", "Log History")
        audit.record(session, actor, "log.exported", thing, {"bodies": (None, True)} if with_bodies else None)
    return file


def audit_file(actor: Actor, asked: AuditQuery, kind: Kind) -> File:
    """Return the entries of the audit log that match, at most 100,000, newest first. Raises `Invalid` likewise."""
    actor.require(Permission.AUDIT)
    return _file("audit", kind, AUDIT, _audit_pages(actor, asked, kind))


def _file(name: str, kind: Kind, columns: tuple[str, ...], pages: Iterator[list[Cells]]) -> File:
    first = next(pages, [])  # what is wrong with the filters is said before the answer begins
    whole = chain([first], pages)
    if kind is Kind.CSV:
        return File(f"{name}.csv", "text/csv", _csv(columns, whole))
    return File(f"{name}.ndjson", "application/x-ndjson", _ndjson(whole))


def _csv(columns: tuple[str, ...], pages: Iterator[list[Cells]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for rows in pages:
        writer.writerows([[escaped(row[name]) for name in columns] for row in rows])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _ndjson(pages: Iterator[list[Cells]]) -> Iterator[bytes]:
    for rows in pages:
        yield b"".join([orjson.dumps(row) + b"\n" for row in rows])


def escaped(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


# --- Log History

DELIVERY = (
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


def _delivery_pages(actor: Actor, asked: LogQuery, with_bodies: bool) -> Iterator[list[Cells]]:
    cursor: str | None = None
    left, most = MOST_ROWS, SLICE_WITH_BODIES if with_bodies else SLICE
    while left > 0:
        page = log.page(actor, replace(asked, cursor=cursor, limit=min(most, left)))
        views = deliveries.details(actor, [row.id for row in page.rows]) if with_bodies else {}
        yield [_delivery(row) | (_bodies(views.get(row.id)) if with_bodies else {}) for row in page.rows]
        left -= len(page.rows)
        cursor = page.older
        if cursor is None:
            return


def _delivery(row: DeliveryRow) -> Cells:
    return {
        "id": row.id,
        "event": row.event,
        "event_type": row.event_type,
        "created_at": moment(row.created_at),
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
        "next_attempt_at": moment(row.next_attempt_at) if row.next_attempt_at is not None else None,
        "finished_at": moment(row.finished_at) if row.finished_at is not None else None,
    }


def _bodies(view: DeliveryView | None) -> Cells:
    """What was sent last and answered last; none where nothing was, or where it was deleted meanwhile."""
    latest = view.attempts[0] if view is not None and view.attempts else None
    found = (view.body if view is not None else None, latest.response_body if latest else None)
    return {
        name: None if body is None else body.decode("utf-8", "replace")
        for name, body in zip(BODIES, found, strict=True)
    }


# --- the audit log

AUDIT = ("at", "actor", "actor_id", "address", "action", "object", "object_id", "changes")


def _audit_pages(actor: Actor, asked: AuditQuery, kind: Kind) -> Iterator[list[Cells]]:
    cursor, left = asked.cursor, MOST_ROWS
    while left > 0:
        page = audit.page(actor, replace(asked, cursor=cursor), limit=min(SLICE, left))
        yield [_entry(entry, kind) for entry in page.entries]
        left -= len(page.entries)
        cursor = page.next
        if cursor is None:
            return


def _entry(entry: Entry, kind: Kind) -> Cells:
    changes = {name: {"before": before, "after": after} for name, before, after in entry.fields}
    text = orjson.dumps(changes).decode() if changes else ""
    return {
        "at": moment(entry.at),
        "actor": entry.actor,
        "actor_id": entry.actor_id,
        "address": entry.address,
        "action": entry.action,
        "object": entry.object_name,
        "object_id": entry.object_id,
        "changes": text if kind is Kind.CSV else changes,
    }
