"""The catalogue: own types and packs, kept apart by organization."""

from __future__ import annotations

import json

import pytest

from app.core.access import ROLES
from app.errors import Conflict, Invalid, NotFound, Refused
from app.services import event_types

PACKS = {
    "contracts": {"contractCreated", "contractSigned", "contractReminder"},
    "jobs": {
        "job.created",
        "job.updated",
        "job.assigned",
        "job.image_created",
        "job.document_created",
        "job.status_changed",
        "estimate.created",
        "estimate.updated",
        "signed_document.signed",
        "signable_document.signed",
    },
    "vomo": {
        "project.created",
        "project.updated",
        "project.deleted",
        "user.created",
        "user.updated",
        "organization.updated",
    },
    "integrations": {
        "webhook_test",
        "integration_new_data_model",
        "integration_updated_data_model",
        "integration_deleted_data_model",
        "integration_installed",
        "integration_import_done",
        "integration_cannot_refresh_oauth_token",
        "integration_oauth_token_fixed",
    },
    "reporting": {
        "transaction.create",
        "transaction.update",
        "transaction.send",
        "transaction.review",
        "transaction.expired",
    },
}


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_brings_its_types_each_with_an_example(pack, owner):
    assert event_types.install(owner, pack) == len(PACKS[pack])

    found = event_types.list_all(owner)
    assert {kind.name for kind in found} == PACKS[pack]
    assert all(isinstance(json.loads(kind.example), dict) and json.loads(kind.example) for kind in found)
    assert all(kind.title and kind.description and kind.pack == pack for kind in found)


def test_installing_a_pack_again_adds_nothing_and_keeps_what_was_chosen(owner):
    event_types.install(owner, "jobs")
    event_types.edit(owner, "job.created", {"schema_mode": "reject"})

    assert event_types.install(owner, "jobs") == 0
    assert event_types.find(owner, "job.created").schema_mode == "reject"


def test_all_packs_can_stand_beside_each_other(owner):
    for pack in PACKS:
        event_types.install(owner, pack)

    assert len(event_types.list_all(owner)) == sum(len(names) for names in PACKS.values())


def test_an_unknown_pack_is_not_there(owner):
    with pytest.raises(NotFound):
        event_types.install(owner, "nope")


def test_a_type_of_ones_own_can_be_added(owner):
    for name in ("job.created", "a", "contractSigned", "a-b.c_d", "x" * 128):
        kind = event_types.create(owner, {"name": name})
        assert (kind.name, kind.title, bytes(kind.example)) == (name, name, b"{}")


def test_a_name_that_could_not_be_selected_is_refused(owner):
    for name in ("", "a b", "job.*", "*", ".a", "a.", "a..b", "é", "a\n", "x" * 129):
        with pytest.raises(Invalid) as refused:
            event_types.create(owner, {"name": name})
        assert [problem.field for problem in refused.value.problems] == ["name"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"example": b"[1]"}, "example"),
        ({"example": b"{"}, "example"),
        ({"schema": b'{"type":"nope"}'}, "schema"),
        ({"schema": b'{"$ref":"https://evil.test/s.json"}'}, "schema"),
    ],
)
def test_an_example_or_schema_that_cannot_be_used_is_refused(values, field, owner):
    with pytest.raises(Invalid) as refused:
        event_types.create(owner, {"name": "job.created", **values})

    assert [problem.field for problem in refused.value.problems] == [field]
    assert event_types.list_all(owner) == []


def test_a_name_can_be_taken_once_in_an_organization(owner, stranger):
    event_types.create(owner, {"name": "job.created"})

    with pytest.raises(Conflict):
        event_types.create(owner, {"name": "job.created"})
    event_types.create(stranger, {"name": "job.created"})


def test_everything_but_the_name_can_be_changed(owner):
    event_types.create(owner, {"name": "job.created"})

    kind = event_types.edit(owner, "job.created", {"title": "Job", "description": "New", "example": b'{"id":1}'})

    assert (kind.title, kind.description, bytes(kind.example)) == ("Job", "New", b'{"id":1}')


def test_a_type_of_another_organization_is_not_there(owner, stranger):
    event_types.create(owner, {"name": "job.created"})

    with pytest.raises(NotFound):
        event_types.find(stranger, "job.created")
    with pytest.raises(NotFound):
        event_types.edit(stranger, "job.created", {"title": "Mine"})


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_who_may_change_the_catalogue(role, make_member):
    actor = make_member("eva", role=role).actor
    if role in {"Admin", "Developer"}:
        event_types.create(actor, {"name": "job.created"})
        return
    with pytest.raises(Refused):
        event_types.create(actor, {"name": "job.created"})
    with pytest.raises(Refused):
        event_types.install(actor, "jobs")
