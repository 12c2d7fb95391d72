"""Writes what a batch of answers means, in one transaction: deliveries, attempts, bodies, lanes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from app import logs
from app.core import stats as counted
from app.core.health import Seen
from app.core.outcome import DELIVERED, Decision, Result, Timings, decide
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.core.stats import Try
from app.delivery import health, notices, queue, stats
from app.delivery.health import Probed
from app.delivery.queue import Ending, Finished
from app.faults import fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.delivery.orders import Claim, DeliverySettings, SentBodyRow
    from app.door import Door

_TROUBLE = frozenset(
    {
        ErrorClass.DNS,
        ErrorClass.REFUSED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.TIMEOUT,
        ErrorClass.RESET,
        ErrorClass.TLS,
        ErrorClass.BAD_HTTP,
    }
)
_PASSED = Seen(succeeded=True, is_first_try=False, trips_breaker=False)  # of a success no more is asked
_PASSED_BY_HAND = replace(_PASSED, by_hand=True)
_WAITED_FOR = frozenset({ErrorClass.TIMEOUT, ErrorClass.CONNECT_TIMEOUT})


class Judged(NamedTuple):
    """An attempt that has ended: what was claimed, what came of it, and what was sent (None: nothing).

    `request_headers` as the log keeps them.
    """

    claim: Claim
    settings: DeliverySettings
    result: Result
    request_headers: bytes | None
    body: SentBodyRow | None
    roll: int


class Recording:
    """A batch of attempts on its way into the log: made ready, written in a transaction, told of after its commit."""

    def __init__(self, batch: Sequence[Judged], now: int) -> None:
        self.switched: list[int] = []
        """Webhooks that it turned on or off."""
        self.shut: list[int] = []
        """Webhooks that nothing may be sent to for a while."""
        self._now = now
        self._decided = [(judged, decision_on(judged)) for judged in batch]
        self._finished = [
            Finished(
                judged.claim,
                ending_of(judged, decision, now),
                attempt_row(judged),
                judged.body,
                judged.settings.url_text,
            )
            for judged, decision in self._decided
        ]

    def write(self, door: Door) -> None:
        """Write it in the door's transaction."""
        if not self._finished:
            return
        fault("finish.before")
        now = self._now
        moved = queue.finish(door, self._finished, now)
        ours = [(judged, decision) for judged, decision in self._decided if judged.claim.key in moved]
        self.shut, happened = health.fold(door, _seen(ours, now), now)
        turn_off = {
            judged.claim.webhook_id: decision.turn_off for judged, decision in ours if decision.turn_off is not None
        }
        self.switched = health.turn_off(door.session, turn_off, now) if turn_off else []
        if happened:
            notices.tell(door.session, happened, now)
        if tests := [_probed(judged) for judged, _ in ours if judged.claim.kind is DeliveryKind.TEST]:
            self.switched += health.judge_probes(door.session, tests, now)
        tries = [told for judged, _ in ours if (told := try_of(judged)) is not None]
        stats.add(door, counted.counts(tries))

    def tell(self) -> None:
        """Write log lines about what didn't succeed."""
        fault("finish.committed")
        for judged, decision in self._decided:
            if judged.result.outcome is not Outcome.SUCCEEDED:
                _log(judged, decision)


def decision_on(judged: Judged) -> Decision:
    """Return what follows from an attempt."""
    claim = judged.claim
    return decide(
        judged.result,
        judged.settings.retry,
        tries=claim.tries,
        attempts_allowed=claim.attempts_allowed,
        kind=claim.kind,
        roll=judged.roll,
    )


def ending_of(judged: Judged, decision: Decision, now: int) -> Ending:
    """Return how the delivery moves on."""
    if decision is DELIVERED:
        return _delivered(judged.result.status)
    due_at: int | None = None
    if decision.state is DeliveryState.PENDING:
        # An ordered webhook waits as a whole: the delivery keeps its old due time and so its place in line.
        due_at = judged.claim.due_at if judged.settings.ordered else now + (decision.wait_ms or 0)
    result = judged.result
    return Ending(
        state=decision.state,
        next_attempt_at=due_at,
        reason=Reason.SHAPE_FAILED if result.error is ErrorClass.SHAPE_FAILED else decision.reason,
        last_status=result.status,
        last_error=result.error if result.outcome is not Outcome.SUCCEEDED else None,
        is_free=result.free,
    )


