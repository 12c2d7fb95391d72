"""The one writer of events: many publishes, one commit. Only after it does each caller get an answer."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app import clock, ids, logs
from app.core.routing import Routed, route
from app.core.states import DeliveryKind, DeliveryState, Reason
from app.database import Busy, hot_write, is_sqlite, is_unavailable
from app.delivery import bell, queue
from app.door import Statement
from app.errors import AppError, Conflict, Invalid, Problem, Unavailable
from app.faults import fault
from app.models import Delivery, Event, Webhook
from app.models.types import core_table
from app.services import resources
from app.services.routing import RoutingTable, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.orm import Session

    from app.door import Door

MOST_EVENTS = 500
MOST_BYTES = 4 * 2**20
PATIENCE_S = 30.0
AT_ONCE_S = 0.02
FAN_OUT_SLICE = 5_000

event = core_table(Event)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A published event that passed every check; only repeated ids can still refuse it."""

    organization_id: int
    type_id: int
    type: str
    producer_id: str | None
    digest: bytes
    data: bytes
    context: bytes | None
    previous: bytes | None
    status: str | None
    resource_type: str | None
    resource_id: str | None
    business_unit_id: int | None
    visible_to: frozenset[str] | None
    is_public: bool
    occurred_at: int
    warning: str | None
    api_key_id: int | None
    diff_model: str | None = None
    diff_into: str | None = None
    not_to: str | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """A delivery as the publisher is told of it."""

    id: str
    webhook: str
    state: DeliveryState
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Stored:
    """An event that is kept, and what became of it."""

    id: str
    type: str
    received_at: int
    duplicate: bool
    deliveries: tuple[Queued, ...]


Answer = Stored | AppError

_STOPPING = "The server is stopping. Publish again in a few seconds."


@dataclass(frozen=True, slots=True)
class Order:
    """Events of one publish, and whom to tell what became of them: one answer each, or nothing when it is unknown."""

    events: Sequence[Prepared]
    tell: Callable[[list[Answer]], object]

    @property
    def size(self) -> int:
        return sum([len(item.data) for item in self.events])


class _Caller:
    """A thread that waits for its answers."""

    __slots__ = ("_answers", "_told")

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._told = threading.Lock()
        self._told.acquire()

    def tell(self, answers: list[Answer]) -> None:
        """Let it go on."""
        self._answers = answers
        self._told.release()

    def wait(self) -> list[Answer]:
        """Return its answers; none, when they don't come in time or nothing is known."""
        return self._answers if self._told.acquire(timeout=PATIENCE_S) else []


class Intake:
    """Takes publishes from all threads. Where it isn't started, the caller's own thread writes."""

    def __init__(self) -> None:
        self._orders: deque[Order] = deque()
        self._some = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Start the writer's thread; `context` opens the application's context in it."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(context,), name="intake", daemon=True)
        self._thread.start()

    def refuse(self) -> None:
        """Take no more events: the server is stopping."""
        with self._some:
            self._closed = True

    def stop(self) -> None:
        """Store what was taken and end the thread."""
        with self._some:
            self._closed = True
            self._some.notify()
        if self._thread:
            self._thread.join(PATIENCE_S)
            self._thread = None

    def submit(self, events: Sequence[Prepared]) -> list[Answer]:
        """Store events and return one answer each, in order, once they are synced to disk.

        Raises `Unavailable` when the server is stopping or the database doesn't take them: then it is unknown
        whether they are kept, and the same ids can be published again.
        """
        if self._thread is None and not self._closed:
            return store(events)
        caller = _Caller()
        self._take([Order(events, caller.tell)])
        answers = caller.wait()
        if not answers:
            raise Unavailable("The event could not be stored in time. Publish it again with the same id.")
        return answers

    def submit_and_go(self, orders: Sequence[Order]) -> None:
        """Store the events of several publishes and tell each, now or soon; for the server's own loop.

        On SQLite the caller's thread does it, when no other writer is at work: handing over to the intake's thread
        and back costs more than the commit. Else, and on PostgreSQL, where the network is waited for, the intake's
        thread does it. Raises `Unavailable` when the server is stopping.
        """
        if self._closed:
            raise Unavailable(_STOPPING)
        waiting = deque(orders)
        if is_sqlite():
            self._serve_at_once(waiting)
        if waiting:
            self._take(waiting)

    def _serve_at_once(self, orders: deque[Order]) -> None:
        """Serve orders until another writer is in the way, and leave the others."""
        while orders:
            group = _next_group(orders)
            try:
                self._serve(group, AT_ONCE_S)
            except Busy:
                orders.extendleft(reversed(group))
                return

    def _take(self, orders: Iterable[Order]) -> None:
        with self._some:
            if self._closed:
                raise Unavailable(_STOPPING)
            self._orders += orders
            self._some.notify()

    def _run(self, context: Callable[[], AbstractContextManager[Any]]) -> None:
        while True:
            with self._some:
                while not self._orders:
                    if self._closed:
                        return
                    self._some.wait()
                orders = _next_group(self._orders)
            with context():
                try:
                    self._serve(orders, PATIENCE_S)
                except Busy as error:
                    logs.trouble("a group of events could not be stored", error)
                    _tell(orders, [])

    def _serve(self, orders: list[Order], patience: float) -> None:
        """Answer every order: with what was stored, or with nothing, which its caller reads as unknown.

        Raises `Busy`, and then nothing is stored or told, when other writers take longer than `patience` seconds.
        """
        try:
            answers = store([item for order in orders for item in order.events], patience)
        except Busy:
            raise
        except Exception as error:  # noqa: BLE001  nobody in the group gets a 202; the thread must go on
            logs.trouble("a group of events could not be stored", error)
            answers = []
        _tell(orders, answers)


