"""What the interface promises beside its words: without script, by keyboard, kept up to date, in two tabs, on paper."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from tests.journeys.conftest import Complaints, Server

pytestmark = pytest.mark.timeout(180)

EMAIL, PASSWORD = "ada@acme.test", "seven brown horses"
ROWS = 40
# What a copy takes where the browser has no clipboard: on plain http.
NO_CLIPBOARD = """
Object.defineProperty(navigator, "clipboard", { value: undefined });
document.addEventListener("copy", () => { window.copied = document.activeElement.value; });
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """What the webhook of this module sends to."""
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def key(server: Server, page: Any) -> str:
    """Somebody signs up and makes an API key that may do everything."""
    page.goto(server.setup_link)
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Create webhook and send event").wait_for()
    page.goto(server.address + "/api-keys/new")
    page.fill("[name=name]", "journey")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Create key").click()
    return str(page.locator("code", has_text="prk_").first.inner_text().strip())


@pytest.fixture(scope="module")
def webhook(server: Server, key: str, receiver: Receiver) -> str:
    """A webhook that gives up for 10 min after a failure; its id."""
    retry = {"delays": [600, 600], "timeout": 5, "jitter": 0, "on_exhausted": "keep"}
    call(server, key, "/event-types", {"name": "job.created"})
    made = call(server, key, "/webhooks", {"name": "Warehouse", "url": receiver.url, "retry": retry, "enabled": True})
    return str(made["id"])


def call(server: Server, key: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the API; with a body, POST it."""
    request = urllib.request.Request(
        f"{server.address}/api/v1{path}",
        json.dumps(body).encode() if body is not None else None,
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method="POST" if body is not None else "GET",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def publish(server: Server, key: str, webhook: str, **data: Any) -> str:
    """Publish an event and return its delivery's id at this webhook."""
    stored = call(server, key, "/events", {"type": "job.created", "data": {"id": 7, **data}})
    return next(str(one["id"]) for one in stored["deliveries"] if one["webhook"] == webhook)


def signed_in(page: Any, chromium: Any, server: Server, **options: Any) -> Any:
    """Another window of the same person."""
    context = chromium.new_context(
        storage_state=page.context.storage_state(),
        base_url=server.address,
        viewport={"width": 1280, "height": 900},
        **options,
    )
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    return opened


def test_everything_is_done_without_script(
    server: Server, page: Any, chromium: Any, key: str, webhook: str, receiver: Receiver
) -> None:
    calm = signed_in(page, chromium, server, java_script_enabled=False)
    calm.goto("/webhooks/new")
    calm.fill("[name=name]", "Made without script")
    calm.fill("[name=url]", receiver.url)
    calm.get_by_role("button", name="Create webhook", exact=True).click()
    calm.get_by_role("switch", name="Off: Made without script").click()  # sends a test payload
    calm.get_by_role("switch", name="On: Made without script").wait_for()
    calm.get_by_role("link", name="Made without script").first.click()
    calm.get_by_text("Send test payload").first.click()
    calm.get_by_role("button", name="Test event of the preset").click()
    calm.get_by_text("Test payload").first.wait_for()

    calm.goto("/log")
    calm.get_by_text("Webhook", exact=True).first.click()
    calm.get_by_label("Made without script").check()
    calm.get_by_role("button", name="Apply").click()
    assert calm.locator("tbody tr").count() == 2
    assert "to Made without script" in calm.locator(".sentence").inner_text()
    calm.locator("a.opener").first.click()
    detail = calm.locator(".detail")
    assert "webhook.test" in detail.inner_text()
    detail.get_by_role("link", name="Replay").click()
    calm.get_by_role("button", name="Replay").click()
    assert "/deliveries/dlv_" in calm.url
    assert "TEST" in calm.locator("h1").inner_text()

    calm.get_by_role("link", name="Made without script").first.click()
    calm.get_by_role("link", name="Signature").click()
    calm.get_by_role("link", name="Rotate").click()
    calm.get_by_role("button", name="Rotate").click()
    assert calm.locator("code", has_text="whsec_").first.inner_text().startswith("whsec_")
    calm.context.close()


def test_a_webhook_is_made_and_a_delivery_replayed_by_keyboard_alone(
    server: Server, page: Any, key: str, webhook: str, receiver: Receiver
) -> None:
    publish(server, key, webhook)
    page.goto(server.address + "/webhooks")
    page.keyboard.press("n")
    page.wait_for_url("**/webhooks/new")
    page.locator("[name=name]:focus").wait_for()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type(receiver.url)
    page.keyboard.press("Enter")
    page.get_by_text("By keyboard was created").first.wait_for()

    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/log")
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.locator(".detail").wait_for()
    page.wait_for_function("() => document.activeElement.matches('tr .title, tr .title *, .detail *')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/deliveries/dlv_*")
    before = page.url
    replay = page.get_by_role("link", name="Replay").first
    for _ in range(60):
        page.keyboard.press("Tab")
        if replay.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator("#dialog[open]").wait_for()
    page.keyboard.press("Escape")
    assert replay.evaluate("one => one === document.activeElement")
    page.keyboard.press("Enter")
    page.locator("#dialog[open] h2:focus").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/deliveries/dlv_" in url and url != before)
    assert "REPLAY" in page.locator("h1").inner_text()

    page.keyboard.press("?")
    page.locator("#dialog[open] .keys").wait_for()
    page.keyboard.press("Escape")
    page.evaluate("() => new Promise(requestAnimationFrame)")  # by then the dialog has given the focus back
    page.keyboard.press("/")
    page.keyboard.type("j")  # in a field it is a letter
    assert page.input_value("#search") == "j"


def test_polls_are_304_until_something_changes_which_then_changes_in_place(
    server: Server, page: Any, key: str, webhook: str, receiver: Receiver
) -> None:
    receiver.answers(503)
    shown = publish(server, key, webhook, n=1)
    polls: list[int] = []
    page.on("response", lambda answer: polls.append(answer.status) if "/log/rows" in answer.url else None)
    page.goto(f"{server.address}/log?webhook={webhook}&state=retrying&state=delivered&test=exclude")
    page.locator(f"#{shown} .badge", has_text="Retrying").wait_for()
    receiver.answers(200)
    page.locator(f"#{shown} .opener").click()
    page.locator(f"#d-{shown} details.attempt > summary").first.click()  # was open: now closed, and stays so
    page.locator(f"#{shown} .opener").focus()

    polls.clear()
    for _ in range(2):
        page.wait_for_event("response", lambda answer: "/log/rows" in answer.url)
    assert set(polls) == {200, 304} or set(polls) == {304}
    assert polls.count(200) <= 1

    publish(server, key, webhook, n=2)
    page.locator(".pill", has_text="1 new").wait_for()
    call(server, key, f"/deliveries/{shown}/retry", {})
    page.locator(f"#{shown} .badge", has_text="Delivered").wait_for()

    assert page.locator(f"#d-{shown}").is_visible()
    assert page.locator(f"#d-{shown} details.attempt").last.evaluate("one => one.open") is False
    assert page.locator(f"#{shown} .opener:focus").count() == 1
    page.locator(".pill").click()
    page.locator("tbody tr:not(.detail)").nth(1).wait_for()


def test_a_hidden_tab_asks_nothing_and_a_session_that_ended_leaves_the_table_alone(
    server: Server, page: Any, chromium: Any, key: str, webhook: str
) -> None:
    tab = signed_in(page, chromium, server)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url) if "/log/rows" in request.url else None)
    tab.goto("/log")
    rows = tab.locator("tbody tr").count()
    hide = "Object.defineProperty(document, 'hidden', {{ get: () => {}, configurable: true }});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    tab.evaluate(hide.format("true") + tell)
    asked.clear()
    tab.wait_for_timeout(3_500)
    assert asked == []
    with tab.expect_request("**/log/rows*"):
        tab.evaluate(hide.format("false") + tell)

    tab.context.clear_cookies()
    tab.get_by_text("You were signed out.").wait_for()
    assert tab.locator("tbody tr").count() == rows
    asked.clear()
    tab.wait_for_timeout(2_500)
    assert asked == []
    tab.context.close()


