"""Integrations, rows D1 to D4: the envelope, eight payloads with exactly their keys, the difference, the test."""

from __future__ import annotations

import json

import pytest
import standardwebhooks

from tests.systems.conftest import only

KEYS = {
    "webhook_test": ["test"],
    "integration_new_data_model": ["id", "resource_id", "type"],
    "integration_updated_data_model": ["id", "resource_id", "type", "diff", "data"],
    "integration_deleted_data_model": ["id", "resource_id", "type"],
    "integration_installed": ["id", "connector_type", "metadata", "state"],
    "integration_import_done": ["id", "connector_type"],
    "integration_cannot_refresh_oauth_token": ["id", "error"],
    "integration_oauth_token_fixed": ["id"],
}
CONTEXT = {"customer_id": "c-9", "state": "abc"}
UPDATED = "integration_updated_data_model"


@pytest.fixture(scope="module", autouse=True)
def catalogue(server):
    """The pack, installed by the API."""
    server.post("/event-packs/integrations/install")


# --- D1


def test_d1_the_envelope_has_exactly_its_five_keys_two_of_them_from_the_context(server, subscribe):
    _, receiver = subscribe("integrations")

    server.publish("integration_import_done", context=CONTEXT)

    assert json.loads(only(receiver).body) == {
        "workspace_id": server.organization,
        "customer_id": "c-9",
        "event": "integration_import_done",
        "state": "abc",
        "payload": {"id": "int_812", "connector_type": "accounting"},
    }
    assert list(json.loads(only(receiver).body)) == ["workspace_id", "customer_id", "event", "state", "payload"]


@pytest.mark.parametrize("context", [None, {}, {"customer_id": None}])
def test_d1_what_the_context_does_not_tell_is_null_and_never_left_out(server, subscribe, context):
    _, receiver = subscribe("integrations")

    server.publish("integration_import_done", **({} if context is None else {"context": context}))

    body = json.loads(only(receiver).body)
    assert (body["customer_id"], body["state"]) == (None, None)
    assert len(body) == 5


# --- D2


@pytest.mark.parametrize("event_type", KEYS)
def test_d2_each_event_has_exactly_its_keys(server, subscribe, event_type):
    _, receiver = subscribe("integrations", events=[event_type])

    server.publish(event_type, context=CONTEXT)

    body = json.loads(only(receiver).body)
    assert body["event"] == event_type
    assert list(body["payload"]) == KEYS[event_type]


def test_d2_the_pack_has_these_eight_events(server):
    (pack,) = [pack for pack in server.get("/event-packs")["items"] if pack["name"] == "integrations"]

    assert [each["name"] for each in pack["types"]] == list(KEYS)


# --- D3


def model(**fields):
    """A customer's data as the producer publishes them: without a difference."""
    return {"id": "int_812", "resource_id": "cus_1", "type": "customer", "data": fields}


def difference(request):
    """What a request says has changed."""
    payload = json.loads(request.body)["payload"]
    assert list(payload) == KEYS[UPDATED]
    return payload["diff"]


def test_d3_the_difference_is_taken_from_previous_when_the_producer_sends_it(server, subscribe):
    _, receiver = subscribe("integrations")

    server.publish(
        UPDATED,
        model(name="Dumas", address={"street": "4 quai Lunel", "city": "Nice"}, tags=["vip", "new"], vat=None),
        previous={"name": "Dumas", "address": {"street": "4 quai Lunel", "city": "Lyon"}, "tags": ["vip"], "fax": "1"},
    )

    assert difference(only(receiver)) == {
        "address.city": {"old": "Lyon", "new": "Nice"},
        "tags.1": {"old": None, "new": "new"},
        "fax": {"old": "1", "new": None},
    }


def test_d3_else_from_the_last_version_of_that_resource_that_was_seen(server, subscribe):
    _, receiver = subscribe("integrations", ordered=True)
    resource = {"type": "customer", "id": "cus_77"}

    server.publish(UPDATED, model(city="Lyon", total=1000), resource=resource)
    server.publish(UPDATED, model(city="Nice", total=1000), resource=resource)
    server.publish(UPDATED, model(city="Nice", total=5), resource=resource)

    assert [difference(request) for request in receiver.wait_for(3)] == [
        {},  # of a resource that is seen for the first time nothing can be said
        {"city": {"old": "Lyon", "new": "Nice"}},
        {"total": {"old": 1000, "new": 5}},
    ]


def test_d3_a_producer_that_names_no_resource_is_understood_by_the_ids_in_its_data(server, subscribe):
    _, receiver = subscribe("integrations", ordered=True)

    for resource, city in (("cus_a", "Lyon"), ("cus_b", "Oslo"), ("cus_a", "Nice")):
        server.publish(UPDATED, {**model(city=city), "resource_id": resource})

    found = [difference(request) for request in receiver.wait_for(3)]
    assert found == [{}, {}, {"city": {"old": "Lyon", "new": "Nice"}}]


def test_d3_resources_are_told_apart_by_type_and_id(server, subscribe):
    _, receiver = subscribe("integrations", ordered=True)
    first, second = {"type": "customer", "id": "x1"}, {"type": "supplier", "id": "x1"}

    server.publish(UPDATED, model(city="Lyon"), resource=first)
    server.publish(UPDATED, model(city="Nice"), resource=second)
    server.publish(UPDATED, model(city="Brest"), resource=first)

    found = [difference(request) for request in receiver.wait_for(3)]
    assert found == [{}, {}, {"city": {"old": "Lyon", "new": "Brest"}}]


def test_d3_numbers_in_the_difference_are_written_as_they_were_published(server, subscribe):
    _, receiver = subscribe("integrations")
    data = b'{"id":"i","resource_id":"r","type":"t","data":{"credit_limit":1500.50,"n":12345678901234567890}}'

    server.publish(UPDATED, data, previous={"credit_limit": 1000, "n": 1})

    assert (
        b'"diff":{"credit_limit":{"old":1000,"new":1500.50},"n":{"old":1,"new":12345678901234567890}}'
        in only(receiver).body
    )


# --- D4


def test_d4_send_test_payload_sends_webhook_test_signed_as_standard_webhooks_says(server, ada, subscribe):
    webhook, receiver = subscribe("integrations", on=False)
    place = f"/webhooks/{webhook['id']}/test"

    ada.look(f"/webhooks/{webhook['id']}")
    ada.send(ada.page.forms[place])

    request = only(receiver)
    assert json.loads(request.body) == {
        "workspace_id": server.organization,
        "customer_id": None,
        "event": "webhook_test",
        "state": None,
        "payload": {"test": True},
    }
    assert standardwebhooks.Webhook(webhook["secret"]).verify(request.body, dict(request.headers.pairs))


def test_d4_so_does_turning_it_on(server, subscribe):
    webhook, receiver = subscribe("integrations", on=False)

    server.post(f"/webhooks/{webhook['id']}/enable")

    assert json.loads(only(receiver).body)["event"] == "webhook_test"
