"""How the installation is doing: ready or not and why, who delivers, how much waits, how large it is."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import OperationalError as NoTable

from app import clock, disk, schema
from app.database import StorageBroken, is_sqlite, read, write
from app.delivery import queue, skew
from app.delivery.installed import installed
from app.errors import Unavailable
from app.models import Delivery, Installation, Webhook, Worker

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.config import Settings

SILENT_AFTER_MS = 120_000
FORGOTTEN_AFTER_MS = 24 * 3_600_000
COUNTED_UP_TO = 100_000
MOST_OFF_MS = 10_000
CLOCK_READ_EVERY_S = 30.0

_SILENT = f"Nothing is being sent: no delivery process has reported for {SILENT_AFTER_MS // 60_000} min."
_FULL = "New events are refused: the disk is full."
_CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server does its work; if not, why, in sentences."""

    problems: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nothing is in the way."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A process that delivers."""

    name: str
    started_at: int
    seen_at: int
    is_silent: bool


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits and what is under way. `waiting` is counted up to `COUNTED_UP_TO`."""

    waiting: int
    in_flight: int
    oldest_due_at: int | None  # of webhooks that are on and not paused; None: nothing is due


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the database, of its write-ahead log (SQLite), and free where the data lies."""

    database: int
    log: int | None
    free: int


# --- what this process knows of itself

_ticked_s: float | None = None
_is_draining = False
_clock_off_ms = 0
_clock_read_s: float | None = None


def tick() -> None:
    """Say that delivery in this process is alive. Its age is told by the monotonic clock."""
    global _ticked_s
    _ticked_s = time.monotonic()


def begin_drain() -> None:
    """Say that this process is stopping: it is not ready from now on."""
    global _is_draining
    _is_draining = True


def is_draining() -> bool:
    """Whether this process is stopping."""
    return _is_draining


def forget_all() -> None:
    """Begin anew: another application runs in this process."""
    global _ticked_s, _is_draining, _clock_off_ms, _clock_read_s
    _ticked_s, _is_draining, _clock_off_ms, _clock_read_s = None, False, 0, None
    skew.forget_all()


# --- readiness


def readiness() -> Readiness:
    """Return whether the server can take and deliver events now."""
    settings = installed().settings
    problems = ["The server is stopping."] if _is_draining else []
    found = _storage_problem(settings)
    problems += [found] if found else []
    if found is None and not _delivers():
        problems.append(_SILENT)
    if disk.is_full(settings.data_dir, settings.disk_reserve_mb):
        problems.append(_FULL)
    return Readiness(tuple(problems))


def _storage_problem(settings: Settings) -> str | None:
    try:
        with read() as session:
            version = _schema_version(session)
        if version != (head := _head(settings)):
            return f"The database's schema is {version or 'not there'}, not {head}. Restart the server: it migrates."
        with write(patience=2.0) as session:  # matches no row; a database that can't be written refuses it all the same
            session.execute(update(Installation).where(Installation.name == "").values(changed_at=0))
    except (DBAPIError, StorageBroken, Unavailable) as error:
        return f"The database can't be written: {getattr(error, 'orig', None) or error}."
    return None


def _schema_version(session: Session) -> str | None:
    try:
        version: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
        return version
    except (ProgrammingError, NoTable) as error:
        if "alembic_version" in str(error.orig):
            return None
        raise


@lru_cache(maxsize=1)
def _head(settings: Settings) -> str:
    return schema.head(settings)


def _delivers() -> bool:
    if _ticked_s is not None and (time.monotonic() - _ticked_s) * 1000 < SILENT_AFTER_MS:
        return True
    return any(not worker.is_silent for worker in list_workers())


def troubles() -> tuple[str, ...]:
    """Return what everybody who may act should know: that nothing is sent, or taken. As a rule it costs nothing."""
    settings = installed().settings
    full = disk.is_full(settings.data_dir, settings.disk_reserve_mb)
    off_s = round(abs(clock_off_ms()) / 1000)
    wrong = f"The clock is {off_s} s off; receivers may reject signatures."
    is_wrong = off_s * 1000 > MOST_OFF_MS
    return tuple(words for is_so, words in ((full, _FULL), (not _delivers(), _SILENT), (is_wrong, wrong)) if is_so)


