"""Pending to sending: who waits, and whose turn it is. A claim is on record before a byte leaves."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import update

from app.core.states import DeliveryKind
from app.database import hot_read, hot_write, write
from app.delivery.orders import Claim
from app.door import Door, Statement
from app.faults import fault
from app.models import Lane
from app.models.types import core_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

lane = core_table(Lane)

LEASE_MS = 2 * 60_000 + 30_000  # twice the longest timeout a webhook can have, and a margin


class Waiting(NamedTuple):
    """A webhook with something pending: when its first one is due, and whether that is a retry, or of a replay."""

    webhook_id: int
    organization_id: int
    version: int
    due_at: int
    retrying: bool
    replaying: bool


# Skips through the partial index from webhook to webhook: the cost grows with the webhooks that wait, not with
# what waits for them. Ordered exactly like the index, or PostgreSQL reads every finished row.
_WAITING = Statement("""
WITH RECURSIVE line (webhook_id, due_at, tries, kind) AS (
    SELECT * FROM (SELECT webhook_id, next_attempt_at, attempt_count, kind FROM delivery WHERE state = 'pending'
                   ORDER BY webhook_id, next_attempt_at LIMIT 1) AS head
    UNION ALL
    SELECT next.webhook_id, next.next_attempt_at, next.attempt_count, next.kind
    FROM line JOIN delivery AS next ON next.id = (
        SELECT id FROM delivery WHERE state = 'pending' AND webhook_id > line.webhook_id
        ORDER BY webhook_id, next_attempt_at LIMIT 1))
SELECT webhook.id, webhook.organization_id, webhook.version, line.due_at, line.tries > 0, line.kind = 'replay'
FROM line JOIN webhook ON webhook.id = line.webhook_id JOIN lane ON lane.webhook_id = webhook.id
WHERE webhook.enabled AND NOT webhook.paused AND lane.shut_until <= :now
  AND (lane.worker IS NULL OR lane.worker = :worker OR lane.held_until < :now)
""")
_SPECIAL = Statement("""
SELECT EXISTS (SELECT id FROM delivery WHERE state = 'pending' AND by_hand),
       EXISTS (SELECT id FROM delivery WHERE state = 'pending' AND interruptions >= 2)
""")

_CLAIM = """
WITH due AS ({})
UPDATE delivery SET state = 'sending', attempt_count = attempt_count + 1, lease_id = :lease, leased_until = :until
WHERE id IN (SELECT id FROM due)
RETURNING id, public_id, event_id, webhook_id, attempt_count, attempt_count - interruptions, attempts_allowed, kind,
          by_hand, url, next_attempt_at, event_type, created_at
"""
_CLAIM_SHARE = Statement(  # suspects have a claim of their own
    _CLAIM.format("""
    SELECT id FROM delivery
    WHERE webhook_id = :webhook AND state = 'pending' AND next_attempt_at <= :now AND interruptions < 2
    ORDER BY next_attempt_at, id LIMIT :share FOR UPDATE SKIP LOCKED""")
)
_CLAIM_BY_HAND = Statement(
    _CLAIM.format("""
    SELECT id FROM delivery
    WHERE state = 'pending' AND by_hand AND next_attempt_at <= :now AND interruptions < 2
    ORDER BY id LIMIT :share FOR UPDATE SKIP LOCKED""")
)
_CLAIM_SUSPECT = Statement(
    _CLAIM.format("""
    SELECT delivery.id FROM delivery JOIN webhook ON webhook.id = delivery.webhook_id
    JOIN lane ON lane.webhook_id = delivery.webhook_id
    WHERE delivery.state = 'pending' AND delivery.interruptions >= 2 AND delivery.next_attempt_at <= :now
      AND (delivery.by_hand OR (webhook.enabled AND NOT webhook.paused AND lane.shut_until <= :now))
    ORDER BY delivery.id LIMIT :share FOR UPDATE OF delivery SKIP LOCKED""")
)
_HOLD = Statement("""
UPDATE lane SET worker = :worker, held_until = :until
WHERE webhook_id IN :webhooks[] AND (worker IS NULL OR worker = :worker OR held_until < :now)
RETURNING webhook_id
""")
_KINDS = {kind.value: kind for kind in DeliveryKind}


def _claim_of(row: tuple[Any, ...], lease: int, until: int) -> Claim:
    *counts, kind, by_hand, url, due_at, event_type, created_at = row
    return Claim._make((*counts, _KINDS[kind], bool(by_hand), url, due_at, event_type, created_at, lease, until))


class Look(NamedTuple):
    """What a look at the queue shows."""

    lines: list[Waiting]
    by_hand: bool  # something that a person asked for is pending
    suspects: bool


def look(now: int, worker: str) -> Look:
    """Return every webhook that may be served by `worker` and has something pending, due or not yet, and what else."""
    with hot_read() as door:
        ((by_hand, suspects),) = door.rows(_SPECIAL)
        lines = door.rows(_WAITING, now=now, worker=worker)
    return Look([Waiting._make(line) for line in lines], bool(by_hand), bool(suspects))


def claim(
    door: Door, shares: Mapping[int, int], held: Collection[int], worker: str, now: int, lease_ms: int
) -> list[Claim]:
    """Claim up to `shares[webhook_id]` due deliveries of each webhook, in the caller's transaction.

    The lanes of webhooks in `held` are ours for long enough; the others are taken first. The claim is the intent:
    it has to be on record before a byte leaves.
    """
    fault("claim.before")
    claims: list[Claim] = []
    lease, until = new_lease(), now + lease_ms
    taken = _hold_lanes(door, [w for w in shares if w not in held], worker, now, until)
    for webhook_id, places in shares.items():
        if webhook_id in held or webhook_id in taken:
            rows = door.rows(_CLAIM_SHARE, webhook=webhook_id, share=places, now=now, lease=lease, until=until)
            claims += [_claim_of(row, lease, until) for row in rows]
    return claims


def claim_by_hand(places: int, now: int, lease_ms: int) -> list[Claim]:
    """Claim what a person asked for: tests, single retries and replays. Passes webhooks that are off or paused."""
    return _claim_few(_CLAIM_BY_HAND, places, now, now + lease_ms)


def claim_suspect(now: int, lease_ms: int) -> list[Claim]:
    """Claim one delivery that was interrupted twice, so that at its third time it is the only suspect."""
    return _claim_few(_CLAIM_SUSPECT, 1, now, now + lease_ms)


def _claim_few(statement: Statement, places: int, now: int, until: int) -> list[Claim]:
    lease = new_lease()
    with hot_write() as door:
        rows = door.rows(statement, share=places, now=now, lease=lease, until=until)
    return [_claim_of(row, lease, until) for row in rows]


def new_lease() -> int:
    """Return an id that no other claim has."""
    return secrets.randbits(62)


def _hold_lanes(door: Door, webhooks: list[int], worker: str, now: int, until: int) -> set[int]:
    if not webhooks:
        return set()
    return {row[0] for row in door.rows(_HOLD, webhooks=webhooks, worker=worker, now=now, until=until)}


def let_go(worker: str | None = None) -> None:
    """Let go of every lane that `worker` holds; at the start of the only process: of all."""
    whose = lane.c.worker.isnot(None) if worker is None else lane.c.worker == worker
    with write() as session:
        session.execute(update(lane).where(whose).values(worker=None, held_until=0))
