"""The engine: takes what is due, hands it to the wire, records what came of it. One thread; read it downwards."""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app import clock, logs
from app.core import fairness
from app.core.fairness import Line
from app.core.outcome import Result
from app.core.states import ErrorClass, Outcome
from app.database import hot_write, is_sqlite, is_unavailable
from app.delivery import loading, queue, settings, skew
from app.delivery.directory import surroundings_of
from app.delivery.installed import installed
from app.delivery.orders import Landing, News, Order, Surroundings
from app.delivery.record import Judged, Recording
from app.delivery.seats import MOST_ALLOWED
from app.delivery.wire_process import WireLost
from app.faults import fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.delivery.orders import Claim, DeliverySettings, OrderKey
    from app.delivery.wire import Wire
    from app.delivery.wire_process import WireProcess

BATCH = 500
RESULTS_AT_ONCE = 500
REFILL_AT = 2 / 3  # of what was in hand: the wire never runs dry, and a claim is worth its commit
RIPE_AFTER_S = 0.025
TAKE_EVERY_S = 0.006
LONGEST_WATCH_S = 0.05
WORTH_A_COMMIT = 32
RIPE_UNDER_LOAD_S = 0.050
LINGER_S = 1.0
OUR_FAULT_PAUSE_S = 5.0
STORAGE_PAUSE_S = 1.0
FOLLOW_EVERY_S = 0.25


