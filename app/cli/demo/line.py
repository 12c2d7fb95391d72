"""One webhook's past: attempt after attempt, each judged, decided and put into rows by the engine's own functions."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.core import health as rules
from app.core import stats
from app.core.health import Health
from app.core.states import DeliveryKind, DeliveryState, Reason
from app.delivery import build, queue
from app.delivery.orders import Claim, SentBodyRow
from app.delivery.record import Judged, attempt_row, decision_on, ending_of, seen_of, try_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from app.cli.demo.answers import Wire
    from app.core.routing import Target
    from app.core.stats import Key, Try
    from app.delivery.orders import DeliverySettings, Loaded, Surroundings
    from app.delivery.queue import Ending

CLAIMED_AFTER_MS = 4
"""From an event's commit to the start of its first attempt."""


@dataclass(slots=True)
class Happened:
    """An event, with the bodies that were made of it."""

    event: Loaded
    around: Surroundings
    bodies: dict[int, tuple[bytes, SentBodyRow]] = field(default_factory=dict)
    """By the identity of a shape: webhooks with one shape share its body."""
    written: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Rows:
    """What is to be inserted next."""

    events: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[SentBodyRow] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    canceled: list[Key] = field(default_factory=list)
    """What is taken back from the counts: tries of deliveries that somebody canceled."""


@dataclass(slots=True)
class Course:
    """A delivery on its way: its row as it was made, and how its latest attempt left it."""

    row_id: int
    row: dict[str, Any]
    happened: Happened
    kind: DeliveryKind
    due_at: int
    attempts: list[dict[str, Any]] = field(default_factory=list)
    free: int = 0
    ending: Ending | None = None
    ended_at: int = 0

    def finished_row(self) -> dict[str, Any]:
        """Its row as it stands now."""
        return queue.past_row(self.row_id, self.row, self.ending, len(self.attempts), self.free, self.ended_at)


class Line:
    """A webhook, its receiver, and what waits for it."""

    def __init__(
        self,
        settings: DeliverySettings,
        target: Target,
        wire: Wire,
        chance: random.Random,
        *,
        off_at: int | None,
        paused_at: int | None,
        test: tuple[str, bytes],
    ) -> None:
        self.settings, self.target, self.test = settings, target, test
        self.health = Health()
        self.off_at = off_at
        self.off_reason: Reason | None = None
        self._wire, self._chance, self._paused_at = wire, chance, paused_at
        self._waiting: list[tuple[int, int, Course]] = []

    def is_on(self, at: int) -> bool:
        """Whether events of this moment are queued for it."""
        return self.off_at is None or at < self.off_at

    def take(self, course: Course, rows: Rows) -> None:
        """Take a new delivery, and make its first attempt if nothing stands in the way."""
        self.advance(course.due_at, rows)
        self._wait(course, course.due_at + CLAIMED_AFTER_MS + self._chance.getrandbits(3))
        self.advance(course.due_at + 16, rows)

    def advance(self, until: int, rows: Rows) -> None:
        """Make the attempts that were due by `until`, in their order."""
        while self._waiting:
            due_at, _, course = self._waiting[0]
            at = max(due_at, self.health.shut_until)
            if at > until or not self.is_on(at) or (self._paused_at is not None and at >= self._paused_at):
                return
            heapq.heappop(self._waiting)
            self._attempt(course, at, rows)

    def still_waiting(self) -> Iterator[Course]:
        """The deliveries that nothing has finished."""
        return (course for _, _, course in self._waiting)

    def cancel_some(self, share: float, by: str, at: int, rows: Rows) -> None:
        """Let a person cancel some of what waits."""
        kept = []
        for entry in self._waiting:
            if self._chance.random() >= share:
                kept.append(entry)
                continue
            row = entry[2].finished_row()
            ended = {"state": DeliveryState.CANCELED.value, "reason": Reason.BY_PERSON.value, "detail": by}
            rows.deliveries.append({**row, **ended, "next_attempt_at": None, "finished_at": at})
            rows.attempts += entry[2].attempts
            if entry[2].attempts:
                rows.canceled.append(stats.missed(row["webhook_id"], row["created_at"], row["event_type"]))
        self._waiting = kept
        heapq.heapify(kept)

    def _wait(self, course: Course, until: int) -> None:
        heapq.heappush(self._waiting, (until, course.row_id, course))

    def _attempt(self, course: Course, at: int, rows: Rows) -> None:
        judged = self._judged(course, at, rows)
        ended_at = at + round(judged.result.timings.total_ms)
        decision = decision_on(judged)
        course.ending, course.ended_at = ending_of(judged, decision, ended_at), ended_at
        course.free += course.ending.is_free
        course.attempts.append(attempt_row(judged))
        told = try_of(judged)
        if told is not None:
            rows.tries.append(told)
        seen = seen_of(judged, decision, ended_at)
        if seen is not None:
            self.health, _ = rules.fold(self.health, (seen,), ended_at)
        if decision.turn_off is not None and self.off_at is None:
            self.off_at, self.off_reason = ended_at, decision.turn_off
        if course.ending.next_attempt_at is not None:
            self._wait(course, course.ending.next_attempt_at)
            return
        rows.deliveries.append(course.finished_row())
        rows.attempts += course.attempts

    def _judged(self, course: Course, at: int, rows: Rows) -> Judged:
        settings, happened, row = self.settings, course.happened, course.row
        event = happened.event
        is_test = course.kind is DeliveryKind.TEST
        facts = build.facts_of(event, happened.around, settings, row["public_id"], is_test=is_test)
        found = happened.bodies.get(id(settings.shape))
        if found is None:
            body = build.body_of(facts, settings, at)
            found = body, build.sent_body(event, body)
            if settings.shape.is_shared:
                happened.bodies[id(settings.shape)] = found
        body, kept = found
        if kept.digest not in happened.written:
            happened.written.add(kept.digest)
            rows.bodies.append(kept)
        number = len(course.attempts) + 1
        claim = Claim(
            course.row_id,
            row["public_id"],
            event.id,
            settings.webhook_id,
            number,
            number - course.free,
            row["attempts_allowed"],
            course.kind,
            row["by_hand"],
            settings.url_text,
            course.due_at,
            row["event_type"],
            row["created_at"],
            0,
            0,
        )
        request = build.request_of(facts, settings, body, at)
        headers = build.shown_headers(request, settings)
        return Judged(claim, settings, self._wire.result(at), headers, kept, self._chance.getrandbits(4))
