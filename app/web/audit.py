"""The audit log: who changed what, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request, url_for

from app.core.access import Permission
from app.core.causes import TURNED_OFF
from app.core.states import Reason
from app.errors import Invalid, Problem
from app.services import audit, exports
from app.services.audit import AuditQuery
from app.services.exports import Kind
from app.web import downloads, needs, words
from app.web.carrying import with_query
from app.web.filters import zone_named
from app.web.log_filters import as_input
from app.web.permissions import short
from app.web.viewer import actor, viewer

if TYPE_CHECKING:
    from collections.abc import Iterator

bp = Blueprint("audit", __name__)

FILTERS = {"actor": "Who", "action": "What", "object": "Object", "from": "From", "to": "Until"}
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
    "delivery.canceled": "Canceled delivery",
    "delivery.replayed": "Replayed delivery",
    "delivery.retried": "Retried delivery",
    "event.replayed": "Replayed event",
    "event_pack.installed": "Installed event pack",
    "event_type.created": "Added event type",
    "event_type.edited": "Changed event type",
    "inbox.cleared": "Cleared test inbox",
    "inbox.created": "Made test inbox",
    "log.exported": "Exported Log History",
    "member.activated": "Let sign in again",
    "member.added": "Added member",
    "member.changed": "Changed member",
    "member.deactivated": "Kept from signing in",
    "member.removed": "Removed member",
    "organization.alerts_changed": "Changed notifications",
    "organization.changed": "Changed settings",
    "organization.created": "Created organization",
    "organization.renamed": "Renamed organization",
    "replay.started": "Started replay",
    "replay.stopped": "Stopped replay",
    "role.created": "Added role",
    "role.deleted": "Deleted role",
    "role.edited": "Changed role",
    "user.password_changed": "Changed password",
    "user.recovery_code_used": "Used a recovery code",
    "user.recovery_codes_made": "Made new recovery codes",
    "user.renamed": "Changed own name",
    "user.signed_in": "Signed in",
    "user.signed_out_elsewhere": "Signed out elsewhere",
    "user.two_factor_turned_off": "Turned off codes at sign-in",
    "user.two_factor_turned_on": "Turned on codes at sign-in",
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

FIELD_WORDS = {"enabled": "on", "url": "URL", "verify_ssl": "SSL verification"}


@bp.get("/audit")
@needs(Permission.AUDIT)
def index() -> str:
    """The log, or the part of it that is asked for."""
    given = {name: request.args.get(name, "").strip() for name in (*FILTERS, "cursor")}
    asked = _asked(given)
    page, known = audit.page(actor(), asked), audit.choices(actor())
    zone = zone_named(viewer().zone) or UTC
    return render_template(
        "audit/index.html",
        section="audit",
        asked=given | {"from": as_input(asked.since, zone), "to": as_input(asked.until, zone)},
        page=page,
        people=[(name, name) for name in known.actors],
        actions=sorted(((name, named(name)) for name in known.actions), key=lambda pair: pair[1]),
        **telling(),
        chips=list(_chips(given)),
        older=_address(given | {"cursor": page.next}) if page.next else "",
        newest=_address(given | {"cursor": ""}) if given["cursor"] else "",
        files=[(kind, _address(given | {"cursor": ""}, kind)) for kind in ("csv", "ndjson")],
    )


@bp.get("/audit.<any('csv', 'ndjson'):kind>")
@needs(Permission.AUDIT)
def export(kind: str) -> Response:
    """The same as a file."""
    asked = _asked({name: request.args.get(name, "").strip() for name in FILTERS})
    return downloads.answer(exports.audit_file(actor(), asked, Kind(kind)))


def _asked(given: dict[str, str]) -> AuditQuery:
    return AuditQuery(
        actor=given["actor"] or None,
        action=given["action"] or None,
        object=given["object"] or None,
        since=_moment(given["from"]),
        until=_moment(given["to"]),
        cursor=given.get("cursor") or None,
    )


def _moment(text: str) -> int | None:
    """A moment as a date-and-time field sends it, in the viewer's zone."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        at = int((found if found.tzinfo else found.replace(tzinfo=zone_named(viewer().zone))).timestamp() * 1000)
    except (ValueError, OverflowError):
        at = -1
    if not 0 <= at < 1 << 62:
        words = f"{text} isn't a time. Write it like 2026-11-21T09:30."
        raise Invalid([Problem("from", words)], words)
    return at


def named(action: str) -> str:
    """Return what an action is called; one that was recorded by another version, by its own name."""
    return ACTIONS.get(action) or action.replace(".", " ").replace("_", " ").capitalize()


def telling() -> dict[str, Any]:
    """What templates that show recorded changes tell them with."""
    return {"words": named, "short": short, "called": _called, "because": because}


def _called(field: str) -> str:
    return FIELD_WORDS.get(field) or field.replace("_", " ")


def because(reason: str) -> str:
    """Say a reason that was recorded by its name; what another version recorded, as it stands."""
    known = Reason(reason) if reason in {one.value for one in Reason} else None
    if known is None:
        return reason
    return TURNED_OFF.get(known) or str(words.REASONS[known].plain).removesuffix(".").lower()


def _chips(given: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Give each filter in words, its name, and the address without it."""
    for name, label in FILTERS.items():
        value = given[name]
        if value:
            shown = named(value) if name == "action" else value.replace("T", " ") if name in ("from", "to") else value
            yield f"{label}: {shown}", label, _address(given | {name: "", "cursor": ""})


def _address(given: dict[str, str], kind: str = "") -> str:
    asked = {name: value for name, value in given.items() if value}
    address = url_for("audit.export", kind=kind) if kind else url_for("audit.index")
    return with_query(address, urlencode(asked)) if asked else address
