"""Saved views: a member's own names for filters of the log."""

from __future__ import annotations

import pytest

from app.errors import Invalid, NotFound, Refused
from app.services import saved_views
from app.services.scope import system_actor


def test_views_are_a_members_own_by_name_and_can_be_renamed_and_deleted(owner, member):
    late = saved_views.create(owner, "  Zeta \n late ", "state=failed")
    saved_views.create(owner, "Alpha", "slow=1")

    assert [(view.name, view.query) for view in saved_views.list_all(owner)] == [
        ("Alpha", "slow=1"),
        ("Zeta late", "state=failed"),
    ]
    assert saved_views.list_all(member) == ()
    for act in (saved_views.find, saved_views.delete, lambda who, one: saved_views.rename(who, one, "Mine")):
        with pytest.raises(NotFound):
            act(member, late.id)
    saved_views.rename(owner, late.id, "Zeta")
    saved_views.delete(owner, saved_views.list_all(owner)[0].id)
    assert [view.name for view in saved_views.list_all(owner)] == ["Zeta"]


def test_a_name_is_taken_once_and_neither_empty_nor_endless(owner, member, monkeypatch):
    saved_views.create(owner, "Late", "state=failed")
    saved_views.create(member, "Late", "state=failed")
    monkeypatch.setattr(saved_views, "MOST_VIEWS", 1)

    for name, query, words in (
        ("Late", "slow=1", "already"),
        (" ", "slow=1", "1 to 60"),
        ("x" * 61, "slow=1", "1 to 60"),
        ("New", "", "Set a filter"),
        ("New", "slow=1", "Delete one first"),
    ):
        with pytest.raises(Invalid) as refused:
            saved_views.create(owner, name, query)
        assert words in refused.value.problems[0].message
    with pytest.raises(Refused):
        saved_views.create(system_actor(owner.organization_id), "Late", "slow=1")
