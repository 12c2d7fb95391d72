"""Replays by filter over the API."""

from __future__ import annotations

import pytest

from app.models import Replay
from app.services import replaying, webhooks
from tests.support import rows


@pytest.fixture
def hook(make_webhook, publish, receiver, deliver):
    """A webhook with two deliveries that failed and one that was delivered."""
    made = make_webhook(url=receiver.url, retry={"delays": []})
    receiver.answers(500, 500, 200)
    for kind in ("job.created", "job.created", "job.updated"):
        publish(kind)
        deliver()
    receiver.answers(200)
    return made


def test_it_is_counted_started_followed_and_stopped(api, hook, clock, deliver):
    asked = {"filter": {"state": ["failed"], "webhook": hook.id}, "rate": 10}

    counted = api.post("/replays", {**asked, "dry_run": True})
    assert counted.status_code == 200
    assert (counted.json["total"], rows.all_of(Replay)) == (2, [])

    started = api.post("/replays", {**asked, "reason": "It was down", "expected": 2})
    assert started.status_code == 202
    assert (started.json["state"], started.json["left"], started.json["reason"]) == ("running", 2, "It was down")
    assert started.json["filter"] == {"state": ["failed"], "webhook": [hook.id]}
    path = f"/replays/{started.json['id']}"
    for _ in range(2):
        replaying.advance(clock.now)
        clock.advance(seconds=300)
    deliver()

    assert (api.get(path).json["delivered"], api.get(path).json["state"]) == (2, "done")
    assert [each["id"] for each in api.get("/replays").json["items"]] == [started.json["id"]]
    assert api.post(f"{path}/stop").json["state"] == "done"


def test_the_filter_alone_says_which_unless_it_is_narrowed(api, hook):
    everything = api.post("/replays", {"filter": {}, "dry_run": True}).json
    narrowed = api.post("/replays", {"filter": {}, "only_failed": True, "dry_run": True}).json
    one_type = api.post("/replays", {"filter": {"event_type": "job.updated"}, "dry_run": True}).json

    assert (everything["total"], narrowed["total"], one_type["total"]) == (3, 2, 1)
    assert narrowed["left_out"] == [{"reason": "not_failed", "count": 1}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filter"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"filter": {"state": ["lost"]}}, "filter.state[0]"),
        ({"filter": {"from": "yesterday"}}, "filter.from"),
        ({"filter": {"response": "9xx"}}, "filter.response"),
        ({"filter": {"delivery": ["dlv_1"] * 501}}, "filter.delivery"),
        ({"filter": {}, "rate": 0}, "rate"),
        ({"filter": {}, "rate": 2000}, "rate"),
        ({"filter": {}, "reason": "x" * 301}, "reason"),
    ],
)
def test_what_can_not_be_used_is_named(body, field, api, hook):
    answer = api.post("/replays", body)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_nothing_to_send_and_another_figure_are_conflicts(api, hook):
    assert api.post("/replays", {"filter": {"webhook": "whk_0"}}).status_code == 409
    assert api.post("/replays", {"filter": {}, "expected": 7}).status_code == 409


def test_reading_takes_one_scope_and_starting_the_other(client, owner, make_key, hook):
    from tests.api.conftest import Api

    reader = Api(client, make_key(owner, "deliveries:read"))
    writer = Api(client, make_key(owner, "deliveries:write"))

    assert reader.post("/replays", {"filter": {}}).status_code == 403
    made = writer.post("/replays", {"filter": {}}).json["id"]
    assert reader.get(f"/replays/{made}").status_code == 200
    assert reader.post(f"/replays/{made}/stop").status_code == 403
    assert writer.post(f"/replays/{made}/stop").json["state"] == "stopped"


def test_what_was_missed_is_counted_and_sent(api, owner, hook, publish, clock):
    webhooks.turn_off(owner, hook.id)
    clock.advance(seconds=5)
    publish("job.created")
    path = f"/webhooks/{hook.id}/missed"
    assert api.post(path).status_code == 409, "it is off"
    clock.advance(seconds=5)
    webhooks.turn_on(owner, hook.id)

    counted = api.post(path, {"dry_run": True}).json
    started = api.post(path)

    assert (counted["total"], counted["event_types"]) == (1, [{"event_type": "job.created", "count": 1}])
    assert (started.status_code, started.json["webhook"], started.json["total"]) == (202, hook.id, 1)
    assert api.post(path).status_code == 409, "it was offered twice"
