"""The short way to the database: plain SQL through its driver, for what runs thousands of times a second.

SQLAlchemy's own way costs some 30 µs a statement and 150 µs a transaction, more than SQLite needs for the work.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import Connection
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Engine, PoolProxiedConnection

Row = TypeVar("Row")

_PORTIONS = (64, 16, 4, 1)

_LIST = re.compile(r"IN :(\w+)\[\]")
_LOCK = re.compile(r"\s+FOR UPDATE( OF \w+)? SKIP LOCKED")
_NAME = re.compile(r"(?<!:):(\w+)")


class Statement:
    """SQL for both databases. A value stands as `:name`, a list of values as `IN :names[]`.

    `FOR UPDATE SKIP LOCKED` is for PostgreSQL alone: on SQLite there is one writer.
    """

    __slots__ = ("_lists", "postgresql", "sqlite")

    def __init__(self, sql: str) -> None:
        self._lists = tuple(_LIST.findall(sql))
        self.sqlite = _LIST.sub(r"IN (SELECT value FROM json_each(:\1))", _LOCK.sub("", sql))
        self.postgresql = _NAME.sub(r"%(\1)s", _LIST.sub(r"= ANY(:\1)", sql))

    def values_for_sqlite(self, values: dict[str, Any]) -> dict[str, Any]:
        """Write the lists among the values as JSON."""
        for name in self._lists:
            values[name] = orjson.dumps(values[name]).decode()
        return values


def portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows into portions of a few sizes: a statement of each size stays prepared, and preparing costs most."""
    start = 0
    while start < len(rows):
        size = next(size for size in _PORTIONS if size <= len(rows) - start)
        yield rows[start : start + size]
        start += size


class Door:
    """A transaction at the driver. Values go in and come out as the driver has them: enums by value, JSON as text."""

    __slots__ = ("_engine", "_pooled", "_raw", "_session", "is_sqlite")

    def __init__(self, engine: Engine, pooled: PoolProxiedConnection) -> None:
        self._engine = engine
        self._pooled = pooled
        self._raw: Any = pooled.driver_connection
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._session: Session | None = None

    def rows(self, statement: Statement, **values: Any) -> list[tuple[Any, ...]]:
        """Return all rows that a statement gives."""
        return self._run(statement, values).fetchall()  # type: ignore[no-any-return]

    def run(self, statement: Statement, **values: Any) -> None:
        """Run a statement that gives no rows."""
        self._run(statement, values)

    def _run(self, statement: Statement, values: dict[str, Any]) -> Any:
        if self.is_sqlite:
            return self._raw.execute(statement.sqlite, statement.values_for_sqlite(values))
        return self._raw.execute(statement.postgresql, values)

    def run_on_sqlite(self, sql: str, values: Sequence[Any]) -> None:
        """Run SQL in the words of SQLite, with `?` for each value."""
        self._raw.execute(sql, values)

    def run_each(self, statement: Statement, values: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement without lists once for each of the values."""
        if self.is_sqlite:
            self._raw.executemany(statement.sqlite, values)
        else:
            self._raw.cursor().executemany(statement.postgresql, values)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]], *, or_keep: bool = False) -> None:
        """Insert rows that all have the same keys in the same order; `or_keep`: those that are there stay.

        On SQLite many rows are one statement: its driver lets go of the interpreter at every step, and under load
        each step would wait for all other threads.
        """
        if not rows:
            return
        columns = tuple(rows[0])
        if not self.is_sqlite:
            self._raw.cursor().executemany(_insert(table, columns, 0, or_keep), rows)
            return
        for some in portions(rows):
            values = [value for row in some for value in row.values()]
            self._raw.execute(_insert(table, columns, len(some), or_keep), values)

    @property
    def session(self) -> Session:
        """An ORM session in the same transaction, for what is rare."""
        if self._session is None:
            self._session = Session(bind=Connection(self._engine, self._pooled))
        return self._session

    def flush(self) -> None:
        """Write what the ORM session holds back."""
        if self._session is not None:
            self._session.flush()

    def close(self) -> None:
        """Let go of the ORM session."""
        if self._session is not None:
            self._session.close()


@lru_cache(1024)
def _insert(table: str, columns: tuple[str, ...], rows: int, or_keep: bool) -> str:
    """An INSERT of several rows for SQLite; of one with named values for PostgreSQL when `rows` is 0."""
    quoted = ", ".join(f'"{column}"' for column in columns)
    if rows:
        values = ", ".join(["({})".format(", ".join("?" * len(columns)))] * rows)
    else:
        values = "({})".format(", ".join(f"%({column})s" for column in columns))
    keep = " ON CONFLICT DO NOTHING" if or_keep else ""
    return f'INSERT INTO "{table}" ({quoted}) VALUES {values}{keep}'  # noqa: S608  names from our own tables
