"""Every page there is, asked for by everybody: nobody in particular, members without permissions, strangers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from app.core.access import ROLES, Permission
from app.database import write
from app.models import Role
from tests.web.browser import sign_in

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.routing import Rule

    from tests.support.pages import Person

PUBLIC = {"inboxes.take", "members.invited", "members.accept", "health.metrics", "health.healthz", "health.readyz"}
IDS = {
    "webhook": "whk_0",
    "public_id": "x_0",
    "number": 1,
    "name": "job.created",
    "token": "none",
    "filename": "app.css",
}


def pages_of(app: Flask) -> list[Rule]:
    """Every rule but the API's, static files and health."""
    return [
        rule
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith("/api/") and rule.endpoint not in {"static", "health.healthz", "health.readyz"}
    ]


def address_of(app: Flask, rule: Rule) -> str:
    """An address that the rule answers, with ids that nobody has."""
    values: dict[str, Any] = {}
    for name in rule.arguments:
        converter = type(rule._converters[name]).__name__
        values[name] = {"IntegerConverter": 1, "AnyConverter": "csv"}.get(converter, IDS.get(name, "x_0"))
    return app.url_map.bind("localhost").build(rule.endpoint, values)


def who_may(make_member: Any, organization: Any, permissions: frozenset[Permission]) -> Any:
    """A new member with exactly these permissions."""
    with write() as session:
        names = sorted(permissions)
        session.add(Role(organization_id=organization.id, name="Own", permissions=names, sees_everything=False))
    return make_member("pat", role="Own").actor


def test_every_view_says_who_may_use_it(app: Flask) -> None:
    silent = [
        rule.endpoint
        for rule in pages_of(app)
        if not hasattr(app.view_functions[rule.endpoint], "__access__") and not rule.endpoint.startswith("health")
    ]

    assert silent == []


def test_nobody_in_particular_gets_no_page_but_the_public_ones(app: Flask) -> None:
    client = app.test_client()
    let_in = []
    for rule in pages_of(app):
        access = getattr(app.view_functions[rule.endpoint], "__access__", None)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer = client.open(address_of(app, rule), method=method)
            refused = answer.status_code in {400, 401, 403, 404} or (
                answer.status_code in {302, 303} and "/login" in answer.headers["Location"]
            )
            if not refused and access not in {"public", "receiver"} and not rule.endpoint.startswith("health"):
                let_in.append((method, rule.rule, answer.status_code))

    assert let_in == []


def test_what_is_public_is_a_short_list(app: Flask) -> None:
    public = {
        rule.endpoint
        for rule in pages_of(app)
        if getattr(app.view_functions[rule.endpoint], "__access__", None) in {"public", "receiver"}
    }

    assert {name for name in public if name.partition(".")[0] not in {"setup", "sign_in", "password_resets"}} <= PUBLIC


def test_a_fragment_is_answered_401_and_never_with_the_page_to_sign_in(app: Flask) -> None:
    answer = app.test_client().get("/log/rows", headers={"HX-Request": "true"})

    assert answer.status_code == 401
    assert b"<form" not in answer.data


@pytest.mark.parametrize("permission", sorted(Permission))
def test_a_member_without_a_permission_opens_no_page_that_needs_it(
    app: Flask, permission: Permission, make_member: Any, organization: Any
) -> None:
    browser = sign_in(app, who_may(make_member, organization, frozenset(Permission) - {permission}))
    opened = []
    for rule in pages_of(app):
        access = getattr(app.view_functions[rule.endpoint], "__access__", None)
        if isinstance(access, frozenset) and access == {permission} and "GET" in (rule.methods or set()):
            answer = browser.get(address_of(app, rule))
            if answer.status_code not in {403, 404}:
                opened.append((rule.rule, answer.status_code))

    assert opened == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what it asks of a database, other tests ask of both
@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_a_role_opens_every_page_that_it_is_for_and_no_other(app: Flask, make_member: Any, role: str) -> None:
    """Every route and method by every built-in role: what isn't theirs is refused before anything is looked at."""
    browser = sign_in(app, make_member("pat", role=role).actor)
    token = re.search(r'name="csrf-token" content="([^"]+)"', browser.get("/account").text)[1]
    wrong = []
    for rule in pages_of(app):
        access = getattr(app.view_functions[rule.endpoint], "__access__", None)
        if access in ("public", "receiver") or rule.endpoint.startswith("health"):
            continue
        may = access == "signed in" or (isinstance(access, frozenset) and bool(access & browser.actor.permissions))
        path = address_of(app, rule)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            if method == "GET":
                code = browser.get(path).status_code
            elif not may:
                code = browser.send(path, token).status_code
            else:
                continue  # what is one's own to change is tried by the tests of each page
            expected = code != 403 if may else code == (404 if access == "operator" else 403)
            if not expected or code >= 500:
                wrong.append((method, rule.rule, code))

    assert wrong == []


def test_without_the_permission_nothing_of_webhooks_is_in_the_navigation(
    app: Flask, make_member: Any, organization: Any
) -> None:
    page = sign_in(app, who_may(make_member, organization, frozenset({Permission.DIRECTORY}))).get("/units").text

    assert 'href="/webhooks"' not in page
    assert 'href="/log"' not in page


def test_an_id_of_another_organization_is_answered_like_one_that_does_not_exist(
    app: Flask, make_webhook: Any, sam: Person
) -> None:
    webhook = make_webhook(url="http://127.0.0.1:4999/in")

    mine = sam.look(f"/webhooks/{webhook.id}")

    assert mine.status_code == 404
    assert sam.look("/webhooks/whk_0").status_code == 404


def test_a_form_from_another_site_is_refused(app: Flask, ada: Person) -> None:
    answer = app.test_client().post("/login", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code in {400, 403}


def test_pages_may_run_no_script_but_their_own(ada: Person) -> None:
    page = ada.look("/webhooks")
    policy = page.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert " style=" not in page.text
    assert "onclick" not in page.text
