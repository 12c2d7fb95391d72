"""All five systems in one organization at the same time: each request as it went over the wire, byte for byte.

Nothing of the application says what to expect: signatures are computed here, or by libraries that receivers use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from urllib.parse import quote_plus

import pytest
import standardwebhooks
import stripe

from app.version import __version__

PACKS = ("contracts", "jobs", "vomo", "integrations", "reporting")
FORM = "application/x-www-form-urlencoded"
DATA = (
    '{"id":42,"name":"Café \\u00e0 la \\"carte\\" 🌊","price":1.50,"count":12345678901234567890,"ratio":1e400,'
    '"z":null,"a":[true,false,[],{}],"items":[{"name":"x+y=z & more"}]}'
)
MODEL = '{"id":"int_1","resource_id":"cus_1","type":"customer","data":{"city":"Nice","limit":1500.50}}'
SENT = (
    '{"id":"int_1","resource_id":"cus_1","type":"customer",'
    '"diff":{"city":{"old":"Lyon","new":"Nice"},"limit":{"old":1000.00,"new":1500.50}},'
    '"data":{"city":"Nice","limit":1500.50}}'
)


@pytest.fixture(scope="module", autouse=True)
def catalogue(server):
    """All packs, a business unit, a company."""
    for pack in PACKS:
        server.post(f"/event-packs/{pack}/install")
    server.put("/business-units/nord", {"name": "Nord"})
    server.put("/business-units/nord/companies/c-1", {"name": "Nördlich", "fields": {"region": "n", "seats": 12}})


@pytest.fixture
def all_five(subscribe):
    """A webhook of each system, on, and its receiver."""
    basic = {"type": "basic", "username": "post", "password": "room"}
    return {
        "contracts": subscribe("contracts", events=["contractCreated"]),
        "jobs": subscribe("jobs", events=["job.*"], auth=basic),
        "vomo": subscribe("vomo", events=["project.public.updated"]),
        "integrations": subscribe("integrations", events=["integration_updated_data_model"]),
        "reporting": subscribe(
            "reporting",
            events=["transaction.create"],
            business_units=["nord"],
            content_type=FORM,
            extra_fields=["region", "seats"],
            auth={**basic, "username": ""},
        ),
    }


def publish_one_of_each(server):
    """Publish five events and return what was answered, by system."""
    data = DATA.encode()
    return {
        "contracts": server.publish("contractCreated", data),
        "jobs": server.publish("job.created", data),
        "vomo": server.publish("project.updated", data, public=True),
        "integrations": server.post(
            "/events",
            b'{"type":"integration_updated_data_model","context":{"customer_id":"c-9","state":"abc"},'
            b'"previous":{"city":"Lyon","limit":1000.00},"data":%b}' % MODEL.encode(),
        ),
        "reporting": server.publish("transaction.create", data, business_unit="nord", status="sent out"),
    }


def expected_bodies(server, published):
    """What each receiver must get, written out by hand."""
    event, organization = published["jobs"], server.organization
    return {
        "contracts": f'{{"event":"contractCreated","data":{DATA}}}',
        "jobs": f'{{"id":"{event["id"]}","event":"job.created","created_at":"{event["received_at"]}","data":{DATA}}}',
        "vomo": f'{{"type":"project.public.updated","organization_id":"{organization}","data":{DATA}}}',
        "integrations": (
            f'{{"workspace_id":"{organization}","customer_id":"c-9","event":"integration_updated_data_model",'
            f'"state":"abc","payload":{SENT}}}'
        ),
        "reporting": "&".join(f"{quote_plus(name, safe='')}={quote_plus(value, safe='')}" for name, value in REPORT),
    }


REPORT = [
    ("trigger", "create"),
    ("status", "sent out"),
    ("transaction[id]", "42"),
    ("transaction[name]", 'Café à la "carte" 🌊'),
    ("transaction[price]", "1.50"),
    ("transaction[count]", "12345678901234567890"),
    ("transaction[ratio]", "1e400"),
    ("transaction[z]", ""),
    ("transaction[a][0]", "true"),
    ("transaction[a][1]", "false"),
    ("transaction[items][0][name]", "x+y=z & more"),
    ("companies[0][id]", "c-1"),
    ("companies[0][name]", "Nördlich"),
    ("companies[0][fields][region]", "n"),
    ("companies[0][fields][seats]", "12"),
]


def hash_hmac(body, secret):
    """PHP's hash_hmac('sha256', $body, $secret)."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(request, secret):
    """A Standard Webhooks signature, as its specification has it."""
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def expected_headers(system, request, delivery, event, receiver, secret):
    """Every header line of a request; what only the moment decides is taken over."""
    basic = {"jobs": "post:room", "reporting": ":room"}.get(system)
    head = [
        f"Host: 127.0.0.1:{receiver.port}",
        f"Content-Type: {FORM if system == 'reporting' else 'application/json'}",
        f"User-Agent: Postroom/{__version__}",
        "Accept: */*",
        f"Postroom-Delivery: {delivery}",
        f"webhook-id: {event}",
    ]
    if system in ("contracts", "integrations"):
        head.append(f"webhook-timestamp: {request.headers['webhook-timestamp']}")
        head.append(f"webhook-signature: {standard_signature(request, secret)}")
    if system == "vomo":
        head.append(f"vomo-signature: {hash_hmac(request.body, secret)}")
    if basic:
        head.append("Authorization: Basic " + base64.b64encode(basic.encode()).decode())
    return [*head, f"Content-Length: {len(request.body)}"]


