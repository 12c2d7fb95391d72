"""A keyboard alone: webhooks made and tested, deliveries found and replayed, every key that the help names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Complaints, Window
    from tests.journeys.house import House

pytestmark = pytest.mark.timeout(180)

PLACES = {"l": "/log", "e": "/events", "c": "/catalogue", "i": "/inbox/", "w": "/webhooks"}
FARTHEST = 150
HAS_FOCUS = "one => one === document.activeElement"
IN_ROW = "number => document.querySelectorAll('main tbody tr:not(.detail)')[number].contains(document.activeElement)"
# Each stop of the tab key, by its place among the elements of the page.
STOPS = """
() => {
  const all = [...document.querySelectorAll("*")];
  window.stops = [];
  document.addEventListener("focusin", event => window.stops.push(all.indexOf(event.target)));
}
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """What is sent to."""
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def tab(house: House, window: Window) -> Any:
    """The admin's window, in which nothing moves."""
    return window("admin", reduced_motion="reduce")


def tab_to(tab: Any, wanted: Any) -> None:
    """Press the tab key until something has the focus."""
    for _ in range(FARTHEST):
        tab.keyboard.press("Tab")
        if wanted.evaluate(HAS_FOCUS):
            return
    raise AssertionError(f"{wanted} is not reached")


def test_a_webhook_is_made_turned_on_tested_and_its_test_found(tab: Any, receiver: Receiver) -> None:
    tab.goto("/webhooks")
    tab.keyboard.press("n")
    tab.wait_for_url("**/webhooks/new")
    tab.locator("[name=name]:focus").wait_for()
    tab.keyboard.type("By keyboard")
    tab.keyboard.press("Tab")
    tab.keyboard.type(receiver.url)
    tab.keyboard.press("Enter")
    tab.get_by_text("By keyboard was created").first.wait_for()

    tab_to(tab, tab.get_by_role("switch", name="Off: By keyboard"))
    tab.keyboard.press("Space")
    tab.locator("tr", has_text="By keyboard").get_by_text("On. Test payload: 200").wait_for()
    tab.locator("[role=switch][aria-label='On: By keyboard']:focus").wait_for()
    tab_to(tab, tab.get_by_role("link", name="By keyboard", exact=True))
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/webhooks/whk_*")
    tab_to(tab, tab.locator("summary", has_text="Send test payload"))
    tab.keyboard.press("Enter")
    tab_to(tab, tab.get_by_role("button", name="Test event of the preset"))
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/webhooks/whk_*tested=*")

    tab.goto("/log")
    tab_to(tab, tab.locator("#filters a", has_text="Webhook"))
    tab.keyboard.press("Enter")
    tab.locator("#filters details[open] > summary:focus").wait_for()
    tab_to(tab, tab.get_by_label("By keyboard"))
    tab.keyboard.press("Space")
    tab.locator(".sentence", has_text="to By keyboard").wait_for()
    tab.keyboard.press("Escape")
    assert tab.locator("#filters summary", has_text="Webhook").evaluate(HAS_FOCUS)
    assert tab.locator("tbody tr").count() == 2


def test_a_delivery_is_found_opened_and_replayed_and_a_dialog_gives_the_focus_back(house: House, tab: Any) -> None:
    tab.goto("/log?state=delivered&test=exclude")
    tab.keyboard.press("j")
    tab.keyboard.press("e")
    tab.locator(".detail").wait_for()
    tab.wait_for_function("() => document.activeElement.matches('tr .title, tr .title *, .detail *')")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/deliveries/dlv_*")
    before = tab.url
    replay = tab.get_by_role("link", name="Replay").first
    tab_to(tab, replay)
    tab.keyboard.press("Enter")
    tab.locator("#dialog[open]").wait_for()
    tab.keyboard.press("Escape")
    assert replay.evaluate(HAS_FOCUS)
    tab.keyboard.press("Enter")
    tab.locator("#dialog[open] h2:focus").wait_for()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_url(lambda url: "/deliveries/dlv_" in url and url != before)
    assert "REPLAY" in tab.locator("h1").inner_text()


def test_every_key_does_what_the_help_says(tab: Any) -> None:
    tab.goto("/webhooks")
    for key, place in PLACES.items():
        tab.keyboard.press("g")
        tab.keyboard.press(key)
        tab.wait_for_url(f"**{place}*")

    tab.goto("/log?test=exclude")
    for key, row in (("j", 0), ("j", 1), ("k", 0)):
        tab.keyboard.press(key)
        assert tab.evaluate(IN_ROW, row)
    tab.keyboard.press("x")
    assert tab.locator("tbody [type=checkbox]").first.is_checked()
    tab.keyboard.press("e")
    tab.locator(".detail").wait_for()
    tab.keyboard.press(".")
    tab.locator("html[data-paused]").wait_for()
    tab.keyboard.press(".")
    tab.locator("html:not([data-paused])").wait_for()
    tab.keyboard.press("]")
    tab.wait_for_url("**cursor=*")
    tab.keyboard.press("[")
    tab.wait_for_url("**newer=*")

    tab.keyboard.press("?")
    tab.locator("#dialog[open] .keys").wait_for()
    tab.keyboard.press("j")  # not while a dialog asks
    assert tab.locator("#dialog[open] h2").evaluate(HAS_FOCUS)
    tab.keyboard.press("Escape")
    tab.locator("#dialog:not([open])").wait_for(state="attached")
    tab.keyboard.press("/")
    tab.keyboard.type("j")  # in a field it is a letter
    assert tab.input_value("#search") == "j"


def test_keys_are_left_alone_with_modifiers_and_where_somebody_wants_none(tab: Any) -> None:
    tab.goto("/log")
    for keys in ("Control+j", "Alt+j", "Meta+j"):
        tab.keyboard.press(keys)
    assert tab.evaluate("document.activeElement === document.body")

    tab.goto("/account")
    tab.get_by_label("Keyboard shortcuts").uncheck()
    tab.get_by_role("button", name="Save preferences").click()
    tab.get_by_text("Preferences saved.").wait_for()
    tab.goto("/log")
    tab.keyboard.press("j")
    assert tab.evaluate("document.activeElement === document.body")
    tab.goto("/account")
    tab.get_by_label("Keyboard shortcuts").check()
    tab.get_by_role("button", name="Save preferences").click()
    tab.get_by_text("Preferences saved.").wait_for()


@pytest.mark.parametrize("address", ["/log?state=failed", "/webhooks/new", "/deliveries/{tried_twice}"])
def test_the_tab_key_goes_through_a_page_from_above_to_below_and_out_again(
    house: House, tab: Any, address: str
) -> None:
    tab.goto(address.format(**house.ids))
    tab.evaluate(STOPS)
    skip = tab.evaluate("[...document.querySelectorAll('*')].indexOf(document.querySelector('.skip'))")
    stops: list[int] = []
    while stops.count(skip) < 2 and len(stops) < 2 * FARTHEST:
        for _ in range(25):
            tab.keyboard.press("Tab")
        stops = tab.evaluate("window.stops")

    first = stops.index(skip)
    once = stops[first : stops.index(skip, first + 1)]
    assert len(once) > 20
    assert once == sorted(once), "the order follows the page"


def test_the_browser_complained_about_nothing(complaints: Complaints) -> None:
    assert complaints == []
