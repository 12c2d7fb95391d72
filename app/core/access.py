"""Permissions, roles, and who may see an event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """What a member may do in an organization."""

    WEBHOOKS = "org.webhooks"
    LOG = "org.log"
    PAYLOADS = "org.payloads"
    REPLAY = "org.replay"
    SECRETS = "org.secrets"
    CATALOGUE = "org.catalogue"
    DIRECTORY = "org.directory"
    MEMBERS = "org.members"
    KEYS = "org.keys"
    AUDIT = "org.audit"
    SETTINGS = "org.settings"


class Scope(StrEnum):
    """What an API key may do; `admin` stands for all in its organization, `operator` for what is beyond it."""

    EVENTS_WRITE = "events:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    ADMIN = "admin"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions. One that sees everything isn't bound to business units."""

    name: str
    permissions: frozenset[Permission]
    sees_everything: bool = False


ADMIN = "Admin"  # it stays as it is, whatever becomes of the others
ROLES = (
    Role(ADMIN, frozenset(Permission), sees_everything=True),
    Role("Developer", frozenset({Permission.WEBHOOKS, Permission.PAYLOADS, Permission.CATALOGUE})),
    Role("Support", frozenset({Permission.LOG})),
    Role("Member", frozenset()),
)


@dataclass(frozen=True, slots=True)
class View:
    """What somebody sees: everything, or the events of their business units and those addressed to them."""

    email: str
    sees_everything: bool
    units: frozenset[int] = frozenset()

    def includes(self, unit: int | None, visible_to: frozenset[str] | None) -> bool:
        """Whether an event of business unit `unit`, addressed to `visible_to` (None: not addressed), is seen.

        An event of no unit that is addressed to nobody in particular is seen by everyone in the organization.
        """
        if self.sees_everything:
            return True
        if visible_to is not None:
            return self.email in visible_to
        return unit is None or unit in self.units


EVERYTHING = View("", sees_everything=True)
