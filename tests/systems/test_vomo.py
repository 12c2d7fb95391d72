"""VOMO, rows C1 to C5: subscriptions, 3 seconds and 3 tries, the signature, the body's three keys, public events."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime

import pytest

from tests.systems.conftest import only

TYPES = [
    "project.created",
    "project.updated",
    "project.deleted",
    "user.created",
    "user.updated",
    "organization.updated",
]


@pytest.fixture(scope="module", autouse=True)
def catalogue(server):
    """The pack, installed on the command line while the server runs."""
    assert "The event pack vomo is installed" in server.command("install-pack", "vomo")


def hash_hmac(body: bytes, secret: str) -> str:
    """What PHP's hash_hmac('sha256', $body, $secret) gives."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# --- C1


@pytest.mark.parametrize("event_type", TYPES)
def test_c1_every_configured_event_is_posted_to_the_target_url(server, subscribe, event_type):
    _, receiver = subscribe("vomo", events=[event_type])

    server.publish(event_type)

    request = only(receiver)
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body)["type"] == event_type


def test_c1_events_that_were_not_chosen_are_not_sent(server, subscribe):
    webhook, receiver = subscribe("vomo", events=["user.created"])

    others = [server.publish(name) for name in TYPES if name != "user.created"]
    server.publish("user.created")

    assert json.loads(only(receiver).body)["type"] == "user.created"
    assert webhook["id"] not in {made["webhook"] for other in others for made in other["deliveries"]}


def test_c1_it_goes_on_until_an_administrator_turns_it_off(server, ada, subscribe):
    webhook, receiver = subscribe("vomo")
    for count in (1, 2, 3):
        server.publish("user.updated")
        receiver.wait_for(count)
    server.until(lambda: server.get(f"/webhooks/{webhook['id']}")["waiting"], lambda waiting: waiting == 0)

    ada.look("/webhooks")
    ada.send(ada.page.forms[f"/webhooks/{webhook['id']}/off"])
    made = server.delivery_of(server.publish("user.updated"), webhook)

    assert (made["state"], made["reason"]) == ("skipped", "webhook_off")
    assert len(receiver.requests) == 3


def test_c1_nothing_limits_the_rate_unless_a_limit_is_set(server, subscribe):
    webhook, receiver = subscribe("vomo", events=["user.updated"])
    assert webhook["rate_limit"] is None
    event = {"type": "user.updated", "data": {"id": 1}}

    server.post("/events/batch", {"events": [event] * 300})

    began = receiver.wait_for(1)[0].at
    assert receiver.wait_for(300)[-1].at - began < 10


def test_c1_a_limit_that_was_set_is_kept(server, subscribe):
    _, receiver = subscribe("vomo", events=["user.updated"], rate_limit=5)
    event = {"type": "user.updated", "data": {"id": 1}}

    server.post("/events/batch", {"events": [event] * 12})

    moments = [request.at for request in receiver.wait_for(12)]
    assert moments[-1] - moments[0] > 1.0, "12 requests at 5 a second came within a second"


# --- C2


def test_c2_no_answer_within_3_seconds_is_a_failure_and_the_next_try_comes_10_seconds_later(server, subscribe):
    webhook, receiver = subscribe("vomo")
    receiver.hold()

    delivery = server.delivery_of(server.publish("user.created"), webhook)["id"]

    (attempt,) = server.attempted(delivery)
    assert attempt["error"]["class"] == "timeout"
    assert 3000 <= attempt["duration_ms"] < 4000
    waiting = server.get(f"/deliveries/{delivery}")
    assert (waiting["state"], waiting["attempt_count"], waiting["attempts_allowed"]) == ("pending", 1, 3)
    wait_ms = _ms(waiting["next_attempt_at"]) - _ms(attempt["started_at"]) - attempt["duration_ms"]
    assert 10_000 <= wait_ms < 10_500


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def test_c2_three_tries_in_all_10_and_100_seconds_after_the_failures(
    make_webhook, receiver, publish, deliver, clock, states
):
    make_webhook(url=receiver.url, preset="vomo")
    receiver.answers(500)
    publish("project.created")

    assert deliver() == 1
    for seconds in (10, 100):
        clock.advance(ms=seconds * 1000 - 1)
        assert deliver() == 0
        clock.advance(ms=1)
        assert deliver() == 1
    clock.advance(seconds=24 * 3600)

    assert deliver() == 0
    assert states() == [("failed", [500, 500, 500])]


# --- C3


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_c3_vomo_signature_is_the_hex_hmac_of_the_bytes_with_the_generated_secret(server, subscribe, content_type):
    webhook, receiver = subscribe("vomo", content_type=content_type)

    server.publish("project.created", '{"id": 1.50, "name": "Été à Zürich 🌊", "n": 12345678901234567890}'.encode())

    request = only(receiver)
    assert webhook["secret"].startswith("whsec_")
    assert request.headers["vomo-signature"] == hash_hmac(request.body, webhook["secret"])


def test_c3_each_webhook_has_a_secret_of_its_own_and_it_is_shown_once(server, subscribe):
    first, _ = subscribe("vomo")
    second, _ = subscribe("vomo")

    assert first["secret"] != second["secret"]
    assert "secret" not in server.get(f"/webhooks/{first['id']}")


# --- C4


def test_c4_the_body_has_exactly_type_organization_id_and_data(server, subscribe):
    _, receiver = subscribe("vomo")
    data = b'{"z":1.50,"a":[null,true,{"deep":"\\u00e9"}],"id":3107}'

    server.publish("project.updated", data)

    head = f'{{"type":"project.updated","organization_id":"{server.organization}","data":'
    assert only(receiver).body == head.encode() + data + b"}"


# --- C5


@pytest.mark.parametrize("action", ["created", "updated", "deleted"])
def test_c5_a_public_event_goes_out_as_object_public_action_to_who_subscribed_to_that(server, subscribe, action):
    _, of_public = subscribe("vomo", events=[f"project.public.{action}"])
    _, of_plain = subscribe("vomo", events=[f"project.{action}"])

    published = server.publish(f"project.{action}", public=True)
    server.publish(f"project.{action}", public=False)

    assert published["type"] == f"project.public.{action}"
    assert json.loads(only(of_public).body)["type"] == f"project.public.{action}"
    assert json.loads(only(of_plain).body)["type"] == f"project.{action}"


def test_c5_a_pattern_takes_both(server, subscribe):
    _, receiver = subscribe("vomo", events=["project.*"])

    server.publish("project.created", public=True)
    server.publish("project.created")

    heard = {json.loads(request.body)["type"] for request in receiver.wait_for(2)}
    assert heard == {"project.public.created", "project.created"}


def test_c5_the_form_offers_the_public_variants(ada):
    page = ada.look("/webhooks/new?preset=vomo")

    for name in ("project.created", "project.public.created", "project.public.updated", "project.public.deleted"):
        assert f'name="events" value="{name}"' in page.html


def test_c5_a_public_variant_can_be_previewed_and_tested_with_its_example(server, subscribe):
    webhook, receiver = subscribe("vomo", events=["project.public.updated"])
    chosen = {"event_type": "project.public.updated"}

    shown = server.post("/webhooks/preview", {"webhook": webhook["id"], **chosen})
    server.post(f"/webhooks/{webhook['id']}/test", chosen)

    assert only(receiver).body == shown["body"].encode()
    assert json.loads(shown["body"])["type"] == "project.public.updated"
