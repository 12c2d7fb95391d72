"""The lock on the data directory: one server or worker at a time may use a SQLite database."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

from app.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

FILE = "postroom.lock"


class Lock:
    """A held lock; closing it, or the end of the process, lets go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go. The file stays: whoever deleted it could let two processes hold one lock each."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hold(data_dir: Path) -> Lock:
    """Hold the lock, or raise `Refused` at once with the process that has it."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise Refused(f"Another Postroom (pid {holder or 'unknown'}) uses this data directory.") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lock(descriptor)
