"""Webhooks: create, edit, switch, pause, delete, find."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.orm import Session, joinedload

from app import clock, ids
from app.core.access import Permission
from app.core.redaction import MASK
from app.core.schemes import key_problem
from app.core.states import Reason
from app.database import is_sqlite, read, write
from app.delivery import bell, health, notices, queue, settings
from app.delivery.installed import installed
from app.errors import Changed, Conflict, Invalid, NotFound, Problem
from app.models import (
    BusinessUnit,
    Lane,
    Membership,
    Organization,
    SigningSecret,
    User,
    Webhook,
    WebhookPattern,
    WebhookUnit,
    Worker,
)
from app.services import audit, drafts, routing, tests
from app.services.organization_settings import default_owner
from app.services.scope import Actor, for_org
from app.services.signing_secrets import new_secret

if TYPE_CHECKING:
    from app.services.drafts import Given

ALIVE_MS = 30_000
NOTICED_AFTER_S = 0.5
_QUIET = (Reason.NEW, Reason.BY_PERSON)
_WENT_OFF = ~Webhook.enabled & Webhook.off_reason.not_in(_QUIET)
NEEDS_ATTENTION = _WENT_OFF | (Webhook.enabled & Lane.failing_since.isnot(None) & (Lane.failures_in_row > 0))
SECRET_SETTINGS = frozenset({"auth", "headers", "client_certificate"})


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook as it is shown: its settings in the wire's shape (secrets masked) and how it is doing."""

    id: str
    settings: dict[str, Any]
    enabled: bool
    off_reason: Reason | None
    switched_at: int | None
    switched_by: str | None
    paused: bool
    paused_at: int | None
    paused_by: str | None
    owner_name: str | None
    version: int
    created_at: int
    updated_at: int
    shut_until: int
    failing_since: int | None
    failures_in_row: int
    failed_attempts: int
    last_success_at: int | None
    last_error: str | None
    deliveries_failing: int = 0  # since the last success
    probe_at: int | None = None  # when it is tried again although it is off
    waiting: int = 0  # counted no further than 10,000; only where it was asked for
    row_id: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Created:
    """A new webhook, its secret (shown this once; None: it isn't signed), and its test if it was turned on."""

    webhook: WebhookView
    secret: str | None
    test_delivery: str | None = None
    changed: tuple[str, ...] = ()  # names of the settings that an edit changed


def create(actor: Actor, given: Given) -> Created:
    """Create a webhook. It is off unless `enabled` is given, which also sends a test payload."""
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    given = dict(given)
    enabled, owner, secret = given.pop("enabled", False), given.pop("owner", None), given.pop("secret", None)
    with write() as session:
        settled = drafts.settle(session, actor, given, None)
        webhook = Webhook(
            public_id=ids.new_id("whk"),
            organization_id=actor.organization_id,
            enabled=False,
            off_reason=Reason.NEW,
            version=1,
            created_at=now,
            updated_at=now,
            owner=_owner(session, actor, owner),
            lane=Lane(
                held_until=0, shut_until=0, failures_in_row=0, deliveries_failing=0, failed_attempts=0, times_opened=0
            ),
        )
        drafts.write_to(webhook, settled)
        session.add(webhook)
        secret = _ensure_secret(webhook, actor, secret, now)
        session.flush()
        audit.record(session, actor, "webhook.created", webhook, {"url": (None, webhook.url)})
        routing.bump(session, actor.organization_id)
        view = view_of(webhook)
    if enabled:
        turned = turn_on(actor, view.id)
        return Created(turned.webhook, secret, turned.test_delivery)
    return Created(view, secret)


