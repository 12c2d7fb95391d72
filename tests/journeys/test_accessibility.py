"""Every page before axe and a ruler: light and dark, wide and narrow, with its menus, folds, dialogs and errors."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from playwright.sync_api import expect

from tests.journeys import axe, pages
from tests.support.receiver import Receiver
from tests.web.test_access import pages_of

if TYPE_CHECKING:
    from flask import Flask

    from tests.journeys.conftest import Complaints, Window
    from tests.journeys.house import House

pytestmark = pytest.mark.timeout(300)

# What a page can tell about itself beside what axe finds: what is wrong, and what can be opened.
ABOUT = """
() => {
  const wrong = [], all = selector => [...document.querySelectorAll(selector)];
  const short = one => one.outerHTML.slice(0, 120);
  if (all("h1").length !== 1) wrong.push(`${all("h1").length} h1`);
  wrong.push(...all("[style]").map(one => `inline style: ${short(one)}`));
  wrong.push(...all("nav:not([aria-label], [aria-labelledby])").map(one => `no name: ${short(one)}`));
  wrong.push(...all("table:not(:has(caption))").map(one => `no caption: ${short(one)}`));
  const seen = one => one.checkVisibility({ visibilityProperty: true });
  return {
    wrong, title: document.title,
    menus: all("details.menu").map(one => seen(one) && one.textContent.replace(/\\s+/g, " ")),
    dialogs: all("a[data-dialog]").map(one => seen(one) && one.pathname),
    folds: all("main details:not(.menu):not([open])").filter(one => { one.open = true; return true; }).length,
  };
}
"""
# Everything that the tab key reaches: it takes the focus, shows it, and nothing sticky lies over all of it.
FOCUS = """
() => {
  const fields = ":is(button, input, select, textarea):enabled:not([type=hidden])", found = [];
  const is_framed = one => {
    const {outlineStyle, outlineWidth} = one ? getComputedStyle(one) : {};
    return one && outlineStyle !== "none" && outlineWidth !== "0px";
  };
  for (const one of document.querySelectorAll(`a[href], summary, [tabindex="0"], ${fields}`)) {
    if (one.tabIndex < 0 || !one.checkVisibility({visibilityProperty: true})) continue;
    const told = `${innerWidth} ${one.outerHTML.slice(0, 120)}`;
    one.focus({focusVisible: true});
    if (document.activeElement !== one) { found.push(`takes no focus ${told}`); continue; }
    const framed = [one, one.closest("label"), one.parentElement].find(is_framed);
    if (!framed) { found.push(`shows no focus ${told}`); continue; }
    const {left, top, right, bottom} = framed.getBoundingClientRect(), middle = (left + right) / 2;
    const points = [[left + 3, top + 3], [right - 3, top + 3], [left + 3, bottom - 3], [right - 3, bottom - 3],
      [middle, (top + bottom) / 2]];
    const is_seen = points.some(([x, y]) => framed.contains(document.elementFromPoint(x, y)));
    if (!is_seen) found.push(`is covered ${told}`);
  }
  document.activeElement.blur();
  scrollTo(0, 0);
  return found;
}
"""
PARTS = (
    "webhooks",
    "log replays search",
    "deliveries",
    "events catalogue inbox",
    "units companies members roles api-keys audit",
    "settings system",
    "account and what is for everybody",
)
# Forms that refuse what is empty, and one whose page somebody else changed meanwhile.
REFUSING = (
    "/webhooks/new",
    "/webhooks/{on}/delete",
    "/units/new",
    "/units/{unit}/import",
    "/members/new",
    "/catalogue/new",
    "/events/new",
    "/log/views/new?state=failed",
    "/account",
    "/account/two-factor",
    "/settings",
    "/deliveries/{failed}/edit-test",
    "nobody:/login",
    "nobody:/forgot",
    "nobody:/invite/{invitation}",
)
FORM = "form[method=post]:not([action^='/notices/'], .act)"
EMPTY = """
form => {
  const typed = "input:not([type=hidden], [type=checkbox], [type=radio], [type=file]), textarea";
  for (const field of form.querySelectorAll(typed)) field.value = "";
  form.noValidate = true;
  form.requestSubmit();
}
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_page_is_in_the_list(app: Flask) -> None:
    rules = {rule.endpoint for rule in pages_of(app) if "GET" in (rule.methods or ())} | {"static"}
    listed = {*pages.PAGES, *pages.NOT_LISTED}
    routes = app.url_map.bind("localhost")
    elsewhere = [
        (text, endpoint)
        for endpoint, texts in pages.PAGES.items()
        for text in texts
        if routes.match(re.sub(r"\{(\w+)\}", r"x_\1", pages.split(text)[1].partition("?")[0]))[0] != endpoint
    ]

    assert rules - listed == set(), "pages that no browser test opens"
    assert listed - rules - {"health.healthz", "health.readyz"} == set(), "pages that there are no more"
    assert elsewhere == []


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The menus and dialogs that were opened already."""
    return set()


@pytest.fixture(scope="module")
def titles() -> dict[str, set[str]]:
    """Where each title was seen."""
    return {}


@pytest.mark.parametrize("part", PARTS)
def test_axe_finds_nothing_on_any_page_closed_or_opened(
    house: House, window: Window, part: str, known: set[str], titles: dict[str, set[str]]
) -> None:
    found: list[tuple[str, str]] = []
    who, tab = "", None
    for one in pages.every_page(house):
        if part_of(one.address) != part:
            continue
        is_first = one.who != who
        if is_first:
            who, tab = one.who, watched(window, one.who)
        answer = tab.goto(one.address)
        expect(tab.locator(".htmx-request")).to_have_count(0)  # an answer that comes to a page being left is refused
        problems = axe.look(tab, whole=is_first)
        problems += tab.evaluate(FOCUS)
        about = tab.evaluate(ABOUT)
        problems += about["wrong"]
        problems += axe.look_at(tab, "main details[open]") if about["folds"] else []
        problems += _dialogs(tab, about["dialogs"], known) + _menus(tab, about["menus"], known)
        if answer.status != one.code:
            problems.append(f"answered with {answer.status}")
        if one.code == 200:
            titles.setdefault(about["title"], set()).add(one.address.partition("?")[0])
        found += [(str(one), problem) for problem in problems]

    assert lines(found) == ""


def part_of(address: str) -> str:
    """The part of the site that a page belongs to; the last one has whatever is in no other."""
    first = address.split("/")[1].partition("?")[0]
    return next((part for part in PARTS if first in part.split()), PARTS[-1])


def test_titles_tell_pages_apart(titles: dict[str, set[str]]) -> None:
    assert {title: places for title, places in titles.items() if len(places) > 1} == {}
    assert [title for title in titles if not title.endswith(" · Postroom")] == []


def test_the_browser_complained_about_nothing(complaints: Complaints) -> None:
    assert complaints == []


def watched(window: Window, who: str) -> Any:
    """A window in which nothing moves, with axe in every page."""
    tab = window(who, reduced_motion="reduce")
    tab.add_init_script(axe.SCRIPT)
    return tab


def _menus(tab: Any, texts: list[str | bool], known: set[str]) -> list[str]:
    """Open each menu that wasn't seen before; Escape closes it and the focus stays with it."""
    found = []
    for number, text in enumerate(texts):
        if not isinstance(text, str) or text in known:
            continue
        known.add(text)
        menu = tab.locator("details.menu").nth(number)
        menu.locator("summary").first.click()
        found += axe.look_at(tab, "details.menu[open]")
        tab.keyboard.press("Escape")
        if not menu.evaluate("one => !one.open && one.contains(document.activeElement)"):
            found.append(f"Escape leaves the menu {text[:40]} open, or the focus elsewhere")
    return found


