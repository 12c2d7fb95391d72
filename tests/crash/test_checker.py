"""The checker is itself checked: each promise, broken by hand, must be noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crash.checker import Evidence, Hit, Row, problems

OK = (1, "succeeded", None)
ROWS = (
    Row("dlv_1", "a", "delivered", 1, 0, 3, (OK,)),
    Row("dlv_2", "b", "delivered", 2, 1, 3, ((1, "interrupted", "interrupted"), (2, "succeeded", None))),
    Row("dlv_3", "c", "delivered", 2, 0, 3, ((1, "failed", "status"), (2, "succeeded", None))),
)
HITS = (
    Hit("evt_1", "dlv_1", "200"),
    Hit("evt_2", "dlv_2", "200"),
    Hit("evt_2", "dlv_2", "200"),
    Hit("evt_3", "dlv_3", "500"),
    Hit("evt_3", "dlv_3", "200"),
)
CLEAN = Evidence(
    acked={"a", "b"},
    maybe={"c"},
    hits=HITS,
    ids={"evt_1": "a", "evt_2": "b", "evt_3": "c"},
    rows=ROWS,
    kills=1,
    concurrency=1,
)


def words(found):
    return sorted({problem.partition(":")[0] for problem in problems(found)})


def test_a_clean_run_passes_with_a_duplicate_where_a_kill_allows_one():
    assert problems(CLEAN) == []


@pytest.mark.parametrize("line", [0, 3])
def test_a_line_missing_from_the_receivers_file_is_noticed_where_it_was_the_only_one(line):
    hits = [hit for number, hit in enumerate(HITS) if number != line]

    assert words(replace(CLEAN, hits=hits)) == (["lost"] if line == 0 else [])


def test_an_event_that_nobody_published_is_noticed():
    found = words(replace(CLEAN, hits=[*HITS, Hit("evt_9", "dlv_9", "200")]))

    assert found == ["unexpected", "unlogged"]


def test_more_duplicates_than_kills_allow_are_noticed():
    assert words(replace(CLEAN, kills=0)) == ["duplicates"]


def test_an_event_answered_202_before_it_was_stored_is_noticed():
    assert words(replace(CLEAN, acked={"a", "b", "d"})) == ["forgotten", "lost"]


def test_an_event_stored_twice_is_noticed():
    again = Row("dlv_4", "a", "delivered", 1, 0, 3, (OK,))

    assert words(replace(CLEAN, rows=[*ROWS, again])) == ["doubled"]


def test_a_request_without_an_attempt_is_noticed():
    row = ROWS[1]._replace(attempt_count=1, interruptions=0, attempts=(OK,))

    assert words(replace(CLEAN, rows=[ROWS[0], row, ROWS[2]])) == ["unlogged"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"state": "sending"}, "unfinished"),
        ({"attempts": ((1, "failed", "status"), (3, "succeeded", None))}, "gaps"),
        ({"attempts_allowed": 1}, "budget"),
        ({"attempts": ((1, "interrupted", "interrupted"), (2, "succeeded", None))}, "budget"),
    ],
)
def test_a_row_that_cannot_be_is_noticed(change, word):
    assert words(replace(CLEAN, rows=[*ROWS[:2], ROWS[2]._replace(**change)])) == [word]


@pytest.mark.parametrize("damage", [{"integrity": ["row 7 missing from index"]}, {"broken_keys": 1}])
def test_a_damaged_database_is_noticed(damage):
    assert words(replace(CLEAN, **damage)) == ["damaged"]
