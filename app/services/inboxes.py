"""Test inboxes: receivers inside this server that take anything, answer as told and check the signature."""

from __future__ import annotations

import re
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session, selectinload

from app import clock, crypto, ids
from app.core import cursors, signing
from app.core.access import Permission
from app.core.redaction import MASK, is_secret_header
from app.core.signing import Step, Verdict
from app.core.texts import is_name
from app.database import read, write
from app.delivery import settings
from app.delivery.installed import installed
from app.errors import Invalid, NotFound, Problem
from app.models import Delivery, Inbox, InboxRequest, Webhook
from app.services import audit
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT_REQUESTS = 200
KEPT_MS = 24 * 3_600_000
KEPT_BYTES = 256 * 2**10
ANSWERS = ("200", "204", "400", "401", "410", "429", "500", "after 20 s", "close")
MOST_ANSWERS = 50
MOST_WAITING = 4  # answers that take their time: each keeps one of the server's threads
TOO_MANY = f"503: {MOST_WAITING} others were waiting"
RETRY_AFTER_S = 10
SECOND_MS = 1_000
LONGEST_NAME = 100
MOST_LISTED = 250

_waiting = threading.BoundedSemaphore(MOST_WAITING)
_SLOW = re.compile(r"after ([0-9]+) s")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DELIVERY_ID = re.compile(r"dlv_[0-9a-z]{26}")


@dataclass(frozen=True, slots=True)
class InboxView:
    """An inbox as shown; `url` is the address that webhooks send to."""

    id: str
    name: str
    token: str
    url: str
    answers: tuple[str, ...]
    created_at: int
    row_id: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer a request with: after `wait_ms`, unless it `closes` the connection without a word."""

    status: int = 200
    wait_ms: int = 0
    closes: bool = False
    retry_after_s: int | None = None
    has_seat: bool = field(default=False, compare=False)

    def wait(self) -> None:
        """Let the time pass that the answer takes, and make room for the next one that does."""
        if self.has_seat:
            try:
                time.sleep(self.wait_ms / 1000)
            finally:
                _waiting.release()


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request that an inbox received. `body` may be cut: `size` is the whole; `verdict` None: nothing to check."""

    id: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    size: int
    event_type: str | None
    answered: str
    delivery: str | None
    verdict: Verdict | None
    received_at: int

    @property
    def is_cut(self) -> bool:
        """Whether only the beginning of the body was kept."""
        return self.size > len(self.body)


