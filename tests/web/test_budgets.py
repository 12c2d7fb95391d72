"""What pages may weigh and ask: sizes as they travel, and statements a page."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from app.cli.demo.fill import fill
from app.core.stats import HOUR_MS, Measure, hour_of
from app.database import write
from app.models import Stat, Webhook
from app.services import log, webhooks
from app.services.log import LogQuery
from app.services.scope import for_org
from tests.web.browser import sign_in
from tests.web.test_deliveries import counted

PAGES = (
    "/webhooks",
    "/webhooks/new",
    "/events",
    "/replays",
    "/roles",
    "/start",
    "/log?state=failed&sort=oldest",
    "/log?q=job&inside=1",
    "/events?q=job",
    "/catalogue",
    "/inbox/new",
    "/units",
    "/members",
    "/api-keys",
    "/audit",
    "/settings",
    "/account",
)
MOST_STATEMENTS = 12
ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("Billing", "Warehouse", "CRM", "Ledger", "Notifier", "Archive", "Search", "Data lake", "Fleet", "Payroll")
PLACES = ("production", "staging", "Lisbon", "Porto", "Faro", "north", "south", "partners", "legacy")
SENDS: tuple[dict[str, Any], ...] = ({}, {"events": ["job.created", "job.updated"]}, {"events": ["contractSigned"]})


# What a page weighs doesn't hang on the database.
on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def ada(app, owner):
    """An admin at her browser."""
    return sign_in(app, owner)


def weight(answer) -> int:
    """How many bytes a page is as it travels."""
    assert answer.status_code == 200
    return len(gzip.compress(answer.data, 6))


@on_one_database
def test_a_page_of_the_log_weighs_eight_kilobytes_with_all_that_is_on_it(app, clock):
    made, _ = fill("Acme", 250, 1, lambda _: None)
    page = sign_in(app, made.actor).get("/log")

    assert page.text.count("</tr>") == 51
    assert weight(page) <= 8_000
    drawn = {each for each in re.findall(r'(?:src|href)="(/static/[^"#]+)', page.text) if "favicon" not in each}
    files = [(ROOT / each.partition("?")[0].lstrip("/")).read_bytes() for each in drawn]
    assert len(files) + 1 <= 6  # requests until the page stands
    assert weight(page) + sum(len(gzip.compress(each, 6)) for each in files) <= 60_000


@on_one_database
def test_a_list_of_a_hundred_webhooks_weighs_twelve_kilobytes_with_their_last_day(app, clock):
    made, _ = fill("Acme", 250, 1, lambda _: None)
    living = [f"{what} {where}" for where in PLACES for what in SYSTEMS][: 100 - len(made.webhooks)]
    for number, name in enumerate(living):
        host = name.lower().replace(" ", "-")
        hook = webhooks.create(
            made.actor, {"name": name, "url": f"https://{host}.acme.example/hooks", **SENDS[number % 3]}
        )
        with write() as session:
            row = for_org(session, made.actor, Webhook).one(hook.webhook.id)
            row.turn_on("Maria Silva", clock.now)
            row.lane.last_success_at = clock.now - number * 97_000
            session.add_all(a_day(row.id, clock.now, number))
    page = sign_in(app, made.actor).get("/webhooks")

    assert page.text.count("</tr>") == 101
    assert page.text.count('class="spark"') == 100
    assert weight(page) <= 12_000


def a_day(webhook_id: int, now: int, number: int) -> list[Stat]:
    """What a webhook sends in a day: much by day, little by night, each in its own way; every tenth one also fails."""
    chance, found = random.Random(number), []
    busy, noon = (0, 3, 40, 400, 2_000)[number % 5], chance.uniform(11, 15)
    for ago in range(24):
        hour = hour_of(now) - ago * HOUR_MS
        by_day = max(0.0, 1 - abs(hour // HOUR_MS % 24 - noon) / 8)
        sent = round(busy * by_day * chance.uniform(0.7, 1.3))
        failed = round(sent * chance.uniform(0, 0.4)) if number % 10 == 2 else 0
        for measure, key, count in (
            (Measure.FIRST, "job.created", sent - failed),
            (Measure.MISSED, "job.created", failed),
            (Measure.ANSWER, f"200 {20 + number * 7}", sent - failed),
        ):
            if count:
                found.append(Stat(webhook_id=webhook_id, hour=hour, measure=measure, key=key, count=count))
    return found


def test_a_delivery_with_a_large_payload_stays_small_and_a_poll_of_nothing_new_smaller(
    ada, make_webhook, receiver, publish, deliver
):
    item = {"sku": "A-4711", "name": "Roof tile, red", "price": 12.5}
    data = json.dumps({"items": [{**item, "n": n} for n in range(64 * 1024 // 70)]}).encode()
    make_webhook(url=receiver.url)
    publish("job.created", data)
    deliver()
    delivery = log.page(ada.actor, LogQuery()).rows[0].id
    large = ada.get(f"/deliveries/{delivery}")

    assert len(data) > 60_000
    assert weight(large) <= 25_000
    unchanged = ada.fragment("/log/rows", **{"If-None-Match": ada.fragment("/log/rows").headers["ETag"]})
    assert unchanged.status_code == 304
    assert unchanged.headers["Cache-Control"] == "no-store"
    assert len(str(unchanged.headers)) <= 600 - 100  # the server adds its line, its name and the date


def test_no_page_asks_the_database_more_than_twelve_times(ada, make_webhook, receiver, publish, deliver):
    hook = make_webhook(url=receiver.url, filter="data.id > `1`")
    event = publish()
    deliver()
    delivery = log.page(ada.actor, LogQuery()).rows[0].id
    many = {}
    for address in (
        *PAGES,
        *[f"/webhooks/{hook.id}{page}" for page in ("", "/edit", "/signature", "/changes", f"/why?event={event.id}")],
        f"/webhooks/new?from={hook.id}",
        f"/deliveries/{delivery}",
        f"/deliveries/{delivery}/attempts/1",
        f"/events/{event.id}",
        "/catalogue/job.created",
    ):
        with counted() as statements:
            assert ada.get(address).status_code == 200, address
        if len(statements) > MOST_STATEMENTS:
            many[address.rpartition("/")[2]] = len(statements)

    assert many == {}
