"""What pages are called when somebody may not open them, and whom to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.services.scope import Actor

NAMES: Mapping[str, str] = {
    "api_keys": "API keys",
    "audit": "the audit log",
    "business_units": "Business units",
    "companies": "Business units",
    "deliveries": "Log History",
    "event_types": "the catalogue",
    "events": "Events",
    "inboxes": "Test inbox",
    "members": "Members",
    "notifications": "Webhooks",
    "replays": "Replays",
    "roles": "Roles",
    "settings": "Settings",
    "start": "Webhooks",
    "webhooks": "Webhooks",
}


def refusal(actor: Actor, endpoint: str | None, organization: str, *, is_page: bool) -> str:
    """Return why a page or an action is refused, and the names of those who can change that."""
    name = NAMES.get((endpoint or "").partition(".")[0])
    what = f"You can't open {name}" if is_page and name else "You may not do this"
    helpers = " or ".join(members.who_lets_in(actor)) or "whoever runs this server"
    return f"{what} in {organization}. Ask {helpers} for access."
