"""Fault points: places where a test may kill, stop or break the process. Nothing happens unless armed at start."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_armed: dict[str, tuple[int, str]] = {}
_passed: Counter[str] = Counter()


def arm(text: str) -> None:
    """Arm fault points from `POSTROOM_FAULTS`, for example `claim.committed:3=kill,publish.before=raise`.

    The number is the pass at which it strikes (1 when left out); actions are kill, stop and raise.
    """
    for item in filter(None, text.split(",")):
        point, _, action = item.strip().partition("=")
        name, _, number = point.partition(":")
        if action not in _ACTIONS:
            raise ValueError(f"POSTROOM_FAULTS: unknown action {action!r} in {item!r}; use kill, stop or raise")
        _armed[name] = (int(number or 1), action)


def fault(name: str) -> None:
    """Pass the fault point `name`; strike if it was armed for this pass."""
    if not _armed or name not in _armed:
        return
    _passed[name] += 1
    number, action = _armed[name]
    if _passed[name] == number:
        _ACTIONS[action]()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise RuntimeError("a fault point was armed to raise here")


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "stop": _stop, "raise": _raise}
