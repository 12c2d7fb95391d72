"""Saved views of Log History."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.people import ByMember
from app.api.schemas.shapes import Body, MomentShown, Shown


class ByView(ByMember):
    """A view's id in the path, below its member's."""

    view: str = Field(max_length=100)


class ViewNew(Body):
    """Filters to be kept under a name."""

    name: str = Field(max_length=200)
    query: str = Field(max_length=10_000, description="As in the address of Log History: state=failed&from=24h")


class ViewChange(Body):
    """Another name."""

    name: str = Field(max_length=200)


class SavedView(Shown):
    """Filters of Log History under a name. Its member alone finds it there."""

    id: str
    name: str
    query: str
    created_at: MomentShown


class SavedViews(Shown):
    """A page of a member's views, the oldest first."""

    items: list[SavedView]
    next: str | None
