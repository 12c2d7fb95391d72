"""Who may start a request now: caps, slow start, hosts that don't answer, rate limits."""

from __future__ import annotations

import pytest

from app.delivery.seats import Seats

HOST, OTHER = ("hooks.acme.test", 443), ("dead.test", 443)


def answered(seats, host=HOST, webhook=1, *, times=1, succeeded=True, duration_ms=10):
    for _ in range(times):
        seats.learn(webhook, host, succeeded=succeeded, answered=True, duration_ms=duration_ms)


def silent(seats, host=HOST, webhook=1, *, times=1):
    for _ in range(times):
        seats.learn(webhook, host, succeeded=False, answered=False, duration_ms=5_000)


def room(seats, host=HOST):
    """How many requests a host is given at once."""
    taken = 0
    while seats.host_has_room(host):
        seats.sit(taken + 100, host, is_retry=False)
        taken += 1
    for number in range(taken):
        seats.leave(number + 100, host, is_retry=False)
    return taken


def allowance(seats, webhook=1, cap=1_000):
    return next(n for n in range(1_000) if not _fits(seats, webhook, cap, n))


def _fits(seats, webhook, cap, taken):
    before, seats.by_webhook[webhook] = seats.by_webhook[webhook], taken
    fits = seats.webhook_has_room(webhook, cap)
    seats.by_webhook[webhook] = before
    return fits


def test_a_seat_that_is_left_is_free_again():
    seats = Seats(2)
    seats.sit(1, HOST, is_retry=False)
    seats.sit(2, HOST, is_retry=True)
    assert seats.free == 0

    seats.leave(1, HOST, is_retry=False)

    assert seats.free == 1
    assert seats.webhook_has_room(1, cap=1)
    assert not seats.webhook_has_room(2, cap=1)


def test_replays_get_a_quarter_of_the_seats():
    seats = Seats(8)
    for _ in range(2):
        assert seats.replay_has_room()
        seats.sit(1, HOST, is_retry=False, is_replay=True)
    assert not seats.replay_has_room()

    seats.leave(1, HOST, is_retry=False, is_replay=True)

    assert seats.replay_has_room()


def test_retries_get_half_of_the_seats():
    seats = Seats(4)
    seats.sit(1, HOST, is_retry=True)
    assert seats.retry_has_room()

    seats.sit(1, HOST, is_retry=True)

    assert not seats.retry_has_room()
    assert seats.free == 2


def test_after_a_failure_a_webhook_starts_slowly_and_each_quick_answer_doubles_what_it_may_have():
    seats = Seats(256)
    assert allowance(seats, cap=4) == 4
    answered(seats, succeeded=False)

    grown = [allowance(seats)]
    for _ in range(7):
        answered(seats)
        grown.append(allowance(seats))

    assert grown == [1, 2, 4, 8, 16, 32, 64, 64]


def test_slow_answers_halve_what_a_webhook_may_have_but_leave_it_one():
    seats = Seats(256)

    shrunk = []
    for _ in range(8):
        answered(seats, duration_ms=2_001)
        shrunk.append(allowance(seats))

    assert shrunk == [32, 16, 8, 4, 2, 1, 1, 1]


def test_a_host_begins_with_eight_and_is_widened_by_a_hundred_answers_up_to_a_quarter_of_the_seats():
    seats = Seats(256)
    assert room(seats) == 8

    answered(seats, times=99)
    assert room(seats) == 8
    answered(seats)
    assert room(seats) == 16
    answered(seats, times=1_000)
    assert room(seats) == 64


def test_a_host_that_stops_answering_falls_back_to_eight_and_after_five_times_to_one():
    seats = Seats(256)
    answered(seats, times=300)

    silent(seats)
    assert room(seats) == 8
    silent(seats, times=3)
    assert room(seats) == 8
    silent(seats)
    assert room(seats) == 1

    answered(seats, succeeded=False)
    assert room(seats) == 8, "an answer is an answer, whatever its status"


def test_one_dead_host_costs_the_others_nothing():
    seats = Seats(256)
    silent(seats, OTHER, webhook=2, times=9)

    assert room(seats, HOST) == 8
    assert allowance(seats, webhook=1, cap=4) == 4


@pytest.mark.parametrize(("rate", "saved"), [(10.0, 10), (1.0, 1), (0.5, 1), (2.5, 2)])
def test_a_rate_limit_lets_a_seconds_worth_through_at_once_and_then_one_a_period(rate, saved):
    seats, now = Seats(256), 1000.0

    at_once = 0
    while not (wait := seats.wait_for_token(1, rate, now)):
        at_once += 1

    assert at_once == saved
    assert 0 < wait <= 1 / rate
    assert seats.wait_for_token(1, rate, now + wait - 0.001) > 0
    assert seats.wait_for_token(1, rate, now + wait + 0.001) == 0


def test_over_a_minute_no_more_pass_than_the_rate_allows():
    seats = Seats(256)

    passed = sum(not seats.wait_for_token(1, 5.0, 1000.0 + step / 100) for step in range(6_000))

    assert 5 * 60 <= passed <= 5 * 60 + 5
