"""Log History, one delivery with its attempts, and what a person can do with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, true

from app import clock, ids
from app.core import cursors
from app.core.access import Permission
from app.core.outcome import Timings
from app.core.retry import RetryPolicy
from app.core.states import UNDELIVERED, DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.database import read, write
from app.delivery import bell, queue
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import Attempt, BusinessUnit, Delivery, Event, EventType, Lane, SentBody, Webhook
from app.services import audit
from app.services.events import may_see, visible
from app.services.routing import target_of
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

MOST_LISTED = 250
COUNTED = 10_000
NEWER_COUNTED = 100
WALKED = 20_000  # rows looked at for a filter without an index; then the page offers to look further back
SLOW_MS = 5_000
S = DeliveryState

_TRIED = Delivery.attempt_count > Delivery.interruptions
DISPLAYED = {
    "queued": and_(Delivery.state == S.PENDING, ~Webhook.paused, ~_TRIED),
    "retrying": and_(Delivery.state == S.PENDING, ~Webhook.paused, _TRIED),
    "paused": and_(Delivery.state == S.PENDING, Webhook.paused),
}
_UNDELIVERED = UNDELIVERED | DISPLAYED.keys()


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
    kind: tuple[str, ...] = ()  # of event types: "Job Events"
    unit: tuple[str, ...] = ()  # external ids of business units
    attempts: int | None = None  # at least so many
    slow: bool = False  # an attempt took 5 s or longer
    cursor: str | None = None
    newer: bool = False  # the page before the cursor instead of the one after it
    top: str | None = None  # the newest row that may be shown, as a cursor: what came later is only counted
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
    cursor: str
    is_on: bool
    paused_at: int | None

    @property
    def tries(self) -> int:
        """Attempts that count against the budget: interruptions don't."""
        return self.attempt_count - self.interruptions

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
    arrived: int = 0  # what came after `top`, counted no further than 100
    looked_to: int | None = None  # the moment up to which was searched, when that was not all


_latest_ms = (
    select(Attempt.duration_ms)
    .where(Attempt.delivery_id == Delivery.id)
    .order_by(Attempt.number.desc())
    .limit(1)
    .correlate(Delivery)
    .scalar_subquery()
)
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
    Webhook.paused_at,
    Webhook.enabled,
    Webhook.id.label("webhook_row_id"),
    Lane.shut_until,
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
    _latest_ms.label("duration_ms"),
)


def page(actor: Actor, asked: LogQuery) -> Page:
    """Return a page of the log that `asked` describes, of what the actor may see. Raises `Invalid` for a bad cursor."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    limit = min(asked.limit, MOST_LISTED)
    with read() as session:
        floor = _floor(session, actor, asked)
        query = _placed(_matching(actor, asked), asked, floor)
        found = session.execute(query.limit(limit + 1)).all()
        arrived = _count_newer(session, actor, asked)
    has_more, found = len(found) > limit, found[:limit]
    rows = tuple(_row(row) for row in (found[::-1] if asked.newer else found))
    looked_to = None if has_more or floor is None else floor[0]
    if not rows:
        return Page((), cursors.encode(*floor) if floor else None, None, arrived, looked_to)
    older = rows[-1].cursor if has_more or asked.newer else cursors.encode(*floor) if floor else None
    has_newer = has_more if asked.newer else asked.cursor is not None
    return Page(rows, older, rows[0].cursor if has_newer else None, arrived, looked_to)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a page of the log would show, without showing it: changes whenever the page does."""

    shown: tuple[tuple[Any, ...], ...]
    arrived: int
    moved_at: int  # when something on the page last began or ended
    is_busy: bool  # something is being sent


