"""The catalogue: event types, and the packs they come in."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from sqlalchemy import func, select

from app import clock
from app.core import raw, schemas, shaping
from app.core.access import Permission
from app.core.raw import RawError
from app.core.routing import patterns_for
from app.core.shaping import DataMode, EventFacts, Shape
from app.database import read, write
from app.delivery.installed import installed
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import Event, EventType, SchemaMode, Webhook, WebhookPattern
from app.services import audit, routing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.orm import Session

    from app.core.encoding import ContentType
    from app.core.packs import EventPack, PackType
    from app.services.scope import Actor

NAME = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*")
LONGEST_NAME = 128
OWN_KIND = "Own events"
WEEK_MS = 7 * 86_400_000
COUNTED = 20_000  # events, for how many came in a week
LOOKED_AT, JUDGED = 2_000, 100  # events, for how many of the last ones a schema would refuse
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
    problems = _problems(values)
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        problems.insert(0, Problem("name", "Use letters, digits and _, in parts joined by dots: job.created."))
    if problems:
        raise Invalid(problems)
    with write() as session:
        if _found(session, actor, name) is not None:
            raise Conflict(f"There is an event type {name} already.")
        kind = EventType(
            organization_id=actor.organization_id,
            name=name,
            kind=values.get("kind") or OWN_KIND,
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
    if problems := _problems(values):
        raise Invalid(problems)
    with write() as session:
        kind = _one(session, actor, name)
        for field in EDITABLE & values.keys():
            setattr(kind, field, values[field])
        audit.record(session, actor, "event_type.edited", _Named(name, name))
        routing.bump(session, actor.organization_id)
    routing.forget_all()  # publishing looks there first, and would hold the next event against the old schema
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
    routing.forget_all()  # as above
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


def carried_by(session: Session, actor: Actor, name: str) -> EventType:
    """Return the type whose events carry this name: its own, or that of its public variant. Raises `Invalid`."""
    found = session.scalar(
        select(EventType)
        .where(EventType.organization_id == actor.organization_id)
        .where((EventType.name == name) | (EventType.public_name == name))
        .order_by(EventType.id)
    )
    if found is None:
        raise Invalid([Problem("event_type", f"There is no event type {name}.")])
    return found


def _one(session: Session, actor: Actor, name: str) -> EventType:
    found = _found(session, actor, name)
    if found is None:
        raise NotFound(f"There is no event type {name}.")
    return found


def _problems(values: Mapping[str, Any]) -> list[Problem]:
    problems = []
    example, schema = values.get("example"), values.get("schema")
    try:
        if example is not None:
            raw.cut(example)
    except RawError as error:
        problems.append(Problem("example", str(error)))
    if schema is not None and (found := schemas.problem(schema)):
        problems.append(Problem("schema", found))
    return problems


# --- what the catalogue says of a type beside its row


@dataclass(frozen=True, slots=True)
class Receiver:
    """A webhook that an event type goes to, business units, owner and filter left aside."""

    id: str
    name: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class PackState:
    """A pack, and what installing it would do now."""

    pack: EventPack
    installed: int
    """How many of its types are in the catalogue."""
    added: tuple[PackType, ...]
    changed: tuple[PackType, ...]

    @property
    def is_current(self) -> bool:
        """Whether installing would change nothing."""
        return not self.added and not self.changed


def receivers(actor: Actor, names: Collection[str]) -> dict[str, tuple[Receiver, ...]]:
    """Return the webhooks that select each of these types, in one query; none for who may not see webhooks."""
    if not actor.may(Permission.WEBHOOKS):
        return dict.fromkeys(names, ())
    query = (
        select(WebhookPattern.pattern, Webhook.public_id, Webhook.name, Webhook.enabled)
        .join(Webhook, Webhook.id == WebhookPattern.webhook_id)
        .where(Webhook.organization_id == actor.organization_id, Webhook.deleted_at.is_(None))
        .order_by(Webhook.name, Webhook.id)
    )
    with read() as session:
        rows = session.execute(query).all()
    found = {}
    for name in names:
        selecting = set(patterns_for(name))
        chosen = (
            Receiver(public_id, called, is_on) for pattern, public_id, called, is_on in rows if pattern in selecting
        )
        found[name] = tuple(dict.fromkeys(chosen))
    return found


@dataclass(frozen=True, slots=True)
class Volume:
    """How many events of each type came in the last seven days, tests left out; of the newest 20,000 at most."""

    counts: Mapping[str, int]
    since_at: int
    limit: int  # how many were looked at, at most
    is_capped: bool  # more came in these days: `since_at` is then the oldest one looked at


def volume(actor: Actor) -> Volume:
    """Count the newest events by type, along the index by organization and time; public variants with their type."""
    week_ago = clock.now() - WEEK_MS
    newest = (
        select(Event.event_type_id, Event.created_at)
        .where(Event.organization_id == actor.organization_id, Event.created_at >= week_ago, ~Event.is_test)
        .order_by(Event.created_at.desc(), Event.id.desc())
        .limit(COUNTED)
        .subquery()
    )
    query = select(EventType.name, func.count(), func.min(newest.c.created_at)).join(
        newest, newest.c.event_type_id == EventType.id
    )
    with read() as session:
        rows = session.execute(query.group_by(EventType.name)).all()
    is_capped = sum(row[1] for row in rows) >= COUNTED
    since_at = min((row[2] for row in rows), default=week_ago) if is_capped else week_ago
    return Volume({row[0]: row[1] for row in rows}, since_at, COUNTED, is_capped)


def pack_states(actor: Actor) -> list[PackState]:
    """Return every pack with what is installed of it and what an install would add or change."""
    here = {kind.name: kind for kind in list_all(actor)}
    return [_state(pack, here) for pack in packs()]


def pack_state(actor: Actor, name: str) -> PackState:
    """Return one pack, likewise."""
    found = next((state for state in pack_states(actor) if state.pack.name == name), None)
    if found is None:
        raise NotFound(f"There is no event pack {name}.")
    return found


def _state(pack: EventPack, here: Mapping[str, EventType]) -> PackState:
    titles = {kind.name: kind.title for kind in pack.kinds}
    mine = [item for item in pack.types if item.name in here]
    return PackState(
        pack=pack,
        installed=sum(here[item.name].pack == pack.name for item in mine),
        added=tuple(item for item in pack.types if item.name not in here),
        changed=tuple(
            item for item in mine if _differs(here[item.name], item, titles.get(item.kind, item.kind), pack.name)
        ),
    )


def _differs(kind: EventType, item: PackType, title: str, pack: str) -> bool:
    stored = (kind.kind, kind.title, kind.description, bytes(kind.example), kind.schema, kind.public_name, kind.pack)
    return stored != (title, item.title, item.description, item.example, item.schema, item.public, pack)


def example_of(kind: EventType, data_mode: DataMode, content_type: ContentType) -> bytes:
    """Return the body that a webhook of the standard preset would be sent for the type's example."""
    data = orjson.loads(kind.example)
    status, resource_id = data.get("status"), data.get("id")
    facts = EventFacts(
        id="evt_00000000000000000000000000",
        type=kind.name,
        created_at=kind.created_at,
        occurred_at=kind.created_at,
        data=bytes(kind.example),
        organization_id="",
        webhook_id="",
        delivery_id="",
        status=status if isinstance(status, str) else "open",
        resource_type=re.split("[._-]", kind.name)[0],
        resource_id=str(resource_id) if resource_id is not None else "1",
    )
    envelope = installed().presets["standard"].envelope
    shape = Shape(data_mode=data_mode, envelope=envelope, content_type=content_type)
    return shaping.shape(facts, shape, kind.created_at)


