"""The wire: begins what it was handed as soon as it may, and says what came of it. It knows no database.

One thread owns it; only `wake` and `hold` may be called from others.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app import clock, logs
from app.core.outcome import Facts, Result, judge
from app.core.shaping import EventFacts, ShapeError
from app.core.states import DeliveryKind, ErrorClass, Outcome
from app.delivery import build
from app.delivery.bodies import Body, SharedBodies, one_of_a_kind
from app.delivery.orders import Landing, News
from app.delivery.seats import Host, Seats

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from app.delivery.orders import Claim, DeliverySettings, Order, OrderKey, SentBodyRow
    from app.delivery.resolver import Answer, Resolver
    from app.delivery.sender import Sender
    from app.delivery.transfer import Request

LONGEST_WATCH_MS = 50
WAIT_FOR_NAME_MS = 5  # or for a token
START_MARGIN_MS = 10_000


@dataclass(slots=True)
class Flight:
    """A request on the wire."""

    order: Order
    settings: DeliverySettings
    request: Request
    body: SentBodyRow
    host: Host
    is_retry: bool
    is_replay: bool


class Wire:
    """Orders in, landings out."""

    def __init__(self, sender: Sender, resolver: Resolver, seats: int) -> None:
        self.sender = sender
        self.resolver = resolver
        self.seats = Seats(seats)
        self._settings: dict[int, DeliverySettings] = {}
        self._held: dict[int, int] = {}
        self._lines: dict[int, deque[Order]] = {}
        self._waiting = 0
        self._flights: dict[int, Flight] = {}
        self._begun = 0
        self._bodies = SharedBodies()
        self._not_before: dict[int, float] = {}
        self._landed: list[Landing] = []
        self._returned: list[OrderKey] = []
        self._pauses: dict[int, float] = {}

    @property
    def turned_at(self) -> float:
        """When it last went round, on the monotonic clock: it goes round with whoever calls `turn`."""
        return time.monotonic()

    # --- what it is told

    def hand(self, orders: Sequence[Order], settings: Mapping[int, DeliverySettings | None], as_of: int) -> None:
        """Take orders, with the settings of those webhooks whose settings are not known here as they are now."""
        for order in orders:
            self._lines.setdefault(order.claim.webhook_id, deque()).append(order)
        self._waiting += len(orders)
        self.tell(settings, as_of)
        for webhook_id in {order.claim.webhook_id for order in orders} - settings.keys():
            self._return_what_may_not_go(webhook_id)

    def tell(self, settings: Mapping[int, DeliverySettings | None], as_of: int) -> None:
        """Follow changed settings, read after change number `as_of`; None: the webhook is gone."""
        for webhook_id, told in settings.items():
            if told is None:
                self._settings.pop(webhook_id, None)
            else:
                self._settings[webhook_id] = replace(told, shape=one_of_a_kind(told.shape))
            if self._held.get(webhook_id, 0) <= as_of:
                self._held.pop(webhook_id, None)
            self._return_what_may_not_go(webhook_id)

    def hold(self, webhook_id: int, change: int) -> None:
        """Begin nothing for a webhook whose settings were changed, by change number `change`, until they are told."""
        self._held[webhook_id] = change

    def give_back(self, webhook_ids: Collection[int] | None) -> None:
        """Return what has not begun for these webhooks; None: for all."""
        for webhook_id in list(self._lines if webhook_ids is None else webhook_ids):
            line = self._lines.pop(webhook_id, ())
            self._returned += [order.claim.key for order in line]
            self._waiting -= len(line)

    def abort(self) -> None:
        """End what is on the wire now, as interrupted."""
        for key, facts in self.sender.abort():
            self._collect(key, facts)

    def wake(self) -> None:
        """End the present or the next `turn`."""
        self.sender.wake()

    def close(self) -> None:
        """End what is on the wire, and every connection."""
        self.sender.abort()
        self.sender.close()
        self.resolver.close()

    # --- what it does

    def turn(self, patience_ms: int) -> News:
        """Begin what may begin, and let the wire move until something came back or the patience has ended."""
        self._start()
        if self._waiting:
            patience_ms = min(patience_ms, LONGEST_WATCH_MS if self._flights else WAIT_FOR_NAME_MS)
        has_news = self._landed or self._returned or self._pauses
        for key, facts in self.sender.turn(0 if has_news else patience_ms):
            self._collect(key, facts)
        news = News(self._landed, self._returned, self._pauses, self._waiting)
        self._landed, self._returned, self._pauses = [], [], {}
        return news

    def _return_what_may_not_go(self, webhook_id: int) -> None:
        """Return the orders of a webhook that is gone, off or paused, but for what a person asked for."""
        line = self._lines.get(webhook_id)
        kept = self._settings.get(webhook_id)
        if line is None or (kept is not None and kept.is_on and not kept.is_paused):
            return
        going = deque(order for order in line if kept is not None and order.claim.by_hand)
        self._returned += [order.claim.key for order in line if kept is None or not order.claim.by_hand]
        self._waiting -= len(line) - len(going)
        self._put(webhook_id, going)

    def _put(self, webhook_id: int, line: deque[Order]) -> None:
        if line:
            self._lines[webhook_id] = line
        else:
            del self._lines[webhook_id]

    # --- start

    def _start(self) -> None:
        """Give seats to what may start now, webhook by webhook."""
        for webhook_id in list(self._lines):
            if not self.seats.free:
                return
            line, kept = self._lines[webhook_id], self._settings[webhook_id]
            while line and self._may_begin(kept) and self._start_next(line, kept):
                pass
            if not line:
                del self._lines[webhook_id]

    def _may_begin(self, kept: DeliverySettings) -> bool:
        webhook_id = kept.webhook_id
        return (
            self.seats.webhook_has_room(webhook_id, kept.max_in_flight)
            and self.seats.free > 0
            and webhook_id not in self._held
        )

    def _start_next(self, line: deque[Order], kept: DeliverySettings) -> bool:
        """Start the first of a line, or end it without a request. Return False when the line has to wait."""
        order = line[0]
        now = clock.now()
        if order.claim.until - now < kept.retry.timeout_ms + START_MARGIN_MS:
            self._drop(line)
            self._returned.append(order.claim.key)
            return True
        if kept.blocked is not None or kept.url is None:
            self._drop(line)
            self._land(order.claim, _blocked(kept, now), None, None)
            return True
        host: Host = (kept.url.host, kept.url.port)
        if not self._has_room(order.claim, kept, host):
            return False
        answer = self.resolver.answer(host[0], host[1], kept.organization_id, kept.retry.timeout_ms)
        if answer is None:
            return False  # a delivery that waits for a name holds no seat
        self._drop(line)
        self._dial(order, kept, host, answer, now)
        return True

    def _has_room(self, claim: Claim, kept: DeliverySettings, host: Host) -> bool:
        if not self.seats.host_has_room(host):
            return False
        if claim.number > 1 and not self.seats.retry_has_room():
            return False
        if _is_of_replay(claim) and not self.seats.replay_has_room():
            return False
        return kept.rate_limit is None or self._has_token(claim.webhook_id, kept.rate_limit)

    def _has_token(self, webhook_id: int, rate: float) -> bool:
        now_s = time.monotonic()
        if self._not_before.get(webhook_id, 0.0) > now_s:
            return False
        wait = self.seats.wait_for_token(webhook_id, rate, now_s)
        if wait:
            self._not_before[webhook_id] = self._pauses[webhook_id] = now_s + wait
        return not wait

    def _dial(self, order: Order, kept: DeliverySettings, host: Host, answer: Answer, now: int) -> None:
        claim = order.claim
        is_test = claim.kind is DeliveryKind.TEST
        facts = build.facts_of(order.event, order.around, kept, claim.public_id, is_test=is_test)
        try:
            body = self._body(order, facts, kept, now)
            request = build.request_of(facts, kept, body.sent, now, fresh=claim.number > 1)
        except ShapeError as error:
            self._land(claim, _shape_failed(error, now), None, None)
            return
        is_retry, is_replay = claim.number > 1, _is_of_replay(claim)
        self._begun += 1
        self._flights[self._begun] = Flight(order, kept, request, body.kept, host, is_retry, is_replay)
        self.seats.sit(claim.webhook_id, host, is_retry=is_retry, is_replay=is_replay)
        self.sender.start(self._begun, request, answer)

    def _body(self, order: Order, facts: EventFacts, kept: DeliverySettings, now: int) -> Body:
        """The bytes that were sent before, unless the webhook was edited since; else shaped now, or for another."""
        event = order.event
        if order.sent is not None and kept.edited_at < order.sent.started_at:
            again = order.sent.body
            return Body(event.public_id, again, build.sent_body(event, again), kept.shape, order.around)
        body = self._bodies.of(event.public_id, kept.shape, order.around)
        if body is None:
            shaped = build.body_of(facts, kept, now)
            body = Body(event.public_id, shaped, build.sent_body(event, shaped), kept.shape, order.around)
            self._bodies.keep(body)
        return body

    def _drop(self, line: deque[Order]) -> None:
        line.popleft()
        self._waiting -= 1

    # --- collect

    def _collect(self, key: int, facts: Facts) -> None:
        """Judge an answer and free its seat at once."""
        flight = self._flights.pop(key)
        claim, kept = flight.order.claim, flight.settings
        result = judge(facts, flight.request.url, kept.success_codes, clock.now())
        self.seats.leave(claim.webhook_id, flight.host, is_retry=flight.is_retry, is_replay=flight.is_replay)
        if claim.kind is not DeliveryKind.TEST:
            self.seats.learn(
                claim.webhook_id,
                flight.host,
                succeeded=result.outcome is Outcome.SUCCEEDED,
                answered=result.status is not None,
                duration_ms=int(result.timings.total_ms),
            )
        if facts.local is not None:
            logs.trouble("a request could not be made for a cause of our own", cause=facts.local)
        self._land(claim, result, build.shown_headers(flight.request, kept), flight.body)

    def _land(self, claim: Claim, result: Result, request_headers: bytes | None, body: SentBodyRow | None) -> None:
        allowance = self.seats.proven[claim.webhook_id].allowance
        self._landed.append(Landing(claim.key, result, request_headers, body, allowance))


def _is_of_replay(claim: Claim) -> bool:
    """Whether it is one of many that are sent again; a single one that a person asked for doesn't wait for others."""
    return claim.kind is DeliveryKind.REPLAY and not claim.by_hand


def _blocked(kept: DeliverySettings, now: int) -> Result:
    message = kept.blocked or "The URL can't be used."
    return Result(outcome=Outcome.BLOCKED, error=ErrorClass.BLOCKED, message=message, started_at=now, final=True)


def _shape_failed(error: ShapeError, now: int) -> Result:
    message = f"The payload couldn't be built: {error.message}"
    return Result(outcome=Outcome.FAILED, error=ErrorClass.SHAPE_FAILED, message=message, started_at=now, final=True)
