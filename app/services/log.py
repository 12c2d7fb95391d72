"""Log History: deliveries that match what is asked for, a page at a time, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, or_, select, true, tuple_, union_all

from app.core import cursors
from app.core.access import Permission
from app.core.states import UNDELIVERED, DeliveryKind, DeliveryState, ErrorClass, Reason
from app.database import read
from app.delivery import queue
from app.errors import Invalid, Problem
from app.models import (
    Attempt,
    BusinessUnit,
    Delivery,
    Event,
    EventType,
    Lane,
    Replay,
    ReplayItem,
    Webhook,
)
from app.services.events import visible

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.services.scope import Actor

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
    delivery: tuple[str, ...] = ()  # these, by id
    replay: str | None = None  # made by this replay
    cursor: str | None = None
    newer: bool = False  # the page before the cursor instead of the one after it
    top: str | None = None  # the newest row that may be shown, as a cursor: what came later is only counted
    limit: int = 50
    inside: bool = False  # `q` is looked for in payloads too: `app/services/inside.py`
    oldest_first: bool = False

    @property
    def goes_up(self) -> bool:
        """Whether rows are read from old to new: the page before one that begins with the newest, for one."""
        return self.newer is not self.oldest_first

    @property
    def is_inside(self) -> bool:
        """Whether there is something to look for in payloads: ids are found without."""
        return self.inside and is_walked(self.q)


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
    ran_out_of_time: bool = False  # that is why


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
        floor = floor_of(session, actor, asked)
        query = placed(matching(actor, asked), asked, floor)
        found = session.execute(query.limit(limit + 1)).all()
        arrived = _count_newer(session, actor, asked)
    has_more, found = len(found) > limit, found[:limit]
    rows = tuple(row_of(row) for row in (found[::-1] if asked.newer else found))
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
        floor = floor_of(session, actor, asked)
        query = matching(actor, asked).with_only_columns(
            Delivery.id,
            Delivery.state,
            Delivery.attempt_count,
            Delivery.next_attempt_at,
            Delivery.created_at,
            Delivery.finished_at,
            Webhook.version,
            Lane.shut_until,
        )
        query = placed(query, asked, floor).limit(min(asked.limit, MOST_LISTED) + 1)
        shown = tuple(tuple(row) for row in session.execute(query))
        arrived = _count_newer(session, actor, asked)
    moved_at = max((max(row[4], row[5] or 0) for row in shown), default=0)
    return Stamp(shown, arrived, moved_at, any(row[1] is S.SENDING for row in shown))


def placed(query: Select[*tuple[Any, ...]], asked: LogQuery, floor: tuple[int, int] | None) -> Select[*tuple[Any, ...]]:
    """Order the rows and cut them at the cursor, at `top` and at the floor."""
    if asked.cursor:
        query = query.where(_beyond(asked.cursor, newer=asked.goes_up))
    if asked.top:
        query = query.where(_beyond(asked.top, newer=False, itself=True))
    if floor is not None:
        query = query.where(_beyond_place(*floor, newer=not asked.goes_up, itself=True))
    keys = (Delivery.created_at, Delivery.id)
    return query.order_by(*[key.asc() if asked.goes_up else key.desc() for key in keys])


def floor_of(session: Session, actor: Actor, asked: LogQuery) -> tuple[int, int] | None:
    """Where to stop looking for what no index finds; None: what is asked for is found without a long walk."""
    if asked.newer or not _is_walk(actor, asked):
        return None
    query = select(Delivery.created_at, Delivery.id).where(*_along(actor, asked), _in_period(asked))
    row = session.execute(placed(query, replace(asked, top=None), None).offset(WALKED).limit(1)).first()
    return (row.created_at, row.id) if row else None


def _is_walk(actor: Actor, asked: LogQuery) -> bool:
    if asked.event or (asked.q and not is_walked(asked.q)):
        return False
    filters = (asked.state, asked.event_type, asked.response, asked.error, asked.kind, asked.unit, asked.slow, asked.q)
    is_narrowed = any(filters) or asked.attempts is not None or asked.test == "only" or len(asked.webhook) > 1
    return is_narrowed or not actor.view.sees_everything


def _along(actor: Actor, asked: LogQuery) -> list[Any]:
    """What the index holds that is walked along: all that is undelivered, or one webhook's log, or the whole log.

    A webhook's log is its organization's, so that alone is asked for; several webhooks are picked out on the way,
    written (`+ 0`) so that no other index is taken for them.
    """
    ids = select(Webhook.id).where(
        Webhook.public_id.in_(asked.webhook), Webhook.organization_id == actor.organization_id
    )
    if _is_of_one(asked):
        return [Delivery.webhook_id == ids.scalar_subquery()]
    is_named = asked.event or (asked.q or "").startswith("evt_")  # few rows, found by their event and sorted
    organization: Any = Delivery.organization_id + 0 if is_named else Delivery.organization_id
    found: list[Any] = [organization == actor.organization_id]
    if _is_undelivered(asked):
        found.append(queue.UNDELIVERED)
    if asked.webhook:
        found.append((Delivery.webhook_id + 0).in_(ids))
    return found


def _is_undelivered(asked: LogQuery) -> bool:
    return bool(asked.state) and _UNDELIVERED.issuperset(asked.state)


def _is_of_one(asked: LogQuery) -> bool:
    """Whether one webhook's own log is walked along."""
    return len(asked.webhook) == 1 and not _is_undelivered(asked)


