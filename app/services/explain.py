"""For one event and every webhook of the organization: sent, or why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from app import clock
from app.core import filters
from app.core.access import Permission
from app.core.routing import Routed, obstacles
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Reason
from app.database import read
from app.errors import NotFound
from app.models import BusinessUnit, Delivery, Event, Membership, Webhook
from app.services import event_types
from app.services.events import may_see
from app.services.routing import target_of
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_MATCHED = "not_matched"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of an event at one webhook. `also` are later rules that would have stopped it too."""

    webhook: str
    name: str
    outcome: str  # a delivery's state, or not_matched
    delivery: str | None
    reason: Reason | None
    also: tuple[Reason, ...] = ()
    owner: str | None = None
    filter: str | None = None
    found: str | None = None  # what the filter found instead, "total was 40", for those who see payloads
    off_since: int | None = None
    paused_since: int | None = None
    created_at: int = 0  # of the webhook
    attempts: int = 0
    status: int | None = None
    error: ErrorClass | None = None
    next_attempt_at: int | None = None
    detail: str | None = None
    copies: int = 0  # how many times it was sent there, replays included

    @property
    def display(self) -> str:
        """The state as people read it: a badge's."""
        if self.outcome != DeliveryState.PENDING:
            return DeliveryState.SKIPPED.value if self.outcome == NOT_MATCHED else self.outcome
        if self.paused_since is not None:
            return "paused"
        return "retrying" if self.attempts else "queued"


_ROUTED = (
    selectinload(Webhook.patterns),
    selectinload(Webhook.units),
    joinedload(Webhook.owner).options(
        selectinload(Membership.units), joinedload(Membership.role), joinedload(Membership.user)
    ),
)


def explain(actor: Actor, public_id: str) -> list[Explanation]:
    """Return one explanation for every webhook, by name."""
    actor.require(Permission.LOG, Permission.WEBHOOKS)
    with read() as session:
        event = for_org(session, actor, Event).one(public_id)
        if not may_see(actor, event):
            raise NotFound
        sent = _sent(session, event)
        webhooks = session.scalars(
            for_org(session, actor, Webhook).query().options(*_ROUTED).order_by(Webhook.name, Webhook.id)
        ).all()
        return [_told(actor, event, webhook, sent.get(webhook.id, ())) for webhook in webhooks]


@dataclass(frozen=True, slots=True)
class Why:
    """What was asked about at one webhook: an event, or a type as an event of today with the catalogue's example."""

    told: Explanation
    event_type: str
    event: str | None  # its id; None: a type was asked about
    unit: str | None  # of the event, by name


WOULD_BE_SENT = "would_be_sent"
RULES = (
    Reason.EVENT_TYPE_NOT_SELECTED,
    Reason.BUSINESS_UNIT_NOT_SELECTED,
    Reason.OWNER_CANNOT_SEE,
    Reason.FILTERED_OUT,
    Reason.WEBHOOK_OFF,
)  # in the order in which `obstacles` has them


def why(actor: Actor, webhook_id: str, asked: str) -> Why:
    """Explain an event, by its id, or an event type at one webhook; the first rule that stops it, and all later ones.

    A type is asked about as its example would be sent: of a business unit that the webhook hears of, to everyone.
    Raises `NotFound` for a foreign webhook or event, `Invalid` for a type there is not.
    """
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        webhook = for_org(session, actor, Webhook).one(webhook_id, *_ROUTED)
        if not asked.startswith("evt_"):
            kind = event_types.carried_by(session, actor, asked)
            event = Event(type=asked, data=kind.example, created_at=clock.now())
            event.business_unit_id = min((unit.id for unit in webhook.units), default=None)
            told = _told(actor, event, webhook, ())
            rules = list(obstacles(_routed(event), target_of(webhook)))
            outcome = NOT_MATCHED if rules else WOULD_BE_SENT
            told = replace(told, outcome=outcome, reason=rules[0] if rules else None, also=tuple(rules[1:]))
            return Why(replace(told, off_since=None), asked, None, None)
        event = for_org(session, actor, Event).one(asked)
        if not may_see(actor, event):
            raise NotFound
        told = _told(actor, event, webhook, _sent(session, event).get(webhook.id, ()))
        unit = session.get(BusinessUnit, event.business_unit_id) if event.business_unit_id else None
        return Why(told, event.type, event.public_id, unit.name if unit else None)


def _sent(session: Session, event: Event) -> dict[int, list[Delivery]]:
    """The deliveries of the event by webhook, oldest first; a test event's own deliveries are tests."""
    query = select(Delivery).where(Delivery.event_id == event.id)
    if not event.is_test:
        query = query.where(Delivery.kind != DeliveryKind.TEST)
    found: dict[int, list[Delivery]] = {}
    for delivery in session.scalars(query.order_by(Delivery.id)):
        found.setdefault(delivery.webhook_id, []).append(delivery)
    return found


def _told(actor: Actor, event: Event, webhook: Webhook, sent: Sequence[Delivery]) -> Explanation:
    """Explain the latest delivery to a webhook, with the facts that its reason is told with."""
    latest = sent[-1] if sent else None
    explained = _explained(event, webhook, latest)
    is_off = not webhook.enabled and (webhook.switched_at or 0) <= event.created_at
    return replace(
        explained,
        owner=webhook.owner.user.name if webhook.owner else None,
        filter=webhook.filter,
        found=_found(actor, event, webhook, explained),
        off_since=webhook.switched_at if is_off else None,
        paused_since=webhook.paused_at if webhook.paused else None,
        created_at=webhook.created_at,
        attempts=latest.tries if latest else 0,
        status=latest.last_status if latest else None,
        error=latest.last_error if latest else None,
        next_attempt_at=latest.next_attempt_at if latest else None,
        detail=latest.detail if latest else None,
        copies=len(sent),
    )


def _found(actor: Actor, event: Event, webhook: Webhook, explained: Explanation) -> str | None:
    is_asked = Reason.FILTERED_OUT in (explained.reason, *explained.also)
    if webhook.filter is None or not is_asked or not actor.may(Permission.PAYLOADS):
        return None
    return None if filters.passes(webhook.filter, event.data) else filters.explain(webhook.filter, event.data)


def _explained(event: Event, webhook: Webhook, delivery: Delivery | None) -> Explanation:
    if delivery is not None and delivery.state is not DeliveryState.SKIPPED:
        held = webhook.paused and delivery.state is DeliveryState.PENDING
        reason = Reason.WEBHOOK_PAUSED if held else delivery.reason
        return Explanation(webhook.public_id, webhook.name, delivery.state.value, delivery.public_id, reason)
    found = list(obstacles(_routed(event), target_of(webhook)))
    if delivery is not None:
        also = tuple(reason for reason in found if reason is not delivery.reason)
        return Explanation(
            webhook.public_id, webhook.name, delivery.state.value, delivery.public_id, delivery.reason, also
        )
    if webhook.created_at > event.created_at:
        found.insert(0, Reason.CREATED_LATER)
    reason = found[0] if found else Reason.EVENT_TYPE_NOT_SELECTED
    return Explanation(webhook.public_id, webhook.name, NOT_MATCHED, None, reason, tuple(found[1:]))


def _routed(event: Event) -> Routed:
    return Routed(
        type=event.type,
        unit=event.business_unit_id,
        visible_to=frozenset(event.visible_to) if event.visible_to is not None else None,
        data=bytes(event.data),
        created_at=event.created_at,
    )
