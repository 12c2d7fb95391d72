"""Webhooks through the API."""

from __future__ import annotations

import pytest

from app.core.redaction import MASK

URL = "http://127.0.0.1:9999/in"


@pytest.fixture
def make(api):
    """Make a webhook through the API and return the answer."""

    def made(**settings):
        answer = api.post("/webhooks", {"name": "Billing", "url": URL, **settings})
        assert answer.status_code == 201, answer.json
        return answer.json

    return made


def test_a_webhook_needs_a_name_and_a_url_and_the_preset_fills_in_the_rest(api, clock):
    answer = api.post("/webhooks", {"name": "Billing", "url": URL})

    assert answer.status_code == 201
    made = answer.json
    assert answer.headers["Location"].endswith(f"/api/v1/webhooks/{made['id']}")
    assert made.pop("id").startswith("whk_")
    assert made.pop("secret").startswith("whsec_")
    assert made == {
        "name": "Billing",
        "url": URL,
        "preset": "standard",
        "events": ["*"],
        "business_units": [],
        "owner": "ada@acme.test",
        "auth": {"type": "none"},
        "content_type": "application/json",
        "verify_ssl": True,
        "data_mode": "everything",
        "extra_fields": [],
        "field_mapping": [],
        "only_mapped_fields": False,
        "headers": {},
        "filter": None,
        "signature": {"scheme": "standard", "header": None},
        "retry": {
            "delays": [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
            "timeout": 15,
            "jitter": 0.2,
            "on_exhausted": "keep",
        },
        "rate_limit": None,
        "max_in_flight": 4,
        "ordered": False,
        "success_codes": ["2xx"],
        "ca": None,
        "client_certificate": None,
        "alert_addresses": [],
        "enabled": False,
        "paused": False,
        "off_reason": "new",
        "switched_at": None,
        "created_at": "2026-11-21T09:00:00.000Z",
        "updated_at": "2026-11-21T09:00:00.000Z",
        "version": 1,
        "failing_since": None,
        "last_success_at": None,
        "last_error": None,
        "next_probe_at": None,
        "test_delivery": None,
    }


def test_every_setting_of_a_webhook_comes_back_as_it_was_given(api):
    api.put("/business-units/north", {"name": "North"})
    for name in ("job.created", "estimate.created"):
        api.post("/event-types", {"name": name, "example": {"customer": {"name": "a"}, "internal_note": "b"}})
    settings = {
        "name": "Billing",
        "url": URL,
        "preset": "standard",
        "events": ["estimate.*", "job.created"],
        "business_units": ["north"],
        "owner": "ada@acme.test",
        "content_type": "application/json",
        "verify_ssl": False,
        "data_mode": "everything",
        "extra_fields": ["region", "vat_number"],
        "field_mapping": [
            {"field": "customer.name", "property": "client"},
            {"field": "internal_note", "property": None},
        ],
        "only_mapped_fields": False,
        "headers": {"X-Env": "prod"},
        "filter": "customer.name",
        "signature": {"scheme": "standard", "header": None},
        "retry": {"delays": [5, 300], "timeout": 15, "jitter": 0.2, "on_exhausted": "disable"},
        "rate_limit": 12.5,
        "max_in_flight": 7,
        "ordered": True,
        "success_codes": ["2xx", "302"],
        "alert_addresses": ["ops@acme.test"],
    }

    made = api.post("/webhooks", settings).json

    shown = api.get(f"/webhooks/{made['id']}").json
    assert {name: shown[name] for name in settings} == settings
    assert shown["waiting"] == 0
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ({"type": "basic", "username": "", "password": "p4ssw0rd"}, "password"),
        ({"type": "bearer", "token": "t0ken"}, "token"),
        ({"type": "header", "name": "X-Key", "value": "v4lue"}, "value"),
    ],
)
def test_secrets_never_come_back_and_stay_when_they_are_sent_back_masked(api, make, auth, secret):
    made = make(auth=auth)
    masked = {**auth, secret: MASK}

    assert made["auth"] == masked
    path = f"/webhooks/{made['id']}"
    for answer in (api.get(path), api.get("/webhooks"), api.patch(path, {"auth": masked, "name": "Other"})):
        assert auth[secret] not in answer.text
        assert made["secret"] not in answer.text
    moved = api.patch(path, {"url": "http://127.0.0.1:9998/in"})
    assert moved.status_code == 422, "a changed host must be given the secret again"
    assert moved.json["errors"][0]["field"] == f"auth.{secret}"
    assert api.patch(path, {"url": "http://127.0.0.1:9998/in", "auth": auth}).status_code == 200


