"""How a webhook's requests are signed, code that checks it, and a checker."""

from __future__ import annotations

from flask import Response, render_template

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.schemas import signatures as schemas
from app.core.access import Scope
from app.errors import Conflict
from app.services import samples, signatures

calls = Calls("signatures", "Signatures")
READ = Scope.WEBHOOKS_READ


@calls.call(
    "GET", "/webhooks/<id>/signature", READ, name="getSignature", answers={200: schemas.SignatureSheet}, clashes=True
)
def show(path: schemas.ById, query: schemas.Language) -> Response:
    """Return how a webhook signs, with code for its receiver; 409 when it doesn't sign. No secret is in it."""
    sheet = signatures.sheet(actor(), path.id)
    if sheet is None:
        raise Conflict("This webhook isn't signed.")
    sample = samples.sample(sheet, query.language)
    code = render_template(sample.template, **sample.facts)
    shape = {"languages": list(samples.languages(sheet)), "language": sample.language, "sample": code}
    return bodies.answer(serialize.signature(sheet) | shape)


@calls.call(
    "POST", "/webhooks/<id>/signature/check", READ, name="checkSignature", answers={200: schemas.Verdict}, clashes=True
)
def check(path: schemas.ById, body: schemas.SignatureGiven) -> Response:
    """Check headers and body of a request with the webhook's stored secrets, as its receiver should."""
    verdict = signatures.check(actor(), path.id, body.headers, body.body.encode("utf-8", "replace"))
    return bodies.answer(serialize.verdict(verdict))
