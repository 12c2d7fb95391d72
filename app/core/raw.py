"""Cuts values out of JSON text as they were written, and parses with numbers kept as text; nothing becomes a float."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import NamedTuple, NoReturn, TypeAlias, TypeVar

import msgspec

DEEPEST = 100
"""Objects and lists inside one another that a text may have, the outermost included."""


class Number(str):
    """A number exactly as it was written: `1.50`, `1e400` and forty digits stay what they are."""

    __slots__ = ()


Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | Number | bool | None"


_T = TypeVar("_T")


class RawError(ValueError):
    """The text is no JSON that can be passed on. `field` is the member that was at fault, or empty."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


_Members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_Items = msgspec.json.Decoder(list[msgspec.Raw])
_Grammar = msgspec.json.Decoder(msgspec.Raw)

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],]')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_COMMA = ord(",")
_TOO_DEEP = "It is nested deeper than {} levels."
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def cut(body: bytes, deepest: int = DEEPEST) -> dict[str, bytes]:
    """Return the members of a JSON object (RFC 8259), each as it was written, without white space between tokens.

    Of a member that stands there twice the last one counts; inside the members duplicates are kept.
    Raises RawError for anything but UTF-8 text of one object without lone surrogates (I-JSON, RFC 7493),
    and for more than `deepest` levels.
    """
    found = _read(_Members, body, "an object")
    _check_depth(body, deepest)
    return {name: bytes(msgspec.json.format(value, indent=-1)) for name, value in found.items()}


def cut_items(body: bytes, deepest: int = DEEPEST) -> list[bytes]:
    """Return the items of a JSON list, each as it was written, under the rules of `cut`."""
    found = _read(_Items, body, "a list")
    _check_depth(body, deepest)
    return [bytes(msgspec.json.format(item, indent=-1)) for item in found]


def compact(text: bytes, deepest: int = DEEPEST) -> bytes:
    """Return any JSON value without white space between its tokens, under the rules of `cut`."""
    value = _read(_Grammar, text, "a value")
    _check_depth(text, deepest)
    return bytes(msgspec.json.format(value, indent=-1))


def parse(text: bytes, deepest: int = DEEPEST) -> Tree:
    """Return the value as objects, lists, texts, `Number`, true, false and null. Of duplicate members the last counts.

    Raises RawError as `cut` does.
    """
    _read(_Grammar, text, "a value")
    _check_depth(text, deepest)
    tree: Tree = _DECODER.decode(text.decode())
    return tree


class Member(NamedTuple):
    """A member of an object: its name, its value as written, and the two together as written."""

    name: str
    value: bytes
    text: bytes


def members(text: bytes) -> list[Member]:
    """Return the members of an object that came from `cut` or `compact`: in order, duplicates included."""
    found = []
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        kind = text[token.start()]
        depth += _STEP.get(kind, 0)
        if (depth == 1 and kind == _COMMA) or depth == 0:  # between two members, or behind the last
            if token.start() > start:
                found.append(_member(text[start : token.start()]))
            start = token.end()
    return found


def lift(text: bytes, name: str) -> tuple[bytes, bytes | None]:
    """Take one member out of an object: return what is left, untouched otherwise, and its value or None."""
    if not may_have(text, name):
        return text, None
    found = members(text)
    taken = [member.value for member in found if member.name == name]
    if not taken:
        return text, None
    return b"{" + b",".join([member.text for member in found if member.name != name]) + b"}", taken[-1]


def may_have(text: bytes, name: str) -> bool:
    """Tell quickly whether a member of this name could be in there; False is certain."""
    return b"\\" in text or msgspec.json.encode(name) in text


def _member(text: bytes) -> Member:
    match = _STRING.match(text)
    assert match is not None  # the grammar was checked when the text came in
    return Member(json.loads(match.group()), text[match.end() + 1 :], text)


def _read(decoder: msgspec.json.Decoder[_T], text: bytes, wanted: str) -> _T:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise RawError(f"It isn't UTF-8: byte {error.start} can't be read.") from None
    if text.startswith(b"\xef\xbb\xbf"):
        raise RawError("It begins with a byte order mark; send the JSON without it.")
    try:
        return decoder.decode(text)
    except RecursionError:
        raise RawError(_TOO_DEEP.format(DEEPEST)) from None
    except msgspec.ValidationError:
        raise RawError(f"It must be {wanted} in JSON.") from None
    except msgspec.DecodeError as error:
        raise RawError(_explain(text, str(error))) from None


def _explain(text: bytes, complaint: str) -> str:
    if not text.strip():
        return "It is empty; JSON was expected."
    if "surrogate" in complaint or ("truncated" in complaint and _SURROGATE.search(text)):
        return "It has half of a surrogate pair (\\ud800 to \\udfff); no receiver could decode that."
    return "It isn't JSON: " + complaint.removeprefix("JSON is malformed: ") + "."


def _check_depth(text: bytes, deepest: int) -> None:
    if text.count(b"{") + text.count(b"[") <= deepest:
        return
    brackets = _STRING.sub(b"", text).translate(None, _NOT_BRACKETS)
    if max(accumulate([_STEP[bracket] for bracket in brackets]), default=0) > deepest:
        raise RawError(_TOO_DEEP.format(deepest))


def _refuse_constant(name: str) -> NoReturn:
    raise RawError(f"It isn't JSON: {name} is no number.")


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse_constant)
