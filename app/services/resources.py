"""The last model seen of a resource, and the difference that a new one makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select

from app.core import diff
from app.models import Resource

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.core.packs import Naming
    from app.services.intake import Prepared


LONGEST = 200


def named_in(data: bytes, naming: Naming) -> tuple[str, str] | tuple[None, None]:
    """Return the type and the id of the resource that an event's data name; none unless both are there."""
    found = [_word(diff.model_of(data, member)) for member in naming]
    return (found[0], found[1]) if found[0] and found[1] else (None, None)


def _word(value: bytes | None) -> str | None:
    """A text or a number as a word; None for anything else, and for what no resource is called."""
    if value is None or not (value.startswith(b'"') or value[:1] in b"-0123456789"):
        return None
    text = str(orjson.loads(value)) if value.startswith(b'"') else value.decode()
    return text if len(text) <= LONGEST and text.isprintable() else None


def with_diff(session: Session, item: Prepared, now: int) -> tuple[Prepared, bytes | None]:
    """Put the difference between the old and the new model into an event's data; keep the new model.

    The old one is `previous` when the producer sent it, else the last that was seen. Returns the event as it is
    to be stored and the difference alone.
    """
    assert item.diff_model is not None
    assert item.diff_into is not None
    model = diff.model_of(item.data, item.diff_model)
    if model is None:
        return item, None
    resource = _resource(session, item)
    previous = item.previous or (bytes(resource.model) if resource else None)
    if resource is not None:
        resource.model, resource.updated_at = model, now
    elif item.resource_type is not None and item.resource_id is not None:
        key = {"type": item.resource_type, "external_id": item.resource_id}
        session.add(Resource(organization_id=item.organization_id, model=model, updated_at=now, **key))
    session.flush()
    data = diff.with_diff(item.data, item.diff_model, item.diff_into, previous)
    return replace(item, data=data), diff.model_of(data, item.diff_into)


def _resource(session: Session, item: Prepared) -> Resource | None:
    if item.resource_type is None or item.resource_id is None:
        return None
    return session.scalar(
        select(Resource).where(
            Resource.organization_id == item.organization_id,
            Resource.type == item.resource_type,
            Resource.external_id == item.resource_id,
        )
    )
