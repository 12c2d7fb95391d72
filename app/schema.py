"""Brings the database's schema to the newest version, and says which version it has."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from app.config import PACKAGE, Settings
from app.database import StorageBroken, stamp

COPY_BELOW_BYTES = 2 * 2**30


def migrate(settings: Settings) -> None:
    """Migrate to the newest version. A SQLite file that is about to change is copied beside itself first.

    Raises `StorageBroken` when the database was made by a newer Postroom.
    """
    from alembic import command

    config = _alembic_config(settings)
    if settings.database.startswith("sqlite"):
        stamp(_file(settings))
    before, newest = version(settings), head(settings)
    if before == newest:
        return
    if before is not None:
        _refuse_newer(settings, before)
        _copy(settings, before)
    command.upgrade(config, "head")


def head(settings: Settings) -> str:
    """Return the newest version this Postroom knows."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory.from_config(_alembic_config(settings)).get_current_head()
    assert found is not None
    return found


def version(settings: Settings) -> str | None:
    """Return the version the database has; None for an empty one."""
    from alembic.migration import MigrationContext
    from sqlalchemy import NullPool, create_engine

    if settings.database.startswith("sqlite") and not _file(settings).exists():
        return None
    engine = create_engine(settings.database, poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(settings: Settings, before: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_alembic_config(settings)).walk_revisions()}
    if before not in known:
        raise StorageBroken(
            f"The database was made by a newer Postroom (schema {before}). "
            "Install that version, or restore a backup made with this one."
        )


def _copy(settings: Settings, before: str) -> None:
    file = _file(settings)
    if not settings.database.startswith("sqlite") or file.stat().st_size > COPY_BELOW_BYTES:
        return
    target = file.with_name(f"{file.name}.before-{before}")
    target.unlink(missing_ok=True)
    with sqlite3.connect(file) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    connection.close()
    target.chmod(0o600)


def _file(settings: Settings) -> Path:
    return Path(settings.database.removeprefix("sqlite:///"))


def _alembic_config(settings: Settings):  # type: ignore[no-untyped-def]
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(PACKAGE / "migrations"))
    config.attributes["url"] = settings.database
    return config
