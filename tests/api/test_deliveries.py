"""The log through the API: deliveries, attempts, and what can be done with one."""

from __future__ import annotations

import pytest

from tests.support.receiver import answer

pytestmark = pytest.mark.usefixtures("job_created")


@pytest.fixture
def log(api, make_webhook, receiver, deliver, clock):
    """Six deliveries: a 200, a 404, a 503 that will be retried, one nobody answered, one that waits, and a test."""
    api.post("/event-types", {"name": "job.updated"})
    hooks = {
        "main": make_webhook(url=receiver.url, name="Main", retry={"delays": [60]}, events=["job.created"]).id,
        "other": make_webhook(
            url="http://127.0.0.1:9999/", name="Other", retry={"delays": []}, events=["job.updated"]
        ).id,
    }
    found = {}
    for name, status in (("ok", 200), ("lost", 404), ("busy", 503)):
        receiver.answers(status)
        found[name] = _publish(api, "job.created", clock)
        deliver()
    found["silent"] = _publish(api, "job.updated", clock)
    deliver()
    found["test"] = api.post(f"/webhooks/{hooks['other']}/test").json["id"]
    deliver()
    api.post(f"/webhooks/{hooks['main']}/pause")
    found["held"] = _publish(api, "job.created", clock)
    return {**hooks, **found}


def _publish(api, type_name, clock):
    clock.advance(seconds=1)
    [delivery] = api.post("/events", {"type": type_name, "data": {"id": 42}}).json["deliveries"]
    return delivery["id"]


def test_a_delivery_has_exactly_these_fields(api, make_webhook, receiver, deliver):
    webhook = make_webhook(url=receiver.url)
    event = api.post("/events", {"type": "job.created", "data": {}}).json
    deliver()

    shown = api.get(f"/deliveries/{event['deliveries'][0]['id']}")

    assert shown.json == {
        "id": event["deliveries"][0]["id"],
        "event": event["id"],
        "event_type": "job.created",
        "webhook": webhook.id,
        "url": receiver.url,
        "state": "delivered",
        "kind": "normal",
        "attempt_count": 1,
        "attempts_allowed": 10,
        "next_attempt_at": None,
        "last_status": 200,
        "last_error": None,
        "created_at": "2026-11-21T09:00:00.000Z",
        "finished_at": "2026-11-21T09:00:00.000Z",
        "reason": None,
    }


def test_an_attempt_has_exactly_these_fields(api, make_webhook, receiver, deliver):
    make_webhook(url=receiver.url, auth={"type": "basic", "username": "u", "password": "hunter2"})
    receiver.answers(500)
    event = api.post("/events", b'{"type":"job.created","data":{"total":1.50}}').json
    delivery = event["deliveries"][0]["id"]
    deliver()

    page = api.get(f"/deliveries/{delivery}/attempts").json

    assert page["next"] is None
    [attempt] = page["items"]
    request, response, timings = attempt.pop("request"), attempt.pop("response"), attempt.pop("timings")
    assert isinstance(attempt.pop("duration_ms"), int)
    assert attempt == {
        "id": f"att_{delivery.removeprefix('dlv_')}_1",
        "number": 1,
        "started_at": "2026-11-21T09:00:00.000Z",
        "outcome": "failed",
        "status": 500,
        "error": {"class": "status", "message": attempt["error"]["message"]},
        "peer": attempt["peer"],
    }
    assert attempt["error"]["message"]
    assert attempt["peer"].startswith("127.0.0.1:")
    assert set(timings) == {"dns", "connect", "tls", "first_byte", "total"}
    assert 0 < timings["first_byte"] <= timings["total"]
    assert set(request) == {"method", "url", "headers", "body"}
    assert (request["method"], request["url"]) == ("POST", receiver.url)
    assert request["body"].encode() == receiver.requests[0].body
    assert request["headers"]["webhook-id"] == event["id"]
    assert "hunter2" not in str(request)
    assert request["headers"]["Authorization"].startswith("Basic ")
    assert set(response) == {"headers", "body", "truncated"}
    assert response["truncated"] is False
    assert response["headers"]["Content-Length"] == "0"


