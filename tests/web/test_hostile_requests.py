"""Requests as attackers make them: U+0000, forms of other sites, stale sessions, foreign hosts, huge bodies."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import create_app, logs
from app.database import read
from app.extensions import db
from app.models import Company
from app.services import api_keys, inboxes, sign_in
from tests.api.conftest import Api
from tests.conftest import PASSWORD
from tests.support.pages import Person
from tests.support.rows import all_of
from tests.web.test_access import address_of, pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from app.config import Settings
    from app.services.scope import Actor


# --- U+0000, which PostgreSQL keeps in no text


def test_no_page_breaks_on_u0000_in_its_address_or_query(app: Flask, ada: Person) -> None:
    broken = []
    for rule in pages_of(app):
        if "GET" not in (rule.methods or set()):
            continue
        path = address_of(app, rule)
        tried = [f"{path}?q=%00&webhook=a%00b&cursor=%00&org=%00&created=%00&request=%00&sent=%00"]
        tried += [path.rsplit("/", 1)[0] + "/x%00"] if rule.arguments else []
        broken += [
            (one, answer.status_code) for one in tried if (answer := ada.look(one)).status_code not in (400, 404)
        ]

    assert broken == []


def test_no_form_breaks_on_u0000(app: Flask, ada: Person) -> None:
    ada.look("/account")
    broken = []
    for rule in pages_of(app):
        access = getattr(app.view_functions[rule.endpoint], "__access__", None)
        if "POST" in (rule.methods or set()) and access != "receiver":
            path = address_of(app, rule)
            answer = ada.press(path, name="a\0b", email="a\0@b.test", password="\0", url="https://a.com/\0", q="\0")
            if answer.status_code not in (400, 403, 404):
                broken.append((path, answer.status_code))

    assert broken == []


def test_a_file_with_u0000_breaks_nothing(ada: Person, make_unit: Any) -> None:
    make_unit("north")
    ada.look("/units/north/import")
    for row in (b"co-1,A\0B,x", b"c\0o,A,x", b"co-1,A,x\0"):
        for more in ({}, {"apply": "1"}):
            file = (io.BytesIO(b"id,name,region\n" + row), "companies.csv")
            answer = ada.press("/units/north/import", file=file, **more)
            assert answer.status_code < 500, row
    assert all("\0" not in repr(company) for company in all_of(Company))


def test_no_call_breaks_on_u0000(app: Flask, owner: Actor) -> None:
    api = Api(app.test_client(), api_keys.create(owner, "k", ["admin"]).key)
    api.post("/event-types", {"name": "job.created"})
    event: dict[str, Any] = {"type": "job.created", "data": {"kept": "\0"}}
    answers = {
        "data": api.post("/events", event),
        **{
            name: api.post("/events", {**event, name: value})
            for name, value in {
                "status": "a\0",
                "business_unit": "\0",
                "resource": {"type": "job", "id": "\0"},
                "visible_to": ["\0@b.test"],
                "id": "a\0",
                "context": {"a": "\0"},
                "previous": {"a": "\0"},
            }.items()
        },
        "batch": api.post("/events/batch", {"events": [{**event, "status": "\0"}]}),
        "type": api.post("/event-types", {"name": "a.b", "title": "\0"}),
        "unit": api.put("/business-units/u", {"name": "\0"}),
        "path": api.get("/webhooks/%00"),
        "query": api.get("/deliveries?webhook=%00"),
        "key": Api(app.test_client(), "prk_\0").get("/webhooks"),
    }

    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code >= 500} == {}
    assert answers["data"].status_code == 202


def test_half_a_character_breaks_no_call(app: Flask, owner: Actor) -> None:
    """A lone surrogate is JSON, and no text that a database keeps."""
    api = Api(app.test_client(), api_keys.create(owner, "k", ["admin"]).key)
    api.post("/event-types", {"name": "job.created"})
    bodies = {
        "/events": b'{"type":"job.created","data":{},"status":"\\ud800"}',
        "/event-types": b'{"name":"a.b","title":"\\ud800"}',
        "/webhooks": b'{"name":"\\ud800","url":"https://a.com/"}',
    }

    assert {path for path, body in bodies.items() if api.post(path, body).status_code not in (400, 422)} == set()


# --- looking changes nothing


def everything() -> dict[str, list[str]]:
    with read() as session:
        names = [table.name for table in db.metadata.sorted_tables if table.name not in ("worker",)]
        return {name: sorted(map(repr, session.execute(text(f"SELECT * FROM {name}")))) for name in names}


def test_looking_at_every_page_changes_no_row(app: Flask, ada: Person, owner: Actor) -> None:
    before = everything()
    for rule in pages_of(app):
        # What the test inbox is sent is kept, and who exported what is on record.
        if "GET" in (rule.methods or set()) and rule.endpoint not in ("inboxes.take", "deliveries.export"):
            ada.look(address_of(app, rule))
            ada.look(address_of(app, rule), **{"HX-Request": "true"})

    after = everything()

    assert [name for name in before if before[name] != after[name]] == []


def test_every_form_needs_a_token_of_this_session(app: Flask, ada: Person, sam: Person) -> None:
    client = app.test_client()
    Person(client).sign_in("ada@acme.test", PASSWORD)
    taken = []
    for rule in pages_of(app):
        access = getattr(app.view_functions[rule.endpoint], "__access__", None)
        for method in sorted((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}):
            if access == "receiver":
                continue
            for data in ({}, {"csrf_token": sam._token}):
                answer = Person(client)._send(client.open, address_of(app, rule), method=method, data=data)
                if answer.status_code != 400:
                    taken.append((method, rule.rule, answer.status_code))

    assert taken == []


def test_a_form_of_another_site_is_refused_even_with_the_token(ada: Person) -> None:
    ada.look("/account")
    fields = {"csrf_token": ada._token, "name": "X"}
    for name, value in (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost.evil.example"),
    ):
        answer = ada._send(ada._client.post, "/account/name", data=fields, headers={name: value})
        assert answer.status_code == 403, value


def test_the_api_looks_at_no_session(app: Flask, ada: Person) -> None:
    answer = ada.look("/api/v1/webhooks")

    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


# --- where one is sent on to

AWAY = (
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "https://evil.example",
    "\\\\evil.example",
)
AWAY += (
    "javascript:alert(1)",
    " //evil.example",
    "/\r\nSet-Cookie: a=b",
    "///evil.example",
    "evil.example",
    "%2F%2Fevil.example",
)


def test_signing_in_leads_to_this_site_only(app: Flask, owner: Actor) -> None:
    for address in AWAY:
        person = Person(app.test_client())
        person.look("/login")
        answer = person.press("/login", email="ada@acme.test", password=PASSWORD, next=address)
        assert (answer.status_code, answer.location) == (303, "/"), address
        assert person._send(person._client.get, "/login", query_string={"next": address}).location == "/"


def test_going_back_leads_to_this_site_only(ada: Person, make_webhook: Any, publish: Any) -> None:
    make_webhook(url="http://127.0.0.1:4999/")
    delivery = publish().deliveries[0].id
    for address in AWAY:
        page = ada._send(ada._client.get, f"/deliveries/{delivery}/cancel", query_string={"back": address})
        answer = ada.press(f"/deliveries/{delivery}/cancel", back=address)
        assert f'href="/deliveries/{delivery}"' in page.text, address
        assert "evil" not in page.text
        assert answer.location == f"/deliveries/{delivery}"


def test_signing_in_leads_to_the_page_that_was_asked_for(app: Flask, owner: Actor) -> None:
    person = Person(app.test_client())
    asked = person.look("/log?state=failed&q=a%20b").location
    person.look(asked)

    answer = person.press(asked, email="ada@acme.test", password=PASSWORD)

    assert answer.location == "/log?state=failed&q=a%20b"


def test_the_page_one_came_from_is_followed_only_when_it_is_ours(ada: Person) -> None:
    ada.look("/account")
    for referrer in ("https://evil.example/", "http://localhost.evil.example/", "//evil.example"):
        answer = ada._send(
            ada._client.post,
            "/account/prefer",
            data={"csrf_token": ada._token, "theme": "dark"},
            headers={"Referer": referrer},
        )
        assert answer.location == "/account"


# --- sessions


def cookie_of(answer: Any) -> str:
    return next(line for line in answer.headers.getlist("Set-Cookie") if "postroom=" in line)


def test_signing_in_starts_a_session_that_has_nothing_of_the_one_before(app: Flask, owner: Actor) -> None:
    """Whoever planted a session before learns nothing of the one after (session fixation)."""
    client = app.test_client()
    with client.session_transaction() as planted:
        planted["planted"] = "x"
        planted["organization"] = "org_of_the_attacker"
    person = Person(client)
    person.sign_in("ada@acme.test", PASSWORD)
    person.look("/account")

    with client.session_transaction() as session:
        assert "planted" not in session
        assert session["organization"] != "org_of_the_attacker"


def test_signing_out_everywhere_ends_a_copied_cookie_and_keeps_ones_own(app: Flask, owner: Actor, ada: Person) -> None:
    thief = Person(app.test_client())
    thief.sign_in("ada@acme.test", PASSWORD)
    assert thief.look("/account").status_code == 200
    ada.look("/account")

    ada.press("/account/sign-out-everywhere")

    assert thief.look("/account").status_code == 302
    assert ada.look("/account").status_code == 200


def test_a_session_ends_when_idle_and_at_its_end_whatever_is_done(app: Flask, owner: Actor, clock: Any) -> None:
    idle, busy = Person(app.test_client()), Person(app.test_client())
    idle.sign_in("ada@acme.test", PASSWORD)
    busy.sign_in("ada@acme.test", PASSWORD)
    for turn in range(23):
        clock.advance(seconds=7.3 * 3600)
        idle.look("/webhooks/list", **{"HX-Request": "true"})  # polling is not using
        busy.look("/account")
        if turn == 1:
            assert idle.look("/account").status_code == 302  # 14.6 h after it was used
            assert busy.look("/account").status_code == 200
    clock.advance(seconds=3600)

    assert busy.look("/account").status_code == 302  # after 7 days, used until an hour ago


def test_being_disabled_ends_the_session(app: Flask, owner: Actor, max_: Person) -> None:
    assert max_.look("/account").status_code == 200

    sign_in.reset_password("max@acme.test", "nine purple boats")

    assert max_.look("/account").status_code == 302


@pytest.fixture
def https_app(database: Settings, app: Flask) -> Iterator[Flask]:
    """The same database behind https://hooks.acme.test."""
    made = create_app(replace(database, base_url="https://hooks.acme.test"))
    made.testing = True
    yield made
    with made.app_context():
        for engine in db.engines.values():
            engine.dispose()


