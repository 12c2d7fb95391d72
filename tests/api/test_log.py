"""What the log's pages do beyond listing, through the API: counts, files, cURL, sending to others, views, changes."""

from __future__ import annotations

import csv
import io
import json

import pytest


@pytest.fixture
def hook(make_webhook, receiver):
    return make_webhook(url=receiver.url, name="Warehouse")


def test_deliveries_are_counted_exported_and_had_as_curl(api, foreign, hook, publish, receiver, deliver):
    publish(data=b'{"total":1.50}')
    publish()
    deliver()
    one = api.get("/deliveries?test=exclude").json["items"][1]["id"]

    assert api.get("/deliveries/count?test=exclude").json == {"count": 2, "more": False, "since": None}
    answer = api.get("/deliveries/export?format=csv&bodies=true&test=exclude&sort=oldest")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="deliveries.csv"'
    assert (len(rows), rows[0]["id"]) == (2, one)
    assert '"total":1.50' in rows[0]["request_body"]
    lines = [json.loads(line) for line in api.get("/deliveries/export?test=exclude").text.splitlines()]
    assert len(lines) == 2
    assert "request_body" not in lines[0]
    assert foreign.get("/deliveries/export").text == ""
    assert '"total":1.50' in api.get(f"/deliveries/{one}/curl").json["curl"]
    assert foreign.get(f"/deliveries/{one}/curl").status_code == 404
    found = api.get("/deliveries?q=1.50&inside=true").json["items"]
    assert [each["id"] for each in found] == [one]
    audited = [json.loads(line)["action"] for line in api.get("/audit/export").text.splitlines()]
    assert audited.count("log.exported") == 2


def test_an_event_is_sent_to_a_webhook_that_came_later(api, hook, publish, make_webhook, receiver):
    event = publish().id
    later = make_webhook(url=receiver.url, name="Later")

    sent = api.post(f"/events/{event}/send", {"webhook": later.id})

    assert (sent.status_code, sent.json["webhook"], sent.json["kind"]) == (202, later.id, "replay")
    assert api.post(f"/events/{event}/send", {"webhook": "whk_0"}).status_code == 404


def test_one_asks_why_at_a_webhook(api, publish, make_webhook, receiver, make_type):
    make_type("job.updated")
    hook = make_webhook(url=receiver.url, events=["job.updated"])
    event = publish("job.created").id

    why = api.get(f"/webhooks/{hook.id}/why?event={event}").json
    assert (why["outcome"], why["reason"], why["event_type"]) == (
        "not_matched",
        "event_type_not_selected",
        "job.created",
    )
    assert api.get(f"/webhooks/{hook.id}/why?event=job.updated").json["outcome"] == "would_be_sent"


def test_a_past_event_is_edited_and_sent_as_a_test(api, hook, publish, deliver, receiver):
    event = publish().id
    deliver()

    made = api.post(f"/webhooks/{hook.id}/test", b'{"event":"%b","data":{"total":1e400}}' % event.encode())
    deliver()

    assert made.status_code == 202
    assert b'"data":{"total":1e400}' in receiver.requests[-1].body


def test_views_are_kept_for_a_member(api, foreign, owner):
    ada = api.get("/members").json["items"][0]["id"]
    made = api.post(f"/members/{ada}/views", {"name": "Trouble", "query": "from=24h&state=failed"})
    assert (made.status_code, made.json["query"]) == (201, "from=24h&state=failed")
    view = f"/members/{ada}/views/{made.json['id']}"

    assert api.patch(view, {"name": "Failed"}).json["name"] == "Failed"
    assert [each["name"] for each in api.get(f"/members/{ada}/views").json["items"]] == ["Failed"]
    assert api.post(f"/members/{ada}/views", {"name": "Failed", "query": "slow=1"}).status_code == 422
    assert foreign.get(f"/members/{ada}/views").status_code == 404
    assert api.delete(view).status_code == 204


def test_a_webhooks_changes_are_told_to_who_may_not_read_the_audit_log(client, owner, make_key, hook, api):
    from tests.api.conftest import Api

    api.patch(f"/webhooks/{hook.id}", {"max_in_flight": 2})
    reader = Api(client, make_key(owner, "webhooks:read"))

    found = reader.get(f"/webhooks/{hook.id}/changes").json["items"]

    assert found[0]["action"] == "webhook.edited"
    assert found[0]["changes"] == [{"field": "max_in_flight", "before": 4, "after": 2}]
    newest = reader.get(f"/webhooks/{hook.id}/changes?limit=1").json
    assert reader.get(f"/webhooks/{hook.id}/changes?cursor={newest['next']}").json["items"] == found[1:]


def test_webhooks_and_events_are_filtered_as_on_their_pages(api, hook, make_webhook, receiver, publish, make_unit):
    make_unit("north")
    make_webhook(url=receiver.url, name="Legacy", on=False)
    publish(business_unit="north", status="open", id="a")
    publish(id="b")

    assert [each["name"] for each in api.get("/webhooks?state=off").json["items"]] == ["Legacy"]
    assert [each["name"] for each in api.get("/webhooks?q=ware").json["items"]] == ["Warehouse"]
    assert len(api.get("/events?business_unit=north&tests=false").json["items"]) == 1
    assert len(api.get("/events?status=open").json["items"]) == 1


def test_companies_come_from_a_file(api, make_unit):
    make_unit("north")
    file = {"csv": "id,name,region\nc1,Roofs,EU\n,Nameless,EU\n"}

    seen = api.post("/business-units/north/companies/import", {**file, "dry_run": True}).json
    assert api.get("/business-units/north/companies").json["items"] == []
    done = api.post("/business-units/north/companies/import", file).json

    assert (seen["added"], seen["refused"], done["rows"][1]["line"]) == (1, 1, 3)
    assert api.get("/business-units/north/companies/c1").json["fields"] == {"region": "EU"}
    assert api.get("/business-units/north/usage").json == {
        "companies": 1,
        "members": 0,
        "webhooks": [],
        "listening": 0,
    }


def test_the_catalogue_tells_who_receives_a_type_and_what_a_pack_would_add(api, hook, publish, job_created):
    publish("job.created")

    usage = api.get("/event-types/job.created/usage").json
    assert (usage["events"], [each["name"] for each in usage["webhooks"]]) == (1, ["Warehouse"])
    jobs = next(pack for pack in api.get("/event-packs").json["items"] if pack["name"] == "jobs")
    assert "job.updated" in jobs["would_add"]
    assert jobs["would_change"] == ["job.created"]
    assert api.get("/presets?limit=1").json["items"][0]["name"] == "standard"
