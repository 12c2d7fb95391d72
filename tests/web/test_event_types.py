"""The catalogue: types, own types, packs."""

from __future__ import annotations

import shlex

import orjson
import pytest

from app.models import SchemaMode
from app.services import event_types
from app.web import schema_tree
from tests.support.pages import words

OWN = {
    "name": "invoice.paid",
    "title": "Invoice paid",
    "kind": "Invoices",
    "description": "Somebody paid.",
    "example": '{"id": 7, "status": "paid", "total": 12.50}',
    "schema": '{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}',
    "schema_mode": "reject",
    "public_name": "",
    "searchable": "id, customer.name",
}


@pytest.fixture
def add(ada):
    def run(**given):
        ada.look("/catalogue/new")
        return ada.press("/catalogue/new", **{**OWN, **given})

    return run


def test_an_empty_catalogue_offers_the_ways_to_fill_it(ada):
    page = words(ada.look("/catalogue"))

    assert "No event types yet." in page
    assert "Install a pack" in page


def test_a_pack_says_what_it_adds_before_it_is_installed_and_is_there_afterwards(ada, owner):
    asked = words(ada.look("/catalogue/packs/vomo/install"))
    assert "6 event types are added" in asked
    assert "project.created" in asked
    assert event_types.list_all(owner) == []

    assert ada.press("/catalogue/packs/vomo/install").status_code == 303

    assert "project.created" in words(ada.look("/catalogue"))
    assert event_types.pack_state(owner, "vomo").is_current


def test_a_pack_whose_types_were_changed_offers_an_upgrade(ada, owner):
    event_types.install(owner, "vomo")
    event_types.edit(owner, "project.created", {"description": "Otherwise."})

    assert "Upgrade: 0 new, 1 changed" in words(ada.look("/catalogue/packs"))
    ada.press("/catalogue/packs/vomo/install")

    assert event_types.pack_state(owner, "vomo").is_current


def test_the_catalogue_names_the_webhooks_that_receive_a_type(ada, owner, make_webhook, receiver):
    event_types.install(owner, "jobs")
    make_webhook(url=receiver.url, name="Of jobs", events=["job.*"])
    make_webhook(url=receiver.url, name="Of estimates", events=["estimate.created"], on=False)

    found = event_types.receivers(owner, ["job.created", "estimate.created", "estimate.updated"])

    assert {name: [one.name for one in those] for name, those in found.items()} == {
        "job.created": ["Of jobs"],
        "estimate.created": ["Of estimates"],
        "estimate.updated": [],
    }
    assert "Of estimates (off)" in words(ada.look("/catalogue/estimate.created"))


def test_the_catalogue_counts_a_weeks_events_and_says_when_it_stopped(ada, add, publish, clock, monkeypatch):
    publish("job.created", id="old")
    clock.advance(seconds=8 * 86_400)
    for number in range(3):
        publish("job.created", id=f"n{number}")

    assert "Events are counted over the last 7 days" in words(ada.look("/catalogue"))
    assert "Events, 7 days 3" in words(ada.look("/catalogue/job.created"))
    monkeypatch.setattr(event_types, "COUNTED", 2)
    assert "among the newest 2, back to 29 Nov, 09:00" in words(ada.look("/catalogue"))


def test_an_own_type_is_added_and_shown_in_full(ada, owner, add):
    location = add().location

    page = ada.look(location)

    assert location == "/catalogue/invoice.paid"
    assert "invoice.paid" in words(page)
    assert "12.50" in words(page), "the number is shown as it was written"
    assert "id integer Yes" in words(page)
    kind = event_types.find(owner, "invoice.paid")
    assert (kind.schema_mode, kind.searchable) == (SchemaMode.REJECT, ["id", "customer.name"])


