"""Turns values into the bytes of a request's body: JSON, or a form with nested data in bracket notation."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import orjson

from app.core import raw
from app.core.raw import Number, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST_BODY = 2 * raw.DEEPEST  # the data, and what a preset puts around it


class ContentType(StrEnum):
    """What a webhook's body may be written in."""

    JSON = "application/json"
    FORM = "application/x-www-form-urlencoded"


def json_text(value: object) -> bytes:
    """Return JSON in UTF-8 without spaces, members in their order, every `Number` as it was written.

    Raises TypeError for what JSON hasn't got, lone surrogates included.
    """
    return orjson.dumps(value, default=_number, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def form(tree: Tree) -> bytes:
    """Return one pair per leaf, in order: `data[items][0][name]=x`, percent-encoded (WHATWG URL, §5.2) in UTF-8.

    true and false stand as words, null as nothing, numbers as written; an empty object or list makes no pair.
    """
    return "&".join([f"{quote_plus(name)}={quote_plus(text)}" for name, text in _leaves(tree, "")]).encode()


def encoded(body: bytes, content_type: ContentType) -> bytes:
    """Return a shaped body, which is JSON, as its receiver reads it. JSON is handed back untouched."""
    return body if content_type is ContentType.JSON else form(raw.parse(body, _DEEPEST_BODY))


def _leaves(tree: Tree, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{name}[{key}]" if name else key)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _leaves(item, f"{name}[{index}]" if name else str(index))
    else:
        yield name, _leaf(tree)


def _leaf(value: str | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