def test_links_open_tabs_on_ctrl_click_and_back_returns_to_the_same_rows(
    server: Server, page: Any, key: str, webhook: str
) -> None:
    page.goto(server.address + "/log?webhook=" + webhook)
    rows = page.locator("tbody tr").evaluate_all("all => all.map(one => one.id)")
    for link in (page.locator("a.opener").first, page.locator("tbody a.title").first):
        with page.context.expect_page() as opened:
            link.click(modifiers=["ControlOrMeta"])
        opened.value.wait_for_load_state()
        assert "open=dlv_" in opened.value.url or "/deliveries/" in opened.value.url
        opened.value.close()
        page.bring_to_front()
    assert page.locator(".detail").count() == 0

    page.locator("a.opener").first.click()
    page.locator(".detail").wait_for()
    page.locator("tbody a.title").first.click()
    page.wait_for_url("**/deliveries/dlv_*")
    page.go_back()
    page.locator(".detail").wait_for()
    assert page.locator("tbody tr:not(.detail)").evaluate_all("all => all.map(one => one.id)") == rows


def test_a_refused_form_keeps_forty_rows_and_the_summary_has_the_focus(server: Server, page: Any, key: str) -> None:
    page.goto(server.address + "/webhooks/new")
    page.fill("[name=name]", "Many rows")
    page.fill("[name=url]", "https://hooks.example.com/in")
    page.get_by_role("button", name="Add a row").click()
    page.locator("[name=mapping_field]").wait_for()
    page.evaluate(
        "count => { const row = document.querySelector('.mapping li');"
        " for (let n = 1; n < count; n++) row.after(row.cloneNode(true)); }",
        ROWS,
    )
    page.evaluate(
        "() => ['field', 'property'].forEach(part => document.querySelectorAll(`[name=mapping_${part}]`)"
        ".forEach((field, n) => { field.value = part === 'field' ? `data${n}` : 'same'; }))"
    )
    page.get_by_role("button", name="Create webhook", exact=True).click()

    page.locator(".banner[data-level=danger]:focus").wait_for()
    typed = page.locator("[name=mapping_field]").evaluate_all("all => all.map(one => one.value)")
    assert sorted(typed) == sorted(f"data{n}" for n in range(ROWS))
    assert "Two rows send" in page.locator(".mapping-error").first.inner_text()


