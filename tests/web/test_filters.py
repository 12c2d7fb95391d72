"""How times, durations, sizes and figures read."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from jinja2 import Environment

from app.web import filters

LISBON = ZoneInfo("Europe/Lisbon")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NOW = at("2026-11-21T11:40:00+00:00")


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("ds", "21 Nov 11:39:26"),
        ("df", "21 Nov 11:39:26.812"),
        ("dm", "21 Nov, 11:39"),
        ("d", "21 Nov"),
        ("s", "11:39:26"),
        ("f", "11:39:26.812"),
        ("m", "11:39"),
    ],
)
def test_each_form_of_a_moment_reads_as_agreed(form, written):
    assert filters.moment(at("2026-11-21T11:39:26.812+00:00"), UTC, NOW, form) == written


def test_a_moment_is_shown_in_the_given_zone():
    assert filters.moment(at("2026-07-01T23:30:00+00:00"), LISBON, NOW, "ds") == "2 Jul 00:30:00"


def test_a_moment_of_another_year_says_which():
    assert filters.moment(at("2025-12-31T23:59:59+00:00"), UTC, NOW, "ds") == "31 Dec 2025 23:59:59"


def test_the_year_is_judged_in_the_zone_not_in_utc():
    new_year = at("2026-12-31T23:30:00+00:00")

    assert filters.moment(new_year, ZoneInfo("Asia/Tokyo"), new_year, "d") == "1 Jan"
    assert filters.moment(new_year, ZoneInfo("Asia/Tokyo"), NOW, "d") == "1 Jan 2027"


def test_the_hour_that_occurs_twice_shows_its_offset_both_times():
    first, second = at("2026-10-25T00:30:00+00:00"), at("2026-10-25T01:30:00+00:00")

    assert filters.moment(first, LISBON, NOW, "ds") == "25 Oct 01:30:00 +01:00"
    assert filters.moment(second, LISBON, NOW, "ds") == "25 Oct 01:30:00 +00:00"
    assert filters.moment(second, LISBON, NOW, "m") == "01:30 +00:00"


@pytest.mark.parametrize(
    "moment", ["2026-10-24T23:59:59+00:00", "2026-10-25T02:00:00+00:00", "2026-03-29T01:00:00+00:00"]
)
def test_hours_that_occur_once_show_no_offset(moment):
    assert "+" not in filters.moment(at(moment), LISBON, NOW, "ds")


def test_a_day_alone_never_has_an_offset():
    assert filters.moment(at("2026-10-25T00:30:00+00:00"), LISBON, NOW, "d") == "25 Oct"


def test_a_time_element_carries_the_moment_in_utc():
    came_at, tokyo = at("2026-11-21T11:39:26.812+00:00"), ZoneInfo("Asia/Tokyo")

    shown = filters.time_element(came_at, tokyo, NOW, "ds")
    exact = filters.time_element(came_at, tokyo, NOW, "df")

    assert shown == '<time datetime="2026-11-21T11:39:26Z">21 Nov 20:39:26</time>'
    assert exact == '<time datetime="2026-11-21T11:39:26.812Z">21 Nov 20:39:26.812</time>'


def test_a_moment_that_never_was_is_a_dash():
    assert filters.time_element(None, UTC, NOW, "ds") == "–"
    assert filters.ago_element(None, UTC, NOW) == "–"


@pytest.mark.parametrize(
    ("passed_ms", "words"),
    [
        (0, "0 s ago"),
        (59_999, "59 s ago"),
        (120_000, "2 min ago"),
        (3_600_000, "1 h ago"),
        (47 * 3_600_000, "47 h ago"),
        (48 * 3_600_000, "2 days ago"),
        (-240_000, "in 4 min"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(passed_ms, words):
    assert filters.ago(NOW - passed_ms, NOW) == words


def test_how_long_ago_stands_beside_the_moment_itself():
    element = filters.ago_element(at("2026-11-21T11:38:00+00:00"), UTC, NOW)

    assert 'title="21 Nov 11:38:00"' in element
    assert ">2 min ago<" in element


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.4, "0 ms"),
        (842, "842 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (1_200, "1.2 s"),
        (15_000, "15.0 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min"),
        (252_000, "4 min 12 s"),
        (307_000, "5 min 7 s"),
        (3_599_700, "1 h"),
        (3_840_000, "1 h 4 min"),
        (76 * 3_600_000, "3 days 4 h"),
        (24 * 3_600_000, "1 day"),
    ],
)
def test_a_duration_reads_in_two_units_at_most(ms, words):
    assert filters.duration(ms) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "–"),
        (0, "0 B"),
        (412, "412 B"),
        (1_023, "1023 B"),
        (1_024, "1 KiB"),
        (1_536, "1.5 KiB"),
        (65_536, "64 KiB"),
        (812 * 1024, "812 KiB"),
        (3_100_000, "3.1 MB"),
        (2_000_000_000, "2.0 GB"),
    ],
)
def test_a_size_reads_in_the_unit_that_fits(count, words):
    assert filters.size(count) == words


@pytest.mark.parametrize(("value", "words"), [(None, "–"), (0, "0"), (1_284, "1,284"), (1_000_000, "1,000,000")])
def test_figures_have_a_comma_every_three_digits(value, words):
    assert filters.number(value) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (0, 0, "–"),
        (0, 9, "0.0 %"),
        (9, 9, "100 %"),
        (22, 36, "61.1 %"),
        (99_999, 100_000, "99.9 %"),
        (1, 100_000, "0.1 %"),
    ],
)
def test_a_share_is_never_rounded_into_all_or_nothing_and_of_nothing_there_is_none(part, whole, words):
    assert filters.percent(part, whole) == words


@pytest.mark.parametrize(
    ("public_id", "short"),
    [("evt_01kajx4v2m8t0r5w9z3h7f3a91", "evt_…7f3a91"), ("evt_1", "evt_1"), ("plain", "plain"), ("", "")],
)
def test_an_id_is_shortened_to_its_prefix_and_its_end(public_id, short):
    assert filters.short_id(public_id) == short


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "Europe/Atlantis", "/etc/localtime", "UTC\0", "a" * 300])
def test_a_zone_that_does_not_exist_is_none(name):
    assert filters.zone_named(name) is None


def test_the_filters_reach_templates_with_the_viewers_zone_and_clock():
    env = Environment(autoescape=True)
    filters.register(env, zone=lambda: "Europe/Lisbon", now=lambda: NOW)

    page = env.from_string("{{ at | when }} {{ at | clock_minute }} {{ 1284 | number }} {{ 842 | duration }}")
    html = page.render(at=at("2026-07-01T11:00:00+00:00"))

    assert ">1 Jul 12:00:00</time>" in html
    assert ">12:00</time> 1,284 842 ms" in html


def test_an_unknown_zone_is_shown_as_utc():
    env = Environment(autoescape=True)
    filters.register(env, zone=lambda: "Mars/Olympus", now=lambda: NOW)

    assert ">11:39</time>" in env.from_string("{{ at | clock_minute }}").render(at=at("2026-11-21T11:39:26+00:00"))
