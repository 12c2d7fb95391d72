"""Problem documents (RFC 9457): the form of every error the API answers with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from app import errors, logs
from app.database import is_unavailable
from app.errors import AppError, Conflict, Invalid, NotFound, Refused, Throttled, TooLarge, Unavailable

STATUS: dict[type[AppError], int] = {
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    Invalid: 422,
    Throttled: 429,
    Unavailable: 503,
}
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate", "Accept-Encoding")
_WORDS = {
    404: "There's nothing here, or you may not see it.",
    405: "This address doesn't take that method.",
    413: "What was sent is larger than the limit.",
}


class FieldError(BaseModel):
    """One thing that is wrong with one field; the field is empty when it is the body as a whole."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 says it. `errors` names every field that breaks a rule.

    `current` comes with 409 when somebody else changed it meanwhile: the thing as it is now, with its `version`.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]
    current: dict[str, Any] | None = None


def problem(status: int, detail: str, found: Iterable[errors.Problem] = ()) -> dict[str, Any]:
    """Return a problem document."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"field": each.field, "message": each.message} for each in found],
    }


def problem_of(error: AppError) -> dict[str, Any]:
    """Return the problem document for an expected failure."""
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    return problem(status, error.message, error.problems if isinstance(error, Invalid) else ())


def answer_problem(document: Mapping[str, Any]) -> Response:
    """Return a problem document as the answer."""
    body = orjson.dumps(document)
    return Response(body, document["status"], content_type="application/problem+json")


def explain(error: AppError) -> Response:
    """Answer an expected failure."""
    response = answer_problem(problem_of(error))
    if isinstance(error, Throttled | Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def explain_http(error: HTTPException) -> Response:
    """Answer what routing, Werkzeug or the rules for bodies refused; headers that clients act on are kept."""
    status = error.code or 500
    response = answer_problem(problem(status, _WORDS.get(status) or error.description or "It can't be done."))
    kept = error.get_response().headers
    for name in KEPT_HEADERS:
        if name in kept:
            response.headers[name] = kept[name]
    return response


def apologize(error: Exception) -> Response:
    """Answer a failure nobody expected: with a number to find it in the log by, and no word of its inside."""
    number = g.get("request_id", "")
    if is_unavailable(error):
        logs.trouble("the database did not take a request of the API", error, request=number, path=request.path)
        return explain(Unavailable("The database can't answer now. Try again in a moment."))
    logs.trouble("a call of the API failed", error, request=number, path=request.path)
    return answer_problem(problem(500, f"Something broke on our side. The log has it under {number}."))


def refuse_invalid(error: ValidationError) -> Response:
    """Answer what a model of the API refused."""
    return explain(Invalid(problems_in(error)))


def problems_in(error: ValidationError) -> list[errors.Problem]:
    """Return what pydantic found, by the names of the wire and in plain words."""
    return [errors.Problem(_field(each["loc"]), _message(each)) for each in error.errors(include_url=False)]


def _field(path: Iterable[int | str]) -> str:
    """Write `("field_mapping", 1, "property")` as `field_mapping[1].property`. Tags of unions, `~tag`, are left out."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part.startswith("~"):
            text += f".{part}" if text else part
    return text[:200]


def _message(found: Any) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "missing":
        return "This is missing."
    if kind == "extra_forbidden":
        return "There is no such field."
    if kind in {"string_type", "bool_type", "list_type", "dict_type"}:
        return {"s": "Text", "b": "True or false", "l": "A list", "d": "An object"}[kind[0]] + " was expected."
    if kind == "value_error":
        return str(context["error"])
    return str(found["msg"]).rstrip(".") + "."


def answer_errors_under(app: Flask, prefix: str) -> None:
    """Make failures under `prefix` problem documents where no blueprint was reached: unknown paths and methods.

    The handlers of the pages stay in charge of everything else, so they have to be registered before.
    """
    for kind, handler in ((AppError, explain), (HTTPException, explain_http), (Exception, apologize)):
        _divide(app, kind, handler, prefix)


def _divide(app: Flask, kind: type[Exception], handler: Any, prefix: str) -> None:
    elsewhere = app.error_handler_spec[None][None].get(kind)

    def handle(error: Exception) -> Any:
        if request.path.startswith(prefix):
            return handler(error)
        if elsewhere is None:
            raise error
        return elsewhere(error)

    app.register_error_handler(kind, handle)