def test_attempts_come_in_the_order_they_were_made(api, make_webhook, receiver, deliver, clock):
    make_webhook(url=receiver.url, retry={"delays": [1, 1]})
    receiver.answers(500, 503, 200)
    delivery = api.post("/events", {"type": "job.created", "data": {}}).json["deliveries"][0]["id"]
    for _ in range(3):
        deliver()
        clock.advance(seconds=100)

    first = api.get(f"/deliveries/{delivery}/attempts?limit=2").json
    second = api.get(f"/deliveries/{delivery}/attempts?limit=2&cursor={first['next']}").json

    assert [row["status"] for row in first["items"]] == [500, 503]
    assert [row["status"] for row in second["items"]] == [200]
    assert second["next"] is None


def test_what_a_receiver_sends_becomes_text_whatever_it_is(api, make_webhook, receiver, deliver):
    make_webhook(url=receiver.url)
    receiver.answers(answer(500, {"X-Odd": "<script>"}, b"\xff\x00<img onerror>"))
    delivery = api.post("/events", {"type": "job.created", "data": {}}).json["deliveries"][0]["id"]
    deliver()

    [attempt] = api.get(f"/deliveries/{delivery}/attempts").json["items"]

    assert attempt["response"]["body"] == "\ufffd\0<img onerror>"
    assert attempt["response"]["headers"]["X-Odd"] == "<script>"


def test_an_attempt_nobody_answered_has_no_response(api, log):
    [attempt] = api.get(f"/deliveries/{log['silent']}/attempts").json["items"]

    assert (attempt["status"], attempt["response"], attempt["error"]["class"]) == (None, None, "refused")


def test_a_delivery_that_was_not_tried_has_no_attempts(api, log):
    assert api.get(f"/deliveries/{log['held']}/attempts").json == {"items": [], "next": None}


FILTERS = [
    ("", "held test silent busy lost ok"),
    ("webhook={main}", "held busy lost ok"),
    ("webhook={main}&webhook={other}", "held test silent busy lost ok"),
    ("webhook=whk_nothing", ""),
    ("event_type=job.updated", "silent"),
    ("event_type=job.updated&event_type=job.created", "held silent busy lost ok"),
    ("state=delivered", "ok"),
    ("state=pending", "held busy lost"),
    ("state=failed", "test silent"),
    ("state=paused", "held busy lost"),
    ("state=delivered&state=failed", "test silent ok"),
    ("response=2xx", "ok"),
    ("response=4xx&response=5xx", "busy lost"),
    ("response=503", "busy"),
    ("response=none", "held test silent"),
    ("error=refused", "test silent"),
    ("error=status", "busy lost"),
    ("test=only", "test"),
    ("test=true", "test"),
    ("test=exclude", "held silent busy lost ok"),
    ("test=false", "held silent busy lost ok"),
    ("test=all&limit=1", "held"),
    ("from=2026-11-21T09:00:05Z", "held"),
    ("from=2026-11-21T09:00:02Z&to=2026-11-21T09:00:04Z", "busy lost"),
    ("to=2026-11-21T10:00:02%2B01:00", "ok"),
]


def test_the_log_can_be_narrowed(api, log):
    names = {public_id: name for name, public_id in log.items()}
    for query, expected in FILTERS:
        answer = api.get(f"/deliveries?{query.format(**log)}")

        assert answer.status_code == 200, (query, answer.json)
        assert [names[row["id"]] for row in answer.json["items"]] == expected.split(), query


def test_what_is_paused_is_neither_queued_nor_retrying(api, log):
    found = {state: api.get(f"/deliveries?state={state}").json["items"] for state in ("queued", "retrying")}
    api.post(f"/webhooks/{log['main']}/resume")
    after = {state: api.get(f"/deliveries?state={state}").json["items"] for state in ("queued", "retrying", "paused")}

    assert found == {"queued": [], "retrying": []}
    assert [row["id"] for row in after["queued"]] == [log["held"]]
    assert [row["id"] for row in after["retrying"]] == [log["busy"], log["lost"]]
    assert after["paused"] == []


