"""What the models of all nouns are made from: strict bodies, queries, pages, moments."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from app.core.texts import is_readable

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_LAST_S = 253_402_300_799
_MOMENT = {"type": "string", "format": "date-time"}


def moment_of(text: str) -> int:
    """Return a moment of RFC 3339 in milliseconds since 1970 UTC; finer fractions are cut. Raises ValueError."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError("Write the moment as in 2026-11-21T09:00:00Z (RFC 3339).")
    day, time, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{time}{zone.upper().replace('Z', '+00:00')}") - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError("There is no such moment.") from None
    seconds = at.days * 86_400 + at.seconds
    if not 0 <= seconds <= _LAST_S:
        raise ValueError("Only moments from 1970 to 9999 can be kept.")
    return seconds * 1000 + int((fraction or ".").ljust(4, "0")[1:4])


class Body(BaseModel):
    """A request's body: unknown fields are refused, and so is text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Shown(BaseModel):
    """A part of an answer: every field is always there."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Query(BaseModel):
    """What stands behind the question mark. Its schema is kept: flask-openapi asks for it on every request."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Return the schema, made once for each way of asking."""
        return _schema(cls, args, tuple(sorted(options.items())))


@lru_cache(maxsize=128)
def _schema(model: type[Query], args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return super(Query, model).model_json_schema(*args, **dict(options))


class Listed(Query):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=250, description="How many at most.")
    cursor: str | None = Field(None, max_length=100, description="`next` of the page before.")


def _read_moment(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("Write the moment as in 2026-11-21T09:00:00Z (RFC 3339).")
    return moment_of(value)


def left_out(*words: str, about: str | None = None) -> Any:
    """A setting that need not be given: the document shows no default, because the preset or the row has it.

    `words` are shown as the choice there is; whoever uses the setting checks it, in words of its own.
    """
    absent: Callable[[], Any] = lambda: None  # noqa: E731
    return Field(default_factory=absent, description=about, json_schema_extra={"enum": list(words)} if words else None)


def _title(value: Any) -> Any:
    if isinstance(value, str) and not is_readable(value):
        raise ValueError("It contains a character that can't be seen. Type it anew.")
    return value.strip() if isinstance(value, str) else value


MomentGiven = Annotated[int, BeforeValidator(_read_moment), WithJsonSchema(_MOMENT)]
MomentShown = Annotated[str, WithJsonSchema(_MOMENT)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=100), BeforeValidator(_title)]
