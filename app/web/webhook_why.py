"""One webhook and one event or type: sent, or which rules stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import render_template, request

from app.core.access import Permission
from app.errors import Invalid, NotFound
from app.services import event_types, explain, webhooks
from app.web import needs, words
from app.web.deliveries import voice
from app.web.viewer import actor
from app.web.webhook_editor import bp as bp
from app.web.webhook_list import line_of

if TYPE_CHECKING:
    from app.services.explain import Why


@bp.get("/webhooks/<public_id>/why")
@needs(Permission.WEBHOOKS)
def why(public_id: str) -> str | tuple[str, int]:
    """Why an event, or an event type, was not sent to this webhook."""
    view = webhooks.find(actor(), public_id)
    asked, error = request.args.get("event", "").strip()[:200], ""
    found: Why | None = None
    try:
        found = explain.why(actor(), public_id, asked) if asked else None
    except NotFound:
        error = "There is no event with this id, or you may not see it."
    except Invalid as problem:
        error = problem.problems[0].message
    page = render_template(
        "webhooks/why.html",
        line=line_of(view, view.waiting, 0),
        asked=asked,
        error=error,
        found=found,
        said=words.went(found.told, voice(), event_type=found.event_type, unit=found.unit) if found else None,
        checks=words.checks(found, voice()) if found and found.told.display == "skipped" else [],
        ways_out=words.REASONS,
        types=[kind.name for kind in event_types.list_all(actor())],
    )
    return (page, 422) if error else page
