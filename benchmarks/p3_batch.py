"""P3: publish in batches of 500, through the services that the API calls.

Reference: `executemany` of the same rows (an event and a delivery each) in one transaction a batch.
"""

from __future__ import annotations

import hashlib
import time

from app import clock, ids
from app.core import raw
from app.database import hot_read, hot_write
from app.delivery import queue
from app.services.events import Posted, publish_batch
from app.services.routing import table_of
from benchmarks.place import DATA_1K, Place, make_webhooks, place
from benchmarks.report import Figure

BATCH = 500
EVENTS = 25_000


def run(rounds: int) -> list[Figure]:
    """Return events a second beside the bare inserts'."""
    rates, references = [], []
    for _ in range(rounds):
        with place() as at:
            make_webhooks(at, "http://127.0.0.1:9999/in", 1)
            rates.append(_publish(at))
        with place() as at:
            make_webhooks(at, "http://127.0.0.1:9999/in", 1)
            references.append(_insert(at))
    ratio = sorted(rates)[rounds // 2] / sorted(references)[rounds // 2]
    what = f"events in batches of {BATCH}"
    return [Figure("P3", what, "/s", tuple(rates), tuple(references), "≥ 0.3 of bare inserts", ratio >= 0.3)]


def _publish(at: Place) -> float:
    item = b'{"type":"job.created","data":%b,"id":"e%d"}'
    began = time.perf_counter()
    for start in range(0, EVENTS, BATCH):
        batch = []
        for number in range(start, start + BATCH):
            members = raw.cut(item % (DATA_1K, number))
            digest = hashlib.sha256(item % (DATA_1K, number)).digest()
            batch.append(Posted("job.created", members["data"], digest, producer_id=f"e{number}"))
        publish_batch(at.actor, batch, clock.now())
    return EVENTS / (time.perf_counter() - began)


def _insert(at: Place) -> float:
    events, deliveries = _rows(at)
    began = time.perf_counter()
    for start in range(0, EVENTS, BATCH):
        with hot_write() as door:
            door.insert("event", events[start : start + BATCH])
            door.insert("delivery", deliveries[start : start + BATCH])
    return EVENTS / (time.perf_counter() - began)


def _rows(at: Place) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    with hot_read() as door:
        table = table_of(door, at.actor.organization_id)
    target = next(iter(table.targets_for("job.created")))
    now = clock.now()
    events: list[dict[str, object]] = []
    deliveries: list[dict[str, object]] = []
    for number in range(EVENTS):
        events.append(
            {
                "id": 1000 + number,
                "public_id": ids.new_id("evt"),
                "organization_id": at.actor.organization_id,
                "event_type_id": table.types["job.created"].id,
                "type": "job.created",
                "producer_id": f"e{number}",
                "digest": hashlib.sha256(b"%d" % number).digest(),
                "data": DATA_1K,
                "is_public": False,
                "is_test": False,
                "occurred_at": now,
                "created_at": now,
            }
        )
        deliveries.append(
            queue.new_row(
                public_id=ids.new_id("dlv"),
                organization_id=at.actor.organization_id,
                event_id=1000 + number,
                webhook_id=target.webhook_id,
                event_type="job.created",
                url=target.url,
                attempts_allowed=target.attempts_allowed,
                now=now,
            )
        )
    return events, deliveries