def test_what_is_given_is_changed_and_all_else_stays(api, make, clock):
    made = make(headers={"X-Env": "prod"})
    clock.advance(seconds=1)

    edited = api.patch(f"/webhooks/{made['id']}", {"retry": {"timeout": 3}, "rate_limit": 5})

    assert edited.status_code == 200
    changed = {name for name in edited.json if edited.json[name] != made[name]}
    assert changed == {"retry", "rate_limit", "updated_at", "version", "secret"}
    assert edited.json["retry"] == {**made["retry"], "timeout": 3}
    assert edited.json["secret"] is None


def test_a_webhook_that_is_signed_from_now_on_gets_a_secret(api, make):
    made = make(preset="jobs", url="https://127.0.0.1:9999/in")
    assert made["secret"] is None

    edited = api.patch(f"/webhooks/{made['id']}", {"signature": {"scheme": "standard"}})

    assert edited.json["secret"].startswith("whsec_")


def test_an_edit_of_something_that_was_changed_meanwhile_is_a_conflict(api, make):
    made = make()
    path = f"/webhooks/{made['id']}"

    assert api.patch(path, {"name": "First", "version": made["version"]}).status_code == 200
    clash = api.patch(path, {"name": "Second", "version": made["version"]})
    assert (clash.status_code, clash.json["current"]["name"]) == (409, "First")
    assert api.get(path).json["name"] == "First"
    assert api.patch(path, {"name": "Second", "version": clash.json["current"]["version"]}).status_code == 200


BROKEN_RULES = [
    ({"url": "file:///etc/passwd"}, "url"),
    ({"url": "http://10.0.0.1/"}, "url"),
    ({"url": "https://user:p@127.0.0.1/"}, "url"),
    ({"name": ""}, "name"),
    ({"preset": "nothing"}, "preset"),
    ({"preset": "jobs"}, "url"),
    ({"preset": "reporting", "url": "https://127.0.0.1/"}, "business_units"),
    ({"events": []}, "events"),
    ({"events": ["job.created"]}, "events"),
    ({"business_units": ["nowhere"]}, "business_units"),
    ({"owner": "nobody@acme.test"}, "owner"),
    ({"auth": {"type": "basic", "username": "a:b"}}, "auth.username"),
    ({"auth": {"type": "digest"}}, "auth.type"),
    ({"auth": {}}, "auth.type"),
    ({"content_type": "text/xml"}, "content_type"),
    ({"data_mode": "some"}, "data_mode"),
    ({"headers": {"Host": "a"}}, "headers"),
    ({"headers": {"X-A": 5}}, "headers.X-A"),
    ({"headers": [["X-A", "b"]]}, "headers"),
    ({"filter": "a["}, "filter"),
    ({"signature": {"scheme": "nothing"}}, "signature.scheme"),
    ({"signature": {"key": "k"}}, "signature.key"),
    ({"retry": {"timeout": 0}}, "retry.timeout"),
    ({"retry": {"delays": [-1]}}, "retry.delays[0]"),
    ({"retry": {"on_exhausted": "explode"}}, "retry.on_exhausted"),
    ({"retry": None}, "retry"),
    ({"rate_limit": 0}, "rate_limit"),
    ({"max_in_flight": 0}, "max_in_flight"),
    ({"max_in_flight": 10**30}, "max_in_flight"),
    ({"success_codes": []}, "success_codes"),
    ({"field_mapping": [{"field": "a"}]}, "field_mapping[0].property"),
    (
        {"field_mapping": [{"field": "a", "property": "x"}, {"field": "b", "property": "x"}]},
        "field_mapping[1].property",
    ),
    ({"ca": "no certificate"}, "ca"),
    ({"alert_addresses": ["nobody"]}, "alert_addresses"),
    ({"organization_id": 1}, "organization_id"),
    ({"id": "whk_mine"}, "id"),
    ({"paused": True}, "paused"),
]


def test_a_setting_that_breaks_a_rule_is_refused_with_its_name(api):
    for given, field in BROKEN_RULES:
        answer = api.post("/webhooks", {"name": "Billing", "url": URL, **given})

        assert answer.status_code == 422, (given, answer.json)
        assert field in {error["field"] for error in answer.json["errors"]}
    assert api.get("/webhooks").json["items"] == []


def test_webhooks_are_listed_in_pages(api, make):
    ids = [make(name=f"Hook {5 - number}")["id"] for number in range(5)]

    first = api.get("/webhooks?limit=3").json
    second = api.get(f"/webhooks?limit=3&cursor={first['next']}").json

    assert [row["id"] for row in first["items"] + second["items"]] == ids
    assert second["next"] is None


