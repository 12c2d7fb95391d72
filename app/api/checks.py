"""What can be tried out before a webhook is saved: a filter on past events, a URL without sending anything."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from app.api import bodies
from app.api.auth import Calls, actor
from app.api.schemas import checks as schemas
from app.core.access import Scope
from app.services import filter_test, url_check

calls = Calls("checks", "Checks")
WRITE = Scope.WEBHOOKS_WRITE


@calls.call("POST", "/checks/filter", WRITE, name="checkFilter", answers={200: schemas.FilterTried})
def check_filter(body: schemas.FilterGiven) -> Response:
    """Say how many of the last 20 events of the named types a filter lets pass."""
    return bodies.answer(asdict(filter_test.matches(actor(), body.filter, body.events)))


@calls.call("POST", "/checks/url", WRITE, name="checkUrl", answers={200: schemas.UrlChecked})
def check_url(body: schemas.UrlGiven) -> Response:
    """Look a URL's name up and try its certificate. No request is sent. Takes up to 8 s."""
    return bodies.answer(asdict(url_check.check(actor(), body.url, body.preset, verify_ssl=body.verify_ssl)))
