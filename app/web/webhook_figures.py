"""A webhook's statistics as its page draws them: scales, labels, heights, and links into the log."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from flask import url_for

from app.core.outcome import is_among
from app.core.periods import Period
from app.core.states import ErrorClass
from app.web import words
from app.web.filters import duration, iso, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.services.stats import Statistics, Volume
    from app.services.webhooks import WebhookView
    from app.web.words import Voice

MOST_BARS = 6
PERIODS = {Period.DAY: "24 h", Period.WEEK: "7 d", Period.MONTH: "30 d"}
PARTS = {Period.DAY: "hour", Period.WEEK: "6 hours", Period.MONTH: "day"}
Bar = tuple[str, str, int, int, str]  # text, address, delivered or accepted, failed, figure


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of a period. Heights of `points` are shares of the scale, None where nothing was measured."""

    part: str
    bars: tuple[tuple[str, int, int], ...]
    slots: tuple[str, ...]  # where each bar leads: the log of its hour or day
    most: int
    scale: tuple[str, ...]
    axis: tuple[str, str, str]
    points: tuple[tuple[str, str, str, float | None, float | None], ...]
    decades: tuple[str, ...]
    bars_title: str
    lines_title: str
    answers: tuple[Bar, ...]
    most_answers: int
    events: tuple[Bar, ...]
    most_events: int


def period_of(text: str | None) -> Period:
    """Return the period that an address names; a day for anything else."""
    return Period(text) if text in list(Period) else Period.DAY


def links(public_id: str, chosen: Period) -> list[tuple[str, str, bool]]:
    """The switch between periods."""
    return [
        (text, url_for("webhooks.show", public_id=public_id, period=period.value), period is chosen)
        for period, text in PERIODS.items()
    ]