def test_the_command_publishes_the_example(owner, add, app):
    add()

    words_ = shlex.split(event_types.publish_command(event_types.find(owner, "invoice.paid")).replace("\\\n", " "))

    body = orjson.loads(words_[words_.index("--data-binary") + 1])
    assert body == {"type": "invoice.paid", "data": {"id": 7, "status": "paid", "total": 12.5}}
    assert words_[3].endswith("/api/v1/events")


def test_the_example_is_shown_as_each_kind_of_webhook_gets_it(ada, add):
    add()

    status = words(ada.look("/catalogue/invoice.paid?data=status_only&as=json"))
    form = words(ada.look("/catalogue/invoice.paid?as=form"))

    assert '"status" : "paid"' in status
    assert '"total"' not in status.partition("Publish it")[0]
    assert "data[total]" in form or "data.total" in form or "total" in form


def test_what_is_wrong_with_a_type_is_said_at_its_field(owner, add):
    answer = add(name="no good", example="[1]", schema="{")
    page = words(answer)

    assert answer.status_code == 422
    assert "3 things need a change" in page
    assert "Use letters, digits and _" in page
    assert "Line 1" in page
    assert 'value="Invoice paid"' in answer.text
    assert event_types.list_all(owner) == []


def test_two_types_of_one_name_clash(add):
    add()

    answer = add()

    assert answer.status_code == 409
    assert "There is an event type invoice.paid already." in words(answer)


def test_a_type_is_changed_and_keeps_its_name(ada, owner, add):
    add()
    form = ada.look("/catalogue/invoice.paid/edit")
    assert "12.50" in form.text, "the example is changed by looking at it"

    answer = ada.press("/catalogue/invoice.paid/edit", **{**OWN, "title": "Paid", "schema": "", "name": "else"})

    kind = event_types.find(owner, "invoice.paid")
    assert answer.status_code == 303
    assert (kind.title, kind.schema) == ("Paid", None)


def test_what_the_schema_would_refuse_is_counted_before_it_is_enforced(ada, owner, add, publish):
    add(schema_mode="warn")
    publish("invoice.paid", b'{"id": 1}')
    publish("invoice.paid", b'{"id": "one"}')
    assert "1 of the last 2 events would be refused." in words(ada.look("/catalogue/invoice.paid"))

    ada.press("/catalogue/invoice.paid/schema-mode", schema_mode="reject")

    assert event_types.find(owner, "invoice.paid").schema_mode is SchemaMode.REJECT


def test_a_type_of_another_organization_is_not_there(sam, add):
    add()

    assert sam.look("/catalogue/invoice.paid").status_code == 404
    assert sam.press("/catalogue/invoice.paid/edit", **OWN).status_code == 404
    assert "invoice.paid" not in words(sam.look("/catalogue"))


def test_who_only_reads_the_log_has_no_catalogue(app, owner, make_member, add):
    from tests.web.conftest import signed_in

    make_member("lu", role="Support")
    lu = signed_in(app, "lu@acme.test")

    assert lu.look("/catalogue").status_code == 403
    assert lu.press("/catalogue/packs/vomo/install").status_code == 403


def test_a_schemas_properties_are_listed_with_what_they_hold():
    schema = orjson.dumps(
        {
            "required": ["lines"],
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
                "state": {"enum": ["open", None]},
                "at": {"type": "string", "format": "date-time", "description": "When."},
                "self": {"$ref": "#/$defs/loop"},
            },
            "$defs": {
                "line": {"type": "object", "properties": {"price": {"type": ["number", "null"]}}},
                "loop": {"type": "object", "properties": {"again": {"$ref": "#/$defs/loop"}}},
            },
        }
    )

    found = {row.path: (row.holds, row.is_required, row.description) for row in schema_tree.rows(schema)}

    assert found["lines"] == ("array of object", True, "")
    assert found["lines[].price"] == ("number or null", False, "")
    assert found["state"] == ('"open" or null', False, "")
    assert found["at"] == ("string (date-time)", False, "When.")
    assert len(found) < 20, "a schema that holds itself has an end"
