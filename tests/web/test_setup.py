"""The set-up link and its form."""

from __future__ import annotations

import pytest

from app.models import Organization, User
from app.services import organizations
from tests.support.pages import Person, words
from tests.support.rows import all_of

PASSWORD = "violet-harbor-lantern-7"


@pytest.fixture
def link(app, database, clock):
    return organizations.make_setup_link(database).removeprefix(database.address)


def fill(person, link, **fields):
    given = {"organization": "Acme", "email": "ada@acme.test", "password": PASSWORD, "token": link.partition("=")[2]}
    return person.press("/setup", **{**given, **fields})


def test_the_link_makes_the_first_admin_who_is_signed_in_and_goes_on_to_the_first_event(client, link):
    person = Person(client)
    assert 'value="My organization"' in person.look(link).text

    answer = fill(person, link)

    assert (answer.status_code, answer.location) == (303, "/start")
    assert [one.name for one in all_of(Organization)] == ["Acme"]
    assert person.look("/start").status_code == 200


def test_what_is_wrong_is_said_and_all_but_the_password_is_kept(client, link):
    person = Person(client)
    person.look(link)

    answer = fill(person, link, password="short")

    assert answer.status_code == 422
    assert "Use at least 12 characters." in words(answer)
    assert 'value="ada@acme.test"' in answer.text
    assert "short" not in answer.text
    assert all_of(User) == []


def test_a_link_works_once(client, link):
    person = Person(client)
    person.look(link)
    fill(person, link)

    again = Person(client.application.test_client())
    assert "This link was used" in words(again.look(link))
    again.look("/login")

    assert fill(again, link, email="eve@acme.test").status_code == 409
    assert [user.email for user in all_of(User)] == ["ada@acme.test"]


def test_a_link_is_too_old_after_an_hour(client, link, clock):
    clock.advance(seconds=3_601)

    assert "This link is too old" in words(client.get(link))


def test_a_made_up_token_opens_nothing(client, link):
    assert "Create account" not in client.get("/setup?token=made-up").text
