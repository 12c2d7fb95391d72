"""A JSON Schema as the lines of a table: what a property is called, what it holds, whether it must be there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 8
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class SchemaRow:
    """One property. `path` is dotted, with [] for the items of a list."""

    path: str
    holds: str
    is_required: bool
    description: str


def rows(schema: bytes) -> tuple[SchemaRow, ...]:
    """Return the properties that a schema names, in its order, the first 200. References within it are followed."""
    whole = json.loads(schema)
    found = []
    for row in _properties(whole, whole, "", 0):
        found.append(row)
        if len(found) == MOST_ROWS:
            break
    return tuple(found)


def _properties(part: dict[str, Any], whole: dict[str, Any], path: str, depth: int) -> Iterator[SchemaRow]:
    if depth == DEEPEST:
        return
    required = part.get("required", ())
    for name, inner in part.get("properties", {}).items():
        at, inner = (f"{path}.{name}" if path else name), _followed(inner, whole)
        yield SchemaRow(at, _holds(inner, whole), name in required, str(inner.get("description", "")))
        yield from _properties(inner, whole, at, depth + 1)
        items = _followed(inner.get("items", {}), whole)
        yield from _properties(items, whole, f"{at}[]", depth + 1)


def _followed(part: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference such as #/$defs/address stands for; a schema may also be just true or false."""
    if not isinstance(part, dict):
        return {}
    reference = part.get("$ref", "")
    if not reference.startswith("#/"):
        return part
    target: Any = whole
    for step in reference.split("/")[1:]:
        target = target.get(step, {}) if isinstance(target, dict) else {}
    return target if isinstance(target, dict) else {}


def _holds(part: dict[str, Any], whole: dict[str, Any]) -> str:
    if "enum" in part:
        return " or ".join(json.dumps(value, ensure_ascii=False) for value in part["enum"])
    if "const" in part:
        return json.dumps(part["const"], ensure_ascii=False)
    kinds = part.get("type", "anything")
    named = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if named == "array" and "items" in part:
        return f"array of {_holds(_followed(part['items'], whole), whole)}"
    return f"{named} ({part['format']})" if "format" in part else named
