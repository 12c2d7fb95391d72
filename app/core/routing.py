"""Which webhooks hear of an event, and why the others don't."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.core import filters
from app.core.states import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.core.access import View


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook, as far as routing needs to know it."""

    webhook_id: int
    public_id: str
    patterns: frozenset[str]
    units: frozenset[int]
    owner: View | None
    filter: str | None
    is_on: bool
    url: str
    attempts_allowed: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Routed:
    """An event, as far as routing needs to know it."""

    type: str
    unit: int | None
    visible_to: frozenset[str] | None
    data: bytes
    created_at: int


def patterns_for(type_name: str) -> list[str]:
    """Return every pattern that selects this type: `*`, the type itself, and `a.*` for each leading part."""
    parts = type_name.split(".")
    return ["*", type_name, *[".".join(parts[:n]) + ".*" for n in range(1, len(parts))]]


def obstacles(event: Routed, target: Target) -> Iterator[Reason]:
    """Yield every rule that keeps the event from this webhook, the most telling first.

    Being off comes last, so that `webhook_off` says: it would have been sent had the webhook been on.
    """
    if not target.patterns.intersection(patterns_for(event.type)):
        yield Reason.EVENT_TYPE_NOT_SELECTED
    if target.units and event.unit not in target.units:
        yield Reason.BUSINESS_UNIT_NOT_SELECTED
    if target.owner is None or not target.owner.includes(event.unit, event.visible_to):
        yield Reason.OWNER_CANNOT_SEE
    if target.filter is not None and not filters.passes(target.filter, event.data):
        yield Reason.FILTERED_OUT
    if not target.is_on:
        yield Reason.WEBHOOK_OFF


def route(event: Routed, target: Target) -> Reason | None:
    """Return what keeps the event from this webhook, or None when it is to be sent."""
    return next(obstacles(event, target), None)
