"""What is told to whoever watches the process."""

from __future__ import annotations

import pytest

from app.services import system
from tests.api.conftest import Api

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def test_the_process_is_up_even_when_its_database_is_not(client, settings, monkeypatch):
    monkeypatch.setattr(system, "readiness", None)

    answer = client.get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "up"})


def test_it_is_ready_once_delivery_has_ticked(client):
    before = client.get("/readyz")
    system.tick()
    after = client.get("/readyz")

    assert (before.status_code, before.json["status"]) == (503, "not ready")
    assert before.json["problems"]
    assert before.headers["Retry-After"]
    assert (after.status_code, after.json) == (200, {"status": "ready", "problems": []})


def test_it_is_not_ready_while_it_stops(client):
    system.tick()
    system.begin_drain()

    assert client.get("/readyz").status_code == 503


def test_figures_are_given_to_this_machine(client, api, make_webhook, publish, clock):
    make_webhook(url="http://127.0.0.1:9999/")
    publish()
    publish()
    clock.advance(seconds=90)

    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    assert "postroom_deliveries_waiting 2.0" in lines
    assert "postroom_oldest_due_seconds 90.0" in lines
    assert any(line.startswith("postroom_info{version=") for line in lines)


@pytest.mark.parametrize(("scope", "status"), [("admin", 200), ("events:read", 403)])
def test_figures_are_given_elsewhere_to_an_admins_key_alone(client, owner, make_key, scope, status):
    headers = {"Authorization": f"Bearer {make_key(owner, scope)}"}

    assert client.get("/metrics", headers=headers, environ_base=ELSEWHERE).status_code == status


def test_figures_are_not_given_to_everybody(client, api):
    assert client.get("/metrics", environ_base=ELSEWHERE).status_code == 401


def test_none_of_it_is_in_the_document(api):
    assert not [path for path in api.get("/openapi.json").json["paths"] if not path.startswith("/api/v1/")]


def test_health_needs_no_key_and_takes_only_get(client, app):
    assert Api(client, "").client.get("/healthz").status_code == 200
    assert client.post("/healthz").status_code in {400, 405}
