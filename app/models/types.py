"""Column types that several tables share."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Dialect,
    Enum,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import DeclarativeBase

from app import crypto

if TYPE_CHECKING:
    from collections.abc import Iterable

Moment = BigInteger  # milliseconds since 1970 UTC
Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER


def core_table(model: type[DeclarativeBase]) -> Table:
    """Return a model's table, for statements that need no objects."""
    return cast("Table", model.__table__)


def text_enum(kind: type[StrEnum], *, checked: bool = True) -> Enum:
    """Store an enum by its value, with a CHECK on the values unless its table has one: see `one_of`."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=checked,
        validate_strings=True,
        values_callable=lambda members: [member.value for member in members],
        name=kind.__name__.lower(),
        length=48,
    )


def any_of(column: str, values: Iterable[str]) -> str:
    """Return a condition that SQLite tests in no time: for `IN (...)` in a CHECK it builds a table at each row."""
    return " OR ".join(f"{column} = '{value}'" for value in values)


def one_of(column: str, kind: type[StrEnum]) -> CheckConstraint:
    """A CHECK on the values of an enum, for tables that are written thousands of times a second."""
    return CheckConstraint(any_of(column, kind), name=f"{column}_{kind.__name__.lower()}")


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index over the rows that `where` describes, on both databases."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Json(TypeDecorator[Any]):
    """Plain values as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write the value."""
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Read it back."""
        return None if value is None else json.loads(value)


class Encrypted(TypeDecorator[str]):
    """Text that is encrypted at rest under the name of its column."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Seal it."""
        return None if value is None else crypto.ring().seal(self.label, value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Open it."""
        return None if value is None else crypto.ring().open(self.label, bytes(value))
