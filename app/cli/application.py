"""The application as a command uses it: migrated, with the right key, and closed again."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.config import Settings


def settings_told() -> Settings:
    """Read the options; what is wrong with them goes to standard error."""
    from app.config import read_settings

    settings, warnings = read_settings()
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    return settings


def migrated(settings: Settings) -> tuple[str | None, str]:
    """Bring the schema to the newest version; return the version before and after.

    Raises `Refused` when there is something to do while a server uses the same SQLite file.
    """
    from app import schema
    from app.cli.lock import hold

    before, newest = schema.version(settings), schema.head(settings)
    if before != newest:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with hold(settings.data_dir) if settings.database.startswith("sqlite") else nullcontext():
            schema.migrate(settings)
    return before, newest


@contextmanager
def application() -> Iterator[Settings]:
    """Open the application of this installation for the block."""
    from app import create_app
    from app.extensions import db
    from app.services import organizations

    settings = settings_told()
    migrated(settings)
    with create_app(settings).app_context():
        try:
            organizations.check_canary()
            yield settings
        finally:
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
