"""Fills an installation: the scene, then its history."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from sqlalchemy import select

from app import clock
from app.cli.demo import cast, scene
from app.cli.demo.answers import Wire
from app.cli.demo.history import DAYS, History, Plan, Written
from app.cli.demo.line import Line
from app.core.states import Reason
from app.database import hot_read, read
from app.delivery import settings
from app.delivery.directory import surroundings_of
from app.delivery.installed import installed
from app.delivery.orders import Loaded
from app.models import EventType, Webhook
from app.services.routing import RoutingTable, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.cli.demo.scene import Scene
    from app.core.routing import Target
    from app.delivery.orders import Surroundings


def fill(
    organization: str, events: int, seed: int, progress: Callable[[int], None], days: int = DAYS
) -> tuple[Scene, Written]:
    """Make the organization and about `events` events of the last `days`; `progress` hears how many more are on disk.

    The same seed makes the same past, but for ids and secrets. Call it in the application's context, with nobody
    else writing. Raises `Conflict` and `Invalid` as the services do.
    """
    made = scene.build(organization)
    chance = random.Random(seed)  # noqa: S311  stories, not secrets
    end_at = clock.now()
    with hot_read() as door:
        table = table_of(door, made.actor.organization_id)
        query = select(EventType.name, EventType.example).where(EventType.organization_id == made.actor.organization_id)
        examples = {name: bytes(example) for name, example in door.session.execute(query)}
    plan = Plan(
        organization_id=made.actor.organization_id,
        api_key_id=made.api_key_id,
        table=table,
        lines=_lines(made, table, chance, end_at),
        kinds=cast.KINDS,
        examples={name: examples[name] for name in cast.KINDS},
        surroundings=_surroundings(table),
        canceled_by="João Reis",
    )
    return made, History(plan, chance, end_at, days).write(events, progress)


def _lines(made: Scene, table: RoutingTable, chance: random.Random, end_at: int) -> list[Line]:
    targets = {target.public_id: target for targets in table.targets.values() for target in targets}
    with read() as session:
        query = select(Webhook).where(Webhook.organization_id == made.actor.organization_id)
        rows = {row.public_id: row for row in session.scalars(query)}
        session.expunge_all()
    lines = []
    for part in cast.PARTS:
        row = rows[made.webhooks[part.settings["name"]]]
        kept = settings.of(row.id)
        assert kept is not None
        wire = Wire(kept, part.receiver(end_at), chance)
        test = installed().presets[row.preset]
        lines.append(
            Line(
                kept,
                targets[row.public_id],
                wire,
                chance,
                off_at=_off_at(row, targets[row.public_id]),
                paused_at=row.paused_at,
                test=(test.test_type, test.test_data),
            )
        )
    return lines


def _off_at(row: Webhook, target: Target) -> int | None:
    if row.enabled:
        return None
    return row.switched_at if row.off_reason is Reason.BY_PERSON else target.created_at


def _surroundings(table: RoutingTable) -> Mapping[int, Surroundings]:
    """What payloads may say about each business unit."""
    events = [Loaded(0, "", "", b"", None, None, None, None, unit, 0, 0) for unit in table.unit_ids]
    ids = {target.webhook_id for targets in table.targets.values() for target in targets}
    return surroundings_of(events, settings.of_many(ids))
