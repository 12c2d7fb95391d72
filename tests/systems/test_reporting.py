"""Reporting, rows E1 to E8: business units, triggers, content types, the secret, SSL, data mode, fields, mapping."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl

import pytest

from tests.systems.conftest import only

TRIGGERS = ["create", "update", "send", "review", "expired"]
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.fixture(scope="module", autouse=True)
def directory(server):
    """The pack, two business units and their companies."""
    server.post("/event-packs/reporting/install")
    for unit in ("provider", "retail"):
        server.put(f"/business-units/{unit}", {"name": unit.capitalize()})
    companies = {"c1": ("Nordlicht", {"region": "north", "vat_number": "DE1", "seats": 12}), "c2": ("Süd", {})}
    for company, (name, fields) in companies.items():
        server.put(f"/business-units/provider/companies/{company}", {"name": name, "fields": fields})
    server.put("/business-units/retail/companies/c3", {"name": "Elsewhere", "fields": {"region": "south"}})


@pytest.fixture
def report(subscribe):
    """Make a reporting webhook for the unit `provider` unless told otherwise."""

    def make(**settings):
        return subscribe("reporting", **{"business_units": ["provider"], "content_type": JSON, **settings})

    return make


# --- E1


def test_e1_without_a_business_unit_it_is_refused(server):
    wanted = {"name": "x", "url": "https://a.test/", "preset": "reporting", "content_type": JSON}

    refused = server.call("POST", "/webhooks", wanted)

    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "business_units", "message": "A report belongs to business units: choose at least one."}
    ]


def test_e1_the_form_makes_no_choice_beforehand_and_says_what_is_missing_where(ada, new_receiver):
    page = ada.look("/webhooks/new?preset=reporting")
    form = page.forms["webhook-form"]
    assert "which_units" not in dict(form.fields)
    assert "Provider" in page.text

    refused = ada.send(form, name="Report", url=new_receiver().url, content_type=JSON)

    assert refused.code == 422
    assert 'id="which_units-error"' in refused.html
    assert "choose at least one" in refused.part('id="which_units-error"', "</p>")
    assert dict(refused.forms["webhook-form"].fields)["name"] == "Report"


def test_e1_only_events_of_the_chosen_units_are_reported(server, report):
    webhook, receiver = report()

    outcomes = [
        server.delivery_of(server.publish("transaction.create", **about), webhook)["reason"]
        for about in ({"business_unit": "retail"}, {}, {"business_unit": "provider"})
    ]

    assert outcomes == ["business_unit_not_selected", "business_unit_not_selected", None]
    only(receiver)


# --- E2


def test_e2_any_number_of_triggers_can_be_chosen(server, report):
    _, receiver = report(events=["transaction.create", "transaction.send"])

    for trigger in TRIGGERS:
        server.publish(f"transaction.{trigger}", business_unit="provider")

    heard = {json.loads(request.body)["trigger"] for request in receiver.wait_for(2)}
    assert heard == {"create", "send"}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_e2_each_trigger_is_reported_with_status_and_transaction(server, report, trigger):
    _, receiver = report()

    server.publish(f"transaction.{trigger}", business_unit="provider", status="open")

    body = json.loads(only(receiver).body)
    assert list(body) == ["trigger", "status", "transaction"]
    assert (body["trigger"], body["status"]) == (trigger, "open")
    assert body["transaction"] == json.loads(server.example(f"transaction.{trigger}"))


# --- E3


@pytest.mark.parametrize(
    ("missing", "field"), [({"url": ""}, "url"), ({"content_type": None}, "content_type")], ids=["url", "content type"]
)
def test_e3_url_and_content_type_are_mandatory(server, missing, field):
    wanted = {"name": "x", "url": "https://a.test/", "preset": "reporting", "content_type": JSON}
    wanted = {**wanted, "business_units": ["provider"], **missing}

    refused = server.call("POST", "/webhooks", {name: value for name, value in wanted.items() if value is not None})

    assert refused.status_code == 422
    assert [problem["field"] for problem in refused.json()["errors"]] == [field]


def test_e3_the_form_leaves_the_content_type_open_and_asks_for_it(ada, new_receiver):
    page = ada.look("/webhooks/new?preset=reporting")
    assert "content_type" not in dict(page.forms["webhook-form"].fields)

    refused = ada.send(
        page.forms["webhook-form"], name="Report", url=new_receiver().url, which_units="only", units=["provider"]
    )

    assert refused.code == 422
    assert "Choose what the receiving system reads" in refused.part('id="content_type-error"', "</p>")
    assert dict(refused.forms["webhook-form"].fields)["units"] == "provider"


DATA = (
    b'{"id":"trx 1&2=3","status":"draft","total":2779.00,"open":true,"closed":false,"note":null,'
    b'"items":[{"name":"Wartung f\\u00fcr 1 Jahr","price":2400.00},{"name":"a+b","price":189.50}],"tags":[],"more":{}}'
)


def test_e3_json_arrives_decodable(server, report):
    _, receiver = report()

    server.publish("transaction.create", DATA, business_unit="provider", status="draft")

    request = only(receiver)
    assert request.headers["Content-Type"] == JSON
    assert request.body == b'{"trigger":"create","status":"draft","transaction":' + DATA + b"}"


def test_e3_a_form_arrives_decodable_nested_data_included(server, report):
    _, receiver = report(content_type=FORM)

    server.publish("transaction.create", DATA, business_unit="provider", status="draft")

    request = only(receiver)
    assert request.headers["Content-Type"] == FORM
    assert parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True) == [
        ("trigger", "create"),
        ("status", "draft"),
        ("transaction[id]", "trx 1&2=3"),
        ("transaction[status]", "draft"),
        ("transaction[total]", "2779.00"),
        ("transaction[open]", "true"),
        ("transaction[closed]", "false"),
        ("transaction[note]", ""),
        ("transaction[items][0][name]", "Wartung für 1 Jahr"),
        ("transaction[items][0][price]", "2400.00"),
        ("transaction[items][1][name]", "a+b"),
        ("transaction[items][1][price]", "189.50"),
    ]


# --- E4


@pytest.mark.parametrize(("secret", "header"), [(None, None), ("your_secret_key", ":your_secret_key")])
def test_e4_the_secret_authorizes_the_call_by_basic_authentication_and_is_optional(server, report, secret, header):
    auth = {"type": "none"} if secret is None else {"type": "basic", "username": "", "password": secret}
    webhook, receiver = report(auth=auth)

    server.publish("transaction.create", business_unit="provider")

    expected = None if header is None else "Basic " + base64.b64encode(header.encode()).decode()
    assert only(receiver).headers.get("Authorization") == expected
    assert "your_secret_key" not in server.call("GET", f"/webhooks/{webhook['id']}").text
    assert "whsec_" not in json.dumps(webhook), "nothing is signed"


def test_e4_the_form_calls_it_a_secret(ada):
    assert "Secret, optional" in ada.look("/webhooks/new?preset=reporting").text


# --- E5


def test_e5_ssl_verification_is_on_by_default_so_a_strange_certificate_is_refused(
    server, report, new_receiver, untrusted_tls
):
    receiver = new_receiver(untrusted_tls)
    webhook, _ = report(to=receiver, on=False)
    assert webhook["verify_ssl"] is True

    tested = server.post(f"/webhooks/{webhook['id']}/test")

    ended = server.finished(tested["id"])
    assert (ended["state"], ended["last_error"]) == ("failed", "tls")
    assert receiver.requests == []


def test_e5_off_accepts_any_certificate_for_this_webhook_alone(server, report, new_receiver, untrusted_tls):
    receiver = new_receiver(untrusted_tls)
    report(to=receiver, verify_ssl=False)
    strict, _ = report(to=receiver, on=False)

    server.publish("transaction.create", business_unit="provider")
    only(receiver)

    tested = server.post(f"/webhooks/{strict['id']}/test")
    assert server.finished(tested["id"])["last_error"] == "tls"
    assert len(receiver.requests) == 1


def test_e5_off_is_said_wherever_the_webhook_is_shown(server, ada, report):
    webhook, receiver = report(verify_ssl=False)
    delivery = server.delivery_of(server.publish("transaction.create", business_unit="provider"), webhook)["id"]
    only(receiver)
    server.finished(delivery)

    assert "SSL off" in ada.look("/webhooks").row(webhook["id"])
    assert "SSL off" in ada.look(f"/webhooks/{webhook['id']}").text
    assert "SSL off" in ada.look(f"/log?webhook={webhook['id']}").row(delivery)
    assert "SSL off" in ada.look(f"/deliveries/{delivery}").text


def test_e5_the_form_wants_a_confirmation_before_it_is_turned_off(ada, new_receiver):
    form = ada.look("/webhooks/new?preset=reporting").forms["webhook-form"]

    asked = ada.send(
        form,
        name="Report",
        url=new_receiver().url,
        which_units="only",
        units=["provider"],
        content_type=JSON,
        verify_ssl="off",
    )

    assert asked.code == 422
    assert "Disable, I accept the risk" in asked.text


# --- E6


def test_e6_everything_is_sent_by_default(report):
    webhook, _ = report(on=False)

    assert webhook["data_mode"] == "everything"


def test_e6_only_the_status_leaves_the_rest_of_the_data_at_home(server, report):
    _, receiver = report(data_mode="status_only")

    server.publish(
        "transaction.update",
        business_unit="provider",
        status="signed",
        resource={"type": "transaction", "id": "trx_30518"},
        occurred_at="2026-11-21T09:00:00Z",
    )

    assert json.loads(only(receiver).body) == {
        "trigger": "update",
        "status": "signed",
        "transaction": {
            "resource": {"type": "transaction", "id": "trx_30518"},
            "status": "signed",
            "occurred_at": "2026-11-21T09:00:00.000Z",
        },
    }


# --- E7


@pytest.mark.parametrize("data_mode", ["everything", "status_only"])
def test_e7_the_named_fields_are_reported_for_each_company_of_the_events_unit(server, report, data_mode):
    _, receiver = report(extra_fields=["region", "seats"], data_mode=data_mode)

    server.publish("transaction.create", business_unit="provider")

    body = json.loads(only(receiver).body)
    assert list(body) == ["trigger", "status", "transaction", "companies"]
    assert body["companies"] == [
        {"id": "c1", "name": "Nordlicht", "fields": {"region": "north", "seats": 12}},
        {"id": "c2", "name": "Süd", "fields": {"region": None, "seats": None}},
    ]
    assert "companies" not in body["transaction"]


def test_e7_in_a_form_they_arrive_too(server, report):
    _, receiver = report(extra_fields=["region"], content_type=FORM, data_mode="status_only")

    server.publish("transaction.create", business_unit="provider")

    pairs = dict(parse_qsl(only(receiver).body.decode(), keep_blank_values=True))
    assert pairs["companies[0][fields][region]"] == "north"
    assert pairs["companies[1][name]"] == "Süd"


def test_e7_a_field_that_no_company_has_is_said_to_be_sent_as_null(ada):
    ada.look("/webhooks/new?preset=reporting")
    token = dict(ada.page.forms["webhook-form"].fields)["csrf_token"]

    page = ada.post("/webhooks/form", csrf_token=token, preset="reporting", extra_fields="shoe_size", do="field.add")

    assert "No company has shoe_size yet; it's sent as null." in page.text


# --- E8


def test_e8_fields_are_sent_under_the_names_that_were_given(server, report):
    mapping = [
        {"field": "customer.name", "property": "client"},
        {"field": "total", "property": "amount.gross"},
        {"field": "customer.email", "property": None},
        {"field": "no.such.field", "property": "missing"},
    ]
    _, receiver = report(field_mapping=mapping)

    server.publish("transaction.create", business_unit="provider")

    example = json.loads(server.example("transaction.create"))
    transaction = json.loads(only(receiver).body)["transaction"]
    assert transaction["client"] == "Nordlicht GmbH"
    assert transaction["amount"] == {"gross": 2779.0}
    assert transaction["missing"] is None
    assert transaction["customer"] == {"country": "DE"}
    assert "total" not in transaction
    assert transaction["items"] == example["items"]


def test_e8_with_only_mapped_fields_nothing_else_is_sent(server, report):
    _, receiver = report(field_mapping=[{"field": "reference", "property": "number"}], only_mapped_fields=True)

    server.publish("transaction.create", business_unit="provider", status="draft")

    assert only(receiver).body == b'{"trigger":"create","status":"draft","transaction":{"number":"2026-1142"}}'


def test_e8_two_fields_for_one_property_are_refused_at_the_row_and_what_was_typed_stays(ada, new_receiver):
    form = ada.look("/webhooks/new?preset=reporting").forms["webhook-form"]

    refused = ada.send(
        form,
        name="Report",
        url=new_receiver().url,
        which_units="only",
        units=["provider"],
        content_type=JSON,
        mapping_field=["reference", "id"],
        mapping_property=["number", "number"],
    )

    assert refused.code == 422
    assert "Two rows send number . Keep one." in refused.part('id="field_mapping[1].error"', "</p>")
    kept = refused.forms["webhook-form"].fields
    assert [value for name, value in kept if name == "mapping_field"] == ["reference", "id"]


def test_e8_the_preview_shows_exactly_what_is_sent(server, report):
    webhook, receiver = report(field_mapping=[{"field": "reference", "property": "number"}], extra_fields=["region"])

    published = server.publish("transaction.create", business_unit="provider", status="draft")
    shown = server.post("/webhooks/preview", {"webhook": webhook["id"], "event": published["id"]})

    assert shown["body"].encode() == only(receiver).body


def test_e8_the_preview_of_an_example_is_of_a_unit_that_was_chosen_companies_included(ada, report):
    webhook, _ = report(events=["transaction.create"], extra_fields=["region"])

    page = ada.look(f"/webhooks/{webhook['id']}/edit")

    preview = page.part('id="preview-body"', "</aside>")
    assert '"trigger":"create","status":"draft"' in preview.replace(" ", "")
    assert "Nordlicht" in preview
    assert "Not sent" not in preview
