"""What changed between two versions of a resource's model: dotted path -> old and new value."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from app.core import raw
from app.core.encoding import json_text
from app.core.raw import Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.core.raw import Tree


def diff(old: bytes, new: bytes) -> bytes:
    """Return `{"address.city": {"old": "Lyon", "new": "Nice"}}` for two models in JSON, values as they were written.

    Objects and lists are compared member by member, items of a list by index. A member that was added or removed
    has null on the side where it is missing. A number that is only written differently (1.5, 1.50) is no change.
    """
    changes = _changes(raw.parse(old), raw.parse(new), "")
    return json_text({path: {"old": before, "new": after} for path, before, after in changes})


def model_of(data: bytes, model: str) -> bytes | None:
    """Return the member of an event's data that holds the resource's model, as published, or None."""
    found = [member.value for member in raw.members(data) if member.name == model]
    return found[-1] if found else None


def with_diff(data: bytes, model: str, into: str, previous: bytes | None) -> bytes:
    """Return the data with the member `into` in front of the model: what changed since `previous`, a model too.

    Without an earlier version there is nothing to compare with, and the difference is empty; one that the producer
    published itself is then left as it is. Data without a model comes back untouched, and so does everything else.
    """
    current = model_of(data, model)
    if current is None or (previous is None and model_of(data, into) is not None):
        return data
    change = json_text(into) + b":" + (b"{}" if previous is None else diff(previous, current))
    texts = []
    for member in raw.members(data):
        if member.name == model and change not in texts:
            texts.append(change)
        if member.name != into:
            texts.append(member.text)
    return b"{" + b",".join(texts) + b"}"


def _changes(old: Tree, new: Tree, path: str) -> Iterator[tuple[str, Tree, Tree]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _changes(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _changes(before, after, f"{path}.{index}" if path else str(index))
    elif not _same(old, new):
        yield path, old, new


def _same(old: Tree, new: Tree) -> bool:
    if isinstance(old, Number) and isinstance(new, Number):
        return str(old) == str(new) or _value(old) == _value(new)
    return type(old) is type(new) and old == new


def _value(number: Number) -> Decimal | str:
    try:
        return Decimal(number)
    except InvalidOperation:  # an exponent beyond what can be counted: only the same text is the same number
        return str(number)
