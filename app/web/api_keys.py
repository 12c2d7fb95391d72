"""API keys of producers: list, make, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app import clock
from app.core.access import Permission, Scope
from app.errors import Invalid, NotFound
from app.services import api_keys
from app.web import needs, once
from app.web.viewer import actor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from werkzeug.wrappers import Response

    from app.services.api_keys import KeyView

bp = Blueprint("api_keys", __name__)

DAY_MS = 86_400_000
SCOPES: Mapping[Scope, tuple[str, str]] = {
    Scope.EVENTS_WRITE: ("Publish events", "What an application needs that reports what happens. Also event types."),
    Scope.EVENTS_READ: ("Read events", "Every event of the organization, with its data."),
    Scope.WEBHOOKS_READ: ("See webhooks", "Their settings; never their secrets."),
    Scope.WEBHOOKS_WRITE: ("Change webhooks", "Add, edit, switch and delete them; business units and companies too."),
    Scope.DELIVERIES_READ: ("Read Log History", "Deliveries and their attempts, with bodies."),
    Scope.DELIVERIES_WRITE: ("Retry and replay", "Retry, cancel and replay deliveries."),
    Scope.ADMIN: ("Everything", "All of these, and the rest of the organization."),
    Scope.OPERATOR: ("Operate this server", "Its state, its mail, and every organization: their names, no data."),
}
LIVES = (("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))


@bp.get("/api-keys")
@needs(Permission.KEYS)
def index() -> str:
    """The keys, and a new one the only time it is shown."""
    created = request.args.get("created")
    made = once.take(actor().public_id, created) if created else None
    keys = api_keys.list_all(actor())
    words = {scope.value: text for scope, (text, _) in SCOPES.items()}
    return render_template("api_keys/index.html", section="keys", keys=keys, made=made, words=words)


@bp.get("/api-keys/new")
@needs(Permission.KEYS)
def new() -> str:
    """The form."""
    return _form("", [Scope.EVENTS_WRITE.value], "", {})


@bp.post("/api-keys/new")
@needs(Permission.KEYS)
def create() -> Response | tuple[str, int]:
    """Make a key."""
    name, scopes, days = request.form.get("name", ""), request.form.getlist("scopes"), request.form.get("expires", "")
    expires_at = clock.now() + int(days) * DAY_MS if days in {value for value, _ in LIVES if value} else None
    try:
        made = api_keys.create(actor(), name, scopes, expires_at)
    except Invalid as error:
        return _form(name, scopes, days, {problem.field: problem.message for problem in error.problems}), 422
    once.keep(actor().public_id, made.view.id, made.key)
    return redirect(url_for("api_keys.index", created=made.view.id), 303)


@bp.get("/api-keys/<public_id>/revoke")
@needs(Permission.KEYS)
def ask_revoke(public_id: str) -> str:
    """Ask before a key is revoked."""
    key = _one(public_id)
    action, back = url_for("api_keys.revoke", public_id=key.id), url_for("api_keys.index")
    return render_template("api_keys/revoke.html", section="keys", key=key, action=action, back=back)


@bp.post("/api-keys/<public_id>/revoke")
@needs(Permission.KEYS)
def revoke(public_id: str) -> Response:
    """Revoke a key."""
    flash(f"Key {api_keys.revoke(actor(), public_id).name} was revoked.")
    return redirect(url_for("api_keys.index"), 303)


def _one(public_id: str) -> KeyView:
    found = next((key for key in api_keys.list_all(actor()) if key.id == public_id), None)
    if found is None:
        raise NotFound
    return found


def _form(name: str, scopes: Sequence[str], days: str, errors: Mapping[str, str]) -> str:
    offered = [(scope.value, *SCOPES[scope]) for scope in Scope if scope is not Scope.OPERATOR or actor().is_operator]
    given = {"name": name, "scopes": scopes, "expires": days}
    return render_template("api_keys/new.html", section="keys", given=given, scopes=offered, lives=LIVES, errors=errors)
