"""What Log History can be filtered by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, literal, select, union_all

from app.core.access import Permission
from app.database import read
from app.models import BusinessUnit, EventType, Webhook

if TYPE_CHECKING:
    from app.services.scope import Actor


@dataclass(frozen=True, slots=True)
class Menus:
    """What the log can be filtered by: (id or name, words) each, by name."""

    webhooks: tuple[tuple[str, str], ...]
    types: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, str], ...]


def menus(actor: Actor) -> Menus:
    """Return what there is to choose from, in one query; of business units, the actor's own."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    hooks = select(literal("webhook"), Webhook.public_id, Webhook.name, Webhook.id).where(
        Webhook.organization_id == actor.organization_id, Webhook.deleted_at.is_(None)
    )
    types = select(literal("type"), EventType.name, EventType.kind, EventType.id)
    variants = select(literal("type"), EventType.public_name, EventType.kind, EventType.id)
    variants = variants.where(EventType.public_name.is_not(None))
    mine = EventType.organization_id == actor.organization_id
    units = _units(actor).add_columns(BusinessUnit.id)
    parts = (hooks, types.where(mine), variants.where(mine), units)
    with read() as session:
        rows = session.execute(union_all(*parts)).all()
    found: dict[str, list[tuple[str, str, int]]] = {"webhook": [], "type": [], "unit": []}
    for which, value, text, row_id in rows:
        found[which].append((value, text, row_id))
    kinds = sorted(found["type"], key=lambda each: each[2])
    return Menus(
        webhooks=_by_name(found["webhook"]),
        types=tuple((name, name) for name, _, _ in kinds),
        kinds=tuple((kind, kind) for kind in dict.fromkeys(kind for _, kind, _ in kinds)),
        units=_by_name(found["unit"]),
    )


def _by_name(found: list[tuple[str, str, int]]) -> tuple[tuple[str, str], ...]:
    return tuple((value, text) for value, text, _ in sorted(found, key=lambda each: (each[1], each[2])))


def unit_names(actor: Actor) -> tuple[tuple[str, str], ...]:
    """Return external id and name of the business units that the actor sees events of."""
    with read() as session:
        return tuple((row[1], row[2]) for row in session.execute(_units(actor).order_by(BusinessUnit.name)))


def _units(actor: Actor) -> Select[*tuple[Any, ...]]:
    query = select(literal("unit"), BusinessUnit.external_id, BusinessUnit.name)
    query = query.where(BusinessUnit.organization_id == actor.organization_id)
    return query if actor.view.sees_everything else query.where(BusinessUnit.id.in_(actor.view.units))
