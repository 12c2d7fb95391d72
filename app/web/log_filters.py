"""What of Log History is asked for: read from the address, written back into it, and said as a sentence and chips."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import url_for

from app.core.states import ErrorClass
from app.errors import Invalid, Problem
from app.services.log import LogQuery
from app.web import words
from app.web.filters import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.datastructures import MultiDict

    from app.services.log_menus import Menus
    from app.web.words import Voice

SEVERAL = ("state", "webhook", "event_type", "kind", "unit", "response", "error")
ONCE = ("q", "inside", "event", "replay", "from", "to", "attempts", "slow", "test", "skipped", "sort")
MORE = ("unit", "kind", "error", "test", "sort", "attempts", "slow", "skipped", "inside")  # those of the menu More
PERIODS = (("", "Any time"), ("1h", "Last 1 h"), ("24h", "Last 24 h"), ("7d", "Last 7 d"), ("30d", "Last 30 d"))
STATE_CHOICES = tuple((name, label) for name, label in words.DISPLAYED.items())
ERROR_CHOICES = tuple((name.value, trouble.short) for name, trouble in words.ERRORS.items())
RESPONSES = (("2xx", "2xx"), ("3xx", "3xx"), ("4xx", "4xx"), ("5xx", "5xx"), ("none", "none"))
TESTS = (("", "With tests"), ("exclude", "Without tests"), ("only", "Tests only"))
ORDERS = (("", "Newest first"), ("oldest", "Oldest first"))
OWN = "own"
LONGEST = 200
MOST_VALUES = 50

_PERIOD = re.compile(r"(?P<count>[1-9][0-9]{0,3})(?P<unit>[hd])")
_UNIT_MS = {"h": 3_600_000, "d": 86_400_000}
_TITLES = {
    "state": "Status",
    "webhook": "Webhook",
    "event_type": "Event",
    "kind": "Kind",
    "unit": "Business unit",
    "response": "Response",
    "error": "Error",
    "q": "Search",
    "inside": "Payloads",
    "event": "Event",
    "replay": "Replay",
    "from": "From",
    "to": "To",
    "attempts": "Attempts",
    "slow": "Slow",
    "test": "Tests",
    "skipped": "Not sent",
    "sort": "Order",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters in the order of the page, and the query they make. Values that mean the default are left out."""

    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: LogQuery = field(default_factory=LogQuery)

    def values(self, name: str) -> tuple[str, ...]:
        """What is chosen for a filter."""
        return self.given.get(name, ())

    def one(self, name: str) -> str:
        """What is chosen for a filter that takes one value; empty for nothing."""
        return next(iter(self.values(name)), "")

    @property
    def count(self) -> int:
        """How many filters are set."""
        return len(self.given)

    @property
    def query(self) -> str:
        """The filters as the query of an address, the same whatever order they were given in."""
        return urlencode(sorted((name, value) for name, values in self.given.items() for value in values))

    @property
    def key(self) -> str:
        """A short text that differs for other filters."""
        return hashlib.sha256(repr(sorted(self.given.items())).encode()).hexdigest()[:8]

    def url(self, endpoint: str = "deliveries.index", *, without: str = "", **more: object) -> str:
        """An address with these filters, less one, and more."""
        kept: dict[str, object] = {name: list(values) for name, values in self.given.items() if name != without}
        return url_for(endpoint, **{**kept, **{name: value for name, value in more.items() if value}})  # type: ignore[arg-type]


def read(args: MultiDict[str, str], voice: Voice) -> Filters:
    """Read the filters of a request. Raises `Invalid`, in words, for a time or a number that can't be read."""
    given: dict[str, tuple[str, ...]] = {}
    for name in (*SEVERAL, *ONCE):
        values = [value.strip()[:LONGEST] for value in args.getlist(name) if value.strip()]
        if values:
            given[name] = tuple(dict.fromkeys(values))[:MOST_VALUES] if name in SEVERAL else (values[-1],)
    for name, usual in (("test", "all"), ("sort", "newest")):
        if given.get(name) == (usual,):
            del given[name]
    if "q" not in given:
        given.pop("inside", None)
    _take_own_range(given, args)

    def one(name: str) -> str | None:
        return next(iter(given.get(name, ())), None)

    cursor, newer = args.get("cursor"), args.get("newer")
    return Filters(
        given,
        LogQuery(
            **{name: given.get(name, ()) for name in SEVERAL},  # type: ignore[arg-type]
            event=one("event"),
            replay=one("replay"),
            from_at=moment("from", one("from"), voice),
            to_at=moment("to", one("to"), voice),
            test=_test(one("test")),
            skipped=one("skipped") is not None,
            q=one("q"),
            inside=one("inside") is not None,
            oldest_first=_is_oldest_first(one("sort")),
            attempts=_attempts(one("attempts")),
            slow=one("slow") is not None,
            cursor=newer or cursor or None,
            newer=bool(newer),
            top=args.get("top") or None,
        ),
    )


def _take_own_range(given: dict[str, tuple[str, ...]], args: MultiDict[str, str]) -> None:
    """The form has the range in two fields of its own, beside the lengths of time; the address has from and to."""
    if given.get("from") == (OWN,):
        del given["from"]
        for name in ("from", "to"):
            if text := args.get(f"{OWN}_{name}", "").strip()[:LONGEST]:
                given[name] = (text,)


