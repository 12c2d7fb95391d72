"""An event as it was posted: its members cut out as slices, so that payloads keep every byte. No model on this path."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from app.api.schemas.shapes import moment_of
from app.core import raw
from app.core.raw import RawError
from app.errors import Invalid, Problem, TooLarge
from app.services.events import LARGEST_EVENT, PRODUCER_ID, Posted

LARGEST = LARGEST_EVENT
MOST_IN_BATCH = 1_000
LARGEST_BATCH = 8 * 2**20
_LONGEST_ADDRESS = 254
_MOST_ADDRESSES = 1_000
_DEEPEST_BATCH = 1_000  # each event is held against the limit by itself, so that one too deep doesn't spoil the others
_NULL = b"null"
_ID_RULE = "An id has 1 to 64 letters, digits, - and _."


class _WrongError(Exception):
    """A member can't be used: `at` is where in it, beginning with a dot or a bracket, or empty."""

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def read_event(body: bytes, key: str | None = None) -> Posted:
    """Return the event in a JSON text. `key` is its Idempotency-Key. Raises `Invalid` with every problem there is."""
    try:
        return _read(raw.compact(body), key)
    except RawError as error:
        raise Invalid([Problem("", error.message)]) from None


def read_batch(body: bytes) -> list[Posted | Invalid | TooLarge]:
    """Return a batch's events, or why one can't be read, in order. Raises `Invalid` for what is no batch."""
    try:
        members = raw.cut(body, _DEEPEST_BATCH)
        if members.keys() != {"events"}:
            raise Invalid([Problem("events", 'Send {"events": […]} and nothing else.')])
        items = raw.cut_items(members["events"], _DEEPEST_BATCH)
    except RawError as error:
        raise Invalid([Problem("events" if body.lstrip()[:1] == b"{" else "", error.message)]) from None
    if not 1 <= len(items) <= MOST_IN_BATCH:
        raise Invalid([Problem("events", f"A batch has 1 to {MOST_IN_BATCH:,} events.")])
    return [_item(item) for item in items]


def _item(item: bytes) -> Posted | Invalid | TooLarge:
    if len(item) > LARGEST:
        return TooLarge(f"The event is larger than {LARGEST >> 10} KiB.")
    try:
        return _read(item, None)
    except RawError as error:
        return Invalid([Problem("", error.message)])
    except Invalid as error:
        return error


def _read(text: bytes, key: str | None) -> Posted:
    found: dict[str, Any] = {}
    wrong: list[Problem] = []
    members = raw.cut(text)
    for name, value in members.items():
        reader = _READERS.get(name)
        if reader is None:
            wrong.append(Problem(name[:80], "There is no such field."))
            continue
        if value == _NULL and name not in _REQUIRED:
            continue
        try:
            field, read = reader
            found[field] = read(value)
        except _WrongError as error:
            wrong.append(Problem(name + error.at, error.message))
    wrong += [Problem(name, "This is missing.") for name in _REQUIRED if name not in members]
    if key is not None:
        wrong += _key_problems(key, found.get("producer_id"))
        found["producer_id"] = key
    if wrong:
        raise Invalid(wrong)
    resource_type, resource_id = found.pop("resource", (None, None))
    digest = hashlib.sha256(text).digest()
    return Posted(digest=digest, resource_type=resource_type, resource_id=resource_id, **found)


def _key_problems(key: str, own_id: str | None) -> list[Problem]:
    if PRODUCER_ID.fullmatch(key) is None:
        return [Problem("Idempotency-Key", _ID_RULE)]
    if own_id is not None and own_id != key:
        return [Problem("Idempotency-Key", "It differs from the event's id. Send one of them.")]
    return []


# --- one reader a member; each gets a value of checked JSON without white space


def _text(value: bytes) -> str:
    if value[:1] != b'"':
        raise _WrongError("Text was expected.")
    text: str = orjson.loads(value)
    return text


def _word(longest: int) -> Callable[[bytes], str]:
    def read(value: bytes) -> str:
        text = _text(value)
        if not 0 < len(text) <= longest or not text.isprintable():
            raise _WrongError(f"1 to {longest} visible characters were expected.")
        return text

    return read


def _id(value: bytes) -> str:
    text = _text(value)
    if PRODUCER_ID.fullmatch(text) is None:
        raise _WrongError(_ID_RULE)
    return text


def _object(value: bytes) -> bytes:
    if value[:1] != b"{":
        raise _WrongError("A JSON object was expected.")
    return value


def _flag(value: bytes) -> bool:
    if value not in (b"true", b"false"):
        raise _WrongError("True or false was expected.")
    return value == b"true"


def _moment(value: bytes) -> int:
    try:
        return moment_of(_text(value))
    except ValueError as error:
        raise _WrongError(str(error)) from None


def _resource(value: bytes) -> tuple[str, str]:
    members = raw.cut(_object(value))
    for name in members.keys() - {"type", "id"}:
        raise _WrongError("There is no such field.", f".{name[:80]}")
    return _resource_part(members, "type"), _resource_part(members, "id")


def _resource_part(members: dict[str, bytes], name: str) -> str:
    if name not in members:
        raise _WrongError("This is missing.", f".{name}")
    try:
        return _read_resource_part(members[name])
    except _WrongError as error:
        raise _WrongError(error.message, f".{name}") from None


def _addresses(value: bytes) -> tuple[str, ...]:
    if value[:1] != b"[":
        raise _WrongError("A list of e-mail addresses was expected.")
    items = raw.cut_items(value)
    if len(items) > _MOST_ADDRESSES:
        raise _WrongError(f"There can be {_MOST_ADDRESSES:,} addresses.")
    addresses = []
    for index, item in enumerate(items):
        try:
            addresses.append(_read_address(item))
        except _WrongError as error:
            raise _WrongError(error.message, f"[{index}]") from None
    return tuple(addresses)


_read_resource_part = _word(200)
_read_address = _word(_LONGEST_ADDRESS)
_REQUIRED = ("type", "data")
_READERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "type": ("type", _word(128)),
    "data": ("data", _object),
    "id": ("producer_id", _id),
    "occurred_at": ("occurred_at", _moment),
    "resource": ("resource", _resource),
    "status": ("status", _word(200)),
    "business_unit": ("business_unit", _word(100)),
    "public": ("is_public", _flag),
    "visible_to": ("visible_to", _addresses),
    "context": ("context", _object),
    "previous": ("previous", _object),
}
