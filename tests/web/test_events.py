"""Events: the explorer, where each one went and why not, and publishing by hand."""

from __future__ import annotations

import pytest

from app.services import event_search, event_types, events, inside, log, webhooks
from app.services.log import LogQuery
from tests.web.browser import links_of, rows_of, sign_in, words_of
from tests.web.test_deliveries import counted


@pytest.fixture
def ada(app, owner):
    """An admin at her browser."""
    return sign_in(app, owner)


def line_of(page: str, webhook: str) -> str:
    """What the table says about one webhook."""
    return words_of(page[page.index(f'id="w-{webhook}"') :].split("</tr>")[0].partition(">")[2])


def test_an_event_is_found_by_a_value_that_its_type_calls_searchable(ada, make_type, publish, monkeypatch):
    make_type("invoice.paid", searchable=["customer.name", "lines.sku", "number"])
    found = publish("invoice.paid", b'{"number":4711,"customer":{"name":"Acme"},"lines":[{"sku":"A-1"}],"note":"no"}')
    publish("job.created", b'{"number":4711}')

    def rows(query):
        return rows_of(ada.get(f"/events?{query}").text)

    for value in ("Acme", "A-1", "4711", found.id):
        assert rows(f"q={value}") == [found.id]
    assert rows("q=no") == []
    assert rows("q=Acme&event_type=job.created") == []
    assert len(rows("from=1h")) == 2
    assert rows("status=open") == []
    monkeypatch.setattr(event_search, "SLICE", 1)
    monkeypatch.setattr(inside, "LONGEST_S", 0)
    stopped = ada.get("/events?q=Acme").text
    assert "Nothing found back to 21 Nov 09:00:00, after 2 s of looking." in words_of(stopped)
    assert rows_of(ada.get(links_of(stopped, "Older")[0]).text) == [found.id]


def test_events_are_listed_with_what_became_of_them(ada, receiver, make_webhook, publish, deliver):
    make_webhook(url=receiver.url)
    stopped = make_webhook(url=receiver.url)
    webhooks.turn_off(ada.actor, stopped.id)
    publish("job.created", id="a", resource_type="job", resource_id="4182", status="open")
    deliver()

    page = ada.get("/events").text

    said = words_of(page[page.index("<tbody") :])
    assert "job.created" in said
    assert "job 4182 open 1 delivered 1 not sent" in said
    assert links_of(page, "job.created")[0] == f"/events/{rows_of(page)[0]}"


def test_events_are_found_by_id_type_and_unit(ada, publish, make_unit):
    make_unit("north")
    publish("job.created", id="a", resource_type="job", resource_id="4182", business_unit="north")
    publish("job.updated", id="b")
    wanted = {"": 2, "q=a": 1, "q=4182": 1, "q=zzz": 0, "event_type=job.updated": 1, "unit=north": 1, "unit=west": 0}

    assert {asked: len(rows_of(ada.get(f"/events?{asked}").text)) for asked in wanted} == wanted
    assert "North job 4182" in words_of(ada.get("/events").text)


def test_pages_of_events_lead_on_and_back(ada, publish, clock):
    for number in range(52):
        publish(id=f"n{number}")
        clock.advance(ms=1)

    first = ada.get("/events").text
    older = ada.get(links_of(first, "Older")[0]).text
    newer = ada.get(links_of(older, "Newer")[0]).text

    assert (len(rows_of(first)), len(rows_of(older))) == (50, 2)
    assert rows_of(newer) == rows_of(first)
    assert ada.get("/events?cursor=x").status_code == 422


def test_a_list_without_events_shows_how_to_publish(ada):
    page = ada.get("/events").text

    assert "No events yet. Your application publishes them with one request." in page
    assert "/api/v1/events" in page


@pytest.fixture
def known(make_type, make_unit):
    """Event types and business units that webhooks can choose."""
    make_type("job.created")
    make_type("estimate.created")
    make_unit("north")
    make_unit("south")