def test_on_https_the_cookie_is_for_this_host_alone_and_out_of_reach(https_app: Flask, owner: Actor) -> None:
    client = https_app.test_client()
    answer = client.get("/login", base_url="https://hooks.acme.test")
    cookie = cookie_of(answer)

    assert cookie.startswith("__Host-postroom=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_every_page_says_how_browsers_are_to_treat_it(ada: Person) -> None:
    for path in ("/webhooks", "/nowhere", "/login"):
        headers = ada.look(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


# --- hosts, health, metrics


def test_a_foreign_host_is_refused(https_app: Flask, owner: Actor) -> None:
    for host in ("evil.example", "hooks.acme.test.evil.example", "evil.example:443", "169.254.169.254", "a b", "[::1"):
        for path in ("/login", "/api/v1/webhooks", "/healthz"):
            answer = https_app.test_client().get(path, headers={"Host": host})
            assert answer.status_code == 400, (host, path)
            assert host not in answer.text or path.startswith("/api/"), host  # a problem document may repeat it


def test_health_answers_under_the_names_a_container_asks_by(https_app: Flask) -> None:
    for host in ("127.0.0.1:8300", "localhost:8300", "127.0.0.1", "hooks.acme.test"):
        for path in ("/healthz", "/readyz"):
            assert https_app.test_client().get(path, headers={"Host": host}).status_code in (200, 503), host


def test_figures_are_for_this_machine_or_a_key_and_not_for_what_a_proxy_passes_on(
    https_app: Flask, app: Flask, owner: Actor
) -> None:
    client = https_app.test_client()
    local = {"REMOTE_ADDR": "127.0.0.1"}

    assert client.get("/metrics", headers={"Host": "127.0.0.1:8300"}, environ_base=local).status_code == 200
    assert client.get("/metrics", headers={"Host": "hooks.acme.test"}, environ_base=local).status_code == 401
    assert (
        client.get("/metrics", headers={"Host": "127.0.0.1"}, environ_base={"REMOTE_ADDR": "10.1.1.1"}).status_code
        == 401
    )
    weak, strong = (api_keys.create(owner, name, [name]).key for name in ("events:read", "admin"))
    asked = {"Host": "hooks.acme.test"}
    assert client.get("/metrics", headers={**asked, "Authorization": f"Bearer {weak}"}).status_code == 403
    assert client.get("/metrics", headers={**asked, "Authorization": f"Bearer {strong}"}).status_code == 200


# --- sizes and failures


def test_a_huge_form_is_refused(app: Flask, ada: Person) -> None:
    ada.look("/account")

    assert ada.press("/account/name", name="x" * (2 * 2**20)).status_code == 413
    nobody = app.test_client()
    assert nobody.post("/login", data=b"a=1&" * 2**19 + b"b").status_code in (400, 413)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert nobody.post("/login", data=b"a=1&" * (2**19 + 1), headers=form).status_code == 413


def test_an_inbox_keeps_a_part_of_what_is_too_long_and_refuses_what_is_huge(app: Flask, owner: Actor) -> None:
    inbox = inboxes.create(owner, "Test inbox")
    client = app.test_client()

    assert client.post(f"/in/{inbox.token}", data=b"x" * (9 * 2**20 + 1)).status_code == 413
    assert client.post(f"/in/{inbox.token}", data=b"x" * 2**20).status_code == 200
    assert len(inboxes.requests(owner, inbox.id).items[0].body) == inboxes.KEPT_BYTES


def test_what_breaks_is_told_by_a_number_and_no_trace(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("canary in an error")

    app.testing = False
    monkeypatch.setitem(app.view_functions, "account.index", broken)
    broken.__access__ = "signed in"  # type: ignore[attr-defined]
    monkeypatch.setattr(logs.logger, "handlers", [])

    for headers in ({}, {"HX-Request": "true"}):
        answer = ada.look("/account", **headers)
        assert answer.status_code == 500
        assert "canary" not in answer.text
        assert "Traceback" not in answer.text
        assert "Content-Security-Policy" in answer.headers


def test_without_its_database_a_page_says_so(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT canary", {}, Exception("connection refused"))

    app.testing = False
    monkeypatch.setattr(logs.logger, "handlers", [])
    monkeypatch.setattr(db.session, "scalar", away)
    monkeypatch.setattr(db.session, "scalars", away)
    monkeypatch.setattr(db.session, "execute", away)

    answer = ada.look("/webhooks")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "canary" not in answer.text
