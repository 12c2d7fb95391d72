"""Notices: what the people behind a webhook should know. Open until somebody has read it, or until it is over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_
from sqlalchemy.orm import joinedload

from app import clock
from app.core.access import Permission
from app.database import read, write
from app.models import Cause, Notification
from app.services.scope import Actor, for_org

NEWS_MS = 86_400_000
MOST_OPEN = 100
_TURNED_OFF = "It was turned off "
LEVELS = {Cause.TURNED_OFF: "danger", Cause.WARNING: "danger", Cause.FAILING: "danger", Cause.RECOVERED: "note"}


@dataclass(frozen=True, slots=True)
class Notice:
    """An open notice, with the public id of the webhook it is about."""

    id: str
    webhook: str
    cause: Cause
    subject: str
    body: str
    created_at: int
    others: int = 0  # open notices of other webhooks

    @property
    def gist(self) -> str:
        """The first sentence of its body."""
        return f"{self.body.partition('. ')[0].rstrip('.')}."

    @property
    def said(self) -> str:
        """Its subject and first sentence as one, so that nothing is said twice."""
        if self.cause is Cause.TURNED_OFF and self.gist.startswith(_TURNED_OFF):
            return f"{self.subject} {self.gist.removeprefix(_TURNED_OFF)}"
        if self.cause is Cause.FAILING and ": " in self.gist:
            return f"{self.subject}: {self.gist.partition(': ')[2]}"
        return f"{self.subject}. {self.gist}"

    @property
    def level(self) -> str:
        """How much it matters: danger, warning or note."""
        return LEVELS[self.cause]


def gravest(actor: Actor) -> Notice | None:
    """Return the gravest open notice, of those the newest: all who may do something are told, the owner among them.

    That a webhook delivers again is news for a day.
    """
    actor.require(Permission.WEBHOOKS)
    is_news = or_(Notification.cause != Cause.RECOVERED, Notification.created_at > clock.now() - NEWS_MS)
    with read() as session:
        query = for_org(session, actor, Notification).query().where(Notification.closed_at.is_(None), is_news)
        query = query.options(joinedload(Notification.webhook)).order_by(Notification.id.desc())
        rows = session.scalars(query.limit(MOST_OPEN)).all()
        if not rows:
            return None
        row = min(rows, key=lambda each: LEVELS[each.cause])  # "danger" before "note"
        others = len({each.webhook_id for each in rows} - {row.webhook_id})
        return Notice(row.public_id, row.webhook.public_id, row.cause, row.subject, row.body, row.created_at, others)


def close(actor: Actor, public_id: str) -> None:
    """Close a notice that was read. Closing it again changes nothing."""
    actor.require(Permission.WEBHOOKS)
    with write() as session:
        notice = for_org(session, actor, Notification).one(public_id)
        if notice.closed_at is None:
            notice.closed_at = clock.now()
