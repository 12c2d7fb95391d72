"""Contracts, rows A1 to A4: three events with payloads of their own, access rights, and three tries."""

from __future__ import annotations

import json

import pytest

from app.models import Notification
from app.services import system, webhooks
from tests.conftest import PASSWORD
from tests.support.pages import Person, words
from tests.support.rows import all_of
from tests.systems.conftest import only

MINUTE_S = 60


@pytest.fixture(scope="module", autouse=True)
def catalogue(server):
    """The pack, installed by the API."""
    server.post("/event-packs/contracts/install")


# --- A1


@pytest.mark.parametrize(
    ("event_type", "specific"),
    [
        ("contractCreated", {"created_at", "created_by"}),
        ("contractSigned", {"signed_at", "signatories"}),
        ("contractReminder", {"reminder", "renewal_date"}),
    ],
)
def test_a1_each_event_tells_of_the_contract_and_what_is_specific_to_it(server, subscribe, event_type, specific):
    _, receiver = subscribe("contracts")

    server.publish(event_type)

    body = json.loads(only(receiver).body)
    assert list(body) == ["event", "data"]
    assert body["event"] == event_type
    assert body["data"]["contract"]["name"] == "Office cleaning 2027"
    assert body["data"]["co_contractor"]["name"] == "Brightwell Services Ltd"
    assert body["data"]["template"]["name"] == "Service agreement, 12 months"
    assert body["data"].keys() == {"contract", "co_contractor", "template", *specific}


def test_a1_a_signed_contract_names_its_signatories_and_when_they_signed(server, subscribe):
    _, receiver = subscribe("contracts", events=["contractSigned"])

    server.publish("contractSigned")

    data = json.loads(only(receiver).body)["data"]
    assert data["signed_at"] == "2026-11-21T09:30:45.000Z"
    assert [(each["name"], each["signed_at"]) for each in data["signatories"]] == [
        ("Maria Silva", "2026-11-20T16:11:00.000Z"),
        ("Owen Brightwell", "2026-11-21T09:30:45.000Z"),
    ]


@pytest.mark.parametrize("linked_to", ["end", "renewal"])
def test_a1_a_reminder_has_a_name_and_a_date_and_hangs_on_the_end_or_the_renewal(server, subscribe, linked_to):
    _, receiver = subscribe("contracts")
    example = json.loads(server.example("contractReminder"))
    example["reminder"]["linked_to"] = linked_to

    server.publish("contractReminder", example)

    assert json.loads(only(receiver).body)["data"]["reminder"] == {
        "name": "Decide about renewal",
        "date": "2027-10-01",
        "linked_to": linked_to,
    }


def test_a1_where_the_schema_is_enforced_a_signing_without_signatories_is_refused(server):
    server.patch("/event-types/contractSigned", {"schema_mode": "reject"})
    example = json.loads(server.example("contractSigned"))
    del example["signatories"]

    refused = server.call("POST", "/events", {"type": "contractSigned", "data": example})

    server.patch("/event-types/contractSigned", {"schema_mode": "warn"})
    assert refused.status_code == 422
    assert "signatories" in refused.text


# --- A2


def test_a2_a_webhook_can_be_tested_once_it_is_made_and_its_success_is_seen(server, ada, subscribe):
    webhook, receiver = subscribe("contracts", on=False)

    asked = server.call("POST", f"/webhooks/{webhook['id']}/test")

    assert asked.status_code == 202
    assert server.finished(asked.json()["id"])["last_status"] == 200
    assert json.loads(only(receiver).body) == {"event": "webhook.test", "data": {"test": True}}

    ada.look(f"/webhooks/{webhook['id']}/test")
    sent = ada.send(ada.page.forms[f"/webhooks/{webhook['id']}/test"], what="preset", at="page")
    receiver.wait_for(2)
    told = server.until(lambda: ada.look(sent.url), lambda page: "Sending the test payload" not in page.text)
    assert "Test payload: 200 OK in" in told.text


# --- A3


@pytest.fixture(scope="module", autouse=True)
def max_of_north(server, ada):
    """Max, a developer of the business unit North, signed in."""
    server.put("/business-units/north", {"name": "North"})
    server.put("/business-units/south", {"name": "South"})
    return server.add_member(ada, "max", "Developer", ("North",))


@pytest.fixture
def hooks(subscribe):
    """A webhook of the admin and one of Max, who belongs to North."""
    return {
        "admin": subscribe("contracts", owner="ada@acme.test"),
        "member": subscribe("contracts", owner="max@acme.test"),
    }


