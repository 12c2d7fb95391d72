"""What the counts tell of a webhook, of the organization, and of the last day in the list."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Period
from app.core.stats import HOUR_MS, Try, counts
from app.database import hot_write
from app.delivery import stats as counted
from app.errors import NotFound, Refused
from app.services import stats, webhooks

DAY_MS = 24 * HOUR_MS


def add(view, *tries, ago=0, clock):
    """Count tries: (event type, number, answer, duration, delivered)."""
    came_at = clock.now - ago
    with hot_write() as door:
        counted.add(
            door,
            counts(
                Try(view.row_id, came_at, kind, number, answer, ms, came_at + ms if delivered else None)
                for kind, number, answer, ms, delivered in tries
            ),
        )


@pytest.fixture
def hook(make_webhook):
    return make_webhook(url="http://127.0.0.1:9001/")


def test_a_period_is_told_in_figures_that_agree_with_one_another(hook, owner, clock):
    add(hook, *[("job.created", 1, "200", 100, True)] * 3, ("job.updated", 1, "503", 40, False), clock=clock)
    add(
        hook,
        ("job.created", 1, "timeout", 15_000, False),
        ("job.created", 2, "200", 100, True),
        ago=5 * HOUR_MS,
        clock=clock,
    )

    found = stats.of_webhook(owner, hook.id, Period.DAY)

    assert (found.attempted, found.delivered, found.first, found.failed) == (5, 4, 3, 1)
    assert found.by_answer == (("200", 4), ("503", 1), ("timeout", 1))
    assert found.by_event == (("job.created", 4, 4), ("job.updated", 1, 0))
    assert [(part.attempted, part.delivered) for part in found.slots if part.attempted] == [(1, 1), (4, 3)]
    assert found.duration.p50 == pytest.approx(100, rel=0.1)
    assert found.duration.p99 == pytest.approx(15_000, rel=0.1)
    assert found.lag.p95 == pytest.approx(100, rel=0.1)
    assert stats.of_organization(owner, Period.DAY) == found


def test_of_nothing_no_rate_and_no_duration_is_told(hook, owner):
    found = stats.of_webhook(owner, hook.id, Period.WEEK)

    assert (found.attempted, found.duration.p95, found.lag.p50) == (0, None, None)
    assert len(found.slots) == 28


def test_a_day_is_the_viewers_day(hook, owner, clock):
    add(hook, ("job.created", 1, "200", 10, True), ago=9 * HOUR_MS + 1, clock=clock)  # 23:59 UTC the day before

    utc = stats.of_webhook(owner, hook.id, Period.MONTH).slots[-2:]
    auckland = stats.of_webhook(owner, hook.id, Period.MONTH, ZoneInfo("Asia/Tokyo")).slots[-2:]

    assert [part.attempted for part in utc] == [1, 0]
    assert [part.attempted for part in auckland] == [0, 1]


def test_what_lies_outside_the_period_is_not_counted(hook, owner, clock):
    for days in (1, 6, 29, 31):
        add(hook, ("job.created", 1, "200", 10, True), ago=days * DAY_MS, clock=clock)

    found = [stats.of_webhook(owner, hook.id, period).attempted for period in Period]

    assert found == [0, 2, 3]


def test_figures_are_for_those_who_may_see_webhooks_and_of_their_organization_alone(
    hook, make_member, stranger, owner, clock
):
    add(hook, ("job.created", 1, "200", 10, True), clock=clock)

    with pytest.raises(Refused):
        stats.of_organization(make_member("mo").actor, Period.DAY)
    with pytest.raises(NotFound):
        stats.of_webhook(stranger, hook.id, Period.DAY)
    assert stats.of_organization(stranger, Period.DAY).attempted == 0


def test_a_deleted_webhook_stays_in_the_figures_of_the_organization(hook, owner, clock):
    add(hook, ("job.created", 1, "200", 10, True), clock=clock)

    webhooks.delete(owner, hook.id)

    assert stats.of_organization(owner, Period.DAY).attempted == 1


def test_the_list_has_a_bar_an_hour_and_tells_silence_from_failure(hook, make_webhook, owner, clock):
    other = make_webhook(url="http://127.0.0.1:9002/", name="Other")
    add(hook, ("a", 1, "200", 10, True), ("a", 1, "503", 500, False), clock=clock)
    add(hook, ("a", 1, "200", 10, True), ago=23 * HOUR_MS, clock=clock)
    add(hook, ("a", 1, "200", 10, True), ago=24 * HOUR_MS, clock=clock)

    found = stats.last_day(owner, [hook, other])

    assert found[hook.id].bars == ((1, 0), *[(0, 0)] * 22, (1, 1))
    assert (found[hook.id].attempted, found[hook.id].delivered, found[hook.id].failed) == (3, 2, 1)
    assert found[hook.id].p95 == pytest.approx(500, rel=0.1)
    assert (found[other.id].attempted, found[other.id].p95) == (0, None)


def test_how_often_a_silent_webhook_used_to_deliver_is_counted_in_days(
    hook, owner, clock, publish, deliver, receiver, make_webhook
):
    regular = make_webhook(url=receiver.url)
    for days in range(1, 20):
        add(regular, *[("job.created", 1, "200", 10, True)] * 2, ago=days * DAY_MS, clock=clock)
    publish()
    deliver()
    assert stats.last_day(owner, [webhooks.find(owner, regular.id)])[regular.id].days == 0

    clock.advance(ms=DAY_MS + 1)

    assert stats.last_day(owner, [webhooks.find(owner, regular.id)])[regular.id].days == stats.RHYTHM_DAYS


def test_the_installations_pace_is_that_of_this_hour_and_the_last(hook, clock):
    add(hook, *[("job.created", 1, "200", 100, True)] * 30, clock=clock)
    add(hook, *[("job.created", 2, "200", 100, True)] * 30, ago=HOUR_MS, clock=clock)
    add(hook, *[("job.created", 1, "200", 9_000, True)] * 500, ago=3 * HOUR_MS, clock=clock)

    clock.advance(seconds=1800)  # into the hour
    found = stats.pace(clock.now)

    assert found.per_minute == pytest.approx(60 / 90)
    assert 90 <= found.lag_p95 <= 110


def test_where_nothing_arrived_there_is_no_lag(hook, clock):
    add(hook, ("job.created", 1, "503", 100, False), clock=clock)

    assert stats.pace(clock.now) == stats.Pace(0.0, None)
