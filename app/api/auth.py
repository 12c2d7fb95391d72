"""Who may make which call: a bearer key with the scope that the call was declared with. Cookies are not looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Request, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.utils import parse_rule
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, HTTPException, Unauthorized

from app import clock
from app.api import bodies, problems
from app.core.access import Scope
from app.errors import AppError, NotFound, Refused
from app.services import api_keys
from app.services.api_keys import KeyHolder
from app.services.scope import Actor

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SECURITY = "api_key"
View = TypeVar("View", bound=Callable[..., Any])
Answers = Mapping[int, type[BaseModel] | None]

_PROBLEMS = {
    400: "The request can't be read",
    401: "The key is missing, unknown, expired or revoked",
    403: "The key lacks the scope",
    404: "There's nothing here, or it belongs to somebody else",
    409: "It clashes with what is there",
    413: "The body is larger than the limit",
    415: "The body isn't plain JSON",
    422: "Something in it breaks a rule; errors names each field",
    429: "Too often; Retry-After says when",
    503: "Not now; Retry-After says when",
}
_ALWAYS = (400, 401, 403, 404, 422, 429, 503)
_WITH_BODY = (413, 415)


@dataclass(frozen=True, slots=True)
class Call:
    """How a call was declared: any of the scopes lets a key make it; a model reads its body, or the view does."""

    scopes: tuple[Scope, ...]
    reads_model: bool


class Calls(APIBlueprint):
    """Calls about one noun. A route that was not declared by `call` is refused, whoever asks."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__(f"api_{name}", __name__, url_prefix="/api/v1", abp_tags=[{"name": title}])
        self._declared: dict[str, Call] = {}
        self.before_request(self._admit)
        self.register_error_handler(AppError, problems.explain)
        self.register_error_handler(ValidationError, problems.refuse_invalid)
        self.register_error_handler(HTTPException, problems.explain_http)
        self.register_error_handler(Exception, problems.apologize)

    def call(
        self,
        method: str,
        rule: str,
        *scopes: Scope,
        name: str,
        answers: Answers,
        clashes: bool = False,
        needs_body: bool = True,
    ) -> Callable[[View], View]:
        """Declare a call: the scopes of which a key needs one, its `name` in the document, what it answers.

        `clashes`: it can answer 409. `needs_body`: False when the body that the view reads may be left out.
        """

        def declare(view: View) -> View:
            parts = view.__annotations__
            reads_itself = getattr(view, "__delay_validate_request__", False)
            self._declared[view.__name__] = Call(scopes, "body" in parts and not reads_itself)
            told = (*_ALWAYS, *(_WITH_BODY if "body" in parts else ()), *((409,) if clashes else ()))
            add = getattr(self, method.lower())
            decorate = add(
                rule,
                operation_id=name,
                security=[{SECURITY: [scope.value for scope in scopes]}],
                responses={**answers, **{status: _problem_response(status) for status in sorted(told)}},
            )
            declared: View = decorate(view)
            if not needs_body:
                getattr(self.paths[parse_rule(rule, self.url_prefix)], method.lower()).requestBody.required = False
            return declared

        return declare

    def declared(self, endpoint: str) -> Call | None:
        """Return how the call of this endpoint was declared."""
        return self._declared.get(endpoint.removeprefix(f"{self.name}."))

    def _admit(self) -> None:
        """Key first, then scope, and only then the body."""
        holder = key_holder()
        call = self.declared(request.endpoint or "")
        if call is None or not any(holder.may(scope) for scope in call.scopes):
            wanted = " or ".join(call.scopes) if call else "one that nobody has"
            raise Refused(f"This key lacks the scope for that: {wanted}.")
        g.api_actor = holder.actor(request.remote_addr)
        _refuse_nul(request.environ)
        if call.reads_model:
            bodies.check_object()


def _problem_response(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _PROBLEMS[status], "content": {"application/problem+json": {"schema": schema}}}


def _refuse_nul(environ: WSGIEnvironment) -> None:
    """No database keeps U+0000 in a text, so nothing is found by it."""
    if "\0" in environ.get("PATH_INFO", ""):
        raise NotFound
    if "%00" in environ.get("QUERY_STRING", ""):
        raise BadRequest("The address contains the character U+0000.")


def key_holder() -> KeyHolder:
    """Return who asks, by the bearer key alone (RFC 6750). Raises 401."""
    scheme, _, key = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorized("Send an API key: Authorization: Bearer prk_…")
    holder = api_keys.find(key.strip(), clock.now())
    if holder is None:
        raise _unauthorized("This API key is unknown, expired or revoked.")
    return holder


def _unauthorized(message: str) -> Unauthorized:
    return Unauthorized(message, www_authenticate=WWWAuthenticate("bearer", {"realm": "Postroom"}))


def actor() -> Actor:
    """Return the key that asks as an actor; for views, which nobody reaches without one."""
    found: Actor = g.api_actor
    return found


def documented(**models: type[BaseModel]) -> Callable[[View], View]:
    """Document what a view reads by itself (its bytes, or a body that may be empty) as these models.

    flask-openapi then checks nothing, not even what is in the path.
    """

    def mark(view: View) -> View:
        view.__annotations__.update(models)
        view.__delay_validate_request__ = True  # type: ignore[attr-defined]
        return view

    return mark


class PagesHaveSessions(SecureCookieSessionInterface):
    """Sessions for pages alone: a call of the API looks at no cookie, so none is opened for it, and none is set."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the request's session; for the API one that is empty and can't be written."""
        if request.path.startswith("/api/"):
            return self.make_null_session(app)
        return super().open_session(app, request)
