"""Test payloads: a real request through the ordinary renderer and sender, one try, no part in health."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from app import clock, ids
from app.core import raw
from app.core.access import Permission
from app.core.raw import RawError
from app.core.states import DeliveryKind
from app.database import write
from app.delivery import bell, queue
from app.delivery.installed import installed
from app.errors import Conflict, Invalid, NotFound, Problem, Throttled
from app.models import Delivery, Event, Webhook
from app.services import audit, event_types
from app.services.events import may_see
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_IN_A_MINUTE = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """What a test sends."""

    type: str
    data: bytes
    context: bytes | None = None
    status: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    business_unit_id: int | None = None


def preset_test(webhook: Webhook) -> Sample:
    """The test event of the webhook's preset."""
    preset = installed().presets.get(webhook.preset) or installed().presets["standard"]
    return Sample(preset.test_type, preset.test_data)


def send(
    actor: Actor,
    public_id: str,
    *,
    event_type: str | None = None,
    event: str | None = None,
    data: bytes | None = None,
) -> str:
    """Send a test payload and return the delivery's id.

    The preset's test event, unless an `event_type` (its example) or a past `event` is named; `data`, a JSON object,
    stands in for the data of either. Raises `Invalid` when that can't be read, naming `data`.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        _throttle(session, webhook, now)
        sample = _chosen(session, actor, webhook, event_type, event)
        if data is not None:
            sample = replace(sample, data=_readable(data))
        delivery = make(session, webhook, sample, now)
        audit.record(session, actor, "webhook.tested", webhook)
    bell.ring()
    return delivery


def _readable(data: bytes) -> bytes:
    try:
        raw.cut(data)
        return raw.compact(data)
    except RawError as error:
        raise Invalid([Problem("data", error.message)]) from None


def _throttle(session: Session, webhook: Webhook, now: int) -> None:
    query = select(func.count()).where(
        Delivery.webhook_id == webhook.id, Delivery.kind == DeliveryKind.TEST, Delivery.created_at > now - 60_000
    )
    if (session.scalar(query) or 0) >= MOST_IN_A_MINUTE:
        raise Throttled("10 test payloads a minute are the limit. Wait a moment.", retry_after=60)


def _chosen(session: Session, actor: Actor, webhook: Webhook, event_type: str | None, event: str | None) -> Sample:
    if event is not None:
        past = for_org(session, actor, Event).one(event)
        if not may_see(actor, past):
            raise NotFound
        return sample_of(past)
    if event_type is None:
        return preset_test(webhook)
    return Sample(event_type, bytes(event_types.carried_by(session, actor, event_type).example))


def sample_of(event: Event) -> Sample:
    """A past event as a sample."""
    return Sample(
        type=event.type,
        data=bytes(event.data),
        context=bytes(event.context) if event.context is not None else None,
        status=event.status,
        resource_type=event.resource_type,
        resource_id=event.resource_id,
        business_unit_id=event.business_unit_id,
    )


def make(session: Session, webhook: Webhook, sample: Sample, now: int, *, detail: str | None = None) -> str:
    """Store a test event and its delivery in the caller's transaction; return the delivery's id."""
    if webhook.deleted_at is not None:
        raise Conflict("The webhook was deleted.")
    event = Event(
        public_id=ids.new_id("evt"),
        organization_id=webhook.organization_id,
        type=sample.type,
        digest=b"",
        data=sample.data,
        context=sample.context,
        status=sample.status,
        resource_type=sample.resource_type,
        resource_id=sample.resource_id,
        business_unit_id=sample.business_unit_id,
        is_test=True,
        occurred_at=now,
        created_at=now,
    )
    session.add(event)
    session.flush()
    public_id = ids.new_id("dlv")
    row = queue.new_row(
        public_id=public_id,
        organization_id=webhook.organization_id,
        event_id=event.id,
        webhook_id=webhook.id,
        event_type=sample.type,
        url=webhook.url,
        attempts_allowed=1,
        now=now,
        kind=DeliveryKind.TEST,
        by_hand=True,
    )
    queue.enqueue(session, [row | {"detail": detail}])
    return public_id
