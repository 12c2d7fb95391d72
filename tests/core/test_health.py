"""Breaker, sustained failure, auto-off and recovery, as values in and values out."""

from __future__ import annotations

import pytest

from app.core.health import Happening, Health, Seen, fold, must_turn_off, turns_off_at

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_795_251_600_000
OK = Seen(succeeded=True, is_first_try=True, trips_breaker=False)
DOWN = Seen(succeeded=False, is_first_try=True, trips_breaker=True, error="timeout")
DOWN_AGAIN = Seen(succeeded=False, is_first_try=False, trips_breaker=True, error="timeout")
REFUSED = Seen(succeeded=False, is_first_try=True, trips_breaker=False, error="status")


def test_five_failures_in_a_row_of_three_deliveries_open_the_breaker_for_half_a_minute():
    before, nothing = fold(Health(), [DOWN, DOWN, DOWN, DOWN], NOW)
    assert nothing == []
    assert before.shut_until == 0

    after, happenings = fold(before, [DOWN], NOW)

    assert happenings == [Happening.OPENED]
    assert after.shut_until == NOW + 30_000


def test_many_failures_of_two_deliveries_leave_their_schedule_alone():
    after, happenings = fold(Health(), [DOWN, DOWN, *[DOWN_AGAIN] * 20], NOW)

    assert happenings == []
    assert after.shut_until == 0


def test_answers_that_blame_the_request_do_not_open_the_breaker():
    after, happenings = fold(Health(), [REFUSED] * 20, NOW)

    assert happenings == []
    assert after.shut_until == 0
    assert after.failed_attempts == 20


def test_each_failed_probe_doubles_the_pause_up_to_a_quarter_of_an_hour():
    health, _ = fold(Health(), [DOWN] * 5, NOW)
    now, pauses = NOW, [health.shut_until - NOW]
    for _ in range(7):
        now = health.shut_until
        health, happenings = fold(health, [DOWN_AGAIN], now)
        assert happenings == [Happening.OPENED]
        pauses.append(health.shut_until - now)

    assert pauses == [30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000]


def test_answers_that_come_in_while_it_is_open_do_not_open_it_again():
    health, _ = fold(Health(), [DOWN] * 5, NOW)

    after, happenings = fold(health, [DOWN] * 10, NOW + 1)

    assert happenings == []
    assert after.shut_until == health.shut_until


def test_a_success_forgets_every_failure_and_says_that_it_recovered():
    health, _ = fold(Health(), [DOWN] * 6, NOW)

    after, happenings = fold(health, [OK], NOW + MINUTE)

    assert happenings == [Happening.RECOVERED]
    assert after == Health(last_success_at=NOW + MINUTE)


def test_a_success_between_failures_starts_the_count_anew():
    after, happenings = fold(Health(), [DOWN, DOWN, DOWN, DOWN, OK, DOWN, DOWN, DOWN, DOWN], NOW)

    assert happenings == []
    assert after.failures_in_row == 4


def test_a_success_after_a_few_failures_is_no_recovery_worth_telling():
    _, happenings = fold(Health(), [DOWN, OK], NOW)

    assert happenings == []


def test_a_receiver_that_asks_for_time_shuts_the_whole_lane():
    asked = Seen(succeeded=False, is_first_try=True, trips_breaker=False, shut_until=NOW + 90_000)

    after, happenings = fold(Health(), [asked], NOW)

    assert after.shut_until == NOW + 90_000
    assert happenings == []


def test_an_answer_to_a_request_that_was_under_way_already_does_not_cut_the_asked_time_short():
    asked = Seen(succeeded=False, is_first_try=True, trips_breaker=False, shut_until=NOW + 90_000)

    in_one_batch, _ = fold(Health(), [asked, OK], NOW)
    later, _ = fold(fold(Health(), [asked], NOW)[0], [OK], NOW + 1)

    assert in_one_batch.shut_until == NOW + 90_000
    assert later.shut_until == NOW + 90_000


def test_a_success_that_a_person_asked_for_ends_the_wait():
    asked = Seen(succeeded=False, is_first_try=True, trips_breaker=False, shut_until=NOW + 90_000)
    by_hand = Seen(succeeded=True, is_first_try=False, trips_breaker=False, by_hand=True)

    after, _ = fold(Health(), [asked, by_hand], NOW)

    assert after.shut_until == 0


def test_the_first_failure_and_the_last_are_remembered():
    health, _ = fold(Health(), [DOWN], NOW)
    health, _ = fold(health, [DOWN_AGAIN], NOW + HOUR)

    assert (health.failing_since, health.last_failure_at, health.last_error) == (NOW, NOW + HOUR, "timeout")


def failing(*, attempts=20, since=NOW, last=NOW + 5 * DAY, success=None):
    return Health(failed_attempts=attempts, failing_since=since, last_failure_at=last, last_success_at=success)


@pytest.mark.parametrize(
    ("health", "now", "is_turned_off"),
    [
        pytest.param(failing(), NOW + 5 * DAY, True, id="five days, twenty attempts"),
        pytest.param(failing(), NOW + 5 * DAY - 1, False, id="a moment too early"),
        pytest.param(failing(attempts=19), NOW + 5 * DAY, False, id="one attempt too few"),
        pytest.param(failing(last=NOW + 12 * HOUR), NOW + 5 * DAY, True, id="attempts twelve hours apart"),
        pytest.param(failing(last=NOW + 12 * HOUR - 1), NOW + 5 * DAY, False, id="attempts closer together"),
        pytest.param(Health(last_success_at=NOW), NOW + 50 * DAY, False, id="idle and well"),
    ],
)
def test_a_webhook_is_turned_off_after_five_days_twenty_attempts_and_twelve_hours(health, now, is_turned_off):
    assert must_turn_off(health, now) is is_turned_off


def test_the_day_it_will_be_turned_off_is_known_from_the_first_failure_on():
    assert turns_off_at(failing()) == NOW + 5 * DAY
    assert turns_off_at(Health(last_success_at=NOW)) is None
