"""Roles: what members may do."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import people as schemas
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import roles

calls = Calls("roles", "Roles")
ADMIN = Scope.ADMIN


@calls.call("GET", "/roles", ADMIN, name="listRoles", answers={200: schemas.Roles})
def index(query: Listed) -> Response:
    """List roles in the order they were made."""
    return bodies.answer(page_of_all(roles.list_all(actor()), query, serialize.role, lambda role: role.row_id))


@calls.call("POST", "/roles", ADMIN, name="addRole", answers={201: schemas.Role}, clashes=True)
def create(body: schemas.RoleNew) -> Response:
    """Add a role."""
    made = roles.create(actor(), body.name, body.permissions, sees_everything=body.sees_everything)
    return bodies.answer(serialize.role(made), 201)


@calls.call("GET", "/roles/<role>", ADMIN, name="getRole", answers={200: schemas.Role})
def show(path: schemas.ByRole) -> Response:
    """Return one role."""
    return bodies.answer(serialize.role(roles.find(actor(), path.role)))


@calls.call("PATCH", "/roles/<role>", ADMIN, name="editRole", answers={200: schemas.Role}, clashes=True)
def edit(path: schemas.ByRole, body: schemas.RoleChange) -> Response:
    """Change a role, at once for everybody who has it."""
    changed = roles.edit(
        actor(),
        path.role,
        new_name=body.name,
        permissions=body.permissions,
        sees_everything=body.sees_everything,
    )
    return bodies.answer(serialize.role(changed))


@calls.call("DELETE", "/roles/<role>", ADMIN, name="deleteRole", answers={204: None}, clashes=True)
def delete(path: schemas.ByRole, query: schemas.MoveQuery) -> tuple[str, int]:
    """Delete a role; its members get another one."""
    roles.delete(actor(), path.role, move_to=query.move_to)
    return "", 204