def edit(actor: Actor, public_id: str, given: Given, *, version: int | None = None) -> Created:
    """Change the given settings. Applies from the next attempt, for waiting deliveries too.

    `version` is the one the editor saw: when somebody else changed the webhook since, `Changed` is raised.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    given = dict(given)
    enabled, owner, secret = given.pop("enabled", None), given.pop("owner", None), given.pop("secret", None)
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        if version is not None and version != webhook.version:
            raise Changed("Somebody else changed this webhook meanwhile. Look at it again, then save.")
        before = drafts.shown(webhook)
        settled = drafts.settle(session, actor, given, webhook)
        drafts.write_to(webhook, settled)
        if owner is not None:
            webhook.owner = _owner(session, actor, owner)
        secret = _ensure_secret(webhook, actor, secret, now)
        webhook.touch(now)
        session.flush()
        changes = _changes(before, drafts.shown(webhook), given)
        if changes:
            audit.record(session, actor, "webhook.edited", webhook, changes)
        routing.bump(session, actor.organization_id)
        view = view_of(webhook)
        row_id = webhook.id
    settings.forget(row_id)
    if enabled is not None and enabled != view.enabled:
        switched = turn_on(actor, public_id) if enabled else turn_off(actor, public_id)
        return Created(switched.webhook, secret, switched.test_delivery, tuple(changes))
    return Created(view, secret, changed=tuple(changes))


def _changes(before: dict[str, Any], after: dict[str, Any], given: Given) -> dict[str, tuple[Any, Any]]:
    changes = {}
    for name in after:
        if before[name] != after[name]:
            changes[name] = (MASK, "changed") if name in SECRET_SETTINGS else (before[name], after[name])
        elif name in SECRET_SETTINGS and given.get(name) not in (None, before[name]):
            changes[name] = (MASK, "changed")
    return changes


def _owner(session: Session, actor: Actor, email: str | None) -> Membership | None:
    """The member a webhook answers to: the one named by e-mail, else the organization's choice, else its maker.

    Who may not choose another owner owns what they make.
    """
    members = select(Membership).where(Membership.organization_id == actor.organization_id)
    if email is None:
        chosen = default_owner(session, session.get_one(Organization, actor.organization_id))
        if chosen is not None and actor.may(Permission.MEMBERS):
            return chosen
        if actor.membership_id is not None:
            return session.get(Membership, actor.membership_id)
        return session.scalar(members.join(Membership.role).order_by(Membership.id).limit(1))
    owner = session.scalar(members.join(User).where(User.email == email.lower()))
    if owner is None:
        raise Invalid([Problem("owner", f"Nobody here has the e-mail {email}.")])
    if owner.id != actor.membership_id and not actor.may(Permission.MEMBERS):
        raise Invalid([Problem("owner", "Only who manages members may choose another owner.")])
    return owner


def _ensure_secret(webhook: Webhook, actor: Actor, own: str | None, now: int) -> str | None:
    """Give a signed webhook its first secret, its own or a new one; return it when it was made now."""
    if webhook.scheme is None or (webhook.secrets and own is None):
        return None
    if own is not None and (problem := key_problem(installed().schemes[webhook.scheme], own)) is not None:
        raise Invalid([Problem("secret", problem)])
    secret = own or new_secret(webhook.scheme)
    for older in webhook.secrets:
        older.expires_at = now
    webhook.secrets.insert(0, SigningSecret(secret=secret, made_by=actor.name, created_at=now))
    return secret


@dataclass(frozen=True, slots=True)
class Switched:
    """A webhook after a switch: its test delivery when it was turned on, what is still under way when off."""

    webhook: WebhookView
    test_delivery: str | None = None
    in_flight: int = 0


def turn_on(actor: Actor, public_id: str) -> Switched:
    """Turn a webhook on and send its preset's test event at once. Nothing happens when it was on already.

    Raises `Conflict` for one whose owner left: as nobody's, it would be on and never hear of anything.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        if webhook.owner is None:
            raise Conflict("Its owner left, and it hears only of what its owner may see. Choose an owner first.")
        test: str | None = None
        went_off_by_itself = webhook.off_reason not in (None, Reason.NEW, Reason.BY_PERSON)
        if webhook.turn_on(actor.name, now):
            must_prove = went_off_by_itself or webhook.lane.failing_since is not None
            health.begin_again(webhook.lane, now, must_prove=must_prove)
            notices.close(session, webhook.id, now)
            audit.record(session, actor, "webhook.turned_on", webhook)
            routing.bump(session, actor.organization_id)
            test = tests.make(session, webhook, tests.preset_test(webhook), now)
        session.flush()
        view, row_id = view_of(webhook), webhook.id
    settings.forget(row_id)
    bell.ring()
    return Switched(view, test)


