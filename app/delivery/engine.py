"""The engine: takes what is due, starts it, collects the answers, records them. One thread; read it downwards."""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app import clock, logs
from app.core import fairness
from app.core.fairness import Line
from app.core.outcome import Facts, Result, judge
from app.core.shaping import EventFacts, ShapeError
from app.core.states import ErrorClass, Outcome
from app.database import is_sqlite, is_unavailable
from app.delivery import build, loading, queue, settings, skew
from app.delivery.bodies import Body, SharedBodies
from app.delivery.directory import surroundings_of
from app.delivery.installed import installed
from app.delivery.record import Judged, record
from app.delivery.seats import Host, Seats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from app.delivery.loading import Loaded, Sent
    from app.delivery.queue import Claim, SentBodyRow
    from app.delivery.resolver import Answer, Resolver
    from app.delivery.sender import Sender
    from app.delivery.settings import DeliverySettings
    from app.delivery.transfer import Request

BATCH = 500
RESULTS_AT_ONCE = 256
RIPE_AFTER_S = 0.025
TAKE_EVERY_S = 0.006
LONGEST_WATCH_S = 0.05
WAIT_FOR_NAME_S = 0.005  # or for a token
WORTH_A_COMMIT = 32
RIPE_UNDER_LOAD_S = 0.100
LINGER_S = 1.0
START_MARGIN_MS = 10_000
OUR_FAULT_PAUSE_S = 5.0
STORAGE_PAUSE_S = 1.0
FOLLOW_EVERY_S = 0.25


@dataclass(slots=True)
class InHand:
    """A claimed delivery with its event and, on a retry, the body that was sent before."""

    claim: Claim
    event: Loaded
    around: build.Surroundings
    sent: Sent | None


@dataclass(slots=True)
class Flight:
    """A request on the wire."""

    held: InHand
    settings: DeliverySettings
    request: Request
    body: SentBodyRow
    host: Host


