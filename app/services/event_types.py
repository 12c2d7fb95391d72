"""The catalogue: event types, and the packs they come in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.core import raw, schemas
from app.core.access import Permission
from app.core.packs import EventPack, PackType
from app.core.raw import RawError
from app.database import read, write
from app.delivery.installed import installed
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import EventType, SchemaMode
from app.services import audit, routing
from app.services.scope import Actor

NAME = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*")
LONGEST_NAME = 128
EDITABLE = frozenset({"kind", "title", "description", "example", "schema", "schema_mode", "public_name", "searchable"})


@dataclass(frozen=True, slots=True)
class _Named:
    public_id: str
    name: str


def list_all(actor: Actor) -> list[EventType]:
    """Return every event type, by kind and name."""
    with read() as session:
        query = select(EventType).where(EventType.organization_id == actor.organization_id)
        found = list(session.scalars(query.order_by(EventType.id)))
        session.expunge_all()
    return found


def find(actor: Actor, name: str) -> EventType:
    """Return one event type by its name."""
    with read() as session:
        found = _one(session, actor, name)
        session.expunge_all()
    return found


def create(actor: Actor, values: Mapping[str, Any]) -> EventType:
    """Add an event type. `values`: name, and any of `EDITABLE`; `example` and `schema` are JSON text as bytes."""
    actor.require(Permission.CATALOGUE)
    name = str(values["name"])
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise Invalid([Problem("name", "Use letters, digits and _, in parts joined by dots: job.created.")])
    _check(values)
    with write() as session:
        if _found(session, actor, name) is not None:
            raise Conflict(f"There is an event type {name} already.")
        kind = EventType(
            organization_id=actor.organization_id,
            name=name,
            kind=values.get("kind") or "Own events",
            title=values.get("title") or name,
            description=values.get("description") or "",
            example=values.get("example") or b"{}",
            schema=values.get("schema"),
            schema_mode=values.get("schema_mode") or SchemaMode.WARN,
            public_name=values.get("public_name"),
            searchable=values.get("searchable") or [],
            created_at=clock.now(),
        )
        session.add(kind)
        audit.record(session, actor, "event_type.created", _Named(name, name))
        routing.bump(session, actor.organization_id)
        session.flush()
    return find(actor, name)


def edit(actor: Actor, name: str, values: Mapping[str, Any]) -> EventType:
    """Change an event type; the name stays."""
    actor.require(Permission.CATALOGUE)
    _check(values)
    with write() as session:
        kind = _one(session, actor, name)
        for field in EDITABLE & values.keys():
            setattr(kind, field, values[field])
        audit.record(session, actor, "event_type.edited", _Named(name, name))
        routing.bump(session, actor.organization_id)
    return find(actor, name)


def packs() -> list[EventPack]:
    """Return the packs this installation has."""
    return list(installed().packs.values())


def install(actor: Actor, pack_name: str) -> int:
    """Install a pack, or bring an installed one up to date; return how many types were added."""
    actor.require(Permission.CATALOGUE)
    pack = installed().packs.get(pack_name)
    if pack is None:
        raise NotFound(f"There is no event pack {pack_name}.")
    titles = {kind.name: kind.title for kind in pack.kinds}
    added = 0
    with write() as session:
        for item in pack.types:
            kind = _found(session, actor, item.name)
            if kind is None:
                kind = EventType(organization_id=actor.organization_id, name=item.name, created_at=clock.now())
                kind.schema_mode = SchemaMode.WARN
                session.add(kind)
                added += 1
            _fill(kind, item, titles.get(item.kind, item.kind), pack.name)
        audit.record(session, actor, "event_pack.installed", _Named(pack.name, pack.title), {"added": (None, added)})
        routing.bump(session, actor.organization_id)
    return added


def _fill(kind: EventType, item: PackType, title: str, pack: str) -> None:
    kind.kind, kind.title, kind.description = title, item.title, item.description
    kind.example, kind.schema = item.example, item.schema
    kind.public_name, kind.searchable, kind.pack = item.public, list(item.searchable), pack
    kind.diff_model, kind.diff_into = item.diff or (None, None)


def _found(session: Session, actor: Actor, name: str) -> EventType | None:
    return session.scalar(
        select(EventType).where(EventType.organization_id == actor.organization_id, EventType.name == name)
    )


def _one(session: Session, actor: Actor, name: str) -> EventType:
    found = _found(session, actor, name)
    if found is None:
        raise NotFound(f"There is no event type {name}.")
    return found


def _check(values: Mapping[str, Any]) -> None:
    problems = []
    example, schema = values.get("example"), values.get("schema")
    try:
        if example is not None:
            raw.cut(example)
    except RawError as error:
        problems.append(Problem("example", str(error)))
    if schema is not None and (found := schemas.problem(schema)):
        problems.append(Problem("schema", found))
    if problems:
        raise Invalid(problems)
