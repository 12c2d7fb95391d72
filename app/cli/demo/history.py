"""A month of events, and what became of them: rows as the intake and the engine would have left them."""

from __future__ import annotations

import hashlib
import itertools
import random
from bisect import bisect
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from app import crypto, ids
from app.cli.demo.line import Course, Happened, Line, Rows
from app.cli.demo.material import subjects_of
from app.core import diff
from app.core import health as rules
from app.core import stats as counted
from app.core.routing import Routed, route
from app.core.states import DeliveryKind
from app.database import hot_write, is_sqlite, write
from app.delivery import health, queue, stats
from app.delivery.orders import Loaded, Surroundings
from app.models import Lane, Resource, Webhook
from app.services import resources
from app.services.intake import Prepared, event_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from app.services.routing import KnownType, RoutingTable

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
DAYS = 30
ROWS_AT_ONCE = 6_000
"""Deliveries in one transaction."""
TODAYS_SHARE, TODAYS_MOST = 0.1, 150
"""So many of the events are put into the last hours, for something to be under way when people look."""
RECENT_MS = 5 * HOUR_MS
PUBLIC_SHARE = 0.4
"""Of the events that have a public variant."""
_BY_HOUR = (2, 1, 1, 1, 2, 4, 9, 18, 34, 44, 48, 46, 34, 40, 46, 44, 38, 28, 16, 10, 7, 5, 4, 3)
_BY_WEEKDAY = (1.0, 1.08, 1.04, 1.0, 0.86, 0.22, 0.14)
CONTEXT = b'{"customer_id":"cus_2204","state":"k2v9-connect-7714"}'