# --- the clock


def watch_clock() -> None:
    """Find out how far this machine's clock is off: as most receivers have it, else as the database has it.

    Where it is too far, processes that only serve pages are told through the database.
    """
    global _clock_off_ms
    told = skew.off_ms()
    found = told if told is not None else clock_skew_ms() or 0
    if not is_sqlite() and max(abs(found), abs(_clock_off_ms)) > MOST_OFF_MS:
        with write() as session:
            session.merge(Installation(name=_CLOCK, value=str(found).encode(), changed_at=clock.now()))
    _clock_off_ms = found


def clock_off_ms() -> int:
    """Return how far the clock of whoever delivers is ahead, as it was found lately; 0 while nothing tells."""
    global _clock_off_ms, _clock_read_s
    now_s = time.monotonic()
    is_told = _ticked_s is not None or is_sqlite()  # this process delivers, or is told of it every time it does
    if not is_told and (_clock_read_s is None or now_s - _clock_read_s > CLOCK_READ_EVERY_S):
        with read() as session:
            row = session.get(Installation, _CLOCK)
            is_news = row is not None and clock.now() - row.changed_at < SILENT_AFTER_MS
            _clock_off_ms = int(row.value) if row is not None and is_news else 0
        _clock_read_s = now_s
    return _clock_off_ms


def clock_skew_ms() -> int | None:
    """Return how far this machine's clock is ahead of the database server's; None with SQLite, which has none."""
    if is_sqlite():
        return None
    with read() as session:
        theirs = session.scalar(text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"))
    return clock.now() - int(theirs or 0)


# --- workers


def heartbeat(worker: str) -> None:
    """Note that a delivery process is there; forget those not seen for a day."""
    now = clock.now()
    with write() as session:
        row = session.get(Worker, worker)
        if row is None:
            session.add(Worker(name=worker, started_at=now, seen_at=now))
        else:
            row.seen_at = now
        session.execute(delete(Worker).where(Worker.seen_at < now - FORGOTTEN_AFTER_MS))


def leave(worker: str) -> None:
    """Forget a delivery process that stopped in order: its silence is no trouble."""
    with write() as session:
        session.execute(delete(Worker).where(Worker.name == worker))


def list_workers() -> list[WorkerView]:
    """Return the delivery processes, the one seen last first."""
    now = clock.now()
    with read() as session:
        rows = session.scalars(select(Worker).order_by(Worker.seen_at.desc(), Worker.name))
        return [
            WorkerView(row.name, row.started_at, row.seen_at, abs(now - row.seen_at) >= SILENT_AFTER_MS) for row in rows
        ]


# --- queue and sizes


def queue_state() -> QueueState:
    """Return what waits and what is under way, over all organizations."""
    pending, sending = queue.PENDING, queue.SENDING
    oldest = (  # one step into the index a webhook, instead of all that waits
        select(func.min(Delivery.next_attempt_at))
        .where(Delivery.webhook_id == Webhook.id, pending)
        .correlate(Webhook)
        .scalar_subquery()
    )
    may_send = select(func.min(oldest)).select_from(Webhook).where(Webhook.enabled, ~Webhook.paused)
    with read() as session:
        counted = select(Delivery.id).where(pending).limit(COUNTED_UP_TO).subquery()
        due_at = session.scalar(may_send)
        return QueueState(
            waiting=session.scalar(select(func.count()).select_from(counted)) or 0,
            in_flight=session.scalar(select(func.count(Delivery.id)).where(sending)) or 0,
            oldest_due_at=due_at if due_at is not None and due_at <= clock.now() else None,
        )


def sizes() -> Sizes:
    """Return how large the database is and how much room is left."""
    settings = installed().settings
    free = shutil.disk_usage(settings.data_dir).free
    if is_sqlite():
        file = Path(settings.database.removeprefix("sqlite:///"))
        return Sizes(_size(file), _size(file.with_name(f"{file.name}-wal")), free)
    with read() as session:
        return Sizes(session.scalar(text("SELECT pg_database_size(current_database())")) or 0, None, free)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
