"""Probes: webhooks that turned themselves off for failing get a test payload now and then; success turns them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from app import logs
from app.core import health as rules
from app.core.states import PROBE
from app.database import read, write
from app.delivery import bell
from app.delivery.health import PROBED
from app.models import Lane, Webhook
from app.services import tests

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_AT_ONCE = 50


def send_due(now: int) -> int:
    """Send the probes that are due, each by one process only; return how many. What comes of them is recorded later."""
    with read() as session:
        query = select(Lane.webhook_id, Lane.probe_at).where(Lane.probe_at <= now).order_by(Lane.probe_at)
        due = [(webhook_id, at) for webhook_id, at in session.execute(query.limit(MOST_AT_ONCE)) if at is not None]
    sent = 0
    for webhook_id, probe_at in due:
        with write() as session:
            sent += _send(session, webhook_id, probe_at, now)
    if sent:
        bell.ring()
    return sent


def _send(session: Session, webhook_id: int, probe_at: int, now: int) -> bool:
    """Take one probe, unless another process has; plan the next as if this one failed."""
    mine = update(Lane).where(Lane.webhook_id == webhook_id, Lane.probe_at == probe_at)
    probes = session.scalar(mine.values(probe_at=None, probes=Lane.probes + 1).returning(Lane.probes))
    webhook = session.get(Webhook, webhook_id)
    if probes is None or webhook is None or webhook.enabled or webhook.off_reason not in PROBED:
        return False
    if webhook.deleted_at is not None or webhook.owner is None:
        return False  # nobody's webhook hears of nothing, so there is nothing to turn on
    wait_ms = rules.probe_after(probes)
    webhook.lane.probe_at = None if wait_ms is None else now + wait_ms
    tests.make(session, webhook, tests.preset_test(webhook), now, detail=PROBE)
    logs.log("a webhook that is off was sent a probe", webhook=webhook.public_id, probe=probes)
    return True