class Engine:
    """Delivers until nothing is due. Drive it with `run()` from one thread at a time."""

    def __init__(self, worker: str, wire: Wire | WireProcess, roll: Callable[[], int], seats: int) -> None:
        """`seats` are how many requests the wire may have on their way at once."""
        self.worker = worker
        self.wire = wire
        self.roll = roll
        self.most_given = BATCH + seats
        self.next_due_at: int | None = None
        self._followed_at = 0.0
        self._turned_at = time.monotonic()
        self._given: dict[OrderKey, Claim] = {}
        self._given_to: Counter[int] = Counter()
        self._waiting = 0
        self._told: dict[int, DeliverySettings] = {}
        self._changed: set[int] = set()  # webhooks whose settings the wire may know no longer as they are
        self._allowances: dict[int, int] = {}
        self._served: dict[int, int] = {}
        self._takes = 0
        self._take_again_at = -1.0
        self._returned: list[Claim] = []
        self._judged: list[Judged] = []
        self._unrecorded: Counter[int] = Counter()  # attempts that decide what is next for their webhook
        self._judged_since = 0.0
        self._recorded_at = 0.0
        self._held_until: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._more = True
        self._stopping = False
        self._interrupting = False
        self._gave_back = self._aborted = False
        self._no_take_before = 0.0  # after trouble of our own
        self._no_record_before = 0.0
        self._gathers_until = 0.0
        self._idle_since: float | None = None
        settings.listen(self._follow_change)

    # --- what others may call

    @property
    def in_flight(self) -> int:
        """How many deliveries the wire has."""
        return len(self._given)

    @property
    def turned_at(self) -> float:
        """When the loop last went round, and the wire with it, on the monotonic clock."""
        return min(self._turned_at, self.wire.turned_at)

    def ring(self) -> None:
        """Look again: something may be due. From any thread."""
        self._more = True
        if time.monotonic() >= self._gathers_until:  # else it looks by itself in a moment
            self.wire.wake()

    def stop(self) -> None:
        """Take nothing new, hand back what has not begun, finish what has. From any thread."""
        self._stopping = True
        self.wire.wake()

    def interrupt(self) -> None:
        """Stop, and end what is on the wire now, as interrupted. From any thread."""
        self._interrupting = True
        self.stop()

    def close(self) -> None:
        """Let go of the wire; what is still on it is lost."""
        settings.leave(self._follow_change)
        self.wire.close()

    # --- the loop

    def run(self, linger_s: float = LINGER_S) -> int | None:
        """Deliver until nothing is due and nothing is on the wire; return when the next delivery falls due.

        Stays for `linger_s` after the last work, so that steady traffic doesn't restart it for every event.
        """
        self._idle_since = None
        self._more = True
        while not self._is_drained(linger_s):
            self._turned_at = time.monotonic()
            self._follow_others()
            self._tell_changes()
            if self._may_take():
                self._take()
            self._turn()
            if self._results_are_ripe():
                self._record()
        return self.next_due_at

    def _turn(self) -> None:
        """Let the wire move. When its process has ended, everything it had counts as interrupted."""
        try:
            self._receive(self.wire.turn(self._patience_ms()))
        except WireLost as loss:
            logs.trouble("the process that sends has ended; what it had is tried again", cause=str(loss))
            self._no_take_before = time.monotonic() + OUR_FAULT_PAUSE_S
            self._receive(News([_interrupted(claim) for claim in self._given.values()], [], {}, 0))
            self._told.clear()

    def _is_drained(self, linger_s: float) -> bool:
        self._pass_on_orders_to_stop()
        if self._given or self._returned or self._judged or self._will_take():
            self._idle_since = None
            return False
        if self._stopping or linger_s == 0:
            return True
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        return now - self._idle_since >= linger_s

    def _pass_on_orders_to_stop(self) -> None:
        if self._stopping and not self._gave_back:
            self._gave_back = True
            self.wire.give_back(None)
        if self._interrupting and not self._aborted:
            self._aborted = True
            self.wire.abort()

    def _will_take(self) -> bool:
        """Whether to take now, or in the moment that gathering takes."""
        gathers = self._more and self._no_take_before < self._gathers_until and not self._stopping
        return self._may_take() or gathers

    def _may_take(self) -> bool:
        if self._stopping or len(self._given) >= self.most_given:
            return False
        if time.monotonic() < max(self._no_take_before, self._gathers_until):
            return False
        return self._more or (self.next_due_at is not None and self.next_due_at <= clock.now())

    def _follow_others(self) -> None:
        """Notice, four times a second, what other processes changed: no request begins after they turned one off."""
        if is_sqlite() or self._turned_at - self._followed_at < FOLLOW_EVERY_S:
            return
        self._followed_at = self._turned_at
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
        return max(0, math.ceil(min(waits) * 1000))

    def _results_are_ripe(self) -> bool:
        """Whether to write now: at once after a pause, in batches while traffic is steady, in large ones under load."""
        now = time.monotonic()
        if not self._judged or now < self._no_record_before:
            return False
        if len(self._judged) >= RESULTS_AT_ONCE:
            return True
        if not self._given and now - self._recorded_at >= RIPE_AFTER_S:
            return True
        return now - self._judged_since >= self._ripe_after_s()

    def _ripe_after_s(self) -> float:
        return RIPE_UNDER_LOAD_S if self._waiting else RIPE_AFTER_S

    # --- take

    def _take(self) -> None:
        """Claim a batch, fairly, load what it needs, and hand it to the wire."""
        now = clock.now()
        self._more = False
        with self._patient_with_storage():
            claims = self._claim(now)
            self._hand(claims)
            if len(claims) < WORTH_A_COMMIT:  # what comes meanwhile is taken together
                self._gathers_until = time.monotonic() + TAKE_EVERY_S

    def _claim(self, now: int) -> list[Claim]:
        look = queue.look(now, self.worker)
        claims: list[Claim] = []
        if look.by_hand:
            claims += queue.claim_by_hand(max(1, self.most_given - len(self._given)), now, queue.LEASE_MS)
        if look.suspects and not self._holds_suspect():
            claims += queue.claim_suspect(now, queue.LEASE_MS)
        return claims + self._claim_shares(look.lines, now)

    def _holds_suspect(self) -> bool:
        """Whether a delivery that was interrupted twice is in hand, on the wire or not yet recorded."""
        claims = [*self._given.values(), *[judged.claim for judged in self._judged]]
        return any(claim.number - claim.tries >= queue.MOST_INTERRUPTIONS - 1 for claim in claims)

    def _claim_shares(self, waiting: list[queue.Waiting], now: int) -> list[Claim]:
        settings.keep_only({line.webhook_id: line.version for line in waiting})
        due = [line for line in waiting if line.due_at <= now]
        self.next_due_at = min((line.due_at for line in waiting if line.due_at > now), default=None)
        shares = fairness.share([self._line(line) for line in due], self.most_given - len(self._given))
        if not shares:
            return []
        if not is_sqlite():
            return self._commit([], shares, now)  # two workers could wait for one another's lanes
        batch, self._judged = self._judged, []
        return self._commit(batch, shares, now)

    def _line(self, line: queue.Waiting) -> Line:
        webhook_id = line.webhook_id
        kept = settings.of(webhook_id)
        most = 1 if kept is not None and kept.ordered else self._allowances.get(webhook_id, MOST_ALLOWED)
        room = most - self._given_to[webhook_id]
        if room < most * (1 - REFILL_AT):
            room = 0  # claims are made in batches worth a commit
        if self._not_before.get(webhook_id, 0.0) > time.monotonic() or self._unrecorded[webhook_id]:
            room = 0
        served = self._served.get(webhook_id, 0)
        return Line(webhook_id, line.organization_id, room, line.retrying, served, line.replaying)

    def _hand(self, claims: list[Claim]) -> None:
        """Give claims to the wire, with all that it needs to know for them."""
        if not claims:
            return
        events = loading.events_of(claims)
        sent = loading.sent_by([claim for claim in claims if claim.number > 1])
        webhook_ids = {claim.webhook_id for claim in claims}
        told, as_of = self._news_for(webhook_ids)
        around = surroundings_of(events.values(), settings.of_many(webhook_ids))
        nothing = Surroundings()
        orders = []
        for claim in claims:
            event = events[claim.event_id]
            orders.append(Order(claim, event, around.get(event.business_unit_id or 0, nothing), sent.get(claim.id)))
        self.wire.hand(orders, told, as_of)
        self._given.update((claim.key, claim) for claim in claims)
        self._given_to.update(claim.webhook_id for claim in claims)
        self._takes += 1
        self._served.update(dict.fromkeys(webhook_ids, self._takes))
        # Few are not worth a look of their own: what comes after them is found when they are recorded.
        self._take_again_at = len(self._given) * REFILL_AT if len(self._given) >= WORTH_A_COMMIT else -1.0

    # --- what changed meanwhile

    def _follow_change(self, webhook_id: int, change: int) -> None:
        """Hold a webhook that was changed. In the thread that changed it, so that nothing begins after that."""
        if webhook_id in self._told:
            self.wire.hold(webhook_id, change)
            self._changed.add(webhook_id)
            self.wire.wake()

    def _tell_changes(self) -> None:
        """Tell the wire what became of webhooks that were changed while it has something for them."""
        changed = set()
        while self._changed:
            changed.add(self._changed.pop())
        changed = {webhook_id for webhook_id in changed if self._given_to[webhook_id]}
        if not changed:
            return
        with self._patient_with_storage():
            try:
                news = self._news_for(changed)
            except BaseException:
                self._changed |= changed
                raise
            self.wire.tell(*news)

    def _news_for(self, webhook_ids: set[int]) -> tuple[dict[int, DeliverySettings | None], int]:
        """Return the settings that the wire doesn't know yet (None: the webhook is gone), and as of which change."""
        as_of = settings.changes()
        found = settings.of_many(webhook_ids)
        news = {each: found.get(each) for each in webhook_ids if self._told.get(each) is not found.get(each)}
        self._told.update(found)
        return news, as_of

    # --- receive and record

    def _receive(self, news: News) -> None:
        self._waiting = news.waiting
        self._not_before.update(news.pauses)
        for landing in news.landed:
            self._land(landing)
        if len(self._given) <= self._take_again_at:
            self._more, self._take_again_at = True, -1.0
        self._returned += [self._take_back(order) for order in news.returned]
        if self._returned:
            self._hand_back()

    def _take_back(self, order: OrderKey) -> Claim:
        claim = self._given.pop(order)
        self._given_to[claim.webhook_id] -= 1
        return claim

    def _hand_back(self) -> None:
        """Give back what was not begun: unsent, uncounted."""
        if time.monotonic() < self._no_record_before:
            return
        with self._patient_with_storage():
            queue.hand_back(self._returned)
            self._returned = []

    def _land(self, landing: Landing) -> None:
        claim = self._take_back(landing.order)
        kept, result = self._told[claim.webhook_id], landing.result
        self._allowances[claim.webhook_id] = landing.allowance
        if result.headers and kept.url is not None:
            ended_at = result.started_at + round(result.timings.total_ms)
            skew.note((kept.url.host, kept.url.port), result.headers, ended_at)
        if result.free and result.outcome is Outcome.INTERRUPTED:
            self._no_take_before = time.monotonic() + OUR_FAULT_PAUSE_S
        if not self._judged:
            self._judged_since = time.monotonic()
        roll = 0 if result.outcome is Outcome.SUCCEEDED else self.roll()
        judged = Judged(claim, kept, result, landing.request_headers, landing.body, roll)
        self._judged.append(judged)
        if _decides_what_is_next(judged):
            self._unrecorded[claim.webhook_id] += 1

    def _record(self) -> None:
        """Write what the answers mean; keep them and try again while the database is away."""
        batch, self._judged = self._judged, []
        with self._patient_with_storage():
            self._commit(batch, {}, clock.now())

    def _commit(self, batch: list[Judged], shares: dict[int, int], now: int) -> list[Claim]:
        """Record a batch and claim shares in one commit: under load it is the commits that take time."""
        claims: list[Claim] = []
        try:
            recording = Recording(batch, now)
            with hot_write() as door:
                recording.write(door)
                stopped = {*recording.switched, *recording.shut}
                shares = {webhook_id: share for webhook_id, share in shares.items() if webhook_id not in stopped}
                held = {each for each in shares if self._held_until.get(each, 0) > now + queue.LEASE_MS // 2}
                if shares:
                    claims = queue.claim(door, shares, held, self.worker, now, queue.LEASE_MS)
        except BaseException:
            self._judged = batch + self._judged
            raise
        if shares:
            fault("claim.committed")
            self._held_until |= dict.fromkeys(shares.keys() - held, now + queue.LEASE_MS)
            # As many as were offered: there may be more behind them.
            self._more = self._more or len(claims) >= sum(shares.values())
        self._note_recorded(batch, recording, stopped)
        return claims

    def _note_recorded(self, batch: list[Judged], recording: Recording, stopped: set[int]) -> None:
        if not batch:
            return
        self._recorded_at = time.monotonic()
        recording.tell()
        self._unrecorded.subtract([judged.claim.webhook_id for judged in batch if _decides_what_is_next(judged)])
        for webhook_id in recording.switched:
            settings.forget(webhook_id)
        if idle := [webhook_id for webhook_id in stopped if self._given_to[webhook_id]]:
            self.wire.give_back(idle)
        self._more = True

    @contextmanager
    def _patient_with_storage(self) -> Iterator[None]:
        """Leave the database alone for a second when it is away; what was to be done is tried again."""
        try:
            yield
        except Exception as error:
            if not is_unavailable(error):
                raise
            self._more = True
            self._no_take_before = self._no_record_before = time.monotonic() + STORAGE_PAUSE_S
            logs.trouble("the database can't be used; trying again in a second", error)


def roll_sixteenth() -> int:
    """Return 0 to 15: retries are spread in sixteenths of the jitter, so that many failures make few kinds of row."""
    return secrets.randbelow(16)


def _decides_what_is_next(judged: Judged) -> bool:
    """Whether nothing more may be claimed for its webhook before it is on record: a failure may shut its lane."""
    return judged.settings.ordered or judged.result.outcome is not Outcome.SUCCEEDED


def _interrupted(claim: Claim) -> Landing:
    message = "The process that sends has ended during the request; the receiver may have got it"
    result = Result(Outcome.INTERRUPTED, None, ErrorClass.INTERRUPTED, message, free=True, started_at=clock.now())
    return Landing(claim.key, result, None, None, MOST_ALLOWED)


def new_engine(worker: str, wire: Wire | WireProcess, roll: Callable[[], int] = roll_sixteenth) -> Engine:
    """Return an engine with this installation's seats; on SQLite all leases are dead now and are released.

    So are the lanes: nobody is left who could serve them.
    """
    if is_sqlite():
        queue.release_lapsed(clock.now(), all_of_them=True)
        queue.let_go()
    return Engine(worker, wire, roll, installed().settings.concurrency)
