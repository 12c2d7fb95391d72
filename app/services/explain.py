"""For one event and every webhook of the organization: sent, or why not."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from app.core.access import Permission
from app.core.routing import Routed, obstacles
from app.core.states import DeliveryKind, DeliveryState, Reason
from app.database import read
from app.errors import NotFound
from app.models import Delivery, Event, Membership, Webhook
from app.services.events import may_see
from app.services.routing import target_of
from app.services.scope import Actor, for_org


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of an event at one webhook. `also` are later rules that would have stopped it too."""

    webhook: str
    name: str
    outcome: str  # a delivery's state, or not_matched
    delivery: str | None
    reason: Reason | None
    also: tuple[Reason, ...] = ()


def explain(actor: Actor, public_id: str) -> list[Explanation]:
    """Return one explanation for every webhook, by name."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        event = for_org(session, actor, Event).one(public_id)
        if not may_see(actor, event):
            raise NotFound
        sent = _sent(session, event)
        webhooks = session.scalars(
            for_org(session, actor, Webhook)
            .query()
            .options(
                selectinload(Webhook.patterns),
                selectinload(Webhook.units),
                selectinload(Webhook.owner).selectinload(Membership.units),
            )
            .order_by(Webhook.name, Webhook.id)
        ).all()
        return [_explained(event, webhook, sent.get(webhook.id)) for webhook in webhooks]


def _sent(session: Session, event: Event) -> dict[int, Delivery]:
    query = select(Delivery).where(Delivery.event_id == event.id, Delivery.kind != DeliveryKind.TEST)
    return {delivery.webhook_id: delivery for delivery in session.scalars(query.order_by(Delivery.id))}


def _explained(event: Event, webhook: Webhook, delivery: Delivery | None) -> Explanation:
    routed = Routed(
        type=event.type,
        unit=event.business_unit_id,
        visible_to=frozenset(event.visible_to) if event.visible_to is not None else None,
        data=bytes(event.data),
        created_at=event.created_at,
    )
    if delivery is not None and delivery.state is not DeliveryState.SKIPPED:
        held = webhook.paused and delivery.state is DeliveryState.PENDING
        reason = Reason.WEBHOOK_PAUSED if held else delivery.reason
        return Explanation(webhook.public_id, webhook.name, delivery.state.value, delivery.public_id, reason)
    found = list(obstacles(routed, target_of(webhook)))
    if delivery is not None:
        also = tuple(reason for reason in found if reason is not delivery.reason)
        return Explanation(
            webhook.public_id, webhook.name, delivery.state.value, delivery.public_id, delivery.reason, also
        )
    if webhook.created_at > event.created_at:
        found.insert(0, Reason.CREATED_LATER)
    reason = found[0] if found else Reason.EVENT_TYPE_NOT_SELECTED
    return Explanation(webhook.public_id, webhook.name, "not_matched", None, reason, tuple(found[1:]))
