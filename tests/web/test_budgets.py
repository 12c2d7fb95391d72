"""What pages may weigh and ask: sizes as they travel, and statements a page."""

from __future__ import annotations

import gzip
import json

import pytest

from app.cli.demo.fill import fill
from app.services import log
from app.services.log import LogQuery
from tests.web.browser import sign_in
from tests.web.test_deliveries import counted

PAGES = (
    "/webhooks",
    "/webhooks/new",
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
# A webhook's own pages load its parts a statement each, and the form builds the preview from what is there to choose.
# The list asks for what can be chosen, what waits, what was missed, and the last day twice: by hour, and by duration.
FORM = {"webhooks": 14, "new": 14, "edit": 25, "why": 18, "signature": 14, "changes": 12}


@pytest.fixture
def ada(app, owner):
    """An admin at her browser."""
    return sign_in(app, owner)


def weight(answer) -> int:
    """How many bytes a page is as it travels."""
    assert answer.status_code == 200
    return len(gzip.compress(answer.data, 6))


def test_a_page_of_the_log_weighs_eight_kilobytes_with_all_that_is_on_it(app, clock):
    made, _ = fill("Acme", 250, 1, lambda _: None)
    page = sign_in(app, made.actor).get("/log")

    assert page.text.count("</tr>") == 51
    assert weight(page) <= 8_000


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
        *[f"/webhooks/{hook.id}/{page}" for page in ("edit", "signature", "changes", f"why?event={event.id}")],
        f"/deliveries/{delivery}/attempts/1",
        f"/events/{event.id}",
        "/catalogue/job.created",
    ):
        with counted() as statements:
            assert ada.get(address).status_code == 200, address
        if len(statements) > FORM.get(address.rpartition("/")[2].partition("?")[0], MOST_STATEMENTS):
            many[address.rpartition("/")[2]] = len(statements)

    assert many == {}
