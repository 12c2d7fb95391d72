"""The database's two doors: `read()`, which cannot change a row, and `write()`, the only commit there is."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from app.door import Door
from app.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy.orm import Session

APPLICATION_ID = 0x504F5354  # "POST": tells our files from foreign ones
PRAGMAS = {
    "busy_timeout": 5000,  # first: setting journal_mode may have to wait
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a 202 must survive a power cut
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "journal_size_limit": 67108864,
    "wal_autocheckpoint": 1000,
    "cache_size": -32768,  # KiB: what is being delivered stays in memory
}

_mode: ContextVar[str] = ContextVar("mode", default="read")


class StorageBroken(Exception):
    """The database file can't be used any more; the process must end and let a restart recover it."""


class Busy(Unavailable):
    """Other writers of this process took too long; nothing has changed."""

    def __init__(self) -> None:
        super().__init__("The database is busy. Try again in a moment.")


class RoutedSession(FlaskSession):
    """A session that reads through the engine that cannot write, unless `write()` is open."""

    def get_bind(
        self, mapper: Any | None = None, clause: Any | None = None, bind: Any | None = None, **kwargs: Any
    ) -> Any:
        """Return the engine for this statement."""
        engines = self._db.engines
        if bind is None and "read" in engines and _mode.get() == "read":
            return engines["read"]
        return super().get_bind(mapper=mapper, clause=clause, bind=bind, **kwargs)


class WritersQueue:
    """First come, first served: SQLite's own busy handler sleeps and lets writers starve."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, patience: float) -> bool:
        """Wait at most `patience` seconds for our turn; return whether it came."""
        with self._guard:
            if not self._busy:
                self._busy = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=patience):
            return True
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # it was handed over in the last moment

    def release(self) -> None:
        """Hand over to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._busy = False


_writers = WritersQueue()


_prepared: list[SQLAlchemy] = []  # the extension, once its engines are prepared


def _db() -> SQLAlchemy:
    return _prepared[0]


def is_sqlite() -> bool:
    """Whether the database is the embedded one."""
    return _db().engine.dialect.name == "sqlite"


@contextmanager
def write(patience: float = 10.0) -> Iterator[Session]:
    """Open the one transaction that may change rows; it commits when the block ends.

    Does not nest. `patience` is how many seconds to wait for other writers of this process;
    after that `Busy` is raised.
    """
    if _mode.get() == "write":
        raise RuntimeError("write() does not nest")
    session = _db().session
    session.rollback()  # ends the read transaction; what was read is loaded again inside
    queued = is_sqlite()
    if queued and not _writers.acquire(patience):
        raise Busy
    token = _mode.set("write")
    try:
        yield session  # type: ignore[misc]
        session.commit()
    except BaseException as error:
        session.rollback()
        raise_if_fatal(error)
        raise
    finally:
        _mode.reset(token)
        if queued:
            _writers.release()


@contextmanager
def read() -> Iterator[Session]:
    """Open a short transaction that cannot change rows; it ends with the block."""
    session = _db().session
    try:
        yield session  # type: ignore[misc]
    finally:
        if _mode.get() == "read":
            session.rollback()


@contextmanager
def hot_write(patience: float = 10.0) -> Iterator[Door]:
    """Open the same transaction as `write()` for the hot path: without a session, straight through the driver.

    Raises what `write()` raises; errors of the driver come as SQLAlchemy's.
    """
    if _mode.get() == "write":
        raise RuntimeError("write() does not nest")
    queued = is_sqlite()
    if queued and not _writers.acquire(patience):
        raise Busy
    token = _mode.set("write")
    try:
        with _at_driver(_db().engine) as (door, raw):
            if queued:
                raw.execute("BEGIN IMMEDIATE")
            yield door
            door.flush()
            raw.commit()
    except BaseException as error:
        raise_if_fatal(error)
        raise
    finally:
        _mode.reset(token)
        if queued:
            _writers.release()