class Engine:
    """Delivers until nothing is due. Drive it with `run()` from one thread at a time."""

    def __init__(self, worker: str, sender: Sender, resolver: Resolver, roll: Callable[[], int], seats: int) -> None:
        self.worker = worker
        self.sender = sender
        self.resolver = resolver
        self.roll = roll
        self.seats = Seats(seats)
        self.next_due_at: int | None = None
        self._followed_at = 0.0
        self.turned_at = time.monotonic()  # when the loop last went round, for whoever watches over it
        self._lines: dict[int, deque[InHand]] = {}
        self._in_hand = 0
        self._flights: dict[int, Flight] = {}
        self._judged: list[Judged] = []
        self._bodies = SharedBodies()
        self._unrecorded: Counter[int] = Counter()  # of ordered webhooks: how one ended decides what is next
        self._judged_since = 0.0
        self._recorded_at = 0.0
        self._held_until: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._more = True
        self._stopping = False
        self._interrupting = False
        self._no_take_before = 0.0  # after trouble of our own
        self._no_record_before = 0.0
        self._gathers_until = 0.0
        self._idle_since: float | None = None

    # --- what others may call

    def ring(self) -> None:
        """Look again: something may be due. From any thread."""
        self._more = True
        if time.monotonic() >= self._gathers_until:  # else it looks by itself in a moment
            self.sender.wake()

    def stop(self) -> None:
        """Take nothing new, hand back what has not begun, finish what has. From any thread."""
        self._stopping = True
        self.sender.wake()

    def interrupt(self) -> None:
        """Stop, and end what is on the wire now, as interrupted. From any thread."""
        self._interrupting = True
        self.stop()

    # --- the loop

    def run(self, linger_s: float = LINGER_S) -> int | None:
        """Deliver until nothing is due and nothing is on the wire; return when the next delivery falls due.

        Stays for `linger_s` after the last work, so that steady traffic doesn't restart it for every event.
        """
        self._idle_since = None
        self._more = True
        while not self._is_drained(linger_s):
            self.turned_at = time.monotonic()
            self._follow_others()
            if self._may_take():
                self._take()
            self._start()
            for key, facts in self.sender.turn(self._patience_ms()):
                self._collect(key, facts)
            if self._results_are_ripe():
                self._record()
        return self.next_due_at

    def _is_drained(self, linger_s: float) -> bool:
        if self._stopping:
            self._hand_back_all()
        if self._interrupting:
            for key, facts in self.sender.abort():
                self._collect(key, facts)
        if self._flights or self._in_hand or self._judged or self._will_take():
            self._idle_since = None
            return False
        if self._stopping or linger_s == 0:
            return True
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        return now - self._idle_since >= linger_s

    def _will_take(self) -> bool:
        """Whether to take now, or in the moment that gathering takes."""
        gathers = self._more and self._no_take_before < self._gathers_until and not self._stopping
        return self._may_take() or gathers

    def _may_take(self) -> bool:
        if self._stopping or self._in_hand >= BATCH:
            return False
        if time.monotonic() < max(self._no_take_before, self._gathers_until):
            return False
        return self._more or (self.next_due_at is not None and self.next_due_at <= clock.now())

    def _follow_others(self) -> None:
        """Notice, four times a second, what other processes changed: no request begins after they turned one off."""
        if is_sqlite() or self.turned_at - self._followed_at < FOLLOW_EVERY_S:
            return
        self._followed_at = self.turned_at
        try:
            settings.refresh()
        except Exception as error:
            if not is_unavailable(error):
                raise

    def _patience_ms(self) -> int:
        """How long the wire may be watched before something else has to be looked at."""
        if self._may_take():
            return 0
        now = time.monotonic()
        waits = [LONGEST_WATCH_S]
        if self._judged:
            waits.append(max(self._judged_since + self._ripe_after_s(), self._no_record_before) - now)
        take_at = max(self._no_take_before, self._gathers_until)
        if self._more and take_at > now:  # else it may not take for another cause, which the wire ends
            waits.append(take_at - now)
        if self._in_hand and not self._flights:
            waits.append(WAIT_FOR_NAME_S)
        return max(0, math.ceil(min(waits) * 1000))

    def _results_are_ripe(self) -> bool:
        """Whether to write now: at once after a pause, in batches while traffic is steady, in large ones under load."""
        now = time.monotonic()
        if not self._judged or now < self._no_record_before:
            return False
        if len(self._judged) >= RESULTS_AT_ONCE:
            return True
        if not (self._flights or self._in_hand) and now - self._recorded_at >= RIPE_AFTER_S:
            return True
        return now - self._judged_since >= self._ripe_after_s()

    def _ripe_after_s(self) -> float:
        return RIPE_UNDER_LOAD_S if self._in_hand else RIPE_AFTER_S

    # --- take

    def _take(self) -> None:
        """Claim a batch, fairly, and load what it needs."""
        now = clock.now()
        self._more = False
        try:
            claims = self._claim(now)
            self._load(claims)
            if len(claims) < WORTH_A_COMMIT:  # what comes meanwhile is taken together
                self._gathers_until = time.monotonic() + TAKE_EVERY_S
        except Exception as error:
            if not is_unavailable(error):
                raise
            self._more = True
            self._no_take_before = time.monotonic() + STORAGE_PAUSE_S
            logs.trouble("the database can't be used; claiming again in a second", error)

    def _claim(self, now: int) -> list[Claim]:
        look = queue.look(now, self.worker)
        claims: list[Claim] = []
        if look.by_hand:
            claims += queue.claim_by_hand(max(1, BATCH - self._in_hand), now, queue.LEASE_MS)
        if look.suspects and not self._holds_suspect():
            claims += queue.claim_suspect(now, queue.LEASE_MS)
        return claims + self._claim_shares(look.lines, now)

    def _holds_suspect(self) -> bool:
        """Whether a delivery that was interrupted twice is in hand, on the wire or not yet recorded."""
        claims = [held.claim for line in self._lines.values() for held in line]
        claims += [flight.held.claim for flight in self._flights.values()]
        claims += [judged.claim for judged in self._judged]
        return any(claim.number - claim.tries >= queue.MOST_INTERRUPTIONS - 1 for claim in claims)

    def _claim_shares(self, waiting: list[queue.Waiting], now: int) -> list[Claim]:
        settings.keep_only({line.webhook_id: line.version for line in waiting})
        due = [line for line in waiting if line.due_at <= now]
        self.next_due_at = min((line.due_at for line in waiting if line.due_at > now), default=None)
        places = BATCH + self.seats.free - self._in_hand
        shares = fairness.share([self._line(line) for line in due], places)
        if not shares:
            return []
        lease_ms = queue.LEASE_MS
        held = {w for w in shares if self._held_until.get(w, 0) > now + lease_ms // 2}
        claims = queue.claim(shares, held, self.worker, now, lease_ms)
        for webhook_id in shares.keys() - held:
            self._held_until[webhook_id] = now + lease_ms
        # As many as were offered: there may be more behind them.
        self._more = self._more or len(claims) >= sum(shares.values())
        return claims

    def _line(self, line: queue.Waiting) -> Line:
        proven = self.seats.proven[line.webhook_id]
        in_hand = len(self._lines.get(line.webhook_id, ())) + self.seats.by_webhook[line.webhook_id]
        kept = settings.of(line.webhook_id)
        most = 1 if kept is not None and kept.ordered else proven.allowance
        room = most - in_hand
        if room * 2 < most:
            room = 0  # claims are made in batches worth a commit
        if self._not_before.get(line.webhook_id, 0.0) > time.monotonic() or self._unrecorded[line.webhook_id]:
            room = 0
        return Line(line.webhook_id, line.organization_id, room, line.retrying, proven.last_served, line.replaying)

    def _load(self, claims: list[Claim]) -> None:
        if not claims:
            return
        events = loading.events_of(claims)
        sent = loading.sent_by([claim for claim in claims if claim.number > 1])
        around = surroundings_of(events.values(), settings.of_many({claim.webhook_id for claim in claims}))
        for claim in claims:
            event = events[claim.event_id]
            nothing = build.Surroundings()
            held = InHand(claim, event, around.get(event.business_unit_id or 0, nothing), sent.get(claim.id))
            self._lines.setdefault(claim.webhook_id, deque()).append(held)
        self._in_hand += len(claims)

    # --- start

    def _start(self) -> None:
        """Give seats to what may start now, webhook by webhook."""
        for webhook_id in list(self._lines):
            line = self._lines[webhook_id]
            while line and self.seats.free and self._start_next(line):
                pass
            if not line:
                del self._lines[webhook_id]

    def _start_next(self, line: deque[InHand]) -> bool:
        """Start the first of a line, or end it without a request. Return False when the line has to wait."""
        held = line[0]
        now = clock.now()
        kept = settings.of(held.claim.webhook_id)
        if kept is None or not self._may_be_sent(held.claim, kept) or self._lease_is_short(held.claim, kept, now):
            self._drop(line)
            queue.hand_back([held.claim])
            return True
        if kept.blocked is not None or kept.url is None:
            self._drop(line)
            self._end_unsent(held, kept, _blocked(kept, now))
            return True
        host: Host = (kept.url.host, kept.url.port)
        if not self._has_room(held.claim, kept, host):
            return False
        answer = self.resolver.answer(host[0], host[1], kept.organization_id, kept.retry.timeout_ms)
        if answer is None:
            return False  # a delivery that waits for a name holds no seat
        self._drop(line)
        self._dial(held, kept, host, answer, now)
        return True

    def _may_be_sent(self, claim: Claim, kept: DeliverySettings) -> bool:
        return claim.by_hand or (kept.is_on and not kept.is_paused)

    def _lease_is_short(self, claim: Claim, kept: DeliverySettings, now: int) -> bool:
        return claim.until - now < kept.retry.timeout_ms + START_MARGIN_MS

    def _has_room(self, claim: Claim, kept: DeliverySettings, host: Host) -> bool:
        webhook_id = claim.webhook_id
        if not self.seats.webhook_has_room(webhook_id, kept.max_in_flight) or not self.seats.host_has_room(host):
            return False
        if claim.number > 1 and not self.seats.retry_has_room():
            return False
        if _is_of_replay(claim) and not self.seats.replay_has_room():
            return False
        now_s = time.monotonic()
        if self._not_before.get(webhook_id, 0.0) > now_s:
            return False
        if kept.rate_limit is not None:
            wait = self.seats.wait_for_token(webhook_id, kept.rate_limit, now_s)
            if wait:
                self._not_before[webhook_id] = now_s + wait
                return False
        return True

    def _dial(self, held: InHand, kept: DeliverySettings, host: Host, answer: Answer, now: int) -> None:
        facts = self._facts(held, kept)
        try:
            body = self._body(held, facts, kept, now)
            request = build.request_of(facts, kept, body.sent, now, fresh=held.claim.number > 1)
        except ShapeError as error:
            self._end_unsent(held, kept, _shape_failed(error, now))
            return
        key = held.claim.id
        self._flights[key] = Flight(held, kept, request, body.kept, host)
        claim = held.claim
        self.seats.sit(claim.webhook_id, host, is_retry=claim.number > 1, is_replay=_is_of_replay(claim))
        self.sender.start(key, request, answer)

    def _facts(self, held: InHand, kept: DeliverySettings) -> EventFacts:
        is_test = held.claim.kind == "test"
        return build.facts_of(held.event, held.around, kept, held.claim.public_id, is_test=is_test)

    def _body(self, held: InHand, facts: EventFacts, kept: DeliverySettings, now: int) -> Body:
        """The bytes that were sent before, unless the webhook was edited since; else shaped now, or for another."""
        event = held.event
        if held.sent is not None and kept.edited_at < held.sent.started_at:
            again = held.sent.body
            return Body(event.public_id, again, build.sent_body(event, again), kept.shape, held.around)
        body = self._bodies.of(event.public_id, kept.shape, held.around)
        if body is None:
            shaped = build.body_of(facts, kept, now)
            body = Body(event.public_id, shaped, build.sent_body(event, shaped), kept.shape, held.around)
            self._bodies.keep(body)
        return body

    def _drop(self, line: deque[InHand]) -> None:
        line.popleft()
        self._in_hand -= 1

    def _hand_back_all(self) -> None:
        if self._in_hand:
            queue.hand_back([held.claim for line in self._lines.values() for held in line])
            self._lines.clear()
            self._in_hand = 0

    # --- collect and record

    def _collect(self, key: int, facts: Facts) -> None:
        """Judge an answer and free its seat at once, before anything is written."""
        flight = self._flights.pop(key)
        claim = flight.held.claim
        now = clock.now()
        result = judge(facts, flight.request.url, flight.settings.success_codes, now)
        skew.note(flight.host, facts.head, now)
        self.seats.leave(claim.webhook_id, flight.host, is_retry=claim.number > 1, is_replay=_is_of_replay(claim))
        if claim.kind != "test":
            self.seats.learn(
                claim.webhook_id,
                flight.host,
                succeeded=result.outcome is Outcome.SUCCEEDED,
                answered=result.status is not None,
                duration_ms=int(result.timings.total_ms),
            )
        if facts.local is not None:
            logs.trouble("a request could not be made for a cause of our own", cause=facts.local)
        if result.free and result.outcome is Outcome.INTERRUPTED:
            self._no_take_before = time.monotonic() + OUR_FAULT_PAUSE_S
        self._keep(flight.held, flight.settings, result, flight.request, flight.body)

    def _end_unsent(self, held: InHand, kept: DeliverySettings, result: Result) -> None:
        self._keep(held, kept, result, None, None)

    def _keep(
        self,
        held: InHand,
        kept: DeliverySettings,
        result: Result,
        request: Request | None,
        body: SentBodyRow | None,
    ) -> None:
        if not self._judged:
            self._judged_since = time.monotonic()
        roll = 0 if result.outcome is Outcome.SUCCEEDED else self.roll()
        self._judged.append(Judged(held.claim, kept, result, request, body, roll))
        if kept.ordered:
            self._unrecorded[kept.webhook_id] += 1

    def _record(self) -> None:
        """Write what the answers mean, all in one commit; keep them and try again while the database is away."""
        batch, self._judged = self._judged, []
        self._recorded_at = time.monotonic()
        try:
            switched, shut = record(batch, clock.now())
        except Exception as error:
            if not is_unavailable(error):
                raise
            self._judged = batch + self._judged
            self._no_record_before = time.monotonic() + STORAGE_PAUSE_S
            logs.trouble("the database can't be used; recording again in a second", error)
            return
        self._unrecorded.subtract([judged.claim.webhook_id for judged in batch if judged.settings.ordered])
        for webhook_id in switched:
            settings.forget(webhook_id)
        self._hand_back_lines([*switched, *shut])
        self._more = True

    def _hand_back_lines(self, webhook_ids: Iterable[int]) -> None:
        """Give back what is in hand for webhooks that went off or whose lane was shut."""
        for webhook_id in webhook_ids:
            line = self._lines.pop(webhook_id, None)
            if line:
                self._in_hand -= len(line)
                queue.hand_back([held.claim for held in line])


def roll_sixteenth() -> int:
    """Return 0 to 15: retries are spread in sixteenths of the jitter, so that many failures make few kinds of row."""
    return secrets.randbelow(16)


def new_engine(worker: str, sender: Sender, resolver: Resolver, roll: Callable[[], int] = roll_sixteenth) -> Engine:
    """Return an engine with this installation's seats; on SQLite all leases are dead now and are released.

    So are the lanes: nobody is left who could serve them.
    """
    if is_sqlite():
        queue.release_lapsed(clock.now(), all_of_them=True)
        queue.let_go()
    return Engine(worker, sender, resolver, roll, installed().settings.concurrency)


def _is_of_replay(claim: Claim) -> bool:
    """Whether it is one of many that are sent again; a single one that a person asked for doesn't wait for others."""
    return claim.kind == "replay" and not claim.by_hand


def _blocked(kept: DeliverySettings, now: int) -> Result:
    message = kept.blocked or "The URL can't be used."
    return Result(outcome=Outcome.BLOCKED, error=ErrorClass.BLOCKED, message=message, started_at=now, final=True)


def _shape_failed(error: ShapeError, now: int) -> Result:
    message = f"The payload couldn't be built: {error.message}"
    return Result(outcome=Outcome.FAILED, error=ErrorClass.SHAPE_FAILED, message=message, started_at=now, final=True)
