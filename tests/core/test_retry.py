"""The retry schedule to the millisecond, and Retry-After whatever a receiver writes in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.retry import LONGEST_RETRY_AFTER_MS, Exhausted, RetryPolicy, retry_after_ms

NOW = 784_111_777_000  # Sun, 06 Nov 1994 08:49:37 GMT, the moment of RFC 9110
HOUR = 3_600_000

policies = st.builds(
    RetryPolicy,
    st.lists(st.integers(0, 7 * 24 * HOUR), min_size=1, max_size=12).map(tuple),
    timeout_ms=st.integers(1000, 60_000),
    jitter=st.floats(0, 1),
)


def test_without_jitter_the_schedule_is_exact() -> None:
    policy = RetryPolicy((5_000, 300_000, 1_800_000), timeout_ms=15_000)

    assert policy.tries == 4
    assert [policy.wait_after(tries, None, roll=15) for tries in (1, 2, 3)] == [5_000, 300_000, 1_800_000]
    assert policy.on_exhausted is Exhausted.KEEP


def test_jitter_only_lengthens_and_in_sixteenths() -> None:
    policy = RetryPolicy((160_000,), timeout_ms=15_000, jitter=0.2)

    assert {policy.wait_after(1, None, roll) for roll in range(16)} == {160_000 + 2_000 * roll for roll in range(16)}


def test_a_try_beyond_the_schedule_waits_like_the_last_one() -> None:
    policy = RetryPolicy((10_000, 100_000), timeout_ms=3_000)

    assert policy.wait_after(3, None, roll=0) == policy.wait_after(30, None, roll=0) == 100_000


def test_without_delays_there_is_one_try_and_only_the_receivers_wish_to_wait() -> None:
    policy = RetryPolicy((), timeout_ms=10_000)

    assert policy.tries == 1
    assert policy.wait_after(1, None, roll=15) == 0
    assert policy.wait_after(1, 120_000, roll=15) == 120_000


def test_the_receivers_wish_lengthens_the_wait_and_never_shortens_it() -> None:
    policy = RetryPolicy((300_000,), timeout_ms=15_000)

    assert policy.wait_after(1, 600_000, roll=0) == 600_000
    assert policy.wait_after(1, 1_000, roll=0) == 300_000
    assert policy.wait_after(1, 10**15, roll=0) == LONGEST_RETRY_AFTER_MS


@settings(deadline=None)
@given(policies, st.integers(1, 20), st.one_of(st.none(), st.integers(0, 10**12)), st.integers(0, 15))
def test_each_wait_lies_within_its_bounds(policy: RetryPolicy, tries: int, asked: int | None, roll: int) -> None:
    planned = policy.delays_ms[min(tries, len(policy.delays_ms)) - 1]

    wait = policy.wait_after(tries, asked, roll)

    assert wait >= planned
    assert wait <= max(planned * (1 + policy.jitter), LONGEST_RETRY_AFTER_MS if asked else 0)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (b"120", 120_000),
        (b" 120\t", 120_000),
        (b"0", 0),
        (b"9999999999", LONGEST_RETRY_AFTER_MS),
        (b"21600", LONGEST_RETRY_AFTER_MS),
        (b"Sun, 06 Nov 1994 08:50:37 GMT", 60_000),
        (b"Sunday, 06-Nov-94 08:50:37 GMT", 60_000),
        (b"Sun Nov  6 08:50:37 1994", 60_000),
        (b"Sun Nov 16 08:50:37 1994", LONGEST_RETRY_AFTER_MS),
        (b"Sat, 01 Jan 9999 00:00:00 GMT", LONGEST_RETRY_AFTER_MS),
        (b"Sun, 06 Nov 1994 08:59:60 GMT", 622_000),
        (b"Sunday, 06-Nov-44 08:49:37 GMT", LONGEST_RETRY_AFTER_MS),
    ],
)
def test_087_a_receivers_wish_is_read_in_all_its_forms(value: bytes, milliseconds: int) -> None:
    assert retry_after_ms(value, NOW) == milliseconds


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"-5",
        b"+5",
        b"1e308",
        b"99999999999",
        b"NaN",
        b"1.5",
        b"120, 120",
        b"1" * 65536,
        "１２０".encode(),
        b"\xff",
        b"Sun, 06 Nov 1994 08:49:37 GMT",  # this very moment
        b"Sun, 06 Nov 1994 08:49:36 GMT",
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"Sunday, 06-Nov-45 08:49:37 GMT",  # 1945: more than 50 years ahead would be nonsense
        b"Sun, 31 Feb 2030 08:49:37 GMT",
        b"Sun, 06 Nov 2030 24:00:00 GMT",
        b"Sun, 06 Nov 2030 08:49:61 GMT",
        b"Sun, 00 Nov 2030 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 2030 08:49:37",
        b"Sun, 06 Nov 2030 08:49:37 +0000",
        b"2030-11-06T08:49:37Z",
    ],
    ids=lambda value: ascii(value[:40]),
)
def test_088_what_is_unreadable_or_past_is_ignored(value: bytes) -> None:
    assert retry_after_ms(value, NOW) is None


dates = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001
texts = st.one_of(
    st.binary(max_size=40),
    st.integers(-(10**12), 10**12).map(lambda number: str(number).encode()),
    dates.map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()),
    dates.map(lambda moment: moment.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode()),
    dates.map(lambda moment: moment.strftime("%a %b %e %H:%M:%S %Y").encode()),
    st.from_regex(rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"),
)


@settings(deadline=None, max_examples=300)
@given(texts, st.integers(0, 4 * 10**12))
def test_whatever_stands_there_it_never_raises_and_stays_in_range(value: bytes, now_at: int) -> None:
    asked = retry_after_ms(value, now_at)

    assert asked is None or 0 <= asked <= LONGEST_RETRY_AFTER_MS


@settings(deadline=None)
@given(st.integers(1, LONGEST_RETRY_AFTER_MS // 1000), st.integers(0, 4 * 10**9))
def test_the_three_forms_of_a_date_mean_the_same(seconds: int, now_s: int) -> None:
    moment = datetime.fromtimestamp(now_s, UTC) + timedelta(seconds=seconds)
    forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]

    assert [retry_after_ms(moment.strftime(form).encode(), now_s * 1000) for form in forms] == [seconds * 1000] * 3
