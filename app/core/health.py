"""How a webhook's lane is doing: breaker, sustained failure, auto-off, recovery, probes. Values in; values out."""

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
SUSTAINED_MS = 6 * 3_600_000
SUSTAINED_ATTEMPTS = 20
WARNED_BEFORE_MS = 86_400_000
EARLY_MS = 5 * 60_000  # somebody looks once a minute, and the day before is to be a whole one
PROBE_DAYS = (1, 2, 4, 7, 7, 7, 7, 7, 7, 7)


class Happening(StrEnum):
    """What a batch of results changed about a lane that somebody may have to be told."""

    FAILING = "failing"  # for so long, or so often, that it is no hiccup
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a lane. Counts are since the last success.

    Failing without a failed attempt: it was turned on again, and has yet to prove that it delivers.
    """

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
    """Fold a batch of results, oldest first, into a lane's health; tell each end and each lasting run of failures."""
    happenings: list[Happening] = []
    well: Health | None = None  # after a success, as nearly every result is one, the next leaves it as it is
    for seen in results:
        if seen.succeeded and health is well:
            continue
        if seen.succeeded:
            if health.failing_since is not None:
                happenings.append(Happening.RECOVERED)
            # What was under way already when the receiver asked for time says nothing about its wish.
            asked_until = 0 if health.times_opened or seen.by_hand else health.shut_until
            health = Health(last_success_at=now, shut_until=asked_until)
            well = None if asked_until else health
            continue
        before, health = health, _failed(health, seen, now)
        if is_sustained(health) and not is_sustained(before):
            happenings.append(Happening.FAILING)
        if _must_open(health, seen, now):
            pause = min(FIRST_PAUSE_MS << min(health.times_opened, 5), LONGEST_PAUSE_MS)
            health = replace(health, shut_until=now + pause, times_opened=health.times_opened + 1)
    return health, happenings


def _failed(health: Health, seen: Seen, now: int) -> Health:
    return replace(
        health,
        failures_in_row=health.failures_in_row + 1 if seen.trips_breaker else health.failures_in_row,
        deliveries_failing=health.deliveries_failing + (1 if seen.is_first_try else 0),
        failed_attempts=health.failed_attempts + 1,
        failing_since=health.failing_since if health.failed_attempts else now,
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


def begun_again(health: Health, now: int, *, must_prove: bool) -> Health:
    """Return the health of a lane whose webhook was turned on: nothing counts against it.

    With `must_prove` its first success is a recovery, because its people were told that it failed.
    """
    return Health(last_success_at=health.last_success_at, failing_since=now if must_prove else None)


def is_sustained(health: Health) -> bool:
    """Whether its failures are worth a word to somebody: 20 in a row, or nothing else for 6 hours."""
    if health.failing_since is None:
        return False
    lasted = (health.last_failure_at or 0) - health.failing_since
    return health.failed_attempts >= SUSTAINED_ATTEMPTS or lasted >= SUSTAINED_MS


def turns_off_at(health: Health) -> int | None:
    """Return when a webhook that keeps failing is turned off at the earliest; None for one that doesn't fail."""
    if health.failing_since is None:
        return None
    return max(health.failing_since, health.last_success_at or 0) + AUTO_OFF_AFTER_MS


def goes_off_at(health: Health, warned_at: int | None, now: int) -> int | None:
    """Return when it is turned off unless it delivers: a day after its people were warned, or are warned `now`.

    None while that is more than a day away, or while too little speaks for it: fewer than 20 attempts, or
    failures less than 12 hours apart.
    """
    due_at = turns_off_at(health)
    if due_at is None or now < due_at - WARNED_BEFORE_MS - EARLY_MS or health.failed_attempts < AUTO_OFF_ATTEMPTS:
        return None
    if (health.last_failure_at or 0) - (health.failing_since or 0) < AUTO_OFF_SPAN_MS:
        return None
    return max(due_at, (now if warned_at is None else warned_at) + WARNED_BEFORE_MS)


def probe_after(probes: int) -> int | None:
    """Return how many milliseconds after probe number `probes` (0: after it was turned off) the next one is due.

    None: no more; whoever wants it on turns it on.
    """
    return PROBE_DAYS[probes] * 86_400_000 if probes < len(PROBE_DAYS) else None
