"""Pages. Default deny: a view that doesn't say who may use it is refused, and a test walks all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from flask import (
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import current_user
from werkzeug.exceptions import BadRequest, HTTPException, SecurityError

from app import clock, crypto, logs
from app.config import ASSETS, Settings
from app.core.access import Permission
from app.database import is_unavailable
from app.errors import AppError, Conflict, Invalid, NotFound, Refused, Throttled, TooLarge, Unavailable
from app.extensions import login_manager
from app.version import __version__
from app.web import carrying, filters
from app.web.places import refusal
from app.web.viewer import Viewer, load_actor, load_user, names_a_foreign_organization, viewer

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

View = TypeVar("View", bound=Callable[..., Any])

CSP = (
    "default-src 'none'; script-src 'self'{nonce}; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx"
)
VARY = "Cookie, HX-Request, HX-Request-Type"
STATUS = {Refused: 403, NotFound: 404, Conflict: 409, TooLarge: 413, Invalid: 422, Throttled: 429, Unavailable: 503}
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def public(view: View) -> View:
    """Let anyone use this view."""
    view.__access__ = "public"  # type: ignore[attr-defined]
    return view


def signed_in(view: View) -> View:
    """Let anyone who is signed in use this view."""
    view.__access__ = "signed in"  # type: ignore[attr-defined]
    return view


def operator(view: View) -> View:
    """Let the installation's operators use this view."""
    view.__access__ = "operator"  # type: ignore[attr-defined]
    return view


def needs(*any_of: Permission) -> Callable[[View], View]:
    """Let members use this view who hold at least one of the permissions."""

    def mark(view: View) -> View:
        view.__access__ = frozenset(any_of)  # type: ignore[attr-defined]
        return view

    return mark


def register(app: Flask, settings: Settings) -> None:
    """Give the application its pages."""
    from app.web.pages import PAGES

    login_manager.user_loader(load_user)
    login_manager.unauthorized_handler(_ask_to_sign_in)
    app.before_request(_begin)
    app.before_request(lambda: _check_access(app))
    app.after_request(_finish_with(settings.address.startswith("https://")))
    app.errorhandler(AppError)(_explain)
    app.errorhandler(HTTPException)(_explain_http)
    app.errorhandler(Exception)(_apologize)
    carrying.register(app)
    filters.register(app.jinja_env, lambda: viewer().zone, lambda: clock.now())
    app.jinja_env.globals.update(csp_nonce=csp_nonce, can=can, asset=asset, version=__version__)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_context_once)
    for blueprint in PAGES:
        app.register_blueprint(blueprint)


def is_api() -> bool:
    """Whether the request is for the API, whose keys and problem documents are its own affair."""
    return request.path.startswith("/api/")


def _begin() -> None:
    if is_api():
        return
    g.request_id = crypto.new_token()[:8]
    _refuse_nul()


def _refuse_nul() -> None:
    """No database keeps U+0000 in a text, so nothing is found by it and nothing is saved with it."""
    if "\0" in request.path:
        raise NotFound
    access = getattr(current_app.view_functions.get(request.endpoint or ""), "__access__", None)
    given = request.args if access == "receiver" else request.values  # a receiver's body is bytes, and stays so
    if any("\0" in name or "\0" in value for name, value in given.items(multi=True)):
        raise BadRequest("What was sent contains the character U+0000, which can't be kept.")


def own_path(address: str | None) -> str | None:
    """Return an address when it is a path of this site, else None.

    A browser takes tabs and line ends out, and reads `//host` and `/\\host` as another site.
    """
    if address and address.startswith("/") and address[1:2] not in ("/", "\\") and address.isprintable():
        return address
    return None


def csp_nonce() -> str:
    """The nonce of this response's scripts. Made when first asked for: a refused token never reaches `_begin`."""
    if "nonce" not in g:
        g.nonce = crypto.new_token()
    nonce: str = g.nonce
    return nonce


def can(permission: str) -> bool:
    """Whether the viewer holds a permission, for templates."""
    actor = load_actor()
    return actor is not None and actor.may(Permission(permission))


