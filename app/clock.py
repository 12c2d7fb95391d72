"""The wall clock: the only reader of it. Moments are milliseconds since 1970 UTC."""

from __future__ import annotations

import time


def now() -> int:
    """Return the present moment in milliseconds since 1970 UTC.

    Call it as `clock.now()`, so that a test that replaces it moves leases, schedules and retention together.
    """
    return time.time_ns() // 1_000_000
