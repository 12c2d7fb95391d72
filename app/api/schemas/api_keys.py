"""API keys."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.shapes import Body, MomentGiven, MomentShown, Shown, Title
from app.core.access import Scope


class ApiKeyNew(Body):
    """A key to be made. It can do no more than the key that makes it."""

    name: Title
    scopes: list[str] = Field(min_length=1, max_length=20, description="What it may do: " + ", ".join(Scope))
    expires_at: MomentGiven | None = None


class ApiKey(Shown):
    """A key as it is listed: never the key itself."""

    id: str
    name: str
    scopes: list[Scope]
    last_four: str
    made_by: str
    created_at: MomentShown
    expires_at: MomentShown | None
    last_used_at: MomentShown | None
    revoked_at: MomentShown | None


class ApiKeyMade(ApiKey):
    """A new key. `api_key` is shown this once."""

    api_key: str


class ApiKeys(Shown):
    """A page of keys, the oldest first."""

    items: list[ApiKey]
    next: str | None
