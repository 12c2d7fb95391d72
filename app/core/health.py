"""How a webhook's lane is doing: breaker, sustained failure, auto-off, recovery. A lane's values in; values out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BREAKER_FAILURES = 5
BREAKER_DELIVERIES = 3
FIRST_PAUSE_MS = 30_000
LONGEST_PAUSE_MS = 15 * 60_000
AUTO_OFF_AFTER_MS = 5 * 86_400_000
AUTO_OFF_ATTEMPTS = 20
AUTO_OFF_SPAN_MS = 12 * 3_600_000


class Happening(StrEnum):
    """What a batch of results changed about a lane."""

    OPENED = "opened"  # the breaker: nothing is sent for a while
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a lane. Counts are since the last success."""

    shut_until: int = 0
    failures_in_row: int = 0
    deliveries_failing: int = 0
    failed_attempts: int = 0
    times_opened: int = 0
    failing_since: int | None = None
    last_failure_at: int | None = None
    last_success_at: int | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One judged attempt, as far as health needs to know it."""

    succeeded: bool
    is_first_try: bool
    trips_breaker: bool  # a timeout, no connection, TLS, 5xx: the receiver is in trouble, not the request
    error: str | None = None
    shut_until: int = 0  # the receiver asked the whole webhook to wait
    by_hand: bool = False  # it passed a shut lane


def fold(health: Health, results: Iterable[Seen], now: int) -> tuple[Health, list[Happening]]:
    """Fold a batch of results, oldest first, into a lane's health."""
    happenings: list[Happening] = []
    for seen in results:
        if seen.succeeded:
            if health.failing_since is not None and health.times_opened:
                happenings.append(Happening.RECOVERED)
            # What was under way already when the receiver asked for time says nothing about its wish.
            asked_until = 0 if health.times_opened or seen.by_hand else health.shut_until
            health = Health(last_success_at=now, shut_until=asked_until)
            continue
        health = _failed(health, seen, now)
        if _must_open(health, seen, now):
            pause = min(FIRST_PAUSE_MS << min(health.times_opened, 5), LONGEST_PAUSE_MS)
            health = replace(health, shut_until=now + pause, times_opened=health.times_opened + 1)
            happenings.append(Happening.OPENED)
    return health, happenings


def _failed(health: Health, seen: Seen, now: int) -> Health:
    return replace(
        health,
        failures_in_row=health.failures_in_row + 1 if seen.trips_breaker else health.failures_in_row,
        deliveries_failing=health.deliveries_failing + (1 if seen.is_first_try else 0),
        failed_attempts=health.failed_attempts + 1,
        failing_since=health.failing_since if health.failing_since is not None else now,
        last_failure_at=now,
        last_error=seen.error,
        shut_until=max(health.shut_until, seen.shut_until),
    )


def _must_open(health: Health, seen: Seen, now: int) -> bool:
    return (
        seen.trips_breaker
        and health.shut_until <= now
        and health.failures_in_row >= BREAKER_FAILURES
        and (health.deliveries_failing >= BREAKER_DELIVERIES or health.times_opened > 0)
    )


def turns_off_at(health: Health) -> int | None:
    """Return when a webhook that keeps failing is turned off, or None while too little speaks for it."""
    if health.failing_since is None:
        return None
    return max(health.failing_since, health.last_success_at or 0) + AUTO_OFF_AFTER_MS


def must_turn_off(health: Health, now: int) -> bool:
    """Whether it has failed so long and so often that it is turned off: 5 days, 20 attempts, 12 hours apart."""
    due_at = turns_off_at(health)
    return (
        due_at is not None
        and now >= due_at
        and health.failed_attempts >= AUTO_OFF_ATTEMPTS
        and (health.last_failure_at or 0) - (health.failing_since or 0) >= AUTO_OFF_SPAN_MS
    )