def test_turning_on_sends_a_test_and_turning_off_says_what_is_under_way(api, make):
    path = f"/webhooks/{make()['id']}"

    on = api.post(f"{path}/enable")
    again = api.post(f"{path}/enable")
    off = api.post(f"{path}/disable")

    assert (on.status_code, on.json["enabled"], on.json["off_reason"]) == (200, True, None)
    assert api.get(f"/deliveries/{on.json['test_delivery']}").json["kind"] == "test"
    assert again.json["test_delivery"] is None
    assert (off.status_code, off.json["enabled"], off.json["off_reason"]) == (200, False, "by_person")
    assert off.json["in_flight"] == 0


def test_a_webhook_can_be_on_from_the_start_and_be_switched_by_an_edit(api, make):
    made = make(enabled=True)
    assert (made["enabled"], made["test_delivery"][:4]) == (True, "dlv_")

    edited = api.patch(f"/webhooks/{made['id']}", {"enabled": False})

    assert edited.json["enabled"] is False


def test_what_waits_is_kept_when_it_is_turned_off_or_canceled_when_asked_for(api, make, job_created):
    made = make(enabled=True)
    path = f"/webhooks/{made['id']}"
    [delivery] = api.post("/events", {"type": job_created, "data": {}}).json["deliveries"]

    api.post(f"{path}/disable")
    assert api.get(f"/deliveries/{delivery['id']}").json["state"] == "pending"

    answer = api.post(f"{path}/disable", {"cancel_waiting": True})

    assert answer.status_code == 200
    shown = api.get(f"/deliveries/{delivery['id']}").json
    assert (shown["state"], shown["reason"]) == ("canceled", "webhook_off")


def test_pausing_holds_and_resuming_goes_on(api, make, job_created):
    path = f"/webhooks/{make(enabled=True)['id']}"

    paused = api.post(f"{path}/pause")
    [delivery] = api.post("/events", {"type": job_created, "data": {}}).json["deliveries"]
    resumed = api.post(f"{path}/resume")

    assert (paused.json["paused"], resumed.json["paused"]) == (True, False)
    assert delivery["state"] == "pending"


def test_a_deleted_webhook_is_gone_and_its_deliveries_stay_in_the_log(api, make, job_created):
    made = make(enabled=True)
    [delivery] = api.post("/events", {"type": job_created, "data": {}}).json["deliveries"]

    answer = api.delete(f"/webhooks/{made['id']}")

    assert (answer.status_code, answer.json) == (200, {"in_flight": 0})
    assert api.get(f"/webhooks/{made['id']}").status_code == 404
    shown = api.get(f"/deliveries/{delivery['id']}").json
    assert (shown["state"], shown["reason"]) == ("canceled", "webhook_deleted")


def test_a_test_payload_is_sent_while_the_webhook_is_off(api, make, receiver, deliver):
    made = make(url=receiver.url)

    answer = api.post(f"/webhooks/{made['id']}/test")

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["event_type"]) == ("test", "webhook.test")
    assert answer.json["attempts_allowed"] == 1
    deliver()
    assert api.get(f"/deliveries/{answer.json['id']}").json["state"] == "delivered"
    assert b'"test":true' in receiver.requests[0].body


def test_a_test_can_send_an_example_or_a_past_event(api, make, receiver, deliver, job_created):
    path = f"/webhooks/{make(url=receiver.url)['id']}/test"
    event = api.post("/events", b'{"type":"job.created","data":{"total":1.50}}').json["id"]

    api.post(path, {"event_type": job_created})
    deliver()
    api.post(path, {"event": event})
    deliver()

    example, past = receiver.requests
    assert b'"data":{"id":42}' in example.body
    assert b'"data":{"total":1.50}' in past.body


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 202),
        (b"{}", 202),
        (b"[]", 422),
        (b"{", 400),
        (b'{"event_type":"nothing"}', 422),
        (b'{"event":"evt_nothing"}', 404),
        (b'{"event":"a","event_type":"b"}', 422),
        (b'{"more":1}', 422),
    ],
)
def test_the_body_of_a_test_may_be_left_out_but_not_be_wrong(api, make, body, status):
    assert api.post(f"/webhooks/{make()['id']}/test", body).status_code == status


def test_a_body_that_may_be_left_out_is_plain_json_when_it_is_there(api, make):
    path = f"/webhooks/{make()['id']}/test"

    assert api.post(path, b"{}", Content_Type="text/plain").status_code == 415
    assert api.post(path, b'{"event_type":"' + b"x" * 2**20 + b'"}').status_code == 413


