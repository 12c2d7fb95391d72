"""The state machine: the only place that inserts or updates deliveries and attempts.

Each move is one guarded statement that names the state it leaves; the rows it returns are the verdict.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ScalarSelect, Select, func, select, text, update

from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.database import door_of, hot_read, hot_write, is_sqlite, write
from app.delivery import stats
from app.door import Door, Statement
from app.faults import fault
from app.models import Attempt, Delivery, Event, Lane, SentBody, Webhook
from app.models.types import core_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

S = DeliveryState
delivery = core_table(Delivery)
attempt = core_table(Attempt)
lane = core_table(Lane)
sent_body = core_table(SentBody)
event = core_table(Event)
webhook = core_table(Webhook)

# Written out, not bound: SQLite uses a partial index only for a condition it can read in the statement.
PENDING = text("delivery.state = 'pending'")
SENDING = text("delivery.state = 'sending'")
UNDELIVERED = text("delivery.state IN ('failed', 'pending', 'sending')")

MOST_INTERRUPTIONS = 3
AFTER_SECOND_INTERRUPTION_MS = 10_000
SLICE = 500


class Waiting(NamedTuple):
    """A webhook with something pending: when its first one is due, and whether that is a retry."""

    webhook_id: int
    organization_id: int
    version: int
    due_at: int
    retrying: bool


class Claim(NamedTuple):
    """A delivery that is ours until `until`: attempt `number` of it may be made."""

    id: int
    public_id: str
    event_id: int
    webhook_id: int
    number: int
    tries: int  # this one included, interruptions not
    attempts_allowed: int
    kind: DeliveryKind
    by_hand: bool
    url: str
    due_at: int
    event_type: str
    created_at: int
    lease: int
    until: int


class Ending(NamedTuple):
    """How a claimed delivery moves on; deliveries that end alike are moved by one statement."""

    state: DeliveryState
    next_attempt_at: int | None
    reason: Reason | None
    last_status: int | None
    last_error: ErrorClass | None
    is_free: bool = False  # the attempt doesn't use the budget


class Finished(NamedTuple):
    """A claim with its ending, its attempt's row and the body that was sent."""

    claim: Claim
    ending: Ending
    attempt: dict[str, Any]
    body: SentBodyRow | None
    url: str


class SentBodyRow(NamedTuple):
    """A body as it is kept: once for all who sent the same."""

    event_id: int
    digest: bytes
    head: bytes
    tail: bytes
    has_data: bool


# --- entering


