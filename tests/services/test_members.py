"""Members: roles, units, and what becomes of the webhooks of who leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from app import ids
from app.core.access import Permission
from app.core.encoding import ContentType
from app.core.retry import Exhausted
from app.core.shaping import DataMode
from app.core.states import Reason
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Refused
from app.models import AuditEntry, BusinessUnit, Lane, Membership, Notification, Organization, User, Webhook
from app.services import members, roles, sign_in
from app.services.sign_in import WrongPasswordError
from tests.conftest import PASSWORD

SENTENCE = "seven brown horses"


@pytest.fixture
def make_unit(organization, clock):
    """Make a business unit."""

    def make(name, of=None):
        with write() as session:
            unit = BusinessUnit(
                public_id=ids.new_id("bu"),
                organization_id=(of or organization).id,
                external_id=name.lower(),
                name=name,
                created_at=clock.now,
            )
            session.add(unit)
            session.flush()
            session.refresh(unit)
            session.expunge(unit)
        return unit

    return make


@pytest.fixture
def own_webhook(clock):
    """Make a webhook that a member owns, turned on."""

    def make(owner, name, enabled=True):
        with write() as session:
            webhook = Webhook(
                public_id=ids.new_id("whk"),
                organization_id=owner.actor.organization_id,
                owner_id=owner.actor.membership_id,
                name=name,
                url="https://hooks.example.com/",
                preset="standard",
                enabled=enabled,
                off_reason=None if enabled else Reason.NEW,
                content_type=ContentType.JSON,
                data_mode=DataMode.EVERYTHING,
                delays_ms=[1000],
                timeout_ms=15_000,
                jitter=0.0,
                on_exhausted=Exhausted.KEEP,
                success_codes=["2xx"],
                created_at=clock.now,
                updated_at=clock.now,
                lane=Lane(),
            )
            session.add(webhook)
            session.flush()
            return webhook.public_id

    return make


@pytest.fixture
def ada(make_member):
    """The only admin."""
    return make_member("ada", role="Admin")


@pytest.fixture
def max_(make_member, ada):
    """A developer."""
    return make_member("max", role="Developer")


def routing_version(organization):
    with read() as session:
        return session.get_one(Organization, organization.id).routing_version


def webhook(public_id):
    with read() as session:
        found = session.scalars(select(Webhook).where(Webhook.public_id == public_id)).one()
        return {name: getattr(found, name) for name in ("enabled", "off_reason", "owner_id", "version", "updated_at")}


def actions():
    with read() as session:
        return session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()


class TestListing:
    def test_members_come_by_name_with_role_units_and_webhooks(self, ada, make_member, make_unit, own_webhook):
        north, south = make_unit("North"), make_unit("South")
        max_ = make_member("max", role="Developer", units=[south, north])
        first, second = own_webhook(max_, "Warehouse"), own_webhook(max_, "Billing")

        listed = members.list_all(ada.actor)

        assert [view.name for view in listed] == ["Ada", "Max"]
        assert [unit.name for unit in listed[1].units] == ["North", "South"]
        assert [(hook.id, hook.name) for hook in listed[1].webhooks] == [(second, "Billing"), (first, "Warehouse")]
        assert members.find(ada.actor, max_.id) == listed[1]

    def test_only_who_may_sees_or_changes_members(self, ada, max_, stranger):
        for ask in (
            lambda actor: members.list_all(actor),
            lambda actor: roles.list_all(actor),
            lambda actor: members.find(actor, ada.id),
            lambda actor: members.add(actor, "new@acme.test", name="New", role="Member"),
            lambda actor: members.change(actor, ada.id, role="Member"),
            lambda actor: members.remove(actor, ada.id),
            lambda actor: members.deactivate(actor, ada.id),
            lambda actor: members.activate(actor, ada.id),
        ):
            with pytest.raises(Refused):
                ask(max_.actor)

    def test_a_stranger_finds_nobody_here(self, ada, max_, stranger):
        assert [view.email for view in members.list_all(stranger)] == ["sam@acme.test"]
        for ask in (members.find, members.remove, members.deactivate, members.activate, members.change):
            with pytest.raises(NotFound):
                ask(stranger, max_.id)

    def test_the_roles_can_be_chosen_from(self, ada):
        assert [role.name for role in roles.list_all(ada.actor)] == ["Admin", "Developer", "Support", "Member"]


class TestAdding:
    def test_a_new_member_can_sign_in_and_has_the_role_and_units(self, ada, organization, make_unit):
        north = make_unit("North")
        before = routing_version(organization)

        view = members.add(
            ada.actor, " Max@Acme.test", name="Max Berg", role="Developer", units=[north.public_id], password=SENTENCE
        )

        user = sign_in.sign_in("max@acme.test", SENTENCE, None)
        actor = sign_in.actor_for(user, organization.public_id)
        assert (view.email, view.role, [unit.name for unit in view.units]) == ("max@acme.test", "Developer", ["North"])
        assert Permission.WEBHOOKS in actor.permissions
        assert actor.view.units == frozenset({north.id})
        assert routing_version(organization) == before + 1
        assert "member.added" in actions()

    def test_without_a_password_nobody_signs_in_yet(self, ada):
        view = members.add(ada.actor, "max@acme.test", name="Max", role="Member")

        assert not view.has_password
        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("max@acme.test", "", None)

    def test_somebody_of_another_organization_keeps_their_account(self, ada, stranger):
        view = members.add(ada.actor, "sam@acme.test", name="Somebody", role="Member")

        assert (view.name, view.user_id) == ("Sam", stranger.public_id)
        assert sign_in.sign_in("sam@acme.test", PASSWORD, None).public_id == stranger.public_id

    def test_nobody_sets_the_password_of_an_account_of_another_organization(self, ada, stranger):
        with pytest.raises(Invalid):
            members.add(ada.actor, "sam@acme.test", name="Sam", role="Member", password="a password of mine")

        assert sign_in.sign_in("sam@acme.test", PASSWORD, None).public_id == stranger.public_id

    def test_nobody_is_a_member_twice(self, ada, max_):
        with pytest.raises(Conflict, match="a member already"):
            members.add(ada.actor, "MAX@acme.test", name="Max", role="Member")

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"email": "max"}, "email"),
            ({"name": ""}, "name"),
            ({"role": "King"}, "role"),
            ({"units": ["bu_none"]}, "units"),
            ({"password": "short"}, "password"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, ada, given, field):
        given = {"email": "max@acme.test", "name": "Max", "role": "Member", **given}

        with pytest.raises(Invalid) as refused:
            members.add(ada.actor, given.pop("email"), **given)

        assert [problem.field for problem in refused.value.problems] == [field]
        with read() as session:
            assert session.scalar(select(User).where(User.email == "max@acme.test")) is None

    def test_a_unit_of_another_organization_is_not_there(self, ada, stranger, make_unit):
        with read() as session:
            other = session.get_one(Organization, stranger.organization_id)
            session.expunge(other)
        foreign = make_unit("Foreign", of=other)

        with pytest.raises(Invalid):
            members.add(ada.actor, "max@acme.test", name="Max", role="Member", units=[foreign.public_id])

    def test_nobody_gives_a_role_that_may_do_more_than_they(self, ada, max_):
        manager = replace(max_.actor, permissions=max_.actor.permissions | {Permission.MEMBERS})

        members.add(manager, "new@acme.test", name="New", role="Developer")
        with pytest.raises(Refused, match="may do more than you"):
            members.add(manager, "boss@acme.test", name="Boss", role="Admin")
        with pytest.raises(Refused, match="may do more than you"):
            members.change(manager, max_.id, role="Admin")
        with pytest.raises(Refused, match="may do more than you"):
            members.remove(manager, ada.id)


class TestChanging:
    def test_role_and_units_change_and_routing_notices(self, ada, max_, organization, make_unit):
        north, before = make_unit("North"), routing_version(organization)

        view = members.change(ada.actor, max_.id, role="Support", units=[north.public_id])

        assert (view.role, [unit.name for unit in view.units]) == ("Support", ["North"])
        assert routing_version(organization) > before
        with read() as session:
            changes = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first().changes
        assert changes == {"role": ["Developer", "Support"], "units": [[], ["North"]]}

    def test_units_can_be_taken_while_the_role_stays(self, ada, make_member, make_unit):
        max_ = make_member("max", role="Developer", units=[make_unit("North")])

        view = members.change(ada.actor, max_.id, units=[])

        assert (view.role, view.units) == ("Developer", ())

    def test_the_last_admin_is_neither_demoted_removed_nor_disabled(self, ada, max_):
        for ask in (
            lambda: members.change(ada.actor, ada.id, role="Developer"),
            lambda: members.remove(ada.actor, ada.id),
            lambda: members.deactivate(ada.actor, ada.id),
        ):
            with pytest.raises(Conflict, match="Ada is the last admin"):
                ask()

        assert members.find(ada.actor, ada.id).role == "Admin"

    def test_an_admin_who_is_disabled_does_not_count(self, ada, make_member):
        eve = make_member("eve", role="Admin")
        members.deactivate(ada.actor, eve.id)

        with pytest.raises(Conflict, match="last admin"):
            members.remove(ada.actor, ada.id)

    def test_an_admin_of_another_organization_does_not_count(self, ada, stranger):
        with pytest.raises(Conflict, match="last admin"):
            members.remove(ada.actor, ada.id)

    def test_with_two_admins_one_can_go(self, ada, make_member):
        eve = make_member("eve", role="Admin")

        members.change(eve.actor, ada.id, role="Member")

        assert members.find(eve.actor, ada.id).role == "Member"


class TestLeaving:
    def test_webhooks_are_turned_off_and_somebody_is_told(self, ada, max_, own_webhook, organization):
        on, off = own_webhook(max_, "Warehouse"), own_webhook(max_, "Old", enabled=False)
        before = webhook(on)

        members.remove(ada.actor, max_.id)

        after = webhook(on)
        assert (after["enabled"], after["off_reason"], after["owner_id"]) == (False, Reason.OWNER_LEFT, None)
        assert after["version"] > before["version"], "the engine would not notice"
        assert webhook(off)["off_reason"] is Reason.NEW
        with read() as session:
            notice = session.scalars(select(Notification)).one()
            assert notice.subject == "Warehouse was turned off"
            assert "its owner, Max, left" in notice.body
        assert {"webhook.turned_off", "member.removed"} <= set(actions())

    def test_webhooks_can_be_given_to_somebody_else(self, ada, max_, own_webhook, clock):
        public_id = own_webhook(max_, "Warehouse")
        before = webhook(public_id)
        clock.advance(seconds=1)

        members.remove(ada.actor, max_.id, heir=ada.id)

        after = webhook(public_id)
        assert after["version"] > before["version"], "who edits it would overwrite the new owner"
        assert after["updated_at"] == before["updated_at"], "waiting deliveries would be shaped anew"
        assert (after["enabled"], after["owner_id"]) == (True, ada.actor.membership_id)
        with read() as session:
            assert session.scalars(select(Notification)).all() == []
        assert "webhook.given" in actions()

    @pytest.mark.parametrize("who", ["themselves", "one without webhooks"])
    def test_only_another_who_may_have_webhooks_inherits(self, ada, max_, make_member, own_webhook, who):
        public_id = own_webhook(max_, "Warehouse")
        heir = max_ if who == "themselves" else make_member("tim", role="Support")

        with pytest.raises(Invalid) as refused:
            members.remove(ada.actor, max_.id, heir=heir.id)

        assert [problem.field for problem in refused.value.problems] == ["heir"]
        assert webhook(public_id)["owner_id"] == max_.actor.membership_id

    def test_who_is_removed_everywhere_cannot_sign_in(self, ada, max_):
        members.remove(ada.actor, max_.id)

        with pytest.raises(WrongPasswordError):
            sign_in.sign_in("max@acme.test", PASSWORD, None)
        assert sign_in.find_user(max_.user.public_id, 1) is None

    def test_who_is_elsewhere_too_stays_there(self, ada, stranger, organization):
        sam = members.add(ada.actor, "sam@acme.test", name="Sam", role="Member")

        members.remove(ada.actor, sam.id)

        user = sign_in.sign_in("sam@acme.test", PASSWORD, None)
        assert sign_in.actor_for(user, None).organization_id == stranger.organization_id

    def test_who_is_disabled_is_out_at_once_and_can_come_back(self, ada, max_, own_webhook, organization):
        public_id, before = own_webhook(max_, "Warehouse"), routing_version(organization)

        view = members.deactivate(ada.actor, max_.id)

        assert not view.is_active
        assert webhook(public_id)["off_reason"] is Reason.OWNER_LEFT
        assert sign_in.find_user(max_.user.public_id, 1) is None
        assert routing_version(organization) > before
        assert members.activate(ada.actor, max_.id).is_active
        assert sign_in.sign_in("max@acme.test", PASSWORD, None).id == max_.user.id

    def test_who_belongs_to_others_too_is_not_disabled_from_here(self, ada, stranger):
        sam = members.add(ada.actor, "sam@acme.test", name="Sam", role="Member")

        with pytest.raises(Conflict, match="Remove them from it instead"):
            members.deactivate(ada.actor, sam.id)

    def test_the_membership_is_gone_and_the_log_keeps_the_name(self, ada, max_):
        members.remove(ada.actor, max_.id)

        with read() as session:
            assert session.scalar(select(Membership).where(Membership.public_id == max_.id)) is None
            entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "member.removed")).one()
            assert (entry.object_name, entry.object_id, entry.actor) == ("Max", max_.id, "Ada")
