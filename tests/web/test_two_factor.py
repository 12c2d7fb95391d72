"""Codes at sign-in, at the pages."""

from __future__ import annotations

import re
from html import unescape

import pyotp
import pytest

from tests.conftest import PASSWORD
from tests.support.pages import Person, words
from tests.web.test_access import address_of, pages_of


@pytest.fixture
def set_up(ada, clock):
    """Ada turned codes on by the form, a while ago: (secret, recovery codes)."""
    page = ada.look("/account/two-factor").text
    sealed = unescape(re.search(r'name="sealed" value="([^"]+)"', page)[1])
    secret = re.search(r'id="key">([A-Z2-7 ]+)<', page)[1].replace(" ", "")
    code = pyotp.TOTP(secret).at(clock.now // 1000)

    wrong = ada.press("/account/two-factor", sealed=sealed, code="000000", current=PASSWORD)
    assert (wrong.status_code, "This isn't the code" in words(wrong)) == (422, True)
    assert secret[:4] in wrong.text, "the key that is in the app already is still the one on the page"
    answer = ada.press("/account/two-factor", sealed=sealed, code=code, current="wrong")
    assert (answer.status_code, "This isn't your password." in words(answer)) == (422, True)

    answer = ada.press("/account/two-factor", sealed=sealed, code=code, current=PASSWORD)
    assert answer.location == "/account/two-factor/codes"
    codes = re.findall(r"\b[a-z2-7]{4}(?:-[a-z2-7]{4}){3}\b", ada.look(answer.location).text.split("<pre")[1])[:10]
    assert ada.look(answer.location).status_code == 302, "they are shown once"
    clock.advance(seconds=300)
    return secret, codes


def test_the_key_is_shown_as_text_link_and_picture(ada):
    page = ada.look("/account/two-factor").text

    assert re.search(r'id="key">(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}<', page)
    assert 'href="otpauth://totp/Postroom' in page
    assert "<svg" in page.split('class="form-part"')[1]
    assert " style=" not in page


def test_half_signed_in_opens_nothing_and_goes_on_to_where_one_was_going(app, set_up, clock):
    person = Person(app.test_client())
    person.look("/login")
    answer = person.press("/login?next=/members", email="ada@acme.test", password=PASSWORD)
    assert (answer.status_code, answer.location) == (303, "/login/code?next=/members")
    person.look(answer.location)

    opened = []
    for rule in pages_of(app):
        access = getattr(app.view_functions[rule.endpoint], "__access__", None)
        if access in ("public", "receiver") or rule.endpoint.startswith("health"):
            continue
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer = person.look(address_of(app, rule)) if method == "GET" else person.press(address_of(app, rule))
            if "/login" not in answer.headers.get("Location", ""):
                opened.append((method, rule.rule, answer.status_code))
    assert opened == []

    person.look("/login/code?next=/members")
    wrong = person.press("/login/code", code="000000")
    assert (wrong.status_code, "Wrong code." in words(wrong)) == (422, True)
    right = person.press("/login/code?next=/members", code=pyotp.TOTP(set_up[0]).at(clock.now // 1000))
    assert (right.status_code, right.location) == (303, "/members")
    assert person.look("/members").status_code == 200


def test_a_code_is_waited_for_ten_minutes(app, set_up, clock):
    person = Person(app.test_client())
    person.sign_in("ada@acme.test", PASSWORD)
    clock.advance(seconds=600)

    assert person.look("/login/code").location == "/login"
    person.look("/login")
    assert person.press("/login/code", code=set_up[1][0]).location == "/login"
    assert Person(app.test_client()).look("/login/code").location == "/login"


def test_it_is_turned_off_with_password_and_code(ada, set_up):
    assert "10 of 10 are left" in words(ada.look("/account/two-factor"))

    assert ada.press("/account/two-factor/off", current="wrong", code=set_up[1][0]).status_code == 422
    assert ada.press("/account/two-factor/off", current=PASSWORD, code="000000").status_code == 422
    assert ada.press("/account/two-factor/off", current=PASSWORD, code=set_up[1][0]).status_code == 303

    assert "Set up codes" in words(ada.look("/account"))
    assert ada.sign_in("ada@acme.test", PASSWORD).status_code == 303


def test_new_recovery_codes_need_the_password(ada, set_up):
    assert ada.press("/account/two-factor/codes", current="wrong").status_code == 422

    answer = ada.press("/account/two-factor/codes", current=PASSWORD)

    fresh = ada.look(answer.location).text
    assert not any(code in fresh for code in set_up[1])
