"""One delivery with its attempts, and what a person can do with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, and_, func, or_, select

from app import clock, ids
from app.core import cursors
from app.core.access import Permission
from app.core.outcome import Timings
from app.core.retry import RetryPolicy
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.database import door_of, read, write
from app.delivery import bell, queue
from app.errors import Conflict, NotFound
from app.models import Attempt, BusinessUnit, Delivery, Event, Lane, SentBody, Webhook
from app.services import audit, log, log_query, preview
from app.services.events import may_see
from app.services.routing import target_of
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session
from app.services.log import DeliveryRow, LogQuery

S = DeliveryState


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
    content_type: str = ""  # of the body
    sending_since: int | None = None  # the attempt that is under way
    ahead: int | None = None  # what waits before it for the same webhook; only where it was asked for


def find(actor: Actor, public_id: str) -> DeliveryView:
    """Return one delivery. Raises `NotFound` for what the actor may not see."""
    found = details(actor, [public_id]).get(public_id)
    if found is None:
        raise NotFound
    if found.row.display != "queued":
        return found
    return replace(found, ahead=_ahead(found.row))


def details(actor: Actor, public_ids: Sequence[str]) -> dict[str, DeliveryView]:
    """Return deliveries with their attempts, by id, in three queries; what the actor may not see is left out."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    if not public_ids:
        return {}
    query = (
        log.matching(actor, LogQuery())
        .add_columns(*_DETAILS)
        .outerjoin(BusinessUnit, BusinessUnit.id == Event.business_unit_id)
        .where(Delivery.public_id.in_(public_ids))
    )
    with read() as session:
        rows = session.execute(query).all()
        bodies = _bodies(session, {row.event_row_id: bytes(row.data) for row in rows})
        attempts = _attempts(session, [row.row_id for row in rows])
        return {row.public_id: _view(row, attempts.get(row.row_id, []), bodies) for row in rows}


_DETAILS = (
    Event.id.label("event_row_id"),
    Event.data,
    Event.occurred_at,
    BusinessUnit.name.label("unit"),
    Webhook.data_mode,
    Webhook.delays_ms,
    Webhook.timeout_ms,
    Webhook.jitter,
    Webhook.on_exhausted,
    Delivery.leased_until,
)


def _view(row: Row[Any], rows: Sequence[Attempt], bodies: dict[tuple[int, bytes], bytes]) -> DeliveryView:
    shown = log.row_of(row)
    policy = RetryPolicy(tuple(row.delays_ms), row.timeout_ms, row.jitter, row.on_exhausted)
    attempts = tuple(_attempt(item, row.public_id, row.event_row_id, bodies) for item in rows)
    sent = next((item for item in attempts if item.request_body is not None), None)
    return DeliveryView(
        row=shown,
        data=bytes(row.data),
        data_mode=row.data_mode.value,
        unit=row.unit,
        occurred_at=row.occurred_at,
        attempts=attempts,
        planned=_planned(shown, policy),
        has_jitter=row.jitter > 0,
        body=sent.request_body if sent else None,
        content_type=header(sent.request_headers, "content-type") if sent else "",
        sending_since=row.leased_until - queue.LEASE_MS if row.leased_until is not None else None,
    )


def header(lines: bytes | None, name: str) -> str:
    """Return the value of a header from lines as an attempt keeps them; empty where there is none."""
    return next((value for known, value in headers(lines) if known.lower() == name), "")


def headers(lines: bytes | None) -> list[tuple[str, str]]:
    """Return header lines as an attempt keeps them as pairs; bytes that are not UTF-8 survive as surrogates."""
    text = (lines or b"").decode("utf-8", "surrogateescape")
    return [(name, value.lstrip()) for name, _, value in (line.partition(":") for line in text.split("\r\n") if line)]


def _ahead(row: DeliveryRow) -> int:
    """How many pending deliveries of its webhook are due before it, counted no further than 10,000."""
    at, row_id = row.next_attempt_at or 0, cursors.decode(row.cursor)[1]
    before = or_(Delivery.next_attempt_at < at, and_(Delivery.next_attempt_at == at, Delivery.id < row_id))
    webhook = select(Webhook.id).where(Webhook.public_id == row.webhook).scalar_subquery()
    query = select(Delivery.id).where(Delivery.webhook_id == webhook, queue.PENDING, before)
    query = query.order_by(Delivery.next_attempt_at)  # the order of the index, or SQLite goes through its whole log
    with read() as session:
        return session.scalar(select(func.count()).select_from(query.limit(log.COUNTED).subquery())) or 0


