"""Secrets planted wherever one can be entered, and then looked for in everything the server gives out."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from app import logs
from app.config import Settings
from app.crypto import load_keys
from app.database import read, write
from app.models import User
from app.services import api_keys, deliveries, inboxes, signing_secrets, webhooks
from app.services.scope import Actor
from tests.api.conftest import Api
from tests.support import rows
from tests.support.pages import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

PASSWORD, TOKEN, VALUE, OWN_HEADER = "canary-password", "canary-bearer", "canary-value", "canary-own-header"
AUTHS = (
    {"type": "basic", "username": "user", "password": PASSWORD},
    {"type": "bearer", "token": TOKEN},
    {"type": "header", "name": "X-Sign-In", "value": VALUE},
)


@dataclass(slots=True)
class Planted:
    """What nobody may see again, and whose it is."""

    canaries: dict[str, str]
    hooks: list[str]
    rows: list[str]
    events: list[str]
    inbox: str
    requests: list[str]
    key: str
    lines: list[str] = field(default_factory=list)

    def in_(self, output: bytes | str) -> list[str]:
        """The names of the canaries in an output."""
        data = output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output
        return [name for name, canary in self.canaries.items() if canary.encode() in data]


@pytest.fixture
def stderr_lines(capfd: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """The log of the process, as operators read it."""
    before = logs.logger.handlers, logs.logger.propagate
    logs.set_up("json")
    yield lambda: capfd.readouterr().err
    logs.logger.handlers, logs.logger.propagate = before
    assert sys.stderr is not None


@pytest.fixture
def planted(
    app: Flask,
    owner: Actor,
    ada: Person,
    database: Settings,
    receiver: Any,
    publish: Any,
    deliver: Any,
    make_webhook: Any,
    stderr_lines: Any,
) -> Planted:
    """Webhooks with every kind of secret, deliveries of theirs, failed and not, and what an inbox got of them."""
    with write() as session:
        session.scalars(select(User).where(User.public_id == owner.public_id)).one().is_operator = True
    hooks, secrets = [], {}
    for number, auth in enumerate(AUTHS):
        made = webhooks.create(
            owner,
            {
                "name": f"Hook {number}",
                "url": receiver.url,
                "auth": auth,
                "headers": {"X-Api-Key": OWN_HEADER, "X-Tenant-Token": OWN_HEADER},
                "retry": {"delays": [60], "timeout": 2, "jitter": 0},
            },
        )
        assert made.secret is not None
        secrets[f"signing secret {number}"] = made.secret.removeprefix("whsec_")
        webhooks.turn_on(owner, made.webhook.id)
        hooks.append(made.webhook.id)
    rotated = signing_secrets.rotate(owner, hooks[0], overlap_ms=3_600_000)
    key = api_keys.create(owner, "producer", ["admin"]).key
    receiver.answers(500, 200, 200)
    event = publish("job.created", b'{"id":42}')
    deliver()
    inbox = inboxes.create(owner, "Test inbox")
    for request in list(receiver.requests):  # what a test inbox gets of the same webhooks
        app.test_client().post(f"/in/{inbox.token}", data=request.body, headers=list(request.headers.items()))
    keys = load_keys(database)
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    return Planted(
        canaries={
            "password": PASSWORD,
            "basic pair": basic,
            "bearer token": TOKEN,
            "own sign-in header": VALUE,
            "own secret header": OWN_HEADER,
            **secrets,
            "rotated secret": rotated.secret.removeprefix("whsec_"),
            "API key": key.removeprefix("prk_")[8:],
            "session secret": str(app.config["SECRET_KEY"]),
            **{f"encryption key {n}": value for n, value in enumerate(keys.encryption)},
        },
        hooks=hooks,
        rows=[row.public_id for row in rows.deliveries()],
        events=[event.id],
        inbox=inbox.id,
        requests=[request.id for request in inboxes.requests(owner, inbox.id).items],
        key=key,
    )


def pages(planted: Planted) -> list[str]:
    """Every page on which something of a webhook, a delivery or a received request stands."""
    opened = "&".join(f"open={row}" for row in planted.rows)
    return [
        *[
            f"/webhooks/{hook}{part}"
            for hook in planted.hooks
            for part in ("", "/edit", "/signature", "/changes", "/test")
        ],
        *[f"/webhooks/new?copy={hook}" for hook in planted.hooks],
        *[f"/deliveries/{row}{part}" for row in planted.rows for part in ("", "?as=raw", "/edit-test", "/replay")],
        *[f"/deliveries/{row}/{part}" for row in planted.rows for part in ("curl", "curl?to=local", "body")],
        *[f"/deliveries/{row}/compare?a=1&b=1" for row in planted.rows],
        *[f"/inbox/{planted.inbox}?request={request}" for request in planted.requests],
        *[f"/events/{event}" for event in planted.events],
        *[f"/{page}" for page in ("webhooks", f"log?{opened}", "log.csv", "log.ndjson", "events", "audit", "api-keys")],
        *[
            f"/{page}"
            for page in ("settings", "system", "account", "members", "start", "help", "inbox", "search?q=canary")
        ],
    ]


def test_no_page_shows_a_secret(ada: Person, planted: Planted) -> None:
    assert len(planted.requests) == 6  # three webhooks, a test and an event each
    told, seen = {}, set()
    for path in pages(planted):
        answer = ada.look(path)
        seen.add(answer.status_code)
        if found := planted.in_(answer.data):
            told[path] = found

    assert told == {}
    assert seen <= {200, 302, 409}


def test_no_fragment_shows_a_secret(ada: Person, planted: Planted) -> None:
    opened = "&".join(f"open={row}" for row in planted.rows)
    paths = [
        f"/log/rows?{opened}",
        "/webhooks/list",
        *[f"/deliveries/{row}/live" for row in planted.rows],
        *[f"/webhooks/{hook}/overview" for hook in planted.hooks],
        *[f"/inbox/{planted.inbox}/received?request={request}" for request in planted.requests],
    ]

    answers = {path: ada.look(path, **{"HX-Request": "true"}) for path in paths}

    assert {answer.status_code for answer in answers.values()} == {200}
    assert {path: found for path, answer in answers.items() if (found := planted.in_(answer.data))} == {}


def test_no_preview_of_the_form_shows_what_is_stored(ada: Person, planted: Planted) -> None:
    told = {}
    for hook in planted.hooks:
        page = ada.look(f"/webhooks/{hook}/edit").text
        assert "••••" in page
        for aspect in ("body", "headers", "curl"):
            fields = {
                "webhook": hook,
                "show": aspect,
                "url": "http://127.0.0.1:4999/",
                "name": "X",
                "preset": "standard",
            }
            for answer in (ada.press("/webhooks/preview", **fields), ada.press_in_place("/webhooks/preview", **fields)):
                if found := planted.in_(answer.data):
                    told[hook, aspect] = found

    assert told == {}


def test_no_answer_of_the_api_holds_a_secret(app: Flask, planted: Planted) -> None:
    api = Api(app.test_client(), planted.key)
    answers = {
        path: api.get(path)
        for path in (
            "/webhooks",
            "/deliveries",
            "/events",
            *[f"/webhooks/{hook}" for hook in planted.hooks],
            *[f"/deliveries/{row}/attempts" for row in planted.rows],
            *[f"/events/{event}/explain" for event in planted.events],
        )
    }
    for hook in planted.hooks:
        answers[f"preview {hook}"] = api.post("/webhooks/preview", {"webhook": hook})
        answers[f"edit {hook}"] = api.patch(f"/webhooks/{hook}", {"name": "Other"})
        answers[f"disable {hook}"] = api.post(f"/webhooks/{hook}/disable")

    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 200} == {}
    assert {path: found for path, answer in answers.items() if (found := planted.in_(answer.data))} == {}


def test_a_response_header_that_is_a_credential_is_masked_on_page_and_api(
    app: Flask, ada: Person, owner: Actor, receiver: Any, make_webhook: Any, publish: Any, deliver: Any
) -> None:
    receiver.answers(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=canary-cookie\r\nX-Auth-Token: canary-token\r\nContent-Length: 0\r\n\r\n"
    )
    make_webhook(url=receiver.url)
    publish()
    deliver()
    row = rows.the_delivery()
    api = Api(app.test_client(), api_keys.create(owner, "k", ["admin"]).key)

    outputs = ada.look(f"/deliveries/{row.public_id}").text + api.get(f"/deliveries/{row.public_id}/attempts").text

    assert "Set-Cookie" in outputs
    assert "canary" not in outputs


def test_neither_log_lines_nor_audit_rows_hold_a_secret(
    app: Flask, ada: Person, owner: Actor, planted: Planted, stderr_lines: Any
) -> None:
    webhooks.edit(
        owner, planted.hooks[0], {"auth": {"type": "bearer", "token": TOKEN}, "headers": {"X-Api-Key": OWN_HEADER}}
    )
    Person(app.test_client()).sign_in("ada@acme.test", PASSWORD)
    app.test_client().get("/api/v1/webhooks", headers={"Authorization": f"Bearer {planted.key}x"})

    with read() as session:
        audited = repr(session.execute(text("SELECT * FROM audit_entry")).all())
    lines = stderr_lines()

    assert "webhook.edited" in audited
    assert '"outcome":"failed"' in lines
    assert "a sign-in was refused" in lines
    assert planted.in_(audited) == []
    assert planted.in_(lines) == []


def test_no_secret_lies_in_the_database_as_it_is(planted: Planted, database: Settings) -> None:
    tables = (
        "webhook",
        "signing_secret",
        "api_key",
        "inbox_request",
        "attempt",
        "sent_body",
        "delivery",
        "installation",
    )
    with read() as session:
        stored = {name: repr(session.execute(text(f"SELECT * FROM {name}")).all()) for name in tables}
    assert {name: found for name, kept in stored.items() if (found := planted.in_(kept))} == {}

    files = [path for path in database.data_dir.glob("postroom.db*") if path.is_file()]
    assert {path.name: found for path in files if (found := planted.in_(path.read_bytes()))} == {}


def test_the_one_page_that_shows_a_new_secret_shows_it_once(ada: Person, owner: Actor) -> None:
    ada.look("/api-keys/new")
    made = ada.press("/api-keys/new", name="once", scopes="events:write", expires="")

    first, again = ada.look(made.location).text, ada.look(made.location).text

    assert "prk_" in first
    shown = first.split("prk_", 1)[1].split("<", 1)[0]
    assert shown not in again


def test_a_masked_header_sent_back_keeps_its_value_and_a_new_host_is_not_told_it(
    owner: Actor, receiver: Any, deliver: Any, planted: Planted
) -> None:
    kept = webhooks.find(owner, planted.hooks[0]).settings["headers"]
    assert kept == {"X-Api-Key": "••••", "X-Tenant-Token": "••••"}
    webhooks.edit(owner, planted.hooks[0], {"headers": {**kept, "X-Env": "prod"}})
    receiver.requests.clear()
    deliveries.replay(owner, planted.rows[0], webhook=planted.hooks[0])
    deliver()
    sent = {name.lower(): value for name, value in receiver.requests[0].headers.items()}
    assert (sent["x-api-key"], sent["x-env"]) == (OWN_HEADER, "prod")

    with pytest.raises(Exception, match="can't be used") as refused:
        webhooks.edit(owner, planted.hooks[0], {"url": "http://127.0.0.1:4998/elsewhere"})

    assert any("enter X-Api-Key again" in problem.message for problem in refused.value.problems)


HOSTILE = "$(touch /tmp/postroom-was-here) `id` \"; echo pwned; \" 'x' ?token=abc"


def test_nothing_in_a_copied_command_is_run_by_the_shell(
    app: Flask, owner: Actor, planted: Planted, tmp_path: Any
) -> None:
    """A header that holds both a secret and what a shell would run; the command is run with a curl that prints."""
    import os
    import subprocess

    fake = tmp_path / "curl"
    fake.write_text(f"#!{sys.executable}\nimport sys, json\nprint(json.dumps(sys.argv[1:]))\n")
    fake.chmod(0o755)
    api = Api(app.test_client(), planted.key)
    hostile = {"name": "N", "url": "http://127.0.0.1:4999/", "headers": {"X-A": HOSTILE}, "auth": AUTHS[1]}
    command = api.post("/webhooks/preview", {"webhook": hostile}).json["curl"]

    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "POSTROOM_SECRET": "filled-in"},
        capture_output=True,
        text=True,
        check=True,
    )

    (line,) = ran.stdout.splitlines()
    arguments = json.loads(line)
    assert "Authorization: Bearer filled-in" in arguments
    (header,) = [one for one in arguments if one.startswith("X-A: ")]
    assert header.startswith("X-A: $(touch /tmp/postroom-was-here) `id` \"; echo pwned; \" 'x'")
    assert ran.stderr == ""