def test_tests_are_limited_to_ten_a_minute(api, make):
    path = f"/webhooks/{make()['id']}/test"
    answers = [api.post(path) for _ in range(11)]

    assert [answer.status_code for answer in answers[:10]] == [202] * 10
    assert answers[10].status_code in {429, 503}
    assert answers[10].headers["Retry-After"] == "60"


def test_a_rotated_secret_is_shown_once_with_the_end_of_the_previous_one(api, make):
    made = make()
    path = f"/webhooks/{made['id']}/secret/rotate"

    rotated = api.post(path)
    short = api.post(path, {"overlap": 0})

    assert rotated.json["secret"].startswith("whsec_")
    assert rotated.json["secret"] not in (made["secret"], short.json["secret"])
    assert rotated.json["previous_valid_until"] == "2026-11-22T09:00:00.000Z"
    assert short.json["previous_valid_until"] == "2026-11-21T09:00:00.000Z"
    assert api.post(path, {"overlap": 604_801}).status_code == 422


def test_an_unsigned_webhook_has_no_secret_to_rotate(api, make):
    made = make(signature={"scheme": "none"})

    assert api.post(f"/webhooks/{made['id']}/secret/rotate").status_code == 409


# --- preview


def test_the_preview_of_a_saved_webhook_is_the_request_it_would_send(api, make, job_created, receiver, deliver):
    made = make(url=receiver.url, auth={"type": "bearer", "token": "t0ken"}, headers={"X-Env": "prod"}, enabled=True)
    event = api.post("/events", b'{"type":"job.created","data":{"total":1.50}}').json["id"]
    deliver()

    shown = api.post("/webhooks/preview", {"webhook": made["id"], "event": event})

    assert shown.status_code == 200
    assert (shown.json["method"], shown.json["url"], shown.json["not_sent"]) == ("POST", receiver.url, None)
    sent = next(request for request in receiver.requests if request.headers["webhook-id"] == event)
    assert shown.json["body"].encode() == sent.body
    assert shown.json["headers"]["Authorization"] == f"Bearer {MASK}"
    assert shown.json["headers"]["X-Env"] == "prod"
    assert shown.json["headers"]["webhook-id"] == event
    assert shown.json["curl"].startswith("curl -X POST ")
    assert "t0ken" not in shown.text
    assert len(receiver.requests) == 2, "the preview sent something"


def test_a_webhook_that_is_not_saved_can_be_previewed(api, job_created):
    webhook = {"name": "New", "url": URL, "events": ["estimate.*"], "data_mode": "everything"}

    shown = api.post("/webhooks/preview", {"webhook": webhook, "event_type": job_created}).json

    assert '"data":{"id":42}' in shown["body"]
    assert shown["not_sent"] == "event_type_not_selected"
    assert api.get("/webhooks").json["items"] == []


def test_changes_to_a_saved_webhook_can_be_previewed(api, make):
    made = make()

    shown = api.post("/webhooks/preview", {"webhook": {"id": made["id"], "preset": "vomo"}}).json

    assert shown["body"].startswith('{"type":"webhook.test","organization_id":"org_')
    assert api.get(f"/webhooks/{made['id']}").json["preset"] == "standard"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "webhook"),
        ({"webhook": 5}, "webhook"),
        ({"webhook": {"name": "New", "url": "ftp://a"}}, "url"),
        ({"webhook": {"name": 5, "url": URL}}, "webhook.name"),
        ({"webhook": {"name": "New", "url": URL}, "event_type": "nothing"}, "event_type"),
    ],
)
def test_a_preview_that_cannot_be_made_says_why(api, body, field):
    answer = api.post("/webhooks/preview", body)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_another_organizations_webhooks_are_not_there(api, foreign, make, job_created):
    made = make()
    event = api.post("/events", {"type": job_created, "data": {}}).json["id"]
    path = f"/webhooks/{made['id']}"
    theirs = foreign.post("/webhooks", {"name": "Theirs", "url": URL}).json["id"]

    assert [row["id"] for row in foreign.get("/webhooks").json["items"]] == [theirs]
    assert foreign.get(path).status_code == 404
    assert foreign.patch(path, {"name": "Mine"}).status_code == 404
    assert foreign.delete(path).status_code == 404
    for switch in ("enable", "disable", "pause", "resume", "test", "secret/rotate"):
        assert foreign.post(f"{path}/{switch}").status_code == 404, switch
    assert foreign.post("/webhooks/preview", {"webhook": made["id"]}).status_code == 404
    assert foreign.post("/webhooks/preview", {"webhook": {"id": made["id"]}}).status_code == 404
    assert foreign.post("/webhooks/preview", {"webhook": theirs, "event": event}).status_code == 404
    assert foreign.post(f"/webhooks/{theirs}/test", {"event": event}).status_code == 404