@lru_cache
def _asset_hash(name: str) -> str:
    return hashlib.sha256((Path(ASSETS) / "static" / name).read_bytes()).hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a static file, with its hash, so that it can be kept for ever."""
    return url_for("static", filename=name, v=_asset_hash(name))


def _context_once() -> dict[str, Any]:
    """What every template is given; asked for once, though a page may be made from several."""
    if "frame" not in g:
        g.frame = _context()
    frame: dict[str, Any] = g.frame
    return frame


def _context() -> dict[str, Any]:
    if is_api():
        return {}
    from app.services import notifications, system, webhooks

    actor = load_actor()
    shown: Viewer | None = viewer() if actor is not None else None
    attention, notice = 0, None
    attention_is_theirs = actor is not None and actor.may(Permission.WEBHOOKS)
    if actor is not None and attention_is_theirs:
        if is_fragment():
            attention = webhooks.count_needing_attention(actor)
        else:
            outlook = notifications.outlook(actor)
            attention, notice = outlook.attention, outlook.notice
    troubles = system.troubles() if attention_is_theirs and not is_fragment() else ()
    return {
        "viewer": shown,
        "attention": attention,
        "notice": notice,
        "troubles": troubles,
        "now_at": clock.now(),
        "section": "",
    }


def _check_access(app: Flask) -> BaseResponse | None:
    """Refuse what nobody was let in for; forms from other sites; and views the member's role doesn't open."""
    if is_api() or request.endpoint == "static":
        return None
    if request.endpoint is None:
        return None  # 404 or 405, answered by routing
    access = getattr(app.view_functions[request.endpoint], "__access__", None)
    if request.method in UNSAFE and not _is_same_origin() and access != "receiver":
        raise Refused("This form was sent from another site.")
    if access in ("public", "receiver"):
        return None
    if not current_user.is_authenticated:
        return _ask_to_sign_in()
    actor = load_actor()
    if actor is None or access is None:
        raise Refused("You may not open this.")
    if (access == "operator" and not current_user.is_operator) or names_a_foreign_organization():
        raise NotFound
    if isinstance(access, frozenset) and not actor.permissions & access:
        raise Refused(refusal(actor, request.endpoint, viewer().organization_name, is_page=request.method == "GET"))
    return carrying.named()


def _is_same_origin() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def is_fragment() -> bool:
    """Whether htmx asks, for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def _ask_to_sign_in() -> BaseResponse:
    """A fragment gets 401: a redirect would put the sign-in page into the table."""
    if is_fragment():
        return Response("Sign in again.", 401, mimetype="text/plain")
    going = request.full_path.rstrip("?") if request.method == "GET" else None
    session.pop("_flashes", None)
    return redirect(url_for("sign_in.show", next=going if going != "/" else None))


def _finish_with(is_https: bool) -> Callable[[Response], Response]:
    def finish(response: Response) -> Response:
        if is_api():
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response
        if request.endpoint == "static":
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response
        if response.status_code == HTTPStatus.NOT_MODIFIED:  # nothing to guard comes with it, and it is sent all day
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("Vary", VARY)
            return response
        headers = {
            "Content-Security-Policy": CSP.format(nonce=f" 'nonce-{g.nonce}'" if "nonce" in g else ""),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Vary": VARY,
        }
        if is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    return finish


def _explain(error: AppError) -> BaseResponse:
    code = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    response = _error_page(code, error.message)
    if isinstance(error, Throttled | Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _explain_http(error: HTTPException) -> BaseResponse:
    code = error.code or 500
    if isinstance(error, SecurityError):  # a foreign Host: there is no address to build a page's links from
        return Response("This server doesn't answer under this name.", code, mimetype="text/plain")
    words = {
        400: "The request couldn't be read. Go back, reload the page and try again.",
        404: "There's nothing here, or you may not see it.",
        405: "This address doesn't take that kind of request.",
        413: "What was sent is too large.",
    }
    response = _error_page(code, words.get(code, error.description or "Something is wrong."))
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        value = error.get_response().headers.get(name)
        if value:
            response.headers[name] = value
    return response


def _apologize(error: Exception) -> BaseResponse:
    if is_unavailable(error):
        logs.trouble("the database did not take a request of a page", error, request=g.get("request_id"))
        return _explain(Unavailable("The database can't answer now. Try again in a moment."))
    logs.trouble("a page failed", error, request=g.get("request_id"), path=request.path)
    return _error_page(500, "Something broke on our side.")


def _error_page(code: int, message: str) -> BaseResponse:
    if is_fragment():
        return Response(message, code, mimetype="text/plain")
    request_id = g.get("request_id", "")
    facts = {"code": code, "message": message, "request_id": request_id}
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # Without what every page is given beside its own: that asks the database, which may be what broke.
        page = current_app.jinja_env.get_template("errors/error.html").render(facts, request=request)
    else:
        page = render_template("errors/error.html", **facts)
    return make_response(page, code)
