"""Tells people what happened to webhooks: each notice once, by mail and, where wished, as an event."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson
from sqlalchemy import or_, select, update
from sqlalchemy.orm import contains_eager, joinedload

from app import clock, logs
from app.core import notices
from app.core.states import DeliveryKind
from app.database import read, write
from app.delivery import queue
from app.delivery.installed import installed
from app.errors import AppError
from app.mail import Mail, MailError
from app.models import Cause, Delivery, Membership, Notification, Webhook
from app.services import events, mails
from app.services.events import Posted
from app.services.scope import system_actor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from app.core.states import ErrorClass

HOLD_MS = 60_000  # so long others may join it, when a host goes down with several webhooks
LEASE_MS = 10 * 60_000
MOST_AT_ONCE = 200
LOOKED_AT = 200  # deliveries, for the most common cause

_TOGETHER = {
    Cause.FAILING: "are failing",
    Cause.WARNING: "will be turned off tomorrow",
    Cause.TURNED_OFF: "were turned off",
    Cause.RECOVERED: "deliver again",
}
EVENT_TYPES = {cause: f"postroom.webhook_{cause.value}" for cause in Cause}


@dataclass(frozen=True, slots=True)
class _Told:
    """A notice with what a mail and an event say of it."""

    id: int
    public_id: str
    organization_id: int
    cause: Cause
    subject: str
    body: str
    created_at: int
    webhook_row: int
    webhook: str
    name: str
    url: str
    organization: str
    as_event: bool
    to: tuple[str, ...]

    @property
    def group(self) -> tuple[Cause, str, tuple[str, ...], int]:
        """Those alike in this go into one mail."""
        return self.cause, urlsplit(self.url).hostname or "", self.to, self.organization_id


def tell(now: int) -> int:
    """Tell what is due; return how many notices were told. What can't be told is tried again, then given up."""
    told = 0
    for group in _ready(now):
        mine = _claim([notice.id for notice in group], now)
        if group := [notice for notice in group if notice.id in mine]:
            try:
                _tell_all(group)
            except (MailError, AppError) as error:
                _put_off(group, clock.now())
                logs.trouble("notices could not be told; they are tried again", why=str(error), notices=len(group))
                break  # what takes no mail now takes no other either
            _settle(group, clock.now())
            told += len(group)
    return told


def _ready(now: int) -> list[list[_Told]]:
    """The notices that are due, in groups of which the oldest has waited long enough."""
    query = (
        select(Notification)
        .join(Notification.webhook)
        .where(
            Notification.told_at.is_(None),
            Notification.mail_tries < mails.MOST_TRIES,
            or_(Notification.mail_due_at.is_(None), Notification.mail_due_at <= now),
        )
        .options(
            contains_eager(Notification.webhook).joinedload(Webhook.owner).joinedload(Membership.user),
            joinedload(Notification.organization),
        )
        .order_by(Notification.id)
        .limit(MOST_AT_ONCE)
    )
    groups: dict[tuple[object, ...], list[_Told]] = {}
    with read() as session:
        for row in session.scalars(query):
            notice = _told(row)
            groups.setdefault(notice.group, []).append(notice)
    return [group for group in groups.values() if group[0].created_at <= now - HOLD_MS]


def _told(row: Notification) -> _Told:
    webhook, organization = row.webhook, row.organization
    return _Told(
        id=row.id,
        public_id=row.public_id,
        organization_id=row.organization_id,
        cause=row.cause,
        subject=row.subject,
        body=row.body,
        created_at=row.created_at,
        webhook_row=webhook.id,
        webhook=webhook.public_id,
        name=webhook.name,
        url=webhook.url,
        organization=organization.name,
        as_event=organization.alert_events,
        to=_recipients(webhook, organization.alert_addresses) if mails.is_set_up() else (),
    )


def _recipients(webhook: Webhook, of_organization: Iterable[str]) -> tuple[str, ...]:
    """The owner, unless they don't want mails, and the alert addresses; each once."""
    owner = webhook.owner.user if webhook.owner is not None else None
    wanted = [owner.email] if owner is not None and owner.is_active and owner.gets_mail else []
    unique = {address.lower(): address for address in [*wanted, *webhook.alert_addresses, *of_organization]}
    return tuple(unique.values())


