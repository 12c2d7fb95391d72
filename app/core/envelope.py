"""What presets put around a selection: placeholders, compiled once into segments that only need joining."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

import msgspec
import orjson

from app.core import raw
from app.core.vocabulary import nearest


@dataclass(frozen=True, slots=True)
class Company:
    """A company of the event's business unit; `fields` is a JSON object as it is stored."""

    id: str
    name: str
    fields: bytes


@dataclass(slots=True)  # not frozen: one is made for each delivery, and freezing costs 2 µs
class EventFacts:
    """Everything a body or a header can tell about one delivery of one event. All ids are the public ones.

    `data` and `context` are JSON objects as `raw.cut` gave them; moments are milliseconds since 1970 UTC.
    """

    id: str
    type: str
    created_at: int
    occurred_at: int
    data: bytes
    organization_id: str
    webhook_id: str
    delivery_id: str
    status: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    business_unit: str | None = None
    context: bytes | None = None
    companies: tuple[Company, ...] = ()
    test: bool = False


class TemplateError(ValueError):
    """A template of a preset says something that can't be filled; `key` is the member it stands in."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message


@dataclass(slots=True)
class _Filling:
    facts: EventFacts
    attempt_at: int
    selection: bytes
    lifted: dict[str, bytes | None]


_Value: TypeAlias = "str | int | bytes | None"  # bytes: JSON as written; None: there is none
_Getter: TypeAlias = Callable[[_Filling], _Value]
_Node: TypeAlias = Callable[[_Filling], "bytes | None"]  # None: leave the member out

_PLACEHOLDERS: dict[str, _Getter] = {
    "event.id": lambda f: f.facts.id,
    "event.type": lambda f: f.facts.type,
    "event.type.last": lambda f: f.facts.type.rpartition(".")[2],
    "event.created_at": lambda f: moment(f.facts.created_at),
    "event.created_at.seconds": lambda f: f.facts.created_at // 1000,
    "event.occurred_at": lambda f: moment(f.facts.occurred_at),
    "event.occurred_at.seconds": lambda f: f.facts.occurred_at // 1000,
    "event.status": lambda f: f.facts.status,
    "event.resource.id": lambda f: f.facts.resource_id,
    "event.resource.type": lambda f: f.facts.resource_type,
    "event.business_unit": lambda f: f.facts.business_unit,
    "organization.id": lambda f: f.facts.organization_id,
    "webhook.id": lambda f: f.facts.webhook_id,
    "delivery.id": lambda f: f.facts.delivery_id,
    "attempt.seconds": lambda f: f.attempt_at // 1000,
    "selection": lambda f: f.selection,
}
_KNOWN = [*_PLACEHOLDERS, "context.NAME", "selection.NAME"]
_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z_]*(?:\.[A-Za-z0-9_-]+)*)(\??)\}")
_Members = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled envelope. Its members come in the order of the preset."""

    render: _Node
    names: tuple[str, ...]
    """The members at the top."""
    lifts: tuple[str, ...]
    """Members of the selection that are placed on their own and therefore leave it."""
    uses_attempt: bool
    """Whether the body tells the attempt's second, so that each retry has a body of its own."""
    is_shared: bool
    """Whether every webhook with this envelope gets the same body for an event."""

    def fill(self, facts: EventFacts, selection: bytes, attempt_at: int) -> bytes:
        """Return the envelope as JSON around `selection`, a JSON object, which goes in unparsed."""
        lifted: dict[str, bytes | None] = {}
        for name in self.lifts:
            selection, lifted[name] = raw.lift(selection, name)
        return self.render(_Filling(facts, attempt_at, selection, lifted)) or b"{}"


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A compiled text, such as a header's value, in which placeholders may stand."""

    parts: tuple[str | _Getter, ...]
    optional: bool

    def fill(self, facts: EventFacts, attempt_at: int) -> str | None:
        """Return the text, or None when a placeholder with `?` has no value; without `?` it is then empty."""
        filling = _Filling(facts, attempt_at, b"{}", {})
        texts = [part if isinstance(part, str) else _text(part(filling)) for part in self.parts]
        if self.optional and None in texts:
            return None
        return "".join([text or "" for text in texts])


