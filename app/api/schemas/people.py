"""Members, roles, the organization's settings, and the audit log."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.schemas.shapes import Body, Listed, MomentGiven, MomentShown, Query, Shown, Title, left_out
from app.core.access import Permission

_PERMISSIONS = "What it opens: " + ", ".join(Permission)


class ByMember(Query):
    """A member's id in the path."""

    member: str = Field(max_length=200)


class ByRole(Query):
    """A role's name in the path."""

    role: str = Field(max_length=200)


class MembersListed(Listed):
    """Which members."""

    q: str = Field("", max_length=200, description="Part of the name or e-mail.")
    role: str = Field("", max_length=200, description="The name of their role.")


class HeirQuery(Query):
    """What becomes of webhooks."""

    give_webhooks_to: str | None = Field(
        None, max_length=200, description="The member who gets their webhooks; left out: they are turned off."
    )


class MoveQuery(Query):
    """What becomes of a role's members."""

    move_to: str | None = Field(None, max_length=200, description="The role that its members get.")


class MemberNew(Body):
    """Somebody to be added."""

    email: str = Field(max_length=254)
    name: Title
    role: str = Field(max_length=200)
    business_units: list[str] = Field(default_factory=list, max_length=1000, description="External ids.")


class MemberChange(Body):
    """What is to change; what is left out stays."""

    role: str | None = left_out()
    business_units: list[str] | None = left_out(about="External ids.")


class Deactivation(Body):
    """What becomes of webhooks."""

    give_webhooks_to: str | None = left_out(about="The member who gets them; left out: they are turned off.")


class Owned(Shown):
    """A webhook that a member owns."""

    id: str
    name: str


class Member(Shown):
    """A member of the organization."""

    id: str
    name: str
    email: str
    role: str
    sees_everything: bool
    business_units: list[str]
    webhooks: list[Owned]
    active: bool
    has_password: bool
    last_seen_at: MomentShown | None
    created_at: MomentShown


class Members(Shown):
    """A page of members."""

    items: list[Member]
    next: str | None


class Invitation(Shown):
    """The link with which a new member chooses a password: good for 7 days and once."""

    link: str


class RoleNew(Body):
    """A role to be added."""

    name: Title
    permissions: list[str] = Field(max_length=50, description=_PERMISSIONS)
    sees_everything: bool = False


class RoleChange(Body):
    """What is to change; what is left out stays."""

    name: Title | None = left_out()
    permissions: list[str] | None = left_out(about=_PERMISSIONS)
    sees_everything: bool | None = left_out()


class Role(Shown):
    """A named set of permissions."""

    name: str
    permissions: list[str]
    sees_everything: bool
    members: int
    fixed: bool = Field(description="It can't be changed or deleted.")


class Roles(Shown):
    """A page of roles."""

    items: list[Role]
    next: str | None


class OrganizationChange(Body):
    """What is to change; what is left out stays, null is as the server has it."""

    name: Title | None = left_out()
    default_preset: str | None = left_out(about="With what the form of a new webhook begins.")
    default_owner: str | None = left_out(about="The e-mail address of who owns new webhooks; null: whoever makes one.")
    retention_days: int | None = left_out(about="Days that delivered events stay; never more than the server keeps.")
    retention_failed_days: int | None = left_out(about="Days that failed deliveries stay.")


class Organization(Shown):
    """The key's organization."""

    name: str
    default_preset: str | None
    default_owner: str | None
    retention_days: int | None
    retention_failed_days: int | None


class AuditFilter(Query):
    """Which entries."""

    actor: str | None = Field(None, max_length=200, description="The name of who did it, as it was then.")
    action: str | None = Field(None, max_length=100, description="For example webhook.edited.")
    object: str | None = Field(None, max_length=300, description="An id, or the name as it was.")
    since: MomentGiven | None = Field(None, alias="from", description="No earlier than this.")
    until: MomentGiven | None = Field(None, alias="to", description="Before this.")


class AuditListed(AuditFilter, Listed):
    """Which entries, and which page of them."""


class AuditExported(AuditFilter):
    """Which entries a file holds, and how it is written."""

    format: Literal["csv", "ndjson"] = "ndjson"


class Change(Shown):
    """What one setting was and became."""

    field: str
    before: Any
    after: Any


class Entry(Shown):
    """One entry: who did what."""

    at: MomentShown
    actor: str
    actor_id: str | None
    address: str | None
    action: str
    object: str
    object_id: str
    changes: list[Change]


class Entries(Shown):
    """A page of entries, newest first."""

    items: list[Entry]
    next: str | None