def _outcome(server, published, webhook):
    made = server.delivery_of(published, webhook)
    return made["state"], made["reason"]


@pytest.mark.parametrize(
    ("about", "member_hears"),
    [
        ({}, True),
        ({"business_unit": "north"}, True),
        ({"business_unit": "south"}, False),
        ({"business_unit": "south", "visible_to": ["max@acme.test"]}, True),
        ({"business_unit": "north", "visible_to": ["eve@acme.test"]}, False),
        ({"visible_to": []}, False),
    ],
)
def test_a3_an_admin_hears_of_everything_a_member_of_their_units_and_what_is_addressed_to_them(
    server, hooks, about, member_hears
):
    (admins, admins_receiver), (members, members_receiver) = hooks["admin"], hooks["member"]

    published = server.publish("contractCreated", **about)

    assert _outcome(server, published, admins) == ("pending", None)
    only(admins_receiver)
    expected = ("pending", None) if member_hears else ("skipped", "owner_cannot_see")
    assert _outcome(server, published, members) == expected
    if member_hears:
        only(members_receiver)
    else:
        told = server.get(f"/events/{published['id']}/explain")["items"]
        mine = next(item for item in told if item["webhook"] == members["id"])
        assert (mine["outcome"], mine["reason"]) == ("skipped", "owner_cannot_see")
        assert members_receiver.requests == []


def test_a3_access_is_checked_for_each_event_so_creation_and_signing_may_differ(server, hooks):
    webhook, receiver = hooks["member"]
    contract = {"resource": {"type": "contract", "id": "ctr_20418"}}

    created = server.publish("contractCreated", business_unit="south", **contract)
    signed = server.publish("contractSigned", business_unit="north", **contract)

    assert _outcome(server, created, webhook) == ("skipped", "owner_cannot_see")
    assert _outcome(server, signed, webhook) == ("pending", None)
    assert json.loads(only(receiver).body)["event"] == "contractSigned"


def test_a3_who_leaves_a_business_unit_stops_hearing_of_it_from_the_next_event(server, ada, subscribe):
    server.put("/business-units/east", {"name": "East"})
    server.add_member(ada, "mia", "Developer", ("East",))
    webhook, _ = subscribe("contracts", owner="mia@acme.test")
    before = server.publish("contractCreated", business_unit="east")

    ada.look("/members")
    page = ada.look(_member_page(ada, "mia@acme.test"))
    form = next(form for form in page.forms.values() if dict(form.fields).get("role"))
    asked = ada.send(form, units=None)
    assert "East" in asked.text, "it wasn't said what her webhooks would no longer hear of"
    sure = next(form for form in asked.forms.values() if dict(form.fields).get("role"))
    ada.send(sure, sure="1")

    after = server.publish("contractCreated", business_unit="east")
    assert _outcome(server, before, webhook) == ("pending", None)
    assert _outcome(server, after, webhook) == ("skipped", "owner_cannot_see")


def test_a3_what_the_owner_could_not_see_stands_in_the_log_with_that_reason(server, ada, hooks):
    webhook, _ = hooks["member"]
    made = server.delivery_of(server.publish("contractCreated", business_unit="south"), webhook)

    page = ada.look(f"/log?state=skipped&webhook={webhook['id']}&open={made['id']}")

    assert "Not sent: its owner may not see this event." in page.text


@pytest.mark.parametrize("heir", [None, "ada"])
def test_a3_when_the_owner_goes_their_webhooks_are_turned_off_or_given_to_somebody(server, ada, subscribe, heir):
    name = f"leo{heir or ''}".lower()
    server.add_member(ada, name, "Developer")
    webhook, receiver = subscribe("contracts", owner=f"{name}@acme.test")

    ada.look("/members")
    member = _member_page(ada, f"{name}@acme.test")
    page = ada.look(f"{member}/remove")
    ada.send(page.forms[f"{member}/remove"], heir=page.options("heir").get(heir, ""))

    found = server.get(f"/webhooks/{webhook['id']}")
    published = server.publish("contractCreated")
    if heir:
        assert (found["enabled"], found["owner"]) == (True, "ada@acme.test")
        only(receiver)
        return
    assert (found["enabled"], found["off_reason"], found["owner"]) == (False, "owner_left", None)
    assert _outcome(server, published, webhook) == ("skipped", "owner_cannot_see")
    shown = ada.look(f"/webhooks/{webhook['id']}")
    assert "its owner left" in shown.text
    assert "Owner Nobody" in shown.text

    choose = ada.send(shown.forms[f"/webhooks/{webhook['id']}/on"])
    assert "Choose an owner first." in choose.text
    ada.send(choose.forms["webhook-form"], owner="ada@acme.test")
    server.post(f"/webhooks/{webhook['id']}/enable")
    assert _outcome(server, server.publish("contractCreated"), webhook) == ("pending", None)


