"""How times, durations, sizes, figures and ids are written in pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from app.web import payloads

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ZONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_MARKED = re.compile(r"\*(\w[^*\n]{0,199})\*")
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000

# What a moment shows: d the day, m minutes, s seconds, f milliseconds.
FORMS = {
    "when": "ds",
    "when_ms": "df",
    "minute": "dm",
    "day": "d",
    "clock": "s",
    "clock_ms": "f",
    "clock_minute": "m",
}


@lru_cache(maxsize=512)
def zone_named(name: str) -> tzinfo | None:
    """Return the zone of this IANA name, or None if there is none; `name` may come from a cookie."""
    if name == "UTC":
        return UTC
    if not ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def moment(at: int, zone: tzinfo, now_at: int, form: str) -> str:
    """Write a moment (ms since 1970 UTC) as `form` says, with the year when it is not that of `now_at`.

    An hour that occurs twice when clocks go back is written with its offset.
    """
    local = datetime.fromtimestamp(at / 1000, zone)
    this_year = datetime.fromtimestamp(now_at / 1000, zone).year
    words = []
    if "d" in form:
        day = f"{local.day} {MONTHS[local.month - 1]}"
        words.append(day if local.year == this_year else f"{day} {local.year}")
        if "m" in form:
            words[-1] += ","
    if form != "d":
        words.append(_clock(at, local, form[-1]))
        if _is_ambiguous(local):
            words.append(local.isoformat()[-6:])
    return " ".join(words)


def _clock(at: int, local: datetime, precision: str) -> str:
    written = f"{local:%H:%M}" if precision == "m" else f"{local:%H:%M:%S}"
    return f"{written}.{at % 1000:03d}" if precision == "f" else written


def _is_ambiguous(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def iso(at: int) -> str:
    """Write a moment (ms since 1970 UTC) as RFC 3339 with milliseconds."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def time_element(at: int | None, zone: tzinfo, now_at: int, form: str) -> Markup:
    """Write a moment as a `<time>`, for machines as fine as for people; None is a dash."""
    if at is None:
        return Markup("–")
    exact = iso(at) if form.endswith("f") else f"{iso(at)[:19]}Z"
    return Markup('<time datetime="{}">{}</time>').format(exact, moment(at, zone, now_at, form))


def ago(at: int, now_at: int) -> str:
    """Say in one unit how long ago a moment was, or how far ahead it is: `2 min ago`, `in 3 days`."""
    passed = now_at - at
    amount = _rough(abs(passed))
    return f"{amount} ago" if passed >= 0 else f"in {amount}"


def _rough(ms: int) -> str:
    if ms < MINUTE_MS:
        return f"{ms // SECOND_MS} s"
    if ms < HOUR_MS:
        return f"{ms // MINUTE_MS} min"
    if ms < 2 * DAY_MS:
        return f"{ms // HOUR_MS} h"
    return f"{number(ms // DAY_MS)} days"


def ago_element(at: int | None, zone: tzinfo, now_at: int, *, with_title: bool = True) -> Markup:
    """Write how long ago a moment was, with the moment itself on it; None is a dash."""
    if at is None:
        return Markup("–")
    title = Markup(' title="{}"').format(moment(at, zone, now_at, "ds")) if with_title else ""
    exact = f"{iso(at)[: 19 if now_at - at < HOUR_MS else 16]}Z"
    return Markup('<time datetime="{}" data-tick="ago"{}>{}</time>').format(exact, title, ago(at, now_at))


def utc_clock(at: int) -> Markup:
    """Write the time of day in UTC, whatever the viewer's zone is."""
    local = datetime.fromtimestamp(at / 1000, UTC)
    return Markup('<time datetime="{}">{}</time>').format(iso(at), f"{local:%H:%M:%S}")


def duration(ms: float | None) -> str:
    """Write a length of time (ms) with two units at most: `842 ms`, `15.0 s`, `4 min 12 s`, `3 days 4 h`."""
    if ms is None:
        return "–"
    if round(ms) < SECOND_MS:
        return f"{round(ms)} ms"
    if round(ms / 100) < 600:
        return f"{round(ms / 100) / 10:.1f} s"
    for unit_ms, unit, part_ms, part in (
        (DAY_MS, "days", HOUR_MS, "h"),
        (HOUR_MS, "h", MINUTE_MS, "min"),
        (MINUTE_MS, "min", SECOND_MS, "s"),
    ):
        whole, rest = divmod(round(ms / part_ms), unit_ms // part_ms)
        if whole:
            name = "day" if unit == "days" and whole == 1 else unit
            return f"{number(whole)} {name} {rest} {part}" if rest else f"{number(whole)} {name}"
    return "1 min"


def emphasized(text: str) -> Markup:
    """Write a message with the names it marks, `Two rows send *client*.`, in italics. The text is escaped."""
    return Markup(_MARKED.sub(r"<i>\1</i>", str(escape(text))))  # noqa: S704 - escaped before


def size(count: int | None) -> str:
    """Write a number of bytes: `412 B`, `64 KiB`, `3.1 MB`."""
    if count is None:
        return "–"
    if count < 1 << 10:
        return f"{count} B"
    if count < 1 << 20:
        kib = count / 1024
        return f"{kib:.1f} KiB" if kib < 10 and count % 1024 else f"{kib:.0f} KiB"
    unit, name = next(pair for pair in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if count >= pair[0])
    return f"{count / unit:.1f} {name}"


def number(value: float | None) -> str:
    """Write a figure with a comma every three digits; None is a dash, never 0."""
    return "–" if value is None else f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Write a share with one decimal, never rounded up to 100 % nor down to 0 %; of nothing, a dash."""
    if not whole:
        return "–"
    if part == whole:
        return "100 %"
    return f"{min(99.9, max(0.1 if part else 0.0, round(100 * part / whole, 1))):.1f} %"


def short_id(public_id: str) -> str:
    """Write an id as its prefix and last six characters, since the front of ids made together is alike."""
    prefix, separator, rest = public_id.partition("_")
    return f"{prefix}_…{rest[-6:]}" if separator and len(rest) > 6 else public_id


def register(env: Environment, zone: Callable[[], str], now: Callable[[], int]) -> None:
    """Give the filters to Jinja; `zone` names the viewer's zone, `now` the present moment in ms.

    A zone that does not exist is shown as UTC, which is also what the page's header then says.
    """

    def viewers() -> tzinfo:
        return zone_named(zone()) or UTC

    def timed(form: str) -> Callable[[int | None], Markup]:
        return lambda at: time_element(at, viewers(), now(), form)

    env.filters.update({name: timed(form) for name, form in FORMS.items()})
    env.filters.update(
        ago=lambda at: ago_element(at, viewers(), now()),
        duration=duration,
        emphasized=emphasized,
        iso=iso,
        number=number,
        percent=percent,
        pretty=payloads.pretty,
        raw_text=payloads.raw_text,
        short_id=short_id,
        shown=payloads.show,
        size=size,
        utc_clock=utc_clock,
    )
