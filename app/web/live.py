"""Live regions: a fragment that is asked for again and again, and answers 304 while nothing it shows has changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from flask import Response, make_response, render_template, request

from app.version import __version__
from app.web.viewer import viewer

if TYPE_CHECKING:
    from collections.abc import Callable


def tag_of(stamp: object) -> str:
    """Return the ETag of a region: what it shows, what was asked for, and who looks."""
    shown = viewer()
    asked = sorted(request.args.items(multi=True))
    facts = (__version__, stamp, asked, shown.email, shown.organization_name, shown.zone)
    return '"' + hashlib.sha256(repr(facts).encode()).hexdigest()[:24] + '"'


def region(template: str, stamp: object, load: Callable[[], dict[str, Any]], *, seconds: int = 5) -> Response:
    """Answer 304 when the asker has this stamp, else the fragment; ask again after `seconds`.

    `stamp` is made from ids and versions before anything is loaded, so that a 304 costs one small query.
    """
    tag = tag_of(stamp)
    if request.headers.get("If-None-Match") == tag:
        response = Response(status=304)
    else:
        response = make_response(render_template(template, **load()))
    response.headers["ETag"] = tag
    response.headers["Postroom-Poll"] = str(seconds)
    return response
