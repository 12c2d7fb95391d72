"""Companies from a CSV file: what its rows would do, and doing it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from app import clock, ids
from app.core.access import Permission
from app.database import read, write
from app.errors import AppError, Invalid, Problem
from app.models import BusinessUnit, Company
from app.services import audit
from app.services.business_units import check_external_id, checked_name, row_of
from app.services.companies import checked_fields
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

LARGEST_FILE = 256 * 1024
MOST_ROWS = 5_000
ID_COLUMNS = ("id", "external_id", "external id")


class Effect(StrEnum):
    """What a row does."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line in the file, the company as it would be, and what is new or wrong about it, in words."""

    line: int
    external_id: str
    name: str
    fields: dict[str, Any]
    effect: Effect
    words: str = ""


@dataclass(frozen=True, slots=True)
class Import:
    """A whole file. `columns` are the fields it has."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def count(self, effect: Effect) -> int:
        """How many rows have this effect."""
        return sum(row.effect is effect for row in self.rows)

    @property
    def does_something(self) -> bool:
        """Whether any row adds or changes a company."""
        return any(row.effect in (Effect.ADDED, Effect.CHANGED) for row in self.rows)


def preview(actor: Actor, unit: str, file: bytes) -> Import:
    """Return what importing the file into the unit would do. Raises `Invalid` for a file that can't be read.

    The first line names the columns: `id`, `name`, and any others, which are fields. An empty cell leaves its
    field as it is; a field that has no column stays.
    """
    actor.require(Permission.DIRECTORY)
    with read() as session:
        return _judged(session, actor, row_of(session, actor, unit), file)


def apply(actor: Actor, unit: str, file: bytes) -> Import:
    """Import the file: all rows that can be, in one transaction. Returns what was done."""
    actor.require(Permission.DIRECTORY)
    now = clock.now()
    with write() as session:
        home = row_of(session, actor, unit)
        found = _judged(session, actor, home, file)
        here = _companies(session, actor)
        for row in found.rows:
            if row.effect is Effect.ADDED:
                session.add(_new(home, row, now))
            elif row.effect is Effect.CHANGED:
                company = here[row.external_id]
                company.name, company.fields, company.updated_at = row.name, row.fields, now
        if found.does_something:
            counts = {effect.value: (None, found.count(effect)) for effect in (Effect.ADDED, Effect.CHANGED)}
            audit.record(session, actor, "company.imported", home, counts)
    return found


def _new(home: BusinessUnit, row: Row, now: int) -> Company:
    return Company(
        public_id=ids.new_id("cmp"),
        organization_id=home.organization_id,
        business_unit_id=home.id,
        external_id=row.external_id,
        name=row.name,
        fields=row.fields,
        created_at=now,
        updated_at=now,
    )


def _companies(session: Session, actor: Actor) -> dict[str, Company]:
    return {company.external_id: company for company in session.scalars(for_org(session, actor, Company).query())}


def _judged(session: Session, actor: Actor, home: BusinessUnit, file: bytes) -> Import:
    columns, lines = _read(file)
    here = _companies(session, actor)
    units = {unit.id: unit.name for unit in session.scalars(for_org(session, actor, BusinessUnit).query())}
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for line, external_id, name, cells in lines:
        try:
            row = _row(line, external_id, name, cells, here.get(external_id), home, units)
            if external_id in seen:
                raise Invalid([Problem("id", f"Line {seen[external_id]} has the same id.")])
            seen[external_id] = line
        except AppError as error:
            words = error.problems[0].message if isinstance(error, Invalid) else error.message
            row = Row(line, external_id, name, {}, Effect.REFUSED, words)
        rows.append(row)
    return Import(columns, tuple(rows))


def _row(
    line: int,
    external_id: str,
    name: str,
    cells: dict[str, str],
    company: Company | None,
    home: BusinessUnit,
    units: dict[int, str],
) -> Row:
    check_external_id(external_id)
    if company is None:
        fields = checked_fields({field: cell for field, cell in cells.items() if cell})
        return Row(line, external_id, checked_name(name), fields, Effect.ADDED)
    if company.business_unit_id != home.id:
        raise Invalid(
            [Problem("id", f"This company belongs to {units.get(company.business_unit_id, 'another unit')}.")]
        )
    wanted = checked_name(name or company.name)
    given = {field: cell for field, cell in cells.items() if cell and _text(company.fields.get(field)) != cell}
    changes = [f"{field}: {_text(company.fields.get(field)) or '–'} → {cell}" for field, cell in given.items()]
    if wanted != company.name:
        changes.insert(0, f"name: {company.name} → {wanted}")
    effect = Effect.CHANGED if changes else Effect.UNCHANGED
    return Row(line, external_id, wanted, checked_fields({**company.fields, **given}), effect, "; ".join(changes))


def _text(value: object) -> str:
    """A field as a cell would have it, so that a number that is only written as text is no change."""
    return "" if value is None else str(value)


def _read(file: bytes) -> tuple[tuple[str, ...], Iterator[tuple[int, str, str, dict[str, str]]]]:
    """Return the fields' names, and each line as number, id, name, cells."""
    if len(file) > LARGEST_FILE:
        raise _unreadable(f"The file is larger than {LARGEST_FILE >> 10} KiB. Split it.")
    try:
        text = file.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable("The file isn't in UTF-8. Save it as “CSV UTF-8”.") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _unreadable(f"Line {reader.line_num}: {error}.") from None
    if len(lines) < 2:
        raise _unreadable("The file has no rows. Its first line names the columns: id, name, and the fields.")
    if len(lines) > MOST_ROWS + 1:
        raise _unreadable(f"There can be {MOST_ROWS:,} rows. Split the file.")
    head = [cell.strip() for cell in lines[0][1]]
    lowered = [name.lower() for name in head]
    id_at = next((lowered.index(name) for name in ID_COLUMNS if name in lowered), None)
    name_at = lowered.index("name") if "name" in lowered else None
    if id_at is None or name_at is None:
        raise _unreadable("The first line must name the columns id and name.")
    fields = [(at, name) for at, name in enumerate(head) if name and at not in (id_at, name_at)]
    if len({name for _, name in fields}) < len(fields):
        raise _unreadable("Two columns have the same name.")
    return tuple(name for _, name in fields), _lines(lines[1:], len(head), id_at, name_at, fields)


def _lines(
    lines: list[tuple[int, list[str]]], width: int, id_at: int, name_at: int, fields: list[tuple[int, str]]
) -> Iterator[tuple[int, str, str, dict[str, str]]]:
    for number, row in lines:
        cells = [cell.strip() for cell in row] + [""] * width
        yield number, cells[id_at], cells[name_at], {name: cells[at] for at, name in fields}


def _unreadable(message: str) -> Invalid:
    return Invalid([Problem("file", message)])
