"""The shapes of statistics."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.shapes import MomentShown, Query, Shown
from app.core.periods import Period


class Asked(Query):
    """Which period: a day by hours, a week by quarters of a day, thirty days by days of UTC."""

    period: Period = Field(Period.DAY, description="How far back.")


class Percentiles(Shown):
    """Milliseconds, right to within a tenth; null where nothing was counted."""

    p50: int | None
    p95: int | None
    p99: int | None


class Volume(Shown):
    """Deliveries whose events came in one part of the period. `to` is left out of it."""

    from_: MomentShown = Field(alias="from")
    to: MomentShown
    attempted: int
    delivered: int
    duration_ms: Percentiles


class ByAnswer(Shown):
    """Tries that ended with one status, or with one error class where there was none."""

    answer: str
    count: int


class ByEventType(Shown):
    """Deliveries of one event type."""

    event_type: str
    attempted: int
    delivered: int


class Statistics(Shown):
    """A period in figures. Tests, replays and canceled deliveries are not counted.

    A delivery counts in the hour in which its event came, however late it arrives. Rates are shares from 0 to 1, null
    where nothing was attempted. `duration_ms` is of single tries; `lag_ms` is from the event's coming to its delivery.
    """

    period: Period
    from_: MomentShown = Field(alias="from")
    to: MomentShown
    attempted: int
    delivered: int
    delivered_first_try: int
    success_rate: float | None
    first_try_rate: float | None
    duration_ms: Percentiles
    lag_ms: Percentiles
    volume: list[Volume]
    by_answer: list[ByAnswer]
    by_event_type: list[ByEventType]
