"""The key's organization: its settings."""

from __future__ import annotations

from dataclasses import asdict, replace

from flask import Response

from app.api import bodies
from app.api.auth import Calls, actor
from app.api.schemas import people as schemas
from app.core.access import Scope
from app.services import organization_settings

calls = Calls("organization", "Organization")


@calls.call("GET", "/organization", Scope.ADMIN, name="getOrganization", answers={200: schemas.Organization})
def show() -> Response:
    """Return the settings of the key's organization."""
    return bodies.answer(asdict(organization_settings.find(actor())))


@calls.call("PATCH", "/organization", Scope.ADMIN, name="editOrganization", answers={200: schemas.Organization})
def edit(body: schemas.OrganizationChange) -> Response:
    """Change settings of the key's organization."""
    given = body.model_dump(exclude_unset=True)
    if given.get("name", "") is None:
        del given["name"]
    organization_settings.change(actor(), replace(organization_settings.find(actor()), **given))
    return show()
