"""The audit log: who changed what."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.schemas import people as schemas
from app.core.access import Scope
from app.services import audit
from app.services.audit import AuditQuery

calls = Calls("audit", "Audit log")


@calls.call("GET", "/audit", Scope.ADMIN, name="listAuditEntries", answers={200: schemas.Entries})
def index(query: schemas.AuditListed) -> Response:
    """List what was changed, newest first."""
    asked = AuditQuery(query.actor, query.action, query.object, query.since, query.until, query.cursor)
    page = audit.page(actor(), asked, limit=query.limit)
    return bodies.answer({"items": [serialize.audit_entry(entry) for entry in page.entries], "next": page.next})
