"""Statistics over the API."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api


@pytest.fixture
def hook(make_webhook, receiver, publish, deliver):
    """A webhook with one delivery that arrived at once and one whose first try failed."""
    hook = make_webhook(url=receiver.url)
    receiver.answers(200, 503)
    publish("job.created")
    deliver()
    publish("job.updated")
    deliver()
    return hook


def test_a_webhook_and_the_organization_are_told_in_figures(api, hook):
    told = api.get(f"/webhooks/{hook.id}/stats").json

    assert (told["period"], told["from"], told["to"]) == ("24h", "2026-11-20T10:00:00.000Z", "2026-11-21T10:00:00.000Z")
    assert (told["attempted"], told["delivered"], told["delivered_first_try"]) == (2, 1, 1)
    assert (told["success_rate"], told["first_try_rate"]) == (0.5, 0.5)
    assert told["by_answer"] == [{"answer": "200", "count": 1}, {"answer": "503", "count": 1}]
    assert told["by_event_type"] == [
        {"event_type": "job.created", "attempted": 1, "delivered": 1},
        {"event_type": "job.updated", "attempted": 1, "delivered": 0},
    ]
    assert len(told["volume"]) == 24
    assert (told["volume"][-1]["attempted"], told["volume"][0]["attempted"]) == (2, 0)
    assert told["duration_ms"]["p95"] is not None
    assert told["volume"][0]["duration_ms"] == {"p50": None, "p95": None, "p99": None}
    assert api.get("/stats").json == told


def test_of_nothing_there_is_no_rate(api, make_webhook):
    hook = make_webhook(url="http://127.0.0.1:9001/")

    told = api.get(f"/webhooks/{hook.id}/stats?period=30d").json

    assert (told["success_rate"], told["first_try_rate"], told["lag_ms"]["p50"]) == (None, None, None)
    assert len(told["volume"]) == 30


def test_an_unknown_period_is_refused_in_words(api):
    answer = api.get("/stats?period=1y")

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "period"


def test_figures_need_a_scope_and_are_of_ones_own_organization(client, owner, make_key, foreign, hook):
    assert Api(client, make_key(owner, "deliveries:read")).get("/stats").status_code == 200
    assert Api(client, make_key(owner, "events:write")).get("/stats").status_code == 403
    assert foreign.get(f"/webhooks/{hook.id}/stats").status_code == 404
    assert foreign.get("/stats").json["attempted"] == 0


def test_what_waits_for_a_webhook_is_retried_by_a_call(api, hook, deliver, receiver, states):
    receiver.answers(200)

    answer = api.post(f"/webhooks/{hook.id}/retry")
    assert (answer.status_code, answer.json) == (202, {"retried": 1})
    deliver()

    assert states() == [("delivered", [200]), ("delivered", [503, 200])]
    assert api.post(f"/webhooks/{hook.id}/retry").json == {"retried": 0}
    api.post(f"/webhooks/{hook.id}/disable")
    assert api.post(f"/webhooks/{hook.id}/retry").status_code == 409
