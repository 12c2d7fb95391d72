"""Reads the TOML of presets, packs and signatures: errors name file, key and the nearest known key."""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

import orjson

from app.core import raw

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_T = TypeVar("_T")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}


class DataFileError(ValueError):
    """A data file can't be used. `file` and `key` say where; the text of the error says all of it."""

    def __init__(self, file: str, key: str, message: str) -> None:
        super().__init__(f"{file}: {key}: {message}" if key else f"{file}: {message}")
        self.file = file
        self.key = key
        self.message = message


class Table:
    """One table of a data file. Raises DataFileError for a key that is not known, missing, or of another kind."""

    def __init__(self, file: str, values: Mapping[str, object], known: Collection[str] | None, at: str = "") -> None:
        self.file = file
        self.at = at
        self._values = values
        for key in values:
            if known is not None and key not in known:
                self.refuse(key, f"there is no such key here{nearest(key, known)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that are there, in order."""
        return tuple(self._values)

    def key(self, name: str) -> str:
        """Return the full name of a key, for an error."""
        return f"{self.at}.{name}" if self.at else name

    def refuse(self, name: str, message: str) -> NoReturn:
        """Raise the error about one key of this table."""
        raise DataFileError(self.file, self.key(name), message)

    def has(self, name: str) -> bool:
        """Tell whether the key is there."""
        return name in self._values

    def take(self, name: str, kind: type[_T]) -> _T:
        """Return the value of a key that must be there."""
        if name not in self._values:
            self.refuse(name, "it is missing")
        return self._checked(name, self._values[name], kind)

    def text(self, name: str) -> str:
        """Return a text that must be there and not be blank."""
        text = self.take(name, str)
        if not text.strip():
            self.refuse(name, "it is empty")
        return text

    def may(self, name: str, kind: type[_T]) -> _T | None:
        """Return the value of a key that may be left out."""
        return self.take(name, kind) if name in self._values else None

    def each(self, name: str, kind: type[_T]) -> tuple[_T, ...]:
        """Return the items of a list, none when the key is left out."""
        items = self.may(name, list) or []
        return tuple(self._checked(f"{name}[{number}]", item, kind) for number, item in enumerate(items))

    def table(self, name: str, known: Collection[str]) -> Table:
        """Return an inner table that must be there, whose keys must be among `known`."""
        return Table(self.file, self.take(name, dict), known, self.key(name))

    def tables(self, name: str, known: Collection[str]) -> list[Table]:
        """Return the tables of an array of tables, none when there is none."""
        values = self.each(name, dict)
        return [Table(self.file, value, known, self.key(f"{name}[{number}]")) for number, value in enumerate(values)]

    def texts(self, name: str) -> dict[str, str]:
        """Return a table whose values all are texts, empty when the key is left out."""
        values = cast("dict[str, object]", self.may(name, dict) or {})
        return {key: self._checked(f"{name}.{key}", value, str) for key, value in values.items()}

    def json_object(self, name: str) -> bytes:
        """Return an object as JSON. It is given as a table, or as a text of JSON, which TOML can't replace: null."""
        value = self._values.get(name)
        try:
            text = raw.compact(value.encode() if isinstance(value, str) else orjson.dumps(self.take(name, dict)))
        except raw.RawError as error:
            self.refuse(name, error.message)
        except orjson.JSONEncodeError as error:
            self.refuse(name, f"it can't be written as JSON: {error}")
        if not text.startswith(b"{"):
            self.refuse(name, "it must be a JSON object")
        return text

    def _checked(self, name: str, value: object, kind: type[_T]) -> _T:
        if kind is float and type(value) is int:
            return cast("_T", float(value))
        if type(value) is not kind:
            self.refuse(name, f"it must be {_KINDS[kind]}")
        return value


def read(file: str, text: bytes, known: Collection[str] | None) -> Table:
    """Return the top table of a TOML 1.0 file; None: its keys are names that the file itself chooses."""
    try:
        values = tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise DataFileError(file, "", f"it isn't UTF-8: byte {error.start} can't be read") from None
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(file, "", f"it isn't TOML: {error}") from None
    return Table(file, values, known)


def check_name(file: str, name: str) -> None:
    """Refuse a preset's or pack's name that could not stand in an address."""
    if not _NAME.fullmatch(name):
        raise DataFileError(file, "", "its name must be of a-z, 0-9, - and _, at most 32 of them")


def nearest(word: str, known: Collection[str]) -> str:
    """Return the end of a sentence that names the known word most like this one, or lists the few there are."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}"
