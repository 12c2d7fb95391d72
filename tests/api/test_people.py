"""Members, roles, settings and the audit log through the API."""

from __future__ import annotations

import pytest

from app.services import organization_settings, webhooks


def test_a_member_is_added_invited_changed_and_removed(api, make_unit, owner):
    make_unit("north")
    answer = api.post("/members", {"email": "Mia@acme.test", "name": "Mia", "role": "Support"})
    assert answer.status_code == 201
    mia = answer.json["id"]
    assert answer.location.endswith(f"/api/v1/members/{mia}")
    assert api.post("/members", {"email": "mia@acme.test", "name": "M", "role": "Support"}).status_code == 409
    assert "/invite/" in api.post(f"/members/{mia}/invitation").json["link"]

    changed = api.patch(f"/members/{mia}", {"role": "Developer", "business_units": ["north"]}).json
    assert (changed["role"], changed["business_units"]) == ("Developer", ["north"])
    assert api.patch(f"/members/{mia}", {"business_units": ["south"]}).json["errors"][0]["field"] == "business_units"

    assert [each["name"] for each in api.get("/members?q=mia").json["items"]] == ["Mia"]
    assert api.post(f"/members/{mia}/deactivate").json["active"] is False
    assert api.post(f"/members/{mia}/activate").json["active"] is True
    assert api.delete(f"/members/{mia}").status_code == 204
    assert api.get(f"/members/{mia}").status_code == 404


def test_webhooks_of_who_leaves_go_to_whom_is_named(api, make_member, make_webhook, owner):
    mia = make_member("mia", role="Admin")
    hook = make_webhook(url="http://127.0.0.1:4999/", by=mia.actor)
    heir = api.get("/members?q=ada").json["items"][0]["id"]

    assert api.delete(f"/members/{mia.id}?give_webhooks_to={heir}").status_code == 204

    owned = api.get(f"/members/{heir}").json["webhooks"]
    assert owned == [{"id": hook.id, "name": "Hooks"}]


def test_the_last_admin_stays(api, owner):
    ada = api.get("/members").json["items"][0]["id"]

    assert api.delete(f"/members/{ada}").status_code == 409
    assert api.patch(f"/members/{ada}", {"role": "Member"}).status_code == 409


def test_roles_are_managed(api, make_member):
    made = api.post("/roles", {"name": "Auditor", "permissions": ["org.audit"]})
    assert made.json == {
        "name": "Auditor",
        "permissions": ["org.audit"],
        "sees_everything": False,
        "members": 0,
        "fixed": False,
    }
    make_member("pat", role="Auditor")

    assert api.patch("/roles/Auditor", {"permissions": ["org.log"], "name": "Reader"}).json["members"] == 1
    assert api.delete("/roles/Reader").status_code == 422
    assert api.delete("/roles/Reader?move_to=Member").status_code == 204
    assert [role["name"] for role in api.get("/roles").json["items"]] == ["Admin", "Developer", "Support", "Member"]
    assert api.get("/roles/Admin").json["fixed"] is True
    assert api.patch("/roles/Admin", {"permissions": []}).status_code == 409


def test_settings_are_read_and_changed(api, owner):
    assert api.get("/organization").json == {
        "name": "Acme",
        "default_preset": None,
        "default_owner": None,
        "retention_days": None,
        "retention_failed_days": None,
    }

    changed = api.patch("/organization", {"default_preset": "jobs", "retention_days": 7})

    assert (changed.json["default_preset"], changed.json["retention_days"]) == ("jobs", 7)
    assert api.patch("/organization", {"retention_days": None}).json["retention_days"] is None
    refused = api.patch("/organization", {"default_preset": "none", "retention_failed_days": 91, "name": " "})
    assert {error["field"] for error in refused.json["errors"]} >= {"name"}
    refused = api.patch("/organization", {"default_preset": "none", "retention_failed_days": 91})
    assert {error["field"] for error in refused.json["errors"]} == {"default_preset", "retention_failed_days"}
    assert organization_settings.new_webhooks(owner).preset == "jobs"


def test_new_webhooks_belong_to_whom_the_organization_chose(api, owner, member, make_member):
    grace = make_member("grace", role="Admin")
    draft = {"name": "A", "url": "http://127.0.0.1:4999/"}
    assert api.patch("/organization", {"default_owner": "GRACE@acme.test"}).json["default_owner"] == "grace@acme.test"

    assert api.post("/webhooks", draft).json["owner"] == "grace@acme.test"
    assert api.post("/webhooks", {**draft, "owner": "ada@acme.test"}).json["owner"] == "ada@acme.test"
    assert webhooks.create(member, draft).webhook.settings["owner"] == "max@acme.test", "they may choose nobody else"
    assert organization_settings.new_webhooks(owner).owner == "grace@acme.test"
    refused = api.patch("/organization", {"default_owner": "nobody@acme.test"})
    assert refused.json["errors"][0]["field"] == "default_owner"

    assert api.delete(f"/members/{grace.id}").status_code == 204
    assert api.get("/organization").json["default_owner"] is None
    assert api.post("/webhooks", draft).json["owner"] == "ada@acme.test"


def test_the_audit_log_is_read_in_pages_and_filtered(api, clock):
    at = clock.now
    for number in range(5):
        clock.advance(seconds=60)
        api.put(f"/business-units/u{number}", {"name": f"Unit {number}"})

    first = api.get("/audit?limit=3&action=business_unit.created").json
    rest = api.get(f"/audit?limit=3&action=business_unit.created&cursor={first['next']}").json
    assert [entry["object"] for entry in first["items"] + rest["items"]] == [f"Unit {n}" for n in (4, 3, 2, 1, 0)]
    assert rest["next"] is None
    assert first["items"][0]["actor"] == "API key test"

    from app.core.envelope import moment

    period = f"from={moment(at + 120_000)}&to={moment(at + 240_000)}"
    assert [entry["object"] for entry in api.get(f"/audit?{period}").json["items"]] == ["Unit 2", "Unit 1"]


@pytest.mark.parametrize("path", ["/members", "/roles", "/organization", "/audit"])
def test_less_than_the_scope_admin_reads_nothing_of_people(client, owner, make_key, path):
    from tests.api.conftest import Api

    scopes = ("events:write", "events:read", "webhooks:write", "webhooks:read", "deliveries:read", "deliveries:write")

    assert Api(client, make_key(owner, *scopes)).get(path).status_code == 403


def test_who_is_told_when_a_webhook_fails_is_set(api):
    assert api.get("/alerts").json == {"addresses": [], "events": False}

    changed = api.patch("/alerts", {"addresses": ["ops@acme.test", "OPS@acme.test"], "events": True})

    assert changed.json == {"addresses": ["OPS@acme.test"], "events": True}
    assert api.get("/event-types/postroom.webhook_failing").status_code == 200
    assert api.patch("/alerts", {"addresses": ["nobody"]}).json["errors"][0]["field"] == "addresses"
    assert api.patch("/alerts", {"events": False}).json == {"addresses": ["OPS@acme.test"], "events": False}
