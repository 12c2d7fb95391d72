"""Signing secrets: rotation with overlap."""

from __future__ import annotations

from dataclasses import dataclass

from app import clock, crypto
from app.core.access import Permission
from app.core.schemes import key_problem
from app.database import write
from app.delivery import settings
from app.delivery.installed import installed
from app.errors import Conflict, Invalid, Problem
from app.models import SigningSecret, Webhook
from app.services import audit
from app.services.scope import Actor, for_org

DAY_MS = 86_400_000
LONGEST_OVERLAP_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new secret, shown this once, and until when requests carry both signatures."""

    secret: str
    previous_valid_until: int


def new_secret(scheme: str) -> str:
    """Return a new secret of the kind that a signature scheme takes."""
    fresh = (make() for make in (crypto.new_signing_secret, crypto.new_signing_key))
    return next(secret for secret in fresh if key_problem(installed().schemes[scheme], secret) is None)


def rotate(actor: Actor, public_id: str, *, overlap_ms: int = DAY_MS) -> Rotated:
    """Make a new signing secret; the previous one stays valid for `overlap_ms` (0 to 7 days)."""
    actor.require(Permission.SECRETS)
    if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
        raise Invalid([Problem("overlap", "Choose an overlap between 0 and 7 days.")])
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        if webhook.scheme is None:
            raise Conflict("This webhook isn't signed, so it has no secret.")
        for older in webhook.secrets:
            older.expires_at = min(older.expires_at or now + overlap_ms, now + overlap_ms)
        secret = new_secret(webhook.scheme)
        webhook.secrets.append(SigningSecret(secret=secret, made_by=actor.name, created_at=now))
        webhook.version += 1
        audit.record(session, actor, "webhook.secret_rotated", webhook, {"secret": ("••••", "changed")})
        row_id = webhook.id
    settings.forget(row_id)
    return Rotated(secret, now + overlap_ms)