def spark(bars: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """Return the last day as two paths, 48 wide and 9 high: an outline of what was delivered, strokes of what was not.

    `bars` are hours, delivered and not; two make a step. The gaps between the steps are the stylesheet's.
    """
    steps = [(bars[n][0] + bars[n + 1][0], bars[n][1] + bars[n + 1][1]) for n in range(0, len(bars), 2)]
    most = max(1, *(delivered + failed for delivered, failed in steps))
    outline, strokes, level, width = "", "", 0, 0
    for at, (delivered, failed) in enumerate(steps):
        lower = max(1, round(failed * 9 / most)) if failed else 0
        upper = min(max(1, round(delivered * 9 / most)), 9 - lower) if delivered else 0
        if upper != level:
            outline += (f"h{4 * width}" if width else "") + f"V{9 - upper}"
            level, width = upper, 0
        width += 1
        if failed:
            strokes += f"M{4 * at + 2} {9 - upper}v-{lower}"
    return f"M0 9{outline}h{4 * width}V9" if outline else "", strokes


def charts(found: Statistics, view: WebhookView, voice: Voice) -> Charts:
    """Return what is drawn of the figures of one webhook."""
    part = PARTS[found.period]
    labels = [_label(volume, found.period, voice) for volume in found.slots]
    most = _round_up(max(volume.attempted for volume in found.slots))
    low, high = _decades(found.slots)
    answers, events = _answers(found, view), _events(found, view)
    return Charts(
        part=part,
        bars=tuple((label, volume.delivered, volume.failed) for label, volume in zip(labels, found.slots, strict=True)),
        slots=tuple(
            _log(view, found.period, {"from": iso(volume.slot.from_at), "to": iso(volume.slot.to_at)})
            for volume in found.slots
        ),
        most=most,
        scale=(number(most), number(most // 2), "0"),
        axis=(labels[0], labels[len(labels) // 2], "now"),
        points=tuple(_point(label, volume, low, high) for label, volume in zip(labels, found.slots, strict=True)),
        decades=tuple(_decade(power) for power in range(high, low - 1, -1)),
        bars_title=f"Deliveries by {part}: {number(found.delivered)} delivered, {number(found.failed)} failed",
        lines_title=_spread(found.slots, part),
        answers=answers,
        most_answers=max([bar[2] + bar[3] for bar in answers], default=1),
        events=events,
        most_events=max([bar[2] + bar[3] for bar in events], default=1),
    )


def _label(volume: Volume, period: Period, voice: Voice) -> str:
    return voice.plain(volume.slot.from_at, "d" if period is Period.MONTH else "dm")


def _round_up(most: int) -> int:
    """The next figure that is easily read and has a half: 2, 4, 10, 20, 40, 100 …"""
    top = 1
    while True:
        for step in (2, 4, 10):
            if most <= step * top:
                return step * top
        top *= 10


def _decades(slots: Sequence[Volume]) -> tuple[int, int]:
    """The powers of ten between which all durations lie; a decade at least."""
    told = [ms for volume in slots for ms in (volume.duration.p50, volume.duration.p95) if ms is not None]
    if not told:
        return 1, 3
    low, high = floor(log10(max(1, min(told)))), ceil(log10(max(1, max(told))))
    return low, max(high, low + 1)


def _decade(power: int) -> str:
    return f"{10**power} ms" if power < 3 else f"{10 ** (power - 3):,} s"


def _point(label: str, volume: Volume, low: int, high: int) -> tuple[str, str, str, float | None, float | None]:
    p50, p95 = volume.duration.p50, volume.duration.p95
    heights = [None if ms is None else (log10(max(1, ms)) - low) / (high - low) for ms in (p50, p95)]
    return (label, duration(p50), duration(p95), *heights)  # type: ignore[return-value]


def _spread(slots: Sequence[Volume], part: str) -> str:
    said = []
    for name in ("p50", "p95"):
        told = [ms for volume in slots if (ms := getattr(volume.duration, name)) is not None]
        if told:
            low, high = duration(min(told)), duration(max(told))
            said.append(f"{name} {low}" if low == high else f"{name} from {low} to {high}")
    return f"Duration by {part}: {', '.join(said) or 'nothing was measured'}"


def _answers(found: Statistics, view: WebhookView) -> tuple[Bar, ...]:
    codes = tuple(view.settings["success_codes"])
    bars: list[Bar] = []
    for answer, count in found.by_answer[:MOST_BARS]:
        if answer.isdigit():
            text, asked = answer, {"response": answer}
            ok = is_among(int(answer), codes)
        else:
            text, asked, ok = words.response(None, ErrorClass(answer)), {"error": answer}, False
        bars.append((text, _log(view, found.period, asked), count if ok else 0, 0 if ok else count, number(count)))
    rest = sum(count for _, count in found.by_answer[MOST_BARS:])
    if rest:
        bars.append(("others", _log(view, found.period, {}), 0, rest, number(rest)))
    return tuple(bars)


def _events(found: Statistics, view: WebhookView) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    for name, attempted, delivered in found.by_event[:MOST_BARS]:
        bars.append(_event(name, _log(view, found.period, {"event_type": name}), attempted, delivered))
    others = found.by_event[MOST_BARS:]
    if others:
        attempted, delivered = sum(each[1] for each in others), sum(each[2] for each in others)
        types = f"{len(others)} more {'type' if len(others) == 1 else 'types'}"
        bars.append(_event(types, _log(view, found.period, {}), attempted, delivered))
    return tuple(bars)


def _event(text: str, href: str, attempted: int, delivered: int) -> Bar:
    failed = attempted - delivered
    return (
        text,
        href,
        delivered,
        failed,
        f"{number(attempted)} · {number(failed)} failed" if failed else number(attempted),
    )


def _log(view: WebhookView, period: Period, asked: dict[str, str]) -> str:
    given = {"from": period.value, **asked}
    return url_for("deliveries.index", webhook=view.id, test="exclude", **given)  # type: ignore[arg-type]
