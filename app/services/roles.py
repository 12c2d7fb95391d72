"""Roles: named sets of permissions. Nobody gives what they don't hold; somebody always manages members."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from app.core.access import ADMIN, Permission
from app.core.texts import is_name
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Problem, Refused
from app.models import Membership, Organization, Role
from app.services import audit
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.orm import Session

LONGEST_NAME = 40
MOST_ROLES = 50
_NAME = re.compile(r"[^\W_][^/\\?#%]*")


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role that members can have. The fixed one can't be changed."""

    row_id: int
    name: str
    permissions: frozenset[Permission]
    sees_everything: bool
    members: int

    @property
    def is_fixed(self) -> bool:
        """Whether it stays as it is: what may all is there for when everything else was given away."""
        return self.name == ADMIN


class _OnRecord(NamedTuple):
    """A role or a member, as the audit log names it."""

    public_id: str
    name: str


def list_all(actor: Actor) -> list[RoleView]:
    """Return the organization's roles, in the order they were made."""
    actor.require(Permission.MEMBERS)
    with read() as session:
        return _views(session, actor)


def find(actor: Actor, name: str) -> RoleView:
    """Return one role. Raises `NotFound`."""
    return next((role for role in list_all(actor) if role.name == name), None) or _missing()


def create(actor: Actor, name: str, permissions: Iterable[str], *, sees_everything: bool = False) -> RoleView:
    """Add a role. Raises `Invalid`, and `Refused` for more than the actor may."""
    actor.require(Permission.MEMBERS)
    wanted = _known(permissions)
    with write() as session:
        begin_change(session, actor)
        roles = _rows(session, actor)
        if len(roles) >= MOST_ROLES:
            raise Conflict(f"An organization has at most {MOST_ROLES} roles. Delete one that nobody needs.")
        role = Role(
            organization_id=actor.organization_id,
            name=_free_name(name, roles),
            permissions=sorted(wanted),
            sees_everything=sees_everything,
        )
        require_may_give(actor, role)
        session.add(role)
        session.flush()
        changes = {"permissions": (None, role.permissions), "sees_everything": (None, sees_everything)}
        audit.record(session, actor, "role.created", _on_record(role), changes)
        return _view(role, 0)


def edit(
    actor: Actor,
    name: str,
    *,
    new_name: str | None = None,
    permissions: Iterable[str] | None = None,
    sees_everything: bool | None = None,
) -> RoleView:
    """Change a role, at once for everybody who has it; what is None stays.

    Raises `Invalid`; `Refused` for one that may more than the actor, before or after; `Conflict` for Admin, and when
    nobody would be left who manages members.
    """
    actor.require(Permission.MEMBERS)
    with write() as session:
        begin_change(session, actor)
        roles = _rows(session, actor)
        role = _changeable(actor, roles, name)
        before = _facts(role)
        if new_name is not None:
            role.name = _free_name(new_name, [each for each in roles if each is not role])
        if permissions is not None:
            role.permissions = sorted(_known(permissions))
        if sees_everything is not None:
            role.sees_everything = sees_everything
        require_may_give(actor, role)
        after = _facts(role)
        session.flush()
        _keep_an_admin(session, actor, before["permissions"])
        changes = {field: (before[field], after[field]) for field in before if before[field] != after[field]}
        if changes:
            audit.record(session, actor, "role.edited", _on_record(role), changes)
        return _view(role, _count(session, role))


def delete(actor: Actor, name: str, *, move_to: str | None = None) -> None:
    """Delete a role; its members get the role `move_to`, which must be named when there are any.

    Raises as `edit` does.
    """
    actor.require(Permission.MEMBERS)
    with write() as session:
        begin_change(session, actor)
        roles = _rows(session, actor)
        role = _changeable(actor, roles, name)
        members = session.scalars(
            select(Membership).where(Membership.role_id == role.id).options(joinedload(Membership.user))
        ).all()
        heir = next((each for each in roles if each.name == move_to and each is not role), None)
        if members and heir is None:
            raise Invalid([Problem("move_to", "Choose the role that its members get.")])
        for member in members:
            assert heir is not None
            require_may_give(actor, heir)
            member.role = heir
            named = _OnRecord(member.public_id, member.user.name)
            audit.record(session, actor, "member.changed", named, {"role": (role.name, heir.name)})
        session.flush()
        _keep_an_admin(session, actor, role.permissions)
        audit.record(session, actor, "role.deleted", _on_record(role))
        session.delete(role)


