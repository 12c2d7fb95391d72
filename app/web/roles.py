"""Roles: what members may do, role by role; own ones, and where members go when one is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import Conflict, Invalid, Refused
from app.services import roles
from app.web import needs
from app.web.permissions import PERMISSIONS, role_words
from app.web.viewer import actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Response

    from app.services.roles import RoleView

bp = Blueprint("roles", __name__)


@bp.get("/roles")
@needs(Permission.MEMBERS)
def index() -> str:
    """The list."""
    return render_template("roles/index.html", section="members", roles=roles.list_all(actor()), words=role_words)


@bp.get("/roles/new")
@needs(Permission.MEMBERS)
def new() -> str:
    """The form; `like` begins with what another role may."""
    like = request.args.get("like")
    given = _given(roles.find(actor(), like)) | {"name": ""} if like else {"name": "", "permissions": [], "sees": False}
    return _form(given, {}, None)


@bp.post("/roles/new")
@needs(Permission.MEMBERS)
def create() -> Response | tuple[str, int]:
    """Add a role."""
    given = _posted()
    try:
        made = roles.create(actor(), given["name"], given["permissions"], sees_everything=given["sees"])
    except (Conflict, Invalid, Refused) as error:
        return _form(given, _told(error), None), _code(error)
    flash(f"Role {made.name} was added.")
    return redirect(url_for("roles.index"), 303)


@bp.get("/roles/<role>")
@needs(Permission.MEMBERS)
def show(role: str) -> str:
    """What a role may, to be changed."""
    found = roles.find(actor(), role)
    return _form(_given(found), {}, found)


@bp.post("/roles/<role>")
@needs(Permission.MEMBERS)
def save(role: str) -> Response | tuple[str, int]:
    """Change a role, at once for everybody who has it."""
    given, found = _posted(), roles.find(actor(), role)
    try:
        saved = roles.edit(
            actor(), role, new_name=given["name"], permissions=given["permissions"], sees_everything=given["sees"]
        )
    except (Conflict, Invalid, Refused) as error:
        return _form(given, _told(error), found), _code(error)
    flash(f"Role {saved.name} was changed.")
    return redirect(url_for("roles.index"), 303)


@bp.get("/roles/<role>/delete")
@needs(Permission.MEMBERS)
def ask_delete(role: str) -> str:
    """Ask where its members go."""
    return _delete_page(role)


@bp.post("/roles/<role>/delete")
@needs(Permission.MEMBERS)
def delete(role: str) -> Response | tuple[str, int]:
    """Delete a role."""
    try:
        roles.delete(actor(), role, move_to=request.form.get("move_to"))
    except (Conflict, Invalid, Refused) as error:
        return _delete_page(role, next(iter(_told(error).values()))), _code(error)
    flash(f"Role {role} was deleted.")
    return redirect(url_for("roles.index"), 303)


def _posted() -> dict[str, Any]:
    known = set(Permission)
    return {
        "name": request.form.get("name", ""),
        "permissions": [name for name in request.form.getlist("permissions") if name in known],
        "sees": "sees_everything" in request.form,
    }


def _given(role: RoleView) -> dict[str, Any]:
    return {"name": role.name, "permissions": sorted(role.permissions), "sees": role.sees_everything}


def _told(error: Conflict | Invalid | Refused) -> dict[str, str]:
    if isinstance(error, Invalid):
        return {problem.field: problem.message for problem in error.problems}
    return {"permissions": error.message}


def _code(error: Conflict | Invalid | Refused) -> int:
    return 422 if isinstance(error, Invalid) else 409 if isinstance(error, Conflict) else 403


def _form(given: Mapping[str, Any], errors: Mapping[str, str], role: RoleView | None) -> str:
    held = actor().permissions
    return render_template(
        "roles/form.html",
        section="members",
        given=given,
        errors=errors,
        role=role,
        permissions=[(key, *words, key in held) for key, words in PERMISSIONS.items()],
        may_see_all=actor().view.sees_everything,
        action=url_for("roles.save", role=role.name) if role else url_for("roles.create"),
    )


def _delete_page(name: str, error: str = "") -> str:
    role = roles.find(actor(), name)
    return render_template(
        "roles/delete.html",
        section="members",
        role=role,
        others=[(each.name, each.name) for each in roles.list_all(actor()) if each.name != role.name],
        error=error,
        action=url_for("roles.delete", role=role.name),
        back=url_for("roles.show", role=role.name),
    )
