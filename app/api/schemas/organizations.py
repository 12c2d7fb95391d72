"""Every organization of this server, for its operators."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.shapes import Body, MomentShown, Shown, Title


class OrganizationNew(Body):
    """An organization to be added, and its first admin."""

    name: Title
    admin_email: str = Field(max_length=254)
    admin_name: Title
    with_api_key: bool = Field(default=False, description="Make a key too that may do everything in it.")


class OrganizationName(Body):
    """Another name."""

    name: Title


class OrganizationListed(Shown):
    """An organization with how many belong to it; events are counted up to 100,000."""

    id: str
    name: str
    created_at: MomentShown
    members: int
    webhooks: int
    events: int


class OrganizationAdded(OrganizationListed):
    """A new organization. The key and the link are shown this once; no link: its admin has a password already."""

    invitation: str | None = Field(description="The link with which its admin chooses a password.")
    api_key: str | None


class Organizations(Shown):
    """A page of organizations, the oldest first."""

    items: list[OrganizationListed]
    next: str | None
