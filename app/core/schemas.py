"""JSON Schema, Draft 2020-12, for the data of event types: nothing remote, no regex that backtracks, no explosion."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jsonschema_rs

from app.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_SCHEMA = 64 * 1024
MOST_PROBLEMS = 20
_MOST_APPLICATIONS = 10_000  # of subschemas, all references followed: some microseconds each
_LONGEST_MESSAGE = 200
_MOST_DIGITS = 4000
_REGEX_SIZE = 128 * 1024  # of one compiled pattern, in bytes

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_VALUES = frozenset({"const", "enum", "default", "examples"})  # in them, "$ref" would be a value and no reference


class SchemaError(ValueError):
    """The schema can't be used; the message says why."""


def problem(schema: bytes) -> str | None:
    """Return why this text can't be a type's schema, in a sentence; None: it can."""
    try:
        _validator(schema)
    except SchemaError as error:
        return str(error)
    return None


def problems(schema: bytes, data: bytes) -> list[Problem]:
    """Return what of an event's data breaks the schema, at most twenty, by field ("data.items[0].price").

    `data` is JSON; `SchemaError` when the schema can't be used.
    """
    found = []
    for error in _validator(schema).iter_errors(json.loads(data, parse_float=_decimal, parse_int=_integer)):
        message = error.message
        short = message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
        found.append(Problem(_field(error.instance_path), short))
        if len(found) == MOST_PROBLEMS:
            break
    return found


@lru_cache(maxsize=256)
def _validator(text: bytes) -> jsonschema_rs.Draft202012Validator:
    if len(text) > LARGEST_SCHEMA:
        raise SchemaError("A schema can have 64 KiB.")
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict):
            raise SchemaError("A schema is a JSON object.")
        _refuse_explosion(schema)
        return jsonschema_rs.Draft202012Validator(
            schema,
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_REGEX_SIZE, dfa_size_limit=_REGEX_SIZE),
        )
    except SchemaError:
        raise
    except json.JSONDecodeError as error:
        raise SchemaError(f"Line {error.lineno}, column {error.colno}: this is no JSON.") from None
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_sentence(error)) from None
    except UnicodeDecodeError:
        raise SchemaError("The schema is not in UTF-8.") from None
    except (ValueError, RecursionError):
        raise SchemaError("The schema is nested too deeply.") from None


def _refuse(uri: str) -> jsonschema_rs.JSONType:
    raise ValueError(uri)  # left to itself, the library fetches http: and file: addresses


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    place = "/".join(map(str, error.instance_path))
    if '"regex"' in error.message:
        return f"{place}: this pattern can't be used. Look-around, back-references and huge repeats aren't supported."
    message = error.message.partition("\n")[0]
    return f"{place}: {message[:_LONGEST_MESSAGE]}" if place else message[:_LONGEST_MESSAGE]


def _refuse_explosion(schema: dict[str, Any]) -> None:
    """Refuse what names another document, and references whose branches multiply (2³⁰ applications in 3 KB)."""
    if schema.get("$schema", _DRAFT) not in (_DRAFT, f"{_DRAFT}#"):
        raise SchemaError(f"Write the schema in Draft 2020-12, and {_DRAFT} as its $schema.")
    names = ("$anchor", "$dynamicAnchor")
    anchors = {f"#{part[name]}": part for part in _parts(schema) for name in names if name in part}
    costs: dict[int, int] = {}

    def cost(part: dict[str, Any]) -> int:
        if id(part) not in costs:
            costs[id(part)] = 1  # what comes round again counts once: the library remembers it
            total = 1 + sum(cost(inner) for inner in _inner(part))
            total += sum(cost(_target(schema, anchors, reference)) for reference in _references(part))
            costs[id(part)] = min(total, _MOST_APPLICATIONS + 1)
        return costs[id(part)]

    if any(isinstance(part.get("$id"), str) for inner in _inner(schema) for part in _parts(inner)):
        raise SchemaError("Take $id out of the inner schemas.")
    if cost(schema) > _MOST_APPLICATIONS:
        raise SchemaError("The schema's references multiply beyond 10,000 steps. Simplify it.")


def _references(part: dict[str, Any]) -> Iterator[str]:
    """Yield what it refers to; under "properties" the same words are names and hold no text."""
    for key in ("$ref", "$dynamicRef"):
        if isinstance(part.get(key), str):
            yield part[key]


def _target(schema: dict[str, Any], anchors: dict[str, dict[str, Any]], reference: str) -> dict[str, Any]:
    """Resolve a JSON Pointer (RFC 6901) or an anchor within the schema."""
    if not reference.startswith("#"):
        raise SchemaError(f"{reference} lies outside the schema. Use references such as #/$defs/address.")
    if reference in anchors:
        return anchors[reference]
    target: Any = schema
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target.get(name)
        elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        else:
            target = None
    if target is None:
        raise SchemaError(f"{reference} is not in the schema.")
    return target if isinstance(target, dict) else {}


def _parts(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield part
    for inner in _inner(part):
        yield from _parts(inner)


def _inner(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects right inside, be they schemas or tables of them."""
    for key, value in part.items():
        if isinstance(value, dict) and key not in _VALUES:
            yield value
        elif isinstance(value, list) and key not in _VALUES:
            yield from (item for item in value if isinstance(item, dict))


def _field(path: list[str | int]) -> str:
    return "data" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _decimal(digits: str) -> float | Decimal:
    number = float(digits)
    return Decimal(digits) if number in (float("inf"), float("-inf")) else number


def _integer(digits: str) -> int:
    return int(digits[:_MOST_DIGITS])  # Python refuses more; as large, it compares alike with any bound
