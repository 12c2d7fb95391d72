"""Who asks, and the only way to a row: through their organization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import Select, select

from app.core.access import EVERYTHING, Permission, Scope, View
from app.errors import NotFound, Refused
from app.extensions import Model

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.base import ExecutableOption

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Actor:
    """A member, an API key or the system, acting in one organization."""

    organization_id: int
    name: str
    permissions: frozenset[Permission]
    view: View = EVERYTHING
    public_id: str | None = None  # of the user or key; None: the system
    membership_id: int | None = None
    api_key_id: int | None = None
    address: str | None = None
    is_operator: bool = False  # of the whole installation: it looks beyond the organization

    def may(self, permission: Permission) -> bool:
        """Whether the permission is held."""
        return permission in self.permissions

    def require(self, *any_of: Permission) -> None:
        """Raise `Refused` unless at least one of the permissions is held."""
        if not self.permissions.intersection(any_of):
            raise Refused("You may not do this here. Ask an admin of your organization for access.")

    def require_operator(self) -> None:
        """Raise `Refused` for everybody but the installation's operators."""
        if not self.is_operator:
            raise Refused("Only operators of this server may do this.")


def system_actor(organization_id: int) -> Actor:
    """The server itself, on the command line or while setting up."""
    return Actor(organization_id, "Postroom", frozenset(Permission), is_operator=True)


_GRANTS: dict[Scope, frozenset[Permission]] = {
    Scope.EVENTS_WRITE: frozenset({Permission.CATALOGUE}),
    Scope.EVENTS_READ: frozenset({Permission.LOG, Permission.PAYLOADS}),
    Scope.WEBHOOKS_READ: frozenset({Permission.WEBHOOKS}),
    Scope.WEBHOOKS_WRITE: frozenset(
        {Permission.WEBHOOKS, Permission.SECRETS, Permission.MEMBERS, Permission.DIRECTORY}
    ),
    Scope.DELIVERIES_READ: frozenset({Permission.LOG, Permission.PAYLOADS}),
    Scope.DELIVERIES_WRITE: frozenset({Permission.LOG, Permission.WEBHOOKS, Permission.REPLAY, Permission.PAYLOADS}),
    Scope.ADMIN: frozenset(Permission),
    Scope.OPERATOR: frozenset(),  # nothing in the organization
}


def permissions_of(scopes: list[str]) -> frozenset[Permission]:
    """Return what the scopes of an API key let it do."""
    return frozenset().union(*(_GRANTS[Scope(scope)] for scope in scopes))


class OrganizationRows(Generic[Row]):
    """The rows of one table that belong to one organization."""

    def __init__(self, session: Session, actor: Actor, table: type[Row]) -> None:
        self._session = session
        self._actor = actor
        self._table: Any = table

    def query(self) -> Select[Row]:
        """Select them; narrow further as needed."""
        query = select(self._table).where(self._table.organization_id == self._actor.organization_id)
        if hasattr(self._table, "deleted_at"):
            query = query.where(self._table.deleted_at.is_(None))
        return query

    def one(self, public_id: str, *loaded_with: ExecutableOption) -> Row:
        """Return the row with this id. Raises `NotFound`, also for one of another organization.

        `loaded_with` says which rows beside it are loaded at once.
        """
        query = self.query().where(self._table.public_id == public_id).options(*loaded_with)
        row: Row | None = self._session.scalars(query).unique().first()
        if row is None:
            raise NotFound
        return row


def for_org(session: Session, actor: Actor, table: type[Row]) -> OrganizationRows[Row]:
    """Return the door to a table's rows of the actor's organization."""
    return OrganizationRows(session, actor, table)
