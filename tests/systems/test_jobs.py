"""Jobs, rows B1 to B7: a permission, the page of webhooks, https, the toggle, and Log History."""

from __future__ import annotations

import base64
import json
import re
import ssl
from html import unescape

import pytest
import trustme

from app.services import webhooks
from tests.support.receiver import OK, Receiver, answer
from tests.systems.conftest import only

KINDS = {
    "Job Events": [
        "job.created",
        "job.updated",
        "job.assigned",
        "job.image_created",
        "job.document_created",
        "job.status_changed",
    ],
    "Estimate Events": ["estimate.created", "estimate.updated"],
    "Signed Document Events": ["signed_document.signed"],
    "Signable Document Events": ["signable_document.signed"],
}
EVERY_TYPE = [name for names in KINDS.values() for name in names]
MINUTE_S = 60


@pytest.fixture(scope="module", autouse=True)
def catalogue(server, ada):
    """The pack, installed at the catalogue's page."""
    page = ada.look("/catalogue/packs/jobs/install")
    assert "was installed" in ada.send(page.forms["/catalogue/packs/jobs/install"]).text


# --- B1


@pytest.fixture(scope="module")
def clerk(server, ada):
    """A member without the permission org.webhooks, signed in."""
    return server.add_member(ada, "carl", "Support")


def test_b1_without_org_webhooks_a_member_does_not_see_webhooks(clerk, subscribe):
    webhook, _ = subscribe("jobs", on=False, name="Warehouse")

    home = clerk.look("/")
    assert 'href="/webhooks"' not in home.html
    for path in ("/webhooks", "/webhooks/list", f"/webhooks/{webhook['id']}", f"/webhooks/{webhook['id']}/edit"):
        page = clerk.look(path)
        assert page.code == 403
        assert "Warehouse" not in page.text


def test_b1_without_org_webhooks_a_member_neither_adds_nor_changes_webhooks(server, clerk, subscribe):
    webhook, _ = subscribe("jobs", on=False)
    place = f"/webhooks/{webhook['id']}"
    before = server.get("/webhooks")

    clerk.look("/account")
    for path in ("/webhooks/new", f"{place}/edit", f"{place}/on", f"{place}/test", f"{place}/delete"):
        assert clerk.post(path, name="x", url="https://a.test/").code == 403

    assert clerk.look("/webhooks/new").code == 403
    assert server.get("/webhooks") == before


def test_b1_with_org_webhooks_a_member_who_is_no_admin_does_all_of_it(server, ada, new_receiver):
    dana = server.add_member(ada, "dana", "Developer")

    made = dana.send(dana.look("/webhooks/new?preset=jobs").forms["webhook-form"], name="Danas", url=new_receiver().url)

    assert made.code == 200
    (mine,) = [webhook for webhook in server.get("/webhooks")["items"] if webhook["name"] == "Danas"]
    assert mine["owner"] == "dana@acme.test"
    server.call("DELETE", f"/webhooks/{mine['id']}")


def test_b1_a_key_without_the_scope_may_not_either(server):
    made = json.loads(server.command("create-api-key", "--name", "shop", "--scope", "events:write", "--json"))[
        "api_key"
    ]

    assert server.call("GET", "/webhooks", key=made).status_code == 403
    assert server.call("POST", "/webhooks", {"name": "x", "url": "https://a.test/"}, key=made).status_code == 403


# --- B2


def test_b2_the_form_asks_for_name_url_and_authentication_and_groups_the_events_by_kind(ada):
    page = ada.look("/webhooks/new?preset=jobs")

    for label in ("Name", "Webhook URL", "Authentication", "None", "Basic"):
        assert label in page.text
    groups = {
        title: re.findall(r'name="events" value="([^"]+)"', block)
        for title, block in re.findall(r"<span>([\w ]+) \(<span.*?</span> of \d+\)</span>(.*?)</ul>", page.html, re.S)
    }
    assert {title: groups.get(title) for title in KINDS} == KINDS


@pytest.mark.parametrize("event_type", EVERY_TYPE)
def test_b2_each_event_goes_out_with_the_payload_the_pack_fixes(server, subscribe, event_type):
    _, receiver = subscribe("jobs", events=[event_type])
    example = server.example(event_type)

    published = server.publish(event_type, example)

    body = json.loads(only(receiver).body)
    assert list(body) == ["id", "event", "created_at", "data"]
    assert (body["id"], body["event"]) == (published["id"], event_type)
    assert body["created_at"] == published["received_at"]
    assert only(receiver).body.endswith(b',"data":' + example + b"}")


