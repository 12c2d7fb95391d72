"""The catalogue."""

from __future__ import annotations

from app.api.serialize.values import Shape, json_or_null
from app.core.envelope import moment
from app.models import EventType
from app.services.event_types import PackState


def event_type(kind: EventType) -> Shape:
    """An event type."""
    return {
        "name": kind.name,
        "kind": kind.kind,
        "title": kind.title,
        "description": kind.description,
        "example": json_or_null(bytes(kind.example)),
        "schema": json_or_null(kind.schema),
        "schema_mode": kind.schema_mode,
        "public_name": kind.public_name,
        "searchable": kind.searchable,
        "pack": kind.pack,
        "created_at": moment(kind.created_at),
    }


def event_pack(state: PackState) -> Shape:
    """A pack, the types it brings, and what installing it would do."""
    pack = state.pack
    titles = {kind.name: kind.title for kind in pack.kinds}
    return {
        "name": pack.name,
        "title": pack.title,
        "types": [
            {
                "name": each.name,
                "kind": titles.get(each.kind, each.kind),
                "title": each.title,
                "description": each.description,
                "public_name": each.public,
            }
            for each in pack.types
        ],
        "installed": state.installed,
        "would_add": [each.name for each in state.added],
        "would_change": [each.name for each in state.changed],
    }
