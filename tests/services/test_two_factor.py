"""The second factor: codes once each, recovery codes, and throttling shared with the password's."""

from __future__ import annotations

import threading

import pyotp
import pytest
from sqlalchemy import select, text

from app.database import read
from app.errors import Conflict, Invalid, NotFound
from app.models import AuditEntry, User
from app.services import sign_in, two_factor
from app.services.sign_in import CodeNeededError, TooManyFailuresError, WrongCodeError, WrongPasswordError
from tests.conftest import PASSWORD

HOME, AWAY = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def ada(make_member):
    return make_member("ada", role="Admin").user


@pytest.fixture
def app_of(clock):
    """The authenticator app: shows the code of a secret now, or some steps later."""
    return lambda secret, later=0: pyotp.TOTP(secret).at(clock.now // 1000 + 30 * later)


@pytest.fixture
def on(ada, app_of, clock):
    """Ada with codes turned on a while ago: (secret, recovery codes)."""
    offer = two_factor.offer(ada.public_id, "Postroom")
    secret = offer.key.replace(" ", "")
    codes = two_factor.turn_on(ada.public_id, offer.sealed, app_of(secret), HOME)
    clock.advance(seconds=300)
    return secret, codes


def half(address=HOME):
    """Give the right password; what is then known of who it was."""
    with pytest.raises(CodeNeededError) as needed:
        sign_in.sign_in("ada@acme.test", PASSWORD, address)
    return needed.value.public_id, needed.value.version


def actions():
    with read() as session:
        return session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()


def test_nothing_is_asked_for_before_the_first_code_was_right(ada, clock):
    offer = two_factor.offer(ada.public_id, "Postroom")

    with pytest.raises(Invalid):
        two_factor.turn_on(ada.public_id, offer.sealed, "000000")

    assert two_factor.state(ada.public_id) == two_factor.State(is_on=False, codes_left=0)
    assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id


def test_an_offer_is_for_whom_it_was_made_and_made_up_ones_are_none(ada, make_member, app_of):
    theirs = two_factor.offer(make_member("eve").user.public_id, "Postroom")
    code = app_of(theirs.key.replace(" ", ""))

    for sealed in (theirs.sealed, "made up", "é"):
        with pytest.raises(Invalid):
            two_factor.turn_on(ada.public_id, sealed, code)
    assert two_factor.offer(ada.public_id, "Postroom", theirs.sealed).key != theirs.key


def test_the_password_alone_lets_nobody_in_any_more_and_the_code_works_once(ada, on, app_of, clock):
    secret, _ = on
    code = app_of(secret)

    assert sign_in.enter_code(*half(), code, HOME).id == ada.id

    with pytest.raises(WrongCodeError):
        sign_in.enter_code(*half(), code, HOME)
    with pytest.raises(WrongCodeError):
        sign_in.enter_code(*half(), app_of(secret, later=-1), HOME)
    assert sign_in.enter_code(*half(), app_of(secret, later=1), HOME).id == ada.id, "a clock 30 s ahead"
    clock.advance(seconds=120)
    assert actions().count("user.signed_in") == 2


def test_one_code_from_two_places_at_once_lets_one_in(app, on, app_of):
    who, code, came = half(), app_of(on[0]), []

    def enter():
        with app.app_context():
            try:
                came.append(sign_in.enter_code(*who, code, HOME).name)
            except WrongCodeError:
                came.append(None)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(came, key=str) == ["Ada", None, None, None]


def test_a_recovery_code_works_once_however_it_is_typed(ada, on):
    _, codes = on
    assert len(set(codes)) == 10

    assert sign_in.enter_code(*half(), f" {codes[3].upper().replace('-', ' ')} ", HOME).id == ada.id

    with pytest.raises(WrongCodeError):
        sign_in.enter_code(*half(), codes[3], HOME)
    assert two_factor.state(ada.public_id).codes_left == 9
    assert "user.recovery_code_used" in actions()


def test_new_recovery_codes_end_the_old_ones(ada, on):
    fresh = two_factor.renew_codes(ada.public_id)

    with pytest.raises(WrongCodeError):
        sign_in.enter_code(*half(), on[1][0], HOME)
    assert sign_in.enter_code(*half(), fresh[0], HOME).id == ada.id


def test_neither_secret_nor_recovery_codes_lie_readable_in_the_database(on):
    secret, codes = on
    with read() as session:
        stored = repr(session.execute(text('SELECT * FROM "user"')).all())
        stored += repr(session.execute(text("SELECT * FROM audit_entry")).all())

    assert "user.two_factor_turned_on" in stored
    assert [one for one in (secret, *codes, *[code.replace("-", "") for code in codes]) if one in stored] == []


def test_wrong_codes_count_with_wrong_passwords_and_the_right_password_does_not_take_them_back(on, app_of, clock):
    secret, _ = on
    for _ in range(5):
        who = half()
        with pytest.raises(WrongCodeError):
            sign_in.enter_code(*who, "000000", HOME)

    with pytest.raises(TooManyFailuresError):
        sign_in.enter_code(*who, app_of(secret), HOME)
    with pytest.raises(TooManyFailuresError):
        sign_in.sign_in("ada@acme.test", PASSWORD, HOME)
    assert sign_in.enter_code(*half(AWAY), app_of(secret), AWAY), "from elsewhere she still gets in"

    clock.advance(seconds=5 * 60)
    assert sign_in.enter_code(*half(), app_of(secret), HOME), "the right password didn't begin the wait anew"
    for _ in range(4):  # all is forgotten
        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("ada@acme.test", "wrong", HOME)


def test_who_signs_in_with_codes_never_counts_against_the_address(on, app_of, clock):
    for _ in range(25):
        clock.advance(seconds=60)
        assert sign_in.enter_code(*half(), app_of(on[0]), HOME)


def test_a_code_after_the_password_was_changed_opens_nothing(ada, on, app_of):
    who = half()
    sign_in.reset_password("ada@acme.test", "nine purple otters")

    with pytest.raises(NotFound):
        sign_in.enter_code(*who, app_of(on[0]), HOME)
    with pytest.raises(CodeNeededError):
        sign_in.sign_in("ada@acme.test", "nine purple otters", HOME)


def test_it_is_turned_off_with_a_code_and_by_whoever_runs_the_server(ada, on, app_of):
    with pytest.raises(Invalid):
        two_factor.turn_off(ada.public_id, "000000")
    with pytest.raises(Conflict):
        two_factor.turn_on(ada.public_id, two_factor.offer(ada.public_id, "Postroom").sealed, "000000")
    two_factor.turn_off(ada.public_id, app_of(on[0]))
    assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id

    offer = two_factor.offer(ada.public_id, "Postroom")
    two_factor.turn_on(ada.public_id, offer.sealed, app_of(offer.key.replace(" ", ""), later=1))
    sign_in.reset_password("ada@acme.test", PASSWORD, without_codes=True)

    assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id
    with read() as session:
        row = session.scalars(select(User)).one()
        assert (row.totp_secret, row.totp_used, row.recovery_codes) == (None, None, [])
    assert actions().count("user.two_factor_turned_off") == 2
