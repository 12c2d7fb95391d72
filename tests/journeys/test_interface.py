"""What the interface promises beside its words: links, forms, switches, paper, copying, and that nothing jumps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Complaints, Window
    from tests.journeys.house import House

pytestmark = pytest.mark.timeout(180)

ROWS = 40
# What a copy takes where the browser has no clipboard: on plain http.
NO_CLIPBOARD = """
Object.defineProperty(navigator, "clipboard", { value: undefined });
document.addEventListener("copy", () => { window.copied = document.activeElement.value; });
"""
STEADY = (
    "/webhooks",
    "/webhooks/{on}",
    "/webhooks/new",
    "/log",
    "/deliveries/{tried_twice}",
    "/events",
    "/events/{event}",
    "/inbox/{inbox}",
    "/replays/{replay_running}",
    "/system",
)
MOST_SHIFT = 0.02
SHIFT = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shift += one.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """What is sent to."""
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def page(window: Window) -> Any:
    """The admin's window."""
    return window("admin")


def test_links_open_tabs_on_ctrl_click_and_back_returns_to_the_same_rows(house: House, page: Any) -> None:
    page.goto(f"/log?webhook={house.ids['on']}")
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


def test_a_refused_form_keeps_forty_rows_and_the_summary_has_the_focus(page: Any) -> None:
    page.goto("/webhooks/new")
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


def test_leaving_a_changed_form_asks_first(page: Any) -> None:
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto("/webhooks/new")
    page.locator("[name=name]").press_sequentially("Never saved")
    page.goto("/webhooks")

    assert asked == ["beforeunload"]


def test_a_switch_pressed_twice_quickly_sends_one_test(house: House, page: Any, receiver: Receiver) -> None:
    made = house.call("/webhooks", {"name": "Twice", "url": receiver.url})
    page.goto("/webhooks")
    page.get_by_role("switch", name="Off: Twice").dblclick()

    page.locator("tr", has_text="Twice").get_by_text("On. Test payload: 200").wait_for()
    sent = house.call(f"/deliveries?webhook={made['id']}")["items"]
    assert len(sent) == 1
    assert page.get_by_role("switch", name="On: Twice").count() == 1


def test_paper_has_every_attempt_in_light_colours(house: House, page: Any) -> None:
    page.context.add_cookies([{"name": "theme", "value": "dark", "url": house.address}])
    page.goto(f"/deliveries/{house.ids['tried_twice']}")
    hidden = page.locator(".attempt-body").last
    assert not hidden.is_visible()
    page.emulate_media(media="print")

    assert hidden.is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert not page.locator(".side").is_visible()
    assert "Printed" in page.locator(".print-only").inner_text()
    page.emulate_media(media="screen")
    page.context.add_cookies([{"name": "theme", "value": "system", "url": house.address}])


def test_copying_works_on_plain_http_and_zones_change_without_a_reload(house: House, window: Window) -> None:
    delivery = house.ids["delivered"]
    tab = window("admin", timezone_id="Asia/Tokyo")
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


def test_nothing_jumps_while_a_page_comes(house: House, window: Window) -> None:
    tab = window("admin")
    tab.add_init_script(SHIFT)
    tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    found = {}
    for address in STEADY:
        tab.goto(address.format(**house.ids))
        tab.wait_for_load_state("networkidle")
        found[address] = tab.evaluate("window.shift")

    assert {address: shift for address, shift in found.items() if shift > MOST_SHIFT} == {}


def test_the_browser_complained_about_nothing(complaints: Complaints) -> None:
    assert complaints == []