def moment(at: int) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds, for example `2026-11-21T09:00:00.000Z`."""
    seconds, thousandths = divmod(at, 1000)
    return f"{_second(seconds)}.{thousandths:03}Z"


@lru_cache(1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def compile_envelope(members: Mapping[str, object]) -> Template:
    """Compile an `[envelope]` table. Raises TemplateError for a placeholder that isn't known."""
    used: set[str] = set()
    node = _object(members, "", used)
    lifts = sorted(name.removeprefix("selection.") for name in used if name.startswith("selection."))
    is_shared = used.isdisjoint({"attempt.seconds", "webhook.id", "delivery.id"})
    return Template(node, tuple(members), tuple(lifts), "attempt.seconds" in used, is_shared)


def compile_text(source: str) -> TextTemplate:
    """Compile a text with placeholders. Raises TemplateError for an unknown one and for the selection."""
    parts: list[str | _Getter] = []
    end, optional = 0, False
    for found in _PLACEHOLDER.finditer(source):
        name = found[1]
        if name.partition(".")[0] == "selection":
            raise TemplateError("", "the selection can't stand in a text")
        parts += [source[end : found.start()], _getter(name, "")]
        optional |= bool(found[2])
        end = found.end()
    parts.append(source[end:])
    return TextTemplate(tuple(part for part in parts if part != ""), optional)


def _object(members: Mapping[str, object], at: str, used: set[str]) -> _Node:
    compiled = [
        (b"," + orjson.dumps(name) + b":", _node(value, f"{at}.{name}" if at else name, used))
        for name, value in members.items()
    ]

    def render(filling: _Filling) -> bytes:
        parts: list[bytes] = []
        for prefix, node in compiled:
            value = node(filling)
            if value is not None:
                parts += (prefix, value)
        return b"".join((b"{", parts[0][1:], *parts[1:], b"}")) if parts else b"{}"

    return render


def _list(items: list[object], at: str, used: set[str]) -> _Node:
    nodes = [_node(item, f"{at}[{number}]", used) for number, item in enumerate(items)]

    def render(filling: _Filling) -> bytes:
        return b"[" + b",".join([value for node in nodes if (value := node(filling)) is not None]) + b"]"

    return render


def _node(value: object, at: str, used: set[str]) -> _Node:
    if isinstance(value, Mapping):
        return _object(value, at, used)
    if isinstance(value, list):
        return _list(value, at, used)
    if isinstance(value, str) and (found := _PLACEHOLDER.search(value)):
        if found.group() != value:
            raise TemplateError(at, f"{found.group()} must be the whole text; only headers mix text and placeholders")
        used.add(found[1])
        return _slot(_getter(found[1], at), optional=bool(found[2]))
    if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise TemplateError(at, "only texts, numbers, true, false, lists and tables can stand here")
    literal = orjson.dumps(value)
    return lambda _: literal


def _slot(get: _Getter, *, optional: bool) -> _Node:
    none = None if optional else b"null"

    def render(filling: _Filling) -> bytes | None:
        value = get(filling)
        if type(value) is bytes:
            return value
        return none if value is None else orjson.dumps(value)

    return render


def _getter(name: str, at: str) -> _Getter:
    known = _PLACEHOLDERS.get(name)
    if known is not None:
        return known
    noun, _, member = name.partition(".")
    if noun == "context" and member:
        return lambda f: _of_context(f.facts.context, member)
    if noun == "selection" and member:
        return lambda f: f.lifted[member]
    raise TemplateError(at, f"there is no {{{name}}}{nearest(name, _KNOWN)}")


def _of_context(context: bytes | None, name: str) -> bytes | None:
    value = None if context is None else _Members.decode(context).get(name)
    return None if value is None else bytes(value)


def _text(value: _Value) -> str | None:
    if isinstance(value, bytes):
        if value == b"null":
            return None
        return str(json.loads(value)) if value.startswith(b'"') else value.decode()
    return None if value is None else str(value)
