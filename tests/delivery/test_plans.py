"""How the hot statements are answered, on both databases: by their index, whatever lies in the table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import text, update

from app.core import cursors
from app.core.periods import Period
from app.core.stats import HOUR_MS
from app.database import hot_write, read, write
from app.delivery import queue
from app.extensions import db
from app.models import Delivery
from app.services import deliveries, log, log_query, retention, stats, system, webhooks
from app.services import standing as standings
from app.services.log import LogQuery
from tests.support import plans, rows

LEASE_MS = 150_000


@pytest.fixture
def filled(make_webhook, organization, clock):
    """A webhook in an organization with a long history."""
    hook = make_webhook(url="http://127.0.0.1:9001/")
    plans.fill(organization.id, clock.now)
    return hook


def assert_by_index(found, index):
    found = [plan for plan in found if "delivery" in plan]
    assert found, "nothing was asked"
    for plan in found:
        assert index in plan, plan
        assert not re.search(r"Seq Scan on delivery|SCAN (delivery|next)\b(?! USING)", plan), plan


def test_a_look_finds_who_waits_and_what_is_special_each_by_its_index(filled, clock):
    with plans.plans() as found:
        assert len(queue.look(clock.now, "worker-1").lines) == 1

    special, lines = found
    assert_by_index([special], "ix_delivery_by_hand")
    assert_by_index([special], "ix_delivery_suspect")
    assert_by_index([lines], "ix_delivery_waiting")


def test_a_claim_finds_what_is_due_by_the_waiting_index(filled, clock):
    with plans.plans() as found, hot_write() as door:
        assert len(queue.claim(door, {filled.row_id: 5}, (), "worker-1", clock.now, LEASE_MS)) == 5

    assert_by_index(found, "ix_delivery_waiting")
    assert not any(re.search(r"Sort Key: delivery|TEMP B-TREE FOR ORDER BY", plan) for plan in found)


def test_what_a_person_asked_for_is_found_by_its_own_index(filled, clock):
    with plans.plans() as found:
        assert len(queue.claim_by_hand(5, clock.now, LEASE_MS)) == 5

    assert_by_index(found, "ix_delivery_by_hand")


def test_suspects_are_found_by_their_own_index(filled, clock):
    with write() as session:
        some = [row.id for row in rows.all_of(Delivery, Delivery.interruptions == 1)][:3]
        session.execute(update(Delivery).where(Delivery.id.in_(some)).values(interruptions=2, attempt_count=2))
    with plans.plans() as found:
        assert len(queue.claim_suspect(clock.now, LEASE_MS)) == 1

    assert_by_index(found, "ix_delivery_suspect")


def test_lapsed_leases_are_found_by_their_own_index(filled, clock):
    with hot_write() as door:
        queue.claim(door, {filled.row_id: 5}, (), "worker-1", clock.now, LEASE_MS)
    with plans.plans() as found:
        queue.release_lapsed(clock.now + LEASE_MS + 1)

    asked = [plan for plan in found if "ix_delivery_leased" in plan]
    assert asked, found


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (LogQuery(), "ix_delivery_organization_id_created_at_id"),
        (LogQuery(skipped=False), "ix_delivery_organization_id_created_at_id"),
        (LogQuery(state=("failed",)), "ix_delivery_trouble"),
    ],
)
def test_a_page_of_the_log_is_read_in_the_order_of_its_index(asked, index, filled, owner):
    with plans.plans() as found:
        assert len(log.page(owner, asked).rows) == 50

    for plan in found:
        assert not re.search(r"Sort Key: delivery|TEMP B-TREE FOR ORDER BY", plan), plan
    assert any(index in plan for plan in found), found


def test_a_webhooks_log_is_read_in_the_order_of_its_index(filled, owner, make_webhook):
    with plans.plans() as found:
        assert len(log.page(owner, LogQuery(webhook=(filled.id,))).rows) == 50

    assert not any(re.search(r"Seq Scan on delivery\b|SCAN delivery\b(?! USING)", plan) for plan in found), found


def test_how_much_waits_is_counted_by_the_waiting_index(filled):
    with plans.plans() as found, read() as session:
        assert queue.count_pending(session, filled.row_id) == plans.FILLED // 100

    assert_by_index(found, "ix_delivery_waiting")


def test_the_pages_count_what_waits_by_the_waiting_index(filled, owner, publish):
    publish()
    latest = rows.deliveries()[-1].public_id
    with plans.plans() as found:
        (standing,) = standings.of(owner, [webhooks.find(owner, filled.id)]).values()
        system.queue_state()
        view = deliveries.find(owner, latest)

    assert standing.waiting == view.ahead + 1 == plans.FILLED // 100 + 1
    assert not any(re.search(r"Seq Scan on delivery\b|SCAN delivery\b(?! USING)", plan) for plan in found), found
    assert not any("ix_delivery_webhook_id_created_at_id" in plan for plan in found), found


def test_an_event_is_found_by_the_id_its_producer_gave(filled, publish):
    with plans.plans() as found:
        publish(id="again")
        publish(id="again")

    assert not any(re.search(r"Seq Scan on event\b|SCAN event\b(?! USING)", plan) for plan in found), found


_STATS = """WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)
INSERT INTO stat (webhook_id, hour, measure, key, count)"""
_COUNTED = """ SELECT webhook.id, :hour - CAST(i / 20 AS BIGINT) * 3600000, 'answer', '200 ' || (i % 20), 1
FROM n, webhook"""


def test_figures_are_read_by_the_key_of_the_counts(filled, owner, clock, make_webhook):
    """A thousand hours of twenty counts for each of two webhooks."""
    other = make_webhook(url="http://127.0.0.1:9002/")
    with db.engine.begin() as connection:
        connection.execute(text(_STATS + _COUNTED), {"hour": clock.now - clock.now % HOUR_MS})
        if connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE stat"))

    with plans.plans() as found:
        assert stats.of_webhook(owner, filled.id, Period.MONTH).by_answer[0][0] == "200"
        assert stats.last_day(owner, [filled, other])[other.id].p95 is not None
        assert standings.causes(owner, filled) == ()
        assert retention.oldest_hour(filled.row_id) is not None

    asked = [plan for plan in found if re.search(r"\bstat\b|pk_stat", plan)]
    assert len(asked) == 3, found
    for plan in asked:
        assert not re.search(r"Seq Scan on stat\b|SCAN stat\b", plan), plan


def test_what_a_failing_webhook_owes_is_found_by_an_index(filled, owner, clock):
    failing = replace(filled, failing_since=clock.now - 60_000)
    with plans.plans() as found:
        assert standings.causes(owner, failing)
        assert standings.next_due(owner, failing) == clock.now

    assert not any(re.search(r"Seq Scan on delivery\b|SCAN delivery\b(?! USING)", plan) for plan in found), found


WALKED = [
    LogQuery(state=("delivered",)),
    LogQuery(state=("canceled",)),
    LogQuery(response=("5xx",)),
    LogQuery(error=("timeout",)),
    LogQuery(event_type=("job.deleted",)),
    LogQuery(kind=("Job Events",)),
    LogQuery(unit=("north",)),
    LogQuery(attempts=2),
    LogQuery(slow=True),
    LogQuery(test="only"),
    LogQuery(q="nowhere"),
]


@pytest.mark.parametrize("asked", WALKED, ids=lambda asked: str(asked).split("(", 1)[1][:60])
def test_a_filter_without_an_index_walks_the_log_no_further_than_agreed(asked, filled, owner, monkeypatch):
    monkeypatch.setattr(log_query, "WALKED", 1_000)
    with plans.plans() as found:
        page = log.page(owner, asked)
        counted = log.counted(owner, asked)

    assert page.looked_to is None or page.looked_to == counted.since
    assert counted.since is not None
    assert counted.matching <= 1_001
    assert not any(re.search(r"Seq Scan on delivery\b|SCAN delivery\b(?! USING)", plan) for plan in found), found
    assert not any(re.search(r"TEMP B-TREE FOR ORDER BY", plan) for plan in found), found


def test_a_page_far_back_is_found_by_the_index_and_not_by_walking_there(filled, owner, clock):
    deep = cursors.encode(clock.now - 15_000_000, 1)
    with plans.plans() as found:
        assert len(log.page(owner, LogQuery(cursor=deep)).rows) == 50

    (plan,) = [plan for plan in found if "ix_delivery_organization_id_created_at_id" in plan]
    assert re.search(r"created_at,id\)<|organization_id=\? AND \(?created_at|Index Cond: .*created_at", plan), plan


@pytest.mark.parametrize("more", [{}, {"event_type": ("job.deleted",)}, {"state": ("delivered",)}])
def test_one_webhooks_log_is_walked_by_its_own_index(more, filled, owner, monkeypatch):
    monkeypatch.setattr(log_query, "WALKED", 1_000)
    with plans.plans() as found:
        log.page(owner, LogQuery(webhook=(filled.id,), **more))

    walks = [plan for plan in found if "delivery" in plan]
    assert all("ix_delivery_webhook_id_created_at_id" in plan for plan in walks), found
    assert not any("TEMP B-TREE FOR ORDER BY" in plan for plan in walks), found


def test_an_events_deliveries_are_found_by_the_event(filled, publish, owner):
    event = publish().id
    with plans.plans() as found:
        assert len(log.page(owner, LogQuery(event=event)).rows) == 1
        assert len(log.page(owner, LogQuery(q=event)).rows) == 1

    assert not any(re.search(r"delivery_organization_id_created_at_id", plan) for plan in found), found