def is_walked(text: str | None) -> bool:
    """Whether the log is searched for a text row by row; an id is looked up."""
    return bool(text) and not str(text).startswith(("evt_", "dlv_"))


def _count_newer(session: Session, actor: Actor, asked: LogQuery) -> int:
    if not asked.top:
        return 0
    query = matching(actor, asked).with_only_columns(Delivery.id).where(_beyond(asked.top, newer=True))
    return session.scalar(select(func.count()).select_from(query.limit(NEWER_COUNTED).subquery())) or 0


class Counted(NamedTuple):
    """How many match, no further than 10,000 (then 10,001), and since when, where not the whole log was looked at."""

    matching: int
    since: int | None


def counted(actor: Actor, asked: LogQuery) -> Counted:
    """Count what matches, looking no further than a page of it does."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    asked = replace(asked, cursor=None, newer=False, top=None, oldest_first=False)
    with read() as session:
        floor = floor_of(session, actor, asked)
        query = placed(matching(actor, asked).with_only_columns(Delivery.id), asked, floor).limit(COUNTED + 1)
        found = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    return Counted(found, floor[0] if floor else None)


def count(actor: Actor, asked: LogQuery) -> int:
    """Return how many deliveries match, as `counted` does."""
    return counted(actor, asked).matching


def matching(actor: Actor, asked: LogQuery) -> Select[*tuple[Any, ...]]:
    """Select the columns of `row_of` of what matches. Raises `Invalid` where payloads would have to be looked at."""
    if asked.is_inside:
        raise Invalid([Problem("inside", "Payloads are searched in the list alone. Take that box away first.")])
    query = (
        select(*_COLUMNS)
        .join(Event, Event.id == Delivery.event_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .join(Lane, Lane.webhook_id == Webhook.id)
        .where(*_along(actor, asked), *_filters(actor, asked))
    )
    return query if actor.view.sees_everything else query.where(visible(actor))


def _filters(actor: Actor, asked: LogQuery) -> list[Any]:
    found: list[Any] = [_in_period(asked), *_of_what(actor, asked)]
    if asked.state:
        found.append(or_(*[_in_state(state) for state in asked.state]))
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
        found.append(searched(asked.q))
    return found


def _in_period(asked: LogQuery) -> ColumnElement[bool]:
    limits: list[ColumnElement[bool]] = []
    if asked.from_at is not None:
        limits.append(Delivery.created_at >= asked.from_at)
    if asked.to_at is not None:
        limits.append(Delivery.created_at < asked.to_at)
    return and_(true(), *limits)


def _of_what(actor: Actor, asked: LogQuery) -> list[ColumnElement[bool]]:
    """Narrow by event, its type and kind, and its business unit."""
    found: list[ColumnElement[bool]] = []
    if asked.event:
        found.append(Delivery.event_id == select(Event.id).where(Event.public_id == asked.event).scalar_subquery())
    if asked.delivery:
        found.append(Delivery.public_id.in_(asked.delivery))
    if asked.replay:
        made = select(ReplayItem.delivery_id).join(Replay, Replay.id == ReplayItem.replay_id)
        found.append(Delivery.id.in_(made.where(Replay.public_id == asked.replay)))
    if asked.event_type:
        found.append(Delivery.event_type.in_(asked.event_type))
    if asked.kind:
        names = select(EventType.name).where(EventType.kind.in_(asked.kind))
        found.append(Delivery.event_type.in_(names.where(EventType.organization_id == actor.organization_id)))
    if asked.unit:
        units = select(BusinessUnit.id).where(BusinessUnit.external_id.in_(asked.unit))
        found.append(Event.business_unit_id.in_(units.where(BusinessUnit.organization_id == actor.organization_id)))
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


def searched(text: str) -> ColumnElement[bool]:
    """Full ids, the beginning of a type, a part of the URL, an error class."""
    if text.startswith("evt_"):
        return Delivery.event_id == select(Event.id).where(Event.public_id == text).scalar_subquery()
    if text.startswith("dlv_"):
        return Delivery.public_id == text
    found = [Delivery.event_type.startswith(text, autoescape=True), Delivery.url.contains(text, autoescape=True)]
    if text in list(ErrorClass):
        found.append(Delivery.last_error == ErrorClass(text))
    return or_(*found)


def _beyond(cursor: str, *, newer: bool, itself: bool = False) -> ColumnElement[bool]:
    try:
        at, row_id = cursors.decode(cursor)
    except ValueError:
        raise Invalid([Problem("cursor", "This cursor isn't one of ours. Begin at the first page.")]) from None
    return _beyond_place(at, row_id, newer=newer, itself=itself)


def _beyond_place(at: int, row_id: int, *, newer: bool, itself: bool = False) -> ColumnElement[bool]:
    """What lies behind a place, and with `itself` the place too. In a form that both databases find by an index."""
    place, limit = tuple_(Delivery.created_at, Delivery.id), tuple_(literal(at), literal(row_id))
    if newer:
        return place >= limit if itself else place > limit
    return place <= limit if itself else place < limit


def row_of(row: Row[Any]) -> DeliveryRow:
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
    """Return what there is to choose from, in one query; of business units, the actor's own."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    hooks = select(literal("webhook"), Webhook.public_id, Webhook.name, Webhook.id).where(
        Webhook.organization_id == actor.organization_id, Webhook.deleted_at.is_(None)
    )
    types = select(literal("type"), EventType.name, EventType.kind, EventType.id)
    variants = select(literal("type"), EventType.public_name, EventType.kind, EventType.id)
    variants = variants.where(EventType.public_name.is_not(None))
    mine = EventType.organization_id == actor.organization_id
    units = _units(actor).add_columns(BusinessUnit.id)
    parts = (hooks, types.where(mine), variants.where(mine), units)
    with read() as session:
        rows = session.execute(union_all(*parts)).all()
    found: dict[str, list[tuple[str, str, int]]] = {"webhook": [], "type": [], "unit": []}
    for which, value, text, row_id in rows:
        found[which].append((value, text, row_id))
    kinds = sorted(found["type"], key=lambda each: each[2])
    return Menus(
        webhooks=_by_name(found["webhook"]),
        types=tuple((name, name) for name, _, _ in kinds),
        kinds=tuple((kind, kind) for kind in dict.fromkeys(kind for _, kind, _ in kinds)),
        units=_by_name(found["unit"]),
    )


def _by_name(found: list[tuple[str, str, int]]) -> tuple[tuple[str, str], ...]:
    return tuple((value, text) for value, text, _ in sorted(found, key=lambda each: (each[1], each[2])))


def unit_names(actor: Actor) -> tuple[tuple[str, str], ...]:
    """Return external id and name of the business units that the actor sees events of."""
    with read() as session:
        return tuple((row[1], row[2]) for row in session.execute(_units(actor).order_by(BusinessUnit.name)))


def _units(actor: Actor) -> Select[*tuple[Any, ...]]:
    query = select(literal("unit"), BusinessUnit.external_id, BusinessUnit.name)
    query = query.where(BusinessUnit.organization_id == actor.organization_id)
    return query if actor.view.sees_everything else query.where(BusinessUnit.id.in_(actor.view.units))
