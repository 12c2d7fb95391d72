"""Everything without script: each page opens, no control is dead, and each deed is done by forms and links alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pyotp
import pytest

from tests.journeys import pages
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Window
    from tests.journeys.house import House

pytestmark = pytest.mark.timeout(180)

# Controls that would do nothing, forms that nothing sends, and pages that say nothing.
DEAD = """
() => {
  const all = selector => [...document.querySelectorAll(selector)].filter(one => one.checkVisibility());
  const short = one => one.outerHTML.slice(0, 120);
  const dead = all("button[type=button]:not([popovertarget]), a[href='#'], a:not([href]), .live").map(short);
  for (const form of document.forms) {
    const sends = [...form.elements].some(one => one.type === "submit");
    const asks = [...form.elements].some(one => one.type !== "hidden" && !one.disabled && one.tagName !== "FIELDSET");
    if (asks && !sends && !form.matches("[role=search]")) dead.push(`nothing sends ${short(form)}`);
  }
  if (!all("h1").length) dead.push("no heading");
  const isDated = document.body.innerText.includes("As of ");
  if (document.querySelector("main [data-live]") && !isDated) dead.push("not said when it was so");
  return dead;
}
"""
FILTERS = (
    "state=retrying&state=failed",
    "webhook={on}",
    "event_type=job.created&kind=Job+Events",
    "response=2xx&response=503",
    "error=timeout",
    "from=24h&sort=oldest",
    "test=only",
    "attempts=2&slow=1",
    "skipped=1&test=exclude",
    "q=job&inside=1",
    "event={event}",
    "replay={replay_stopped}",
)
DEFAULTS = ("", "own")
ROW_IDS = "all => all.map(one => one.id)"
NEW_PASSWORD = "eleven grey herons fly"


@pytest.fixture(scope="module")
def tab(house: House, window: Window) -> Any:
    """The admin's window, without script."""
    return window("admin", java_script_enabled=False)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """What is sent to."""
    with Receiver() as found:
        yield found


def heading(tab: Any) -> str:
    """What the page is about."""
    return str(tab.locator("h1").inner_text())


def press(tab: Any, name: str, *, exact: bool = True) -> None:
    """Press a button of the page."""
    tab.locator("main").get_by_role("button", name=name, exact=exact).first.click()


def test_every_page_opens_and_no_control_is_dead(house: House, window: Window) -> None:
    found = []
    who, tab = "", None
    for one in pages.every_page(house, states=False):
        if one.who != who:
            who, tab = one.who, window(one.who, java_script_enabled=False)
        answer = tab.goto(one.address)
        found += [(str(one), answer.status)] if answer.status != one.code else []
        found += [(str(one), dead) for dead in tab.evaluate(DEAD)]

    assert found == []


def test_a_webhook_is_made_turned_on_tested_filtered_expanded_replayed_and_its_secret_rotated(
    tab: Any, receiver: Receiver
) -> None:
    tab.goto("/webhooks/new")
    tab.fill("[name=name]", "Made without script")
    tab.fill("[name=url]", receiver.url)
    press(tab, "Create webhook")
    tab.get_by_role("switch", name="Off: Made without script").click()  # sends a test payload
    tab.get_by_role("switch", name="On: Made without script").wait_for()
    tab.get_by_role("link", name="Made without script").first.click()
    tab.get_by_text("Send test payload").first.click()
    press(tab, "Test event of the preset")
    tab.get_by_text("Test payload").first.wait_for()

    tab.goto("/log")
    tab.get_by_text("Webhook", exact=True).first.click()
    tab.get_by_label("Made without script").check()
    press(tab, "Apply")
    assert tab.locator("tbody tr").count() == 2
    assert "to Made without script" in tab.locator(".sentence").inner_text()
    tab.locator("a.opener").first.click()
    detail = tab.locator(".detail")
    assert "webhook.test" in detail.inner_text()
    detail.get_by_role("link", name="Replay").click()
    press(tab, "Replay")
    assert "/deliveries/dlv_" in tab.url
    assert "TEST" in heading(tab)

    tab.get_by_role("link", name="Made without script").first.click()
    tab.get_by_role("link", name="Signature").click()
    tab.get_by_role("link", name="Rotate").click()
    press(tab, "Rotate")
    assert tab.locator("code", has_text="whsec_").first.inner_text().startswith("whsec_")


