"""Readiness, workers, the queue and sizes."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text, update

from app import disk, ids
from app.core.encoding import ContentType
from app.core.retry import Exhausted
from app.core.shaping import DataMode
from app.core.states import DeliveryState
from app.database import door_of, write
from app.delivery import queue
from app.extensions import db
from app.models import Event, Lane, Webhook, Worker
from app.services import system

MINUTE = 60


@pytest.fixture
def worker(app, clock):
    """A delivery process that reported just now."""
    system.heartbeat("host-1")


@pytest.fixture
def make_deliveries(organization, clock):
    """Make a webhook with deliveries due at the given moments."""

    def make(*due, state=DeliveryState.PENDING, enabled=True, paused=False):
        with write() as session:
            webhook = Webhook(
                public_id=ids.new_id("whk"),
                organization_id=organization.id,
                name="Warehouse",
                url="https://hooks.example.com/",
                preset="standard",
                enabled=enabled,
                paused=paused,
                content_type=ContentType.JSON,
                data_mode=DataMode.EVERYTHING,
                delays_ms=[1000],
                timeout_ms=15_000,
                jitter=0.0,
                on_exhausted=Exhausted.KEEP,
                success_codes=["2xx"],
                created_at=clock.now,
                updated_at=clock.now,
                lane=Lane(),
            )
            event = Event(
                public_id=ids.new_id("evt"),
                organization_id=organization.id,
                type="job.created",
                digest=b"",
                data=b"{}",
                occurred_at=clock.now,
                created_at=clock.now,
            )
            session.add_all([webhook, event])
            session.flush()
            leased = {"lease_id": 1, "leased_until": clock.now + 1} if state is DeliveryState.SENDING else {}
            rows = [
                queue.new_row(
                    public_id=ids.new_id("dlv"),
                    organization_id=organization.id,
                    event_id=event.id,
                    webhook_id=webhook.id,
                    copy=copy,
                    event_type="job.created",
                    url=webhook.url,
                    attempts_allowed=2,
                    now=at,
                )
                | {"state": state.value, **leased}
                for copy, at in enumerate(due)
            ]
            queue.enqueue(door_of(session), rows)

    return make


class TestReadiness:
    def test_a_server_that_delivers_is_ready(self, worker):
        assert system.readiness().is_ready

    def test_nobody_who_delivers_is_told(self, app, clock):
        found = system.readiness()

        assert not found.is_ready
        assert found.problems == ("Nothing is being sent: no delivery process has reported for 2 min.",)

    def test_a_worker_is_trusted_for_two_minutes(self, worker, clock):
        clock.advance(seconds=2 * MINUTE, ms=-1)
        assert system.readiness().is_ready

        clock.advance(ms=1)
        assert not system.readiness().is_ready

    def test_delivery_in_this_process_needs_no_wall_clock(self, app, clock, monkeypatch):
        system.tick()
        clock.advance(seconds=24 * 3600)
        assert system.readiness().is_ready

        later = time.monotonic() + 2 * MINUTE
        monkeypatch.setattr(system.time, "monotonic", lambda: later)
        assert not system.readiness().is_ready

    def test_a_server_that_stops_is_not_ready(self, worker):
        system.begin_drain()

        assert system.is_draining()
        assert system.readiness().problems == ("The server is stopping.",)

    def test_an_older_schema_is_told(self, worker):
        with write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

        (problem,) = system.readiness().problems

        assert problem.startswith("The database's schema is 0000, not ")

    def test_a_database_without_a_schema_is_told(self, worker):
        with write() as session:
            session.execute(text("DROP TABLE alembic_version"))

        (problem,) = system.readiness().problems

        assert "The database's schema is not there" in problem

    def test_a_database_that_cannot_be_written_is_told(self, worker, database):
        db.engine.dispose()  # so that there is one connection, which is used again
        with write() as session:
            if database.database_url:
                session.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
            else:
                (database.data_dir / "postroom.db").chmod(0o400)
                session.execute(text("UPDATE worker SET seen_at = 0"))
                session.connection().connection.driver_connection.set_authorizer(_refuse_updates)

        (problem,) = system.readiness().problems
        db.engine.dispose()  # of a connection like that

        assert problem.startswith("The database can't be written: ")

    def test_a_full_disk_is_told(self, worker, monkeypatch):
        monkeypatch.setattr(disk, "is_full", lambda *_: True)

        assert system.readiness().problems == ("New events are refused: the disk is full.",)


def _refuse_updates(action, *_):
    import sqlite3

    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_UPDATE else sqlite3.SQLITE_OK


class TestWorkers:
    def test_a_heartbeat_keeps_the_start_and_moves_the_last_sign(self, worker, clock):
        began = clock.now
        clock.advance(seconds=5)

        system.heartbeat("host-1")

        (found,) = system.list_workers()
        assert (found.name, found.started_at, found.seen_at, found.is_silent) == ("host-1", began, clock.now, False)

    def test_the_one_seen_last_comes_first_and_silence_is_told(self, worker, clock):
        clock.advance(seconds=3 * MINUTE)
        system.heartbeat("host-2")

        assert [(found.name, found.is_silent) for found in system.list_workers()] == [
            ("host-2", False),
            ("host-1", True),
        ]

    def test_a_day_later_it_is_forgotten(self, worker, clock):
        clock.advance(seconds=24 * 3600 + 1)

        system.heartbeat("host-2")

        assert [found.name for found in system.list_workers()] == ["host-2"]

    def test_one_that_stopped_in_order_is_gone_at_once(self, worker):
        system.heartbeat("host-2")

        system.leave("host-2")

        assert [found.name for found in system.list_workers()] == ["host-1"]

    def test_a_worker_from_a_clock_far_ahead_is_not_trusted(self, worker):
        with write() as session:
            session.execute(update(Worker).values(seen_at=Worker.seen_at + 3_600_000))

        assert system.list_workers()[0].is_silent


class TestTheQueue:
    def test_an_empty_one(self, app, clock):
        assert system.queue_state() == system.QueueState(0, 0, None)

    def test_what_waits_and_what_is_under_way(self, make_deliveries, clock):
        make_deliveries(clock.now - 5_000, clock.now - 9_000, clock.now + 1)
        make_deliveries(clock.now - 60_000, state=DeliveryState.SENDING)

        assert system.queue_state() == system.QueueState(3, 1, clock.now - 9_000)

    def test_what_is_held_is_not_late(self, make_deliveries, clock):
        make_deliveries(clock.now - 5_000, enabled=False)
        make_deliveries(clock.now - 5_000, paused=True)

        assert system.queue_state() == system.QueueState(2, 0, None)

    def test_what_is_due_later_is_not_late(self, make_deliveries, clock):
        make_deliveries(clock.now + 1)

        assert system.queue_state().oldest_due_at is None

        clock.advance(ms=1)
        assert system.queue_state().oldest_due_at == clock.now


def test_sizes_are_bytes(worker, database):
    found = system.sizes()

    assert found.database > 100_000
    assert found.free > 0
    assert (found.log is None) == bool(database.database_url)
