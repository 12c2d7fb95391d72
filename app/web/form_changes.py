"""The changes of the webhook form that need no saving: another preset, and its small buttons."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.web.forms import Row, WebhookForm, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_ROWS = 200


def refilled(
    form: WebhookForm, before: Mapping[str, Any], after: Mapping[str, Any], *, asks_units: bool
) -> WebhookForm:
    """Fill in what another preset sets, where the controls still hold what the one before had set."""
    old, new = shown(before), shown(after, asks_units=asks_units)
    changes = {
        name: getattr(new, name)
        for name in WebhookForm.__slots__
        if name not in _OWN and getattr(form, name) == getattr(old, name)
    }
    if form.which_units in ("all", "") and not form.units:
        changes["which_units"] = new.which_units
    return replace(form, **changes)


_OWN = frozenset({"name", "url", "owner", "version", "stored", "secret", "auth", "units", "which_units"})


def changed(form: WebhookForm, asked: str) -> WebhookForm:
    """Return the form after a press of one of its small buttons: `row.up.2`, `field.remove.region` …"""
    what, _, rest = asked.partition(".")
    verb, _, which = rest.partition(".")
    if what == "row":
        return replace(form, mapping=_moved(form.mapping, verb, int(which) if which.isdigit() else -1))
    if what == "field" and verb == "remove":
        return replace(form, extra_fields=tuple(name for name in form.extra_fields if name != which))
    if what == "pattern" and verb == "remove":
        return replace(form, patterns=tuple(name for name in form.patterns if name != which))
    return form


def _moved(rows: tuple[Row, ...], verb: str, at: int) -> tuple[Row, ...]:
    if verb == "add":
        return (*rows, Row()) if len(rows) < MOST_ROWS else rows
    if verb == "reset":
        return ()
    if not 0 <= at < len(rows):
        return rows
    others = [*rows[:at], *rows[at + 1 :]]
    if verb in ("up", "down"):
        others.insert(max(0, at - 1) if verb == "up" else at + 1, rows[at])
    return tuple(others)
