"""The operator's own presets and event packs, as they lie in the data directory now: used, changed since, or broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.core.packs import load_packs
from app.core.presets import load_presets
from app.core.vocabulary import DataFileError
from app.delivery.installed import installed

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file, and what is to be known of it: nothing when it is in use as it lies there."""

    path: str
    in_use: bool
    words: str


def check() -> list[OwnFile]:
    """Read the own files again, and say what a restart would make of them. Changes nothing."""
    folder = installed().settings.data_dir
    found = [_preset(path) for path in sorted((folder / "presets").glob("*.toml"))]
    return found + [_pack(path) for path in sorted((folder / "packs").glob("*.toml"))]


def _preset(path: Path) -> OwnFile:
    here = installed()
    try:
        read = load_presets([(path.stem, path.read_bytes())], here.schemes)[path.stem]
    except (DataFileError, OSError) as error:
        return _broken(path, error)
    return _told(path, is_same=here.presets.get(path.stem) == read)


def _pack(path: Path) -> OwnFile:
    try:
        read = load_packs([(path.stem, path.read_bytes())])[path.stem]
    except (DataFileError, OSError) as error:
        return _broken(path, error)
    return _told(path, is_same=installed().packs.get(path.stem) == read)


def _broken(path: Path, error: Exception) -> OwnFile:
    return OwnFile(_name(path), in_use=False, words=f"{error}. The server won't start again until this is mended.")


def _told(path: Path, *, is_same: bool) -> OwnFile:
    return OwnFile(_name(path), is_same, "" if is_same else "Changed since the start. Restart the server to use it.")


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
