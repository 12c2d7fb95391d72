"""Room on the disk: with none left even deleting fails, so publishing stops while there is some."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_looked_at = 0.0
_full = False


def is_full(folder: Path, reserve_mb: int) -> bool:
    """Whether less than `reserve_mb` MiB are free. Looks once a second; full ends at twice the reserve."""
    global _looked_at, _full
    now = time.monotonic()
    if now - _looked_at >= 1:
        _looked_at = now
        free_mb = shutil.disk_usage(folder).free >> 20
        _full = free_mb < (reserve_mb * 2 if _full else reserve_mb)
    return _full
