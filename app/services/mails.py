"""Sending mails over the operator's mail server, and what came of it, for System ▸ Mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import certifi
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app import clock, ids, logs, mail
from app.core.notices import Clock
from app.database import read, write
from app.delivery.installed import installed
from app.errors import Conflict, Throttled, Unavailable
from app.mail import Mail, MailError, Server
from app.models import Installation, Notification, Organization

if TYPE_CHECKING:
    from collections.abc import Sequence

_SENT, _FAILED = "mail_sent", "mail_failed"
RETRIES_MS = (60_000, 5 * 60_000, 30 * 60_000, 2 * 3_600_000, 6 * 3_600_000)
MOST_TRIES = len(RETRIES_MS) + 1
BETWEEN_MS = 10_000
MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class Unsent:
    """A notice whose mail wasn't taken yet. `next_at` is None once it was given up."""

    organization: str
    subject: str
    created_at: int
    tries: int
    next_at: int | None


@dataclass(frozen=True, slots=True)
class MailState:
    """What is set up, how it fared last, and what waits."""

    server: Server | None
    sender: str
    sent_at: int | None
    failed_at: int | None
    failure: str
    unsent: tuple[Unsent, ...]


def is_set_up() -> bool:
    """Whether there is a mail server."""
    return installed().settings.smtp_url is not None


def send(message: Mail) -> None:
    """Send a mail now; it takes as long as the mail server does. Raises `MailError`, `Conflict` without a server."""
    settings = installed().settings
    if settings.smtp_url is None:
        raise Conflict("E-mail isn't set up. The operator sets POSTROOM_SMTP_URL.")
    now = clock.now()
    try:
        mail.send(
            mail.parse(settings.smtp_url),
            settings.mail_sender,
            message,
            now,
            ca_file=settings.ca_file or certifi.where(),
            may_be_plain=settings.smtp_plain,
        )
    except MailError as error:
        logs.trouble("a mail was not taken", mail=message.id, why=str(error))
        _note(_FAILED, str(error), now)
        raise
    _note(_SENT, "", now)


def _note(name: str, words: str, now: int) -> None:
    with write() as session:
        session.merge(Installation(name=name, value=words.encode(), changed_at=now))


def state() -> MailState:
    """Return how mails are doing, over all organizations."""
    settings = installed().settings
    query = (
        select(Notification, Organization.name)
        .join(Organization, Organization.id == Notification.organization_id)
        .where(Notification.told_at.is_(None), Notification.mail_tries > 0)
        .options(joinedload(Notification.webhook))
        .order_by(Notification.id.desc())
        .limit(MOST_LISTED)
    )
    with read() as session:
        sent, failed = session.get(Installation, _SENT), session.get(Installation, _FAILED)
        unsent = tuple(
            Unsent(name, row.subject, row.created_at, row.mail_tries, None if is_given_up(row) else row.mail_due_at)
            for row, name in session.execute(query)
        )
        return MailState(
            server=mail.parse(settings.smtp_url) if settings.smtp_url else None,
            sender=settings.mail_sender,
            sent_at=sent.changed_at if sent else None,
            failed_at=failed.changed_at if failed else None,
            failure=bytes(failed.value).decode() if failed else "",
            unsent=unsent,
        )


def is_given_up(row: Notification) -> bool:
    """Whether its mail will not be tried again."""
    return row.mail_tries >= MOST_TRIES and row.told_at is None


_last_at: dict[str, int] = {}


def send_now(message: Mail, about: str) -> None:
    """Send a mail that a person asked for by a button, and waits for; one in 10 s `about` the same thing.

    Raises `Unavailable` in the mail server's words, `Conflict` when mail isn't set up, `Throttled`.
    """
    now = clock.now()
    if 0 <= now - _last_at.get(about, 0) < BETWEEN_MS:
        raise Throttled("A mail was sent a moment ago. Wait 10 s.", retry_after=10)
    _last_at[about] = now
    try:
        send(message)
    except MailError as error:
        raise Unavailable(str(error)) from error


def send_test(to: Sequence[str], asked_by: str) -> None:
    """Send a mail that says only that mails work. Raises as `send_now`."""
    now = clock.now()
    where = installed().settings.address
    text = (
        f"This is a test mail of Postroom at {where}, sent on {Clock(now).day_and_time(now)}.\n\n"
        "Notices about webhooks that fail will come the same way.\n"
    )
    send_now(Mail(ids.new_id("mail"), to, "Test mail of Postroom", text), asked_by)
