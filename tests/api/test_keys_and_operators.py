"""API keys, and what the scope operator opens: the installation, and every organization by name."""

from __future__ import annotations

import pytest

from app.services import api_keys, organizations
from tests.api.conftest import Api


@pytest.fixture
def operator(client, organization, owner):
    """A key that the command line made, with the scope operator and no other."""
    made = api_keys.create(organizations.system_of(organization.public_id), "ops", ["operator"])
    return Api(client, made.key)


def test_a_key_is_made_listed_and_revoked(api, client):
    made = api.post("/api-keys", {"name": "billing", "scopes": ["events:write"], "expires_at": "2026-12-24T00:00:00Z"})
    assert made.status_code == 201
    key = Api(client, made.json["api_key"])
    assert key.get("/event-types").status_code == 200

    listed = api.get("/api-keys").json["items"]
    assert [each["name"] for each in listed] == ["test", "billing"]
    assert listed[1]["expires_at"] == "2026-12-24T00:00:00.000Z"
    assert "api_key" not in listed[1]

    assert api.delete(f"/api-keys/{made.json['id']}").json["revoked_at"] is not None
    assert key.get("/event-types").status_code == 401


def test_nobody_gives_a_key_more_than_they_may(api, foreign):
    assert api.post("/api-keys", {"name": "ops", "scopes": ["operator"]}).json["errors"][0]["field"] == "scopes"
    mine = api.get("/api-keys").json["items"][0]["id"]
    assert foreign.delete(f"/api-keys/{mine}").status_code == 404


@pytest.mark.parametrize("path", ["/system", "/system/options", "/system/retention", "/system/mail", "/organizations"])
def test_an_admin_of_one_organization_is_no_operator(api, operator, path):
    assert api.get(path).status_code == 403
    assert operator.get(path).status_code == 200


def test_an_operator_sees_no_organizations_data(operator, api, make_webhook, receiver):
    hook = make_webhook(url=receiver.url)

    for path in ("/webhooks", f"/webhooks/{hook.id}", "/deliveries", "/events", "/members", "/organization", "/audit"):
        assert operator.get(path).status_code == 403, path


def test_an_operator_adds_an_organization_and_enters_it_with_its_own_key(operator, client):
    made = operator.post(
        "/organizations",
        {"name": "Globex", "admin_email": "hank@globex.test", "admin_name": "Hank", "with_api_key": True},
    )
    assert made.status_code == 201
    inside = Api(client, made.json["api_key"])

    assert inside.get("/organization").json["name"] == "Globex"
    assert [each["email"] for each in inside.get("/members").json["items"]] == ["hank@globex.test"]
    assert "/invite/" in made.json["invitation"]
    assert inside.get("/organizations").status_code == 403
    assert operator.patch(f"/organizations/{made.json['id']}", {"name": "Globex Corp"}).json["name"] == "Globex Corp"
    assert [each["name"] for each in operator.get("/organizations").json["items"]] == ["Acme", "Globex Corp"]
    refused = operator.post("/organizations", {"name": "X", "admin_email": "no", "admin_name": "X"})
    assert [error["field"] for error in refused.json["errors"]] == ["email"]


def test_the_installation_is_told_in_figures(operator, publish, make_webhook, receiver, make_type):
    make_webhook(url=receiver.url, on=False)

    found = operator.get("/system").json

    assert found["queue"] == {"waiting": 0, "in_flight": 0, "oldest_due_at": None}
    assert found["ready"] is False
    assert found["problems"] == ["Nothing is being sent: no delivery process has reported for 2 min."]
    assert operator.get("/system/options").json["options"]["POSTROOM_CONCURRENCY"] == "256"
    assert operator.get("/system/mail").json["set_up"] is False
    assert operator.post("/system/mail/test", {"to": "ops@acme.test"}).status_code == 409
    assert operator.post("/system/mail/test", {"to": "ops"}).status_code == 422
