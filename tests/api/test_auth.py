"""Keys and scopes: who may make which call, and that nothing was left open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.api import NOUNS
from app.core.access import Scope
from app.services import api_keys
from tests.api.conftest import Api

CALLS = [
    ("POST", "/events", {"events:write"}),
    ("POST", "/events/batch", {"events:write"}),
    ("GET", "/events", {"events:read"}),
    ("GET", "/events/x", {"events:read"}),
    ("GET", "/events/x/explain", {"events:read"}),
    ("GET", "/webhooks", {"webhooks:read"}),
    ("POST", "/webhooks", {"webhooks:write"}),
    ("GET", "/webhooks/x", {"webhooks:read"}),
    ("PATCH", "/webhooks/x", {"webhooks:write"}),
    ("DELETE", "/webhooks/x", {"webhooks:write"}),
    ("POST", "/webhooks/x/enable", {"webhooks:write"}),
    ("POST", "/webhooks/x/disable", {"webhooks:write"}),
    ("POST", "/webhooks/x/pause", {"webhooks:write"}),
    ("POST", "/webhooks/x/resume", {"webhooks:write"}),
    ("POST", "/webhooks/x/test", {"webhooks:write"}),
    ("POST", "/webhooks/x/secret/rotate", {"webhooks:write"}),
    ("POST", "/webhooks/preview", {"webhooks:write"}),
    ("GET", "/deliveries", {"deliveries:read"}),
    ("GET", "/deliveries/x", {"deliveries:read"}),
    ("GET", "/deliveries/x/attempts", {"deliveries:read"}),
    ("POST", "/deliveries/x/retry", {"deliveries:write"}),
    ("POST", "/deliveries/x/cancel", {"deliveries:write"}),
    ("POST", "/deliveries/x/replay", {"deliveries:write"}),
    ("GET", "/event-types", {"events:read", "events:write", "webhooks:read"}),
    ("POST", "/event-types", {"events:write"}),
    ("GET", "/event-types/x", {"events:read", "events:write", "webhooks:read"}),
    ("PATCH", "/event-types/x", {"events:write"}),
    ("GET", "/event-packs", {"events:read", "events:write", "webhooks:read"}),
    ("POST", "/event-packs/x/install", {"events:write"}),
    ("GET", "/business-units", {"webhooks:read"}),
    ("GET", "/business-units/x", {"webhooks:read"}),
    ("PUT", "/business-units/x", {"webhooks:write"}),
    ("DELETE", "/business-units/x", {"webhooks:write"}),
    ("GET", "/business-units/x/companies", {"webhooks:read"}),
    ("GET", "/business-units/x/companies/y", {"webhooks:read"}),
    ("PUT", "/business-units/x/companies/y", {"webhooks:write"}),
    ("DELETE", "/business-units/x/companies/y", {"webhooks:write"}),
    ("GET", "/alerts", {"admin"}),
    ("PATCH", "/alerts", {"admin"}),
    ("GET", "/audit", {"admin"}),
    ("GET", "/members", {"admin"}),
    ("POST", "/members", {"admin"}),
    ("DELETE", "/members/x", {"admin"}),
    ("GET", "/members/x", {"admin"}),
    ("PATCH", "/members/x", {"admin"}),
    ("POST", "/members/x/activate", {"admin"}),
    ("POST", "/members/x/deactivate", {"admin"}),
    ("POST", "/members/x/invitation", {"admin"}),
    ("GET", "/organization", {"admin"}),
    ("PATCH", "/organization", {"admin"}),
    ("GET", "/replays", {"deliveries:read"}),
    ("POST", "/replays", {"deliveries:write"}),
    ("GET", "/replays/x", {"deliveries:read"}),
    ("POST", "/replays/x/stop", {"deliveries:write"}),
    ("GET", "/roles", {"admin"}),
    ("POST", "/roles", {"admin"}),
    ("DELETE", "/roles/x", {"admin"}),
    ("GET", "/roles/x", {"admin"}),
    ("PATCH", "/roles/x", {"admin"}),
    ("GET", "/stats", {"deliveries:read", "webhooks:read"}),
    ("POST", "/webhooks/x/missed", {"deliveries:write"}),
    ("POST", "/webhooks/x/retry", {"webhooks:write"}),
    ("GET", "/webhooks/x/stats", {"deliveries:read", "webhooks:read"}),
    ("POST", "/events/x/send", {"deliveries:write"}),
    ("GET", "/webhooks/x/changes", {"webhooks:read"}),
    ("GET", "/webhooks/x/why", {"webhooks:read"}),
    ("GET", "/presets", {"webhooks:read"}),
    ("GET", "/webhooks/x/signature", {"webhooks:read"}),
    ("POST", "/webhooks/x/signature/check", {"webhooks:read"}),
    ("POST", "/checks/filter", {"webhooks:write"}),
    ("POST", "/checks/url", {"webhooks:write"}),
    ("GET", "/deliveries/count", {"deliveries:read"}),
    ("GET", "/deliveries/export", {"deliveries:read"}),
    ("GET", "/deliveries/x/curl", {"deliveries:read"}),
    ("GET", "/notices", {"webhooks:read"}),
    ("POST", "/notices/x/close", {"webhooks:write"}),
    ("GET", "/event-types/x/usage", {"events:read", "events:write", "webhooks:read"}),
    ("GET", "/inboxes", {"webhooks:read"}),
    ("POST", "/inboxes", {"webhooks:write"}),
    ("GET", "/inboxes/x", {"webhooks:read"}),
    ("PUT", "/inboxes/x/answers", {"webhooks:write"}),
    ("GET", "/inboxes/x/requests", {"webhooks:read"}),
    ("GET", "/inboxes/x/requests/x", {"webhooks:read"}),
    ("DELETE", "/inboxes/x/requests", {"webhooks:write"}),
    ("GET", "/business-units/x/usage", {"webhooks:read"}),
    ("POST", "/business-units/x/companies/import", {"webhooks:write"}),
    ("GET", "/members/x/views", {"admin"}),
    ("POST", "/members/x/views", {"admin"}),
    ("PATCH", "/members/x/views/x", {"admin"}),
    ("DELETE", "/members/x/views/x", {"admin"}),
    ("GET", "/api-keys", {"admin"}),
    ("POST", "/api-keys", {"admin"}),
    ("DELETE", "/api-keys/x", {"admin"}),
    ("POST", "/alerts/test", {"admin"}),
    ("GET", "/audit/export", {"admin"}),
]
OPERATORS = [
    ("GET", "/organizations", {"operator"}),
    ("POST", "/organizations", {"operator"}),
    ("PATCH", "/organizations/x", {"operator"}),
    ("GET", "/system", {"operator"}),
    ("GET", "/system/options", {"operator"}),
    ("GET", "/system/retention", {"operator"}),
    ("GET", "/system/mail", {"operator"}),
    ("POST", "/system/mail/test", {"operator"}),
]
OTHERS = [scope for scope in Scope if scope not in (Scope.ADMIN, Scope.OPERATOR)]


def test_every_route_of_the_api_was_declared_with_a_scope_and_is_tested_here(app):
    nouns = {noun.calls.name: noun.calls for noun in NOUNS}
    routes = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/")]

    found = set()
    for rule in routes:
        if rule.endpoint == "api_openapi":
            continue
        declared = nouns[rule.endpoint.partition(".")[0]].declared(rule.endpoint)
        assert declared is not None, f"{rule} was declared without a scope"
        assert declared.scopes
        path = rule.rule.removeprefix("/api/v1")
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "y" if name == "company" else "x")
        found |= {(method, path, frozenset(declared.scopes)) for method in rule.methods - {"HEAD", "OPTIONS"}}

    assert found == {(method, path, frozenset(scopes)) for method, path, scopes in CALLS + OPERATORS}


def test_a_call_without_a_scope_is_refused_whoever_asks(api, owner, monkeypatch):
    from app.api.events import calls

    monkeypatch.setattr(calls, "_declared", {})

    assert api.get("/events").status_code == 403


def test_every_call_needs_a_key(client):
    for method, path, _ in CALLS + OPERATORS:
        answer = client.open(f"/api/v1{path}", method=method)

        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.content_type == "application/problem+json"


def test_every_call_is_refused_to_keys_with_other_scopes_only(client, owner, make_key):
    keys = {scope: Api(client, make_key(owner, scope)) for scope in OTHERS}
    keys[Scope.OPERATOR] = Api(client, make_key(replace(owner, is_operator=True), Scope.OPERATOR))
    for method, path, scopes in CALLS + OPERATORS:
        for scope, api in keys.items():
            status = api.call(method, path, {} if method != "GET" else None).status_code

            assert (status == 403) is (scope not in scopes), (method, path, scope, status)


def test_a_key_with_the_scope_admin_may_do_everything_in_its_organization(api):
    for method, path, scopes in CALLS + OPERATORS:
        status = api.call(method, path, {} if method != "GET" else None).status_code

        assert (status == 403) is (scopes == {"operator"}), (method, path, status)


def test_a_refusal_names_the_scope_that_is_missing(client, owner, make_key):
    answer = Api(client, make_key(owner, "events:read")).post("/events", {})

    assert "events:write" in answer.json["detail"]


@pytest.mark.parametrize(
    "header", ["", "prk_x", "Basic cHJrX3g6", "Bearer", "Bearer ", "Bearer prk_00000000" + "A" * 43]
)
def test_what_is_no_key_is_refused(client, header):
    assert client.get("/api/v1/events", headers={"Authorization": header}).status_code == 401


def test_the_scheme_may_be_written_in_any_case(client, api):
    assert client.get("/api/v1/events", headers={"Authorization": f"bearer {api.key}"}).status_code == 200


def test_a_key_in_the_address_is_not_looked_at(client, api):
    assert client.get(f"/api/v1/events?api_key={api.key}&token={api.key}").status_code == 401


def test_a_key_that_was_changed_by_one_character_is_refused(client, api):
    last = "A" if api.key[-1] != "A" else "B"

    assert Api(client, api.key[:-1] + last).get("/events").status_code == 401


def test_a_key_works_until_the_moment_it_is_revoked(client, owner, make_key):
    api = Api(client, make_key(owner))
    assert api.get("/events").status_code == 200

    api_keys.revoke(owner, api_keys.list_all(owner)[0].id)

    assert api.get("/events").status_code == 401


def test_a_key_works_until_it_expires(client, owner, clock):
    key = api_keys.create(owner, "short", ["admin"], clock.now + 1000).key
    api = Api(client, key)
    assert api.get("/events").status_code == 200

    clock.advance(seconds=1)

    assert api.get("/events").status_code == 401


def test_a_cookie_opens_nothing_and_hinders_nothing(client, api):
    client.set_cookie("postroom", "whatever")

    refused, made = client.get("/api/v1/events"), api.post("/event-types", {"name": "a.b"})

    assert refused.status_code == 401
    assert made.status_code == 201, "no CSRF token is wanted"
    assert not {"Set-Cookie"} & {*refused.headers.keys(), *made.headers.keys()}


def test_the_key_is_asked_for_before_the_body_is_looked_at(client):
    answer = client.post("/api/v1/events", data=b"x" * 2**20, content_type="text/plain")

    assert answer.status_code == 401


def test_the_scope_is_asked_for_before_the_body_is_looked_at(client, owner, make_key):
    api = Api(client, make_key(owner, "events:read"))

    assert api.post("/webhooks", b"{", Content_Type="text/plain").status_code == 403


def test_what_a_key_did_is_on_record_under_its_name(api, owner):
    from sqlalchemy import select

    from app.database import read
    from app.models import AuditEntry

    api.put("/business-units/north", {"name": "North"})

    with read() as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "business_unit.created")).all()
        assert (entry.actor, entry.address, entry.object_name) == ("API key test", "127.0.0.1", "North")