# --- what members are changed by, too


def begin_change(session: Session, actor: Actor) -> None:
    """Let routing notice; and hold the organization's row, so that two admins can't demote each other at once."""
    organization = session.get_one(Organization, actor.organization_id, with_for_update=True, populate_existing=True)
    organization.routing_version += 1


def require_may_give(actor: Actor, role: Role) -> None:
    """Raise `Refused` for a role that may more than the actor."""
    if not permissions_of(role) <= actor.permissions or (role.sees_everything and not actor.view.sees_everything):
        raise Refused(f"The role {role.name} may do more than you. Ask an admin of your organization.")


def permissions_of(role: Role) -> frozenset[Permission]:
    """Return what a role may."""
    return frozenset(Permission(name) for name in role.permissions)


# --- details


def _missing() -> RoleView:
    raise NotFound


def _keep_an_admin(session: Session, actor: Actor, lost: Collection[str]) -> None:
    """Refuse to lose the last one who manages members: nobody could let another one in."""
    if Permission.MEMBERS not in lost:
        return
    query = for_org(session, actor, Membership).query()
    members = session.scalars(query.options(joinedload(Membership.user), joinedload(Membership.role)))
    if not any(Permission.MEMBERS in member.permissions for member in members):
        raise Conflict(f"Nobody would be left who manages members. Give somebody the role {ADMIN} first.")


def _rows(session: Session, actor: Actor) -> list[Role]:
    return list(session.scalars(for_org(session, actor, Role).query().order_by(Role.id)))


def _views(session: Session, actor: Actor) -> list[RoleView]:
    counted = select(Membership.role_id, func.count()).where(Membership.organization_id == actor.organization_id)
    members: dict[int, int] = dict(session.execute(counted.group_by(Membership.role_id)).all())
    return [_view(role, members.get(role.id, 0)) for role in _rows(session, actor)]


def _view(role: Role, members: int) -> RoleView:
    return RoleView(role.id, role.name, permissions_of(role), role.sees_everything, members)


def _count(session: Session, role: Role) -> int:
    return session.scalar(select(func.count(Membership.id)).where(Membership.role_id == role.id)) or 0


def _changeable(actor: Actor, roles: Collection[Role], name: str) -> Role:
    role = next((each for each in roles if each.name == name), None)
    if role is None:
        raise NotFound
    if role.name == ADMIN:
        raise Conflict(f"The role {ADMIN} may do everything, and stays so. Make a role of your own instead.")
    require_may_give(actor, role)
    return role


def _known(permissions: Iterable[str]) -> frozenset[Permission]:
    try:
        return frozenset(Permission(name) for name in permissions)
    except ValueError:
        known = ", ".join(Permission)
        raise Invalid([Problem("permissions", f"Permissions are {known}.")]) from None


def _free_name(name: str, others: Iterable[Role]) -> str:
    name = name.strip()
    if not _NAME.fullmatch(name) or not is_name(name, LONGEST_NAME):
        words = (
            f"Give the role a name of 1 to {LONGEST_NAME} characters that begins with a letter or digit; not / ? # %."
        )
        raise Invalid([Problem("name", words)])
    if name.casefold() in {"new", *(each.name.casefold() for each in others)}:
        raise Invalid([Problem("name", f"The name {name} is taken. Choose another one.")])
    return name


def _facts(role: Role) -> dict[str, Any]:
    return {"name": role.name, "permissions": list(role.permissions), "sees_everything": role.sees_everything}


def _on_record(role: Role) -> _OnRecord:
    """By a number that stays when it is renamed."""
    return _OnRecord(f"role_{role.id}", role.name)