def _next_group(orders: deque[Order]) -> list[Order]:
    """Take what one transaction may store: the first order whatever its size, and others as far as they fit."""
    group = [orders.popleft()]
    events, size = len(group[0].events), group[0].size
    while orders:
        events += len(orders[0].events)
        size += orders[0].size
        if events > MOST_EVENTS or size > MOST_BYTES:
            break
        group.append(orders.popleft())
    return group


def _tell(orders: Sequence[Order], answers: list[Answer]) -> None:
    for order in orders:
        of_order, answers = answers[: len(order.events)], answers[len(order.events) :]
        order.tell(of_order)


intake = Intake()


def store(events: Sequence[Prepared], patience: float = PATIENCE_S) -> list[Answer]:
    """Store events in one transaction: events, their deliveries, their idempotency. One answer each, in order.

    Raises `Busy` when other writers of this process take longer than `patience` seconds.
    """
    fault("publish.before")
    for is_last in (False, True):
        try:
            with hot_write(patience) as door:
                answers = _store(door, events, clock.now())
            break
        except IntegrityError:
            # Another process stored one of these ids in the same moment: now it is there to be found.
            if is_last:
                raise
        except Exception as error:
            if is_unavailable(error):
                raise Unavailable(
                    "The database can't take the event now. Publish it again with the same id."
                ) from error
            raise
    fault("publish.committed")
    if any(isinstance(answer, Stored) and not answer.duplicate for answer in answers):
        bell.ring()
    return answers


def _store(door: Door, events: Sequence[Prepared], now: int) -> list[Answer]:
    known = _known(door, events)
    answers: list[Answer | None] = [None] * len(events)
    first: dict[tuple[int, str], int] = {}
    fresh: list[int] = []
    for index, item in enumerate(events):
        key = (item.organization_id, item.producer_id or "")
        if item.producer_id is None or (key not in known and key not in first):
            fresh.append(index)
            first.setdefault(key, index)
        elif key in known:
            answers[index] = _repeated(door.session, item, known[key], now)
    _insert(door, events, fresh, answers, now)
    for index, item in enumerate(events):
        if answers[index] is None:  # the same id twice in one group
            original = first[item.organization_id, item.producer_id or ""]
            answers[index] = _same_again(item, events[original], answers[original])
    return [answer for answer in answers if answer is not None]


_KNOWN = Statement("""
SELECT id, public_id, organization_id, producer_id, type, digest, created_at FROM event
WHERE organization_id = :organization AND producer_id IN :ids[]
""")


class _Known(NamedTuple):
    """An event that is stored already, under the id that came again."""

    id: int
    public_id: str
    organization_id: int
    producer_id: str
    type: str
    digest: bytes
    created_at: int


def _known(door: Door, events: Sequence[Prepared]) -> dict[tuple[int, str], _Known]:
    """The events among those stored that have one of these ids already."""
    wanted: defaultdict[int, list[str]] = defaultdict(list)
    for item in events:
        if item.producer_id is not None:
            wanted[item.organization_id].append(item.producer_id)
    found: dict[tuple[int, str], _Known] = {}
    for organization, given in wanted.items():
        for row in map(_Known._make, door.rows(_KNOWN, organization=organization, ids=given)):
            found[row.organization_id, row.producer_id] = row
    return found


