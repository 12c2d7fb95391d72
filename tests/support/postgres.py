"""A PostgreSQL server to test on: one database a process, which is empty again whenever it is asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import Connection, NullPool, create_engine, text

from app import schema
from app.config import read_settings

if TYPE_CHECKING:
    from pathlib import Path

KEPT = "kept"  # the name of connections that may stay from test to test
_SEND_AWAY = f"""
SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
 AND NOT (application_name = '{KEPT}' AND state = 'idle')"""
_SHAPE = """
SELECT md5(string_agg(concat_ws(' ', oid, relname, relkind, relnatts, relchecks, relhastriggers), ',' ORDER BY oid)),
 (SELECT count(*) FROM pg_statistic JOIN pg_class ON pg_class.oid = starelid
  WHERE relnamespace = 'public'::regnamespace)
FROM pg_class WHERE relnamespace = 'public'::regnamespace"""
_VERSION = "SELECT version_num FROM alembic_version"
_TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"""
_RESTART = """
SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence
WHERE pg_sequence_last_value(seqrelid) IS NOT NULL"""


class PostgresServer:
    """A server with a migrated template, and a database of this process that is a copy of it."""

    def __init__(self, url: str, folder: Path) -> None:
        self._admin = create_engine(_with_driver(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._template = f"postroom_template_{os.getpid()}"
        self._name = f"postroom_test_{os.getpid()}"
        self._run(f"DROP DATABASE IF EXISTS {self._template}", f"CREATE DATABASE {self._template}")
        found, _ = read_settings({}, data_dir=folder, database_url=self._named(self._template))
        schema.migrate(found)
        self._inside: Connection | None = None

    def empty(self) -> str:
        """Return the URL of the database, with nothing in it and nobody at it."""
        if self._inside is None or not self._emptied(self._inside):
            self._make()
        return self._named(self._name)

    def close(self) -> None:
        """Delete both databases."""
        self._leave()
        self._run(*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (self._name, self._template)))

    def _make(self) -> None:
        self._leave()
        self._run(
            f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)",
            f"CREATE DATABASE {self._name} TEMPLATE {self._template} STRATEGY file_copy",
        )
        engine = create_engine(self._named(self._name), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._inside = engine.connect()
        self._inside.exec_driver_sql("SET session_replication_role = replica")  # rows go in any order
        tables = self._inside.exec_driver_sql(_TABLES).scalars()
        self._filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in tables)
        self._shape = self._inside.exec_driver_sql(_SHAPE).one()
        self._version = self._inside.exec_driver_sql(_VERSION).all()

    def _emptied(self, inside: Connection) -> bool:
        """Send others away, empty what was written to, and return whether nothing else had been changed."""
        inside.exec_driver_sql(_SEND_AWAY)
        if inside.exec_driver_sql(_SHAPE).one() != self._shape:
            return False
        if inside.exec_driver_sql(_VERSION).all() != self._version:
            return False
        for name in inside.exec_driver_sql(self._filled).scalars():
            inside.exec_driver_sql(f'DELETE FROM "{name}"')
        inside.exec_driver_sql(_RESTART)
        return True

    def _leave(self) -> None:
        if self._inside is not None:
            self._inside.close()
            self._inside = None

    def _named(self, name: str) -> str:
        return self._admin.url.set(database=name).render_as_string(hide_password=False)

    def _run(self, *statements: str) -> None:
        with self._admin.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


def _with_driver(url: str) -> str:
    return "postgresql+psycopg://" + url.partition("://")[2]