def stamp(actor: Actor, asked: LogQuery) -> Stamp:
    """Return the stamp of a page: one query over ids and states. Raises `Invalid` for a bad cursor."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        floor = _floor(session, actor, asked)
        query = _matching(actor, asked).with_only_columns(
            Delivery.id,
            Delivery.state,
            Delivery.attempt_count,
            Delivery.next_attempt_at,
            Delivery.created_at,
            Delivery.finished_at,
            Webhook.version,
            Lane.shut_until,
        )
        query = _placed(query, asked, floor).limit(min(asked.limit, MOST_LISTED) + 1)
        shown = tuple(tuple(row) for row in session.execute(query))
        arrived = _count_newer(session, actor, asked)
    moved_at = max((max(row[4], row[5] or 0) for row in shown), default=0)
    return Stamp(shown, arrived, moved_at, any(row[1] is S.SENDING for row in shown))


def _placed(
    query: Select[*tuple[Any, ...]], asked: LogQuery, floor: tuple[int, int] | None
) -> Select[*tuple[Any, ...]]:
    """Order the rows and cut them at the cursor, at `top` and at the floor."""
    if asked.cursor:
        query = query.where(_beyond(asked.cursor, newer=asked.newer))
    if asked.top:
        query = query.where(~_beyond(asked.top, newer=True))
    if floor is not None:
        at, row_id = floor
        query = query.where(or_(Delivery.created_at > at, and_(Delivery.created_at == at, Delivery.id >= row_id)))
    keys = (Delivery.created_at, Delivery.id)
    return query.order_by(*[key.asc() if asked.newer else key.desc() for key in keys])


def _floor(session: Session, actor: Actor, asked: LogQuery) -> tuple[int, int] | None:
    """Where to stop looking for a filter without an index; None: the whole log may be walked."""
    has_index = not (asked.event_type or asked.response or asked.error or asked.kind or asked.unit or asked.slow)
    has_index = has_index and asked.attempts is None and asked.test != "only" and not _is_walked(asked.q)
    if has_index or asked.newer:
        return None
    query = select(Delivery.created_at, Delivery.id).where(Delivery.organization_id == actor.organization_id)
    if asked.cursor:
        query = query.where(_beyond(asked.cursor, newer=False))
    row = session.execute(
        query.order_by(Delivery.created_at.desc(), Delivery.id.desc()).offset(WALKED).limit(1)
    ).first()
    return (row.created_at, row.id) if row else None


def _is_walked(text: str | None) -> bool:
    return bool(text) and not str(text).startswith(("evt_", "dlv_"))


def _count_newer(session: Session, actor: Actor, asked: LogQuery) -> int:
    if not asked.top:
        return 0
    query = _matching(actor, asked).with_only_columns(Delivery.id).where(_beyond(asked.top, newer=True))
    return session.scalar(select(func.count()).select_from(query.limit(NEWER_COUNTED).subquery())) or 0


def count(actor: Actor, asked: LogQuery) -> int:
    """Return how many deliveries match, counting no further than 10,000 (then 10,001)."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    query = _matching(actor, asked).with_only_columns(Delivery.id).limit(COUNTED + 1)
    with read() as session:
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _matching(actor: Actor, asked: LogQuery) -> Select[*tuple[Any, ...]]:
    query = (
        select(*_COLUMNS)
        .join(Event, Event.id == Delivery.event_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .join(Lane, Lane.webhook_id == Webhook.id)
        .where(Delivery.organization_id == actor.organization_id, *_filters(asked))
    )
    return query if actor.view.sees_everything else query.where(visible(actor))


def _filters(asked: LogQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_in_period(asked), *_of_what(asked)]
    if asked.state:
        found.append(or_(*[_in_state(state) for state in asked.state]))
        if _UNDELIVERED.issuperset(asked.state):
            found.append(queue.UNDELIVERED)
    elif not asked.skipped:
        found.append(Delivery.state != S.SKIPPED)
    if asked.response:
        found.append(or_(*[_response(wanted) for wanted in asked.response]))
    if asked.error:
        found.append(Delivery.last_error.in_([_error(name) for name in asked.error]))
    if asked.attempts is not None:
        found.append(Delivery.attempt_count - Delivery.interruptions >= asked.attempts)
    if asked.slow:
        attempts = select(Attempt.number).where(Attempt.delivery_id == Delivery.id, Attempt.duration_ms >= SLOW_MS)
        found.append(attempts.exists())
    if asked.test != "all":
        is_test = Delivery.kind == DeliveryKind.TEST
        found.append(is_test if asked.test == "only" else ~is_test)
    if asked.q:
        found.append(_searched(asked.q))
    return found


def _in_period(asked: LogQuery) -> ColumnElement[bool]:
    limits: list[ColumnElement[bool]] = []
    if asked.from_at is not None:
        limits.append(Delivery.created_at >= asked.from_at)
    if asked.to_at is not None:
        limits.append(Delivery.created_at < asked.to_at)
    return and_(true(), *limits)


def _of_what(asked: LogQuery) -> list[ColumnElement[bool]]:
    """Narrow by webhook, event, its type and kind, and its business unit."""
    found: list[ColumnElement[bool]] = []
    if asked.webhook:
        found.append(Delivery.webhook_id.in_(select(Webhook.id).where(Webhook.public_id.in_(asked.webhook))))
    if asked.event:
        found.append(Delivery.event_id.in_(select(Event.id).where(Event.public_id == asked.event)))
    if asked.event_type:
        found.append(Delivery.event_type.in_(asked.event_type))
    if asked.kind:
        names = select(EventType.name).where(EventType.kind.in_(asked.kind))
        found.append(Delivery.event_type.in_(names.where(EventType.organization_id == Delivery.organization_id)))
    if asked.unit:
        units = select(BusinessUnit.id).where(BusinessUnit.external_id.in_(asked.unit))
        found.append(Event.business_unit_id.in_(units.where(BusinessUnit.organization_id == Event.organization_id)))
    return found


def _in_state(name: str) -> ColumnElement[bool]:
    if name in DISPLAYED:
        return DISPLAYED[name]
    if name not in list(S):
        raise Invalid([Problem("state", f"There is no state {name}.")])
    return Delivery.state == S(name)


def _error(name: str) -> ErrorClass:
    if name not in list(ErrorClass):
        raise Invalid([Problem("error", f"There is no error class {name}.")])
    return ErrorClass(name)


def _response(wanted: str) -> ColumnElement[bool]:
    if wanted == "none":
        return Delivery.last_status.is_(None)
    if wanted[:1] in "12345" and wanted[1:] == "xx":
        return Delivery.last_status.between(int(wanted[0]) * 100, int(wanted[0]) * 100 + 99)
    if len(wanted) != 3 or not wanted.isascii() or not wanted.isdigit():
        raise Invalid([Problem("response", "Use a status such as 503, a class such as 5xx, or none.")])
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


def _row(row: Row[Any]) -> DeliveryRow:
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
        shut_until=row.shut_until,
        reason=row.reason,
        detail=row.detail,
        attempt_count=row.attempt_count,
        interruptions=row.interruptions,
        attempts_allowed=row.attempts_allowed,
        next_attempt_at=row.next_attempt_at,
        last_status=row.last_status,
        last_error=row.last_error,
        duration_ms=row.duration_ms,
        created_at=row.created_at,
        finished_at=row.finished_at,
        cursor=cursors.encode(row.created_at, row.row_id),
        is_on=row.enabled,
        paused_at=row.paused_at,
    )