@dataclass(frozen=True, slots=True)
class Page:
    """Some requests, newest first; `next` is the cursor of the following page."""

    items: tuple[RequestView, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a page of an inbox is still right."""

    newest: str | None
    newest_at: int | None
    count: int
    answers: tuple[str, ...]


# --- the inboxes


def create(actor: Actor, name: str) -> InboxView:
    """Create an inbox that answers 200."""
    actor.require(Permission.WEBHOOKS)
    name = name.strip()
    if not is_name(name, LONGEST_NAME):
        raise Invalid([Problem("name", f"Give the inbox a name of 1 to {LONGEST_NAME} characters.")])
    with write() as session:
        inbox = Inbox(
            public_id=ids.new_id("inb"),
            organization_id=actor.organization_id,
            token=crypto.new_token(),
            name=name,
            answers=["200"],
            created_at=clock.now(),
        )
        session.add(inbox)
        session.flush()
        audit.record(session, actor, "inbox.created", inbox)
        return _view(inbox)


def list_all(actor: Actor) -> list[InboxView]:
    """Return the organization's inboxes, oldest first."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        return [_view(inbox) for inbox in session.scalars(for_org(session, actor, Inbox).query().order_by(Inbox.id))]


def last_used(actor: Actor) -> str | None:
    """Return the id of the inbox that received last, the oldest where none did; None: there is no inbox."""
    actor.require(Permission.WEBHOOKS)
    last = select(func.max(InboxRequest.id)).where(InboxRequest.inbox_id == Inbox.id).scalar_subquery()
    with read() as session:
        query = for_org(session, actor, Inbox).query().order_by(func.coalesce(last, 0).desc(), Inbox.id)
        found = session.scalars(query.limit(1)).first()
        return found.public_id if found else None


def find(actor: Actor, public_id: str) -> InboxView:
    """Return one inbox."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        return _view(for_org(session, actor, Inbox).one(public_id))


def set_answers(actor: Actor, public_id: str, answers: Sequence[str]) -> InboxView:
    """Say what the inbox answers next, each of `ANSWERS` once; the last one stays."""
    actor.require(Permission.WEBHOOKS)
    unknown = [answer for answer in answers if answer not in ANSWERS]
    if not answers or unknown or len(answers) > MOST_ANSWERS:
        words = f"{unknown[0]} is not an answer." if unknown else f"Choose 1 to {MOST_ANSWERS} answers."
        raise Invalid([Problem("answers", f"{words} There are: {', '.join(ANSWERS)}.")])
    with write() as session:
        inbox = for_org(session, actor, Inbox).one(public_id)
        inbox.answers = list(answers)
        session.flush()
        return _view(inbox)


def clear(actor: Actor, public_id: str) -> None:
    """Delete what the inbox received."""
    actor.require(Permission.WEBHOOKS)
    with write() as session:
        inbox = for_org(session, actor, Inbox).one(public_id)
        session.execute(delete(InboxRequest).where(InboxRequest.inbox_id == inbox.id))
        audit.record(session, actor, "inbox.cleared", inbox)


def _view(inbox: Inbox) -> InboxView:
    return InboxView(
        id=inbox.public_id,
        name=inbox.name,
        token=inbox.token,
        url=f"{installed().settings.address}/in/{inbox.token}",
        answers=tuple(inbox.answers),
        created_at=inbox.created_at,
        row_id=inbox.id,
    )


# --- receiving


def receive(token: str, method: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
    """Keep a request and return what to answer. Raises `NotFound` for a token that is no inbox's.

    The caller has to call `wait` on the reply.
    """
    if _TOKEN.fullmatch(token) is None:
        raise NotFound
    with ExitStack() as on_failure:
        with write() as session:
            answer = _answered(session, token, method, headers, body, on_failure)
        on_failure.pop_all()
    return _reply(answer)


def _answered(
    session: Session,
    token: str,
    method: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    on_failure: ExitStack,
) -> str:
    """Store the request with its answer, taking a seat among those that wait where the answer takes its time."""
    now = clock.now()
    inbox = session.scalar(select(Inbox).where(Inbox.token == token).with_for_update())
    if inbox is None:
        raise NotFound
    delivery = _delivery(headers)
    secret = _secret_headers(session, inbox.organization_id, delivery)
    answer, *later = inbox.answers
    if later:
        inbox.answers = later
    if _SLOW.fullmatch(answer):
        if _waiting.acquire(blocking=False):
            on_failure.callback(_waiting.release)
        else:
            answer = TOO_MANY
    session.add(
        InboxRequest(
            public_id=ids.new_id("req"),
            inbox_id=inbox.id,
            method=method[:16],
            headers=[_kept(name, value, secret) for name, value in headers],
            body=body[:KEPT_BYTES],
            size=len(body),
            answered=answer,
            delivery=delivery,
            received_at=now,
        )
    )
    session.flush()
    _sweep(session, inbox.id, now)
    return answer


def _reply(answer: str) -> Reply:
    if answer == TOO_MANY:
        return Reply(503, retry_after_s=RETRY_AFTER_S)
    if answer == "close":
        return Reply(closes=True)
    slow = _SLOW.fullmatch(answer)
    if slow:
        return Reply(wait_ms=int(slow[1]) * SECOND_MS, has_seat=True)
    status = int(answer)
    return Reply(status, retry_after_s=RETRY_AFTER_S if status == 429 else None)


def _secret_headers(session: Session, organization_id: int, delivery: str | None) -> frozenset[str]:
    """The headers, in lower case, that the webhook that sends this keeps secret: it may sign in by one of its own."""
    query = select(Delivery.webhook_id).where(
        Delivery.public_id == delivery, Delivery.organization_id == organization_id
    )
    webhook_id = session.scalar(query) if delivery else None
    kept = settings.of(webhook_id) if webhook_id is not None else None
    return kept.secret_headers if kept is not None else frozenset()


def _kept(name: str, value: str, secret: frozenset[str]) -> list[str]:
    """A header as it is kept: credentials only as far as to see that they came."""
    if name.lower() not in secret and not is_secret_header(name):
        return [name, value]
    scheme, blank, _ = value.partition(" ")
    return [name, f"{scheme} {MASK}" if blank else MASK]


def _delivery(headers: Sequence[tuple[str, str]]) -> str | None:
    """The delivery a request says it belongs to."""
    named = (value for name, value in headers if name.lower() == "postroom-delivery")
    return next((value for value in named if _DELIVERY_ID.fullmatch(value)), None)


def _sweep(session: Session, inbox_id: int, now: int) -> None:
    """Delete what is too old or too much."""
    mine = InboxRequest.inbox_id == inbox_id
    oldest_kept = select(InboxRequest.id).where(mine).order_by(InboxRequest.id.desc())
    one_too_many = oldest_kept.offset(KEPT_REQUESTS).limit(1).scalar_subquery()
    is_over = or_(InboxRequest.id <= one_too_many, InboxRequest.received_at < now - KEPT_MS)
    session.execute(delete(InboxRequest).where(mine, is_over).execution_options(synchronize_session=False))


# --- looking


def stamp(actor: Actor, public_id: str) -> Stamp:
    """Return what changes when something comes, goes or is answered otherwise: two small queries."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        inbox = for_org(session, actor, Inbox).one(public_id)
        fresh = _received(inbox.id).subquery()
        newest = (
            select(fresh.c.public_id, fresh.c.received_at, func.count().over()).order_by(fresh.c.id.desc()).limit(1)
        )
        found = session.execute(newest).first()
        public, at, count = found if found is not None else (None, None, 0)
        return Stamp(public, at, count, tuple(inbox.answers))


def requests(actor: Actor, public_id: str, *, cursor: str | None = None, limit: int = 50) -> Page:
    """Return what an inbox received in the last 24 hours, newest first. Raises `Invalid` for an unreadable cursor."""
    actor.require(Permission.WEBHOOKS)
    limit = max(1, min(limit, MOST_LISTED))
    with read() as session:
        inbox = for_org(session, actor, Inbox).one(public_id)
        query = _received(inbox.id).order_by(InboxRequest.received_at.desc(), InboxRequest.id.desc())
        if cursor is not None:
            query = query.where(tuple_(InboxRequest.received_at, InboxRequest.id) < _place(cursor))
        rows = session.scalars(query.limit(limit + 1)).all()
        more = cursors.encode(rows[limit - 1].received_at, rows[limit - 1].id) if len(rows) > limit else None
        return Page(tuple(_shown(session, actor, rows[:limit])), more)


def find_request(actor: Actor, public_id: str, request_id: str) -> RequestView:
    """Return one request of an inbox, with its signature checked step by step."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        inbox = for_org(session, actor, Inbox).one(public_id)
        row = session.scalar(_received(inbox.id).where(InboxRequest.public_id == request_id))
        if row is None:
            raise NotFound
        return _shown(session, actor, [row])[0]


def _received(inbox_id: int) -> Any:
    fresh = InboxRequest.received_at >= clock.now() - KEPT_MS
    return select(InboxRequest).where(InboxRequest.inbox_id == inbox_id, fresh)


def _place(cursor: str) -> tuple[int, int]:
    try:
        return cursors.decode(cursor)
    except ValueError as error:
        raise Invalid([Problem("cursor", str(error))]) from error


def _shown(session: Session, actor: Actor, rows: Sequence[InboxRequest]) -> list[RequestView]:
    senders = _senders(session, actor, {row.delivery for row in rows if row.delivery})
    return [_shown_one(row, senders.get(row.delivery or "")) for row in rows]


def _shown_one(row: InboxRequest, sender: _Sender | None) -> RequestView:
    headers = tuple((name, value) for name, value in row.headers)
    return RequestView(
        id=row.public_id,
        method=row.method,
        headers=headers,
        body=bytes(row.body),
        size=row.size,
        event_type=sender.event_type if sender else _type_in(bytes(row.body)),
        answered=row.answered,
        delivery=row.delivery if sender else None,
        verdict=verdict(sender.webhook, headers, bytes(row.body), row.size, row.received_at) if sender else None,
        received_at=row.received_at,
    )


class _Sender(NamedTuple):
    """The delivery that a request says it belongs to: its event's type and its webhook."""

    event_type: str
    webhook: Webhook


def _senders(session: Session, actor: Actor, deliveries: set[str]) -> dict[str, _Sender]:
    """Find the deliveries, of this organization only: a header can claim anything."""
    if not deliveries:
        return {}
    query = (
        select(Delivery.public_id, Delivery.event_type, Webhook)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.organization_id == actor.organization_id, Delivery.public_id.in_(deliveries))
        .options(selectinload(Webhook.secrets))
    )
    return {public_id: _Sender(event_type, webhook) for public_id, event_type, webhook in session.execute(query)}


def _type_in(body: bytes) -> str | None:
    """The event type that a body names by itself."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    named = found.get("type") if isinstance(found, dict) else None
    return named[:100] if isinstance(named, str) else None


def verdict(
    webhook: Webhook, headers: Sequence[tuple[str, str]], body: bytes, size: int, received_at: int
) -> Verdict | None:
    """Check a request as its receiver would have when it came; None when the webhook doesn't sign."""
    scheme = installed().schemes.get(webhook.scheme or "")
    if scheme is None:
        return None
    if size > len(body):
        words = f"Only the first {KEPT_BYTES >> 10} KiB were kept, so the signature can't be checked."
        return Verdict(False, (Step(False, words),), words)
    live = [secret.secret for secret in webhook.secrets_valid_at(received_at)]
    gone = [(secret.secret, _day(secret.expires_at)) for secret in webhook.secrets if secret.secret not in live]
    return signing.check(
        scheme, live, dict(headers), body, received_at // 1000, header=webhook.signature_header, expired=gone
    )


def _day(at: int | None) -> str:
    moment = datetime.fromtimestamp((at or 0) / 1000, UTC)
    return f"on {moment.day} {moment:%b}"
