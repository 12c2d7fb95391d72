"""A webhook's signature, for whoever builds the receiver: what is signed, since when, and whether a request holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from app import clock
from app.core import signing
from app.core.access import Permission
from app.core.schemes import KeyUnusableError
from app.database import read
from app.delivery.installed import installed
from app.errors import Conflict
from app.models import Attempt, Delivery, Event, SentBody, SigningSecret, Webhook
from app.services.deliveries import headers as headers_of
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from app.core.schemes import Scheme
    from app.core.signing import Verdict


_LOOKED_AT = 20  # deliveries, for one that was sent


@dataclass(frozen=True, slots=True)
class SecretView:
    """A signing secret without itself. `expires_at` None: it is the current one."""

    made_by: str
    created_at: int
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class SignatureSheet:
    """How a webhook's requests are signed. `signs` is the text before the body, with the names of what stands there."""

    scheme: str
    algorithm: str
    header: str
    sent_beside: tuple[str, ...]
    signs: str
    value: str
    before: str
    join: str | None
    encoding: str
    key: str
    secrets: tuple[SecretView, ...]
    public_key: str | None


def sheet(actor: Actor, public_id: str) -> SignatureSheet | None:
    """Return how a webhook signs; None when it doesn't."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        scheme = installed().schemes.get(webhook.scheme or "")
        if scheme is None:
            return None
        kept = [SecretView(each.made_by, each.created_at, each.expires_at) for each in webhook.secrets]
        return _sheet(scheme, webhook, tuple(kept))


def _sheet(scheme: Scheme, webhook: Webhook, secrets: tuple[SecretView, ...]) -> SignatureSheet:
    shared = _public_key(webhook)
    return SignatureSheet(
        scheme=scheme.name,
        algorithm="Ed25519" if shared else "HMAC-SHA256",
        header=signing.header_of(scheme, webhook.signature_header),
        sent_beside=tuple(name for name, _ in scheme.headers),
        signs=scheme.signs,
        value=scheme.value,
        before=scheme.before,
        join=scheme.join,
        encoding="hex" if scheme.write is bytes.hex else "base64",
        key="base64" if scheme.key.shortest > 1 else "text",
        secrets=secrets,
        public_key=shared,
    )


def _public_key(webhook: Webhook) -> str | None:
    """What receivers verify with, when the newest secret is a pair of keys."""
    try:
        return signing.public_key(webhook.secrets[0].secret) if webhook.secrets else None
    except KeyUnusableError:
        return None


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it went out: all its headers, as pairs, and its body."""

    delivery: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def latest(actor: Actor, public_id: str) -> SentRequest | None:
    """Return the newest request of a webhook, for those who may see payloads; None when there is none among the newest.

    Raises `NotFound`.
    """
    actor.require(Permission.WEBHOOKS)
    if not actor.may(Permission.PAYLOADS):
        return None
    with read() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        newest = (
            select(Delivery.id, Delivery.public_id, Delivery.event_id)
            .where(Delivery.webhook_id == webhook.id)
            .order_by(Delivery.created_at.desc(), Delivery.id.desc())
            .limit(_LOOKED_AT)
            .subquery()
        )
        query = (
            select(newest.c.public_id, Attempt.request_headers, Event.data, SentBody)
            .join(Attempt, Attempt.delivery_id == newest.c.id)
            .join(Event, Event.id == newest.c.event_id)
            .join(SentBody, (SentBody.event_id == Event.id) & (SentBody.digest == Attempt.body_digest))
            .order_by(Attempt.delivery_id.desc(), Attempt.number.desc())
        )
        found = session.execute(query.limit(1)).first()
        if found is None:
            return None
        delivery, lines, data, body = found
        return SentRequest(delivery, tuple(headers_of(bytes(lines))), body.whole(data))


def check(actor: Actor, public_id: str, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Check pasted headers and body with the webhook's stored secrets, as its receiver should.

    The body that went out for the same event tells a changed body from a wrong secret.
    Raises `Conflict` when the webhook doesn't sign.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with read() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        scheme = installed().schemes.get(webhook.scheme or "")
        if scheme is None:
            raise Conflict("This webhook isn't signed, so there is nothing to check.")
        live = [each.secret for each in webhook.secrets_valid_at(now)]
        over = [(each.secret, _day(each)) for each in webhook.secrets if each.secret not in live]
        sent = _sent(session, webhook, {name.lower(): value for name, value in headers.items()})
    return signing.check(
        scheme, live, headers, body, now // 1000, header=webhook.signature_header, sent=sent, expired=over
    )


def _sent(session: Session, webhook: Webhook, headers: Mapping[str, str]) -> bytes | None:
    """The newest body that was sent for the event whose id the headers carry."""
    event_id = headers.get(signing.EVENT_ID_HEADER)
    if event_id is None:
        return None
    query = (
        select(Event.data, SentBody)
        .join(Delivery, Delivery.event_id == Event.id)
        .join(Attempt, Attempt.delivery_id == Delivery.id)
        .join(SentBody, (SentBody.event_id == Event.id) & (SentBody.digest == Attempt.body_digest))
        .where(Event.public_id == event_id, Delivery.webhook_id == webhook.id)
        .order_by(Attempt.delivery_id.desc(), Attempt.number.desc())
    )
    found = session.execute(query.limit(1)).first()
    if found is None:
        return None
    data, body = found
    return body.whole(data)


def _day(secret: SigningSecret) -> str:
    moment = datetime.fromtimestamp((secret.expires_at or 0) / 1000, UTC)
    return f"on {moment.day} {moment:%b}"
