"""Signing in and out, and one's own account."""

from __future__ import annotations

import pytest

from app.models import User
from tests.conftest import PASSWORD
from tests.support.pages import Person, words
from tests.support.rows import all_of


@pytest.fixture
def ada(client, owner):
    person = Person(client)
    person.sign_in("ada@acme.test", PASSWORD)
    return person


def test_one_goes_on_to_where_one_was_going(client, owner):
    person = Person(client)
    asked = person.look("/webhooks?state=on")
    assert asked.location == "/login?next=/webhooks?state%3Don"

    person.look("/login")
    answer = person.press("/login?next=/webhooks?state%3Don", email="ada@acme.test", password=PASSWORD)

    assert (answer.status_code, answer.location) == (303, "/webhooks?state=on")


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)"])
def test_one_never_goes_on_to_another_site(client, owner, elsewhere):
    person = Person(client)
    person.look("/login")

    answer = person.press("/login", email="ada@acme.test", password=PASSWORD, next=elsewhere)

    assert answer.location == "/"


def test_a_wrong_password_and_an_unknown_account_read_the_same(client, owner):
    person = Person(client)

    wrong = person.sign_in("ada@acme.test", "wrong password")
    unknown = person.sign_in("nobody@acme.test", "wrong password")

    assert wrong.status_code == unknown.status_code == 422
    assert "Wrong e-mail or password." in words(wrong)
    assert "Wrong e-mail or password." in words(unknown)
    assert "wrong password" not in wrong.text.lower().replace("wrong e-mail or password", "")


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(client, owner):
    person = Person(client)
    for _ in range(5):
        person.sign_in("ada@acme.test", "wrong password")

    answer = person.sign_in("ada@acme.test", PASSWORD)

    assert answer.status_code == 429
    assert "Try again in 5 min." in words(answer)


def test_signing_out_ends_the_session(ada):
    ada.press("/logout")

    assert ada.look("/account").status_code == 302


def test_a_form_without_the_token_is_refused(client, owner):
    answer = Person(client).press("/login", email="ada@acme.test", password=PASSWORD)

    assert answer.status_code == 400


def test_changing_the_password_signs_out_everywhere_else_and_not_here(ada, client):
    elsewhere = Person(client.application.test_client())
    elsewhere.sign_in("ada@acme.test", PASSWORD)
    assert elsewhere.look("/account").status_code == 200

    answer = ada.press("/account/password", current=PASSWORD, new="violet-harbor-lantern-7")

    assert answer.status_code == 303
    assert ada.look("/account").status_code == 200
    assert elsewhere.look("/account").status_code == 302


def test_the_password_is_not_changed_without_the_current_one(ada):
    answer = ada.press("/account/password", current="not it", new="violet-harbor-lantern-7")

    assert answer.status_code == 422
    assert "This isn't your password." in words(answer)


def test_a_new_name_is_kept(ada):
    ada.press("/account/name", name="Ada Berg")

    assert [user.name for user in all_of(User)] == ["Ada Berg"]
    assert ada.press("/account/name", name="  ").status_code == 422


def test_theme_and_zone_are_cookies_and_nothing_else_is_taken(ada, client):
    ada.press("/account/prefer", theme="dark", zone="Europe/Lisbon")
    ada.press("/account/prefer", theme="pink", zone="../../etc/passwd")

    page = ada.look("/account").text
    assert 'data-theme="dark"' in page
    assert 'data-zone="Europe/Lisbon"' in page
