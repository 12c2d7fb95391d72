"""Business units, and the companies in them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.schemas.shapes import Body, MomentShown, Query, Shown, Title
from app.services.company_import import Effect


class ByUnit(Query):
    """A business unit's external id in the path."""

    unit: str = Field(max_length=200)


class ByCompany(ByUnit):
    """A company's external id in the path, below its unit's."""

    company: str = Field(max_length=200)


class UnitPut(Body):
    """A business unit as it shall be."""

    name: Title


class Unit(Shown):
    """A part of the organization that events can belong to."""

    external_id: str
    name: str
    created_at: MomentShown


class Units(Shown):
    """A page of business units."""

    items: list[Unit]
    next: str | None


class CompanyPut(Body):
    """A company as it shall be: fields that aren't given are gone."""

    name: Title
    fields: dict[str, Any] = Field(default_factory=dict, description="What webhooks can report as extra fields.")


class Company(Shown):
    """A company of a business unit."""

    external_id: str
    business_unit: str
    name: str
    fields: dict[str, Any]
    created_at: MomentShown
    updated_at: MomentShown


class Companies(Shown):
    """A page of a unit's companies."""

    items: list[Company]
    next: str | None


class CompaniesFile(Body):
    """A CSV file. Its first line names the columns: id, name, and any others, which are fields."""

    csv: str
    dry_run: bool = False


class ImportedRow(Shown):
    """What a row does, and what is new or wrong about it, in words."""

    line: int
    external_id: str
    name: str
    effect: Effect
    words: str


class Imported(Shown):
    """What the file did, or would do. `columns` are the fields it has."""

    columns: list[str]
    added: int
    changed: int
    unchanged: int
    refused: int
    rows: list[ImportedRow]


class UnitUsage(Shown):
    """What a business unit has, and the webhooks that chose it by name; `listening` hear of all units too."""

    companies: int
    members: int
    webhooks: list[str]
    listening: int
