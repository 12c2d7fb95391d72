"""What the list of webhooks shows: lines with their sentence, their last day and how their test fared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from flask import request, url_for

from app import clock
from app.core import urls
from app.core.states import FINISHED
from app.core.stats import HOUR_MS
from app.core.urls import UrlError
from app.delivery.installed import installed
from app.services import log, standing, stats, webhook_list
from app.services.log import LogQuery
from app.services.webhook_list import ListQuery
from app.web import webhook_figures, words
from app.web.filters import zone_named
from app.web.viewer import actor, viewer
from app.web.words import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.services.log import DeliveryRow
    from app.services.stats import LastDay
    from app.services.webhook_list import Stamp
    from app.services.webhooks import WebhookView
    from app.web.words import Sentence

STATES = (("", "Any state"), ("attention", "Needs attention"), ("on", "On"), ("off", "Off"), ("paused", "Paused"))
LONGEST = 200
MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """A webhook as the list shows it. `test` is the test payload sent from this page."""

    view: WebhookView
    sentence: Sentence
    missed: int
    is_own_inbox: bool
    day: LastDay | None = None
    test: DeliveryRow | None = None
    offered: int = 0  # events it missed while it was off, to be sent if one likes

    @property
    def drawn(self) -> tuple[str, str]:
        """The last day as the paths of a sparkline."""
        return webhook_figures.spark(self.day.bars) if self.day else ("", "")

    @property
    def answer(self) -> str:
        """What the test came back with, in a few words."""
        if self.test is None:
            return ""
        status = self.test.last_status
        return words.status_line(status) if status else words.response(None, self.test.last_error)


def asked() -> ListQuery:
    """Read the filters of a request, in its address or in the form that was sent with a deed."""
    given = {name: request.values.get(name, "").strip()[:LONGEST] for name in ("q", "state", "unit", "event", "page")}
    wanted = int(given["page"]) if given["page"].isascii() and given["page"].isdigit() else 1
    page = min(max(wanted, 1), MOST_PAGES)
    return ListQuery(given["q"], given["state"], given["unit"], given["event"], page)


def facts(query: ListQuery) -> dict[str, Any]:
    """What the list shows of what was asked for."""
    page = webhook_list.page(actor(), query)
    stands = standing.of(actor(), page.views)
    days = stats.last_day(actor(), page.views)
    tests = _tests()
    lines = [
        replace(
            line_of(
                view,
                stands[view.id].waiting,
                stands[view.id].missed,
                tests.get(view.id),
                days[view.id],
                is_listed=True,
            ),
            offered=stands[view.id].offered,
        )
        for view in page.views
    ]
    first = (query.page - 1) * webhook_list.LISTED
    return {
        "lines": lines,
        "page": page,
        "asked": query,
        "address": _addresses(),
        "shown": f"{first + 1}–{first + len(lines)}" if lines else "",
        "back": _page_url(query, query.page - 1) if query.page > 1 else "",
        "on": _page_url(query, query.page + 1) if query.page < page.pages else "",
    }


def _addresses() -> Callable[..., str]:
    """Addresses of webhooks' pages and deeds, made by joining texts: a list has hundreds of them."""
    before, _, after = url_for("webhooks.show", public_id="*").partition("*")

    def address(public_id: str, place: str = "") -> str:
        return f"{before}{public_id}/{place}{after}" if place else f"{before}{public_id}{after}"

    return address


def menus() -> dict[str, Any]:
    """What the list can be filtered by, as the options of selects; event types are offered when asked for."""
    return {"states": STATES, "units": (("", "Any business unit"), *webhook_list.units(actor()))}


def types() -> list[str]:
    """The event types it can be filtered by."""
    return webhook_list.types(actor())


def stamp(query: ListQuery) -> tuple[object, ...]:
    """What the list would show."""
    return (_moving(webhook_list.stamp(actor(), query)), tuple(_tests().items()))


def stamp_of(public_id: str) -> tuple[object, ...]:
    """What the page of one webhook would show of it."""
    return _moving(webhook_list.stamp_of(actor(), public_id))


def _moving(seen: Stamp) -> tuple[object, ...]:
    """Bars move with the hour, and sentences when a webhook no longer backs off."""
    now = clock.now()
    return (seen, now // HOUR_MS, [until > now for until in seen.shut_until])


def is_testing() -> bool:
    """Whether a test payload that was sent from this list is still under way."""
    return any(test.state not in FINISHED for test in _tests().values())


def line_of(
    view: WebhookView,
    waiting: int,
    missed: int,
    test: DeliveryRow | None = None,
    day: LastDay | None = None,
    *,
    is_listed: bool = False,
) -> Line:
    """Return a webhook with its sentence, and how its test fared when one was sent."""
    view = replace(view, waiting=waiting)
    spoken = replace(voice(), is_brief=is_listed)
    sentence = words.webhook(view, spoken, missed=missed or None, days=day.days if day else 0)
    return Line(view, sentence, missed, is_own_inbox(view), day, test)


def voice() -> Voice:
    """How to speak to the viewer of moments."""
    return Voice(zone_named(viewer().zone) or UTC, clock.now())


def is_own_inbox(view: WebhookView) -> bool:
    """Whether a webhook sends to a test inbox of this server."""
    try:
        return installed().is_own_inbox(urls.parse(view.settings["url"]))
    except UrlError:
        return False


def test_of(delivery: str | None) -> DeliveryRow | None:
    """Return the test payload with this id, if there is one to be seen."""
    if not delivery:
        return None
    return next(iter(log.page(actor(), LogQuery(q=delivery, limit=1)).rows), None)


def _tests() -> Mapping[str, DeliveryRow]:
    """The tests that were sent from this list, by webhook."""
    pairs = [pair.partition(":") for pair in request.values.getlist("tested")[: webhook_list.LISTED]]
    found = {webhook: test_of(delivery) for webhook, _, delivery in pairs if delivery.startswith("dlv_")}
    return {webhook: test for webhook, test in found.items() if test is not None}


def _page_url(query: ListQuery, page: int) -> str:
    given = {"q": query.q, "state": query.state, "unit": query.unit, "event": query.event}
    kept = {name: value for name, value in given.items() if value}
    return url_for("webhooks.index", **kept, page=page if page > 1 else None)  # type: ignore[arg-type]
