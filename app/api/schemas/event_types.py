"""The catalogue: event types and packs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from app.api.schemas.shapes import Body, MomentShown, Query, Shown, Title, left_out
from app.models import SchemaMode
from app.services.event_types import LONGEST_NAME, NAME


class ByName(Query):
    """The name in the path."""

    name: str = Field(max_length=200)


TypeName = Annotated[str, StringConstraints(max_length=LONGEST_NAME, pattern=rf"^{NAME.pattern}$")]


class EventTypePatch(Body):
    """What is to change; the name stays."""

    kind: Title = left_out(about="The group it is listed under.")
    title: Title = left_out()
    description: str = left_out()
    example: dict[str, Any] = left_out(about="Data as an event of this type has it.")
    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema, draft 2020-12.")
    schema_mode: Literal["off", "warn", "reject"] = left_out(about="What happens to data that breaks the schema.")
    public_name: TypeName | None = left_out(about="The type that a public event of this type goes out as.")
    searchable: list[str] = left_out()


class EventTypeDraft(EventTypePatch):
    """A new event type."""

    name: str


class EventType(Shown):
    """An event type that may be published."""

    name: str
    kind: str
    title: str
    description: str
    example: dict[str, Any]
    schema_: dict[str, Any] | None = Field(alias="schema")
    schema_mode: SchemaMode
    public_name: str | None
    searchable: list[str]
    pack: str | None
    created_at: MomentShown


class EventTypes(Shown):
    """A page of event types."""

    items: list[EventType]
    next: str | None


class PackType(Shown):
    """An event type that a pack brings."""

    name: str
    kind: str
    title: str
    description: str
    public_name: str | None


class EventPack(Shown):
    """A catalogue of event types that can be installed at once."""

    name: str
    title: str
    types: list[PackType]
    installed: int = Field(description="How many of its types are in the catalogue.")
    would_add: list[str]
    would_change: list[str]


class EventPacks(Shown):
    """A page of packs."""

    items: list[EventPack]
    next: str | None


class Installed(Shown):
    """How many event types were added; those that were there are up to date."""

    name: str
    added: int


class Receives(Shown):
    """A webhook that selects the type."""

    id: str
    name: str
    enabled: bool


class TypeUsage(Shown):
    """Who receives an event type, and how many events of it came since `events_since`, 7 days ago at most.

    Of the last `schema_judged` events, `schema_breaches` break the schema.
    """

    webhooks: list[Receives]
    events: int
    events_since: MomentShown
    schema_breaches: int
    schema_judged: int
