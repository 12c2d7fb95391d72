"""The exact request that a webhook, saved or not, would send for an event. Nothing is sent."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app import clock, crypto, ids
from app.core import diff
from app.core.access import Permission
from app.core.redaction import MASK
from app.core.routing import Routed, obstacles, patterns_for
from app.core.shaping import ShapeError
from app.core.states import Reason
from app.database import read
from app.delivery import build
from app.delivery.directory import surroundings_of
from app.delivery.orders import DeliverySettings, Loaded, Surroundings
from app.delivery.settings import settle
from app.errors import Invalid, NotFound, Problem
from app.models import Event, Membership, Organization, SigningSecret, Webhook
from app.services import drafts, routing
from app.services.events import may_see, visible
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.orm import Session

    from app.models import EventType


@dataclass(frozen=True, slots=True)
class Preview:
    """A request as it would be sent, credentials masked, and why it would not be (None: it would)."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    curl: str
    not_sent: Reason | None


def preview(
    actor: Actor,
    given: Mapping[str, Any],
    *,
    webhook: str | None = None,
    event_type: str | None = None,
    event: str | None = None,
) -> Preview:
    """Build the request for a past `event`, else for the example of `event_type`, else for the preset's test.

    `given` are settings as on the wire; with `webhook` they are laid over that webhook's own.
    Raises `Invalid` as saving would.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with read() as session:
        session.autoflush = False  # the row below is never stored
        stored = for_org(session, actor, Webhook).one(webhook, *_WHOLE) if webhook else None
        row, types = _row(session, actor, given, stored, now)
        organization = session.get_one(Organization, actor.organization_id)
        kept = settle(row, organization.public_id)
        example = _example(types, event_type) if event_type is not None and event is None else None
        sample = _sample(session, actor, kept, example, event, now)
        if event is None and row.units:  # an example is of no unit: shown as one that this webhook hears of
            sample = sample._replace(business_unit_id=min(unit.id for unit in row.units))
        target = routing.target_of(row)
        session.rollback()
    return _built(kept, sample, _reason(sample, target), now)


def newest_event(actor: Actor, patterns: Collection[str]) -> str | None:
    """Return the id of the newest event of the selected types that the actor may see, tests left out.

    It looks at the last 200 events; None: there is none among them.
    """
    actor.require(Permission.WEBHOOKS)
    newest = select(Event.type, Event.public_id).where(Event.organization_id == actor.organization_id, ~Event.is_test)
    if not actor.view.sees_everything:
        newest = newest.where(visible(actor))
    newest = newest.order_by(Event.created_at.desc(), Event.id.desc()).limit(_LOOKED_AT)
    wanted = set(patterns)
    with read() as session:
        rows = session.execute(newest)
        return next((row.public_id for row in rows if wanted.intersection(patterns_for(row.type))), None)


_LOOKED_AT = 200
_WHOLE = (
    joinedload(Webhook.secrets),
    joinedload(Webhook.owner).joinedload(Membership.user),
)


def _row(
    session: Session, actor: Actor, given: Mapping[str, Any], stored: Webhook | None, now: int
) -> tuple[Webhook, Sequence[EventType]]:
    given = {name: value for name, value in given.items() if name not in {"enabled", "owner", "secret"}}
    settled = drafts.settle(session, actor, given, stored)
    row = Webhook(public_id=stored.public_id if stored else ids.new_id("whk"), organization_id=actor.organization_id)
    row.id, row.version, row.enabled, row.paused = 0, 1, True, False
    row.created_at = row.updated_at = now
    with session.no_autoflush:
        drafts.write_to(row, settled)
    secrets = stored.secrets_valid_at(now) if stored else []
    row.secrets = [SigningSecret(secret=s.secret, made_by="", created_at=now) for s in secrets] or [
        SigningSecret(secret=crypto.new_signing_secret(), made_by="", created_at=now)
    ]
    return row, settled.types  # without an owner: what they may see is not looked at here


def _example(types: Sequence[EventType], name: str) -> tuple[str, bytes]:
    """The name and the example of the type whose events carry it, its own or its public variant's."""
    found = min(
        (each for each in types if name in (each.name, each.public_name)), key=lambda each: each.id, default=None
    )
    if found is None:
        raise Invalid([Problem("event_type", f"There is no event type {name}.")])
    return name, bytes(found.example)


def _sample(
    session: Session,
    actor: Actor,
    kept: DeliverySettings,
    example: tuple[str, bytes] | None,
    event: str | None,
    now: int,
) -> Loaded:
    if event is not None:
        past = for_org(session, actor, Event).one(event)
        if not may_see(actor, past):
            raise NotFound
        return Loaded(*(getattr(past, name) for name in Loaded._fields))
    kind, data = example or (kept.preset.test_type, kept.preset.test_data)
    return Loaded(0, ids.new_id("evt"), kind, data, None, _status(data), None, None, None, now, now)


def _status(data: bytes) -> str | None:
    """What a producer of this example would most likely publish as the event's status."""
    value = diff.model_of(data, "status")
    return str(orjson.loads(value)) if value is not None and value.startswith(b'"') else None


def _reason(sample: Loaded, target: Any) -> Reason | None:
    routed = Routed(sample.type, sample.business_unit_id, None, sample.data, sample.created_at)
    ignored = {Reason.OWNER_CANNOT_SEE}
    return next((reason for reason in obstacles(routed, target) if reason not in ignored), None)


def _built(kept: DeliverySettings, sample: Loaded, not_sent: Reason | None, now: int) -> Preview:
    around = surroundings_of([sample], {kept.webhook_id: kept}).get(sample.business_unit_id or 0, Surroundings())
    facts = build.facts_of(sample, around, kept, ids.new_id("dlv"), is_test=False)
    try:
        body = build.body_of(facts, kept, now)
        request = build.request_of(facts, kept, body, now)
    except ShapeError as error:
        raise Invalid([Problem("field_mapping", error.message)]) from error
    lines = build.shown_headers(request, kept).decode("utf-8", "surrogateescape").split("\r\n")
    headers = tuple((name, value.lstrip()) for name, _, value in (line.partition(":") for line in lines))
    return Preview("POST", request.url.text, headers, body, curl(request.url.text, headers, body), not_sent)


def curl(url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> str:
    """Return a shell command that sends the same request; secrets stand as a variable to fill in."""
    parts = [f"curl -X POST {shlex.quote(url)}"]
    for name, value in headers:
        if name.lower() not in {"host", "content-length"}:
            text = f"{name}: {value}"
            # Nothing but the variable stands in double quotes: what people wrote must not be run by the shell.
            parts.append(
                "-H " + '"$POSTROOM_SECRET"'.join([shlex.quote(part) if part else "" for part in text.split(MASK)])
            )
    parts.append(f"--data-binary {shlex.quote(body.decode('utf-8', 'replace'))}")
    return " \\\n  ".join(parts)
