"""Log History, one delivery with its attempts, and what a person can do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from app import clock, ids
from app.core import cursors
from app.core.access import Permission
from app.core.outcome import Timings
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.database import read, write
from app.delivery import bell, queue
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import Attempt, BusinessUnit, Delivery, Event, Lane, MembershipUnit, SentBody, Webhook
from app.services import audit
from app.services.scope import Actor, for_org

MOST_LISTED = 250
COUNTED = 10_000
S = DeliveryState

DISPLAYED = {
    "queued": and_(Delivery.state == S.PENDING, Delivery.attempt_count == 0),
    "retrying": and_(Delivery.state == S.PENDING, Delivery.attempt_count > 0),
    "paused": and_(Delivery.state == S.PENDING, Webhook.paused),
}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What of the log is asked for. Names are those of the wire; moments are milliseconds since 1970 UTC."""

    state: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()
    event: str | None = None
    event_type: tuple[str, ...] = ()
    response: tuple[str, ...] = ()  # "2xx" … "5xx", "none", or a status
    error: tuple[str, ...] = ()
    from_at: int | None = None
    to_at: int | None = None
    test: str = "all"  # all, exclude, only
    skipped: bool = True
    q: str | None = None
    cursor: str | None = None
    newer: bool = False  # the page before the cursor instead of the one after it
    limit: int = 50


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as a list shows it."""

    id: str
    event: str
    event_type: str
    webhook: str
    webhook_name: str
    url: str
    verify_ssl: bool
    state: DeliveryState
    kind: DeliveryKind
    is_paused: bool
    shut_until: int
    reason: Reason | None
    detail: str | None
    attempt_count: int
    interruptions: int
    attempts_allowed: int
    next_attempt_at: int | None
    last_status: int | None
    last_error: ErrorClass | None
    duration_ms: int | None  # of the latest attempt
    created_at: int
    finished_at: int | None

    @property
    def display(self) -> str:
        """The state as people read it: queued, retrying, paused, or the stored one."""
        if self.state is not S.PENDING:
            return self.state.value
        if self.is_paused:
            return "paused"
        return "retrying" if self.attempt_count > self.interruptions else "queued"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the log, newest first, with cursors to the pages beside it (None: there is none)."""

    rows: tuple[DeliveryRow, ...]
    older: str | None
    newer: str | None


_COLUMNS = (
    Delivery.id.label("row_id"),
    Delivery.public_id,
    Event.public_id.label("event"),
    Delivery.event_type,
    Webhook.public_id.label("webhook"),
    Webhook.name.label("webhook_name"),
    Delivery.url,
    Webhook.verify_ssl,
    Delivery.state,
    Delivery.kind,
    Webhook.paused,
    Webhook.id.label("webhook_row_id"),
    Delivery.reason,
    Delivery.detail,
    Delivery.attempt_count,
    Delivery.interruptions,
    Delivery.attempts_allowed,
    Delivery.next_attempt_at,
    Delivery.last_status,
    Delivery.last_error,
    Delivery.created_at,
    Delivery.finished_at,
)


def page(actor: Actor, asked: LogQuery) -> Page:
    """Return a page of the log that `asked` describes, of what the actor may see. Raises `Invalid` for a bad cursor."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    limit = min(asked.limit, MOST_LISTED)
    query = _matching(actor, asked)
    if asked.cursor:
        query = query.where(_beyond(asked.cursor, newer=asked.newer))
    keys = (Delivery.created_at, Delivery.id)
    order = [key.asc() for key in keys] if asked.newer else [key.desc() for key in keys]
    with read() as session:
        found = session.execute(query.order_by(*order).limit(limit + 1)).all()
        has_more, found = len(found) > limit, found[:limit]
        found = found[::-1] if asked.newer else found
        durations = _durations(session, [row.row_id for row in found])
        shut = _shut_until(session, {row.webhook_row_id for row in found})
    rows = tuple(_row(row, durations, shut) for row in found)
    if not found:
        return Page(rows, None, None)
    older = cursors.encode(found[-1].created_at, found[-1].row_id)
    newer = cursors.encode(found[0].created_at, found[0].row_id)
    return Page(
        rows,
        older if has_more or asked.newer else None,
        newer if (has_more if asked.newer else asked.cursor is not None) else None,
    )


def count(actor: Actor, asked: LogQuery) -> int:
    """Return how many deliveries match, counting no further than 10,000 (then 10,001)."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    query = _matching(actor, asked).with_only_columns(Delivery.id).limit(COUNTED + 1)
    with read() as session:
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _matching(actor: Actor, asked: LogQuery) -> Select[Any]:
    query = (
        select(*_COLUMNS)
        .join(Event, Event.id == Delivery.event_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.organization_id == actor.organization_id, *_filters(asked))
    )
    return query if actor.view.sees_everything else query.where(_visible(actor))


