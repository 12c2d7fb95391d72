"""What a request's body may be: JSON, plainly encoded, within a limit."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import orjson
from flask import Response, request, stream_with_context
from pydantic import BaseModel
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from app.core import raw
from app.core.raw import RawError
from app.errors import Invalid, Problem, TooLarge
from app.services.exports import File

LARGEST = 2**20
_JSON = "application/json"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

Model = TypeVar("Model", bound=BaseModel)


def read_bytes(limit: int) -> bytes:
    """Return the body as it was sent. Raises 415 for anything but plain JSON, 413 for more than `limit` bytes."""
    _check_kind()
    return _read(limit)


def take_bytes(limit: int) -> bytes:
    """Return the same straight from the server, for publishing; the request itself doesn't have the body then."""
    _check_kind()
    environ = request.environ
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        return _read(limit)
    if len(length) > 9 or int(length) > limit:
        raise _too_large(limit)
    body: bytes = environ["wsgi.input"].read(int(length))
    return body


def _check_kind() -> None:
    environ = request.environ
    if environ.get("CONTENT_TYPE") != _JSON and not _is_json():
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")


def _read(limit: int) -> bytes:
    request.max_content_length = limit + 1  # without a length Werkzeug cuts there and says nothing
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit >> 10} KiB.")


def _is_json() -> bool:
    """Whether it is JSON in UTF-8 although the header says more than that."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    return request.mimetype == _JSON and charset == "utf-8"


def check_object() -> None:
    """Refuse a body that a model can't be read from: unreadable JSON with 400, anything but an object with 422."""
    body = read_bytes(LARGEST)
    try:
        text = raw.compact(body)
    except RawError as error:
        raise BadRequest(error.message) from None
    if not text.startswith(b"{"):
        raise Invalid([Problem("", "The body must be a JSON object.")])
    if _NUL.search(text):
        raise Invalid([Problem("", "It contains the character U+0000, which can't be kept.")])


def read_optional(model: type[Model]) -> Model:
    """Return the body as `model`; no body at all stands for an empty object. The same rules as for other bodies."""
    if not _read(LARGEST):
        return model()
    check_object()
    return model.model_validate(request.get_json())


_TEXT = {"schema": {"type": "string"}}
_FILES = {"text/csv": _TEXT, "application/x-ndjson": _TEXT}
EXPORTED: dict[int, Any] = {200: {"description": "The file", "content": _FILES}}


def stream(file: File) -> Response:
    """Answer with a file that is written while it is sent."""
    response = Response(stream_with_context(file.chunks), mimetype=file.mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """Return JSON. `orjson.Fragment` in it is written as it stands; `location="…"` becomes the header."""
    response = Response(orjson.dumps(body), status, content_type=_JSON)
    for name, value in headers.items():
        response.headers[name.title()] = value
    return response