def test_for_every_webhook_is_said_what_happened_or_why_not(ada, member, known, receiver, make_webhook, publish, clock):
    make_webhook(url=receiver.url, name="Billing")
    unit = make_webhook(url=receiver.url, name="South only", business_units=["south"])
    kind = make_webhook(url=receiver.url, name="Other types", events=["estimate.created"])
    theirs = make_webhook(url=receiver.url, name="Max's", by=member)
    paused = make_webhook(url=receiver.url, name="Held")
    webhooks.pause(ada.actor, paused.id)
    off = make_webhook(url=receiver.url, name="Off", filter="data.total > `100`")
    webhooks.turn_off(ada.actor, off.id)
    clock.advance(seconds=60)
    made = publish(business_unit="north", data=b'{"total":200}')
    clock.advance(seconds=60)
    late = make_webhook(url=receiver.url, name="Late")

    page = ada.get(f"/events/{made.id}").text

    assert "7 webhooks: 1 waiting, 1 held, 5 not sent" in words_of(page)
    assert "Not sent: business unit North isn't selected. " in line_of(page, unit.id)
    assert "Not sent: job.created isn't selected." in line_of(page, kind.id)
    assert "Not sent: its owner, Max, may not see this event." in line_of(page, theirs.id)
    assert "Replay to it" not in line_of(page, theirs.id)
    assert "Held: the webhook is paused since 09:00. Open Resume" in line_of(page, paused.id)
    assert "Not sent: the webhook was created after the event, at 09:02." in line_of(page, late.id)
    assert "Not sent:" in line_of(page, off.id)
    assert "Replay to it" in line_of(page, late.id)


def test_every_rule_that_stood_in_the_way_is_named(ada, known, receiver, make_webhook, publish):
    both = make_webhook(url=receiver.url, events=["estimate.created"], business_units=["south"])
    webhooks.turn_off(ada.actor, both.id)
    made = publish()

    said = line_of(ada.get(f"/events/{made.id}").text, both.id)

    assert (
        "Not sent: job.created isn't selected. Also: the event's business unit isn't selected. "
        "Also: the webhook was off since 09:00." in said
    )


def test_where_it_went_comes_before_where_it_did_not(ada, known, receiver, make_webhook, publish, deliver):
    make_webhook(url=receiver.url, name="A", events=["estimate.created"])
    sent = make_webhook(url=receiver.url, name="B")
    receiver.answers(503)
    made = publish()
    deliver()

    page = ada.get(f"/events/{made.id}").text

    assert page.index('id="w-' + sent.id) == page.index('id="w-')
    assert "503 Service Unavailable on attempt 1. Next at 09:00:0" in line_of(page, sent.id)


def test_an_event_can_be_replayed_to_a_webhook_that_didnt_get_it(ada, known, receiver, make_webhook, publish, deliver):
    other = make_webhook(url=receiver.url, name="Other", events=["estimate.created"])
    made = publish(data=b'{"id":7}')
    page = ada.get(f"/events/{made.id}").text
    question = ada.get(links_of(page, "Replay to it")[0]).text
    assert "Replay to Other?" in question

    answer = ada.post(f"/events/{made.id}/send", webhook=other.id)
    deliver()

    assert b'"id":7' in receiver.requests[-1].body
    assert "Delivered" in ada.get(answer.headers["Location"]).text
    assert "200 OK on attempt 1" in line_of(ada.get(f"/events/{made.id}").text, other.id)


def test_an_event_shows_data_context_and_idempotency_as_received(ada, publish):
    made = publish(data=b'{"n":1e400,"n":1.50}', id="key-1", context=b'{"state":"abc","n":{"a":1}}')
    publish(data=b'{"n":1e400,"n":1.50}', id="key-1", context=b'{"state":"abc","n":{"a":1}}')

    page = ada.get(f"/events/{made.id}").text
    said = words_of(page)

    assert "1e400" in page
    assert "1.50" in page
    assert 'state abc n {"a":1}' in said
    assert "delivered once. The producer's id is key-1" in said
    assert "By hand" in said


def test_a_difference_is_shown(ada, publish, make_type):
    event_types.install(ada.actor, "integrations")
    more = {"resource_type": "data_model", "resource_id": "7"}
    publish("integration_updated_data_model", b'{"id":1,"resource_id":7,"type":"x","data":{"a":1}}', **more)
    made = publish("integration_updated_data_model", b'{"id":2,"resource_id":7,"type":"x","data":{"a":2}}', **more)

    page = words_of(ada.get(f"/events/{made.id}").text)

    assert "Since the version before" in page
    assert '"old" : 1' in page