@dataclass(frozen=True, slots=True)
class Menus:
    """What the log can be filtered by: (id or name, words) each, by name."""

    webhooks: tuple[tuple[str, str], ...]
    types: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, str], ...]


def menus(actor: Actor) -> Menus:
    """Return what there is to choose from; of business units, the actor's own."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    organization = actor.organization_id
    webhook_names = select(Webhook.public_id, Webhook.name).where(
        Webhook.organization_id == organization, Webhook.deleted_at.is_(None)
    )
    types = select(EventType.name, EventType.public_name, EventType.kind).where(
        EventType.organization_id == organization
    )
    with read() as session:
        found = session.execute(types.order_by(EventType.id)).all()
        names = [name for row in found for name in (row.name, row.public_name) if name]
        return Menus(
            webhooks=tuple((row[0], row[1]) for row in session.execute(webhook_names.order_by(Webhook.name))),
            types=tuple((name, name) for name in names),
            kinds=tuple((kind, kind) for kind in dict.fromkeys(row.kind for row in found)),
            units=_units(session, actor),
        )


def unit_names(actor: Actor) -> tuple[tuple[str, str], ...]:
    """Return external id and name of the business units that the actor sees events of."""
    with read() as session:
        return _units(session, actor)


def _units(session: Session, actor: Actor) -> tuple[tuple[str, str], ...]:
    query = select(BusinessUnit.external_id, BusinessUnit.name).where(
        BusinessUnit.organization_id == actor.organization_id
    )
    if not actor.view.sees_everything:
        query = query.where(BusinessUnit.id.in_(actor.view.units))
    return tuple((row[0], row[1]) for row in session.execute(query.order_by(BusinessUnit.name)))


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
    content_type: str = ""  # of the body
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
        _matching(actor, LogQuery())
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
)


def _view(row: Row[Any], rows: Sequence[Attempt], bodies: dict[tuple[int, bytes], bytes]) -> DeliveryView:
    shown = _row(row)
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
        return session.scalar(select(func.count()).select_from(query.limit(COUNTED).subquery())) or 0


def stamp_of(actor: Actor, public_id: str) -> tuple[Any, ...]:
    """Return what changes whenever a delivery does, in one small query. Raises `NotFound`."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    columns = (Delivery.state, Delivery.attempt_count, Delivery.next_attempt_at, Webhook.version, Lane.shut_until)
    query = _matching(actor, LogQuery()).where(Delivery.public_id == public_id).with_only_columns(*columns)
    with read() as session:
        row = session.execute(query).first()
    if row is None:
        raise NotFound
    return tuple(row)


