"""The log: filters each way, pages both ways, who sees what, and what people can do with a delivery."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from app.core.access import Permission
from app.core.states import DeliveryKind, DeliveryState, Reason
from app.database import read
from app.errors import Conflict, Invalid, NotFound, Refused
from app.models import AuditEntry
from app.services import deliveries, events, explain, log_menus, log_query, tests, webhooks
from app.services import log as history
from app.services.events import EventQuery
from app.services.log import LogQuery

ONCE = {"retry": {"delays": [], "timeout": 2, "jitter": 0, "on_exhausted": "keep"}}
TWICE = {"retry": {"delays": [60], "timeout": 2, "jitter": 0, "on_exhausted": "keep"}}


@pytest.fixture
def log(clock, receiver, owner, make_webhook, publish, deliver, make_unit, make_type):
    """Two webhooks and five events: delivered, failed, retrying, skipped, and a delivered test."""
    make_unit("north")
    make_type("job.created", kind="Job Events")
    make_type("estimate.created", kind="Estimate Events")
    billing = make_webhook(url=receiver.url, name="Billing", events=["job.created"], **ONCE)
    warehouse = make_webhook(url=receiver.url + "/in", name="Warehouse", events=["estimate.created"], **TWICE)
    receiver.answers(204)
    publish("job.created", id="ok", business_unit="north")
    deliver()
    clock.advance(seconds=60)
    receiver.answers(500)
    publish("job.created", id="failed", resource_type="job", resource_id="4182")
    deliver()
    clock.advance(seconds=60)
    receiver.answers(503)
    publish("estimate.created", id="retrying")
    deliver()
    clock.advance(seconds=1)
    webhooks.turn_off(owner, billing.id)
    publish("job.created", id="skipped")
    clock.advance(seconds=1)
    receiver.answers(200)
    tests.send(owner, warehouse.id)
    deliver()
    return billing, warehouse


def told(actor, **asked):
    """The states that a query finds, newest first."""
    return [row.display for row in history.page(actor, LogQuery(**asked)).rows]


ALL = ["delivered", "skipped", "retrying", "failed", "delivered"]


def test_the_log_is_newest_first(log, owner):
    assert told(owner) == ALL


FILTERS = [
    ({"state": ("failed",)}, ["failed"]),
    ({"state": ("failed", "retrying")}, ["retrying", "failed"]),
    ({"state": ("queued",)}, []),
    ({"state": ("pending",)}, ["retrying"]),
    ({"state": ("skipped",)}, ["skipped"]),
    ({"skipped": False}, ["delivered", "retrying", "failed", "delivered"]),
    ({"event_type": ("estimate.created",)}, ["retrying"]),
    ({"kind": ("Job Events",)}, ["skipped", "failed", "delivered"]),
    ({"unit": ("north",)}, ["delivered"]),
    ({"response": ("5xx",)}, ["retrying", "failed"]),
    ({"response": ("503",)}, ["retrying"]),
    ({"response": ("none",)}, ["skipped"]),
    ({"response": ("204", "none")}, ["skipped", "delivered"]),
    ({"error": ("status",)}, ["retrying", "failed"]),
    ({"error": ("timeout",)}, []),
    ({"attempts": 1}, ["delivered", "retrying", "failed", "delivered"]),
    ({"attempts": 2}, []),
    ({"slow": True}, []),
    ({"test": "only"}, ["delivered"]),
    ({"test": "exclude"}, ["skipped", "retrying", "failed", "delivered"]),
    ({"q": "estimate."}, ["retrying"]),
    ({"q": "/in"}, ["delivered", "retrying"]),
    ({"q": "status"}, ["retrying", "failed"]),
    ({"q": "nothing like it"}, []),
    ({"q": "%"}, []),
]


def test_each_filter_finds_what_it_names_and_nothing_else(log, owner):
    assert [(asked, told(owner, **asked)) for asked, _ in FILTERS] == FILTERS
    for asked, found in FILTERS:
        assert history.count(owner, LogQuery(**asked)) == len(found), asked


def test_webhook_and_event_narrow_to_one(log, owner):
    billing, _ = log
    newest = history.page(owner, LogQuery(test="only")).rows[0]

    assert told(owner, webhook=(billing.id,)) == ["skipped", "failed", "delivered"]
    assert told(owner, event=newest.event) == ["delivered"]
    assert told(owner, q=newest.event) == ["delivered"]
    assert told(owner, q=newest.id) == ["delivered"]


def test_a_period_takes_its_beginning_in_and_leaves_its_end_out(log, owner):
    rows = history.page(owner, LogQuery()).rows
    failed = rows[3].created_at

    assert told(owner, from_at=failed, to_at=rows[2].created_at) == ["failed"]


def test_a_value_there_is_not_is_refused_in_words(owner):
    for asked in ({"state": ("gone",)}, {"error": ("oops",)}, {"response": ("5x",)}, {"cursor": "x"}, {"top": "x"}):
        with pytest.raises(Invalid):
            history.page(owner, LogQuery(**asked))


def test_pages_lead_to_the_end_and_back_without_a_gap(log, owner):
    whole = [row.id for row in history.page(owner, LogQuery()).rows]

    first = history.page(owner, LogQuery(limit=2))
    second = history.page(owner, LogQuery(limit=2, cursor=first.older))
    last = history.page(owner, LogQuery(limit=2, cursor=second.older))
    back = history.page(owner, LogQuery(limit=2, cursor=last.newer, newer=True))
    begin = history.page(owner, LogQuery(limit=2, cursor=back.newer, newer=True))

    assert [row.id for page in (first, second, last) for row in page.rows] == whole
    assert (first.newer, last.older) == (None, None)
    assert [row.id for row in back.rows] == [row.id for row in second.rows]
    assert [row.id for row in begin.rows] == [row.id for row in first.rows]
    assert begin.newer is None


def test_what_arrives_doesnt_shift_a_page_and_is_counted(log, owner, publish):
    top = history.page(owner, LogQuery()).rows[0].cursor
    publish("estimate.created")

    pinned = history.page(owner, LogQuery(top=top))

    assert [row.display for row in pinned.rows] == ALL
    assert pinned.arrived == 1
    assert told(owner)[0] == "queued"


def test_a_stamp_changes_with_what_the_page_shows_and_with_nothing_else(log, owner, clock, deliver, receiver, publish):
    asked = LogQuery(webhook=(log[1].id,))
    before = history.stamp(owner, asked)
    publish("job.created")
    assert history.stamp(owner, asked) == before

    receiver.answers(200)
    clock.advance(seconds=61)
    deliver()

    assert history.stamp(owner, asked) != before


def test_a_rare_filter_looks_back_a_stretch_and_offers_to_go_on(log, owner, monkeypatch):
    monkeypatch.setattr(log_query, "WALKED", 2)
    asked = LogQuery(event_type=("job.created",), skipped=False)

    first = history.page(owner, asked)
    second = history.page(owner, replace(asked, cursor=first.older))

    assert first.rows == ()
    assert first.looked_to is not None
    assert [row.display for row in second.rows] == ["failed", "delivered"]
    assert second.older is None


@pytest.fixture
def divided(clock, receiver, make_webhook, publish, make_unit, make_type):
    """Events of north, of south, of no unit, and one of south addressed to Nora."""
    north = make_unit("north")
    make_unit("south")
    make_webhook(url=receiver.url)
    for name, more in (
        ("in_north", {"business_unit": "north"}),
        ("in_south", {"business_unit": "south"}),
        ("in_none", {}),
        ("for_nora", {"business_unit": "south", "visible_to": ("nora@acme.test",)}),
    ):
        publish(name, **more)
        clock.advance(seconds=1)
    return north


def seen(actor):
    return sorted(row.event_type for row in history.page(actor, LogQuery()).rows)


def test_a_member_sees_the_events_of_their_units_of_none_and_those_addressed_to_them(divided, owner, make_member):
    nora = make_member("nora", role="Support", units=[divided]).actor
    olaf = make_member("olaf", role="Support", units=[divided]).actor
    lone = make_member("lone", role="Support").actor

    assert seen(owner) == ["for_nora", "in_none", "in_north", "in_south"]
    assert seen(nora) == ["for_nora", "in_none", "in_north"]
    assert seen(olaf) == ["in_none", "in_north"]
    assert seen(lone) == ["in_none"]
    assert history.count(lone, LogQuery()) == 1
    assert sorted(event.type for event in events.page(nora)) == seen(nora)


def test_what_a_member_may_not_see_is_not_there(divided, owner, make_member):
    lone = make_member("lone", role="Developer").actor
    hidden = next(row for row in history.page(owner, LogQuery()).rows if row.event_type == "in_south")

    for ask in (deliveries.find, deliveries.retry, deliveries.cancel, deliveries.replay, deliveries.stamp_of):
        with pytest.raises(NotFound):
            ask(lone, hidden.id)
    assert deliveries.details(lone, [hidden.id]) == {}
    with pytest.raises(NotFound):
        events.show(lone, hidden.event)
    with pytest.raises(NotFound):
        deliveries.send_event(lone, hidden.event, hidden.webhook)


def test_another_organization_finds_nothing(log, owner, stranger):
    ids = [row.id for row in history.page(owner, LogQuery()).rows]

    assert history.page(stranger, LogQuery()).rows == ()
    assert deliveries.details(stranger, ids) == {}
    assert log_menus.menus(stranger).webhooks == ()


def test_reading_the_log_needs_a_permission(log, make_member):
    nobody = make_member("nil").actor

    for ask in (history.page, history.count, history.stamp):
        with pytest.raises(Refused):
            ask(nobody, LogQuery())


def test_one_delivery_comes_with_its_attempts_and_the_body_that_was_sent(log, owner, receiver):
    row = history.page(owner, LogQuery(state=("retrying",))).rows[0]

    found = deliveries.find(owner, row.id)

    assert [attempt.status for attempt in found.attempts] == [503]
    assert found.body == receiver.requests[2].body
    assert found.content_type == "application/json"
    assert found.planned == (row.next_attempt_at,)
    assert row.duration_ms == found.attempts[0].duration_ms


def test_a_queued_delivery_says_how_many_are_ahead(owner, clock, receiver, make_webhook, publish):
    make_webhook(url=receiver.url)
    for _ in range(3):
        publish()
        clock.advance(seconds=1)

    newest = history.page(owner, LogQuery()).rows[0]

    assert deliveries.find(owner, newest.id).ahead == 2


def test_the_neighbours_keep_the_filter(log, owner):
    asked = LogQuery(state=("failed", "retrying"))
    retrying, failed = history.page(owner, asked).rows

    assert deliveries.neighbours(owner, asked, retrying) == (None, failed.id)
    assert deliveries.neighbours(owner, asked, failed) == (retrying.id, None)


def test_retrying_by_hand_makes_the_next_attempt_at_once_and_is_on_record(log, owner, deliver, receiver):
    row = history.page(owner, LogQuery(state=("retrying",))).rows[0]
    receiver.answers(200)

    deliveries.retry(owner, row.id)
    deliver()

    assert deliveries.find(owner, row.id).row.display == "delivered"
    with read() as session:
        assert "delivery.retried" in session.scalars(select(AuditEntry.action)).all()


def test_a_delivered_one_is_not_retried_nor_canceled(log, owner):
    done = history.page(owner, LogQuery(state=("delivered",))).rows[0]

    with pytest.raises(Conflict):
        deliveries.retry(owner, done.id)
    with pytest.raises(Conflict):
        deliveries.cancel(owner, done.id)


def test_canceling_names_who_did_it(log, owner):
    row = history.page(owner, LogQuery(state=("retrying",))).rows[0]

    deliveries.cancel(owner, row.id)

    found = deliveries.find(owner, row.id).row
    assert (found.state, found.reason, found.detail) == (DeliveryState.CANCELED, Reason.BY_PERSON, "Ada")


def test_support_reads_but_may_not_act(log, owner, make_member):
    support = make_member("sue", role="Support").actor
    row = history.page(support, LogQuery(state=("retrying",))).rows[0]

    for act in (deliveries.retry, deliveries.cancel, deliveries.replay):
        with pytest.raises(Refused):
            act(support, row.id)
    assert not support.may(Permission.PAYLOADS)


def test_an_event_can_be_sent_to_a_webhook_that_didnt_get_it(log, owner, deliver, receiver):
    billing, warehouse = log
    event = next(row for row in history.page(owner, LogQuery(webhook=(billing.id,))).rows).event
    receiver.answers(200)

    made = deliveries.send_event(owner, event, warehouse.id)
    deliver()

    assert deliveries.find(owner, made).row.display == "delivered"
    told_of = next(one for one in explain.explain(owner, event) if one.webhook == warehouse.id)
    assert (told_of.outcome, told_of.delivery, told_of.copies) == ("delivered", made, 1)


def test_nobody_can_send_a_webhook_what_its_owner_may_not_see(
    owner, member, clock, receiver, make_webhook, publish, make_unit
):
    make_unit("north")
    theirs = make_webhook(url=receiver.url, by=member)
    secret = publish(business_unit="north")

    with pytest.raises(Conflict, match="owner may not see"):
        deliveries.send_event(owner, secret.id, theirs.id)


def test_changed_data_is_sent_as_a_test_with_numbers_as_written(log, owner, deliver, receiver):
    _, warehouse = log
    event = history.page(owner, LogQuery(webhook=(warehouse.id,), test="exclude")).rows[0].event
    receiver.answers(200)

    made = tests.send(owner, warehouse.id, event=event, data=b'{ "total": 1.50 }')
    deliver()

    assert b'"total":1.50' in receiver.requests[-1].body
    assert deliveries.find(owner, made).row.kind is DeliveryKind.TEST


def test_changed_data_that_is_no_object_is_refused_by_name(owner, receiver, make_webhook):
    webhook = make_webhook(url=receiver.url)
    for data in (b"", b"[]", b'{"a":', b'{"a":NaN}'):
        with pytest.raises(Invalid) as refused:
            tests.send(owner, webhook.id, data=data)
        assert [problem.field for problem in refused.value.problems] == ["data"]


def test_events_come_with_a_tally_in_pages_both_ways(log, owner):
    newest = events.page(owner, EventQuery(include_tests=False), 2)
    tallies = events.tally(newest)

    assert [event.producer_id for event in newest] == ["skipped", "retrying", "failed"]
    assert tallies[newest[0].id].not_sent == 1
    assert tallies[newest[1].id].under_way == 1
    assert tallies[newest[2].id].failed == 1
    after = events.page(owner, EventQuery(after=(newest[2].created_at, newest[2].id), include_tests=False))
    assert [event.producer_id for event in after] == ["retrying", "skipped"]
    assert [event.producer_id for event in events.page(owner, EventQuery(q="4182"))] == ["failed"]
