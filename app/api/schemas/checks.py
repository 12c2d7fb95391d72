"""What can be tried out before a webhook is saved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.shapes import Body, Shown


class FilterGiven(Body):
    """A filter, and the event types that it is for."""

    filter: str = Field(max_length=10_000)
    events: list[str] = Field(default_factory=lambda: ["*"], max_length=200, description="Patterns too.")


class FilterTried(Shown):
    """Of the last `of` events of those types, `passed` pass; `example` says why the newest of the others doesn't."""

    passed: int
    of: int
    example: str


class UrlGiven(Body):
    """A URL for a webhook."""

    url: str = Field(max_length=10_000)
    preset: str = Field("standard", max_length=100, description="Some insist on https.")
    verify_ssl: bool = True


class UrlChecked(Shown):
    """What the check came to. A warning doesn't keep the URL from being saved; an error does."""

    level: Literal["fine", "warning", "error"]
    text: str
