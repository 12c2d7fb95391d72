"""API keys: made, shown once, revoked."""

from __future__ import annotations

import re

import pytest

from app.services import api_keys
from tests.support.pages import words
from tests.support.rows import audited

KEY = re.compile(r"prk_[0-9a-f]{8}[A-Za-z0-9_-]{43}")


@pytest.fixture
def make_key(ada):
    def make(**given):
        ada.look("/api-keys/new")
        return ada.press("/api-keys/new", **{"name": "Shop", "scopes": ["events:write"], "expires": "", **given})

    return make


def test_a_new_key_is_shown_once_and_works(ada, make_key, clock):
    location = make_key().location

    (text,) = set(KEY.findall(ada.look(location).text))

    holder = api_keys.find(text, clock.now)
    assert holder is not None
    assert [scope.value for scope in holder.scopes] == ["events:write"]
    assert not KEY.search(ada.look(location).text), "it was shown twice"


def test_a_new_key_is_shown_to_nobody_else(app, make_key, make_member):
    from tests.web.conftest import signed_in

    location = make_key().location
    make_member("joao", role="Admin")

    assert not KEY.search(signed_in(app, "joao@acme.test").look(location).text)


def test_the_list_tells_scopes_in_words_and_when_a_key_ends(ada, make_key):
    make_key(scopes=["events:read", "deliveries:read"], expires="30")

    page = words(ada.look("/api-keys"))

    assert "Read events, Read Log History" in page
    assert "21 Dec" in page


def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(make_key, owner):
    answer = make_key(name="Shop", scopes=[])

    assert answer.status_code == 422
    assert "Choose what the key may do." in words(answer)
    assert 'value="Shop"' in answer.text
    assert api_keys.list_all(owner) == []


def test_a_revoked_key_works_no_more_and_says_so(ada, owner, make_key, clock):
    (text,) = set(KEY.findall(ada.look(make_key().location).text))
    key = api_keys.list_all(owner)[0]
    asked = ada.look(f"/api-keys/{key.id}/revoke")
    assert f"Revoke key prk_…{key.last_four}?" in words(asked)
    assert "was never used" in words(asked)

    ada.press(f"/api-keys/{key.id}/revoke")

    assert api_keys.find(text, clock.now) is None
    assert "Revoked 21 Nov" in words(ada.look("/api-keys"))
    assert len(audited("api_key.revoked")) == 1


def test_who_may_not_have_keys_neither_sees_nor_revokes_them(owner, max_, sam, make_key):
    make_key()
    key = api_keys.list_all(owner)[0]

    assert max_.look("/api-keys").status_code == 403
    assert max_.press(f"/api-keys/{key.id}/revoke").status_code == 403
    assert "Shop" not in words(sam.look("/api-keys"))
    assert sam.press(f"/api-keys/{key.id}/revoke").status_code == 404
    assert api_keys.list_all(owner)[0].revoked_at is None
