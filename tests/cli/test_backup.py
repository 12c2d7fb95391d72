"""A backup of a running server, and the way back."""

from __future__ import annotations

import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from app import crypto, schema
from app.config import Settings, read_settings
from app.errors import Conflict, Refused
from app.services import backup


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    settings, _ = read_settings({"POSTROOM_DATA_DIR": str(tmp_path / "data")})
    crypto.load_keys(settings)
    schema.migrate(settings)
    return settings


def _write(settings: Settings, name: str) -> None:
    with closing(sqlite3.connect(settings.data_dir / "postroom.db")) as connection:
        connection.execute("INSERT INTO installation (name, value, changed_at) VALUES (?, x'00', 0)", (name,))
        connection.commit()


def _names(settings: Settings) -> list[str]:
    with closing(sqlite3.connect(settings.data_dir / "postroom.db")) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM installation ORDER BY name")]


def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(place: Settings, tmp_path: Path) -> None:
    _write(place, "before")
    backup.backup(place, tmp_path / "copy.tar", with_key=True)
    _write(place, "after")

    backup.restore(place, tmp_path / "copy.tar")

    assert _names(place) == ["before"]
    assert (place.data_dir / "postroom.db.before-restore").exists()
    key = (place.data_dir / crypto.KEY_FILE).read_text()
    assert key == (place.data_dir / "postroom.key.before-restore").read_text()


def test_a_backup_can_be_read_by_its_owner_alone_and_is_never_overwritten(place: Settings, tmp_path: Path) -> None:
    backup.backup(place, tmp_path / "copy.tar", with_key=False)

    assert stat.S_IMODE((tmp_path / "copy.tar").stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "copy.tar") as archive:
        assert archive.getnames() == ["postroom.db"]
    with pytest.raises(Conflict, match="there already"):
        backup.backup(place, tmp_path / "copy.tar", with_key=False)


def test_an_archive_with_other_members_is_refused_and_changes_nothing(place: Settings, tmp_path: Path) -> None:
    _write(place, "kept")
    (tmp_path / "evil").write_text("x")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "evil", "../evil")

    with pytest.raises(Refused, match="no backup of Postroom"):
        backup.restore(place, tmp_path / "evil.tar")

    assert _names(place) == ["kept"]
