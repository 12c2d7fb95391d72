"""Members, roles, and who did what."""

from __future__ import annotations

from app.api.serialize.values import Shape, moment_or_null
from app.core.envelope import moment
from app.services.audit import Entry
from app.services.members import MemberView
from app.services.roles import RoleView


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
        "changes": [{"field": name, "before": before, "after": after} for name, before, after in found.fields],
    }
