"""Notices: what the people behind a webhook should know. Open until somebody has read it, or until it is over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import joinedload

from app import clock
from app.core.access import Permission
from app.database import read, write
from app.models import Notification
from app.services.scope import Actor, for_org


@dataclass(frozen=True, slots=True)
class Notice:
    """An open notice, with the public id of the webhook it is about."""

    id: str
    webhook: str
    subject: str
    body: str
    created_at: int


def newest(actor: Actor) -> Notice | None:
    """Return the newest open notice: everybody who may do something about it is told, the owner among them."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        query = for_org(session, actor, Notification).query().where(Notification.closed_at.is_(None))
        query = query.options(joinedload(Notification.webhook)).order_by(Notification.id.desc())
        row = session.scalar(query.limit(1))
        if row is None:
            return None
        return Notice(row.public_id, row.webhook.public_id, row.subject, row.body, row.created_at)


def close(actor: Actor, public_id: str) -> None:
    """Close a notice that was read. Closing it again changes nothing."""
    actor.require(Permission.WEBHOOKS)
    with write() as session:
        notice = for_org(session, actor, Notification).one(public_id)
        if notice.closed_at is None:
            notice.closed_at = clock.now()
