"""publish: through the producers' client, to a server."""

from __future__ import annotations

import json

import pytest

from tests.support.receiver import answer

KEY = "prk_0a1b2c3dXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}


def accepted(**more):
    body = {
        "id": "evt_1",
        "type": "job.created",
        "duplicate": False,
        "deliveries": [{"state": "pending"}, {"state": "skipped"}],
        **more,
    }
    return answer(202, JSON, json.dumps(body).encode())


@pytest.fixture
def key_file(tmp_path):
    """A file with the key."""
    file = tmp_path / "key.txt"
    file.write_text(KEY + "\n", encoding="utf-8")
    return str(file)


@pytest.fixture
def publish(run, receiver, key_file):
    """Publish to the receiver."""

    def command(*arguments, **more):
        address = receiver.url.removesuffix("/hook")
        return run("publish", "--address", address, "--key-file", key_file, *arguments, **more)

    return command


def test_an_event_is_posted_with_the_key_and_told_in_words(publish, receiver):
    receiver.answers(accepted())

    told = publish("job.created", '{"id": 42}', "--id", "own-1", "--business-unit", "north")

    (request,) = receiver.requests
    assert told.stdout == "evt_1 published: 1 of 2 matching webhooks will get it.\n"
    assert (request.method, request.path) == ("POST", "/api/v1/events")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    posted = json.loads(request.body)
    assert posted == {"type": "job.created", "data": {"id": 42}, "id": "own-1", "business_unit": "north"}


def test_the_data_can_come_by_standard_input(publish, receiver):
    receiver.answers(accepted())

    told = publish("job.created", "-", input='{"name": "Žofie"}')

    assert told.exit_code == 0
    assert json.loads(receiver.requests[0].body)["data"] == {"name": "Žofie"}


def test_without_an_id_one_is_made_so_that_a_repeat_is_harmless(publish, receiver):
    receiver.answers(answer(503, {"Retry-After": "0"}), accepted(duplicate=True))

    told = publish("job.created", "{}")

    first, second = receiver.requests
    assert json.loads(first.body)["id"] == json.loads(second.body)["id"]
    assert told.stdout.startswith("evt_1 was published before")


def test_json_is_the_servers_answer(publish, receiver):
    receiver.answers(accepted())

    assert json.loads(publish("job.created", "{}", "--json").stdout)["deliveries"][1] == {"state": "skipped"}


def test_the_key_can_come_from_the_environment(run, receiver):
    receiver.answers(accepted())

    run("publish", "job.created", "{}", POSTROOM_API_KEY=KEY, POSTROOM_BASE_URL=receiver.url.removesuffix("/hook"))

    assert receiver.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_without_a_key_nothing_is_sent(run, receiver):
    refused = run("publish", "job.created", "{}", "--address", receiver.url.removesuffix("/hook"))

    assert refused.exit_code == 2
    assert "POSTROOM_API_KEY" in refused.stderr
    assert receiver.requests == []


@pytest.mark.parametrize("data", ["{", "[1]", "42", ""])
def test_what_is_no_json_object_is_not_sent(publish, receiver, data):
    assert publish("job.created", data).exit_code == 2
    assert receiver.requests == []


def test_a_refusal_is_told_in_the_servers_words(publish, receiver):
    problem = {
        "title": "Invalid",
        "detail": "Some of what was sent can't be used.",
        "errors": [{"field": "type", "message": "?"}],
    }
    receiver.answers(answer(422, PROBLEM, json.dumps(problem).encode()))

    refused = publish("job.none", "{}")

    assert refused.exit_code == 1
    assert "422 Some of what was sent can't be used. (type: ?)" in refused.stderr
    assert KEY not in refused.output


def test_a_server_that_is_not_there_is_told(run, key_file, receiver, monkeypatch):
    from app import client

    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    address = receiver.url.removesuffix("/hook")
    receiver.close()

    refused = run("publish", "job.created", "{}", "--address", address, "--key-file", key_file)

    assert refused.exit_code == 1
    assert f"{address} doesn't answer" in refused.stderr
