"""Members, roles, and who did what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.api.serialize.values import Shape, moment_or_null
from app.core.envelope import moment
from app.services.api_keys import KeyView
from app.services.audit import Entry
from app.services.changes import Change
from app.services.members import MemberView
from app.services.roles import RoleView
from app.services.saved_views import View


def member(found: MemberView) -> Shape:
    """A member."""
    return {
        "id": found.id,
        "name": found.name,
        "email": found.email,
        "role": found.role,
        "sees_everything": found.sees_everything,
        "business_units": list(found.unit_ids),
        "webhooks": [{"id": each.id, "name": each.name} for each in found.webhooks],
        "active": found.is_active,
        "has_password": found.has_password,
        "last_seen_at": moment_or_null(found.last_seen_at),
        "created_at": moment(found.created_at),
    }


def role(found: RoleView) -> Shape:
    """A role."""
    return {
        "name": found.name,
        "permissions": sorted(found.permissions),
        "sees_everything": found.sees_everything,
        "members": found.members,
        "fixed": found.is_fixed,
    }


def api_key(found: KeyView) -> Shape:
    """An API key, never its text."""
    return {
        "id": found.id,
        "name": found.name,
        "scopes": list(found.scopes),
        "last_four": found.last_four,
        "made_by": found.made_by,
        "created_at": moment(found.created_at),
        "expires_at": moment_or_null(found.expires_at),
        "last_used_at": moment_or_null(found.last_used_at),
        "revoked_at": moment_or_null(found.revoked_at),
    }


def saved_view(found: View) -> Shape:
    """Filters under a name."""
    return {"id": found.id, "name": found.name, "query": found.query, "created_at": moment(found.created_at)}


def change(found: Change) -> Shape:
    """A change of one webhook."""
    return {
        "at": moment(found.at),
        "actor": found.actor,
        "action": found.action,
        "changes": fields_changed(found.fields),
    }


def fields_changed(fields: Iterable[tuple[str, Any, Any]]) -> list[Shape]:
    """What settings were and became."""
    return [{"field": name, "before": before, "after": after} for name, before, after in fields]


def audit_entry(found: Entry) -> Shape:
    """An entry of the audit log."""
    return {
        "at": moment(found.at),
        "actor": found.actor,
        "actor_id": found.actor_id,
        "address": found.address,
        "action": found.action,
        "object": found.object_name,
        "object_id": found.object_id,
        "changes": fields_changed(found.fields),
    }
