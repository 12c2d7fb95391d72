"""Business units and their companies through the API."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.database import read
from app.models import Event


def test_a_unit_is_added_renamed_shown_and_deleted(api):
    made = api.put("/business-units/north", {"name": "North"})
    renamed = api.put("/business-units/north", {"name": " Far north "})

    assert (made.status_code, renamed.status_code) == (201, 200)
    shown = {"external_id": "north", "name": "Far north", "created_at": "2026-11-21T09:00:00.000Z"}
    assert renamed.json == shown
    assert api.get("/business-units/north").json == shown
    assert api.get("/business-units").json == {"items": [shown], "next": None}

    deleted = api.delete("/business-units/north")

    assert (deleted.status_code, deleted.data) == (204, b"")
    assert api.get("/business-units/north").status_code == 404
    assert api.delete("/business-units/north").status_code == 404


def test_an_event_can_be_published_for_a_unit_as_soon_as_it_is_there(api, job_created):
    event = {"type": job_created, "data": {}, "business_unit": "north"}
    assert api.post("/events", event).status_code == 422

    api.put("/business-units/north", {"name": "North"})

    assert api.post("/events", event).status_code == 202
    api.delete("/business-units/north")
    assert api.post("/events", event).status_code == 422


@pytest.mark.parametrize("external_id", ["x" * 101, "%20a", "a%0Ab", "%7F"])
def test_an_id_that_could_not_be_seen_or_is_too_long_is_refused(api, external_id):
    answer = api.put(f"/business-units/{external_id}", {"name": "North"})

    assert answer.status_code == 422
    assert api.get("/business-units").json["items"] == []


@pytest.mark.parametrize("external_id", ["42", "Süd", "a b", "a.b:c@d~", "x" * 100])
def test_an_id_may_be_whatever_another_system_has(api, external_id):
    assert api.put(f"/business-units/{external_id}", {"name": "North"}).json["external_id"] == external_id
    assert api.get(f"/business-units/{external_id}").status_code == 200


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": "a\nb"}, {"name": 1}])
def test_a_name_that_breaks_a_rule_is_refused(api, body):
    answer = api.put("/business-units/north", body)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "name"


def test_a_unit_that_a_webhook_is_bound_to_cannot_be_deleted(api):
    api.put("/business-units/north", {"name": "North"})
    webhook = api.post(
        "/webhooks", {"name": "Billing", "url": "http://127.0.0.1:9999/", "business_units": ["north"]}
    ).json

    answer = api.delete("/business-units/north")

    assert answer.status_code == 409
    assert "Billing" in answer.json["detail"]
    api.delete(f"/webhooks/{webhook['id']}")
    assert api.delete("/business-units/north").status_code == 204


def test_the_events_of_a_deleted_unit_are_not_everybodys(api, job_created):
    api.put("/business-units/north", {"name": "North"})
    more = {"type": job_created, "data": {}, "business_unit": "north"}
    open_event = api.post("/events", more).json["id"]
    addressed = api.post("/events", {**more, "visible_to": ["max@acme.test"]}).json["id"]

    api.delete("/business-units/north")

    with read() as session:
        found = {row.public_id: row.visible_to for row in session.scalars(select(Event))}
    assert found == {open_event: [], addressed: ["max@acme.test"]}


def test_another_organizations_units_are_not_there(api, foreign):
    api.put("/business-units/north", {"name": "North"})
    api.put("/business-units/north/companies/c1", {"name": "One"})

    assert foreign.get("/business-units").json["items"] == []
    for path in ("/business-units/north", "/business-units/north/companies", "/business-units/north/companies/c1"):
        assert foreign.get(path).status_code == 404
    assert foreign.delete("/business-units/north").status_code == 404
    assert foreign.put("/business-units/north/companies/c1", {"name": "Mine"}).status_code == 404
    assert foreign.put("/business-units/north", {"name": "Ours"}).status_code == 201
    assert api.get("/business-units/north").json["name"] == "North"


# --- companies


@pytest.fixture
def north(api) -> str:
    """A business unit's companies."""
    api.put("/business-units/north", {"name": "North"})
    return "/business-units/north/companies"


def test_a_company_is_added_replaced_shown_and_deleted(api, north, clock):
    fields = {"region": "N", "vat_number": None, "size": 12.5, "tags": ["a", {"b": True}]}
    made = api.put(f"{north}/c1", {"name": "One", "fields": fields})
    clock.advance(seconds=1)
    replaced = api.put(f"{north}/c1", {"name": "One", "fields": {"region": "NW"}})

    assert (made.status_code, replaced.status_code) == (201, 200)
    assert made.json["fields"] == fields
    shown = {
        "external_id": "c1",
        "business_unit": "north",
        "name": "One",
        "fields": {"region": "NW"},
        "created_at": "2026-11-21T09:00:00.000Z",
        "updated_at": "2026-11-21T09:00:01.000Z",
    }
    assert replaced.json == shown
    assert api.get(f"{north}/c1").json == shown
    assert api.get(north).json == {"items": [shown], "next": None}

    assert api.delete(f"{north}/c1").status_code == 204
    assert api.get(f"{north}/c1").status_code == 404


def test_companies_are_listed_in_pages_of_their_unit(api, north):
    api.put("/business-units/south", {"name": "South"})
    api.put("/business-units/south/companies/other", {"name": "Other"})
    for number in range(5):
        api.put(f"{north}/c{number}", {"name": "One"})

    first = api.get(f"{north}?limit=3").json
    second = api.get(f"{north}?limit=3&cursor={first['next']}").json

    assert [row["external_id"] for row in first["items"] + second["items"]] == [f"c{number}" for number in range(5)]
    assert second["next"] is None


def test_a_company_belongs_to_one_unit(api, north):
    api.put("/business-units/south", {"name": "South"})
    api.put(f"{north}/c1", {"name": "One"})

    assert api.put("/business-units/south/companies/c1", {"name": "One"}).status_code == 409
    assert api.get("/business-units/south/companies/c1").status_code == 404


def test_a_units_companies_go_with_it(api, north):
    api.put(f"{north}/c1", {"name": "One"})
    api.delete("/business-units/north")
    api.put("/business-units/north", {"name": "North"})

    assert api.get(north).json["items"] == []


@pytest.mark.parametrize(
    "fields",
    [
        b"[]",
        b'"x"',
        b'{"a":1e400}',
        b'{"a":' + b"9" * 30 + b"}",
        b'{"a":"' + b"x" * 70_000 + b'"}',
        b"{" + b",".join(b'"f%d":1' % number for number in range(201)) + b"}",
    ],
)
def test_fields_that_could_not_be_sent_as_they_are_are_refused(api, north, fields):
    answer = api.put(f"{north}/c1", b'{"name":"One","fields":' + fields + b"}")

    assert answer.status_code == 422, answer.json
    assert answer.json["errors"][0]["field"] == "fields"


def test_a_units_company_that_is_not_there_cannot_be_reached(api):
    assert api.put("/business-units/nowhere/companies/c1", {"name": "One"}).status_code == 404
    assert api.get("/business-units/nowhere/companies").status_code == 404
