"""A live copy of the database and its key in one file, and the way back."""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from app import clock
from app.crypto import KEY_FILE
from app.database import APPLICATION_ID
from app.errors import Conflict, Refused
from app.faults import fault

if TYPE_CHECKING:
    from app.config import Settings

DATABASE = "postroom.db"
LAST = "last-backup"


def backup(settings: Settings, target: Path, *, with_key: bool) -> None:
    """Write database and key file into `target`, a tar file of mode 0600, while the server runs.

    Raises `Conflict` when the target exists, `Refused` on PostgreSQL.
    """
    file = _sqlite_file(settings)
    if target.exists():
        raise Conflict(f"{target} is there already. Choose another name.")
    with tempfile.TemporaryDirectory(dir=target.resolve().parent) as folder:
        copy = Path(folder) / DATABASE
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        fault("backup.middle")
        packed = Path(folder) / "packed"
        descriptor = os.open(packed, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w") as archive:
            archive.add(copy, DATABASE)
            key = settings.data_dir / KEY_FILE
            if with_key and key.exists():
                archive.add(key, KEY_FILE)
        packed.rename(target)
    (settings.data_dir / LAST).write_text(str(clock.now()), encoding="ascii")


def last(settings: Settings) -> int | None:
    """Return when the last backup was made; None: none that is known of."""
    file = settings.data_dir / LAST
    text = file.read_text(encoding="ascii") if file.exists() else ""
    return int(text) if text.isdigit() else None


def restore(settings: Settings, source: Path) -> list[str]:
    """Put a backup into the data directory, which no Postroom may be using; return the files that were written.

    What was there is kept beside it, with `.before-restore` behind its name. Raises `Refused` for a file that is
    no backup of ours.
    """
    file = _sqlite_file(settings)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        names = _unpack(source, Path(folder))
        _check(Path(folder) / DATABASE)
        for name in names:
            place = file if name == DATABASE else settings.data_dir / name
            if place.exists():
                place.rename(place.with_name(f"{place.name}.before-restore"))
            (Path(folder) / name).rename(place)
        for leftover in ("-wal", "-shm"):
            file.with_name(file.name + leftover).unlink(missing_ok=True)
    return names


def _sqlite_file(settings: Settings) -> Path:
    if not settings.database.startswith("sqlite"):
        raise Refused("The database is PostgreSQL: back it up with pg_dump, and keep the key file with it.")
    return Path(settings.database.removeprefix("sqlite:///"))


def _unpack(source: Path, folder: Path) -> list[str]:
    """Take out the members we know and nothing else: no path of an archive is ever followed."""
    try:
        with tarfile.open(source) as archive:
            names = []
            for member in archive.getmembers():
                content = archive.extractfile(member) if member.name in (DATABASE, KEY_FILE) else None
                if content is None:
                    raise Refused(f"{source} holds {member.name}, so it is no backup of Postroom.")
                descriptor = os.open(folder / member.name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                with os.fdopen(descriptor, "wb") as out:
                    while chunk := content.read(1 << 20):
                        out.write(chunk)
                names.append(member.name)
    except (tarfile.TarError, OSError) as error:
        raise Refused(f"{source} can't be read as a backup: {error}") from error
    if DATABASE not in names:
        raise Refused(f"{source} holds no database.")
    return names


def _check(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT * FROM pragma_application_id").fetchone()[0]
        sound = connection.execute("SELECT * FROM pragma_integrity_check LIMIT 1").fetchone()[0]
    if found != APPLICATION_ID or sound != "ok":
        raise Refused(f"The database in the backup is damaged or not Postroom's ({sound}).")
