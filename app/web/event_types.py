"""The catalogue: event types by kind, one type in full, own types, and the packs they come in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.core.encoding import ContentType
from app.core.shaping import DataMode
from app.errors import Conflict, Invalid
from app.models import SchemaMode
from app.services import event_types
from app.web import needs, payloads, schema_tree
from app.web.viewer import actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Response

    from app.models import EventType

bp = Blueprint("event_types", __name__)

MODES = (
    (SchemaMode.OFF.value, "Off", "Events are not held against the schema."),
    (SchemaMode.WARN.value, "Warn", "Events that break it are accepted and marked."),
    (SchemaMode.REJECT.value, "Reject", "Events that break it are refused with 422."),
)
TEXTS = ("name", "kind", "title", "description", "example", "schema", "schema_mode", "public_name", "searchable")


@bp.get("/catalogue")
@needs(Permission.WEBHOOKS, Permission.CATALOGUE)
def index() -> str:
    """Every event type, by kind, with the webhooks that receive it."""
    found = event_types.list_all(actor())
    kinds: dict[str, list[EventType]] = {}
    for each in found:
        kinds.setdefault(each.kind, []).append(each)
    receivers = event_types.receivers(actor(), [each.name for each in found])
    return render_template(
        "event_types/index.html",
        section="catalogue",
        kinds=kinds,
        receivers=receivers,
        volume=event_types.volume(actor()),
    )


@bp.get("/catalogue/<name>")
@needs(Permission.WEBHOOKS, Permission.CATALOGUE)
def show(name: str) -> str:
    """One event type: what it carries, who receives it, how it is published."""
    kind = event_types.find(actor(), name)
    data_mode = DataMode.STATUS_ONLY if request.args.get("data") == "status_only" else DataMode.EVERYTHING
    content_type = ContentType.FORM if request.args.get("as") == "form" else ContentType.JSON
    breaches, judged = event_types.schema_breaches(actor(), kind)
    return render_template(
        "event_types/show.html",
        section="catalogue",
        kind=kind,
        data_mode=data_mode,
        content_type=content_type,
        example=payloads.show(event_types.example_of(kind, data_mode, content_type), content_type),
        command=event_types.publish_command(kind),
        receivers=event_types.receivers(actor(), [kind.name])[kind.name],
        rows=schema_tree.rows(bytes(kind.schema)) if kind.schema else (),
        schema=payloads.show(bytes(kind.schema), ContentType.JSON) if kind.schema else None,
        breaches=breaches,
        volume=event_types.volume(actor()),
        judged=judged,
        modes=MODES,
    )


@bp.post("/catalogue/<name>/schema-mode")
@needs(Permission.CATALOGUE)
def enforce(name: str) -> Response:
    """Say what happens to events that break the schema."""
    asked = request.form.get("schema_mode")
    if asked in {mode.value for mode in SchemaMode}:
        event_types.edit(actor(), name, {"schema_mode": SchemaMode(asked)})
        flash("Saved. Applies to the next event.")
    return redirect(url_for("event_types.show", name=name), 303)


@bp.get("/catalogue/new")
@needs(Permission.CATALOGUE)
def new() -> str:
    """The form of an own type."""
    return _form({"example": '{\n  "id": 1\n}', "schema_mode": SchemaMode.WARN.value}, {})


@bp.post("/catalogue/new")
@needs(Permission.CATALOGUE)
def create() -> Response | tuple[str, int]:
    """Add an own type."""
    given = _given()
    try:
        made = event_types.create(actor(), {"name": given["name"], **_values(given)})
    except Invalid as error:
        return _form(given, _by_field(error)), 422
    except Conflict as error:
        return _form(given, {"name": error.message}), 409
    return redirect(url_for("event_types.show", name=made.name), 303)


@bp.get("/catalogue/<name>/edit")
@needs(Permission.CATALOGUE)
def edit(name: str) -> str:
    """The form, filled in."""
    return _form(_shown(event_types.find(actor(), name)), {}, name)


@bp.post("/catalogue/<name>/edit")
@needs(Permission.CATALOGUE)
def save(name: str) -> Response | tuple[str, int]:
    """Change a type."""
    given = _given()
    try:
        event_types.edit(actor(), name, _values(given))
    except Invalid as error:
        return _form(given, _by_field(error), name), 422
    flash(f"{name} was saved.")
    return redirect(url_for("event_types.show", name=name), 303)


@bp.get("/catalogue/packs")
@needs(Permission.WEBHOOKS, Permission.CATALOGUE)
def packs() -> str:
    """The packs there are, and what installing one would do."""
    return render_template("event_types/packs.html", section="catalogue", states=event_types.pack_states(actor()))


@bp.get("/catalogue/packs/<name>/install")
@needs(Permission.CATALOGUE)
def ask_install(name: str) -> str:
    """Show what an install adds and changes."""
    state = event_types.pack_state(actor(), name)
    action, back = url_for("event_types.install", name=name), url_for("event_types.packs")
    return render_template("event_types/install.html", section="catalogue", state=state, action=action, back=back)


@bp.post("/catalogue/packs/<name>/install")
@needs(Permission.CATALOGUE)
def install(name: str) -> Response:
    """Install a pack, or bring it up to date."""
    state = event_types.pack_state(actor(), name)
    added = event_types.install(actor(), name)
    flash(f"{state.pack.title} was installed: {added} added, {len(state.changed)} changed.")
    return redirect(url_for("event_types.index"), 303)


# --- the form


def _given() -> dict[str, str]:
    return {name: request.form.get(name, "").replace("\r\n", "\n") for name in TEXTS}


def _values(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the form's texts as the service takes them."""
    mode = given["schema_mode"]
    return {
        "kind": given["kind"].strip() or event_types.OWN_KIND,
        "title": given["title"].strip() or given["name"].strip(),
        "description": given["description"].strip(),
        "example": given["example"].strip().encode() or b"{}",
        "schema": given["schema"].strip().encode() or None,
        "schema_mode": SchemaMode(mode) if mode in {each.value for each in SchemaMode} else SchemaMode.WARN,
        "public_name": given["public_name"].strip() or None,
        "searchable": [part.strip() for part in given["searchable"].split(",") if part.strip()],
    }


def _shown(kind: EventType) -> dict[str, str]:
    return {
        "name": kind.name,
        "kind": kind.kind,
        "title": kind.title,
        "description": kind.description,
        "example": _indented(bytes(kind.example)),
        "schema": _indented(bytes(kind.schema)) if kind.schema else "",
        "schema_mode": kind.schema_mode.value,
        "public_name": kind.public_name or "",
        "searchable": ", ".join(kind.searchable),
    }


def _indented(text: bytes) -> str:
    """Return JSON with line ends, unless that would write a number otherwise than it was."""
    found = json.loads(text)
    as_stored = text.decode()
    is_faithful = json.dumps(found, separators=(",", ":"), ensure_ascii=False) == as_stored
    return json.dumps(found, indent=2, ensure_ascii=False) if is_faithful else as_stored


def _by_field(error: Invalid) -> dict[str, str]:
    return {problem.field: problem.message for problem in error.problems}


def _form(given: Mapping[str, str], errors: Mapping[str, str], name: str | None = None) -> str:
    kinds = list(dict.fromkeys(each.kind for each in event_types.list_all(actor())))
    return render_template(
        "event_types/form.html", section="catalogue", given=given, errors=errors, name=name, kinds=kinds, modes=MODES
    )