def _dialogs(tab: Any, paths: list[str | bool], known: set[str]) -> list[str]:
    """Open each kind of dialog that wasn't seen before; Escape closes it and gives the focus back."""
    found = []
    for number, path in enumerate(paths):
        kind = re.sub(r"\w+_[0-9a-z]{26}", "*", path) if isinstance(path, str) else ""
        if not kind or kind in known:
            continue
        known.add(kind)
        link = tab.locator("a[data-dialog]").nth(number)
        link.click()
        tab.locator("#dialog[open] h2").wait_for()
        found += axe.look_at(tab, "#dialog")
        tab.keyboard.press("Escape")
        tab.locator("#dialog:not([open])").wait_for(state="attached")
        tab.evaluate("() => new Promise(requestAnimationFrame)")  # by then the focus is back
        if not link.evaluate("one => one === document.activeElement"):
            found.append(f"the dialog of {kind} keeps the focus")
    return found


def test_axe_finds_nothing_on_forms_that_were_refused(house: House, window: Window) -> None:
    found: list[tuple[str, str]] = []
    tabs = {who: watched(window, who) for who in ("admin", "nobody")}
    for text in REFUSING:
        who, address = pages.split(text)
        tab = tabs[who]
        tab.goto(address.format(**house.ids))
        with tab.expect_navigation() as gone:
            tab.locator(f"main {FORM}").first.evaluate(EMPTY)
        problems = axe.look(tab, whole=False)
        if gone.value.status != 422:
            problems.append(f"answered with {gone.value.status}")
        named = tab.locator("[aria-invalid=true]").evaluate_all(
            "all => all.map(one => document.getElementById(one.getAttribute('aria-describedby')?.split(' ').at(-1)))"
            ".every(Boolean) && all.length"
        )
        if not named and address != "/login":  # which of the two is wrong isn't told
            problems.append("no field is named")
        found += [(text, problem) for problem in problems]

    tab = tabs["admin"]
    tab.goto(f"/webhooks/{house.ids['on']}/edit")
    tab.locator("[name=version]").evaluate("one => { one.value = 0; }")
    with tab.expect_navigation() as gone:
        tab.get_by_role("button", name="Save").first.click()
    assert gone.value.status == 409
    found += [("changed meanwhile", problem) for problem in axe.look(tab, whole=False)]

    assert lines(found) == ""


