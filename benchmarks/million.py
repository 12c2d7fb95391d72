"""A database with as many deliveries as wanted: one day of demo data, and the days before as copies of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import Connection, text

from app.cli.demo.fill import fill
from app.cli.demo.scene import Scene
from app.database import is_sqlite, write
from app.extensions import db

DAYS = 30
DAY_MS = 86_400_000
DELIVERIES_AN_EVENT = 2.78  # of the demo's webhooks; only the size of a day hangs on it
_CODE = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of the one day that was made: first ids, and how many ids to leave for each copy."""

    event: int
    delivery: int
    events: int
    deliveries: int


def grow(deliveries: int, seed: int = 1) -> Scene:
    """Make an organization with about so many deliveries, in the application's context."""
    made, _ = fill("Acme", round(deliveries / DAYS / DELIVERIES_AN_EVENT), seed, lambda _: None, days=1)
    with write() as session:
        block = _block(session.connection())
    with click.progressbar(range(1, DAYS), label=f"{deliveries:,} deliveries", file=sys.stderr) as days:
        for day in days:
            with write() as session:
                _copy(session.connection(), block, day)
    with db.engine.begin() as connection:
        if not is_sqlite():
            for table in ("event", "delivery"):
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(text(f"SELECT setval({sequence}, (SELECT max(id) FROM {table}))"))
            connection.execute(text("ANALYZE"))
    return made


def _block(connection: Connection) -> Block:
    events = connection.execute(text("SELECT min(id), max(id) FROM event")).one()
    deliveries = connection.execute(text("SELECT min(id), max(id) FROM delivery")).one()
    return Block(events[0], deliveries[0], events[1] - events[0] + 1, deliveries[1] - deliveries[0] + 1)


def _copy(connection: Connection, block: Block, day: int) -> None:
    """Copy what is finished to `day` days before, with ids of its own."""
    values = {
        "event": block.event + block.events,
        "delivery": block.delivery + block.deliveries,
        "more_events": block.events * day,
        "more_deliveries": block.deliveries * day,
        "ms": DAY_MS * day,
        "code": _CODE[day],
    }
    new_id = "substr(public_id, 1, 28) || 'u' || :code"  # a letter that no id has
    shifted: dict[str, dict[str, str]] = {
        "event": {
            "id": "id + :more_events",
            "public_id": new_id,
            "producer_id": "producer_id || :code",
            "occurred_at": "occurred_at - :ms",
            "created_at": "created_at - :ms",
        },
        "delivery": {
            "id": "id + :more_deliveries",
            "public_id": new_id,
            "event_id": "event_id + :more_events",
            "created_at": "created_at - :ms",
            "finished_at": "finished_at - :ms",
        },
        "sent_body": {"event_id": "event_id + :more_events"},
        "attempt": {"delivery_id": "delivery_id + :more_deliveries", "started_at": "started_at - :ms"},
    }
    which = {
        "event": "id < :event",
        "delivery": "id < :delivery AND finished_at IS NOT NULL",
        "sent_body": "event_id < :event",
        "attempt": "delivery_id IN (SELECT id FROM delivery WHERE id < :delivery AND finished_at IS NOT NULL)",
    }
    for table, changes in shifted.items():
        names = list(db.metadata.tables[table].columns.keys())
        told = ", ".join(changes.get(name, f'"{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        _run(connection, f'INSERT INTO "{table}" ({columns}) SELECT {told} FROM "{table}" WHERE {which[table]}', values)
    _copy_counts(connection, values)


def _copy_counts(connection: Connection, values: dict[str, Any]) -> None:
    """The day's hours, counted where they are moved to; neighbouring days share an hour."""
    today = "hour > (SELECT max(hour) FROM stat) - 90000000"
    if "stat" not in db.metadata.tables:
        return
    _run(
        connection,
        "INSERT INTO stat (webhook_id, hour, measure, key, count) SELECT webhook_id, hour - :ms, measure, key, count "
        f"FROM stat WHERE {today} ON CONFLICT (webhook_id, hour, measure, key) DO UPDATE SET count = stat.count + "
        "excluded.count",
        values,
    )


def _run(connection: Connection, statement: str, values: dict[str, Any]) -> None:
    used = {name: value for name, value in values.items() if f":{name}" in statement}
    connection.execute(text(statement), used)
