"""P6: pages over 1,000,000 deliveries: time in the server, at the 95th percentile.

Reference: the same with 10,000. The pages are asked for one after another, by one signed-in browser on loopback.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from app.cli.demo.scene import Scene
from app.core import cursors
from benchmarks.browse import Browser
from benchmarks.load import percentile
from benchmarks.million import grow
from benchmarks.place import Place, place
from benchmarks.report import Figure
from benchmarks.server import postroom

SIZES = (1_000_000, 10_000)
TIMES = 40
"""How often each page is asked for."""
LIMITS_MS = {"log": 80, "filtered": 150, "deep page": 80, "delivery": 60, "webhook": 80, "lists": 80, "304": 5}
FRAGMENT = re.compile(r"/log/(rows|counts)|/webhooks/list|.*/live")


class Page(NamedTuple):
    """A page to ask for, and the group whose limit it has."""

    group: str
    name: str
    path: str


def run(rounds: int) -> list[Figure]:
    """Return the 95th percentile of each group of pages: that of its slowest page."""
    found: dict[int, list[dict[str, tuple[float, str]]]] = {size: [] for size in SIZES}
    for size in SIZES:
        with place() as at:
            scene = grow(size)
            for _ in range(rounds):
                found[size].append(slowest(measure(at, scene)))
    return [_figure(group, limit, found) for group, limit in LIMITS_MS.items()]


def _figure(group: str, limit: int, found: dict[int, list[dict[str, tuple[float, str]]]]) -> Figure:
    many, few = (tuple(result[group][0] for result in found[size]) for size in SIZES)
    worst = max(found[SIZES[0]], key=lambda result: result[group][0])[group][1]
    what = f"{group}, p95 of the slowest ({worst}), {SIZES[0]:,} deliveries"
    return Figure("P6", what, "ms", many, few, f"≤ {limit} ms", max(many) <= limit)


def measure(at: Place, scene: Scene) -> dict[Page, float]:
    """Return the 95th percentile of each page's time in milliseconds; the server delivers nothing meanwhile."""
    with postroom(at, "--no-deliver") as port:
        browser = Browser(port)
        browser.sign_in(scene.email, scene.password)
        times: dict[Page, float] = {}
        for page in pages(browser, scene):
            browser.get(page.path)  # what is read first is on no one's way afterwards
            taken = [_asked(browser, page) for _ in range(TIMES)]
            times[page] = percentile(taken, 0.95)
            print(f"    {page.name:32} {times[page]:8.1f} ms", file=sys.stderr, flush=True)
    return times


def slowest(times: dict[Page, float]) -> dict[str, tuple[float, str]]:
    """Return the slowest page of each group, with its time."""
    found: dict[str, tuple[float, str]] = {}
    for page, took in times.items():
        if took > found.get(page.group, (0.0, ""))[0]:
            found[page.group] = took, page.name
    return found


def _asked(browser: Browser, page: Page) -> float:
    htmx = {"HX_Request": "true"} if FRAGMENT.match(page.path) else {}
    if page.group == "304":
        tag = browser.get(page.path, **htmx).headers["ETag"]
        answer = browser.get(page.path, **htmx, if_none_match=tag)
        assert answer.status == 304, f"{page.path}: {answer.status}"
        return answer.took_ms
    answer = browser.get(page.path, **htmx)
    assert answer.status == 200, f"{page.path}: {answer.status}"
    return answer.took_ms


def pages(browser: Browser, scene: Scene) -> Iterator[Page]:
    """Every page that must be fast, with real ids in its address."""
    week = int(time.time() * 1000) - 7 * 86_400_000
    warehouse, archive = scene.webhooks["Data warehouse"], scene.webhooks["Contract archive"]
    yield Page("log", "log", "/log")
    yield Page("log", "log, rows only", "/log/rows")
    filters = {
        "failed": "state=failed",
        "delivered": "state=delivered",
        "queued": "state=queued",
        "retrying": "state=retrying",
        "skipped": "state=skipped",
        "canceled": "state=canceled",
        "webhook": f"webhook={warehouse}",
        "small webhook": f"webhook={archive}",
        "failed of a webhook": f"webhook={archive}&state=failed",
        "response 5xx": "response=5xx",
        "response 404, never": "response=404",
        "response none": "response=none",
        "error timeout": "error=timeout",
        "rare error": "error=refused",
        "event type": "event_type=contractSigned",
        "kind": "kind=Signed+Document+Events",
        "unit": "unit=provider",
        "search crm": "q=crm",
        "search nothing": "q=nowhere-at-all",
        "7 days": "from=7d",
        "an old day": f"from={_day(week - 8 * 86_400_000)}&to={_day(week - 7 * 86_400_000)}",
        "tests only": "test=only",
        "without tests": "test=exclude",
        "2 attempts": "attempts=2",
        "slow": "slow=1",
        "with skipped": "skipped=1",
        "all at once": f"webhook={archive}&event_type=contractSigned&response=5xx&from=7d&q=contract",
    }
    for name, query in filters.items():
        yield Page("filtered", name, f"/log?{query}")
        yield Page("filtered", f"{name}, count", f"/log/counts?{query}")
    deep = cursors.encode(week - 20 * 86_400_000, 1)
    for name, query in {
        "deep": "",
        "a webhook, deep": f"webhook={warehouse}&",
        "failed, deep": "state=failed&",
    }.items():
        yield Page("deep page", name, f"/log?{query}cursor={deep}")
    yield Page("filtered", "a rare type, deep", f"/log?event_type=transaction.expired&cursor={deep}")
    delivery = _first(browser, f"/log?webhook={archive}", r"/deliveries/(dlv_[0-9a-z]+)")
    yield Page("delivery", "delivery", f"/deliveries/{delivery}")
    yield Page("delivery", "delivery, live part", f"/deliveries/{delivery}/live")
    event = _first(browser, "/events", r"/events/(evt_[0-9a-z]+)")
    yield Page("delivery", "event", f"/events/{event}")
    for name in ("Data warehouse", "Salesforce jobs", "Old archive"):
        yield Page("webhook", f"webhook {name}", f"/webhooks/{scene.webhooks[name]}")
    yield Page("lists", "webhooks", "/webhooks")
    yield Page("lists", "events", "/events")
    yield Page("lists", "events of a type", "/events?type=contractSigned")
    yield Page("lists", "catalogue", "/catalogue")
    yield Page("304", "log, unchanged", "/log/rows")
    yield Page("304", "webhooks, unchanged", "/webhooks/list")


def _day(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(at / 1000))


def _first(browser: Browser, path: str, pattern: str) -> str:
    found = re.search(pattern, browser.get(path).body.decode())
    assert found, f"{path} shows none"
    return found[1]
