"""Adds what is counted about deliveries to what was counted before, in its caller's transaction."""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from app.core import stats
from app.core.states import DeliveryKind
from app.door import Statement, portions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.core.stats import Key
    from app.door import Door

_INSERT = "INSERT INTO stat (webhook_id, hour, measure, key, count) "
_ADD = " ON CONFLICT (webhook_id, hour, measure, key) DO UPDATE SET count = stat.count + excluded.count"
_ARRAYS = ":webhooks::bigint[], :hours::bigint[], :measures::text[], :keys::text[], :counts::int[]"
_UNNESTED = Statement(_INSERT + "SELECT * FROM unnest(" + _ARRAYS + ")" + _ADD)  # noqa: S608  texts of our own


@cache
def _values(rows: int) -> str:
    return _INSERT + "VALUES " + ", ".join(["(?, ?, ?, ?, ?)"] * rows) + _ADD


def add(door: Door, counted: Mapping[Key, int]) -> None:
    """Add counts, made with `app.core.stats.counts`, in the door's transaction.

    In the order of the keys, so that two processes that add to the same rows wait for one another, never in a ring.
    """
    if not counted:
        return
    rows = [(*key, counted[key]) for key in sorted(counted)]
    if not door.is_sqlite:
        webhooks, hours, measures, keys, counts = (list(column) for column in zip(*rows, strict=True))
        door.run(_UNNESTED, webhooks=webhooks, hours=hours, measures=measures, keys=keys, counts=counts)
        return
    for some in portions(rows):
        door.run_on_sqlite(_values(len(some)), tuple(chain.from_iterable(some)))


def recount(door: Door, moved: Iterable[Any], by: int) -> None:
    """Take deliveries that had been tried back out of the counts (`by` -1), or count them again (1).

    `moved` are rows with webhook_id, created_at, event_type, kind and tries.
    """
    counted: dict[Key, int] = {}
    for row in moved:
        if row.tries > 0 and row.kind is DeliveryKind.NORMAL:
            key = stats.missed(row.webhook_id, row.created_at, row.event_type)
            counted[key] = counted.get(key, 0) + by
    add(door, counted)
