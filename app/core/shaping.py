"""Makes the body of a request: select, extra fields, field mapping, envelope, encode. Pure functions in a row.

Between the steps a body is JSON text, so that whatever nothing maps goes out as it came in: the common
delivery never parses its data at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import orjson

from app.core import encoding, raw
from app.core.encoding import ContentType, json_text
from app.core.envelope import Company, EventFacts, Template, TextTemplate, moment
from app.core.headers import value_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.core.raw import Tree

__all__ = ["Company", "DataMode", "EventFacts", "Shape", "ShapeError", "headers", "mapping_problems", "shape"]

COMPANIES = "companies"
LONGEST_PATH = 20
"""Parts that a dotted path of a mapping may have."""
MOST_ROWS = 200
"""Rows that a mapping may have."""


class DataMode(StrEnum):
    """How much of an event a webhook is told."""

    EVERYTHING = "everything"
    STATUS_ONLY = "status_only"


@dataclass(frozen=True, slots=True)
class Shape:
    """How one webhook wants its bodies. A mapping row is a dotted field and its property, None to leave it out."""

    data_mode: DataMode = DataMode.EVERYTHING
    extra_fields: tuple[str, ...] = ()
    field_mapping: tuple[tuple[str, str | None], ...] = ()
    only_mapped_fields: bool = False
    envelope: Template | None = None
    content_type: ContentType = ContentType.JSON

    @property
    def is_shared(self) -> bool:
        """Whether webhooks with this shape get the same body for an event."""
        return self.envelope is None or self.envelope.is_shared


class ShapeError(ValueError):
    """A body can't be made: `step` is where (mapping, headers, encode), `path` the field, `message` for a person."""

    def __init__(self, step: str, path: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.path = path
        self.message = message


def shape(facts: EventFacts, shape: Shape, attempt_at: int) -> bytes:
    """Return the body of an attempt, the same for every attempt unless the envelope tells the attempt's second.

    `attempt_at` is in milliseconds. Raises ShapeError.
    """
    selection = select(facts, shape.data_mode)
    if shape.extra_fields:
        selection = with_companies(selection, facts.companies, shape.extra_fields)
    if shape.field_mapping or shape.only_mapped_fields:
        selection = mapped(selection, shape.field_mapping, only=shape.only_mapped_fields)
    body = selection if shape.envelope is None else shape.envelope.fill(facts, selection, attempt_at)
    try:
        return encoding.encoded(body, shape.content_type)
    except raw.RawError as error:
        raise ShapeError("encode", "", error.message) from None


def select(facts: EventFacts, data_mode: DataMode) -> bytes:
    """Return the data as published, or only what changed, its status and when."""
    if data_mode is DataMode.EVERYTHING:
        return facts.data
    resource = None
    if facts.resource_type is not None or facts.resource_id is not None:
        resource = {"type": facts.resource_type, "id": facts.resource_id}
    return orjson.dumps({"resource": resource, "status": facts.status, "occurred_at": moment(facts.occurred_at)})


def with_companies(selection: bytes, companies: Sequence[Company], names: Sequence[str]) -> bytes:
    """Return the selection with a last member `companies`: each with the named fields, null where it has none.

    A member of that name in the published data gives way. Nothing else is parsed.
    """
    selection, _ = raw.lift(selection, COMPANIES)
    told = [b'{"id":%b,"name":%b,"fields":%b}' % (*_texts(company), _fields(company, names)) for company in companies]
    comma = b"" if selection == b"{}" else b","
    return b'%b%b"%b":[%b]}' % (selection[:-1], comma, COMPANIES.encode(), b",".join(told))


def mapped(selection: bytes, mapping: Sequence[tuple[str, str | None]], *, only: bool) -> bytes:
    """Return the selection with every mapped field moved to its property, at the end and in the mapping's order.

    All fields are looked up before any is moved, so that two may change places; a field that isn't there gives
    null. `only` drops what no row names. Raises ShapeError for a path through a value that has no members.
    """
    tree = raw.parse(selection)
    assert isinstance(tree, dict)
    found = [(property_, *_find(tree, field)) for field, property_ in mapping]
    for _, parent, last, _ in found:
        if parent is not None:
            parent.pop(last, None)
    result: dict[str, Tree] = {} if only else tree
    for property_, _, _, value in found:
        if property_ is not None:
            _place(result, property_, value)
    try:
        return json_text(result)
    except TypeError:  # a row's value placed inside itself by another; `mapping_problems` refuses such rows
        raise ShapeError("mapping", "", "Two rows place a field inside itself.") from None


def headers(
    templates: Sequence[tuple[str, TextTemplate]], facts: EventFacts, content_type: ContentType, attempt_at: int
) -> list[tuple[str, str]]:
    """Return Content-Type, then the preset's headers, filled.

    A preset's own Content-Type holds for JSON; a form is called a form. Raises ShapeError when a placeholder's
    value could not stand in a header, so that no published value can make a header of its own.
    """
    first = "Content-Type", content_type.value
    if not templates:
        return [first]
    lines = {"content-type": first}
    for name, template in templates:
        if name.lower() == "content-type" and content_type is not ContentType.JSON:
            continue
        value = template.fill(facts, attempt_at)
        if value is None:
            continue
        problem = value_problem(value)
        if problem is not None:
            raise ShapeError("headers", name, f"The header {name} can't be sent: {problem}")
        lines[name.lower()] = (name, value)
    return list(lines.values())


def mapping_problems(
    mapping: Sequence[tuple[str, str | None]], envelope: Template | None
) -> list[tuple[int, str, str]]:
    """Return what is wrong with a mapping whatever the data: row from 0, `field` or `property`, and a sentence."""
    problems = []
    rows_of: dict[str, int] = {}
    sent = () if envelope is None else set(envelope.names) - set(envelope.lifts)
    for row, (field, property_) in enumerate(mapping):
        if wrong := _path_problem(field):
            problems.append((row, "field", wrong))
        if property_ is None:
            continue
        if wrong := _path_problem(property_) or _clash(property_, rows_of):
            problems.append((row, "property", wrong))
        elif property_ != field and property_.split(".")[0] in sent:
            name = property_.split(".")[0]
            problems.append((row, "property", f"*{name}* is sent by the preset; choose another name."))
        rows_of.setdefault(property_, row)
    if len(mapping) > MOST_ROWS:
        problems.append((MOST_ROWS, "field", f"A mapping may have at most {MOST_ROWS} rows."))
    return problems


def _path_problem(path: str) -> str | None:
    parts = path.split(".")
    if "" in parts:
        return "Enter a name, with dots between the levels: customer.name." if path else "Enter a name."
    return f"A path may have at most {LONGEST_PATH} levels." if len(parts) > LONGEST_PATH else None


def _clash(property_: str, taken: Mapping[str, int]) -> str | None:
    if property_ in taken:
        return f"Two rows send *{property_}*. Keep one."
    for other in taken:
        for outer, inner in ((other, property_), (property_, other)):
            if inner.startswith(outer + "."):
                return f"*{outer}* is a value, so *{inner}* can't be placed inside it."
    return None


def _texts(company: Company) -> tuple[bytes, bytes]:
    return orjson.dumps(company.id), orjson.dumps(company.name)


_Members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _fields(company: Company, names: Sequence[str]) -> bytes:
    known = _Members.decode(company.fields)
    pairs = [orjson.dumps(name) + b":" + bytes(known.get(name, b"null")) for name in names]
    return b"{" + b",".join(pairs) + b"}"


def _find(tree: dict[str, Tree], field: str) -> tuple[dict[str, Tree] | None, str, Tree]:
    """Return the object that holds the field, the last part of the path and the value; no object if it's missing."""
    *outer, last = field.split(".")
    here = tree
    for depth, part in enumerate(outer):
        inner = here.get(part)
        if inner is None:
            return None, last, None
        if not isinstance(inner, dict):
            raise _impassable(".".join(outer[: depth + 1]), inner, field)
        here = inner
    return here, last, here.get(last)


def _place(tree: dict[str, Tree], property_: str, value: Tree) -> None:
    *outer, last = property_.split(".")
    here = tree
    for depth, part in enumerate(outer):
        inner = here.get(part)
        if inner is None:
            inner = here[part] = {}
        if not isinstance(inner, dict):
            path = ".".join(outer[: depth + 1])
            raise ShapeError("mapping", path, f"*{path}* is a value, so *{property_}* can't be placed inside it.")
        here = inner
    here.pop(last, None)  # a property stands where the mapping puts it, not where another member was
    here[last] = value


def _impassable(path: str, value: Tree, field: str) -> ShapeError:
    kind = "a list" if isinstance(value, list) else "a value"
    return ShapeError("mapping", path, f"*{path}* is {kind}, so *{field}* can't be looked up in it.")