def test_one_event_of_each_pack_arrives_exactly_as_its_system_says(server, all_five):
    published = publish_one_of_each(server)

    bodies = expected_bodies(server, published)
    for system, (webhook, receiver) in all_five.items():
        (request,) = receiver.wait_for(1)
        delivery = server.delivery_of(published[system], webhook)["id"]
        assert request.body == bodies[system].encode(), system
        first, *lines = request.head.decode("latin-1").split("\r\n")[:-2]
        assert first == "POST /hook HTTP/1.1"
        expected = expected_headers(system, request, delivery, published[system]["id"], receiver, webhook["secret"])
        assert lines == expected, system
        assert server.finished(delivery)["state"] == "delivered"
    for webhook, receiver in all_five.values():
        assert len(receiver.requests) == 1, f"{webhook['name']} heard of another system's event"


def test_receivers_with_the_usual_libraries_accept_the_signatures(server, all_five, subscribe):
    of_stripe, stripes = subscribe("stripe", events=["contractCreated"])
    of_github, githubs = subscribe("github", events=["contractCreated"])

    publish_one_of_each(server)

    for system in ("contracts", "integrations"):
        webhook, receiver = all_five[system]
        (request,) = receiver.wait_for(1)
        library = standardwebhooks.Webhook(webhook["secret"])
        library.verify(request.body, dict(request.headers.pairs))
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            library.verify(request.body.replace(b"event", b"Event", 1), dict(request.headers.pairs))
    (request,) = stripes.wait_for(1)
    header, secret = request.headers["Stripe-Signature"], of_stripe["secret"]
    assert re.fullmatch(r"t=\d+,v1=[0-9a-f]{64}", header)
    assert stripe.WebhookSignature.verify_header(request.body.decode(), header, secret, tolerance=300)
    (request,) = githubs.wait_for(1)
    assert request.headers["X-Hub-Signature-256"] == "sha256=" + hash_hmac(request.body, of_github["secret"])
    assert request.body.decode() == DATA


def test_the_log_keeps_each_request_as_it_was_sent_with_passwords_masked(server, all_five):
    published = publish_one_of_each(server)

    for system, (webhook, receiver) in all_five.items():
        (request,) = receiver.wait_for(1)
        delivery = server.delivery_of(published[system], webhook)["id"]
        server.finished(delivery)
        (attempt,) = server.attempted(delivery)
        assert attempt["request"]["body"].encode() == request.body
        kept = {name.lower(): value for name, value in attempt["request"]["headers"].items()}
        sent = {name.lower(): value for name, value in request.headers.pairs}
        masked = {name for name in sent if kept[name] != sent[name]}
        assert masked == ({"authorization"} if "authorization" in sent else set()), system
        assert "cm9vbQ" not in json.dumps(attempt), "the password is in the log"
