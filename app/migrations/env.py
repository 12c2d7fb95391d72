"""Runs migrations: each revision in one transaction, with SQLite's foreign keys off around it and checked after."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import NullPool, create_engine, event

import app.models  # noqa: F401  the tables must be known
from app.extensions import Base
from app.faults import fault

url = context.config.attributes.get("url") or context.config.get_main_option("sqlalchemy.url")
assert url is not None
engine = create_engine(url, poolclass=NullPool)

if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        """Foreign keys off: the table swap of a batch would delete every child row."""
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=OFF")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        """Begin by hand, so that a revision that fails leaves nothing behind."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def keys_hold(ctx: Any, *_: Any, **__: Any) -> None:
    """Check foreign keys inside the revision's transaction; raising rolls it back."""
    fault("migrate.step")
    if ctx.connection.dialect.name != "sqlite":
        return
    broken = ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"This migration would break foreign keys: {broken[:5]}")


with engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_lock(5067603)")  # one process migrates, the others wait
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        compare_server_default=True,
        transactional_ddl=True,
        transaction_per_migration=True,
        on_version_apply=keys_hold,
    )
    with context.begin_transaction():
        context.run_migrations()
