"""Somebody in two organizations, with a tab of each."""

from __future__ import annotations

import re
from html import unescape

import pytest

from app.models import BusinessUnit, Organization
from app.services import business_units, members
from tests.support.pages import words
from tests.support.rows import all_of

NOBODYS = ("/static/", "/api/", "/login", "/logout", "/in/", "/?org=")  # the last is the way to the other one


@pytest.fixture
def both(ada, owner, stranger):
    """Ada is an admin of Acme, and of Other too: (her browser, Acme's id, Other's id)."""
    members.add(stranger, "ada@acme.test", name="Ada", role="Admin")
    business_units.put(owner, "north", "North of Acme")
    business_units.put(stranger, "south", "South of Other")
    ids = {each.name: each.public_id for each in all_of(Organization)}
    return ada, ids["Acme"], ids["Other"]


def action(page, part):
    return unescape(re.search(rf'action="([^"]*{part}[^"]*)"', page.text)[1])


def test_what_is_sent_from_a_tab_goes_to_the_organization_that_the_tab_shows(both):
    ada, acme, other = both
    mine = ada.look(f"/units/new?org={acme}")
    assert "South of Other" in words(ada.look(f"/units?org={other}"))  # the other tab, opened later

    answer = ada.press(action(mine, "/units/new"), name="East", external_id="east")

    assert f"org={acme}" in answer.location
    home = {each.id: each.public_id for each in all_of(Organization)}
    (east,) = [each for each in all_of(BusinessUnit) if each.external_id == "east"]
    assert home[east.organization_id] == acme
    assert "North of Acme" in words(ada.look(f"/units?org={acme}"))


def test_a_poll_stays_with_the_organization_it_was_rendered_for(both, make_webhook, stranger):
    ada, acme, other = both
    make_webhook(url="http://127.0.0.1:4999/", name="Hook of Acme")
    page = ada.look(f"/webhooks?org={acme}").text
    ada.look(f"/webhooks?org={other}")
    polls = [unescape(url) for url in re.findall(r'data-live[^>]*? hx-get="([^"]+)"', page)]
    assert polls

    shown = "".join(ada.look(url, **{"HX-Request": "true"}).text for url in polls)

    assert "Hook of Acme" in shown


def test_every_address_and_every_form_of_a_page_names_the_organization(both, make_webhook):
    ada, acme, _ = both
    hook = make_webhook(url="http://127.0.0.1:4999/")
    pages = ("/webhooks", f"/webhooks/{hook.id}", f"/webhooks/{hook.id}/edit", "/log", "/events", "/catalogue")
    silent = []
    for path in (*pages, "/units", "/members", "/roles", "/audit", "/settings", "/account", "/webhooks/new", "/inbox"):
        page = ada.look(f"{path}?org={acme}")
        page = ada.look(page.location) if page.status_code == 302 else page
        assert page.status_code == 200, path
        urls = re.findall(r'(?:href|hx-get|hx-post|action)="(/[^"]*)"', page.text)
        silent += [(path, url) for url in urls if not url.startswith(NOBODYS) and f"org={acme}" not in url]
        for tag, inside in re.findall(r"(<form[^>]*>)(.*?)</form>", page.text, re.S):
            if 'method="post"' not in tag and f'name="org" value="{acme}"' not in inside:
                silent.append((path, tag))
        assert page.text.count("??") == 0
        assert not re.search(r'"/[^"]*\?[^"]*\?[^"]*"', page.text), path

    assert silent == []


def test_a_page_without_a_name_leads_on_to_the_organization_seen_last(both):
    ada, acme, other = both
    ada.look(f"/units?org={other}")

    assert ada.look("/units?x=1").location == f"/units?x=1&org={other}"
    assert "Other" in words(ada.look(f"/units?org={other}"))
    assert f"org={acme}" in ada.look(f"/account?org={other}").text, "the way to the other one"


def test_an_organization_that_one_does_not_belong_to_is_not_there(both, sam):
    ada, acme, _other = both
    assert sam.look(f"/units?org={acme}").status_code == 404
    assert sam.press(f"/units/new?org={acme}", name="X", external_id="x").status_code == 404
    assert ada.look("/units?org=org_none").status_code == 404
    assert "org=" not in sam.look("/units").text.replace("org=org_none", "")


def test_who_may_not_open_a_page_is_told_whom_to_ask(max_, owner, make_member):
    make_member("joao", role="Admin")

    assert "You can't open Members in Acme. Ask Ada or Joao for access." in words(max_.look("/members"))
    assert "You may not do this in Acme. Ask Ada or Joao for access." in words(max_.press("/members/new"))
