"""Hostile names, payloads and answers before a real browser: nothing runs, nothing is refused by the policy."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from tests.journeys.conftest import Complaints, Server

pytestmark = pytest.mark.timeout(180)

NAME = '<script>alert(1)</script>{{7*7}}"><img src=x onerror=alert(1)><b hx-get=/logout>x'
ANSWER = (
    b"HTTP/1.1 500 <script>alert(1)</script>\r\nX-Odd: </pre><img src=x onerror=alert(1)>\r\nContent-Length: 88\r\n\r\n"
    + b'</pre><script>alert(1)</script><div hx-get="/logout" hx-trigger="load">x</div>'.ljust(88)
)
# What a page can tell about itself: a stripped attribute, a report of the policy, an element that nobody of us wrote.
WATCH = """
window.seen = [];
document.addEventListener("securitypolicyviolation", (event) => window.seen.push("csp: " + event.violatedDirective));
document.addEventListener("htmx:security:strip", (event) => window.seen.push("strip: " + event.target.outerHTML));
"""


def post(server: Server, key: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{server.address}/api/v1{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_nothing_that_strangers_wrote_runs_in_a_browser(server: Server, page: Any, complaints: Complaints) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.add_init_script(WATCH)
    page.goto(server.setup_link)
    page.fill("[name=email]", "ada@acme.test")
    page.fill("[name=password]", "seven brown horses")
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Create webhook and send event").wait_for()
    page.goto(server.address + "/api-keys/new")
    page.fill("[name=name]", NAME[:60])
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Create key").click()
    key = page.locator("code", has_text="prk_").first.inner_text().strip()

    with Receiver() as receiver:
        receiver.answers(*[ANSWER] * 4)
        post(server, key, "/event-types", {"name": "job.created", "title": NAME[:60], "description": NAME})
        url = receiver.url.rstrip("/") + "/{{7*7}}?q='onmouseover=alert(1)"
        hook = post(server, key, "/webhooks", {"name": NAME, "url": url, "retry": {"delays": [600]}, "enabled": True})
        stored = post(server, key, "/events", {"type": "job.created", "data": {NAME: NAME}, "context": {NAME: NAME}})
        delivery = next(one["id"] for one in stored["deliveries"] if one["webhook"] == hook["id"])
        page.goto(f"{server.address}/deliveries/{delivery}")
        page.get_by_text("500").first.wait_for()

    page.goto(server.address + "/inbox")
    page.get_by_role("button", name="Create test inbox").click()
    address = page.locator("#address").inner_text()
    sent = urllib.request.Request(
        address, ANSWER, {"X-Odd": "</pre><script>alert(1)</script>", "Content-Type": "text/html"}
    )
    urllib.request.urlopen(sent, timeout=10).close()

    found = []
    for path in (
        f"/deliveries/{delivery}",
        f"/log?open={delivery}",
        "/webhooks",
        f"/webhooks/{hook['id']}",
        f"/webhooks/{hook['id']}/edit",
        f"/webhooks/{hook['id']}/changes",
        f"/events/{stored['id']}",
        "/events",
        "/inbox",
        "/catalogue",
        "/catalogue/job.created",
        "/audit",
        "/api-keys",
        "/search?q=script",
    ):
        page.goto(server.address + path)
        page.wait_for_load_state("networkidle")
        found += [(path, one) for one in page.evaluate("window.seen")]
        strange = "main img, main script, main iframe, main [onerror], main [onmouseover], main [hx-get='/logout']"
        found += [(path, one) for one in page.locator(strange).evaluate_all("all => all.map((one) => one.outerHTML)")]
        assert "{{7*7}}" in page.content() or path in ("/audit", "/catalogue", "/inbox", "/events"), path
        assert not re.search(r"/login", page.url), path

    assert found == []
    assert dialogs == []
    assert complaints == []
