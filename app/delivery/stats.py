"""Adds what is counted about deliveries to what was counted before, in its caller's transaction."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from app.core import stats
from app.core.states import DeliveryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from app.core.stats import Key

ROWS_AT_ONCE = 100

# Plain SQL, because every batch of answers ends with it.
_INSERT = "INSERT INTO stat (webhook_id, hour, measure, key, count) "
_ADD = " ON CONFLICT (webhook_id, hour, measure, key) DO UPDATE SET count = stat.count + excluded.count"
_ARRAYS = "SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[])"
_UNNESTED = _INSERT + _ARRAYS + _ADD


@lru_cache(ROWS_AT_ONCE)
def _values(rows: int) -> str:
    return _INSERT + "VALUES " + ", ".join(["(?, ?, ?, ?, ?)"] * rows) + _ADD


def add(connection: Connection, counted: Mapping[Key, int]) -> None:
    """Add counts, made with `app.core.stats.counts`.

    In the order of the keys, so that two processes that add to the same rows wait for one another, never in a ring.
    """
    if not counted:
        return
    rows = [(*key, counted[key]) for key in sorted(counted)]
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(_UNNESTED, tuple(list(column) for column in zip(*rows, strict=True)))
        return
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        connection.exec_driver_sql(_values(len(some)), tuple(chain.from_iterable(some)))


def recount(connection: Connection, moved: Iterable[Any], by: int) -> None:
    """Take deliveries that had been tried back out of the counts (`by` -1), or count them again (1).

    `moved` are rows with webhook_id, created_at, event_type, kind and tries.
    """
    counted: dict[Key, int] = {}
    for row in moved:
        if row.tries > 0 and row.kind is DeliveryKind.NORMAL:
            key = stats.missed(row.webhook_id, row.created_at, row.event_type)
            counted[key] = counted.get(key, 0) + by
    add(connection, counted)