def _repeated(session: Session, item: Prepared, row: _Known, now: int) -> Answer:
    if bytes(row.digest) != item.digest:
        return Conflict(f"The id {item.producer_id} was used for another event. Use a new id.")
    session.execute(update(event).where(event.c.id == row.id).values(repeated_at=now))
    return Stored(row.public_id, row.type, row.created_at, True, deliveries_of(session, row.id))


def _same_again(item: Prepared, original: Prepared, answer: Answer | None) -> Answer:
    if item.digest != original.digest:
        return Conflict(f"The id {item.producer_id} was used for another event. Use a new id.")
    assert answer is not None
    return replace(answer, duplicate=True) if isinstance(answer, Stored) else answer


def deliveries_of(session: Session, event_id: int) -> tuple[Queued, ...]:
    """The deliveries that publishing an event made."""
    query = (
        select(Delivery.public_id, Webhook.public_id, Delivery.state, Delivery.reason)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.event_id == event_id, Delivery.copy == 0, Delivery.kind == DeliveryKind.NORMAL)
        .order_by(Delivery.id)
    )
    return tuple(Queued(*row) for row in session.execute(query))


def _insert(door: Door, events: Sequence[Prepared], fresh: list[int], answers: list[Answer | None], now: int) -> None:
    if not fresh:
        return
    tables: dict[int, RoutingTable] = {}
    rows: list[dict[str, Any]] = []
    deliveries: list[dict[str, Any]] = []
    for event_id, index in zip(queue.row_ids(door, "event", len(fresh)), fresh, strict=True):
        item, diff = events[index], None
        table = tables.get(item.organization_id)
        if table is None:
            table = tables[item.organization_id] = table_of(door, item.organization_id)
        if item.business_unit_id is not None and item.business_unit_id not in table.unit_ids:
            answers[index] = Invalid([Problem("business_unit", "This business unit was deleted a moment ago.")])
            continue
        if item.diff_into is not None:
            item, diff = resources.with_diff(door.session, item, now)
        public_id = ids.new_id("evt")
        rows.append(event_row(item, event_id, public_id, diff, now))
        queued = _fan_out(item, event_id, table, deliveries, now)
        answers[index] = Stored(public_id, item.type, now, False, queued)
    door.insert("event", rows)
    for start in range(0, len(deliveries), FAN_OUT_SLICE):
        queue.enqueue(door, deliveries[start : start + FAN_OUT_SLICE])


def event_row(item: Prepared, event_id: int, public_id: str, diff: bytes | None, now: int) -> dict[str, Any]:
    """Return the row of an event received at `now`."""
    return {
        "id": event_id,
        "public_id": public_id,
        "organization_id": item.organization_id,
        "event_type_id": item.type_id,
        "type": item.type,
        "producer_id": item.producer_id,
        "digest": item.digest,
        "data": item.data,
        "context": item.context,
        "diff": diff,
        "status": item.status,
        "resource_type": item.resource_type,
        "resource_id": item.resource_id,
        "business_unit_id": item.business_unit_id,
        "visible_to": None if item.visible_to is None else json.dumps(sorted(item.visible_to)),
        "is_public": item.is_public,
        "is_test": False,
        "warning": item.warning,
        "api_key_id": item.api_key_id,
        "occurred_at": item.occurred_at,
        "created_at": now,
        "repeated_at": None,
    }


def _fan_out(
    item: Prepared, event_id: int, table: RoutingTable, rows: list[dict[str, Any]], now: int
) -> tuple[Queued, ...]:
    routed = Routed(item.type, item.business_unit_id, item.visible_to, item.data, now)
    queued = []
    for target in table.targets_for(item.type):
        if target.public_id == item.not_to:
            continue
        reason = route(routed, target)
        public_id = ids.new_id("dlv")
        rows.append(
            queue.new_row(
                public_id=public_id,
                organization_id=item.organization_id,
                event_id=event_id,
                webhook_id=target.webhook_id,
                event_type=item.type,
                url=target.url,
                attempts_allowed=target.attempts_allowed,
                now=now,
                reason=reason,
            )
        )
        state = DeliveryState.PENDING if reason is None else DeliveryState.SKIPPED
        queued.append(Queued(public_id, target.public_id, state, reason))
    return tuple(queued)