def test_b2_a_webhook_hears_only_of_the_events_it_chose(server, subscribe):
    chosen, receiver = subscribe("jobs", events=["job.created", "estimate.*"])

    sent = [server.publish(name) for name in ("job.updated", "estimate.updated", "job.created")]

    heard = [json.loads(request.body)["event"] for request in receiver.wait_for(2)]
    assert sorted(heard) == ["estimate.updated", "job.created"]
    assert not [made for made in sent[0]["deliveries"] if made["webhook"] == chosen["id"]]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"type": "none"}, None),
        ({"type": "basic", "username": "post", "password": "room: café"}, "post:room: café"),
        ({"type": "basic", "username": "", "password": "only"}, ":only"),
    ],
)
def test_b2_authentication_is_none_or_basic(server, subscribe, auth, header):
    _, receiver = subscribe("jobs", auth=auth)

    server.publish("job.created")

    expected = None if header is None else "Basic " + base64.b64encode(header.encode()).decode()
    assert only(receiver).headers.get("Authorization") == expected


# --- B3


def test_b3_an_http_url_is_refused_by_the_api_with_the_reason(server):
    refused = server.call("POST", "/webhooks", {"name": "x", "url": "http://example.com/hook", "preset": "jobs"})

    assert refused.status_code == 422
    (problem,) = refused.json()["errors"]
    assert problem["field"] == "url"
    assert problem["message"].startswith("Job data isn't sent over connections that others could read")


def test_b3_an_http_url_is_refused_in_the_form_at_its_field_and_what_was_typed_stays(ada):
    form = ada.look("/webhooks/new?preset=jobs").forms["webhook-form"]

    page = ada.send(form, name="Warehouse", url="http://example.com/hook", which_events="pick", events=["job.created"])

    assert page.code == 422
    assert "Job data isn't sent over connections" in page.part('id="url-error"', "</p>")
    kept = dict(page.forms["webhook-form"].fields)
    assert (kept["name"], kept["url"]) == ("Warehouse", "http://example.com/hook")
    assert (kept["preset"], kept["which_events"], kept["events"]) == ("jobs", "pick", "job.created")


def test_b3_http_stays_refused_where_the_server_allows_it_otherwise(make_webhook, owner):
    from app.errors import Invalid

    make_webhook(url="http://example.com/hook", on=False)

    with pytest.raises(Invalid) as refused:
        webhooks.create(owner, {"name": "x", "url": "http://example.com/hook", "preset": "jobs"})
    assert [problem.field for problem in refused.value.problems] == ["url"]


def test_b3_a_server_that_is_https_only_says_why_and_names_the_setting(server):
    refused = server.call("POST", "/webhooks", {"name": "x", "url": "http://example.com/hook"})

    assert "can be read on the way" in refused.text
    assert "POSTROOM_HTTPS_ONLY" in refused.text


# --- B4


def test_b4_a_new_webhook_is_off_and_hears_of_nothing(server, ada, subscribe):
    webhook, receiver = subscribe("jobs", on=False, name="New one")

    made = server.delivery_of(server.publish("job.created"), webhook)

    assert (webhook["enabled"], webhook["off_reason"]) == (False, "new")
    assert (made["state"], made["reason"]) == ("skipped", "webhook_off")
    row = ada.look("/webhooks").row(webhook["id"])
    assert "New one" in row
    assert "Off. Not turned on yet." in row
    assert receiver.requests == []


def test_b4_the_list_shows_every_webhook_with_its_status_and_a_toggle(ada, subscribe):
    on, _ = subscribe("jobs", name="Is on")
    off, _ = subscribe("jobs", on=False, name="Is off")

    page = ada.look("/webhooks")

    for webhook, words, checked in ((on, "On.", "true"), (off, "Off.", "false")):
        row = page.html.split(f'id="{webhook["id"]}"', 1)[1].split("</tr>", 1)[0]
        assert f'role="switch" aria-checked="{checked}"' in row
        assert words in page.row(webhook["id"])


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (OK, "On. Test payload: 200 OK in"),
        (answer(503), "On, but the test payload failed: 503 Service Unavailable."),
    ],
)
def test_b4_the_toggle_sends_a_payload_at_once_and_shows_what_came_of_it(server, ada, subscribe, reply, outcome):
    webhook, receiver = subscribe("jobs", on=False)
    receiver.answers(reply)
    ada.look("/webhooks")

    turned = ada.send(ada.page.forms[f"/webhooks/{webhook['id']}/on"])

    body = json.loads(only(receiver).body)
    assert (body["event"], body["data"]) == ("webhook.test", {"test": True})
    page = server.until(lambda: ada.look(turned.url), lambda page: "Sending the test payload" not in page.text)
    assert outcome in page.row(webhook["id"])
    assert server.get(f"/webhooks/{webhook['id']}")["enabled"]


# --- B5 and B6


@pytest.fixture
def logged(server, subscribe):
    """A webhook with a delivery that was refused once, and that delivery's event."""
    webhook, receiver = subscribe("jobs", events=["job.created"])
    receiver.answers(answer(503, {"X-Reason": "stock-taking"}, b"come back later"))
    published = server.publish("job.created")
    delivery = server.delivery_of(published, webhook)["id"]
    server.attempted(delivery)
    return webhook, published, delivery


