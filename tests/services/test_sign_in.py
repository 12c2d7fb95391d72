"""Signing in: passwords, what too many wrong ones lead to, and what ends sessions."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from app.core.access import Permission
from app.database import read, write
from app.errors import Invalid, NotFound, Refused
from app.models import AuditEntry, Membership, SignInFailure, User
from app.services import sign_in
from app.services.sign_in import TooManyFailuresError, WrongPasswordError
from tests.conftest import PASSWORD

HOME, AWAY = "198.51.100.7", "203.0.113.9"
MINUTE = 60
NEW = "nine purple otters"


@pytest.fixture
def ada(make_member):
    """A member who can sign in."""
    return make_member("ada", role="Admin").user


def fail(times, email="ada@acme.test", address=HOME):
    for _ in range(times):
        with pytest.raises(WrongPasswordError):
            sign_in.sign_in(email, "not the password", address)


def wait_told(email="ada@acme.test", address=HOME, password=PASSWORD):
    with pytest.raises(TooManyFailuresError) as refused:
        sign_in.sign_in(email, password, address)
    return refused.value.retry_after


def disable(user):
    with write() as session:
        session.get_one(User, user.id).is_active = False


class TestThePassword:
    def test_the_right_one_lets_in_and_is_on_record(self, ada, clock):
        clock.advance(seconds=5)

        user = sign_in.sign_in(" Ada@ACME.test ", PASSWORD, HOME)

        assert (user.public_id, user.email, user.last_seen_at) == (ada.public_id, "ada@acme.test", clock.now)
        with read() as session:
            entry = session.scalars(select(AuditEntry)).one()
            assert (entry.action, entry.actor_id, entry.address) == ("user.signed_in", ada.public_id, HOME)

    @pytest.mark.parametrize("email", ["ada@acme.test", "nobody@acme.test", "ada", "a\x00@acme.test"])
    def test_a_wrong_one_and_an_unknown_account_are_told_apart_by_nobody(self, ada, email):
        with pytest.raises(WrongPasswordError) as refused:
            sign_in.sign_in(email, "not the password", HOME)

        assert refused.value.message == "Wrong e-mail or password."

    @pytest.mark.parametrize("email", ["ada@acme.test", "nobody@acme.test"])
    def test_as_much_is_hashed_for_an_unknown_account(self, ada, email, monkeypatch):
        hashed = []
        verify = sign_in.crypto._hasher.verify
        monkeypatch.setattr(
            sign_in.crypto,
            "_hasher",
            type("Counting", (), {"verify": lambda _, *given: hashed.append(1) or verify(*given)})(),
        )

        with pytest.raises(WrongPasswordError):
            sign_in.sign_in(email, "not the password", HOME)

        assert hashed == [1]

    def test_a_disabled_user_is_not_let_in(self, ada):
        disable(ada)

        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("ada@acme.test", PASSWORD, HOME)

    def test_who_has_no_password_yet_is_not_let_in(self, ada):
        with write() as session:
            session.get_one(User, ada.id).password_hash = None

        for password in ("", "None", PASSWORD):
            with pytest.raises(WrongPasswordError):
                sign_in.sign_in("ada@acme.test", password, HOME)

    def test_more_than_the_longest_password_never_fits(self, ada, monkeypatch):
        longest = "x1y2z3 " * 18 + "ab"
        sign_in.reset_password("ada@acme.test", longest)

        assert len(longest) == 128
        sign_in.sign_in("ada@acme.test", longest, HOME)
        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("ada@acme.test", longest + "c", HOME)


class TestTooManyFailures:
    def test_after_five_the_account_waits_five_minutes_even_with_the_right_password(self, ada, clock):
        fail(5)

        assert wait_told() == 5 * MINUTE

        clock.advance(seconds=5 * MINUTE, ms=-1)
        assert wait_told() == 1
        clock.advance(ms=1)
        assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id

    def test_four_are_forgiven_by_the_right_password(self, ada):
        fail(4)
        sign_in.sign_in("ada@acme.test", PASSWORD, HOME)

        fail(4)

        assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id

    def test_the_right_password_at_the_fifth_try_lets_in_and_starts_anew(self, ada):
        fail(4)

        sign_in.sign_in("ada@acme.test", PASSWORD, HOME)

        assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id

    def test_the_wait_grows_up_to_an_hour(self, ada, clock):
        waits = []
        fail(4)
        for _ in range(6):
            fail(1)
            waits.append(wait_told() // MINUTE)
            clock.advance(seconds=waits[-1] * MINUTE)

        assert waits == [5, 10, 20, 40, 60, 60]

    def test_a_refused_try_is_not_counted(self, ada, clock):
        fail(5)
        for _ in range(20):
            wait_told()

        clock.advance(seconds=5 * MINUTE)

        assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id

    def test_after_a_quiet_quarter_of_an_hour_it_begins_anew(self, ada, clock):
        fail(4)

        clock.advance(seconds=15 * MINUTE)
        fail(4)

        assert sign_in.sign_in("ada@acme.test", PASSWORD, HOME).id == ada.id

    def test_four_a_quarter_of_an_hour_are_four_until_it_is_over(self, ada, clock):
        fail(4)

        clock.advance(seconds=15 * MINUTE, ms=-1)
        fail(1)

        assert wait_told() == 5 * MINUTE

    def test_the_account_is_open_from_elsewhere(self, ada):
        fail(5)

        assert sign_in.sign_in("ada@acme.test", PASSWORD, AWAY).id == ada.id

    def test_an_unknown_account_waits_as_a_known_one_does(self, ada):
        fail(5, email="nobody@acme.test")

        assert wait_told(email="nobody@acme.test") == 5 * MINUTE

    def test_an_address_that_tries_twenty_accounts_waits_for_all(self, ada):
        for number in range(20):
            fail(1, email=f"n{number}@acme.test")

        assert wait_told() == 5 * MINUTE
        assert sign_in.sign_in("ada@acme.test", PASSWORD, AWAY).id == ada.id

    def test_signing_in_does_not_give_an_address_its_tries_back(self, ada):
        for number in range(19):
            fail(1, email=f"n{number}@acme.test")
        sign_in.sign_in("ada@acme.test", PASSWORD, HOME)
        fail(1, email="n19@acme.test")

        assert wait_told() == 5 * MINUTE

    def test_whoever_has_an_ipv6_address_has_its_whole_network(self, ada):
        for number in range(5):
            fail(1, address=f"2001:db8:1:2::{number + 1}")

        assert wait_told(address="2001:db8:1:2:ffff::1") == 5 * MINUTE
        assert sign_in.sign_in("ada@acme.test", PASSWORD, "2001:db8:1:3::1").id == ada.id

    def test_ipv4_addresses_written_as_ipv6_are_not_one_network(self, ada):
        fail(5, address="::ffff:198.51.100.7")

        assert sign_in.sign_in("ada@acme.test", PASSWORD, "::ffff:198.51.100.8").id == ada.id

    def test_many_at_once_do_not_get_more_tries(self, app, ada):
        outcomes = []

        def guess():
            with app.app_context():
                try:
                    sign_in.sign_in("ada@acme.test", "not the password", HOME)
                except (WrongPasswordError, TooManyFailuresError) as error:
                    outcomes.append(type(error))

        threads = [threading.Thread(target=guess) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert outcomes.count(WrongPasswordError) == 5
        assert outcomes.count(TooManyFailuresError) == 7

    def test_no_address_is_kept_readable_and_old_counters_go(self, ada, clock):
        fail(3, email="nobody@acme.test", address=AWAY)
        with read() as session:
            kept = session.scalars(select(SignInFailure.subject)).all()
        assert all(AWAY.encode() not in bytes(subject) and len(subject) == 32 for subject in kept)

        clock.advance(seconds=16 * MINUTE)
        sign_in.sign_in("ada@acme.test", PASSWORD, HOME)

        with read() as session:
            left = session.execute(select(func.count(), func.sum(SignInFailure.count))).one()
        assert tuple(left) == (1, 0), "only the counter of the address that signed in, at zero"


class TestSessions:
    def test_a_session_holds_while_its_version_does(self, ada):
        assert sign_in.find_user(ada.public_id, 1).email == "ada@acme.test"
        assert sign_in.find_user(ada.public_id, 2) is None
        assert sign_in.find_user("usr_nobody", 1) is None

    def test_disabling_ends_it(self, ada):
        disable(ada)

        assert sign_in.find_user(ada.public_id, 1) is None

    def test_signing_out_everywhere_ends_all(self, ada):
        version = sign_in.sign_out_everywhere(ada)

        assert sign_in.find_user(ada.public_id, 1) is None
        assert sign_in.find_user(ada.public_id, version).id == ada.id

    def test_changing_the_password_ends_the_others(self, ada):
        version = sign_in.change_password(ada, PASSWORD, NEW, HOME)

        assert sign_in.find_user(ada.public_id, 1) is None
        assert sign_in.find_user(ada.public_id, version).id == ada.id
        assert sign_in.sign_in("ada@acme.test", NEW, HOME).id == ada.id
        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("ada@acme.test", PASSWORD, HOME)

    def test_changing_it_needs_the_present_one_and_a_good_new_one(self, ada):
        with pytest.raises(Invalid) as wrong:
            sign_in.change_password(ada, "not the password", NEW)
        with pytest.raises(Invalid) as weak:
            sign_in.change_password(ada, PASSWORD, "password1234")

        assert [problem.field for problem in wrong.value.problems] == ["current"]
        assert [problem.field for problem in weak.value.problems] == ["new"]
        assert sign_in.find_user(ada.public_id, 1).id == ada.id

    def test_guessing_the_present_one_is_slowed_down_too(self, ada):
        for _ in range(5):
            with pytest.raises(Invalid):
                sign_in.change_password(ada, "not the password", NEW, HOME)

        with pytest.raises(TooManyFailuresError):
            sign_in.change_password(ada, PASSWORD, NEW, HOME)

    def test_resetting_it_ends_all_and_is_on_record(self, ada):
        sign_in.reset_password("ADA@acme.test", NEW)

        assert sign_in.find_user(ada.public_id, 1) is None
        with read() as session:
            assert session.scalars(select(AuditEntry.action)).all() == ["user.password_changed"]

    def test_resetting_nobodys_password_says_so(self, ada):
        with pytest.raises(NotFound, match=r"Nobody here has the e-mail max@acme\.test"):
            sign_in.reset_password("max@acme.test", NEW)


class TestActors:
    def test_a_member_acts_with_the_roles_permissions(self, make_member, organization):
        max_ = make_member("max", role="Developer")

        actor = sign_in.actor_for(max_.user, organization.public_id, HOME)

        assert actor == max_.actor

    def test_whoever_names_no_organization_is_in_the_first_by_name(self, make_member, organization, stranger):
        sam = sign_in.find_user(stranger.public_id, 1)
        with write() as session:
            theirs = session.scalars(select(Membership).where(Membership.user_id == sam.id)).one()
            session.add(
                Membership(
                    public_id="mem_2",
                    organization_id=organization.id,
                    user_id=sam.id,
                    role_id=theirs.role_id,
                    created_at=0,
                )
            )

        assert sign_in.actor_for(sam, None).organization_id == organization.id, "Acme stands before Other"

    def test_a_foreign_organization_is_not_there(self, ada, stranger):
        sam = sign_in.find_user(stranger.public_id, 1)
        with read() as session:
            foreign = (
                session.scalars(select(Membership).where(Membership.user_id == ada.id)).one().organization.public_id
            )

        with pytest.raises(NotFound):
            sign_in.actor_for(sam, foreign)

    def test_who_belongs_nowhere_is_told_whom_to_ask(self, ada):
        with write() as session:
            session.delete(session.scalars(select(Membership)).one())

        with pytest.raises(Refused, match="no organization"):
            sign_in.actor_for(ada, None)

    def test_a_disabled_user_may_nothing(self, ada, organization):
        disable(ada)

        with pytest.raises(NotFound):
            sign_in.actor_for(ada, organization.public_id)

    def test_the_password_is_asked_again_before_what_matters(self, ada):
        sign_in.confirm(ada, PASSWORD, HOME)
        with pytest.raises(WrongPasswordError):
            sign_in.confirm(ada, "not the password", HOME)

    def test_an_admin_may_all(self, ada):
        assert sign_in.actor_for(ada, None).permissions == frozenset(Permission)