def turn_off(actor: Actor, public_id: str, *, cancel_waiting: bool = False) -> Switched:
    """Turn a webhook off. No connection to it begins after this returns.

    Deliveries that wait are kept for when it is turned on, unless `cancel_waiting`.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        if webhook.turn_off(Reason.BY_PERSON, actor.name, now):
            audit.record(session, actor, "webhook.turned_off", webhook)
            routing.bump(session, actor.organization_id)
        webhook.lane.probe_at = None  # off means off, also for one that had turned itself off
        in_flight = queue.count_sending(session, webhook.id)
        session.flush()
        view, row_id = view_of(webhook), webhook.id
    settings.forget(row_id)
    _let_others_notice(now)
    if cancel_waiting:
        queue.cancel_waiting(row_id, Reason.WEBHOOK_OFF, actor.name, now)
    return Switched(view, in_flight=in_flight)


def _let_others_notice(now: int) -> None:
    """Wait until no delivery process can begin a request by what it knew before; they look four times a second.

    In this process nothing waits: its engine was told.
    """
    if is_sqlite():
        return
    with read() as session:
        alive = session.scalar(select(func.count()).where(Worker.seen_at > now - ALIVE_MS).select_from(Worker))
    if alive:
        time.sleep(NOTICED_AFTER_S)


def pause(actor: Actor, public_id: str) -> Switched:
    """Hold everything: new events queue, nothing is sent until `resume`."""
    return _set_paused(actor, public_id, paused=True)


def resume(actor: Actor, public_id: str) -> Switched:
    """Send what was held, and go on."""
    return _set_paused(actor, public_id, paused=False)


def _set_paused(actor: Actor, public_id: str, *, paused: bool) -> Switched:
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        if webhook.paused != paused:
            webhook.paused = paused
            webhook.paused_at, webhook.paused_by = (now, actor.name) if paused else (None, None)
            webhook.version += 1
            audit.record(session, actor, "webhook.paused" if paused else "webhook.resumed", webhook)
        in_flight = queue.count_sending(session, webhook.id)
        session.flush()
        view, row_id = view_of(webhook), webhook.id
    settings.forget(row_id)
    _let_others_notice(now)
    bell.ring()
    return Switched(view, in_flight=in_flight)


def retry_waiting(actor: Actor, public_id: str) -> int:
    """Make all that waits for a webhook due now, and forget that it backs off; return how many were not yet due.

    They go out a few at a time, as the webhook's limits say, and should the receiver still be in trouble, it backs
    off again after the first. Raises `Conflict` for a webhook that is off or paused: nothing would be sent.
    """
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        if not webhook.enabled:
            raise Conflict("This webhook is off. Turn it on, and what waits is sent.")
        if webhook.paused:
            raise Conflict("This webhook is paused. Resume it, and what waits is sent.")
        webhook.lane.shut_until = 0
        audit.record(session, actor, "webhook.retried", webhook)
        row_id = webhook.id
    hastened = queue.hasten_waiting(row_id, now)
    bell.ring()
    return hastened


def delete(actor: Actor, public_id: str) -> int:
    """Delete a webhook; return how many requests are under way. Its log stays, its secrets don't."""
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    with write() as session:
        webhook = for_org(session, actor, Webhook).one(public_id)
        webhook.turn_off(Reason.WEBHOOK_DELETED, actor.name, now)
        webhook.deleted_at = now
        webhook.auth = webhook.headers = webhook.client_certificate = None
        webhook.secrets, webhook.patterns, webhook.units = [], [], []
        notices.close(session, webhook.id, now)
        webhook.lane.probe_at = None
        audit.record(session, actor, "webhook.deleted", webhook, {"url": (webhook.url, None)})
        routing.bump(session, actor.organization_id)
        in_flight, row_id = queue.count_sending(session, webhook.id), webhook.id
    settings.forget(row_id)
    _let_others_notice(now)
    queue.cancel_waiting(row_id, Reason.WEBHOOK_DELETED, actor.name, now)
    return in_flight