def test_b5_log_history_has_id_time_event_url_response_and_a_control_to_expand(ada, logged):
    webhook, published, delivery = logged

    page = ada.look(f"/log?webhook={webhook['id']}")

    heads = re.findall(r'<th[^>]*scope="col"[^>]*>(.*?)</th>', page.html, re.S)
    heads = [re.sub(r"<[^>]+>", "", head).strip() for head in heads]
    assert [head for head in heads if head in ("ID", "Date/time", "Event", "Webhook URL", "Response")] == [
        "Event",
        "ID",
        "Webhook URL",
        "Response",
        "Date/time",
    ]
    row = page.row(delivery)
    assert published["id"] in page.html.split(f'id="{delivery}"', 1)[1].split("</tr>", 1)[0]
    assert "job.created" in row
    assert webhook["url"] in row
    assert "503" in row
    assert re.search(r'aria-expanded="false" aria-label="Details of job\.created', page.html)
    received = published["received_at"]
    assert f'datetime="{received[:19]}Z"' in page.html


def test_b5_the_webhooks_own_page_has_its_log_history(ada, logged):
    webhook, _, delivery = logged

    page = ada.look(f"/webhooks/{webhook['id']}")

    assert "Log History" in page.text
    assert "job.created" in page.row(delivery)
    assert "503" in page.row(delivery)


def test_b5_the_response_is_the_latest_one(server, ada, subscribe):
    webhook, receiver = subscribe("jobs")
    receiver.answers(503, 204)
    delivery = server.delivery_of(server.publish("job.created"), webhook)["id"]
    server.attempted(delivery)

    server.post(f"/deliveries/{delivery}/retry")
    server.finished(delivery)

    row = ada.look(f"/log?webhook={webhook['id']}").row(delivery)
    assert "204" in row
    assert "503" not in row


def test_b6_expanded_it_shows_the_full_payload_and_each_attempt_with_its_response(server, ada, logged):
    webhook, published, delivery = logged
    server.post(f"/deliveries/{delivery}/retry")
    server.attempted(delivery, 2)

    page = ada.look(f"/log?webhook={webhook['id']}&open={delivery}")

    assert 'aria-expanded="true"' in page.html
    detail = page.part(f'id="d-{delivery}"', "</ol>")
    for words in (published["id"], "job.created", webhook["url"]):
        assert words in detail
    payload = re.search(rf'<pre[^>]*id="p-{delivery}">(.*?)</pre>', page.html, re.S)
    assert json.loads(unescape(re.sub(r"<[^>]+>", "", payload[1]))) == {
        "id": published["id"],
        "event": "job.created",
        "created_at": published["received_at"],
        "data": json.loads(server.example("job.created")),
    }
    accordion = page.html.split(f'id="d-{delivery}"', 1)[1].split("</ol>", 1)[0]
    attempts = re.findall(r'<details class="attempt".*?</details>', accordion, re.S)
    assert len(attempts) == 2
    for attempt in attempts:
        summary, opened = attempt.split("</summary>")
        assert "503 Service Unavailable" in summary
        assert re.search(r"<time datetime=[^>]*>\d+ \w+ \d\d:\d\d:\d\d", summary), "no date and time"
        for words in ("Response code", "503", "Response headers", "X-Reason", "stock-taking", "Response body"):
            assert words in opened
        assert "come back later" in opened


# --- B7


@pytest.fixture
def secure_receiver():
    """A receiver on https for the application in this process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Receiver(tls=context) as found:
        yield found


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_b7_every_2xx_is_success(server, subscribe, status):
    webhook, receiver = subscribe("jobs")
    receiver.answers(status)

    delivery = server.finished(server.delivery_of(server.publish("job.created"), webhook)["id"])

    assert (delivery["state"], delivery["last_status"], delivery["attempt_count"]) == ("delivered", status, 1)


def test_b7_again_after_5_minutes_then_after_10_and_after_3_failures_it_stops(
    make_webhook, secure_receiver, publish, deliver, clock, states, owner
):
    webhook = make_webhook(url=secure_receiver.url, preset="jobs", verify_ssl=False)
    secure_receiver.answers(500, 302, 404)
    publish("job.created")

    assert deliver() == 1
    for minutes in (5, 10):
        clock.advance(ms=minutes * MINUTE_S * 1000 - 1)
        assert deliver() == 0
        clock.advance(ms=1)
        assert deliver() == 1
    clock.advance(seconds=30 * 24 * 3600)

    assert deliver() == 0
    assert states() == [("failed", [500, 302, 404])]
    assert webhooks.find(owner, webhook.id).enabled, "the webhook itself stays on"
    assert len({request.body for request in secure_receiver.requests}) == 1