@lru_cache(1024)
def _delivered(status: int | None) -> Ending:
    return Ending(DeliveryState.DELIVERED, None, None, status, None)


def attempt_row(judged: Judged) -> dict[str, Any]:
    """Return the attempt's row."""
    result, sent = judged.result, judged.request_headers
    status = result.status
    return {
        "delivery_id": judged.claim.id,
        "number": judged.claim.number,
        "outcome": result.outcome.value,
        "status": status,
        "error": None if result.error is None else result.error.value,
        "message": result.message or None,
        "started_at": result.started_at,
        "duration_ms": round(result.timings.total_ms),
        "timings": None if sent is None else _timings(result.timings),
        "peer": result.peer,
        "tls": result.tls_version,
        "url": judged.settings.url_text,
        "request_headers": sent or b"",
        "body_digest": judged.body.digest if judged.body else None,
        "response_headers": None if status is None else b"\r\n".join([b"%b: %b" % each for each in result.headers]),
        "response_body": None if status is None else result.body,
        "response_size": None if status is None else result.response_size,
        "truncated": result.truncated,
        "late": False,
    }


def _timings(timings: Timings) -> str:
    """The steps in whole microseconds."""
    dns, connect, tls, first_byte, total = timings
    return "%d %d %d %d %d" % (  # noqa: UP031  in a third of the time that formatting each takes
        dns * 1000 + 0.5,
        connect * 1000 + 0.5,
        tls * 1000 + 0.5,
        first_byte * 1000 + 0.5,
        total * 1000 + 0.5,
    )


def _probed(judged: Judged) -> Probed:
    result = judged.result
    is_gone = result.status == HTTPStatus.GONE or result.asked == "disable"
    is_well = result.outcome is Outcome.SUCCEEDED and not is_gone
    return Probed(judged.claim.id, judged.claim.webhook_id, is_well, is_gone)


def _seen(decided: Sequence[tuple[Judged, Decision]], now: int) -> dict[int, list[Seen]]:
    seen: defaultdict[int, list[Seen]] = defaultdict(list)
    for judged, decision in decided:
        told = seen_of(judged, decision, now)
        if told is not None:
            seen[judged.claim.webhook_id].append(told)
    return seen


def seen_of(judged: Judged, decision: Decision, now: int) -> Seen | None:
    """Return what the lane hears of an attempt; None for tests and replays, which tell nothing about its health."""
    result, claim = judged.result, judged.claim
    if claim.kind is not DeliveryKind.NORMAL or result.free:
        return None
    if decision is DELIVERED:
        return _PASSED_BY_HAND if claim.by_hand else _PASSED
    shut_until = now + decision.lane_wait_ms if decision.lane_wait_ms else 0
    if judged.settings.ordered and decision.state is DeliveryState.PENDING:
        shut_until = max(shut_until, now + (decision.wait_ms or 0))
    return Seen(
        succeeded=result.outcome is Outcome.SUCCEEDED,
        is_first_try=claim.tries == 1,
        trips_breaker=result.error in _TROUBLE or (result.status or 0) >= 500,
        error=result.error,
        shut_until=shut_until,
        by_hand=claim.by_hand,
    )


def try_of(judged: Judged) -> Try | None:
    """Return what is counted of an attempt; None for tests, replays and what has its cause on our side."""
    claim, result = judged.claim, judged.result
    if claim.kind is not DeliveryKind.NORMAL or result.free:
        return None
    took = round(result.timings.total_ms)
    return Try(
        claim.webhook_id,
        claim.created_at,
        claim.event_type,
        claim.tries,
        str(result.status or result.error),
        took if result.status or result.error in _WAITED_FOR else None,
        result.started_at + took if result.outcome is Outcome.SUCCEEDED else None,
    )


def _log(judged: Judged, decision: Decision) -> None:
    result, claim = judged.result, judged.claim
    logs.log(
        "attempt",
        delivery=claim.public_id,
        webhook=judged.settings.public_id,
        number=claim.number,
        outcome=result.outcome.value,
        status=result.status,
        error=result.error.value if result.error else None,
        ms=round(result.timings.total_ms),
        state=decision.state.value,
        wait_ms=decision.wait_ms,
    )