def test_a_webhook_is_paused_resumed_and_turned_off(house: House, tab: Any) -> None:
    tab.goto(f"/webhooks/{house.ids['mapped']}")
    for deed, state in (("Pause", "Paused by Maria Silva"), ("Resume", "On.")):
        tab.locator("main details.menu", has_text="Duplicate").locator("summary").click()
        press(tab, deed)
        assert state in tab.locator("main").inner_text()
    tab.get_by_role("switch", name="On: Provider reports").click()
    tab.get_by_role("switch", name="Off: Provider reports").wait_for()


def test_a_delivery_is_retried_and_canceled(house: House, tab: Any) -> None:
    tab.goto(f"/deliveries/{house.ids['retrying']}")
    press(tab, "Retry now")
    assert house.ids["retrying"] in tab.url
    tab.goto(f"/deliveries/{house.ids['held']}")
    tab.get_by_role("link", name="Cancel").first.click()
    press(tab, "Cancel delivery")
    assert "Canceled by Maria Silva" in heading(tab)


def test_deliveries_are_chosen_by_a_filter_counted_replayed_and_stopped(house: House, tab: Any) -> None:
    tab.goto(f"/replays/new?webhook={house.ids['on']}&state=delivered")
    tab.get_by_label("Only those still failed").uncheck()
    press(tab, "Count again")
    figure = re.search(r"[0-9,]+", heading(tab))
    assert figure is not None
    tab.fill("[name=rate]", "0.1")
    press(tab, f"Replay {figure[0]} deliveries")
    assert f"of {figure[0]}" in heading(tab)
    tab.locator("main").get_by_role("link", name="Stop", exact=True).click()
    press(tab, "Stop replay")
    assert "Stopped" in heading(tab)


@pytest.mark.parametrize("asked", FILTERS)
def test_applying_what_an_address_asks_for_changes_nothing(house: House, tab: Any, asked: str) -> None:
    asked = asked.format(**house.ids)
    tab.goto(f"/log?{asked}")
    before = tab.locator(".sentence p").inner_text(), tab.locator("tbody tr").evaluate_all(ROW_IDS)
    press(tab, "Apply")

    given = {pair for pair in parse_qsl(urlsplit(tab.url).query) if pair[1] not in DEFAULTS}
    assert given == set(parse_qsl(asked))
    assert (tab.locator(".sentence p").inner_text(), tab.locator("tbody tr").evaluate_all(ROW_IDS)) == before


def test_views_are_saved_and_what_is_found_is_taken_away(house: House, tab: Any) -> None:
    tab.goto("/log?state=failed&sort=oldest")
    tab.get_by_role("link", name="Save this view").click()
    tab.fill("#view-name", "Oldest failures")
    press(tab, "Save view")
    tab.get_by_role("navigation", name="Views").get_by_role("link", name="Oldest failures").wait_for()
    tab.get_by_text("Export", exact=True).click()
    with tab.expect_download() as taken:
        tab.get_by_role("link", name="CSV", exact=True).click()
    assert "failed" in taken.value.path().read_text()


def test_an_event_is_published_by_hand_and_an_inbox_answers_as_told(house: House, tab: Any) -> None:
    tab.goto("/events/new")
    tab.select_option("[name=type]", "job.created")
    press(tab, "Use its example")
    press(tab, "Publish event")
    assert "/events/evt_" in tab.url
    assert "job.created" in heading(tab)

    tab.goto(f"/inbox/{house.ids['empty_inbox']}")
    tab.select_option("[name=answer]", "500")
    press(tab, "Set")
    assert tab.locator("[name=answer]").input_value() == "500"


