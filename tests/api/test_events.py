"""Publishing, and finding events again: through the door that producers use."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from sqlalchemy import select
from werkzeug.test import create_environ, run_wsgi_app

from app.database import read
from app.models import Delivery, Event
from app.services import business_units, event_types, intake, webhooks
from tests.api.conftest import Api

pytestmark = pytest.mark.usefixtures("job_created")
LIMIT = 256 * 1024


def event(**more):
    return {"type": "job.created", "data": {"id": 42}, **more}


def stored(public_id: str) -> Event:
    with read() as session:
        row = session.scalars(select(Event).where(Event.public_id == public_id)).one()
        session.expunge(row)
    return row


@pytest.fixture
def webhook(owner) -> str:
    """A webhook for every event, on."""
    made = webhooks.create(owner, {"name": "All", "url": "http://127.0.0.1:9999/in"})
    webhooks.turn_on(owner, made.webhook.id)
    return made.webhook.id


# --- one event


def test_a_published_event_is_kept_and_its_deliveries_are_named(api, webhook, clock):
    answer = api.post("/events", event())

    assert answer.status_code == 202
    assert answer.json["id"].startswith("evt_")
    assert answer.json["type"] == "job.created"
    assert answer.json["received_at"] == "2026-11-21T09:00:00.000Z"
    assert answer.json["duplicate"] is False
    [delivery] = answer.json["deliveries"]
    assert delivery["id"].startswith("dlv_")
    assert delivery == {"id": delivery["id"], "webhook": webhook, "state": "pending", "reason": None}


def test_a_delivery_that_will_not_be_sent_is_named_with_the_reason(api, owner, webhook):
    webhooks.turn_off(owner, webhook)

    answer = api.post("/events", event())

    [delivery] = answer.json["deliveries"]
    assert (delivery["state"], delivery["reason"]) == ("skipped", "webhook_off")


def test_an_event_that_matches_nothing_is_kept_all_the_same(api):
    answer = api.post("/events", event())

    assert answer.json["deliveries"] == []
    assert api.get(f"/events/{answer.json['id']}").status_code == 200


def test_every_member_of_an_event_is_kept(api, owner):
    business_units.put(owner, "north", "North")
    full = event(
        id="my-own-id-1",
        occurred_at="2026-11-21T10:00:00.1239+02:00",
        resource={"type": "job", "id": "42"},
        status="open",
        business_unit="north",
        public=False,
        visible_to=["Ada@acme.test"],
        context={"customer_id": "c-9"},
        previous={"id": 41},
    )

    public_id = api.post("/events", full).json["id"]

    shown = api.get(f"/events/{public_id}").json
    assert shown == {
        "id": public_id,
        "type": "job.created",
        "producer_id": "my-own-id-1",
        "received_at": "2026-11-21T09:00:00.000Z",
        "occurred_at": "2026-11-21T08:00:00.123Z",
        "resource": {"type": "job", "id": "42"},
        "status": "open",
        "business_unit": "north",
        "public": False,
        "visible_to": ["ada@acme.test"],
        "test": False,
        "warning": None,
        "data": {"id": 42},
        "context": {"customer_id": "c-9"},
        "diff": None,
        "deliveries": [],
    }


def test_a_public_event_goes_out_as_the_public_variant(api, owner):
    event_types.create(owner, {"name": "project.updated", "public_name": "project.public.updated"})

    answer = api.post("/events", {"type": "project.updated", "data": {}, "public": True})

    assert answer.json["type"] == "project.public.updated"


def test_null_counts_as_left_out_where_a_member_is_optional(api):
    answer = api.post("/events", event(id=None, status=None, resource=None, visible_to=None, context=None))

    assert answer.status_code == 202
    assert stored(answer.json["id"]).visible_to is None


def test_numbers_order_escapes_and_duplicates_are_kept_byte_for_byte(api):
    data = rb'{"z":1.50,"a":1e400,"n":123456789012345678901234567890,"e":"\u00e9\u0000","z":-0}'
    body = b'{ "type" : "job.created",\n "context": {"c": 1.00}, "data": ' + data.replace(b",", b" ,\t") + b"}"

    answer = api.post("/events", body)

    assert answer.status_code == 202
    row = stored(answer.json["id"])
    assert row.data == data
    assert row.context == b'{"c":1.00}'
    assert b'"data":' + data in api.get(f"/events/{answer.json['id']}").data


# --- idempotency


def test_the_same_id_again_is_answered_like_the_first_time_and_makes_nothing_new(api, webhook, clock):
    first = api.post("/events", event(id="once")).json
    clock.advance(seconds=60)

    again = api.post("/events", b'{"type":"job.created",  "data":{"id": 42},\n"id":"once"}')

    assert again.status_code == 202
    assert again.json == {**first, "duplicate": True}
    with read() as session:
        kinds = session.scalars(select(Delivery.kind).order_by(Delivery.id)).all()
    assert kinds == ["test", "normal"]


def test_the_same_id_with_another_body_is_a_conflict(api):
    api.post("/events", event(id="once"))

    answer = api.post("/events", {"type": "job.created", "data": {"id": 43}, "id": "once"})

    assert answer.status_code == 409
    assert answer.content_type == "application/problem+json"


def test_an_idempotency_key_does_what_an_id_does(api):
    first = api.post("/events", event(), Idempotency_Key="8e03978e-40d5")

    again = api.post("/events", event(), Idempotency_Key="8e03978e-40d5")
    other = api.post("/events", {"type": "job.created", "data": {"id": 1}}, Idempotency_Key="8e03978e-40d5")

    assert again.json == {**first.json, "duplicate": True}
    assert other.status_code == 409


def test_a_key_that_differs_from_the_id_is_refused(api):
    answer = api.post("/events", event(id="one"), Idempotency_Key="two")

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    assert api.post("/events", event(id="one"), Idempotency_Key="one").status_code == 202


def test_two_organizations_can_use_the_same_id(api, foreign, stranger):
    event_types.create(stranger, {"name": "job.created"})

    ours, theirs = api.post("/events", event(id="once")), foreign.post("/events", event(id="once"))

    assert (ours.status_code, theirs.status_code) == (202, 202)
    assert theirs.json["duplicate"] is False


def test_the_same_id_fifty_times_at_once_is_one_event(app, api, webhook):
    intake.intake.start(app.app_context)
    try:
        with ThreadPoolExecutor(10) as threads:
            calls = [threads.submit(Api(app.test_client(), api.key).post, "/events", event(id="x")) for _ in range(50)]
            answers = [call.result() for call in calls]
    finally:
        intake.intake.stop()
        intake.intake.__init__()

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert [answer.json["duplicate"] for answer in answers].count(False) == 1


# --- what is refused


BROKEN_RULES = [
    ("type", "job.deleted"),
    ("type", "job.created\r\nX: 1"),
    ("type", "*"),
    ("type", ""),
    ("type", 7),
    ("type", None),
    ("type", "t" * 200),
    ("data", [1]),
    ("data", "text"),
    ("data", None),
    ("id", "with.dot"),
    ("id", "with/slash"),
    ("id", "x" * 65),
    ("id", ""),
    ("id", "line\n"),
    ("id", 5),
    ("occurred_at", "yesterday"),
    ("occurred_at", "2026-02-30T00:00:00Z"),
    ("occurred_at", "2026-11-21"),
    ("occurred_at", "1969-12-31T23:59:59Z"),
    ("occurred_at", "9999-12-31T23:59:59-23:59"),
    ("occurred_at", 1795251600),
    ("resource.id", {"type": "job"}),
    ("resource.id", {"type": "job", "id": 42}),
    ("resource.type", {"type": "", "id": "42"}),
    ("resource.more", {"type": "job", "id": "42", "more": 1}),
    ("resource", "job"),
    ("status", "a\u0000b"),
    ("status", "x" * 201),
    ("status", 1),
    ("business_unit", "nowhere"),
    ("public", "true"),
    ("visible_to", "ada@acme.test"),
    ("visible_to[1]", ["ada@acme.test", 3]),
    ("visible_to", ["a@b"] * 1001),
    ("context", []),
    ("previous", 1),
    ("visibility", "all"),
]


def test_what_breaks_a_rule_is_refused_with_the_name_of_its_field(api):
    for member, value in BROKEN_RULES:
        name = member.partition(".")[0].partition("[")[0]

        answer = api.post("/events", {**event(), name: value})

        assert answer.status_code == 422, (member, value, answer.json)
        assert [error["field"] for error in answer.json["errors"]] == [member]
        assert answer.content_type == "application/problem+json"
    assert api.get("/events").json["items"] == []


def test_every_problem_is_named_at_once(api):
    answer = api.post("/events", {"id": "a.b", "status": 5})

    assert {error["field"] for error in answer.json["errors"]} == {"id", "status", "type", "data"}


def test_data_that_the_types_schema_rejects_is_refused(api, owner):
    schema = b'{"type":"object","required":["id"]}'
    event_types.create(
        owner, {"name": "strict.made", "schema": schema, "schema_mode": "reject", "example": b'{"id":1}'}
    )

    answer = api.post("/events", {"type": "strict.made", "data": {}})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"].startswith("data")


UNREADABLE = [
    b"",
    b"{",
    b'{"a":1}x',
    b"[]",
    b'"{}"',
    b"null",
    b"\xef\xbb\xbf{}",
    b'{"type":"job.created","data":{"a":NaN}}',
    b'{"type":"job.created","data":{"a":"\xff"}}',
    b'{"type":"job.created","data":{"a":"\\ud800"}}',
    b'{"type":"job.created","data":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    b'{"type":"job.created","data":' + b'{"a":' * 101 + b"1" + b"}" * 102,
    b'{"type":"job.created","data":{"a":01}}',
]


def test_text_that_no_receiver_could_read_is_refused(api):
    for body in UNREADABLE:
        answer = api.post("/events", body)

        assert answer.status_code == 422, (body[:60], answer.json)
        assert answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json; charset=latin-1"},
        {"Content_Type": "application/problem+json"},
        {"Content_Type": ""},
        {"Content_Encoding": "gzip"},
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(api, headers):
    assert api.post("/events", event(), **headers).status_code == 415


def test_a_charset_that_says_utf_8_is_no_reason_to_refuse(api):
    assert api.post("/events", event(), Content_Type="application/json;charset=UTF-8").status_code == 202


def padded(length: int) -> bytes:
    head, tail = b'{"type":"job.created","data":{"a":"', b'"}}'
    return head + b"x" * (length - len(head) - len(tail)) + tail


def test_256_kib_are_taken_and_one_byte_more_is_refused(api):
    assert api.post("/events", padded(LIMIT)).status_code == 202

    answer = api.post("/events", padded(LIMIT + 1))

    assert answer.status_code == 413
    assert "256 KiB" in answer.json["detail"]


class Endless(io.RawIOBase):
    """A body without an end, which counts what was read of it."""

    def __init__(self):
        self.given = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.given += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def test_a_body_without_an_end_is_read_no_further_than_the_limit(app, api):
    body = Endless()
    headers = {"Authorization": f"Bearer {api.key}", "Content-Type": "application/json"}
    environ = create_environ("/api/v1/events", method="POST", headers=headers)
    environ |= {"wsgi.input": io.BufferedReader(body, 4096), "wsgi.input_terminated": True}
    environ.pop("CONTENT_LENGTH", None)

    _, status, _ = run_wsgi_app(app, environ)

    assert status.startswith("413")
    assert LIMIT < body.given <= 2 * LIMIT


def test_nothing_is_published_while_the_server_stops(api):
    intake.intake.refuse()
    try:
        answer = api.post("/events", event())
    finally:
        intake.intake.__init__()

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


# --- batches


def test_the_good_ones_of_a_batch_are_kept_whatever_the_others_are(api, webhook):
    batch = [
        event(id="a"),
        {"type": "nothing", "data": {}},
        event(data=[]),
        7,
        event(id="a"),
        event(id="a", status="other"),
        event(data={"big": "x" * LIMIT}),
        event(),
    ]

    answer = api.post("/events/batch", {"events": batch})

    assert answer.status_code == 202
    results = answer.json["results"]
    assert [result["status"] for result in results] == [202, 422, 422, 422, 202, 409, 413, 202]
    assert results[0]["event"]["duplicate"] is False
    assert results[4]["event"] == {**results[0]["event"], "duplicate": True}
    assert results[1]["problem"]["errors"][0]["field"] == "type"
    assert results[1]["problem"]["status"] == 422
    assert len(api.get("/events?type=job.created").json["items"]) == 2


def test_a_batch_keeps_the_same_bytes_as_a_single_event(api):
    answer = api.post(
        "/events/batch", b'{"events":[ {"type":"job.created","id":"n", "data": {"a" : 1.50,"b":1e400}} ]}'
    )

    assert stored(answer.json["results"][0]["event"]["id"]).data == b'{"a":1.50,"b":1e400}'
    again = api.post("/events", b'{"type":"job.created","id":"n","data":{"a":1.50,"b":1e400}}')
    assert again.json["duplicate"] is True


def test_a_thousand_events_are_a_batch_and_one_more_is_not(api):
    assert api.post("/events/batch", {"events": [event()] * 1000}).status_code == 202
    assert api.post("/events/batch", {"events": [event()] * 1001}).status_code == 422
    assert api.post("/events/batch", {"events": []}).status_code == 422


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"events":{}}', b'{"events":[],"more":1}', b'{"events":[}', b"x"])
def test_what_is_no_batch_is_refused(api, body):
    assert api.post("/events/batch", body).status_code == 422


def test_one_event_that_is_too_deep_does_not_spoil_its_batch(api):
    deep = b'{"type":"job.created","data":' + b'{"a":' * 100 + b"1" + b"}" * 101
    fits = b'{"type":"job.created","data":' + b'{"a":' * 98 + b"1" + b"}" * 99

    answer = api.post("/events/batch", b'{"events":[' + deep + b"," + fits + b"]}")

    assert [result["status"] for result in answer.json["results"]] == [422, 202]


def test_a_batch_over_8_mib_is_refused(api):
    assert api.post("/events/batch", b'{"events":[' + b" " * 8 * 2**20 + b"]}").status_code == 413


def test_a_batch_takes_no_idempotency_key(api):
    assert api.post("/events/batch", {"events": [event()]}, Idempotency_Key="a").status_code == 422


# --- finding them again


def test_events_are_listed_newest_first_in_pages(api, clock):
    published = []
    for _ in range(5):
        published.insert(0, api.post("/events", event()).json["id"])
        clock.advance(ms=1)

    first = api.get("/events?limit=2").json
    second = api.get(f"/events?limit=2&cursor={first['next']}").json
    third = api.get(f"/events?limit=2&cursor={second['next']}").json

    pages = [[row["id"] for row in page["items"]] for page in (first, second, third)]
    assert [row for page in pages for row in page] == published
    assert third["next"] is None
    assert "data" not in first["items"][0]


def test_events_can_be_listed_by_type(api, owner):
    event_types.create(owner, {"name": "job.updated"})
    api.post("/events", event())
    updated = api.post("/events", {"type": "job.updated", "data": {}}).json["id"]

    assert [row["id"] for row in api.get("/events?type=job.updated").json["items"]] == [updated]


def test_an_event_is_shown_with_its_deliveries(api, webhook):
    published = api.post("/events", event()).json

    [delivery] = api.get(f"/events/{published['id']}").json["deliveries"]

    assert delivery == api.get(f"/deliveries/{delivery['id']}").json
    assert delivery["event"] == published["id"]


def test_for_every_webhook_it_is_said_what_became_of_an_event(api, owner, webhook, clock):
    other = webhooks.create(
        owner, {"name": "Other", "url": "http://127.0.0.1:9999/in", "events": ["estimate.*"]}
    ).webhook.id
    published = api.post("/events", event()).json
    clock.advance(seconds=1)
    later = webhooks.create(owner, {"name": "Z", "url": "http://127.0.0.1:9999/in"}).webhook.id

    found = {row["webhook"]: row for row in api.get(f"/events/{published['id']}/explain").json["items"]}

    delivery = published["deliveries"][0]["id"]
    assert found[webhook] == {
        "webhook": webhook,
        "name": "All",
        "outcome": "pending",
        "delivery": delivery,
        "reason": None,
        "also": [],
    }
    assert (found[other]["outcome"], found[other]["reason"]) == ("not_matched", "event_type_not_selected")
    assert found[later]["reason"] == "created_later"


def test_events_of_another_organization_are_not_there(api, foreign):
    public_id = api.post("/events", event()).json["id"]

    assert foreign.get(f"/events/{public_id}").status_code == 404
    assert foreign.get(f"/events/{public_id}/explain").status_code == 404
    assert foreign.get("/events").json == {"items": [], "next": None}
    assert foreign.post("/events", event()).status_code == 422, "the type is not theirs"


@pytest.mark.parametrize("query", ["limit=0", "limit=251", "limit=x", "cursor=x", "cursor=", "more=1"])
def test_a_query_that_cannot_be_read_is_refused(api, query):
    answer = api.get(f"/events?{query}")

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


def test_the_answer_is_json_and_is_not_stored_by_caches(api):
    answer = api.post("/events", event())

    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert orjson.loads(answer.data)