def stamp_of(actor: Actor, public_id: str) -> tuple[Any, ...]:
    """Return what changes whenever a delivery does, in one small query. Raises `NotFound`."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    columns = (Delivery.state, Delivery.attempt_count, Delivery.next_attempt_at, Webhook.version, Lane.shut_until)
    query = log.matching(actor, LogQuery()).where(Delivery.public_id == public_id).with_only_columns(*columns)
    with read() as session:
        row = session.execute(query).first()
    if row is None:
        raise NotFound
    return tuple(row)


def neighbours(actor: Actor, asked: LogQuery, row: DeliveryRow) -> tuple[str | None, str | None]:
    """Return the ids of the next newer and the next older delivery that match `asked`."""
    if asked.is_inside:  # which are beside it would take as long as the search itself
        return None, None
    with read() as session:
        found = []
        for newer in (True, False):
            placed = replace(asked, cursor=row.cursor, newer=newer, top=None, oldest_first=False)
            query = log.matching(actor, placed).with_only_columns(Delivery.public_id)
            found.append(
                session.scalar(log_query.placed(query, placed, log_query.floor_of(session, actor, placed)).limit(1))
            )
    return found[0], found[1]


def _attempts(session: Session, row_ids: Sequence[int]) -> dict[int, list[Attempt]]:
    query = select(Attempt).where(Attempt.delivery_id.in_(row_ids)).order_by(Attempt.number.desc())
    found: dict[int, list[Attempt]] = {}
    for row in session.scalars(query):
        found.setdefault(row.delivery_id, []).append(row)
    return found


def _bodies(session: Session, data: dict[int, bytes]) -> dict[tuple[int, bytes], bytes]:
    query = select(SentBody).where(SentBody.event_id.in_(list(data)))
    return {(row.event_id, bytes(row.digest)): row.whole(data[row.event_id]) for row in session.scalars(query)}


def _attempt(row: Attempt, delivery: str, event_id: int, bodies: dict[tuple[int, bytes], bytes]) -> AttemptView:
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
        request_body=bodies.get((event_id, bytes(row.body_digest))) if row.body_digest is not None else None,
        response_headers=bytes(row.response_headers) if row.response_headers is not None else None,
        response_body=bytes(row.response_body) if row.response_body is not None else None,
        response_size=row.response_size,
        truncated=row.truncated,
        late=row.late,
    )


def _planned(row: DeliveryRow, policy: RetryPolicy) -> tuple[int, ...]:
    if row.next_attempt_at is None:
        return ()
    moments = [row.next_attempt_at]
    for failed in range(row.tries + 1, row.attempts_allowed):
        moments.append(moments[-1] + policy.wait_after(failed, None, roll=0))
    return tuple(moments if row.state is S.PENDING else moments[1:])


def curl(actor: Actor, public_id: str, *, url: str | None = None) -> str:
    """Return a shell command that sends the latest request again, to another `url` where one is given.

    Secrets are to be filled in. Raises `Conflict` when nothing was sent yet.
    """
    actor.require(Permission.PAYLOADS)
    sent = next((item for item in find(actor, public_id).attempts if item.request_body is not None), None)
    if sent is None:
        raise Conflict("Nothing was sent yet.")
    return preview.curl(url or sent.url, tuple(headers(sent.request_headers)), sent.request_body or b"")


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

    To the same webhook, unless another is named. Allowed while the webhook is off. Raises `Conflict` where the
    webhook's owner may not see the event.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        delivery = _mine(session, actor, public_id)
        target = for_org(session, actor, Webhook).one(webhook or delivery.webhook.public_id)
        if target.id != delivery.webhook_id or delivery.reason is Reason.OWNER_CANNOT_SEE:
            _check_owner(target, delivery.event)
        new = replay_event(session, delivery.event, target, now)
        _audit(session, actor, "delivery.replayed", delivery)
    bell.ring()
    return new


def send_event(actor: Actor, event_id: str, webhook_id: str) -> str:
    """Send an event to a webhook that didn't get it, with today's settings; return the new delivery's id.

    Raises `Conflict` where the webhook's owner may not see the event: nobody can send past that.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        event = for_org(session, actor, Event).one(event_id)
        if not may_see(actor, event):
            raise NotFound
        target = for_org(session, actor, Webhook).one(webhook_id)
        _check_owner(target, event)
        new = replay_event(session, event, target, now)
        audit.record(session, actor, "event.replayed", _Named(event.public_id, event.type), {"to": (None, target.name)})
    bell.ring()
    return new


def _check_owner(webhook: Webhook, event: Event) -> None:
    visible_to = frozenset(event.visible_to) if event.visible_to is not None else None
    owner = target_of(webhook).owner
    if owner is None or not owner.includes(event.business_unit_id, visible_to):
        raise Conflict("Its owner may not see this event. Choose another owner first.")


def replay_event(session: Session, event: Event, webhook: Webhook, now: int) -> str:
    """Queue a new delivery of an event in the caller's transaction; return its id."""
    public_id = ids.new_id("dlv")
    kind = DeliveryKind.TEST if event.is_test else DeliveryKind.REPLAY
    row = queue.new_row(
        public_id=public_id,
        organization_id=event.organization_id,
        event_id=event.id,
        webhook_id=webhook.id,
        event_type=event.type,
        url=webhook.url,
        attempts_allowed=1 if kind is DeliveryKind.TEST else webhook.retry.tries,
        now=now,
        kind=kind,
        copy=queue.next_copy(session, event.id, webhook.id),
        by_hand=True,
    )
    queue.enqueue(door_of(session), [row])
    return public_id


def _mine(session: Session, actor: Actor, public_id: str) -> Delivery:
    seen = session.execute(log.matching(actor, LogQuery()).where(Delivery.public_id == public_id)).first()
    if seen is None:
        raise NotFound
    return session.get_one(Delivery, seen.row_id)


@dataclass(frozen=True, slots=True)
class _Named:
    public_id: str
    name: str


def _audit(session: Session, actor: Actor, action: str, delivery: Delivery) -> None:
    audit.record(session, actor, action, _Named(delivery.public_id, delivery.event_type))
