"""The request as it is built and as the log keeps it: order of headers, masking, bodies kept once."""

from __future__ import annotations

import base64
import hashlib

import pytest

from app import __version__
from app.models import SentBody
from app.services import webhooks
from tests.support import rows
from tests.support.receiver import answer

SHAPED = {"field_mapping": [{"field": "id", "property": "number"}]}


@pytest.fixture
def sent(publish, make_webhook, receiver, deliver):
    """Send one event with the given settings; return the request as it came."""

    def send(**settings):
        make_webhook(url=receiver.url, **settings)
        publish()
        deliver()
        return receiver.requests[-1]

    return send


def test_the_headers_come_in_their_order_and_each_once(sent):
    request = sent(headers={"X-Env": "prod"}, auth={"type": "bearer", "token": "t0ken"})

    assert [name.lower() for name, _ in request.headers.pairs] == [
        "host",
        "content-type",
        "user-agent",
        "accept",
        "postroom-delivery",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-env",
        "authorization",
        "content-length",
    ]
    assert request.headers["user-agent"] == f"Postroom/{__version__}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["postroom-delivery"] == rows.the_delivery().public_id


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"type": "basic", "username": "u", "password": "p:w"}, "authorization", "Basic " + "dTpwOnc="),
        ({"type": "basic", "username": "", "password": "päss"}, "authorization", None),
        ({"type": "bearer", "token": "t0ken"}, "authorization", "Bearer t0ken"),
        ({"type": "header", "name": "X-Key", "value": "k3y"}, "x-key", "k3y"),
    ],
)
def test_authentication_is_sent_as_it_was_entered(sent, auth, name, value):
    request = sent(auth=auth)

    expected = value or "Basic " + base64.b64encode(":päss".encode()).decode()
    assert request.headers[name] == expected


def test_the_log_keeps_what_was_sent_with_credentials_masked(sent):
    sent(auth={"type": "bearer", "token": "t0ken"}, headers={"X-Env": "prod"})

    (attempt,) = rows.attempts()
    assert b"t0ken" not in attempt.request_headers
    assert "Authorization: Bearer ••••".encode() in attempt.request_headers
    assert b"X-Env: prod" in attempt.request_headers


def test_a_secret_in_a_header_of_ones_own_is_masked_too(sent):
    sent(auth={"type": "header", "name": "X-Key", "value": "k3y"})

    (attempt,) = rows.attempts()
    assert b"k3y" not in attempt.request_headers
    assert "X-Key: ••••".encode() in attempt.request_headers


def test_the_log_keeps_the_answer_as_bytes(sent, receiver):
    receiver.answers(answer(200, {"X-From": "them"}, b"\x00\xff not text"))
    sent()

    (attempt,) = rows.attempts()
    assert attempt.response_body == b"\x00\xff not text"
    assert b"X-From: them" in attempt.response_headers
    assert (attempt.response_size, attempt.truncated) == (11, False)
    assert attempt.peer.startswith("127.0.0.1:")
    assert len(attempt.timings.split()) == 5


def test_a_body_is_kept_once_for_all_who_sent_the_same_and_around_the_events_data(
    publish, make_webhook, receiver, deliver
):
    for _ in range(3):
        make_webhook(url=receiver.url)
    make_webhook(url=receiver.url, **SHAPED)
    event = publish(data=b'{"id":42}')
    deliver()

    kept = {body.has_data: body for body in rows.all_of(SentBody)}
    assert len(rows.all_of(SentBody)) == 2
    whole = kept[True].head + b'{"id":42}' + kept[True].tail
    sent = [request.body for request in receiver.requests]
    assert sent.count(whole) == 3
    assert kept[True].digest == hashlib.sha256(whole).digest()
    assert kept[False].head in sent
    assert kept[False].tail == b""
    assert event.id.encode() in whole


def test_retries_share_the_body_of_the_first_attempt(publish, make_webhook, receiver, deliver, clock):
    receiver.answers(500, 200)
    make_webhook(url=receiver.url, preset="vomo")
    clock.advance(seconds=1)
    publish()
    deliver()
    clock.advance(seconds=10)
    deliver()

    first, second = rows.attempts()
    assert first.body_digest == second.body_digest
    assert len(rows.all_of(SentBody)) == 1


def test_a_retry_is_signed_anew_with_the_time_of_its_attempt(publish, make_webhook, receiver, deliver, clock):
    receiver.answers(500, 200)
    make_webhook(url=receiver.url)
    publish()
    deliver()
    clock.advance(seconds=5)
    deliver()

    first, second = receiver.requests
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 5
    assert second.headers["webhook-signature"] != first.headers["webhook-signature"]
    assert second.headers["webhook-id"] == first.headers["webhook-id"]


def test_own_success_codes_decide(publish, make_webhook, receiver, deliver, states, owner):
    hook = make_webhook(url=receiver.url, preset="github", success_codes=["404"])
    receiver.answers(404, 200)
    publish()
    deliver()
    publish()
    deliver()
    assert states() == [("delivered", [404]), ("failed", [200])]

    webhooks.edit(owner, hook.id, {"success_codes": ["2xx"]})
    publish()
    deliver()
    assert states()[2] == ("delivered", [200])
