"""One's own account: where one is signed in, and preferences."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from app.database import read
from app.models import BrowserSession, User
from app.services import retention
from tests.conftest import PASSWORD
from tests.support.pages import Person, words
from tests.support.rows import all_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
POLL = {"HX-Request": "true"}


@pytest.fixture
def elsewhere(app, ada):
    """Ada in another browser."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    person = Person(client)
    person.sign_in("ada@acme.test", PASSWORD)
    return person


def seen_at():
    with read() as session:
        return session.scalars(select(BrowserSession.last_seen_at)).one()


def test_where_one_is_signed_in_is_listed_and_each_can_be_ended(ada, elsewhere, sam):
    page = ada.look("/account")
    assert "Firefox on Linux 127.0.0.1" in words(page)
    assert words(page).count("This one") == 1
    ends = re.findall(r'action="(/account/sessions/ses_\w+/end)"', page.text)
    assert len(ends) == 1, "this one is ended by signing out"

    assert sam.press(ends[0]).status_code == 404
    assert elsewhere.look("/account").status_code == 200
    assert ada.press(ends[0]).status_code == 303

    assert elsewhere.look("/account").status_code == 302
    assert ada.look("/account").status_code == 200


def test_signing_out_everywhere_else_ends_all_but_this_one(ada, elsewhere):
    ada.press("/account/sign-out-everywhere")

    assert elsewhere.look("/account").status_code == 302
    assert ada.look("/account").status_code == 200
    assert len(all_of(BrowserSession)) == 1


def test_signing_out_leaves_no_session_that_a_kept_cookie_could_use(ada, client):
    cookie = ada._client.get_cookie("postroom").value
    ada.press("/logout")

    client.set_cookie("postroom", cookie)

    assert Person(client).look("/account").status_code == 302
    assert all_of(BrowserSession) == []


def test_use_is_noted_once_a_minute_and_a_poll_is_no_use(ada, clock):
    began = seen_at()
    clock.advance(seconds=59)
    ada.look("/account")
    assert seen_at() == began

    clock.advance(seconds=1)
    ada.look("/webhooks/list", **POLL)
    assert seen_at() == began
    ada.look("/account")
    assert seen_at() == clock.now == all_of(User)[0].last_seen_at

    for _ in range(8):
        clock.advance(seconds=3600)
        assert ada.look("/webhooks/list", **POLL).status_code == 200
    clock.advance(seconds=1)
    assert ada.look("/webhooks/list", **POLL).status_code == 401, "polling prolonged the session"


def test_a_session_in_use_ends_after_seven_days(ada, clock):
    for _ in range(24):
        clock.advance(seconds=7 * 3600)
        assert ada.look("/account").status_code == 200
    clock.advance(seconds=1)

    assert ada.look("/account").status_code == 302

    clock.advance(seconds=23 * 86_400)
    retention.prune(clock.now)
    assert all_of(BrowserSession) == []


def test_preferences_follow_to_other_browsers(app, ada):
    form = ada.look("/account").text
    assert "data-density" not in form
    assert "<body data-keys>" in form

    ada.press("/account/preferences", theme="dark", zone="Europe/Lisbon", density="compact")

    other = Person(app.test_client())
    other.sign_in("ada@acme.test", PASSWORD)
    page = other.look("/account").text
    assert 'data-theme="dark"' in page
    assert 'data-zone="Europe/Lisbon"' in page
    assert '<body data-density="compact">' in page
    user = all_of(User)[0]
    assert (user.has_shortcuts, user.gets_mail) == (False, False)

    other.press("/account/preferences", theme="light", zone="", density="comfortable", shortcuts="1", mails="1")
    assert "<body data-keys>" in other.look("/account").text
    assert all_of(User)[0].zone is None


@pytest.mark.parametrize("wrong", [{"theme": "pink"}, {"zone": "../../etc/passwd"}, {"theme": ""}])
def test_a_theme_or_zone_that_there_is_not_is_refused(ada, wrong):
    answer = ada.press("/account/preferences", **{"theme": "dark", "zone": "UTC", **wrong})

    assert answer.status_code == 422
    assert all_of(User)[0].theme == "system"
