"""The clockwork: a table of jobs. It ticks; what is due, and when, is in the database."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.background import BackgroundScheduler

from app import clock, database, logs
from app.database import StorageBroken, is_sqlite
from app.delivery import bell, health, queue, settings, skew
from app.services import growth, password_resets, probes, replaying, retention, system, telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from app.delivery.engine import Engine

DELIVER = "deliver"
STUCK_AFTER_S = 10.0


def _moment() -> datetime:
    return datetime.fromtimestamp(clock.now() / 1000, UTC)


class Clockwork:
    """Runs the jobs in their own threads, nudges `deliver` when the bell rings, and stops in order."""

    def __init__(
        self, engine: Engine, context: Callable[[], AbstractContextManager[Any]], die: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._context = context
        self._die = die
        self._state = threading.Condition()
        self._running: set[str] = set()
        self._stopping = False
        self._wall_minus_monotonic = clock.now() / 1000 - time.monotonic()
        self._jobs = BackgroundScheduler(
            timezone=UTC, job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        self._tick_s = 1.0 if is_sqlite() else 0.25

    def start(self) -> None:
        """Start ticking."""
        for name, work, seconds in self._table():
            self._jobs.add_job(self._run, "interval", args=(name, work), id=name, seconds=seconds)
        self._jobs.start()
        bell.listen(self._nudge)
        self._nudge()

    def _table(self) -> list[tuple[str, Callable[[], object], float]]:
        return [
            (DELIVER, self._deliver, self._tick_s),
            ("heartbeat", self._report, 5),
            ("release lapsed leases", self._release_lapsed, 5),
            ("webhook health", self._review_health, 60),
            ("notifications", lambda: telling.tell(clock.now()), 10),
            ("links for new passwords", lambda: password_resets.send_asked(clock.now()), 5),
            ("probes", lambda: probes.send_due(clock.now()), 60),
            ("checkpoint", lambda: database.checkpoint(larger_than=64 * 2**20), 5),
            ("replays", lambda: replaying.advance(clock.now()), 1),
            ("retention", lambda: retention.prune(clock.now()), 600),
            ("size", lambda: growth.note(clock.now()), 600),
            ("clock", self._watch_clock, 10),
        ]

    def _run(self, name: str, work: Callable[[], object]) -> None:
        with self._state:
            if self._stopping:
                return
            self._running.add(name)
        try:
            with self._context():
                work()
        except StorageBroken as error:
            logs.trouble(str(error))
            self._die()
        except Exception as error:  # noqa: BLE001  one bad tick must not end the clockwork
            logs.trouble(f"the job {name!r} failed and will be tried again", error)
        finally:
            with self._state:
                self._running.discard(name)
                self._state.notify_all()

    def _report(self) -> None:
        """Say that this process is there, and, while the engine's loop goes round, that it delivers."""
        system.heartbeat(self._engine.worker)
        if DELIVER not in self._running or time.monotonic() - self._engine.turned_at < STUCK_AFTER_S:
            system.tick()

    def _deliver(self) -> None:
        system.tick()
        due_at = self._engine.run()
        if due_at is not None and not self._stopping:
            wait = max(0.0, min(self._tick_s, (due_at - clock.now()) / 1000))
            self._jobs.modify_job(DELIVER, next_run_time=_moment() + timedelta(seconds=wait))

    def _nudge(self) -> None:
        """Wake the loop that runs, or start it: a nudge to a job that is running would be lost."""
        self._engine.ring()
        with self._state:
            if DELIVER in self._running or self._stopping:
                return
        self._jobs.modify_job(DELIVER, next_run_time=_moment())

    def _release_lapsed(self) -> None:
        failed = queue.release_lapsed(clock.now())
        for delivery_id in failed:
            logs.trouble("a delivery was interrupted three times and has failed", delivery=delivery_id)
        bell.ring()

    def _review_health(self) -> None:
        for webhook_id in health.review(clock.now()):
            settings.forget(webhook_id)

    def _watch_clock(self) -> None:
        """Find out whether the clock is off, and re-arm the jobs when it jumped: set back, it would stop them all."""
        system.watch_clock()
        difference = clock.now() / 1000 - time.monotonic()
        if abs(difference - self._wall_minus_monotonic) > 2:
            self._wall_minus_monotonic = difference
            logs.log("the wall clock jumped; the jobs are armed again")
            skew.forget_all()
            for job in self._jobs.get_jobs():
                job.modify(next_run_time=_moment())

    def stop(self, patience_s: float) -> bool:
        """Stop ticking and wait for what runs; call after `Engine.stop()`. Returns whether it ended in time."""
        bell.leave(self._nudge)
        with self._state:
            self._stopping = True
            ended = self._state.wait_for(lambda: not self._running, patience_s)
        if self._jobs.running:
            self._jobs.shutdown(wait=False)  # waiting here would deadlock with a job that calls the scheduler
        return ended
