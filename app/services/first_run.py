"""The first event: an inbox, a webhook that sends to it and an event, all made by the ordinary services."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from app import clock
from app.core import raw
from app.core.access import Permission
from app.core.states import DeliveryKind, DeliveryState
from app.database import read
from app.delivery.installed import installed
from app.errors import NotFound
from app.models import Delivery
from app.services import deliveries, drafts, event_types, events, inboxes, webhooks
from app.services.organization_settings import DEFAULT_PRESET

if TYPE_CHECKING:
    from app.services.deliveries import DeliveryView
    from app.services.inboxes import InboxView, RequestView
    from app.services.intake import Stored
    from app.services.scope import Actor
    from app.services.webhooks import WebhookView

INBOX_NAME = "Test inbox"
WEBHOOK_NAME = "My first webhook"
FAILS_TWICE = ("500", "500", "200")
# So that one can watch a delivery fail twice and recover; after that it waits as any other webhook does.
FIRST_WAITS_S = (5, 10)
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Exchange:
    """One delivery to a test inbox, seen from both ends. `request` None: it hasn't arrived, or is forgotten."""

    delivery: DeliveryView
    inbox: InboxView
    request: RequestView | None


def is_over(actor: Actor) -> bool:
    """Whether the organization has delivered an event; tests don't count."""
    query = select(Delivery.id).where(
        Delivery.organization_id == actor.organization_id,
        Delivery.state == DeliveryState.DELIVERED,
        Delivery.kind != DeliveryKind.TEST,
    )
    with read() as session:
        return session.scalar(query.limit(1)) is not None


def inbox_webhook(actor: Actor) -> WebhookView | None:
    """Return a webhook that sends to one of the organization's inboxes, the oldest that is on before others."""
    urls = {inbox.url for inbox in inboxes.list_all(actor)}
    found = [view for view in webhooks.list_all(actor) if view.settings["url"] in urls]
    return min(found, key=lambda view: (not view.enabled, view.created_at), default=None)


def begin(actor: Actor, pack: str | None) -> str:
    """Make what is missing, turn the webhook on, and publish the first example of `pack`; return the delivery's id.

    Without a pack nothing is published: the delivery is the test payload that turning on sends.
    """
    actor.require(Permission.WEBHOOKS)
    if pack is not None:
        event_types.install(actor, pack)
    webhook = inbox_webhook(actor) or _make_webhook(actor)
    test = None if webhook.enabled else webhooks.turn_on(actor, webhook.id).test_delivery
    if pack is not None:
        return _publish(actor, installed().packs[pack].types[0].name, webhook.id)
    if test is None:
        from app.services import tests

        test = tests.send(actor, webhook.id)
    return test


def send_again(actor: Actor, *, fails_first: bool) -> str:
    """Publish the first event type's example once more; with `fails_first` the inbox answers 500 twice.

    Raises `NotFound` when there is no webhook to an inbox, or no event type that it would get.
    """
    webhook = inbox_webhook(actor)
    types = event_types.list_all(actor)
    if webhook is None or not types:
        raise NotFound("There is nothing to send yet. Send the first event.")
    inbox = inbox_of(actor, webhook.settings["url"])
    inboxes.set_answers(actor, inbox.id, FAILS_TWICE if fails_first else ("200",))
    return _publish(actor, types[0].name, webhook.id)


def _make_webhook(actor: Actor) -> WebhookView:
    known = inboxes.list_all(actor)
    inbox = known[0] if known else inboxes.create(actor, INBOX_NAME)
    return webhooks.create(actor, {"name": WEBHOOK_NAME, "url": inbox.url, "retry": {"delays": _waits()}}).webhook


def _waits() -> list[float]:
    usual = drafts.defaults_of(drafts.preset_named(DEFAULT_PRESET))["retry"]["delays"]
    return [*FIRST_WAITS_S, *[wait for wait in usual if wait > FIRST_WAITS_S[-1]]]


def _publish(actor: Actor, event_type: str, webhook: str) -> str:
    data = raw.compact(bytes(event_types.find(actor, event_type).example))
    posted = events.Posted(event_type, data, hashlib.sha256(data).digest())
    stored: Stored = events.publish(actor, posted, clock.now())
    sent = next((queued.id for queued in stored.deliveries if queued.webhook == webhook), None)
    if sent is None:
        raise NotFound(f"The webhook doesn't get {event_type}. Choose all events in its settings.")
    return sent


def inbox_of(actor: Actor, url: str) -> InboxView:
    """Return the inbox with this address."""
    found = next((inbox for inbox in inboxes.list_all(actor) if inbox.url == url), None)
    if found is None:
        raise NotFound
    return found


def exchange(actor: Actor, delivery: str) -> Exchange:
    """Return one delivery to an inbox and what of it arrived there last."""
    found = deliveries.find(actor, delivery)
    inbox = inbox_of(actor, found.row.url)
    received = inboxes.requests(actor, inbox.id, limit=_LOOKED_AT).items
    return Exchange(found, inbox, next((request for request in received if request.delivery == delivery), None))