def test_units_companies_and_files_of_companies(tab: Any) -> None:
    tab.goto("/units/new")
    tab.fill("[name=name]", "West")
    tab.fill("[name=external_id]", "west")
    press(tab, "Add business unit")
    tab.get_by_role("link", name=re.compile("Import")).first.click()
    file = {
        "name": "companies.csv",
        "mimeType": "text/csv",
        "buffer": b"external_id,name,region\nriver,River Ltd,west\n",
    }
    tab.set_input_files("[name=file]", [file])
    press(tab, "Show what it would do")
    press(tab, "Import 1 companies", exact=False)
    tab.get_by_role("link", name="River Ltd").click()
    tab.fill("[name=name]", "River and Sons")
    press(tab, "Save")
    assert tab.locator("[name=name]").input_value() == "River and Sons"


def test_people_roles_keys_and_who_is_told(tab: Any) -> None:
    tab.goto("/roles/new")
    tab.fill("[name=name]", "Watcher")
    tab.get_by_label("events", exact=False).first.check()
    press(tab, "Add role")
    tab.goto("/members/new")
    tab.fill("[name=name]", "Nuno Alves")
    tab.fill("[name=email]", "nuno@acme.test")
    press(tab, "Add member")
    assert heading(tab) == "Nuno Alves"
    assert "/invite/" in tab.locator("main").inner_html()
    tab.get_by_role("link", name="Remove").first.click()
    press(tab, "Remove member")
    assert "Nuno" not in tab.locator("table").inner_text()

    tab.goto("/api-keys/new")
    tab.fill("[name=name]", "By hand")
    tab.get_by_role("checkbox").first.check()
    press(tab, "Create key")
    assert tab.locator("code", has_text="prk_").count() == 1
    tab.locator("tr", has_text="By hand").get_by_role("link", name="Revoke").click()
    press(tab, "Revoke key")
    assert "By hand was revoked" in tab.locator("body").inner_text() or "Revoked" in tab.locator("main").inner_text()

    tab.goto("/settings/notifications")
    tab.fill("[name=addresses]", "ops@acme.test")
    press(tab, "Save")
    assert tab.locator("[name=addresses]").input_value() == "ops@acme.test"


def test_ones_own_account_password_sessions_and_codes(house: House, window: Window) -> None:
    tab = window("nobody", java_script_enabled=False)

    def sign_in(password: str, code: str = "") -> None:
        tab.goto("/login")
        tab.fill("[name=email]", "dan.whitby@acme.test")
        tab.fill("[name=password]", password)
        press(tab, "Sign in")
        if code:
            tab.fill("[name=code]", code)
            press(tab, "Sign in")

    sign_in(house.password)
    tab.goto("/account")
    tab.fill("[name=current]", house.password)
    tab.fill("[name=new]", NEW_PASSWORD)
    press(tab, "Change password")
    assert "Password changed" in tab.locator("body").inner_text()
    tab.locator("summary[aria-label=Theme]").click()
    tab.get_by_role("button", name="Dark").click()
    assert tab.locator("html[data-theme=dark]").count() == 1

    tab.goto("/account/two-factor")
    secret = tab.locator("#key").inner_text().replace(" ", "")
    tab.fill("[name=code]", pyotp.TOTP(secret).now())
    tab.fill("[name=current]", NEW_PASSWORD)
    press(tab, "Turn on")
    recovery = re.search(r"\b[a-z2-7]{4}(-[a-z2-7]{4}){3}\b", tab.locator("main pre").inner_text())
    assert recovery is not None
    tab.locator("summary[aria-label*='account of']").click()
    tab.get_by_role("button", name="Sign out").click()

    sign_in(NEW_PASSWORD, recovery[0])
    tab.goto("/account/two-factor/off")
    tab.fill("[name=current]", NEW_PASSWORD)
    tab.fill("[name=code]", pyotp.TOTP(secret).at(0))
    press(tab, "Turn off codes")
    assert "Wrong code" in tab.locator("main").inner_text()
    press(tab, "Sign out everywhere else") if tab.get_by_role(
        "button", name="Sign out everywhere else"
    ).count() else None
