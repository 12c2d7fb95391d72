"""Finds the packaged data files and the operator's own beside them. Reads bytes; what they mean is not known here."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def presets(data_dir: Path) -> dict[str, bytes]:
    """Return the presets by name: those of the package, then `presets/*.toml` of the data directory.

    An own file with the name of a packaged one takes its place. Raises OSError when an own file can't be read.
    """
    return _packaged("presets") | _own(data_dir / "presets")


def packs(data_dir: Path) -> dict[str, bytes]:
    """Return the event packs by name: those of the package, then `packs/*.toml` of the data directory, as above."""
    return _packaged("packs") | _own(data_dir / "packs")


def signatures() -> bytes:
    """Return the table of signature schemes. It has no own counterpart: a scheme is code as much as data."""
    return (resources.files("app") / "signatures.toml").read_bytes()


def _packaged(folder: str) -> dict[str, bytes]:
    files = [file for file in (resources.files("app") / folder).iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_bytes() for file in sorted(files, key=lambda file: file.name)}


def _own(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.toml"))}