def lines(found: list[tuple[str, str]]) -> str:
    """What was found, a line each: a failed test then shows all of it."""
    return "\n".join(": ".join(one) for one in found)


@pytest.mark.parametrize("code", [500, 503])
def test_axe_finds_nothing_on_the_page_of_what_broke(house: House, window: Window, code: int) -> None:
    headers, body = house.broken[code]
    tab = watched(window, "admin")
    tab.route("**/broken", lambda route: route.fulfill(status=code, headers=headers, body=body))
    tab.goto("/broken")

    assert axe.look(tab) + tab.evaluate(ABOUT)["wrong"] == []
    assert tab.get_by_role("link", name="Try again").count() == 1


def test_a_chosen_theme_has_the_colours_of_the_systems(house: House, window: Window) -> None:
    colours = """
    () => [...document.querySelectorAll("body, body *")].slice(0, 400)
      .map(one => getComputedStyle(one)).map(({color, backgroundColor, borderTopColor}) =>
        [color, backgroundColor, borderTopColor].join())
    """
    tab = window("admin", reduced_motion="reduce")
    tab.goto("/log")
    shown = []
    for system, chosen in (("dark", None), ("light", "dark"), ("light", None), ("dark", "light")):
        tab.emulate_media(color_scheme=system)
        tab.evaluate(
            "theme => { theme ? document.documentElement.dataset.theme = theme"
            " : delete document.documentElement.dataset.theme; }",
            chosen,
        )
        shown.append(Counter(tab.evaluate(colours)))

    assert shown[0] == shown[1]
    assert shown[2] == shown[3]
    assert shown[0] != shown[2]


# Pages that follow a form alone: what is shown once, asked back, or tried out.
SHOWN_ONCE: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("/api-keys/new", {"[name=name]": "Shown once"}, "Create key", "prk_"),
    ("/webhooks/new", {"[name=name]": "New one", "[name=url]": "https://new.acme.test/in"}, "Create webhook", "whsec_"),
    ("/webhooks/{on}/secret/rotate", {}, "Rotate", "whsec_"),
    ("/webhooks/{on}/signature", {"[name=headers]": "webhook-id: evt_1", "[name=body]": "{}"}, "Check", "header"),
    (
        "/system/organizations/new",
        {"[name=organization]": "Third", "[name=email]": "zoe@third.test", "[name=name]": "Zoe"},
        "Add organization",
        "/invite/",
    ),
    ("/units/{unit}/import", {}, "Show what it would do", "River"),
    ("/webhooks/new", {}, "Add a row", "Field"),
)


def test_axe_finds_nothing_on_what_follows_a_form(house: House, window: Window) -> None:
    tab = watched(window, "admin")
    found = []
    for address, typed, button, shown in SHOWN_ONCE:
        tab.goto(address.format(**house.ids))
        for field, text in typed.items():
            tab.locator("main").locator(field).fill(text)
        if "import" in address:
            rows = b"external_id,name\nriver,River Ltd\n,Nameless\n"
            tab.set_input_files("[name=file]", [{"name": "a.csv", "mimeType": "text/csv", "buffer": rows}])
        for box in tab.locator("[name=scopes]").all()[:1]:
            box.check()
        tab.locator("main").get_by_role("button", name=button, exact=True).first.click()
        tab.locator("main", has_text=shown).wait_for()
        found += [(f"{address} {button}", problem) for problem in axe.look(tab, whole=False)]

    assert lines(found) == ""


def test_axe_finds_nothing_between_password_and_code_and_on_recovery_codes(house: House, window: Window) -> None:
    tab = watched(window, "nobody")
    tab.goto("/login")
    tab.fill("[name=email]", "joao.reis@acme.test")
    tab.fill("[name=password]", house.password)
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_url("**/login/code*")
    found = axe.look(tab)
    tab.fill("[name=code]", pyotp.TOTP(house.totp).now())
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_url("**/webhooks*")
    tab.goto("/account/two-factor")
    tab.fill("[name=current]", house.password)
    tab.get_by_role("button", name="Make new recovery codes").click()
    tab.wait_for_url("**/account/two-factor/codes")

    assert found + axe.look(tab, whole=False) == []


def test_axe_finds_nothing_while_a_request_is_on_its_way(house: House, window: Window) -> None:
    tab = watched(window, "admin")
    with Receiver(lambda wire: wire.hold()) as silent:
        made = house.call("/webhooks", {"name": "Silent", "url": silent.url, "retry": {"timeout": 30}, "enabled": True})
        sent = house.call(f"/deliveries?webhook={made['id']}")["items"][0]["id"]
        tab.goto(f"/deliveries/{sent}")
        tab.locator("h1 .badge", has_text="Sending").wait_for()
        found = axe.look(tab, whole=False)
        tab.goto(f"/webhooks/{made['id']}?tested={sent}")
        found += axe.look(tab, whole=False)

    assert found == []
