"""What the API's tests share: a key, and calls made with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from app.core.access import Scope
from app.services import api_keys, event_types

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from app.services.scope import Actor

MakeKey = Callable[..., str]


class Api:
    """A client of the API. Bodies are given as values, or as bytes that are sent as they are."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self.client = client
        self.key = key

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Make a call below /api/v1. `X_Name="…"` is sent as the header X-Name."""
        sent = {
            "Authorization": f"Bearer {self.key}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        return self.client.open(f"/api/v1{path}", method=method, data=data, headers=sent)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.call("PATCH", path, body)

    def put(self, path: str, body: Any) -> TestResponse:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> TestResponse:
        return self.call("DELETE", path)


@pytest.fixture
def make_key() -> MakeKey:
    """Make a key: `make_key(owner, "events:write")`; without scopes it may do everything."""

    def make(actor: Actor, *scopes: str) -> str:
        return api_keys.create(actor, "test", scopes or (Scope.ADMIN,)).key

    return make


@pytest.fixture
def api(client: FlaskClient, owner: Actor, make_key: MakeKey) -> Api:
    """The API as a key of the organization with the scope admin sees it."""
    return Api(client, make_key(owner))


@pytest.fixture
def foreign(client: FlaskClient, stranger: Actor, make_key: MakeKey) -> Api:
    """The API as an admin's key of another organization sees it."""
    return Api(client, make_key(stranger))


@pytest.fixture
def job_created(owner: Actor) -> str:
    """An event type that may be published."""
    event_types.create(owner, {"name": "job.created", "example": b'{"id":42}'})
    return "job.created"