def test_where_it_went_is_live_and_quiet_while_nothing_moves(ada, receiver, make_webhook, publish, deliver):
    make_webhook(url=receiver.url)
    made = publish()
    first = ada.fragment(f"/events/{made.id}/where")
    tag = {"If-None-Match": first.headers["ETag"]}

    assert ada.fragment(f"/events/{made.id}/where", **tag).status_code == 304
    deliver()
    after = ada.fragment(f"/events/{made.id}/where", **tag)
    assert (after.status_code, after.headers["Postroom-Poll"]) == (200, "15")
    assert ada.fragment("/events/rows").status_code == 200


def test_an_event_is_published_by_hand_from_its_example(ada, receiver, make_webhook, make_unit, deliver):
    event_types.install(ada.actor, "jobs")
    make_unit("north")
    make_webhook(url=receiver.url)
    form = ada.get("/events/new?type=job.updated").text
    assert 'value="job.updated" selected' in form
    assert form.count("<optgroup") > 1

    answer = ada.post("/events/new", type="job.updated", data='{"id": 1.50}', business_unit="north", context='{"a":1}')
    deliver()

    assert answer.status_code == 303
    assert b'"data":{"id":1.50}' in receiver.requests[-1].body
    assert "job.updated" in ada.get(answer.headers["Location"]).text


def test_the_example_of_a_chosen_type_fills_the_form_without_script(ada, make_type):
    make_type("a.one", example=b'{"first":1}')
    make_type("a.two", example=b'{"second":2}')

    page = ada.post("/events/new", type="a.two", example="1", data="{}", status="open").text

    assert "second" in page
    assert 'value="open"' in page
    assert events.page(ada.actor) == []


def test_a_mistake_in_the_form_names_its_field_and_keeps_what_was_typed(ada, make_type):
    make_type("job.created")
    for given, field in (
        ({"data": "{"}, "data"),
        ({"data": ""}, "data"),
        ({"data": "[1]"}, "data"),
        ({"data": "{}", "context": "nope"}, "context"),
        ({"data": "{}", "id": "not ok"}, "id"),
        ({"data": "{}", "resource_type": "job"}, "resource_id"),
        ({"data": "{}", "type": "no.such"}, "type"),
    ):
        answer = ada.post("/events/new", **{"type": "job.created", "status": "kept", **given})
        assert answer.status_code == 422
        assert f'href="#{field}"' in answer.text
        assert 'value="kept"' in answer.text
    assert events.page(ada.actor) == []


def test_who_may_what(app, ada, publish, make_member, make_webhook, receiver, stranger):
    webhook = make_webhook(url=receiver.url)
    made = publish(data=b'{"secret_total":77}', context=b'{"state":"abc"}')
    sue = sign_in(app, make_member("sue", role="Support").actor)
    sam, nil = sign_in(app, stranger), sign_in(app, make_member("nil").actor)

    page = sue.get(f"/events/{made.id}").text
    assert "secret_total" in page
    assert "77" not in words_of(page[page.index("Data as received") :])
    assert "abc" not in page
    assert "Replay to it" not in page
    assert sue.get("/events/new").status_code == 403
    assert sue.post(f"/events/{made.id}/send", webhook=webhook.id).status_code == 403
    for address in (f"/events/{made.id}", f"/events/{made.id}/send?webhook={webhook.id}"):
        assert sam.get(address).status_code == 404
        assert nil.get(address).status_code == 403
    assert sam.post(f"/events/{made.id}/send", webhook=webhook.id).status_code == 404
    assert rows_of(sam.get("/events").text) == []
    assert log.count(ada.actor, LogQuery()) == 1


def test_pages_of_events_ask_the_database_little(ada, receiver, make_webhook, publish):
    for number in range(5):
        make_webhook(url=receiver.url, name=f"W{number}")
    made = [publish(id=f"n{number}") for number in range(20)][-1]

    for address in ("/events", f"/events/{made.id}", "/events/new"):
        with counted() as statements:
            assert ada.get(address).status_code == 200
        assert len(statements) <= 12, "\n".join(statements)
