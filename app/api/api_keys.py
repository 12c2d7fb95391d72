"""API keys: list, make, revoke."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import api_keys as schemas
from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import api_keys

calls = Calls("api_keys", "API keys")
ADMIN = Scope.ADMIN


@calls.call("GET", "/api-keys", ADMIN, name="listApiKeys", answers={200: schemas.ApiKeys})
def index(query: Listed) -> Response:
    """List the organization's keys, the oldest first, those revoked too."""
    return bodies.answer(page_of_all(api_keys.list_all(actor()), query, serialize.api_key, lambda key: key.row_id))


@calls.call("POST", "/api-keys", ADMIN, name="createApiKey", answers={201: schemas.ApiKeyMade})
def create(body: schemas.ApiKeyNew) -> Response:
    """Make a key. It is in this answer and in no other."""
    made = api_keys.create(actor(), body.name, body.scopes, body.expires_at)
    return bodies.answer(serialize.api_key(made.view) | {"api_key": made.key}, 201)


@calls.call("DELETE", "/api-keys/<id>", ADMIN, name="revokeApiKey", answers={200: schemas.ApiKey})
def revoke(path: ById) -> Response:
    """Revoke a key: it is refused from now on, by other processes within a second. It stays in the list."""
    return bodies.answer(serialize.api_key(api_keys.revoke(actor(), path.id)))
