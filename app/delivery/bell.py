"""The bell: something may be due. Never needed for correctness, only for the last quarter of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def listen(listener: Callable[[], None]) -> None:
    """Call `listener`, from whichever thread rings, at each ring."""
    _listeners.append(listener)


def leave(listener: Callable[[], None]) -> None:
    """Stop calling it."""
    if listener in _listeners:
        _listeners.remove(listener)


def ring() -> None:
    """Say that something may be due. Call it after the commit, never before."""
    for listener in _listeners:
        listener()