def publish_command(kind: EventType) -> str:
    """Return the shell command that publishes the type's example; the key stands as a variable."""
    body = msgspec.json.format(b'{"type":%b,"data":%b}' % (orjson.dumps(kind.name), bytes(kind.example)), indent=2)
    parts = (
        f"curl -X POST {shlex.quote(installed().settings.address + '/api/v1/events')}",
        '-H "Authorization: Bearer $POSTROOM_KEY"',
        "-H 'Content-Type: application/json'",
        f"--data-binary {shlex.quote(body.decode())}",
    )
    return " \\\n  ".join(parts)


def schema_breaches(actor: Actor, kind: EventType) -> tuple[int, int]:
    """Return how many of the type's last events break its schema, and of how many; at most 100 are looked at."""
    if kind.schema is None:
        return 0, 0
    recent = (  # along the index by organization and time, so that a rare type doesn't walk through all there are
        select(Event.event_type_id, Event.data, Event.id)
        .where(Event.organization_id == actor.organization_id, ~Event.is_test)
        .order_by(Event.created_at.desc(), Event.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    query = select(recent.c.data).where(recent.c.event_type_id == kind.id).order_by(recent.c.id.desc()).limit(JUDGED)
    with read() as session:
        judged = [bool(schemas.problems(kind.schema, bytes(data))) for data in session.scalars(query)]
    return sum(judged), len(judged)
