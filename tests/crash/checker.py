"""The verdict on a run: what was acknowledged, what arrived, and what the database says, held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

FINISHED = {"delivered", "failed", "canceled", "skipped"}


class Hit(NamedTuple):
    """A request as the receiver kept it, and how it was answered: 200, 500, slow or silent."""

    event: str
    delivery: str
    answer: str


class Row(NamedTuple):
    """A delivery as the database has it; `attempts` are (number, outcome, error), `event` is the producer's id."""

    delivery: str
    event: str
    state: str
    attempt_count: int
    interruptions: int
    attempts_allowed: int
    attempts: tuple[tuple[int, str, str | None], ...]


@dataclass
class Evidence:
    """Everything a run left behind. Ids are those the publisher chose."""

    acked: set[str]
    maybe: set[str]
    hits: Sequence[Hit]
    ids: Mapping[str, str]  # the event's public id: the publisher's
    rows: Sequence[Row]
    kills: int
    concurrency: int
    integrity: Sequence[str] = ("ok",)
    broken_keys: int = 0
    notes: list[str] = field(default_factory=list)


def problems(found: Evidence) -> list[str]:
    """Return every promise that was broken, in words; nothing: the run was clean."""
    return [*_arrivals(found), *_duplicates(found), *_log(found), *_database(found)]


def _arrivals(found: Evidence) -> list[str]:
    received = {found.ids.get(hit.event, hit.event) for hit in found.hits}
    stored = Counter(row.event for row in found.rows)
    told = []
    if lost := found.acked - received:
        told.append(f"lost: {len(lost)} events with a 202 never arrived, such as {min(lost)}")
    if unexpected := received - found.acked - found.maybe:
        told.append(f"unexpected: {len(unexpected)} events arrived that nobody published, such as {min(unexpected)}")
    if twice := [event for event, count in stored.items() if count > 1]:
        told.append(f"doubled: {len(twice)} events are stored more than once, such as {min(twice)}")
    if missing := found.acked - stored.keys():
        told.append(f"forgotten: {len(missing)} events with a 202 are not in the database, such as {min(missing)}")
    return told


def _duplicates(found: Evidence) -> list[str]:
    """Requests that came again although the one before was answered 200 at once."""
    taken = Counter(hit.delivery for hit in found.hits if hit.answer == "200")
    late = Counter(row.delivery for row in found.rows for _, _, error in row.attempts if error in {"timeout", "reset"})
    again = sum(max(0, count - 1 - late[delivery]) for delivery, count in taken.items())
    if again > found.kills * found.concurrency:
        return [f"duplicates: {again} after {found.kills} kills with {found.concurrency} in flight"]
    return []


def _log(found: Evidence) -> list[str]:
    attempts = {row.delivery: len(row.attempts) for row in found.rows}
    hits = Counter(hit.delivery for hit in found.hits)
    silent = [delivery for delivery, count in hits.items() if count > attempts.get(delivery, 0)]
    if silent:
        return [f"unlogged: {len(silent)} deliveries have more requests than attempts, such as {min(silent)}"]
    return []


def _database(found: Evidence) -> list[str]:
    told = []
    if list(found.integrity) != ["ok"] or found.broken_keys:
        told.append(f"damaged: {found.integrity[0]}, {found.broken_keys} broken keys")
    for row in found.rows:
        interrupted = sum(outcome == "interrupted" for _, outcome, _ in row.attempts)
        if row.state not in FINISHED:
            told.append(f"unfinished: {row.delivery} is {row.state}")
        if [number for number, _, _ in row.attempts] != list(range(1, row.attempt_count + 1)):
            told.append(f"gaps: {row.delivery} has attempts {[number for number, _, _ in row.attempts]}")
        if row.attempt_count - row.interruptions > row.attempts_allowed or interrupted > row.interruptions:
            told.append(f"budget: {row.delivery} made {row.attempt_count}, {interrupted} of them interrupted")
    return told
