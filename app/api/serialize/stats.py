"""Periods in figures."""

from __future__ import annotations

from app.api.serialize.values import Shape, counts
from app.core.envelope import moment
from app.services.stats import Percentiles, Statistics, Volume


def statistics(found: Statistics) -> Shape:
    """A period in figures; rates are shares from 0 to 1."""
    return {
        "period": found.period,
        "from": moment(found.slots[0].slot.from_at),
        "to": moment(found.slots[-1].slot.to_at),
        "attempted": found.attempted,
        "delivered": found.delivered,
        "delivered_first_try": found.first,
        "success_rate": _rate(found.delivered, found.attempted),
        "first_try_rate": _rate(found.first, found.attempted),
        "duration_ms": _percentiles(found.duration),
        "lag_ms": _percentiles(found.lag),
        "volume": [_volume(part) for part in found.slots],
        "by_answer": counts(found.by_answer, "answer"),
        "by_event_type": [
            {"event_type": name, "attempted": attempted, "delivered": delivered}
            for name, attempted, delivered in found.by_event
        ],
    }


def _volume(part: Volume) -> Shape:
    return {
        "from": moment(part.slot.from_at),
        "to": moment(part.slot.to_at),
        "attempted": part.attempted,
        "delivered": part.delivered,
        "duration_ms": _percentiles(part.duration),
    }


def _percentiles(found: Percentiles) -> Shape:
    return {"p50": found.p50, "p95": found.p95, "p99": found.p99}


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
