"""The audit log: who changed what."""

from __future__ import annotations

from dataclasses import replace

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.bodies import EXPORTED
from app.api.schemas import people as schemas
from app.core.access import Scope
from app.services import audit, exports
from app.services.audit import AuditQuery
from app.services.exports import Kind

calls = Calls("audit", "Audit log")


@calls.call("GET", "/audit", Scope.ADMIN, name="listAuditEntries", answers={200: schemas.Entries})
def index(query: schemas.AuditListed) -> Response:
    """List what was changed, newest first."""
    page = audit.page(actor(), replace(_asked(query), cursor=query.cursor), limit=query.limit)
    return bodies.answer({"items": [serialize.audit_entry(entry) for entry in page.entries], "next": page.next})


@calls.call("GET", "/audit/export", Scope.ADMIN, name="exportAuditLog", answers=EXPORTED)
def export(query: schemas.AuditExported) -> Response:
    """Return up to 100,000 entries as a file, written while it is sent."""
    return bodies.stream(exports.audit_file(actor(), _asked(query), Kind(query.format)))


def _asked(query: schemas.AuditFilter) -> AuditQuery:
    return AuditQuery(query.actor, query.action, query.object, query.since, query.until)
