"""The API: JSON over HTTP for producers and for whoever manages webhooks by program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.api import (
    alerts,
    api_keys,
    audit,
    business_units,
    checks,
    companies,
    deliveries,
    document,
    event_types,
    events,
    health,
    inboxes,
    members,
    notices,
    organization,
    organizations,
    problems,
    replays,
    roles,
    saved_views,
    signatures,
    stats,
    system,
    webhooks,
)
from app.api.auth import PagesHaveSessions
from app.api.problems import Problem, refuse_invalid
from app.extensions import csrf

if TYPE_CHECKING:
    from flask_openapi.openapi import OpenAPI

__all__ = ["Problem", "refuse_invalid", "register"]

NOUNS = (
    events,
    webhooks,
    signatures,
    checks,
    deliveries,
    replays,
    stats,
    notices,
    event_types,
    inboxes,
    business_units,
    companies,
    members,
    saved_views,
    roles,
    api_keys,
    organization,
    alerts,
    audit,
    organizations,
    system,
)


def register(app: OpenAPI) -> None:
    """Give the application its API. The pages have to be registered before: their error handlers are shared out."""
    for noun in NOUNS:
        csrf.exempt(noun.calls)  # it takes a bearer key and looks at no cookie
        app.register_api(noun.calls)
    app.register_blueprint(health.bp)
    document.describe(app)
    app.session_interface = PagesHaveSessions()
    problems.answer_errors_under(app, "/api/")
