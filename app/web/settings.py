"""The organization's settings: its name, what new webhooks begin with, and how long its log is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.delivery.installed import installed
from app.errors import Invalid, Problem
from app.services import organization_settings
from app.services.organization_settings import DEFAULT_PRESET
from app.web import needs
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

bp = Blueprint("settings", __name__)

DAYS = ("retention_days", "retention_failed_days")


@bp.get("/settings")
@needs(Permission.SETTINGS)
def index() -> str:
    """The organization's name."""
    return _general(organization_settings.find(actor()).name, "")


@bp.post("/settings")
@needs(Permission.SETTINGS)
def save() -> Response | tuple[str, int]:
    """Rename the organization."""
    name = request.form.get("name", "")
    try:
        organization_settings.change(actor(), replace(organization_settings.find(actor()), name=name))
    except Invalid as error:
        return _general(name, error.problems[0].message), 422
    flash("Settings saved.")
    return redirect(url_for("settings.index"), 303)


@bp.get("/settings/webhooks")
@needs(Permission.SETTINGS)
def webhooks() -> str:
    """The preset and the owner of new webhooks, and how long the log is kept."""
    found = organization_settings.find(actor())
    given = {"preset": found.default_preset or DEFAULT_PRESET, "owner": found.default_owner}
    given |= {name: getattr(found, name) for name in DAYS}
    return _webhooks({name: "" if value is None else str(value) for name, value in given.items()}, {})


@bp.post("/settings/webhooks")
@needs(Permission.SETTINGS)
def save_webhooks() -> Response | tuple[str, int]:
    """Change them."""
    given = {name: request.form.get(name, "").strip() for name in ("preset", "owner", *DAYS)}
    try:
        wanted = replace(
            organization_settings.find(actor()),
            default_preset=given["preset"] or None,
            default_owner=given["owner"] or None,
            retention_days=_days("retention_days", given["retention_days"]),
            retention_failed_days=_days("retention_failed_days", given["retention_failed_days"]),
        )
        organization_settings.change(actor(), wanted)
    except Invalid as error:
        names = {"default_preset": "preset", "default_owner": "owner"}
        return _webhooks(given, {names.get(each.field, each.field): each.message for each in error.problems}), 422
    flash("Settings saved.")
    return redirect(url_for("settings.webhooks"), 303)


def _days(name: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Invalid([Problem(name, "Enter a whole number of days, or leave it empty.")])
    return int(text)


def _general(name: str, error: str) -> str:
    return render_template("settings/index.html", section="settings", name=name, error=error)


def _webhooks(given: dict[str, str], errors: dict[str, Any]) -> str:
    return render_template(
        "settings/webhooks.html",
        section="settings",
        given=given,
        errors=errors,
        presets=[(name, preset.title) for name, preset in installed().presets.items()],
        owners=[("", "Whoever makes it"), *organization_settings.owners(actor())],
        operators=installed().settings,
    )