def _test(text: str | None) -> str:
    if text not in (None, "exclude", "only"):
        raise _refusal("test", "Use all, exclude or only.")
    return text or "all"


def _is_oldest_first(text: str | None) -> bool:
    if text not in (None, "oldest"):
        raise _refusal("sort", "Use newest or oldest.")
    return text == "oldest"


def _attempts(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise _refusal("attempts", "Attempts are a whole number.")
    return int(text)


def moment(name: str, text: str | None, voice: Voice) -> int | None:
    """A length of time up to now (24h, 7d), or a moment: without an offset it is in the viewer's zone."""
    if text is None:
        return None
    period = _PERIOD.fullmatch(text)
    if period is not None:
        return voice.now_at - int(period["count"]) * _UNIT_MS[period["unit"]]
    try:
        moment = datetime.fromisoformat(text)
        at = int((moment if moment.tzinfo else moment.replace(tzinfo=voice.zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _refusal(name, f"{text} isn't a time. Write it like 2026-11-21T09:30, or 24h or 7d.") from None
    if not 0 <= at < 1 << 62:
        raise _refusal(name, "Choose a time after 1970.")
    return at


def _refusal(name: str, message: str) -> Invalid:
    return Invalid([Problem(name, message)], message)


def as_input(at: int | None, zone: tzinfo) -> str:
    """A moment as a date-and-time field takes it, in the viewer's zone."""
    return "" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC).astimezone(zone):%Y-%m-%dT%H:%M}"


def is_period(text: str) -> bool:
    """Whether a time is given as a length up to now."""
    return _PERIOD.fullmatch(text) is not None


# --- in words


def sentence(filters: Filters, menus: Menus, voice: Voice) -> str:
    """Say what is shown: `Failed or retrying deliveries to Warehouse in the last 7 days, newest first.`"""
    names = dict(menus.webhooks)
    asked = filters.asked
    parts = [_what(filters)]
    if asked.event_type or asked.kind:
        parts.append(f"of {_either([*asked.event_type, *asked.kind])}")
    if asked.event:
        parts.append("of one event")
    if asked.replay:
        parts.append("of one replay")
    if asked.webhook:
        parts.append(f"to {_either([names.get(webhook, webhook) for webhook in asked.webhook])}")
    if asked.unit:
        units = dict(menus.units)
        parts.append(f"in {_either([units.get(unit, unit) for unit in asked.unit])}")
    if asked.response:
        parts.append(f"with response {_either(asked.response)}")
    if asked.error:
        parts.append(f"that failed with {_either([_error(name) for name in asked.error])}")
    if asked.attempts is not None:
        parts.append(f"with {asked.attempts} or more attempts")
    if asked.slow:
        parts.append("that took 5 s or longer")
    if asked.q:
        parts.append(f"matching “{asked.q}”" + (", payloads searched too" if asked.is_inside else ""))
    parts += _period(filters, voice)
    order = "oldest first" if asked.oldest_first else "newest first"
    return f"{' '.join(parts)}, {order}{'' if asked.skipped or asked.state else ', without those not sent'}."


def _what(filters: Filters) -> str:
    asked = filters.asked
    noun = {"only": "test deliveries", "exclude": "deliveries without tests"}.get(asked.test, "deliveries")
    if not asked.state:
        return noun[:1].upper() + noun[1:] if asked.test == "only" else f"All {noun}"
    states = [words.DISPLAYED.get(state, state).lower() for state in asked.state]
    return f"{_either(states).capitalize()} {noun}"


def _period(filters: Filters, voice: Voice) -> list[str]:
    asked, parts = filters.asked, []
    if asked.from_at is not None:
        start = filters.one("from")
        length = duration(voice.now_at - asked.from_at)
        parts.append(f"in the last {length}" if is_period(start) else f"from {voice.plain(asked.from_at, 'dm')}")
    if asked.to_at is not None:
        parts.append(f"until {voice.plain(asked.to_at, 'dm')}")
    return parts


def _either(texts: tuple[str, ...] | list[str]) -> str:
    return f"{', '.join(texts[:-1])} or {texts[-1]}" if len(texts) > 1 else texts[0]


def _error(name: str) -> str:
    return words.ERRORS[ErrorClass(name)].short if name in list(ErrorClass) else name


def chips(filters: Filters, menus: Menus, voice: Voice) -> list[tuple[str, str, str]]:
    """One chip a filter: what it says, its name, and the address without it."""
    found = []
    for name, values in filters.given.items():
        title = _TITLES[name]
        said = ", ".join(_said(name, value, menus, filters, voice) for value in values)
        found.append((f"{title}: {said}" if said else title, title, filters.url(without=name)))
    return found


def _said(name: str, value: str, menus: Menus, filters: Filters, voice: Voice) -> str:
    asked = filters.asked
    match name:
        case "webhook":
            return dict(menus.webhooks).get(value, value)
        case "unit":
            return dict(menus.units).get(value, value)
        case "error":
            return _error(value)
        case "slow":
            return "5 s or longer"
        case "skipped":
            return "shown"
        case "inside":
            return "searched too"
        case "sort":
            return "oldest first"
        case "attempts":
            return f"{value} or more"
        case "from" if asked.from_at is not None and is_period(value):
            return f"last {duration(voice.now_at - asked.from_at)}"
        case "from" | "to":
            at = asked.from_at if name == "from" else asked.to_at
            return voice.plain(at, "dm") if at is not None else value
        case _:
            return value
