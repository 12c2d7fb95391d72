"""Breaker, sustained failure, auto-off and recovery, as values in and values out."""

from __future__ import annotations

import pytest

from app.core.health import Happening, Health, Seen, begun_again, fold, goes_off_at, probe_after, turns_off_at

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_795_251_600_000
OK = Seen(succeeded=True, is_first_try=True, trips_breaker=False)
DOWN = Seen(succeeded=False, is_first_try=True, trips_breaker=True, error="timeout")
DOWN_AGAIN = Seen(succeeded=False, is_first_try=False, trips_breaker=True, error="timeout")
REFUSED = Seen(succeeded=False, is_first_try=True, trips_breaker=False, error="status")


def test_five_failures_in_a_row_of_three_deliveries_open_the_breaker_for_half_a_minute():
    before, _ = fold(Health(), [DOWN, DOWN, DOWN, DOWN], NOW)
    assert before.shut_until == 0

    after, _ = fold(before, [DOWN], NOW)

    assert after.shut_until == NOW + 30_000


def test_many_failures_of_two_deliveries_leave_their_schedule_alone():
    after, _ = fold(Health(), [DOWN, DOWN, *[DOWN_AGAIN] * 20], NOW)

    assert after.shut_until == 0


def test_answers_that_blame_the_request_do_not_open_the_breaker():
    after, _ = fold(Health(), [REFUSED] * 20, NOW)

    assert after.shut_until == 0
    assert after.failed_attempts == 20


def test_each_failed_probe_doubles_the_pause_up_to_a_quarter_of_an_hour():
    health, _ = fold(Health(), [DOWN] * 5, NOW)
    now, pauses = NOW, [health.shut_until - NOW]
    for _ in range(7):
        now = health.shut_until
        health, _ = fold(health, [DOWN_AGAIN], now)
        pauses.append(health.shut_until - now)

    assert pauses == [30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000]


def test_answers_that_come_in_while_it_is_open_do_not_open_it_again():
    health, _ = fold(Health(), [DOWN] * 5, NOW)

    after, _ = fold(health, [DOWN] * 10, NOW + 1)

    assert after.shut_until == health.shut_until


def test_a_success_forgets_every_failure_and_says_that_it_recovered():
    health, _ = fold(Health(), [DOWN] * 6, NOW)

    after, happenings = fold(health, [OK], NOW + MINUTE)

    assert happenings == [Happening.RECOVERED]
    assert after == Health(last_success_at=NOW + MINUTE)


def test_a_success_between_failures_starts_the_count_anew():
    after, _ = fold(Health(), [DOWN, DOWN, DOWN, DOWN, OK, DOWN, DOWN, DOWN, DOWN], NOW)

    assert after.failures_in_row == 4


def test_twenty_failures_in_a_row_are_told_once():
    health, nothing = fold(Health(), [REFUSED] * 19, NOW)
    assert nothing == []

    health, told = fold(health, [REFUSED], NOW)
    _, told_again = fold(health, [REFUSED] * 20, NOW + DAY)

    assert told == [Happening.FAILING]
    assert told_again == []


def test_six_hours_of_nothing_but_failures_are_told_at_the_first_failure_after_them():
    health, _ = fold(Health(), [REFUSED], NOW)
    health, early = fold(health, [REFUSED], NOW + 6 * HOUR - 1)
    health, told = fold(health, [REFUSED], NOW + 6 * HOUR)

    assert (early, told) == ([], [Happening.FAILING])


def test_one_that_was_turned_on_again_starts_anew_and_its_first_success_is_a_recovery():
    failed, _ = fold(Health(last_success_at=NOW - DAY), [DOWN] * 30, NOW)

    health = begun_again(failed, NOW + DAY, must_prove=True)
    again, told = fold(health, [DOWN], NOW + 2 * DAY)
    _, recovered = fold(health, [OK], NOW + 2 * DAY)

    assert health == Health(failing_since=NOW + DAY, last_success_at=NOW - DAY)
    assert (again.failing_since, again.failed_attempts, told) == (NOW + 2 * DAY, 1, [])
    assert recovered == [Happening.RECOVERED]


def test_probes_come_after_one_two_four_and_then_seven_days_ten_in_all():
    waits = [probe_after(probes) for probes in range(11)]

    assert [wait and wait // DAY for wait in waits] == [1, 2, 4, 7, 7, 7, 7, 7, 7, 7, None]


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


EARLIEST = NOW + 4 * DAY - 5 * MINUTE


@pytest.mark.parametrize(
    ("health", "now", "off_at"),
    [
        pytest.param(failing(), EARLIEST, NOW + 5 * DAY, id="five days, twenty attempts"),
        pytest.param(failing(), EARLIEST - 1, None, id="a moment too early"),
        pytest.param(failing(), NOW + 9 * DAY, NOW + 10 * DAY, id="noticed late: a day after the warning"),
        pytest.param(failing(attempts=19), NOW + 5 * DAY, None, id="one attempt too few"),
        pytest.param(failing(last=NOW + 12 * HOUR), EARLIEST, NOW + 5 * DAY, id="attempts twelve hours apart"),
        pytest.param(failing(last=NOW + 12 * HOUR - 1), NOW + 5 * DAY, None, id="attempts closer together"),
        pytest.param(Health(last_success_at=NOW), NOW + 50 * DAY, None, id="idle and well"),
    ],
)
def test_a_webhook_goes_off_after_five_days_twenty_attempts_twelve_hours_and_a_day_of_warning(health, now, off_at):
    assert goes_off_at(health, None, now) == off_at
    if off_at is not None:
        assert goes_off_at(health, now, now + DAY) == off_at, "the day moved once it was told"


def test_the_day_it_will_be_turned_off_is_known_from_the_first_failure_on():
    assert turns_off_at(failing()) == NOW + 5 * DAY
    assert turns_off_at(Health(last_success_at=NOW)) is None
