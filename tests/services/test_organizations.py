"""The first organization, its admin, the set-up link and the canary."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, select

from app import crypto
from app.core.access import ROLES, Permission, Scope
from app.database import read
from app.errors import Conflict, Invalid, NotFound
from app.models import AuditEntry, Installation, Membership, Organization, Role, User
from app.services import api_keys, organizations, sign_in
from app.services.organizations import LinkState, SetupState

PASSWORD = "seven brown horses"
HOUR_S = 3600


def token_of(link):
    return parse_qs(urlsplit(link).query)["token"][0]


def count(table):
    with read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_an_organization_has_every_role_with_its_permissions(organization):
    with read() as session:
        roles = session.scalars(select(Role).where(Role.organization_id == organization.id)).all()
        found = {role.name: (frozenset(role.permissions), role.sees_everything) for role in roles}

    assert found == {role.name: (frozenset(role.permissions), role.sees_everything) for role in ROLES}


def test_the_first_admin_may_all_sees_all_and_runs_the_server(app, clock):
    made = organizations.first_admin("Acme", " Ada@Acme.test ", PASSWORD)

    actor = sign_in.actor_for(made.user, made.organization)
    assert made.user.email == "ada@acme.test"
    assert made.user.is_operator
    assert actor.permissions == frozenset(Permission)
    assert actor.view.sees_everything
    assert sign_in.sign_in("ada@acme.test", PASSWORD, None).public_id == made.user.public_id


def test_the_first_admin_can_come_with_a_key_that_may_all(app, clock):
    made = organizations.first_admin("Acme", "ada@acme.test", PASSWORD, with_key=True)

    holder = api_keys.find(made.api_key, clock.now)

    assert holder.scopes == frozenset(Scope)


def test_there_is_only_one_first_admin(app, clock):
    organizations.first_admin("Acme", "ada@acme.test", PASSWORD)

    with pytest.raises(Conflict, match="create-admin"):
        organizations.first_admin("Other", "max@acme.test", PASSWORD)

    assert (count(User), count(Organization)) == (1, 1)


@pytest.mark.parametrize(
    ("organization", "email", "password", "field"),
    [
        ("", "ada@acme.test", PASSWORD, "organization"),
        ("A" * 101, "ada@acme.test", PASSWORD, "organization"),
        ("Ac\x00me", "ada@acme.test", PASSWORD, "organization"),
        ("Acme", "ada", PASSWORD, "email"),
        ("Acme", "ada @acme.test", PASSWORD, "email"),
        ("Acme", "ada@acme.test", "elevenchars", "password"),
        ("Acme", "ada@acme.test", "password1234", "password"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_made(app, clock, organization, email, password, field):
    with pytest.raises(Invalid) as refused:
        organizations.first_admin(organization, email, password)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert (count(User), count(Organization), count(Installation)) == (0, 0, 0)


def test_everything_wrong_is_told_at_once(app, clock):
    with pytest.raises(Invalid) as refused:
        organizations.first_admin(" ", "nobody", "short")

    assert [problem.field for problem in refused.value.problems] == ["organization", "email", "password"]


def test_another_admin_is_added_to_the_only_organization(app, clock):
    first = organizations.first_admin("Acme", "ada@acme.test", PASSWORD)

    second = organizations.add_admin(None, "max@acme.test", PASSWORD)

    assert second.organization == first.organization
    assert sign_in.actor_for(second.user, None).permissions == frozenset(Permission)
    with read() as session:
        assert "member.added" in session.scalars(select(AuditEntry.action)).all()


def test_an_admin_is_not_added_twice(app, clock):
    organizations.first_admin("Acme", "ada@acme.test", PASSWORD)

    with pytest.raises(Conflict, match="reset-password"):
        organizations.add_admin(None, "ada@acme.test", PASSWORD)

    assert count(Membership) == 1


def test_an_organization_is_named_by_id_or_name_and_must_be_when_there_are_several(organization, stranger):
    assert organizations.system_of("Acme").organization_id == organization.id
    assert organizations.system_of(organization.public_id).organization_id == organization.id
    with pytest.raises(Conflict, match="several"):
        organizations.system_of(None)
    with pytest.raises(NotFound, match="There is no Nobody"):
        organizations.system_of("Nobody")


def test_before_the_first_organization_the_way_to_one_is_told(app):
    with pytest.raises(NotFound, match="postroom init"):
        organizations.system_of(None)


class TestTheSetUpLink:
    def test_it_makes_the_first_admin_once(self, app, clock, settings):
        link = organizations.make_setup_link(settings)
        token = token_of(link)
        assert link.startswith(f"{settings.address}/setup?token=")
        assert organizations.setup_state(token) == SetupState(LinkState.VALID)

        made = organizations.set_up(token, "Acme", "ada@acme.test", PASSWORD)

        assert made.user.email == "ada@acme.test"
        clock.advance(seconds=60)
        assert organizations.setup_state(token) == SetupState(LinkState.USED, clock.now - 60_000)
        with pytest.raises(Conflict, match="used"):
            organizations.set_up(token, "Acme", "max@acme.test", PASSWORD)

    def test_it_lives_for_an_hour(self, app, clock, settings):
        token = token_of(organizations.make_setup_link(settings))

        clock.advance(seconds=HOUR_S, ms=-1)
        assert organizations.setup_state(token).state is LinkState.VALID

        clock.advance(ms=1)
        assert organizations.setup_state(token) == SetupState(LinkState.EXPIRED, clock.now)
        with pytest.raises(Conflict, match="too old"):
            organizations.set_up(token, "Acme", "ada@acme.test", PASSWORD)
        assert count(User) == 0

    def test_a_new_one_ends_the_older(self, app, clock, settings):
        older = token_of(organizations.make_setup_link(settings))

        newer = token_of(organizations.make_setup_link(settings))

        assert organizations.setup_state(older) == SetupState(LinkState.EXPIRED)
        assert organizations.setup_state(newer).state is LinkState.VALID

    def test_it_is_dead_once_there_is_an_admin_from_elsewhere(self, app, clock, settings):
        token = token_of(organizations.make_setup_link(settings))

        organizations.first_admin("Acme", "ada@acme.test", PASSWORD)

        assert organizations.setup_state(token).state is LinkState.USED
        assert organizations.make_setup_link(settings) is None

    def test_a_guessed_token_learns_only_that_it_is_wrong(self, app, clock, settings):
        organizations.make_setup_link(settings)
        assert organizations.setup_state("guess") == SetupState(LinkState.EXPIRED)

        organizations.first_admin("Acme", "ada@acme.test", PASSWORD)

        assert organizations.setup_state("guess") == SetupState(LinkState.USED)

    def test_what_was_typed_wrong_does_not_use_it_up(self, app, clock, settings):
        token = token_of(organizations.make_setup_link(settings))

        with pytest.raises(Invalid):
            organizations.set_up(token, "Acme", "ada@acme.test", "short")

        assert organizations.setup_state(token).state is LinkState.VALID

    def test_the_token_itself_is_not_stored(self, app, clock, settings):
        token = token_of(organizations.make_setup_link(settings))

        with read() as session:
            stored = [bytes(value) for value in session.scalars(select(Installation.value))]

        assert stored == [crypto.digest(token)]


class TestTheCanary:
    def test_the_right_key_passes_again_and_again(self, app, clock):
        organizations.check_canary()

        organizations.check_canary()

        assert count(Installation) == 1

    def test_another_key_is_refused_in_words(self, app, clock):
        organizations.check_canary()
        crypto.use(crypto.Ring((Fernet.generate_key().decode(),)))

        with pytest.raises(crypto.WrongKey, match="key file"):
            organizations.check_canary()

    def test_a_newer_key_beside_the_old_one_passes(self, app, clock, settings):
        organizations.check_canary()
        old = crypto.load_keys(settings).encryption
        crypto.use(crypto.Ring((Fernet.generate_key().decode(), *old)))

        organizations.check_canary()
