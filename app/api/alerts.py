"""Whom the key's organization tells when a webhook fails."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from app.api import bodies
from app.api.auth import Calls, actor
from app.api.schemas import alerts as schemas
from app.core.access import Scope
from app.services import alerts

calls = Calls("alerts", "Alerts")


@calls.call("GET", "/alerts", Scope.ADMIN, name="getAlerts", answers={200: schemas.Alerts})
def show() -> Response:
    """Return who is told when a webhook fails, beside its owner and its own alert addresses."""
    return bodies.answer(asdict(alerts.find(actor())))


@calls.call("PATCH", "/alerts", Scope.ADMIN, name="editAlerts", answers={200: schemas.Alerts})
def edit(body: schemas.AlertsChange) -> Response:
    """Change who is told. Switching `events` on installs the event types of the pack `postroom`."""
    given, before = body.model_dump(exclude_unset=True), alerts.find(actor())
    addresses, as_events = given.get("addresses", before.addresses), given.get("events", before.events)
    return bodies.answer(asdict(alerts.save(actor(), list(addresses), as_events=as_events)))


@calls.call("POST", "/alerts/test", Scope.ADMIN, name="testAlerts", answers={200: schemas.AlertsTested}, clashes=True)
def send_test() -> Response:
    """Send a test mail to the alert addresses. 503 has the mail server's own words; 409: mail isn't set up."""
    return bodies.answer({"to": alerts.send_test(actor())})