@contextmanager
def hot_read() -> Iterator[Door]:
    """Open a door that cannot change rows, for the hot path. On SQLite each statement sees a moment of its own."""
    with _at_driver(_db().engines["read" if is_sqlite() else None]) as (door, _):
        yield door


@contextmanager
def _at_driver(engine: Engine) -> Iterator[tuple[Door, Any]]:
    pooled = engine.raw_connection()
    raw: Any = pooled.driver_connection
    door = Door(engine, pooled)
    try:
        yield door, raw
    except BaseException as error:
        broken: Any = engine.dialect.loaded_dbapi.Error
        if not isinstance(error, broken):
            raw.rollback()
            raise
        is_gone = engine.dialect.is_disconnect(error, raw, None)
        if is_gone:
            pooled.invalidate(error)
        else:
            raw.rollback()
        raise DBAPIError.instance(
            None, None, error, broken, hide_parameters=True, connection_invalidated=is_gone, dialect=engine.dialect
        ) from error
    finally:
        door.close()
        pooled.close()


def door_of(session: Session) -> Door:
    """Return a door into the transaction of a session that `write()` gave."""
    session.flush()
    connection = session.connection()
    return Door(connection.engine, connection.connection)


def raise_if_fatal(error: BaseException) -> None:
    """Turn an error after which the file can't be trusted into `StorageBroken`.

    After a failed fsync the kernel may have dropped the dirty pages, and the next commit may seem to succeed.
    """
    if not isinstance(error, DBAPIError) or not isinstance(error.orig, sqlite3.Error):
        return
    name = getattr(error.orig, "sqlite_errorname", "")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
        raise StorageBroken(f"The database can't be used: {error.orig} ({name}).") from error


def is_unavailable(error: BaseException) -> bool:
    """Whether this is the database being away, full or locked: to be tried again, never lost."""
    return isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated)


def prepare(db: SQLAlchemy) -> None:
    """Give both engines their transaction mode and pragmas; call once, before the first connection."""
    _prepared[:] = [db]
    engine = db.engines[None]
    if engine.dialect.name != "sqlite":
        _set_timeouts(engine)
        return
    _prepare_sqlite(engine, "BEGIN IMMEDIATE", {})
    _prepare_sqlite(db.engines["read"], "BEGIN", {"query_only": 1})


def _set_timeouts(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '30s'")
            cursor.execute("SET lock_timeout = '5s'")
            cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
            cursor.execute("SET synchronous_commit = on")
        connection.commit()


def _prepare_sqlite(engine: Engine, begin: str, more: dict[str, int]) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: its own mode loses updates
        for name, wanted in (PRAGMAS | more).items():
            connection.execute(f"PRAGMA {name}={wanted}")
            found = connection.execute(f"PRAGMA {name}").fetchone()[0]
            if str(found).lower() != str(wanted):
                raise StorageBroken(
                    f"SQLite keeps {name} at {found} instead of {wanted}. "
                    "Put the data directory on a local disk that supports write-ahead logging."
                )

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        if not connection.connection.driver_connection.in_transaction:  # `hot_write` has begun already
            connection.exec_driver_sql(begin)


def stamp(file: Path) -> None:
    """Mark a SQLite file as ours. Raises `StorageBroken` for a file of another application, or none at all."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            foreign = found == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
        except sqlite3.DatabaseError as error:
            raise StorageBroken(f"{file} is no SQLite database: {error}. Restore a backup.") from error
        if found not in (0, APPLICATION_ID) or foreign:
            raise StorageBroken(f"{file} belongs to another application. Point POSTROOM_DATA_DIR elsewhere.")
        if found == 0:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.commit()


def checkpoint(larger_than: int = 0) -> None:
    """Fold the write-ahead log back into the file when it has more than `larger_than` bytes.

    A reader that stays open keeps SQLite from doing that by itself, and the log grows without bound.
    """
    if not is_sqlite():
        return
    log = Path(f"{_db().engine.url.database}-wal")
    if not log.exists() or log.stat().st_size <= larger_than:
        return
    _db().session.rollback()
    raw = _db().engine.raw_connection()
    try:
        raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    finally:
        raw.close()