def _visible(actor: Actor) -> ColumnElement[bool]:
    """Events of the actor's business units, of none, or addressed to them."""
    units = select(MembershipUnit.business_unit_id).where(MembershipUnit.membership_id == actor.membership_id)
    mine = Event.visible_to.is_(None) & (Event.business_unit_id.is_(None) | Event.business_unit_id.in_(units))
    return mine | type_coerce(Event.visible_to, Text).contains(f'"{actor.view.email}"', autoescape=True)


def _filters(asked: LogQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.state:
        found.append(or_(*[DISPLAYED.get(state, Delivery.state == state) for state in asked.state]))
    elif not asked.skipped:
        found.append(Delivery.state != S.SKIPPED)
    if asked.webhook:
        found.append(Delivery.webhook_id.in_(select(Webhook.id).where(Webhook.public_id.in_(asked.webhook))))
    if asked.event:
        found.append(Delivery.event_id.in_(select(Event.id).where(Event.public_id == asked.event)))
    if asked.event_type:
        found.append(Delivery.event_type.in_(asked.event_type))
    if asked.response:
        found.append(or_(*[_response(wanted) for wanted in asked.response]))
    if asked.error:
        found.append(Delivery.last_error.in_([ErrorClass(name) for name in asked.error]))
    if asked.from_at is not None:
        found.append(Delivery.created_at >= asked.from_at)
    if asked.to_at is not None:
        found.append(Delivery.created_at < asked.to_at)
    if asked.test != "all":
        is_test = Delivery.kind == DeliveryKind.TEST
        found.append(is_test if asked.test == "only" else ~is_test)
    if asked.q:
        found.append(_searched(asked.q))
    return found


def _response(wanted: str) -> ColumnElement[bool]:
    if wanted == "none":
        return Delivery.last_status.is_(None)
    if wanted.endswith("xx"):
        return Delivery.last_status.between(int(wanted[0]) * 100, int(wanted[0]) * 100 + 99)
    return Delivery.last_status == int(wanted)


def _searched(text: str) -> ColumnElement[bool]:
    """Full ids, the beginning of a type, a part of the URL, an error class."""
    if text.startswith("evt_"):
        return Delivery.event_id.in_(select(Event.id).where(Event.public_id == text))
    if text.startswith("dlv_"):
        return Delivery.public_id == text
    found = [Delivery.event_type.startswith(text, autoescape=True), Delivery.url.contains(text, autoescape=True)]
    if text in list(ErrorClass):
        found.append(Delivery.last_error == ErrorClass(text))
    return or_(*found)


def _beyond(cursor: str, *, newer: bool) -> ColumnElement[bool]:
    try:
        at, row_id = cursors.decode(cursor)
    except ValueError:
        raise Invalid([Problem("cursor", "This cursor isn't one of ours. Begin at the first page.")]) from None
    if newer:
        return or_(Delivery.created_at > at, and_(Delivery.created_at == at, Delivery.id > row_id))
    return or_(Delivery.created_at < at, and_(Delivery.created_at == at, Delivery.id < row_id))


def _durations(session: Session, row_ids: Sequence[int]) -> dict[int, int]:
    query = select(Attempt.delivery_id, Attempt.duration_ms).where(Attempt.delivery_id.in_(row_ids))
    return dict(session.execute(query.order_by(Attempt.number)).tuples().all()) if row_ids else {}


def _shut_until(session: Session, webhook_ids: set[int]) -> dict[int, int]:
    query = select(Lane.webhook_id, Lane.shut_until).where(Lane.webhook_id.in_(webhook_ids))
    return dict(session.execute(query).tuples().all()) if webhook_ids else {}


def _row(row: Row[Any], durations: dict[int, int], shut: dict[int, int]) -> DeliveryRow:
    return DeliveryRow(
        id=row.public_id,
        event=row.event,
        event_type=row.event_type,
        webhook=row.webhook,
        webhook_name=row.webhook_name,
        url=row.url,
        verify_ssl=row.verify_ssl,
        state=row.state,
        kind=row.kind,
        is_paused=row.paused,
        shut_until=shut.get(row.webhook_row_id, 0),
        reason=row.reason,
        detail=row.detail,
        attempt_count=row.attempt_count,
        interruptions=row.interruptions,
        attempts_allowed=row.attempts_allowed,
        next_attempt_at=row.next_attempt_at,
        last_status=row.last_status,
        last_error=row.last_error,
        duration_ms=durations.get(row.row_id),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


# --- one delivery


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt: what was sent and what came back, as bytes from outside."""

    id: str
    number: int
    outcome: Outcome
    status: int | None
    error: ErrorClass | None
    message: str | None
    started_at: int
    duration_ms: int
    timings: Timings | None
    peer: str | None
    tls: str | None
    url: str
    request_headers: bytes
    request_body: bytes | None  # None: nothing was sent
    response_headers: bytes | None
    response_body: bytes | None
    response_size: int | None
    truncated: bool
    late: bool


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery with its event and attempts, newest attempt first, and the retries still planned."""

    row: DeliveryRow
    data: bytes
    data_mode: str
    unit: str | None
    occurred_at: int
    attempts: tuple[AttemptView, ...]
    planned: tuple[int, ...]  # when the attempts still allowed are due, jitter left out
    has_jitter: bool
    body: bytes | None  # as it was sent last; None: not sent yet


def find(actor: Actor, public_id: str) -> DeliveryView:
    """Return one delivery. Raises `NotFound` for what the actor may not see."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        row = session.execute(_matching(actor, LogQuery()).where(Delivery.public_id == public_id)).first()
        if row is None:
            raise NotFound
        shown = _row(row, _durations(session, [row.row_id]), _shut_until(session, {row.webhook_row_id}))
        event = session.scalars(select(Event).where(Event.public_id == row.event)).one()
        webhook = session.get_one(Webhook, row.webhook_row_id)
        attempts = _attempts(session, row.row_id, row.public_id, event)
        unit = session.get(BusinessUnit, event.business_unit_id) if event.business_unit_id else None
        bodies = [item.request_body for item in attempts if item.request_body is not None]
        return DeliveryView(
            row=shown,
            data=bytes(event.data),
            data_mode=webhook.data_mode.value,
            unit=unit.name if unit else None,
            occurred_at=event.occurred_at,
            attempts=attempts,
            planned=_planned(shown, webhook),
            has_jitter=webhook.jitter > 0,
            body=bodies[0] if bodies else None,
        )


def _attempts(session: Session, row_id: int, public_id: str, event: Event) -> tuple[AttemptView, ...]:
    rows = session.scalars(select(Attempt).where(Attempt.delivery_id == row_id).order_by(Attempt.number.desc())).all()
    bodies = {
        bytes(body.digest): body.head + (event.data if body.has_data else b"") + body.tail
        for body in session.scalars(select(SentBody).where(SentBody.event_id == event.id))
    }
    return tuple(_attempt(row, public_id, bodies) for row in rows)


def _attempt(row: Attempt, delivery: str, bodies: dict[bytes, bytes]) -> AttemptView:
    steps = [int(step) / 1000 for step in row.timings.split()] if row.timings else None
    return AttemptView(
        id=f"att_{delivery.removeprefix('dlv_')}_{row.number}",
        number=row.number,
        outcome=row.outcome,
        status=row.status,
        error=row.error,
        message=row.message,
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        timings=Timings(*steps) if steps else None,
        peer=row.peer,
        tls=row.tls,
        url=row.url,
        request_headers=bytes(row.request_headers),
        request_body=bodies.get(bytes(row.body_digest)) if row.body_digest is not None else None,
        response_headers=bytes(row.response_headers) if row.response_headers is not None else None,
        response_body=bytes(row.response_body) if row.response_body is not None else None,
        response_size=row.response_size,
        truncated=row.truncated,
        late=row.late,
    )


def _planned(row: DeliveryRow, webhook: Webhook) -> tuple[int, ...]:
    if row.next_attempt_at is None:
        return ()
    tries = row.attempt_count - row.interruptions
    moments = [row.next_attempt_at]
    for failed in range(tries + 1, row.attempts_allowed):
        moments.append(moments[-1] + webhook.retry.wait_after(failed, None, roll=0))
    return tuple(moments if row.state is S.PENDING else moments[1:])


# --- by hand


def retry(actor: Actor, public_id: str) -> None:
    """Make the next attempt at once; a failed or canceled delivery gets one more. Raises `Conflict` in other states."""
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        delivery = _mine(session, actor, public_id)
        if not queue.hasten(session, [delivery.id], now) and not queue.requeue(session, [delivery.id], now):
            raise Conflict(f"A delivery that is {delivery.state.value} can't be retried.")
        _audit(session, actor, "delivery.retried", delivery)
    bell.ring()


def cancel(actor: Actor, public_id: str) -> None:
    """Make no more attempts. Raises `Conflict` when it isn't waiting."""
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        delivery = _mine(session, actor, public_id)
        if not queue.cancel(session, [delivery.id], Reason.BY_PERSON, actor.name, now):
            raise Conflict(f"A delivery that is {delivery.state.value} can't be canceled.")
        _audit(session, actor, "delivery.canceled", delivery)


def replay(actor: Actor, public_id: str, *, webhook: str | None = None) -> str:
    """Make a new delivery of the same event, with today's settings and secret; return its id.

    To the same webhook, unless another is named. Allowed while the webhook is off.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        delivery = _mine(session, actor, public_id)
        target = for_org(session, actor, Webhook).one(webhook or delivery.webhook.public_id)
        new = replay_event(session, delivery.event, target, now)
        _audit(session, actor, "delivery.replayed", delivery)
    bell.ring()
    return new


def replay_event(session: Session, event: Event, webhook: Webhook, now: int) -> str:
    """Queue a new delivery of an event in the caller's transaction; return its id."""
    public_id = ids.new_id("dlv")
    kind = DeliveryKind.TEST if event.is_test else DeliveryKind.REPLAY
    row = {
        "public_id": public_id,
        "organization_id": event.organization_id,
        "event_id": event.id,
        "webhook_id": webhook.id,
        "copy": queue.next_copy(session, event.id, webhook.id),
        "kind": kind,
        "by_hand": True,
        "state": S.PENDING,
        "event_type": event.type,
        "url": webhook.url,
        "attempts_allowed": 1 if kind is DeliveryKind.TEST else webhook.retry.tries,
        "next_attempt_at": now,
        "created_at": now,
    }
    queue.enqueue(session, [row])
    return public_id


def _mine(session: Session, actor: Actor, public_id: str) -> Delivery:
    seen = session.execute(_matching(actor, LogQuery()).where(Delivery.public_id == public_id)).first()
    if seen is None:
        raise NotFound
    return session.get_one(Delivery, seen.row_id)


@dataclass(frozen=True, slots=True)
class _Named:
    public_id: str
    name: str


def _audit(session: Session, actor: Actor, action: str, delivery: Delivery) -> None:
    audit.record(session, actor, action, _Named(delivery.public_id, delivery.event_type))