class Kind(NamedTuple):
    """How often a type occurs, and in which business units (external ids; none: in no unit)."""

    weight: int
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the past is made of."""

    organization_id: int
    api_key_id: int
    table: RoutingTable
    lines: Sequence[Line]
    kinds: Mapping[str, Kind]
    examples: Mapping[str, bytes]
    surroundings: Mapping[int, Surroundings]
    canceled_by: str


@dataclass(frozen=True, slots=True)
class Written:
    """How much was written."""

    events: int
    deliveries: int
    attempts: int


class History:
    """Makes events up to `end_at` and lets every webhook's line live through them."""

    def __init__(self, plan: Plan, chance: random.Random, end_at: int, days: int = DAYS) -> None:
        self._plan, self._chance, self._end_at, self._days = plan, chance, end_at, days
        self._rolls = random.Random(crypto.new_token())  # noqa: S311  told apart is enough; the system's costs a call each
        self._subjects = subjects_of(plan.examples, chance)
        self._models: dict[tuple[str, str], bytes] = {}
        self._rows = Rows()
        self._events, self._deliveries, self._attempts = 0, 0, 0
        self._lines_of: dict[str, list[Line]] = {}
        self._event_ids, self._delivery_ids = _numbers("event"), _numbers("delivery")

    def write(self, events: int, progress: Callable[[int], None]) -> Written:
        """Write about `events` events with their deliveries; `progress` hears how many more are on disk."""
        names = list(self._plan.kinds)
        weights = list(itertools.accumulate(kind.weight for kind in self._plan.kinds.values()))
        tests = self._tests()
        for number, at in enumerate(moments(events, self._end_at, self._days, self._chance)):
            while tests and tests[-1][0] <= at:
                self._test(*tests.pop())
            self._happen(names[bisect(weights, self._chance.random() * weights[-1])], number, at)
            if len(self._rows.deliveries) >= ROWS_AT_ONCE:
                progress(self._flush())
        self._end()
        progress(self._flush())
        self._keep_lanes()
        return Written(self._events, self._deliveries, self._attempts)

    # --- one event

    def _happen(self, name: str, number: int, at: int) -> None:
        kind = self._plan.table.types[name]
        unit = self._unit(name)
        item = self._prepared(kind, unit, number, at)
        difference = None
        if kind.diff_into is not None and kind.diff_model is not None:
            item, difference = self._with_diff(item, kind.diff_model, kind.diff_into)
        event_id, public_id = next(self._event_ids), self._id("evt", at)
        self._rows.events.append(event_row(item, event_id, public_id, difference, at))
        event = Loaded(
            event_id,
            public_id,
            item.type,
            item.data,
            item.context,
            item.status,
            item.resource_type,
            item.resource_id,
            unit,
            item.occurred_at,
            at,
        )
        happened = Happened(event, self._plan.surroundings.get(unit or 0, Surroundings()))
        routed = Routed(item.type, unit, item.visible_to, item.data, at)
        for line in self._heard_by(item.type):
            if line.target.created_at <= at:
                self._deliver(line, routed, happened)

    def _tests(self) -> list[tuple[int, Line]]:
        """When each webhook was turned on and tested since, latest first."""
        found = []
        for line in self._plan.lines:
            begun_at = line.target.created_at + HOUR_MS // 4
            found.append((begun_at, line))
            found.append((self._end_at - self._chance.randrange(12 * DAY_MS), line))
        earliest = self._end_at - self._days * DAY_MS
        return sorted(((at, line) for at, line in found if at > earliest and line.is_on(at)), key=lambda pair: -pair[0])

    def _test(self, at: int, line: Line) -> None:
        if not line.is_on(at):
            return
        name, data = line.test
        item = Prepared(
            self._plan.organization_id,
            0,
            name,
            None,
            b"",
            data,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            False,
            at,
            None,
            None,
        )
        event_id, public_id = next(self._event_ids), self._id("evt", at)
        self._rows.events.append(
            {**event_row(item, event_id, public_id, None, at), "event_type_id": None, "is_test": True}
        )
        event = Loaded(event_id, public_id, name, data, None, None, None, None, None, at, at)
        row = queue.new_row(
            public_id=self._id("dlv", at),
            organization_id=self._plan.organization_id,
            event_id=event_id,
            webhook_id=line.target.webhook_id,
            event_type=name,
            url=line.target.url,
            attempts_allowed=1,
            now=at,
            kind=DeliveryKind.TEST,
            by_hand=True,
        )
        course = Course(next(self._delivery_ids), row, Happened(event, Surroundings()), DeliveryKind.TEST, at)
        line.take(course, self._rows)

    def _unit(self, name: str) -> int | None:
        units = self._plan.kinds[name].units
        return self._plan.table.units[self._chance.choice(units)] if units else None

    def _prepared(self, kind: KnownType, unit: int | None, number: int, at: int) -> Prepared:
        subjects = self._subjects[kind.name]
        subject = subjects[self._chance.randrange(len(subjects))]
        moment = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        data = subject.told(4_000 + number, moment)
        is_public = kind.public_name is not None and self._chance.random() < PUBLIC_SHARE
        named = resources.named_in(data, kind.resource_in) if kind.resource_in is not None else (None, None)
        return Prepared(
            organization_id=self._plan.organization_id,
            type_id=kind.id,
            type=kind.public_name if is_public and kind.public_name else kind.name,
            producer_id=f"{kind.name.replace('.', '-')}-{at:x}-{number}",
            digest=hashlib.sha256(data).digest(),
            data=data,
            context=CONTEXT if kind.resource_in is not None else None,
            previous=None,
            status=subject.status,
            resource_type=named[0],
            resource_id=named[1],
            business_unit_id=unit,
            visible_to=None,
            is_public=is_public,
            occurred_at=at - self._chance.randrange(400, 6_000),
            warning=None,
            api_key_id=self._plan.api_key_id,
        )

    def _with_diff(self, item: Prepared, model: str, into: str) -> tuple[Prepared, bytes | None]:
        """As the intake does it, with the last version of the resource that it has seen."""
        newest = diff.model_of(item.data, model)
        if newest is None or item.resource_type is None or item.resource_id is None:
            return item, None
        key = (item.resource_type, item.resource_id)
        data = diff.with_diff(item.data, model, into, self._models.get(key))
        self._models[key] = newest
        return replace(item, data=data), diff.model_of(data, into)

    def _heard_by(self, type_name: str) -> list[Line]:
        """The webhooks that select this type."""
        lines = self._lines_of.get(type_name)
        if lines is None:
            chosen = {target.webhook_id for target in self._plan.table.targets_for(type_name)}
            lines = [line for line in self._plan.lines if line.target.webhook_id in chosen]
            self._lines_of[type_name] = lines
        return lines

    def _deliver(self, line: Line, routed: Routed, happened: Happened) -> None:
        at = routed.created_at
        target = line.target if line.is_on(at) == line.target.is_on else replace(line.target, is_on=line.is_on(at))
        reason = route(routed, target)
        row = queue.new_row(
            public_id=self._id("dlv", at),
            organization_id=self._plan.organization_id,
            event_id=happened.event.id,
            webhook_id=target.webhook_id,
            event_type=routed.type,
            url=target.url,
            attempts_allowed=target.attempts_allowed,
            now=at,
            reason=reason,
        )
        row_id = next(self._delivery_ids)
        if reason is None:
            line.take(Course(row_id, row, happened, DeliveryKind.NORMAL, at), self._rows)
        else:
            self._rows.deliveries.append(queue.past_row(row_id, row, None, 0, 0, at))

    # --- writing

    def _flush(self) -> int:
        """Write what has come together in one transaction; return how many events it was."""
        rows, self._rows = self._rows, Rows()
        with hot_write() as door:
            door.insert("event", rows.events)
            queue.enqueue(door, rows.deliveries)
            queue.enter_attempts(door, rows.attempts, rows.bodies)
            stats.add(door, counted.counts(rows.tries))
            stats.add(door, {key: -times for key, times in Counter(rows.canceled).items()})
        self._events += len(rows.events)
        self._deliveries += len(rows.deliveries)
        self._attempts += len(rows.attempts)
        return len(rows.events)

    def _id(self, prefix: str, at: int) -> str:
        """An id of the past. Not of the seed's chance: two organizations with one seed must not share ids."""
        return ids.id_of(prefix, at, self._rolls.getrandbits(80))

    def _end(self) -> None:
        """Let the lines come to the present, and keep what waits there."""
        for line in self._plan.lines:
            line.advance(self._end_at, self._rows)
            line.cancel_some(0.1, self._plan.canceled_by, self._end_at - HOUR_MS // 4, self._rows)
            for course in line.still_waiting():
                self._rows.deliveries.append(course.finished_row())
                self._rows.attempts += course.attempts

    def _keep_lanes(self) -> None:
        """Store how each lane is doing, the webhooks that turned themselves off, and the models seen last."""
        by_webhook = {line.target.webhook_id: line for line in self._plan.lines}
        with write() as session:
            for lane in session.scalars(select(Lane).where(Lane.webhook_id.in_(by_webhook))):
                known = by_webhook[lane.webhook_id].health
                for name in known.__slots__:
                    setattr(lane, name, getattr(known, name))
            for (kind, name), model in self._models.items():
                key = {"organization_id": self._plan.organization_id, "type": kind, "external_id": name}
                session.add(Resource(**key, model=model, updated_at=self._end_at))
            for line in sorted(self._plan.lines, key=lambda line: line.off_at or 0):
                if line.off_reason is not None and line.off_at is not None:
                    health.turn_off(session, {line.target.webhook_id: line.off_reason}, line.off_at)
                    session.flush()
            for lane in session.scalars(select(Lane).where(Lane.probe_at < self._end_at)):
                _probe_later(lane, self._end_at)
            for webhook in session.scalars(select(Webhook).where(Webhook.id.in_(by_webhook))):
                webhook.touch(webhook.updated_at)


def _probe_later(lane: Lane, now: int) -> None:
    """Let the probes that would have been made by `now` be over: they failed."""
    while lane.probe_at is not None and lane.probe_at < now:
        lane.probes += 1
        wait = rules.probe_after(lane.probes)
        lane.probe_at = None if wait is None else lane.probe_at + wait


def moments(count: int, end_at: int, days: int, chance: random.Random) -> Iterator[int]:
    """Return `count` moments of the `days` before `end_at`, in order: busy on weekdays, quiet at night."""
    begin_at = (end_at - days * DAY_MS) // HOUR_MS * HOUR_MS
    hours = range(begin_at, end_at, HOUR_MS)
    weights = [_BY_HOUR[at // HOUR_MS % 24] * _BY_WEEKDAY[(at // DAY_MS + 3) % 7] for at in hours]
    recent = min(round(count * TODAYS_SHARE), TODAYS_MOST)
    found = [at + chance.randrange(HOUR_MS) for at in chance.choices(hours, weights, k=count - recent)]
    found += [end_at - chance.randrange(1_000, RECENT_MS) for _ in range(recent)]
    return iter(sorted(min(at, end_at - 1) for at in found))


def _numbers(table: str) -> Iterator[int]:
    """Row ids that nobody else takes: of a sequence in blocks, or after the largest; nobody else writes meanwhile."""
    while True:
        with hot_write() as door:
            block = queue.row_ids(door, table, 10_000)
        if is_sqlite():
            yield from itertools.count(block[0])
        yield from block
