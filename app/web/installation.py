"""What is in force on this server, for its operators: delivery, network, retention, presets; and every organization."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core import health, rules
from app.core.redaction import MASK, redacted
from app.core.retry import LONGEST_RETRY_AFTER_MS
from app.core.states import DeliveryState
from app.delivery.installed import installed
from app.errors import Invalid
from app.services import all_organizations, browser_sessions, drafts, kept, own_files, retention
from app.services.events import LARGEST_EVENT
from app.services.organization_settings import DEFAULT_PRESET
from app.web import once, operator
from app.web.filters import duration, number, size
from app.web.viewer import actor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.wrappers import Response

    from app.config import Settings

bp = Blueprint("installation", __name__)

DELIVERY = ("concurrency", "threads", "disk_reserve_mb")
NETWORK = ("https_only", "allow_networks", "allow_ports", "ca_file", "base_url", "trusted_proxy", "trusted_proxy_count")
RETENTION = ("retention_days", "retention_failed_days", "disk_reserve_mb")
SHORT = (DeliveryState.DELIVERED, DeliveryState.CANCELED, DeliveryState.SKIPPED)
WAITING = (DeliveryState.PENDING, DeliveryState.SENDING)


class Option(NamedTuple):
    """An option: its variable, what is in force (secrets never), what it is when left out, what it does."""

    variable: str
    value: str
    default: str
    help: str


def options(settings: Settings, *names: str) -> Iterator[Option]:
    """Give these options, or all."""
    for field in dataclasses.fields(settings):
        if not names or field.name in names:
            data = field.metadata
            value = _text(getattr(settings, field.name))
            if data["secret"] and value:
                value = redacted(value) if "://" in value else MASK
            yield Option(data["name"], value, _text(field.default), data["help"])


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@bp.get("/system/delivery")
@operator
def delivery() -> str:
    """Defaults of new webhooks, and the limits that hold for all."""
    preset = drafts.preset_named(DEFAULT_PRESET)
    given = drafts.defaults_of(preset)
    delays = [duration(delay * 1000) for delay in given["retry"]["delays"]]
    defaults = [
        ("Preset", preset.title),
        ("Attempts", f"{len(delays) + 1}: {', '.join(['at once', *delays])}"),
        ("Timeout of an attempt", duration(given["retry"]["timeout"] * 1000)),
        ("Requests in flight a webhook", number(given["max_in_flight"])),
    ]
    limits = [
        ("An event", f"at most {size(LARGEST_EVENT)}"),
        ("Timeout that a webhook can have", f"at most {rules.LONGEST_TIMEOUT_S} s"),
        ("Wait between attempts", f"at most {duration(rules.LONGEST_DELAY_S * 1000)}"),
        ("Wait that a receiver can ask for", f"at most {duration(LONGEST_RETRY_AFTER_MS)}"),
        ("Requests in flight a webhook", f"at most {rules.MOST_IN_FLIGHT}"),
        ("A webhook that only fails", f"is turned off after {duration(health.AUTO_OFF_AFTER_MS)}"),
    ]
    return _page("delivery", DELIVERY, defaults=defaults, limits=limits)


@bp.get("/system/network")
@operator
def network() -> str:
    """What webhooks may reach."""
    return _page("network", NETWORK)


@bp.get("/system/retention")
@operator
def retained() -> str:
    """How long what is kept, and about how much room it takes."""
    settings, found = installed().settings, kept.estimate()

    def part(states: tuple[DeliveryState, ...]) -> tuple[int, int]:
        return sum(found.parts[state].rows for state in states), sum(found.parts[state].size for state in states)

    days = f"{settings.retention_days} days"
    rows = [
        ("Delivered", days, *part((DeliveryState.DELIVERED,))),
        ("Canceled and not sent", days, *part((DeliveryState.CANCELED, DeliveryState.SKIPPED))),
        ("Failed", f"{settings.retention_failed_days} days", *part((DeliveryState.FAILED,))),
        ("Not finished", "Until they are", *part(WAITING)),
    ]
    others = [
        ("Events without deliveries", days),
        ("Requests in test inboxes", "1 day"),
        ("Sign-ins", f"{browser_sessions.KEPT_MS // retention.DAY_MS} days"),
        ("Audit log", "For good"),
    ]
    return _page("retention", RETENTION, rows=rows, others=others, found=found, last=retention.last_run())


@bp.get("/system/presets")
@operator
def presets() -> str:
    """Presets and event packs in use, and what is wrong with own files."""
    found = installed()
    return _page("presets", (), presets=found.presets.values(), packs=found.packs.values(), own=own_files.check())


# --- organizations


@bp.get("/system/organizations")
@operator
def organizations() -> str:
    """The list, and a new one's invitation the only time it is shown."""
    created = request.args.get("created")
    link = once.take(actor().public_id, created) if created else None
    listed = all_organizations.list_all(actor())
    return _page("organizations", (), listed=listed, link=link, counted=all_organizations.COUNTED)


@bp.get("/system/organizations/new")
@operator
def new_organization() -> str:
    """The form."""
    return _organization_form({}, {})


@bp.post("/system/organizations/new")
@operator
def add_organization() -> Response | tuple[str, int]:
    """Add an organization and invite its first admin."""
    given = {name: request.form.get(name, "") for name in ("organization", "email", "name")}
    try:
        added = all_organizations.add(actor(), given["organization"], given["email"], given["name"])
    except Invalid as error:
        return _organization_form(given, {each.field: each.message for each in error.problems}), 422
    if added.to_invite is None:
        flash(f"{added.organization.name} was added. Its admin signs in with the password they have.")
        return redirect(url_for("installation.organizations"), 303)
    once.keep(actor().public_id, added.to_invite, all_organizations.invitation_of(actor(), added.to_invite))
    return redirect(url_for("installation.organizations", created=added.to_invite), 303)


@bp.get("/system/organizations/<tenant>")
@operator
def ask_name(tenant: str) -> str:
    """Ask for another name."""
    return _name_form(tenant, all_organizations.find(actor(), tenant).name, "")


@bp.post("/system/organizations/<tenant>")
@operator
def rename(tenant: str) -> Response | tuple[str, int]:
    """Rename an organization."""
    name = request.form.get("name", "")
    try:
        all_organizations.rename(actor(), tenant, name)
    except Invalid as error:
        return _name_form(tenant, name, error.problems[0].message), 422
    flash("The organization was renamed.")
    return redirect(url_for("installation.organizations"), 303)


def _page(name: str, of: tuple[str, ...], **facts: Any) -> str:
    settings = installed().settings
    shown = list(options(settings, *of)) if of else []
    return render_template(f"system/{name}.html", section="system", settings=settings, options=shown, **facts)


def _organization_form(given: dict[str, str], errors: dict[str, str]) -> str:
    return render_template("system/new_organization.html", section="system", given=given, errors=errors)


def _name_form(tenant: str, name: str, error: str) -> str:
    action, back = url_for("installation.rename", tenant=tenant), url_for("installation.organizations")
    return render_template(
        "system/rename_organization.html", section="system", name=name, error=error, action=action, back=back
    )
