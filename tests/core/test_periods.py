"""Slots of a period, by the clock on the viewer's wall."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Period, slots

LISBON = ZoneInfo("Europe/Lisbon")
NOW = 1_795_251_725_000  # 21 Nov 2026, 09:02:05 UTC


def written(at, zone=UTC):
    return f"{datetime.fromtimestamp(at / 1000, zone):%d %H:%M}"


@pytest.mark.parametrize(
    ("period", "count", "first", "last"),
    [
        (Period.DAY, 24, "20 10:00", "21 09:00"),
        (Period.WEEK, 28, "14 12:00", "21 06:00"),
        (Period.MONTH, 30, "23 00:00", "21 00:00"),
    ],
)
@pytest.mark.parametrize("zone", [UTC, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")])
def test_slots_follow_one_another_and_the_last_one_holds_now(period, count, first, last, zone):
    found = slots(period, NOW, zone)

    assert len(found) == count
    assert all(before.to_at == after.from_at for before, after in pairwise(found))
    assert found[-1].from_at <= NOW < found[-1].to_at
    if zone is UTC:
        assert (written(found[0].from_at), written(found[-1].from_at)) == (first, last)


def test_days_begin_at_midnight_on_the_viewers_wall_also_when_clocks_were_changed():
    found = slots(Period.MONTH, NOW - 14 * 86_400_000, LISBON)

    assert {written(slot.from_at, LISBON)[-5:] for slot in found} == {"00:00"}
    hours = {(slot.to_at - slot.from_at) // 3_600_000 for slot in found}
    assert hours == {24, 25}, "the day on which clocks went back has 25 hours"
