"""Who may see an event, and what the roles may do."""

from __future__ import annotations

import pytest

from app.core.access import EVERYTHING, ROLES, Permission, View

NORTH, SOUTH = 1, 2
MAX = View("max@acme.test", sees_everything=False, units=frozenset({NORTH}))
TO_MAX, TO_EVA, TO_NOBODY = frozenset({"max@acme.test"}), frozenset({"eva@acme.test"}), frozenset()


@pytest.mark.parametrize(
    ("unit", "visible_to", "is_seen"),
    [
        pytest.param(None, None, True, id="of no unit, to nobody in particular"),
        pytest.param(NORTH, None, True, id="of the member's unit"),
        pytest.param(SOUTH, None, False, id="of another unit"),
        pytest.param(NORTH, TO_MAX, True, id="addressed to the member"),
        pytest.param(SOUTH, TO_MAX, True, id="addressed to the member, of another unit"),
        pytest.param(NORTH, TO_EVA, False, id="of the member's unit, addressed to another"),
        pytest.param(None, TO_EVA, False, id="of no unit, addressed to another"),
        pytest.param(None, TO_NOBODY, False, id="addressed to nobody at all"),
    ],
)
def test_a_member_sees_the_events_of_their_units_and_those_addressed_to_them(unit, visible_to, is_seen):
    assert MAX.includes(unit, visible_to) is is_seen


@pytest.mark.parametrize("unit", [None, NORTH, SOUTH])
@pytest.mark.parametrize("visible_to", [None, TO_MAX, TO_EVA, TO_NOBODY])
def test_who_sees_everything_sees_every_event(unit, visible_to):
    assert EVERYTHING.includes(unit, visible_to)


def test_a_member_of_no_unit_sees_what_belongs_to_none():
    nobody = View("max@acme.test", sees_everything=False)

    assert nobody.includes(None, None)
    assert not nobody.includes(NORTH, None)


def test_the_roles_are_four_and_only_the_admin_sees_everything():
    assert [role.name for role in ROLES] == ["Admin", "Developer", "Support", "Member"]
    assert [role.name for role in ROLES if role.sees_everything] == ["Admin"]


@pytest.mark.parametrize(
    ("name", "permissions"),
    [
        ("Admin", set(Permission)),
        ("Developer", {Permission.WEBHOOKS, Permission.PAYLOADS, Permission.CATALOGUE}),
        ("Support", {Permission.LOG}),
        ("Member", set()),
    ],
)
def test_a_role_holds_exactly_these_permissions(name, permissions):
    role = next(role for role in ROLES if role.name == name)

    assert role.permissions == permissions
