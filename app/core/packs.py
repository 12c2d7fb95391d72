"""Event packs: catalogues of event types that an organization can install. Read from TOML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from app.core import raw, vocabulary
from app.core.vocabulary import DataFileError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from app.core.vocabulary import Table

__all__ = ["DataFileError", "Diff", "EventPack", "Kind", "Naming", "PackType", "load_packs"]

_TYPE_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_TYPE_NAME = 128
_TYPE_KEYS = ("name", "kind", "title", "description", "example", "schema", "public", "searchable", "diff", "resource")


@dataclass(frozen=True, slots=True)
class Kind:
    """A group of event types, as forms show them together."""

    name: str
    title: str


class Diff(NamedTuple):
    """Which member of the data holds a resource's model, and which one the differences to the last version go into."""

    model: str
    into: str


class Naming(NamedTuple):
    """Which members of the data name the resource's type and id, for events whose producer names none beside them."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class PackType:
    """One type of event. `example` and `schema` are JSON; `searchable` are dotted paths into the data.

    `public` is what the type is called when an event of it is published as public.
    """

    name: str
    kind: str
    title: str
    description: str
    example: bytes
    schema: bytes | None
    public: str | None
    searchable: tuple[str, ...]
    diff: Diff | None
    resource: Naming | None


@dataclass(frozen=True, slots=True)
class EventPack:
    """A catalogue: kinds in the order they are shown, and the types of each.

    The events of an `own` one come from Postroom itself; nobody publishes them.
    """

    name: str
    title: str
    kinds: tuple[Kind, ...]
    types: tuple[PackType, ...]
    own: bool = False


def load_packs(files: Iterable[tuple[str, bytes]]) -> dict[str, EventPack]:
    """Read packs, given as name and TOML. Raises DataFileError, which names file, key and the nearest known one."""
    return {name: _pack(name, text) for name, text in files}


def _pack(name: str, text: bytes) -> EventPack:
    file = f"{name}.toml"
    vocabulary.check_name(file, name)
    top = vocabulary.read(file, text, ("title", "own", "kind", "type"))
    kinds = tuple(Kind(kind.text("name"), kind.text("title")) for kind in top.tables("kind", ("name", "title")))
    known = [kind.name for kind in kinds]
    types = tuple(_type(table, known) for table in top.tables("type", _TYPE_KEYS))
    taken: set[str] = set()
    for each in types:
        for type_name in filter(None, [each.name, each.public]):
            if type_name in taken:
                top.refuse("type", f"the name {type_name!r} is there twice")
            taken.add(type_name)
    return EventPack(name, top.text("title"), kinds, types, top.may("own", bool) or False)


def _type(table: Table, kinds: Collection[str]) -> PackType:
    kind = table.text("kind")
    if kind not in kinds:
        table.refuse("kind", f"there is no kind {kind!r}{nearest(kind, kinds)}")
    return PackType(
        name=_type_name(table, "name"),
        kind=kind,
        title=table.text("title"),
        description=table.text("description"),
        example=table.json_object("example"),
        schema=table.json_object("schema") if table.has("schema") else None,
        public=_type_name(table, "public") if table.has("public") else None,
        searchable=table.each("searchable", str),
        diff=_diff(table),
        resource=_naming(table),
    )


def _type_name(table: Table, key: str) -> str:
    name = table.text(key)
    if not _TYPE_NAME.fullmatch(name) or len(name) > _LONGEST_TYPE_NAME:
        table.refuse(key, f"{name!r} must be words of letters, digits, _ and -, with dots between them")
    return name


def _diff(table: Table) -> Diff | None:
    if not table.has("diff"):
        return None
    inner = table.table("diff", ("model", "into"))
    model, into = inner.text("model"), inner.text("into")
    if model == into:
        inner.refuse("into", "it must be another member than the model's")
    _must_have(table, inner, "model")
    return Diff(model, into)


def _naming(table: Table) -> Naming | None:
    if not table.has("resource"):
        return None
    inner = table.table("resource", ("type", "id"))
    for key in ("type", "id"):
        _must_have(table, inner, key)
    return Naming(inner.text("type"), inner.text("id"))


def _must_have(table: Table, inner: Table, key: str) -> None:
    """Refuse the name of a member that the example doesn't have."""
    name = inner.text(key)
    members = [member.name for member in raw.members(table.json_object("example"))]
    if name not in members:
        inner.refuse(key, f"the example has no member {name!r}{nearest(name, members)}")