def enqueue(door: Door, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries, pending or skipped, in the caller's transaction; made with `new_row`."""
    door.insert("delivery", rows)


def new_row(
    *,
    public_id: str,
    organization_id: int,
    event_id: int,
    webhook_id: int,
    event_type: str,
    url: str,
    attempts_allowed: int,
    now: int,
    reason: Reason | None = None,
    kind: DeliveryKind = DeliveryKind.NORMAL,
    copy: int = 0,
    by_hand: bool = False,
) -> dict[str, Any]:
    """Return the row of a new delivery: due at once, or skipped when there is a reason."""
    return {
        "public_id": public_id,
        "organization_id": organization_id,
        "event_id": event_id,
        "webhook_id": webhook_id,
        "copy": copy,
        "kind": kind.value,
        "by_hand": by_hand,
        "state": S.PENDING.value if reason is None else S.SKIPPED.value,
        "reason": None if reason is None else reason.value,
        "event_type": event_type,
        "url": url,
        "attempt_count": 0,
        "interruptions": 0,
        "attempts_allowed": attempts_allowed,
        "next_attempt_at": now if reason is None else None,
        "created_at": now,
        "finished_at": None if reason is None else now,
    }


_LAST_ID = {table: Statement(f"SELECT max(id) FROM {table}") for table in ("event", "delivery")}  # noqa: S608
_NEXT_IDS = Statement("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")


def row_ids(door: Door, table: str, count: int) -> Sequence[int]:
    """Take a block of ids of `event` or `delivery`, so that events and their deliveries go in with plain inserts."""
    if not is_sqlite():
        return [row[0] for row in door.rows(_NEXT_IDS, table=table, count=count)]
    first = (door.rows(_LAST_ID[table])[0][0] or 0) + 1  # we are the only writer
    return range(first, first + count)


# --- the past, for demo data and benchmarks


def past_row(
    row_id: int, row: dict[str, Any], ending: Ending | None, attempts: int, free: int, at: int
) -> dict[str, Any]:
    """Return a row of `new_row` as `attempts` tries left it, `free` of them outside the budget, the last one at `at`.

    `ending` None: nothing was tried. Rows of one `enqueue` must all be made here: they have more columns.
    """
    past = {
        **row,
        "id": row_id,
        "attempt_count": attempts,
        "interruptions": free,
        "last_status": None,
        "last_error": None,
    }
    if ending is None:
        return {**past, "detail": None}
    past["by_hand"] = False
    past["state"] = ending.state.value
    past["reason"] = None if ending.reason is None else ending.reason.value
    past["next_attempt_at"] = ending.next_attempt_at
    past["last_status"] = ending.last_status
    past["last_error"] = None if ending.last_error is None else ending.last_error.value
    past["finished_at"] = at if ending.next_attempt_at is None else None
    past["detail"] = None
    return past


def enter_attempts(door: Door, attempts: Sequence[dict[str, Any]], bodies: Sequence[SentBodyRow]) -> None:
    """Insert the attempts that past rows had, and what was sent, in the caller's transaction."""
    door.insert("sent_body", [body._asdict() for body in bodies])
    door.insert("attempt", attempts)


# --- claiming

# Skips through the partial index from webhook to webhook: the cost grows with the webhooks that wait, not with
# what waits for them. Ordered exactly like the index, or PostgreSQL reads every finished row.
_WAITING = Statement("""
WITH RECURSIVE line (webhook_id, due_at, tries) AS (
    SELECT * FROM (SELECT webhook_id, next_attempt_at, attempt_count FROM delivery WHERE state = 'pending'
                   ORDER BY webhook_id, next_attempt_at LIMIT 1) AS head
    UNION ALL
    SELECT next.webhook_id, next.next_attempt_at, next.attempt_count FROM line JOIN delivery AS next ON next.id = (
        SELECT id FROM delivery WHERE state = 'pending' AND webhook_id > line.webhook_id
        ORDER BY webhook_id, next_attempt_at LIMIT 1))
SELECT webhook.id, webhook.organization_id, webhook.version, line.due_at, line.tries > 0
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


def claim(shares: Mapping[int, int], held: Collection[int], worker: str, now: int, lease_ms: int) -> list[Claim]:
    """Claim up to `shares[webhook_id]` due deliveries of each webhook, all in one commit.

    The lanes of webhooks in `held` are ours for long enough; the others are taken first. The claim is the intent:
    it is on record before a byte leaves.
    """
    claims: list[Claim] = []
    lease, until = new_lease(), now + lease_ms
    fault("claim.before")
    with hot_write() as door:
        taken = _hold_lanes(door, [w for w in shares if w not in held], worker, now, until)
        for webhook_id, places in shares.items():
            if webhook_id in held or webhook_id in taken:
                rows = door.rows(_CLAIM_SHARE, webhook=webhook_id, share=places, now=now, lease=lease, until=until)
                claims += [_claim_of(row, lease, until) for row in rows]
    fault("claim.committed")
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


# --- finishing

_RELEASED = {"lease_id": None, "leased_until": None}
_FINISH = """
UPDATE delivery SET state = :state, next_attempt_at = :due_at, reason = :why, last_status = :status,
    last_error = :error, finished_at = :ended_at, by_hand = FALSE, lease_id = NULL, leased_until = NULL {}
WHERE id IN :ids[] AND lease_id = :lease AND state = 'sending' RETURNING id
"""
_FINISH_COUNTED = Statement(_FINISH.format(""))
_FINISH_FREE = Statement(_FINISH.format(", interruptions = interruptions + 1"))  # so that it doesn't use the budget


def finish(door: Door, finished: Sequence[Finished], now: int) -> set[int]:
    """Move the deliveries on and record their attempts, in the caller's transaction.

    Returns the ids that were still ours. Whoever slept through a lease moves nothing: what it learned completes
    the `interrupted` row of its attempt, marked late.
    """
    groups: defaultdict[tuple[Ending, int], list[int]] = defaultdict(list)
    for item in finished:
        groups[item.ending, item.claim.lease].append(item.claim.id)
    moved: set[int] = set()
    for (ending, lease), ids in groups.items():
        moved.update(_finish(door, ending, lease, ids, now))
    bodies = {(item.body.event_id, item.body.digest): item.body for item in finished if item.body}
    door.insert("sent_body", [body._asdict() for body in bodies.values()], or_keep=True)
    door.insert("attempt", [item.attempt for item in finished if item.claim.id in moved])
    for item in finished:
        if item.claim.id not in moved:
            _complete_late(door.session, item)
        elif item.url != item.claim.url:
            door.run(_CALLED, id=item.claim.id, url=item.url)
    return moved


_CALLED = Statement("UPDATE delivery SET url = :url WHERE id = :id")


def _finish(door: Door, ending: Ending, lease: int, ids: list[int], now: int) -> list[int]:
    rows = door.rows(
        _FINISH_FREE if ending.is_free else _FINISH_COUNTED,
        ids=ids,
        lease=lease,
        state=ending.state.value,
        due_at=ending.next_attempt_at,
        why=None if ending.reason is None else ending.reason.value,
        status=ending.last_status,
        error=None if ending.last_error is None else ending.last_error.value,
        ended_at=None if ending.next_attempt_at is not None else now,
    )
    return [row[0] for row in rows]


def _complete_late(session: Session, item: Finished) -> None:
    known = {name: value for name, value in item.attempt.items() if name not in ("delivery_id", "number", "late")}
    session.execute(
        update(attempt)
        .where(
            attempt.c.delivery_id == item.claim.id,
            attempt.c.number == item.claim.number,
            attempt.c.outcome == Outcome.INTERRUPTED,
        )
        .values(**known, late=True)
    )


def hand_back(claims: Collection[Claim]) -> None:
    """Give claims back that were not begun: unsent, uncounted."""
    if not claims:
        return
    by_lease: defaultdict[int, list[int]] = defaultdict(list)
    for item in claims:
        by_lease[item.lease].append(item.id)
    with write() as session:
        for lease, ids in by_lease.items():
            session.execute(
                update(delivery)
                .where(delivery.c.id.in_(ids), delivery.c.lease_id == lease, SENDING)
                .values(state=S.PENDING, attempt_count=delivery.c.attempt_count - 1, **_RELEASED)
            )


# --- interruption


def release_lapsed(now: int, *, all_of_them: bool = False) -> list[int]:
    """Release deliveries whose lease ran out (at the start of the only process: all), recording an interruption each.

    Returns the ids of those that have failed for it: interrupted for the third time.
    """
    failed: list[int] = []
    while True:
        with write() as session:
            lapsed = _lapsed(session, now, all_of_them=all_of_them)
            if not lapsed:
                return failed
            door_of(session).insert("attempt", [_interrupted_row(row, now) for row in lapsed])
            fault("release.middle")
            failed += _release(session, lapsed, now)


def _lapsed(session: Session, now: int, *, all_of_them: bool) -> Sequence[Any]:
    columns = (
        delivery.c.id,
        delivery.c.attempt_count,
        delivery.c.interruptions,
        delivery.c.url,
        delivery.c.leased_until,
    )
    query = select(*columns).where(SENDING).limit(SLICE).with_for_update(skip_locked=True)
    if not all_of_them:
        query = query.where(delivery.c.leased_until < now)
    return session.execute(query).all()


def _interrupted_row(row: Any, now: int) -> dict[str, Any]:
    return {
        "delivery_id": row.id,
        "number": row.attempt_count,
        "outcome": Outcome.INTERRUPTED.value,
        "error": ErrorClass.INTERRUPTED.value,
        "message": "The server stopped during the request; the receiver may have got it.",
        "started_at": now,
        "duration_ms": 0,
        "url": row.url,
        "request_headers": b"",
        "truncated": False,
        "late": False,
    }


def _release(session: Session, lapsed: Sequence[Any], now: int) -> list[int]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for row in lapsed:
        groups[row.interruptions + 1].append(row.id)
    failed: list[int] = []
    for interruptions, ids in groups.items():
        if interruptions >= MOST_INTERRUPTIONS:
            ending = {
                "state": S.FAILED,
                "reason": Reason.INTERRUPTED_REPEATEDLY,
                "finished_at": now,
                "next_attempt_at": None,
            }
            failed += ids
        else:
            wait = AFTER_SECOND_INTERRUPTION_MS if interruptions > 1 else 0
            ending = {"state": S.PENDING, "next_attempt_at": now + wait}
        session.execute(
            update(delivery)
            .where(delivery.c.id.in_(ids), SENDING)
            .values(interruptions=interruptions, last_error=ErrorClass.INTERRUPTED, **ending, **_RELEASED)
        )
    return failed


# --- by hand

_counted_by = (
    delivery.c.webhook_id,
    delivery.c.created_at,
    delivery.c.event_type,
    delivery.c.kind,
    (delivery.c.attempt_count - delivery.c.interruptions).label("tries"),
)


def cancel(session: Session, ids: Collection[int], reason: Reason, detail: str | None, now: int) -> set[int]:
    """Cancel those of `ids` that are waiting; return which were. The statistics forget them."""
    move = (
        update(delivery)
        .where(delivery.c.id.in_(ids), PENDING)
        .values(state=S.CANCELED, reason=reason, detail=detail, finished_at=now, next_attempt_at=None)
        .returning(delivery.c.id, *_counted_by)
    )
    moved = session.execute(move).all()
    stats.recount(door_of(session), moved, -1)
    return {row.id for row in moved}


def cancel_waiting(webhook_id: int, reason: Reason, detail: str | None, now: int) -> int:
    """Cancel all that waits for a webhook, in slices with a commit each; return how many."""
    canceled = 0
    while True:
        with write() as session:
            ids = session.scalars(_pending_of(webhook_id).limit(SLICE)).all()
            canceled += len(cancel(session, ids, reason, detail, now)) if ids else 0
        if len(ids) < SLICE:
            return canceled


def hasten(session: Session, ids: Iterable[int], now: int) -> set[int]:
    """Make waiting deliveries due now, because a person asked; return which were waiting."""
    move = (
        update(delivery)
        .where(delivery.c.id.in_(list(ids)), PENDING)
        .values(next_attempt_at=now, by_hand=True)
        .returning(delivery.c.id)
    )
    return set(session.scalars(move))


def hasten_waiting(webhook_id: int, now: int) -> int:
    """Make all that waits for a webhook due now, in slices with a commit each; return how many were not yet due.

    Unlike what is hastened one by one, they keep their place in line and to the webhook's limits.
    """
    later = _pending_of(webhook_id).where(delivery.c.next_attempt_at > now).limit(SLICE)
    hastened = 0
    while True:
        with write() as session:
            ids = session.scalars(later).all()
            session.execute(update(delivery).where(delivery.c.id.in_(ids), PENDING).values(next_attempt_at=now))
        hastened += len(ids)
        if len(ids) < SLICE:
            return hastened


def requeue(session: Session, ids: Iterable[int], now: int) -> set[int]:
    """Give failed or canceled deliveries one more try, because a person asked; return which were."""
    given = list(ids)
    return _requeue(session, given, S.FAILED, now) | _requeue(session, given, S.CANCELED, now)


def _requeue(session: Session, ids: list[int], left: DeliveryState, now: int) -> set[int]:
    tries = delivery.c.attempt_count - delivery.c.interruptions
    move = (
        update(delivery)
        .where(delivery.c.id.in_(ids), delivery.c.state == left)
        .values(
            state=S.PENDING,
            attempts_allowed=tries + 1,
            next_attempt_at=now,
            finished_at=None,
            reason=None,
            detail=None,
            by_hand=True,
        )
        .returning(delivery.c.id, *_counted_by)
    )
    moved = session.execute(move).all()
    if left is S.CANCELED:
        stats.recount(door_of(session), moved, 1)
    return {row.id for row in moved}


# --- looking


def _pending_of(webhook_id: Any) -> Select[int]:
    """What waits for a webhook. In the order of the index, or SQLite goes through all that ever was sent to it."""
    query = select(delivery.c.id).where(delivery.c.webhook_id == webhook_id, PENDING)
    return query.order_by(delivery.c.next_attempt_at, delivery.c.id)


def count_pending(session: Session, webhook_id: int) -> int:
    """Return how many deliveries wait for a webhook, counting no further than 10,000."""
    waiting_ones = _pending_of(webhook_id).limit(10_000)
    return session.scalar(select(func.count()).select_from(waiting_ones.subquery())) or 0


def pending_beside() -> ScalarSelect[int]:
    """Count the same for each row of a statement over webhooks."""
    waiting_ones = _pending_of(Webhook.id).limit(10_000).correlate(Webhook)
    return select(func.count()).select_from(waiting_ones.subquery()).scalar_subquery()


def count_sending(session: Session, webhook_id: int) -> int:
    """Return how many requests to a webhook are under way."""
    query = select(func.count()).where(SENDING, delivery.c.webhook_id == webhook_id)
    return session.scalar(query.select_from(delivery)) or 0


def next_copy(session: Session, event_id: int, webhook_id: int) -> int:
    """Return the copy number that a new delivery of this event to this webhook gets."""
    query = select(func.max(delivery.c.copy)).where(
        delivery.c.event_id == event_id, delivery.c.webhook_id == webhook_id
    )
    latest = session.scalar(query)
    return 0 if latest is None else latest + 1


def next_copies(session: Session, pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the copy number that a new delivery gets, for each of these pairs of an event and a webhook."""
    events, webhooks = ({pair[place] for pair in pairs} for place in (0, 1))
    query = (
        select(delivery.c.event_id, delivery.c.webhook_id, func.max(delivery.c.copy))
        .where(delivery.c.event_id.in_(events), delivery.c.webhook_id.in_(webhooks))
        .group_by(delivery.c.event_id, delivery.c.webhook_id)
    )
    latest = {(event_id, webhook_id): copy for event_id, webhook_id, copy in session.execute(query)}
    return {pair: latest.get(pair, -1) + 1 for pair in pairs}


def ids_of(session: Session, public_ids: Collection[str]) -> dict[str, int]:
    """Return the row ids of deliveries by their public ids."""
    query = select(delivery.c.public_id, delivery.c.id).where(delivery.c.public_id.in_(public_ids))
    return dict(session.execute(query).all())