def test_the_log_can_be_narrowed_to_one_event(api, log):
    event = api.get(f"/deliveries/{log['ok']}").json["event"]

    assert [row["id"] for row in api.get(f"/deliveries?event={event}").json["items"]] == [log["ok"]]


UNREADABLE_FILTERS = [
    "state=lost",
    "response=9xx",
    "response=20",
    "response=99999999999999999999",
    "response=2xxx",
    "response=٢٠٠",
    "error=bad",
    "from=yesterday",
    "from=2026-11-21",
    "to=99999",
    "test=maybe",
    "limit=0",
    "limit=251",
    "limit=99999999999999999999",
    "cursor=AAAA",
]


def test_a_filter_that_cannot_be_read_is_refused(api):
    for query in UNREADABLE_FILTERS:
        answer = api.get(f"/deliveries?{query}")

        assert answer.status_code == 422, query
        assert answer.json["errors"][0]["field"].startswith(query.partition("=")[0])


def test_the_log_comes_in_pages(api, log):
    seen, cursor = [], ""
    while True:
        page = api.get(f"/deliveries?limit=4{cursor}").json
        seen += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert seen == [log[name] for name in ("held", "test", "silent", "busy", "lost", "ok")]


def test_a_waiting_delivery_can_be_made_now(api, log, receiver, deliver):
    api.post(f"/webhooks/{log['main']}/resume")
    before = api.get(f"/deliveries/{log['busy']}").json["next_attempt_at"]

    answer = api.post(f"/deliveries/{log['busy']}/retry")

    assert answer.status_code == 200
    assert answer.json["next_attempt_at"] < before
    receiver.answers(200)
    deliver()
    assert api.get(f"/deliveries/{log['busy']}").json["state"] == "delivered"


def test_a_failed_delivery_gets_one_more_attempt(api, log):
    answer = api.post(f"/deliveries/{log['silent']}/retry")

    assert (answer.json["state"], answer.json["attempts_allowed"]) == ("pending", 2)


def test_a_waiting_delivery_can_be_canceled_and_retried_after_all(api, log):
    canceled = api.post(f"/deliveries/{log['busy']}/cancel")
    again = api.post(f"/deliveries/{log['busy']}/cancel")
    retried = api.post(f"/deliveries/{log['busy']}/retry")

    assert (canceled.status_code, canceled.json["state"], canceled.json["reason"]) == (200, "canceled", "by_person")
    assert again.status_code == 409
    assert retried.json["state"] == "pending"


def test_what_is_delivered_can_only_be_replayed(api, log, receiver, deliver):
    assert api.post(f"/deliveries/{log['ok']}/retry").status_code == 409
    assert api.post(f"/deliveries/{log['ok']}/cancel").status_code == 409

    replayed = api.post(f"/deliveries/{log['ok']}/replay")

    assert replayed.status_code == 202
    assert (replayed.json["kind"], replayed.json["state"]) == ("replay", "pending")
    first = api.get(f"/deliveries/{log['ok']}").json
    assert replayed.json["event"] == first["event"]
    assert replayed.json["id"] != first["id"]


def test_an_event_can_be_replayed_to_another_webhook(api, log):
    answer = api.post(f"/deliveries/{log['ok']}/replay", {"webhook": log["other"]})

    assert answer.json["webhook"] == log["other"]
    assert api.post(f"/deliveries/{log['ok']}/replay", {"webhook": "whk_nothing"}).status_code == 404
    assert api.post(f"/deliveries/{log['ok']}/replay", {"more": 1}).status_code == 422


def test_another_organizations_log_is_not_there(api, foreign, log, receiver):
    theirs = foreign.post("/webhooks", {"name": "Theirs", "url": receiver.url}).json["id"]

    assert foreign.get("/deliveries").json["items"] == []
    assert foreign.get(f"/deliveries?webhook={log['main']}").json["items"] == []
    for path in (f"/deliveries/{log['ok']}", f"/deliveries/{log['ok']}/attempts"):
        assert foreign.get(path).status_code == 404
    for what in ("retry", "cancel", "replay"):
        assert foreign.post(f"/deliveries/{log['busy']}/{what}").status_code == 404, what
    assert api.post(f"/deliveries/{log['ok']}/replay", {"webhook": theirs}).status_code == 404