# --- finding


def find(actor: Actor, public_id: str) -> WebhookView:
    """Return one webhook, with how many deliveries wait for it."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        query = for_org(session, actor, Webhook).query().where(Webhook.public_id == public_id)
        found = views(session, query, waiting=queue.pending_beside())
    if not found:
        raise NotFound
    return found[0]


def list_all(actor: Actor) -> list[WebhookView]:
    """Return all webhooks by name, those that need attention first."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        query = for_org(session, actor, Webhook).query().order_by(Webhook.name, Webhook.id)
        found = views(session, query)
    return sorted(found, key=lambda view: not needs_attention(view))


def needs_attention(view: WebhookView) -> bool:
    """Whether somebody should look: it failed and went off by itself, or it is failing."""
    went_off = not view.enabled and view.off_reason not in (None, Reason.NEW, Reason.BY_PERSON)
    return went_off or (view.enabled and view.failing_since is not None)


def count_needing_attention(actor: Actor) -> int:
    """Return how many webhooks somebody should look at, for the navigation: one small query."""
    with read() as session:
        return session.scalar(needing_attention(actor)) or 0


def needing_attention(actor: Actor) -> Select[int]:
    """Count the webhooks that somebody should look at."""
    return (
        select(func.count())
        .select_from(Webhook)
        .join(Lane, Lane.webhook_id == Webhook.id)
        .where(Webhook.organization_id == actor.organization_id, Webhook.deleted_at.is_(None), NEEDS_ATTENTION)
    )


_PATTERNS = (
    select(func.aggregate_strings(WebhookPattern.pattern, "\n"))
    .where(WebhookPattern.webhook_id == Webhook.id)
    .correlate(Webhook)
    .scalar_subquery()
)
_NOT_COUNTED = literal(0)
_UNITS = (
    select(func.aggregate_strings(BusinessUnit.external_id, "\n"))
    .join(WebhookUnit, WebhookUnit.business_unit_id == BusinessUnit.id)
    .where(WebhookUnit.webhook_id == Webhook.id)
    .correlate(Webhook)
    .scalar_subquery()
)


def views(session: Session, query: Select[Webhook], *, waiting: ColumnElement[int] = _NOT_COUNTED) -> list[WebhookView]:
    """Return the webhooks that a query selects, with all that is shown of them, in one statement.

    `waiting` counts the deliveries that wait for one.
    """
    loaded = query.add_columns(_PATTERNS, _UNITS, waiting).options(
        joinedload(Webhook.lane), joinedload(Webhook.owner).joinedload(Membership.user)
    )
    return [
        view_of(webhook, selection=drafts.Selection(_split(patterns), _split(units)), waiting=count)
        for webhook, patterns, units, count in session.execute(loaded)
    ]


def _split(joined: str | None) -> list[str]:
    return sorted(joined.split("\n")) if joined else []


def view_of(webhook: Webhook, *, selection: drafts.Selection | None = None, waiting: int = 0) -> WebhookView:
    """Return a row as it is shown; `selection` spares asking for what it selects."""
    lane = webhook.lane
    return WebhookView(
        id=webhook.public_id,
        settings=drafts.shown(webhook, selection),
        enabled=webhook.enabled,
        off_reason=webhook.off_reason,
        switched_at=webhook.switched_at,
        switched_by=webhook.switched_by,
        paused=webhook.paused,
        paused_at=webhook.paused_at,
        paused_by=webhook.paused_by,
        owner_name=webhook.owner.user.name if webhook.owner else None,
        version=webhook.version,
        created_at=webhook.created_at,
        updated_at=webhook.updated_at,
        shut_until=lane.shut_until,
        failing_since=lane.failing_since if lane.failed_attempts else None,
        failures_in_row=lane.failures_in_row,
        deliveries_failing=lane.deliveries_failing,
        failed_attempts=lane.failed_attempts,
        last_success_at=lane.last_success_at,
        last_error=lane.last_error,
        probe_at=lane.probe_at if not webhook.enabled else None,
        waiting=waiting,
        row_id=webhook.id,
    )
