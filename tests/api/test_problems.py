"""Errors: always a problem document, with what a client needs to act on it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from app.services import business_units, event_types
from tests.api.conftest import Api


def is_problem(answer, status: int) -> bool:
    document = answer.json
    assert answer.status_code == status, document
    assert answer.content_type == "application/problem+json"
    assert set(document) == {"type", "title", "status", "detail", "errors"}
    return document["status"] == status and bool(document["title"]) and bool(document["detail"])


@pytest.mark.parametrize("path", ["/nothing", "/events/x/y", "/webhooks/", "", "/events/%00", "/events/x%00/explain"])
def test_an_unknown_address_is_a_problem_document(api, path):
    assert is_problem(api.get(path), 404)


def test_a_method_that_is_not_there_names_those_that_are(api):
    answer = api.put("/events", {})

    assert is_problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_errors_outside_the_api_stay_pages(client):
    answer = client.get("/nothing")

    assert answer.status_code == 404
    assert answer.mimetype == "text/html"


def test_u_0000_in_a_query_is_refused(api):
    assert is_problem(api.get("/deliveries?webhook=%00"), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_json_that_cannot_be_read_is_a_bad_request(api, body):
    assert is_problem(api.post("/webhooks", body), 400)


@pytest.mark.parametrize(
    "body", [b"[]", b"7", b"null", b'"{\\"name\\": \\"a\\"}"', b'{"name":"a\\u0000b","url":"https://a.test/"}']
)
def test_anything_but_an_object_is_refused(api, body):
    assert is_problem(api.post("/webhooks", body), 422)


def test_a_backslash_before_u0000_is_just_text(api):
    answer = api.put("/business-units/north", b'{"name":"a\\\\u0000b"}')

    assert answer.json["name"] == "a\\u0000b"


@pytest.mark.parametrize("headers", [{"Content_Type": "text/json"}, {"Content_Encoding": "br"}])
def test_a_body_that_is_not_plain_json_is_refused(api, headers):
    assert is_problem(api.post("/webhooks", {}, **headers), 415)


def test_a_settings_body_over_1_mib_is_refused(api):
    assert is_problem(api.post("/webhooks", b'{"name":"' + b"x" * 2**20 + b'"}'), 413)


def test_fields_are_named_as_on_the_wire(api):
    body = {
        "name": 5,
        "url": "https://a.test/",
        "field_mapping": [{"field": "a", "property": "b"}, {"field": "a", "property": 7}],
        "retry": {"delays": [1, "x"]},
        "auth": {"type": "basic", "token": "t"},
        "colour": "red",
    }

    answer = api.post("/webhooks", body)

    assert is_problem(answer, 422)
    fields = {error["field"]: error["message"] for error in answer.json["errors"]}
    assert set(fields) == {"name", "field_mapping[1].property", "retry.delays[1]", "auth", "colour"}
    assert fields["colour"] == "There is no such field."
    assert fields["name"] == "Text was expected."
    assert fields["auth"] == "basic takes no token."


@pytest.mark.parametrize(
    ("member", "value"), [("verify_ssl", "true"), ("verify_ssl", 1), ("max_in_flight", "4"), ("max_in_flight", True)]
)
def test_text_is_not_taken_for_a_number_or_a_switch(api, member, value):
    answer = api.post("/webhooks", {"name": "a", "url": "https://a.test/", member: value})

    assert is_problem(answer, 422)
    assert answer.json["errors"][0]["field"] == member


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 5000])
def test_numbers_beyond_all_bounds_are_refused(api, number):
    body = b'{"name":"a","url":"https://a.test/","rate_limit":' + number + b"}"

    assert is_problem(api.post("/webhooks", body), 422)


def test_a_failure_nobody_expected_says_nothing_of_its_inside(api, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("whsec_secret")

    monkeypatch.setattr(event_types, "list_all", broken)

    answer = api.get("/event-types")

    assert is_problem(answer, 500)
    assert "whsec" not in answer.text


def test_a_database_that_is_away_is_a_reason_to_come_back(api, monkeypatch):
    def away(*_):
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(business_units, "list_all", away)

    answer = api.get("/business-units")

    assert is_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


def test_an_answer_asked_for_with_options_needs_a_key_too(client, owner, make_key):
    api = Api(client, make_key(owner))

    assert client.options("/api/v1/events").status_code == 401
    assert api.call("OPTIONS", "/events").status_code == 200
