"""Permissions and roles in words: what each opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.core.access import Permission

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.services.roles import RoleView

PERMISSIONS: Mapping[Permission, tuple[str, str]] = {
    Permission.WEBHOOKS: (
        "Webhooks",
        "See, add, change, switch and test webhooks; read Log History; retry, cancel and replay one delivery.",
    ),
    Permission.LOG: ("Log and events", "Read Log History and events, without changing anything."),
    Permission.PAYLOADS: ("Bodies", "See what was sent and answered. Without it names show and values don't."),
    Permission.REPLAY: ("Bulk replay", "Replay many deliveries at once."),
    Permission.SECRETS: ("Signing secrets", "Rotate and replace them."),
    Permission.CATALOGUE: ("Catalogue", "Add event types and packs; publish by hand."),
    Permission.DIRECTORY: ("Business units", "Change business units and companies."),
    Permission.MEMBERS: (
        "Members and roles",
        "Invite, change and remove members; change roles. Never beyond one's own.",
    ),
    Permission.KEYS: ("API keys", "Make and revoke them."),
    Permission.AUDIT: ("Audit log", "Read who changed what."),
    Permission.SETTINGS: ("Settings", "Change the organization's name, defaults and alerts."),
}


def short(permissions: Iterable[str]) -> str:
    """Return the names of permissions, in the order of the list of them."""
    held = set(permissions)
    return ", ".join(name for permission, (name, _) in PERMISSIONS.items() if permission in held)


def role_words(role: RoleView) -> str:
    """Return in a sentence what a role opens."""
    if len(role.permissions) == len(Permission):
        words = "All of the organization"
    else:
        words = short(role.permissions) or "Nothing"
    return f"{words}; sees every event." if role.sees_everything else f"{words}."