def neighbours(actor: Actor, asked: LogQuery, row: DeliveryRow) -> tuple[str | None, str | None]:
    """Return the ids of the next newer and the next older delivery that match `asked`."""
    with read() as session:
        found = []
        for newer in (True, False):
            placed = replace(asked, cursor=row.cursor, newer=newer, top=None)
            query = _matching(actor, placed).with_only_columns(Delivery.public_id)
            found.append(session.scalar(_placed(query, placed, _floor(session, actor, placed)).limit(1)))
    return found[0], found[1]


def _attempts(session: Session, row_ids: Sequence[int]) -> dict[int, list[Attempt]]:
    query = select(Attempt).where(Attempt.delivery_id.in_(row_ids)).order_by(Attempt.number.desc())
    found: dict[int, list[Attempt]] = {}
    for row in session.scalars(query):
        found.setdefault(row.delivery_id, []).append(row)
    return found


def _bodies(session: Session, data: dict[int, bytes]) -> dict[tuple[int, bytes], bytes]:
    query = select(SentBody).where(SentBody.event_id.in_(list(data)))
    return {
        (row.event_id, bytes(row.digest)): row.head + (data[row.event_id] if row.has_data else b"") + row.tail
        for row in session.scalars(query)
    }


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
        if target.id != delivery.webhook_id:
            _check_owner(target, delivery.event)
        new = replay_event(session, delivery.event, target, now)
        _audit(session, actor, "delivery.replayed", delivery)
    bell.ring()
    return new


def replay_all(actor: Actor, public_ids: Sequence[str]) -> int:
    """Replay several deliveries, oldest first, each to its own webhook; return how many were made.

    All or none: raises `NotFound` for one the actor may not see, or whose webhook is gone.
    """
    actor.require(Permission.REPLAY)
    now = clock.now()
    with write() as session:
        for public_id in reversed(public_ids):
            delivery = _mine(session, actor, public_id)
            target = for_org(session, actor, Webhook).one(delivery.webhook.public_id)
            replay_event(session, delivery.event, target, now)
            _audit(session, actor, "delivery.replayed", delivery)
    bell.ring()
    return len(public_ids)


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
