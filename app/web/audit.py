"""The audit log: who changed what, newest first."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from flask import Blueprint, render_template, request, url_for

from app.core.access import Permission
from app.services import audit
from app.services.audit import AuditQuery
from app.web import needs
from app.web.viewer import actor

if TYPE_CHECKING:
    from collections.abc import Iterator

bp = Blueprint("audit", __name__)

FILTERS = {"actor": "Who", "action": "What", "object": "Object"}
ACTIONS = {
    "api_key.created": "Made API key",
    "api_key.revoked": "Revoked API key",
    "business_unit.created": "Added business unit",
    "business_unit.deleted": "Deleted business unit",
    "business_unit.edited": "Renamed business unit",
    "company.created": "Added company",
    "company.deleted": "Deleted company",
    "company.edited": "Changed company",
    "company.imported": "Imported companies",
    "event.replayed": "Replayed event",
    "event_pack.installed": "Installed event pack",
    "event_type.created": "Added event type",
    "event_type.edited": "Changed event type",
    "inbox.cleared": "Cleared test inbox",
    "inbox.created": "Made test inbox",
    "member.activated": "Let sign in again",
    "member.added": "Added member",
    "member.changed": "Changed member",
    "member.deactivated": "Kept from signing in",
    "member.removed": "Removed member",
    "organization.created": "Created organization",
    "organization.renamed": "Renamed organization",
    "user.password_changed": "Changed password",
    "user.renamed": "Changed own name",
    "user.signed_in": "Signed in",
    "webhook.created": "Created webhook",
    "webhook.deleted": "Deleted webhook",
    "webhook.edited": "Changed webhook",
    "webhook.given": "Gave webhook to another owner",
    "webhook.paused": "Paused webhook",
    "webhook.resumed": "Resumed webhook",
    "webhook.retried": "Retried what waits for webhook",
    "webhook.secret_rotated": "Rotated signing secret",
    "webhook.tested": "Sent test payload",
    "webhook.turned_off": "Turned off webhook",
    "webhook.turned_on": "Turned on webhook",
}


@bp.get("/audit")
@needs(Permission.AUDIT)
def index() -> str:
    """The log, or the part of it that is asked for."""
    asked = AuditQuery(**{name: request.args.get(name) or None for name in (*FILTERS, "cursor")})
    page, known = audit.page(actor(), asked), audit.choices(actor())
    return render_template(
        "audit/index.html",
        section="audit",
        asked=asked,
        page=page,
        people=[(name, name) for name in known.actors],
        actions=sorted(((name, named(name)) for name in known.actions), key=lambda pair: pair[1]),
        words=named,
        chips=list(_chips(asked)),
        older=_address(replace(asked, cursor=page.next)) if page.next else "",
        newest=_address(replace(asked, cursor=None)) if asked.cursor else "",
    )


def named(action: str) -> str:
    """Return what an action is called; one that was recorded by another version, by its own name."""
    return ACTIONS.get(action) or action.replace(".", " ").replace("_", " ").capitalize()


def _chips(asked: AuditQuery) -> Iterator[tuple[str, str, str]]:
    """Give each filter in words, its name, and the address without it."""
    for name, label in FILTERS.items():
        value = getattr(asked, name)
        if value:
            shown = named(value) if name == "action" else value
            yield f"{label}: {shown}", label, _address(replace(asked, cursor=None, **{name: None}))


def _address(asked: AuditQuery) -> str:
    return url_for("audit.index", **asdict(asked))
