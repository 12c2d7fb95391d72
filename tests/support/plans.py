"""What the database says about how it would answer the statements that a block of code sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text

from app.database import is_sqlite
from app.door import Door, Statement
from app.extensions import db

FILLED = 20_000

_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_EVENTS = """INSERT INTO event
 (public_id, organization_id, type, digest, data, is_public, is_test, occurred_at, created_at)
 {numbers} SELECT 'evt_' || i, :organization, 'job.created', '', '', false, false, i, :now - i * 1000 FROM n"""
_DELIVERIES = """INSERT INTO delivery
 (public_id, organization_id, event_id, webhook_id, copy, kind, by_hand, state, event_type, url, attempt_count,
 interruptions, attempts_allowed, next_attempt_at, created_at, finished_at, last_status)
 {numbers} SELECT 'dlv_' || i, :organization, (SELECT max(id) FROM event), webhook.id, i, 'normal', i % 1000 = 0,
 CASE i % 100 WHEN 0 THEN 'pending' WHEN 1 THEN 'failed' ELSE 'delivered' END, 'job.created', 'https://acme.test/',
 1, CASE i % 500 WHEN 0 THEN 1 ELSE 0 END, 3, CASE i % 100 WHEN 0 THEN :now ELSE NULL END, :now - i * 1000,
 CASE i % 100 WHEN 0 THEN NULL ELSE :now END, 200 FROM n, webhook"""


def fill(organization_id: int, now: int) -> None:
    """Fill the tables, so that a good plan is worth it: mostly finished deliveries for every webhook there is."""
    with db.engine.begin() as connection:
        for statement in (_EVENTS, _DELIVERIES):
            written = statement.format(numbers="" if is_sqlite() else _NUMBERS)
            if is_sqlite():
                written = _NUMBERS + written
            connection.execute(text(written), {"count": FILLED, "organization": organization_id, "now": now})
        if not is_sqlite():  # whose planner works without counts here, as nobody runs ANALYZE there
            connection.execute(text("ANALYZE"))


@contextmanager
def plans() -> Iterator[list[str]]:
    """Collect the plan of each statement that the block sends, inserts left out."""
    sent: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith("INSERT"):
            sent.append((statement, parameters))

    at_driver = Door._run

    def note_at_driver(door: Door, statement: Statement, values: dict[str, Any]) -> Any:
        answer = at_driver(door, statement, values)  # which writes lists as the driver takes them
        sent.append((statement.sqlite if is_sqlite() else statement.postgresql, values))
        return answer

    event.listen(Engine, "before_cursor_execute", note)
    Door._run = note_at_driver  # type: ignore[method-assign]
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        Door._run = at_driver  # type: ignore[method-assign]
    explain = "EXPLAIN QUERY PLAN " if is_sqlite() else "EXPLAIN "
    for statement, parameters in sent:
        with db.engine.connect() as connection:
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            found.append("\n".join(str(row[-1]) for row in rows))
