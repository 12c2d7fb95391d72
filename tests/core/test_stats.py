"""Counting tries, and reading shares and percentiles out of the counts."""

from __future__ import annotations

import random
from itertools import pairwise
from math import ceil

import pytest

from app.core import stats
from app.core.stats import EDGES, HOUR_MS, LONGEST_MS, Try

NINE = 1_795_251_600_000  # 21 Nov 2026, 09:00 UTC
ARRIVED = Try(7, NINE + 5, "job.created", 1, "200", 40, NINE + 45)
FAILED = Try(7, NINE + 5, "job.created", 1, "503", 40, None)


def test_every_bucket_is_exact_or_at_most_a_tenth_wide():
    for below, above in pairwise(EDGES):
        assert above - below == 1 or above - below <= below / 10
        assert stats.bucket(below) == stats.bucket(above - 1) == str(below)
    assert stats.bucket(-1) == "0"
    assert int(stats.bucket(10 * LONGEST_MS)) >= LONGEST_MS


def test_what_arrives_at_once_is_counted_once_whatever_else_happens_in_that_hour():
    assert stats.counts([ARRIVED, ARRIVED._replace(came_at=NINE + HOUR_MS - 1, delivered_at=NINE + HOUR_MS + 39)]) == {
        (7, NINE, "first", "job.created"): 2,
        (7, NINE, "answer", "200 39"): 2,
        (7, NINE, "lag", "39"): 2,
    }


def test_a_delivery_counts_as_missed_by_its_first_try_only_and_as_arrived_late_by_its_last():
    later = FAILED._replace(number=3, answer="200", delivered_at=NINE + 5 + 2 * HOUR_MS)
    unfound = FAILED._replace(number=2, answer="dns", duration_ms=None)

    assert stats.counts([FAILED, unfound, later]) == {
        (7, NINE, "answer", "503 39"): 1,
        (7, NINE, "missed", "job.created"): 1,
        (7, NINE, "answer", "dns"): 1,
        (7, NINE, "answer", "200 39"): 1,
        (7, NINE, "later", "job.created"): 1,
        (7, NINE, "lag", stats.bucket(2 * HOUR_MS)): 1,
    }
    assert stats.missed(7, NINE + 5, "job.created") in stats.counts([FAILED])


def test_an_answer_is_read_back_with_its_bucket():
    assert stats.read_answer("200 39") == ("200", 39)
    assert stats.read_answer("connect_timeout") == ("connect_timeout", None)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_right_to_within_a_tenth(share):
    chance = random.Random(share)
    measured = sorted(int(chance.lognormvariate(5, 1)) for _ in range(5_000))
    buckets: dict[int, int] = {}
    for ms in measured:
        edge = int(stats.bucket(ms))
        buckets[edge] = buckets.get(edge, 0) + 1

    exact = measured[ceil(share * len(measured)) - 1]

    assert stats.percentile(buckets, share) == pytest.approx(exact, rel=0.1)


def test_of_nothing_there_is_no_percentile():
    assert stats.percentile({}, 0.95) is None
    assert stats.percentile({196: 0}, 0.95) is None