def test_a3_changing_the_owner_changes_what_is_heard_from_the_next_event(server, hooks):
    webhook, receiver = hooks["member"]
    before = server.publish("contractCreated", business_unit="south")

    server.patch(f"/webhooks/{webhook['id']}", {"owner": "ada@acme.test"})
    after = server.publish("contractCreated", business_unit="south")

    assert _outcome(server, before, webhook) == ("skipped", "owner_cannot_see")
    assert _outcome(server, after, webhook) == ("pending", None)
    assert only(receiver).headers["webhook-id"] == after["id"]


def _member_page(visitor, email):
    row = next(row for row in visitor.page.html.split("<tr") if email in row)
    return row.split('href="', 1)[1].split('"', 1)[0]


# --- A4


@pytest.mark.parametrize("status", [300, 302, 400, 404, 500, 503])
def test_a4_any_answer_that_is_not_2xx_is_a_failed_try(server, subscribe, status):
    webhook, receiver = subscribe("contracts")
    receiver.answers(status)

    made = server.delivery_of(server.publish("contractCreated"), webhook)

    (attempt,) = server.attempted(made["id"])
    assert (attempt["outcome"], attempt["status"]) == ("failed", status)


def test_a4_no_answer_within_3_seconds_is_a_failed_try(server, subscribe):
    webhook, receiver = subscribe("contracts")
    receiver.hold()

    made = server.delivery_of(server.publish("contractCreated"), webhook)

    (attempt,) = server.attempted(made["id"])
    assert (attempt["outcome"], attempt["status"], attempt["error"]["class"]) == ("failed", None, "timeout")
    assert 3000 <= attempt["duration_ms"] < 4000


def test_a4_three_tries_5_minutes_apart_then_the_webhook_is_off_and_its_owner_is_told(
    make_webhook, receiver, publish, deliver, clock, states, owner, client
):
    webhook = make_webhook(url=receiver.url, preset="contracts")
    receiver.answers(500)
    publish("contractCreated")

    assert deliver() == 1
    for _ in range(2):
        clock.advance(seconds=5 * MINUTE_S - 0.001)
        assert deliver() == 0
        clock.advance(ms=1)
        assert deliver() == 1
    clock.advance(seconds=24 * 60 * MINUTE_S)
    assert deliver() == 0

    assert states() == [("failed", [500, 500, 500])]
    off = webhooks.find(owner, webhook.id)
    assert (off.enabled, off.off_reason.value) == (False, "exhausted")
    (notice,) = all_of(Notification)
    assert notice.subject == "Hooks was turned off"
    system.tick()  # delivery is alive, or that it isn't would be told first
    ada = Person(client)
    ada.sign_in("ada@acme.test", PASSWORD)
    for place in ("/webhooks", f"/webhooks/{webhook.id}"):
        assert "every attempt of a delivery failed" in words(ada.look(place))
    assert "Hooks was turned off" in words(ada.look("/log")), "the owner wasn't told on another page"
    assert publish("contractSigned").deliveries[0].reason.value == "webhook_off"


def test_a4_only_the_last_failure_turns_it_off(make_webhook, receiver, publish, deliver, clock, states, owner):
    webhook = make_webhook(url=receiver.url, preset="contracts")
    receiver.answers(500, 500, 200)
    publish("contractCreated")

    for _ in range(3):
        deliver()
        clock.advance(seconds=5 * MINUTE_S)

    assert states() == [("delivered", [500, 500, 200])]
    assert webhooks.find(owner, webhook.id).enabled
    assert all_of(Notification) == []


def test_a4_timeout_tries_and_wait_can_be_changed(make_webhook, receiver, publish, deliver, clock, states, owner):
    retry = {"timeout": 10, "delays": [60], "on_exhausted": "keep"}
    webhook = make_webhook(url=receiver.url, preset="contracts", retry=retry)
    assert webhook.settings["retry"] == {"timeout": 10, "delays": [60], "jitter": 0, "on_exhausted": "keep"}
    receiver.answers(500)
    publish("contractCreated")

    deliver()
    clock.advance(seconds=60)
    deliver()
    clock.advance(seconds=5 * MINUTE_S)

    assert deliver() == 0
    assert states() == [("failed", [500, 500])]
    assert webhooks.find(owner, webhook.id).enabled
