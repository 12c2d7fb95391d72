"""The organization: its name, and what its roles may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import Invalid
from app.services import members, organizations
from app.web import needs
from app.web.viewer import actor, viewer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("settings", __name__)

PERMISSIONS = {
    Permission.WEBHOOKS: "Webhooks: see, add, change, switch, test; Log History; retry, cancel, replay one",
    Permission.LOG: "Log History and events, without changing anything",
    Permission.PAYLOADS: "See bodies; without it keys only",
    Permission.REPLAY: "Replay many at once",
    Permission.SECRETS: "Rotate and replace signing secrets",
    Permission.CATALOGUE: "Event types and packs; publish by hand",
    Permission.DIRECTORY: "Business units and companies",
    Permission.MEMBERS: "Members and roles",
    Permission.KEYS: "API keys",
    Permission.AUDIT: "Audit log",
    Permission.SETTINGS: "Settings of the organization",
}


@bp.get("/settings")
@needs(Permission.SETTINGS)
def index() -> str:
    """The organization's settings."""
    return _page(viewer().organization_name, "")


@bp.post("/settings")
@needs(Permission.SETTINGS)
def save() -> Response | tuple[str, int]:
    """Rename the organization."""
    name = request.form.get("name", "")
    try:
        organizations.rename(actor(), name)
    except Invalid as error:
        return _page(name, error.problems[0].message), 422
    flash("Settings saved.")
    return redirect(url_for("settings.index"), 303)


def _page(name: str, error: str) -> str:
    roles = members.list_roles(actor()) if actor().may(Permission.MEMBERS) else []
    return render_template(
        "settings/index.html", section="settings", name=name, error=error, roles=roles, permissions=PERMISSIONS
    )
