"""Which organization a page was made for: every address names it, so that two tabs with two of them never mix.

Only for people in several organizations; for everybody else addresses stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import redirect, request
from markupsafe import Markup

from app.web.viewer import named_organization

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

_OPEN = ("public", "receiver", None)


def register(app: Flask) -> None:
    """Let addresses carry the organization, and give templates the field that forms with GET need."""

    def carry(endpoint: str, values: dict[str, Any]) -> None:
        org = named_organization()
        view = app.view_functions.get(endpoint)
        if org is not None and "org" not in values and getattr(view, "__access__", None) not in _OPEN:
            values["org"] = org

    app.url_defaults(carry)
    app.jinja_env.globals["org_field"] = org_field


def org_field() -> Markup:
    """The field of a form with GET: a browser drops what stands behind the question mark of its address."""
    org = named_organization()
    return Markup('<input type="hidden" name="org" value="{}">').format(org) if org is not None else Markup("")


def named() -> Response | None:
    """Send a page that was asked for without an organization on to the address that names it."""
    org = named_organization()
    if org is None or request.method != "GET" or "org" in request.args or request.headers.get("HX-Request"):
        return None
    return redirect(with_query(request.full_path.rstrip("?"), f"org={org}"))


def with_query(address: str, query: str) -> str:
    """Return the address with this behind what it asks for already."""
    return f"{address}{'&' if '?' in address else '?'}{query}"
