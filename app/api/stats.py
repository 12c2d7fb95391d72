"""Statistics: how much was delivered, how surely and how fast."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.schemas import stats as schemas
from app.api.schemas.deliveries import ById
from app.core.access import Scope
from app.services import stats

calls = Calls("stats", "Statistics")
READ = (Scope.WEBHOOKS_READ, Scope.DELIVERIES_READ)


@calls.call("GET", "/stats", *READ, name="getStats", answers={200: schemas.Statistics})
def show(query: schemas.Asked) -> Response:
    """Return the figures of all webhooks, those deleted since included."""
    return bodies.answer(serialize.statistics(stats.of_organization(actor(), query.period)))


@calls.call("GET", "/webhooks/<id>/stats", *READ, name="getWebhookStats", answers={200: schemas.Statistics})
def of_webhook(path: ById, query: schemas.Asked) -> Response:
    """Return the figures of one webhook."""
    return bodies.answer(serialize.statistics(stats.of_webhook(actor(), path.id, query.period)))
