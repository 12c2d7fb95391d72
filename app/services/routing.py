"""The routing table of an organization, kept in memory under its version."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from app.core.routing import Target, patterns_for
from app.delivery.installed import installed
from app.door import Statement
from app.models import BusinessUnit, EventType, Membership, Organization, SchemaMode, Webhook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.core.access import View
    from app.core.packs import Naming
    from app.door import Door


@dataclass(frozen=True, slots=True)
class KnownType:
    """An event type, as far as publishing needs to know it."""

    id: int
    name: str
    public_name: str | None
    schema: bytes | None
    schema_mode: SchemaMode
    diff_model: str | None
    diff_into: str | None
    resource_in: Naming | None


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """What publishing needs to know of an organization at one version."""

    version: int
    types: dict[str, KnownType]
    units: dict[str, int]
    unit_ids: frozenset[int]
    targets: dict[str, list[Target]]

    def targets_for(self, type_name: str) -> Iterable[Target]:
        """The webhooks that select this type, each once."""
        found = {
            target.webhook_id: target for pattern in patterns_for(type_name) for target in self.targets.get(pattern, ())
        }
        return found.values()


_VERSION = Statement("SELECT routing_version FROM organization WHERE id = :organization")
_lock = threading.Lock()
_kept: dict[int, RoutingTable] = {}


def forget_all() -> None:
    """Drop everything: another database is in use."""
    with _lock:
        _kept.clear()


def kept_table(organization_id: int) -> RoutingTable | None:
    """Return the table as last seen: right but for the last moments' changes."""
    return _kept.get(organization_id)


def table_of(door: Door, organization_id: int) -> RoutingTable:
    """Return the table as it is in this transaction; asked for at every commit of the intake."""
    found = door.rows(_VERSION, organization=organization_id)
    version = found[0][0] if found else 0
    kept = _kept.get(organization_id)
    if kept is not None and kept.version == version:
        return kept
    session = door.session
    units = _units(session, organization_id)
    table = RoutingTable(
        version=version,
        types=_types(session, organization_id),
        units=units,
        unit_ids=frozenset(units.values()),
        targets=_targets(session, organization_id),
    )
    with _lock:
        _kept[organization_id] = table
    return table


def _types(session: Session, organization_id: int) -> dict[str, KnownType]:
    rows = session.scalars(select(EventType).where(EventType.organization_id == organization_id))
    return {row.name: _known(row) for row in rows}


def _known(row: EventType) -> KnownType:
    pack = installed().packs.get(row.pack or "")
    named = {each.name: each.resource for each in pack.types} if pack else {}
    return KnownType(
        id=row.id,
        name=row.name,
        public_name=row.public_name,
        schema=row.schema,
        schema_mode=row.schema_mode,
        diff_model=row.diff_model,
        diff_into=row.diff_into,
        resource_in=named.get(row.name),
    )


def _units(session: Session, organization_id: int) -> dict[str, int]:
    query = select(BusinessUnit.external_id, BusinessUnit.id).where(BusinessUnit.organization_id == organization_id)
    return dict(session.execute(query).all())


def _targets(session: Session, organization_id: int) -> dict[str, list[Target]]:
    owner = selectinload(Webhook.owner)
    query = (
        select(Webhook)
        .where(Webhook.organization_id == organization_id, Webhook.deleted_at.is_(None))
        .options(
            selectinload(Webhook.patterns),
            selectinload(Webhook.units),
            owner.selectinload(Membership.units),
            owner.joinedload(Membership.role),
            owner.joinedload(Membership.user),
        )
    )
    targets: defaultdict[str, list[Target]] = defaultdict(list)
    for webhook in session.scalars(query):
        target = target_of(webhook)
        for pattern in target.patterns:
            targets[pattern].append(target)
    return dict(targets)


def target_of(webhook: Webhook) -> Target:
    """Return a webhook as routing sees it."""
    return Target(
        webhook_id=webhook.id,
        public_id=webhook.public_id,
        patterns=frozenset(row.pattern for row in webhook.patterns),
        units=frozenset(unit.id for unit in webhook.units),
        owner=_view(webhook),
        filter=webhook.filter,
        is_on=webhook.enabled,
        url=webhook.url,
        attempts_allowed=webhook.retry.tries,
        created_at=webhook.created_at,
    )


def _view(webhook: Webhook) -> View | None:
    owner = webhook.owner
    return owner.view if owner is not None and owner.user.is_active else None


def bump(session: Session, organization_id: int) -> None:
    """Let every process notice that routing changed, in the caller's transaction."""
    move = update(Organization).where(Organization.id == organization_id)
    session.execute(move.values(routing_version=Organization.routing_version + 1))