def test_leaving_a_changed_form_asks_first(server: Server, page: Any, key: str) -> None:
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto(server.address + "/webhooks/new")
    page.locator("[name=name]").press_sequentially("Never saved")
    page.goto(server.address + "/webhooks")

    assert asked == ["beforeunload"]


def test_a_switch_pressed_twice_quickly_sends_one_test(server: Server, page: Any, key: str, receiver: Receiver) -> None:
    made = call(server, key, "/webhooks", {"name": "Twice", "url": receiver.url})
    page.goto(server.address + "/webhooks")
    page.get_by_role("switch", name="Off: Twice").dblclick()

    page.locator("tr", has_text="Twice").get_by_text("On. Test payload: 200").wait_for()
    sent = call(server, key, f"/deliveries?webhook={made['id']}")["items"]
    assert len(sent) == 1
    assert page.get_by_role("switch", name="On: Twice").count() == 1


def test_paper_has_every_attempt_in_light_colours(server: Server, page: Any, key: str, webhook: str) -> None:
    delivery = call(server, key, f"/deliveries?webhook={webhook}&state=delivered&limit=100")["items"]
    twice = next(one["id"] for one in delivery if one["attempt_count"] == 2)
    page.context.add_cookies([{"name": "theme", "value": "dark", "url": server.address}])
    page.goto(f"{server.address}/deliveries/{twice}")
    hidden = page.locator(".attempt-body").last
    assert not hidden.is_visible()
    page.emulate_media(media="print")

    assert hidden.is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert not page.locator(".side").is_visible()
    assert "Printed" in page.locator(".print-only").inner_text()
    page.emulate_media(media="screen")
    page.context.add_cookies([{"name": "theme", "value": "system", "url": server.address}])


def test_copying_works_on_plain_http_and_zones_change_without_a_reload(
    server: Server, page: Any, chromium: Any, key: str, webhook: str
) -> None:
    delivery = publish(server, key, webhook)
    tab = signed_in(page, chromium, server, timezone_id="Asia/Tokyo")
    tab.add_init_script(NO_CLIPBOARD)
    tab.goto(f"/deliveries/{delivery}")
    tab.get_by_role("button", name=re.compile("^Copy dlv_")).click()
    tab.locator("#said", has_text="Copied").wait_for()
    assert tab.evaluate("window.copied") == delivery

    is_utc = "({ dateTime, textContent }) => textContent.includes(dateTime.slice(11, 19))"
    shown = f"({is_utc})(document.querySelector('.facts time'))"
    tab.evaluate("window.same = true")
    tab.locator("[data-prefer=zone] button", has_text="Tokyo").click()
    tab.wait_for_function(f"() => !{shown}")
    tab.locator("[data-prefer=zone] button", has_text="UTC").click()
    tab.wait_for_function(f"() => {shown}")
    assert tab.evaluate("window.same") is True
    tab.context.close()


def test_axe_finds_nothing_on_the_pages_of_one_thing(server: Server, page: Any, key: str, webhook: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    delivery = publish(server, key, webhook)
    event = call(server, key, f"/deliveries/{delivery}")["event"]
    paths = (
        *[f"/webhooks/{webhook}{part}" for part in ("", "/edit", "/signature", "/changes", f"/why?event={event}")],
        f"/webhooks/{webhook}/why?event=no.type",
        f"/deliveries/{delivery}",
        f"/deliveries/{delivery}/attempts/1",
        f"/events/{event}",
        f"/log?open={delivery}",
        "/log?q=nothing&inside=1",
        "/events?q=nothing",
    )
    found = []
    for path, (scheme, width) in product(paths, (("light", 1280), ("dark", 375))):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(server.address + path)
        page.locator("h1").wait_for()
        violations = Axe().run(page).response["violations"]
        found += [(path, scheme, each["id"], each["nodes"][0]["html"][:120]) for each in violations]
        page.set_viewport_size({"width": 320, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append((path, scheme, "wider than 320 px", ""))
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})

    assert found == []


def test_the_browser_complained_about_nothing(complaints: Complaints) -> None:
    assert complaints == []
