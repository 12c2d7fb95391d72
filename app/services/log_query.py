"""Which deliveries are asked for, and how they are found: the index that is walked along, and where to stop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, literal, or_, select, true, tuple_

from app.core import cursors
from app.core.states import UNDELIVERED, DeliveryKind, DeliveryState, ErrorClass
from app.delivery import queue
from app.errors import Invalid, Problem
from app.models import Attempt, BusinessUnit, Delivery, Event, EventType, Replay, ReplayItem, Webhook

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.services.scope import Actor

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


def conditions(actor: Actor, asked: LogQuery) -> list[Any]:
    """Return what a delivery must be, joined with its event and webhook; who may see it is another question."""
    return [*_along(actor, asked), *_filters(actor, asked)]


def placed(query: Select[*tuple[Any, ...]], asked: LogQuery, floor: tuple[int, int] | None) -> Select[*tuple[Any, ...]]:
    """Order the rows and cut them at the cursor, at `top` and at the floor."""
    if asked.cursor:
        query = query.where(beyond(asked.cursor, newer=asked.goes_up))
    if asked.top:
        query = query.where(beyond(asked.top, newer=False, itself=True))
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


def beyond(cursor: str, *, newer: bool, itself: bool = False) -> ColumnElement[bool]:
    """What lies behind a cursor. Raises `Invalid` for a text that is none."""
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
