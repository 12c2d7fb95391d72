"""Test inboxes, signatures and what can be tried out before it is saved, through the API."""

from __future__ import annotations

import pytest


@pytest.fixture
def inbox(api):
    """An inbox, as it was made."""
    return api.post("/inboxes", {"name": "Mine"}).json


def test_an_inbox_answers_as_told_and_tells_what_it_received(api, client, inbox):
    answers = api.put(f"/inboxes/{inbox['id']}/answers", {"answers": ["500", "204"]})
    assert answers.json["answers"] == ["500", "204"]
    address = inbox["url"].partition("//")[2].partition("/")[2]

    codes = [client.post(f"/{address}", data=b'{"type":"job.created"}').status_code for _ in range(2)]
    received = api.get(f"/inboxes/{inbox['id']}/requests").json["items"]

    assert codes == [500, 204]
    assert [each["answered"] for each in received] == ["204", "500"]
    one = api.get(f"/inboxes/{inbox['id']}/requests/{received[0]['id']}").json
    assert (one["event_type"], one["body"], one["signature"]) == ("job.created", '{"type":"job.created"}', None)
    assert api.delete(f"/inboxes/{inbox['id']}/requests").status_code == 204
    assert api.get(f"/inboxes/{inbox['id']}/requests").json["items"] == []
    refused = api.put(f"/inboxes/{inbox['id']}/answers", {"answers": ["teapot"]})
    assert refused.json["errors"][0]["field"] == "answers"


def test_an_inbox_of_another_organization_is_not_there(foreign, inbox):
    assert foreign.get("/inboxes").json["items"] == []
    for path in (f"/inboxes/{inbox['id']}", f"/inboxes/{inbox['id']}/requests"):
        assert foreign.get(path).status_code == 404


def test_a_signature_is_explained_and_checked(api, make_webhook, publish, receiver, deliver):
    hook = make_webhook(url=receiver.url, preset="standard")
    publish()
    deliver()
    sent = receiver.requests[-1]

    sheet = api.get(f"/webhooks/{hook.id}/signature?language=node").json
    valid = {"headers": dict(sent.headers), "body": sent.body.decode()}
    changed = {**valid, "body": valid["body"] + " "}

    assert (sheet["scheme"], sheet["language"], sheet["header"]) == ("standard", "node", "webhook-signature")
    assert "createHmac" in sheet["sample"]
    assert "whsec_…" in sheet["sample"]
    assert api.post(f"/webhooks/{hook.id}/signature/check", valid).json["valid"] is True
    verdict = api.post(f"/webhooks/{hook.id}/signature/check", changed).json
    assert (verdict["valid"], verdict["reason"]) == (False, next(s["text"] for s in verdict["steps"] if not s["ok"]))


def test_a_filter_and_a_url_are_tried_out(api, publish, job_created):
    for total in (40, 140):
        publish(data=b'{"total":%d}' % total)

    tried = api.post("/checks/filter", {"filter": "data.total > `100`", "events": ["job.*"]}).json
    assert (tried["passed"], tried["of"]) == (1, 2)
    assert api.post("/checks/filter", {"filter": "data.["}).json["errors"][0]["field"] == "filter"
    assert api.post("/checks/url", {"url": "ftp://acme.test"}).json["level"] == "error"
