"""Business units and companies, below the API: who may change them, what is put on record, what publishing notices."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.database import read
from app.errors import Invalid, NotFound, Refused
from app.models import AuditEntry, Organization
from app.services import business_units, companies


def actions(actor) -> list[tuple[str, str]]:
    with read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        return [(row.action, row.object_name) for row in rows if row.actor == actor.name]


def routing_version(actor) -> int:
    with read() as session:
        return session.get_one(Organization, actor.organization_id).routing_version


def test_who_lacks_the_permission_may_look_and_not_touch(owner, member):
    business_units.put(owner, "north", "North")
    companies.put(owner, "north", "c1", "One", {})

    assert [unit.external_id for unit in business_units.list_all(member)] == ["north"]
    assert companies.find(member, "north", "c1").name == "One"
    for change in (
        lambda: business_units.put(member, "south", "South"),
        lambda: business_units.delete(member, "north"),
        lambda: companies.put(member, "north", "c1", "Two", {}),
        lambda: companies.delete(member, "north", "c1"),
    ):
        with pytest.raises(Refused):
            change()


def test_who_may_neither_manage_units_nor_webhooks_sees_none(make_member, owner):
    nobody = make_member("nia").actor
    business_units.put(owner, "north", "North")

    for look in (
        lambda: business_units.list_all(nobody),
        lambda: business_units.find(nobody, "north"),
        lambda: companies.page(nobody, "north"),
        lambda: companies.find(nobody, "north", "c1"),
    ):
        with pytest.raises(Refused):
            look()


def test_every_change_is_on_record_and_what_changes_nothing_is_not(owner):
    business_units.put(owner, "north", "North")
    business_units.put(owner, "north", "North")
    business_units.put(owner, "north", "Far north")
    companies.put(owner, "north", "c1", "One", {"a": 1})
    companies.put(owner, "north", "c1", "One", {"a": 1})
    companies.put(owner, "north", "c1", "One", {"a": 2})
    companies.delete(owner, "north", "c1")
    business_units.delete(owner, "north")

    assert actions(owner) == [
        ("business_unit.created", "North"),
        ("business_unit.edited", "Far north"),
        ("company.created", "One"),
        ("company.edited", "One"),
        ("company.deleted", "One"),
        ("business_unit.deleted", "Far north"),
    ]


def test_publishing_notices_every_change_of_the_units(owner):
    versions = [routing_version(owner)]
    business_units.put(owner, "north", "North")
    versions.append(routing_version(owner))
    business_units.delete(owner, "north")
    versions.append(routing_version(owner))

    assert versions == sorted(set(versions))


def test_units_of_another_organization_are_not_there(owner, stranger):
    business_units.put(owner, "north", "North")

    assert business_units.list_all(stranger) == []
    assert business_units.names(stranger) == {}
    with pytest.raises(NotFound):
        business_units.find(stranger, "north")
    with pytest.raises(NotFound):
        companies.put(stranger, "north", "c1", "One", {})


@pytest.mark.parametrize("external_id", ["", " a", "a ", "a/b", ".", "..", "a\nb", "x" * 101])
def test_an_external_id_that_could_not_stand_in_an_address_is_refused(owner, external_id):
    with pytest.raises(Invalid) as refused:
        business_units.put(owner, external_id, "North")

    assert refused.value.problems[0].field == "external_id"


def test_a_payload_gets_the_fields_as_they_were_given(owner):
    business_units.put(owner, "north", "North")
    fields = {"text": "é\u0000", "number": 12.5, "big": 2**63 - 1, "list": [1, {"a": None}], "yes": True}

    companies.put(owner, "north", "c1", "One", fields)

    assert companies.find(owner, "north", "c1").fields == fields
