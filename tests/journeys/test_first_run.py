"""From the printed link to "Delivered", and on through every page, in a real browser."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys import axe
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from tests.journeys.conftest import Complaints, Server

pytestmark = pytest.mark.timeout(180)

EMAIL, PASSWORD = "ada@acme.test", "seven brown horses"
EMPTY = (
    "/start",
    "/webhooks",
    "/log",
    "/replays",
    "/replays/new",
    "/events",
    "/events/new",
    "/catalogue",
    "/inbox",
    "/units",
    "/members/new",
    "/api-keys",
    "/system/mail",
    "/settings/notifications",
    "/forgot",
)
DATA = '"data":{"id":7,"total":1.50}'


def test_the_link_leads_to_a_delivered_event_in_two_pages_and_three_clicks(server: Server, page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(server.setup_link)  # the first click is on the link itself
    page.evaluate(axe.SCRIPT)
    found = axe.look(page)
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    began = time.monotonic()
    page.get_by_role("button", name="Create account").click()
    button = page.get_by_role("button", name="Create webhook and send event")
    button.wait_for()
    spent = time.monotonic() - began
    for path in EMPTY:  # while nothing has happened yet
        page.goto(server.address + path)
        page.evaluate(axe.SCRIPT)
        found += [f"{path}: {one}" for one in axe.look(page)]
    page.goto(server.address + "/start")

    began = time.monotonic()
    button.click()
    page.get_by_text("Signature valid").first.wait_for()
    page.get_by_text("Delivered").first.wait_for()
    print(f"from Create account to Delivered: {spent + time.monotonic() - began:.1f} s")
    assert "/start" in page.url
    page.evaluate(axe.SCRIPT)
    found += axe.look(page)
    assert "\n".join(found) == ""


def test_the_link_works_once(server: Server, page: Any) -> None:
    page.goto(server.setup_link)

    assert page.get_by_text("was used on").count() == 1


def test_the_attempt_is_in_the_log_with_what_came_back(server: Server, page: Any) -> None:
    page.goto(server.address + "/log")
    row = page.locator("tr", has_text="job.created").first
    row.locator("a.opener").click()

    detail = page.locator(".detail").first
    detail.get_by_text("200 OK").first.wait_for()
    assert "Roof repair" in detail.inner_text()


def test_a_webhook_is_made_by_hand_turned_on_and_tested(server: Server, page: Any) -> None:
    with Receiver() as receiver:
        page.goto(server.address + "/webhooks/new")
        page.fill("[name=name]", "Billing production")
        page.fill("[name=url]", receiver.url)
        page.get_by_role("button", name="Create webhook", exact=True).click()
        page.get_by_text("Billing production").first.wait_for()
        secret = page.locator("code", has_text="whsec_").first.inner_text()
        assert secret.startswith("whsec_")

        page.get_by_role("switch", name="Billing production").click()

        page.get_by_text("Test payload: 200").first.wait_for()
        assert receiver.requests[0].headers["webhook-signature"].startswith("v1,")
        assert b"webhook.test" in receiver.requests[0].body


def test_an_event_by_curl_reaches_the_receiver_and_its_retry_is_planned(server: Server, page: Any) -> None:
    page.goto(server.address + "/api-keys")
    page.get_by_role("link", name="New key").or_(page.get_by_role("button", name="New key")).first.click()
    page.fill("[name=name]", "journey")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Create key").click()
    key = page.locator("code", has_text="prk_").first.inner_text().strip()

    body = '{"type":"job.created","id":"journey-1",' + DATA + "}"
    request = urllib.request.Request(
        server.address + "/api/v1/events",
        body.encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        stored = json.load(answer)

    assert len(stored["deliveries"]) == 2  # the test inbox, and the receiver that has gone away meanwhile
    page.goto(server.address + "/log?state=retrying")
    page.locator("tr", has_text="Billing production").first.wait_for()
    page.locator("tr", has_text="Billing production").get_by_role("link", name="job.created").first.click()
    page.get_by_text("Connection refused").first.wait_for()
    assert page.get_by_role("button", name="Retry now").count() == 1


def test_what_is_selected_stays_selected_and_is_replayed(server: Server, page: Any) -> None:
    page.goto(server.address + "/log?state=delivered&event_type=job.created")
    box = page.locator("tbody [name=delivery]").first
    with page.expect_response(lambda answer: "/log/rows" in answer.url):
        box.check()
        page.get_by_text("1 selected").wait_for()
    assert box.is_checked(), "a poll took the choice away"
    page.get_by_role("link", name=re.compile(r"Choose all [0-9]+ that match")).wait_for()

    page.get_by_role("button", name="Replay selected").click()
    page.get_by_label("Only those still failed").check()
    page.get_by_role("heading", name="Nothing to replay").wait_for()
    page.get_by_label("Only those still failed").uncheck()
    page.get_by_role("button", name="Replay 1 delivery").click()

    page.get_by_text("1 of 1 delivered.").wait_for()


def test_the_browser_complained_about_nothing(complaints: Complaints) -> None:
    assert complaints == []
