"""Notices: what the people behind a webhook should know. Open until somebody has read it, or until it is over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import joinedload

from app import clock
from app.core.access import Permission
from app.database import read, write
from app.models import Cause, Notification, Organization, Webhook
from app.services.scope import Actor, for_org
from app.services.webhooks import needing_attention

NEWS_MS = 86_400_000
MOST_OPEN = 100
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
    row_id: int
    others: int = 0  # open notices of other webhooks; only where it was asked for the gravest

    @property
    def gist(self) -> str:
        """Its subject and what the first sentence of its body adds to that: `Warehouse was turned off on 17 Nov …`."""
        first = f"{self.body.partition('. ')[0].rstrip('.')}."
        _, was_off, rest = first.partition("It was turned off")
        if was_off:
            return f"{self.subject}{rest}"
        _, colon, rest = first.partition(": ")
        return f"{self.subject}{colon or '. '}{rest or first}"

    @property
    def level(self) -> str:
        """How much it matters: danger, warning or note."""
        return LEVELS[self.cause]


def list_open(actor: Actor) -> list[Notice]:
    """Return the open notices, newest first: all who may do something are told, the owner among them."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        query = for_org(session, actor, Notification).query().where(Notification.closed_at.is_(None), _is_news())
        query = query.options(joinedload(Notification.webhook)).order_by(Notification.id.desc())
        return [
            Notice(row.public_id, row.webhook.public_id, row.cause, row.subject, row.body, row.created_at, row.id)
            for row in session.scalars(query.limit(MOST_OPEN))
        ]


def _is_news() -> ColumnElement[bool]:
    """That a webhook delivers again is news for a day."""
    return or_(Notification.cause != Cause.RECOVERED, Notification.created_at > clock.now() - NEWS_MS)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the frame of every page shows of trouble."""

    attention: int
    """How many webhooks somebody should look at."""
    notice: Notice | None
    """The gravest open one."""


def outlook(actor: Actor) -> Outlook:
    """Return what is to be said above every page, in one query.

    The notice is the gravest open one, of those the newest: all who may do something are told, the owner among them.
    """
    actor.require(Permission.WEBHOOKS)
    mine = (Notification.organization_id == Organization.id) & Notification.closed_at.is_(None) & _is_news()
    query = (
        select(needing_attention(actor).scalar_subquery(), Notification, Webhook.public_id)
        .select_from(Organization)
        .outerjoin(Notification, mine)
        .outerjoin(Webhook, Webhook.id == Notification.webhook_id)
        .where(Organization.id == actor.organization_id)
        .order_by(Notification.id.desc())
        .limit(MOST_OPEN)
    )
    with read() as session:
        found = session.execute(query).all()
        rows = [(row, webhook) for _, row, webhook in found if row is not None]
        attention = found[0][0] if found else 0
        if not rows:
            return Outlook(attention, None)
        row, webhook = min(rows, key=lambda each: LEVELS[each[0].cause])  # "danger" before "note"
        others = len({each.webhook_id for each, _ in rows} - {row.webhook_id})
        notice = Notice(row.public_id, webhook, row.cause, row.subject, row.body, row.created_at, row.id, others)
    return Outlook(attention, notice)


def close(actor: Actor, public_id: str) -> None:
    """Close a notice that was read. Closing it again changes nothing."""
    actor.require(Permission.WEBHOOKS)
    with write() as session:
        notice = for_org(session, actor, Notification).one(public_id)
        if notice.closed_at is None:
            notice.closed_at = clock.now()