def _claim(ids: Sequence[int], now: int) -> set[int]:
    """Take notices for ourselves for 10 min; return which nobody else has taken meanwhile."""
    move = (
        update(Notification)
        .where(
            Notification.id.in_(ids),
            Notification.told_at.is_(None),
            or_(Notification.mail_due_at.is_(None), Notification.mail_due_at <= now),
        )
        .values(mail_due_at=now + LEASE_MS, mail_tries=Notification.mail_tries + 1)
        .returning(Notification.id)
    )
    with write() as session:
        return set(session.scalars(move))


def _settle(group: Sequence[_Told], now: int) -> None:
    with write() as session:
        move = update(Notification).where(Notification.id.in_([notice.id for notice in group]))
        session.execute(move.values(told_at=now, mail_due_at=None))


def _put_off(group: Sequence[_Told], now: int) -> None:
    with write() as session:
        for row in session.scalars(select(Notification).where(Notification.id.in_([notice.id for notice in group]))):
            wait = mails.RETRIES_MS[min(row.mail_tries, len(mails.RETRIES_MS)) - 1]
            row.mail_due_at = now + wait


def _tell_all(group: Sequence[_Told]) -> None:
    """Publish each, then send the one mail. Publishing again is harmless: the notice's id is the event's."""
    for notice in group:
        if notice.as_event:
            _publish(notice)
    if group[0].to:
        mails.send(_mail(group))


# --- as an event


def _publish(notice: _Told) -> None:
    data = orjson.dumps(
        {
            "webhook": {"id": notice.webhook, "name": notice.name, "url": notices.shown_url(notice.url)},
            "subject": notice.subject,
            "message": notice.body,
            "at": _iso(notice.created_at),
        }
    )
    posted = Posted(
        type=EVENT_TYPES[notice.cause],
        data=data,
        digest=hashlib.sha256(notice.public_id.encode()).digest(),
        producer_id=notice.public_id,
        resource_type="webhook",
        resource_id=notice.webhook,
        not_to=notice.webhook,
    )
    try:
        events.publish(system_actor(notice.organization_id), posted, clock.now())
    except AppError as error:  # the type was deleted, the disk is full: the mail goes out all the same
        logs.trouble("a notice could not be published as an event", why=str(error), notice=notice.public_id)


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- as a mail


def _mail(group: Sequence[_Told]) -> Mail:
    first = group[0]
    if len(group) == 1:
        subject = first.subject
    else:
        host = urlsplit(first.url).hostname
        subject = notices.subject(f"{len(group)} webhooks at {host} {_TOGETHER[first.cause]}")
    with read() as session:
        parts = [_part(session, notice) for notice in group]
    why = f"You own the webhook, or this is an alert address of it or of {first.organization}."
    address = installed().settings.address
    text = "\n\n".join([*parts, f"-- \n{why}\nOwners choose at {address}/account whether they get mails.\n"])
    return Mail(first.public_id, first.to, subject, text)


def _part(session: Session, notice: _Told) -> str:
    """What one mail says of one webhook."""
    address = installed().settings.address
    lines = [notice.subject, "", notice.body, "", f"URL: {notices.shown_url(notice.url)}"]
    if notice.cause is not Cause.RECOVERED and (cause := notices.cause(_failures(session, notice.webhook_row))):
        lines.append(f"Most common cause: {cause}")
    lines.append(f"Waiting: {queue.count_pending(session, notice.webhook_row):,}")
    lines.append(f"Its page: {address}/webhooks/{notice.webhook}")
    lines.append(f"Its log: {address}/webhooks/{notice.webhook}/log")
    return "\n".join(lines)


def _failures(session: Session, webhook_row: int) -> list[tuple[int | None, ErrorClass | None]]:
    """How its newest deliveries that failed came out last, those that are tried again among them."""
    query = (
        select(Delivery.last_status, Delivery.last_error)
        .where(
            Delivery.webhook_id == webhook_row, Delivery.kind == DeliveryKind.NORMAL, Delivery.last_error.isnot(None)
        )
        .order_by(Delivery.created_at.desc(), Delivery.id.desc())
        .limit(LOOKED_AT)
    )
    return [(status, error) for status, error in session.execute(query)]
