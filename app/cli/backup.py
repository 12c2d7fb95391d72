"""backup and restore."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.application import settings_told


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--without-key", is_flag=True, help="Leave the key file out; without it nobody can open the secrets.")
def backup(file: Path, without_key: bool) -> None:
    """Copy the database and its key into FILE, while the server runs."""
    from app.services import backup as service

    service.backup(settings_told(), file, with_key=not without_key)
    click.echo(f"{file}: {file.stat().st_size:,} bytes" + (", without the key" if without_key else ", with the key"))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
def restore(file: Path) -> None:
    """Put the backup FILE into the data directory; the server must be stopped."""
    from app.cli.lock import hold
    from app.services import backup as service

    settings = settings_told()
    with hold(settings.data_dir):
        names = service.restore(settings, file)
    click.echo(f"Restored {', '.join(names)}. What was there is kept with .before-restore behind its name.")
