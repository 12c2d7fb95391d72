"""The OpenAPI document, and a page to browse it and try calls out. Everything is served from here."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, request, send_file, url_for
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI

from app.api.auth import SECURITY

bp = Blueprint("api_document", __name__)

_FILES = {
    "swagger-ui.css": ("css/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("js/swagger-ui-bundle.js", "text/javascript"),
}
_FOLDER = Path(str(files("flask_openapi_swagger"))) / "templates" / "swagger"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>API · Postroom</title>
<link rel="icon" href="{icon}"><link rel="stylesheet" href="{css}"></head>
<body><div id="api"></div><script src="{bundle}"></script><script src="{start}"></script></body>
</html>
"""
_START = """const address = document.currentScript.src.replace(/docs\\/start\\.js.*/, "v1/openapi.json");
SwaggerUIBundle({url: address, dom_id: "#api", deepLinking: true, validatorUrl: null});
"""
DESCRIPTION = (
    "Publish what happened with one call; Postroom delivers it to every webhook that should hear of it. "
    "Calls need an API key of the organization, as `Authorization: Bearer prk_…`, with the scope that each call names. "
    "Errors are problem documents (RFC 9457). Lists take `limit` and `cursor` and answer `items` and `next`."
)


def describe(app: OpenAPI) -> None:
    """Say in the document what holds for every call, and give the application its routes to it."""
    app.openapi_version = "3.1.0"  # what flask-openapi says by itself, 3.2, few tools read
    app.info.description = DESCRIPTION  # type: ignore[union-attr]
    app.security_schemes = {SECURITY: SecurityScheme(type="http", scheme="bearer", description="An API key: prk_…")}
    app.add_url_rule("/api/v1/openapi.json", "api_openapi", lambda: _document(app))
    app.register_blueprint(bp)


def _document(app: OpenAPI) -> Response:
    shown: dict[str, Any] = {**app.api_doc, "servers": [{"url": request.script_root or "/"}]}
    return Response(orjson.dumps(shown), content_type="application/json")


@bp.get("/api/docs")
def page() -> Response:
    """The page."""
    css, bundle = (url_for(".asset", name=name) for name in _FILES)
    icon, start = url_for("static", filename="favicon.svg"), url_for(".asset", name="start.js")
    html = _PAGE.format(icon=icon, css=css, bundle=bundle, start=start)
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _CSP
    return response


@bp.get("/api/docs/<any('start.js', 'swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def asset(name: str) -> Response:
    """A file of the page."""
    if name not in _FILES:
        return Response(_START, content_type="text/javascript; charset=utf-8")
    path, kind = _FILES[name]
    return send_file(_FOLDER / path, mimetype=kind, max_age=86_400)
