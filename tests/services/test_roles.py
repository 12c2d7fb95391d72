"""Roles: own ones, what nobody may give, and that somebody always manages members."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from app.core.access import EVERYTHING, Permission
from app.database import read
from app.errors import Conflict, Invalid, NotFound, Refused
from app.models import AuditEntry
from app.services import members, roles, routing, sign_in
from app.services.scope import system_actor

WEBHOOKS, LOG, MEMBERS = Permission.WEBHOOKS, Permission.LOG, Permission.MEMBERS


@pytest.fixture
def manager(make_member, owner):
    """Mia manages members and may read the log; she doesn't see every event."""
    roles.create(owner, "Manager", [MEMBERS, LOG])
    return make_member("mia", role="Manager").actor


def entries(action):
    with read() as session:
        found = session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id))
        return [(entry.object_name, entry.changes) for entry in found]


def permissions_of(actor):
    return sign_in.actor_for(actor, None).permissions


def test_a_role_of_ones_own_is_made_changed_and_deleted_and_all_of_it_is_on_record(owner, make_member):
    made = roles.create(owner, " Auditor ", [LOG, Permission.AUDIT])
    assert (made.name, made.permissions, made.members) == ("Auditor", {LOG, Permission.AUDIT}, 0)
    pat = make_member("pat", role="Auditor").actor

    roles.edit(owner, "Auditor", new_name="Reviewer", permissions=[LOG], sees_everything=True)

    assert permissions_of(pat) == {LOG}, "at once"
    with pytest.raises(Invalid) as refused:
        roles.delete(owner, "Reviewer")
    assert refused.value.problems[0].field == "move_to"
    roles.delete(owner, "Reviewer", move_to="Support")
    assert members.find(owner, members.list_all(owner, q="pat")[0].id).role == "Support"
    assert [role.name for role in roles.list_all(owner)] == ["Admin", "Developer", "Support", "Member"]
    assert entries("role.edited") == [
        (
            "Reviewer",
            {
                "name": ["Auditor", "Reviewer"],
                "permissions": [["org.audit", "org.log"], ["org.log"]],
                "sees_everything": [False, True],
            },
        )
    ]
    assert entries("role.deleted") == [("Reviewer", {})]
    assert entries("member.changed") == [("Pat", {"role": ["Reviewer", "Support"]})]


def test_built_in_roles_can_be_changed_but_admin_stays_whole(owner):
    assert roles.edit(owner, "Support", permissions=[LOG, WEBHOOKS]).permissions == {LOG, WEBHOOKS}

    for change in ({"permissions": [LOG]}, {"new_name": "Boss"}, {"sees_everything": False}):
        with pytest.raises(Conflict):
            roles.edit(owner, "Admin", **change)
    with pytest.raises(Conflict):
        roles.delete(owner, "Admin", move_to="Member")


def test_nobody_gives_what_they_do_not_hold(manager, owner):
    with pytest.raises(Refused):
        roles.create(manager, "Wide", [LOG, WEBHOOKS])
    with pytest.raises(Refused):
        roles.create(manager, "Seer", [LOG], sees_everything=True)
    with pytest.raises(Refused):
        roles.edit(manager, "Manager", permissions=[LOG, MEMBERS, Permission.AUDIT])
    with pytest.raises(Refused):
        roles.edit(manager, "Developer", permissions=[LOG])  # it may more than she: she can't take that away either
    roles.create(owner, "Idle", [])
    with pytest.raises(Refused):
        roles.delete(manager, "Developer", move_to="Idle")
    assert roles.create(manager, "Reader", [LOG]).name == "Reader"
    assert roles.edit(manager, "Reader", permissions=[LOG, MEMBERS]).permissions == {LOG, MEMBERS}


def test_members_are_not_moved_to_a_role_that_may_more_than_who_moves_them(manager, make_member):
    roles.create(manager, "Reader", [LOG])
    make_member("pat", role="Reader")

    with pytest.raises(Refused):
        roles.delete(manager, "Reader", move_to="Admin")


def test_the_last_who_manages_members_can_not_be_edited_or_deleted_away(make_member, organization):
    server = system_actor(organization.id)
    roles.create(server, "Manager", [MEMBERS])
    mia = make_member("mia", role="Manager").actor

    with pytest.raises(Conflict):
        roles.edit(server, "Manager", permissions=[LOG])
    with pytest.raises(Conflict):
        roles.delete(server, "Manager", move_to="Support")
    assert permissions_of(mia) == {MEMBERS}, "what was refused changed nothing"

    make_member("ada", role="Admin")
    roles.edit(server, "Manager", permissions=[LOG])
    assert permissions_of(mia) == {LOG}


@pytest.mark.parametrize("name", ["", "  ", "admin", "NEW", "a/b", "..", "?", "a" * 41, "a\u202eb"])
def test_a_name_that_can_not_be_used_is_refused(owner, name):
    with pytest.raises(Invalid):
        roles.create(owner, name, [])


def test_what_is_no_permission_and_what_is_no_role_is_refused(owner, stranger, member):
    with pytest.raises(Invalid):
        roles.create(owner, "X", ["org.everything"])
    roles.create(owner, "Ours", [])
    with pytest.raises(NotFound):
        roles.find(stranger, "Ours")
    with pytest.raises(NotFound):
        roles.edit(stranger, "Ours", permissions=[])
    with pytest.raises(Refused):
        roles.list_all(member)


def test_a_role_that_sees_less_is_noticed_by_routing(owner, make_member, make_unit, make_webhook, publish):
    roles.create(owner, "Own", [WEBHOOKS], sees_everything=True)
    hook = make_webhook(url="http://127.0.0.1:4999/", by=replace(make_member("pat", role="Own").actor, view=EVERYTHING))
    make_unit("north")
    routing.forget_all()
    first = publish(business_unit="north")
    assert first.deliveries[0].webhook == hook.id

    roles.edit(owner, "Own", sees_everything=False)

    assert [delivery.state for delivery in publish(business_unit="north").deliveries] != ["pending"]
