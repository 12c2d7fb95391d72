"""Files to keep: sent while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, stream_with_context

if TYPE_CHECKING:
    from app.services.exports import File


def answer(file: File) -> Response:
    """Answer with a file that browsers keep instead of showing it."""
    response = Response(stream_with_context(file.chunks), mimetype=file.mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response
