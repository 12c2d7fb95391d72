"""Makes the demo's organization with the ordinary services, and dates it back to when it would have been made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from app import clock, crypto
from app.cli.demo import cast
from app.cli.demo.history import DAY_MS, HOUR_MS
from app.core.states import Reason
from app.database import read, write
from app.delivery import settings as delivery_settings
from app.errors import Conflict
from app.models import (
    ApiKey,
    AuditEntry,
    BusinessUnit,
    Company,
    EventType,
    Inbox,
    Membership,
    Organization,
    SigningSecret,
    User,
    Webhook,
)
from app.services import (
    api_keys,
    audit,
    business_units,
    companies,
    event_types,
    inboxes,
    members,
    organizations,
    routing,
    webhooks,
)
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

OLDEST_DAYS = 420
SLUG_LENGTH = 40


@dataclass(slots=True)
class Scene:
    """What was made: who can sign in, and the webhooks by the name of their part."""

    actor: Actor
    email: str
    password: str
    api_key_id: int = 0
    webhooks: dict[str, str] = field(default_factory=dict)
    inboxes: dict[str, str] = field(default_factory=dict)


def refuse_used(organization: str | None) -> None:
    """Raise `Conflict` where there is an organization already, unless a new one was named."""
    with read() as session:
        names = session.scalars(select(Organization.name)).all()
    if organization is None and names:
        raise Conflict(
            f"There is an organization here already: {names[0]}. To look at it, start `postroom serve` with this data "
            "directory. For demo data beside it, name a new one with --organization; for a fresh start, use another "
            "--data-dir."
        )
    if organization in names:
        raise Conflict(f"There is an organization {organization} already. Choose another name.")


def build(organization: str) -> Scene:
    """Make the organization with everything but its history."""
    now = clock.now()
    scene = _people(organization)
    for pack in cast.PACKS:
        event_types.install(scene.actor, pack)
    for external_id, name in cast.UNITS:
        business_units.put(scene.actor, external_id, name)
    for unit, external_id, name, fields in cast.COMPANIES:
        companies.put(scene.actor, unit, external_id, name, fields)
    _more_people(scene)
    key = api_keys.create(scene.actor, "Order system", ["events:write"])
    api_keys.create(scene.actor, "Reporting", ["deliveries:read", "events:read"])
    with read() as session:
        scene.api_key_id = session.scalars(select(ApiKey.id).where(ApiKey.public_id == key.view.id)).one()
    for part in cast.PARTS:
        _webhook(scene, part)
    _date_back(scene, now)
    return scene


def _people(organization: str) -> Scene:
    name = cast.PEOPLE[0][0]
    email, password = _email(name, organization), crypto.new_token()[:16]
    with read() as session:
        is_first = not session.scalar(select(func.count()).select_from(User))
    if is_first:
        made = organizations.first_admin(organization, email, password).organization
    else:
        with write() as session:
            made = organizations.create(session, organization, clock.now()).public_id
        members.add(organizations.system_of(made), email, name=name, role="Admin", password=password)
    with write() as session:
        session.scalars(select(User).where(User.email == email)).one().name = name
    return Scene(_as_member(email, made), email, password)


def _as_member(email: str, organization: str) -> Actor:
    """The first admin, as the audit log is to name them."""
    system = organizations.system_of(organization)
    with read() as session:
        member = session.scalars(
            select(Membership)
            .join(User, User.id == Membership.user_id)
            .where(User.email == email, Membership.organization_id == system.organization_id)
        ).one()
        return Actor(
            system.organization_id,
            member.user.name,
            member.permissions,
            member.view,
            member.user.public_id,
            member.id,
            address="198.51.100.7",
        )


def _more_people(scene: Scene) -> None:
    units = {unit.external_id: unit.public_id for unit in business_units.list_all(scene.actor)}
    for name, role, belongs_to in cast.PEOPLE[1:]:
        email = f"{_local(name)}@{scene.email.partition('@')[2]}"
        belongs = [units[unit] for unit in belongs_to]
        members.add(scene.actor, email, name=name, role=role, units=belongs, password=scene.password)


def _local(name: str) -> str:
    return name.lower().replace("ã", "a").replace(" ", ".")


def _email(name: str, organization: str) -> str:
    host = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in organization.lower())
    return f"{_local(name)}@{host.strip('-')[:SLUG_LENGTH].strip('-') or 'demo'}.test"


def _webhook(scene: Scene, part: cast.Part) -> None:
    settings: dict[str, Any] = dict(part.settings)
    if part.inbox is not None:
        inbox = _inbox(scene.actor, part.inbox)
        settings["url"], scene.inboxes[part.inbox] = inbox.url, inbox.id
    settings["owner"] = f"{_local(part.owner)}@{scene.email.partition('@')[2]}"
    scene.webhooks[part.settings["name"]] = webhooks.create(scene.actor, settings).webhook.id


def _inbox(actor: Actor, name: str) -> inboxes.InboxView:
    """An inbox whose address says what it is for; the rest of its token is as long as a guess is hopeless."""
    made = inboxes.create(actor, name)
    with write() as session:
        row = for_org(session, actor, Inbox).one(made.id)
        row.token = f"{name.lower().replace(' ', '-')}-{crypto.new_token()[:22]}"
    return inboxes.find(actor, made.id)


def _date_back(scene: Scene, now: int) -> None:
    """Move everything to when it would have been made, and switch the webhooks as their parts say, on record."""
    oldest = now - OLDEST_DAYS * DAY_MS
    org = scene.actor.organization_id
    with write() as session:
        mine: list[Any] = [BusinessUnit, Company, EventType, Inbox, Membership, ApiKey]
        for table in mine:
            session.execute(update(table).where(table.organization_id == org).values(created_at=oldest + HOUR_MS))
        session.execute(update(Company).where(Company.organization_id == org).values(updated_at=oldest + HOUR_MS))
        session.execute(update(Organization).where(Organization.id == org).values(created_at=oldest))
        for number, entry in enumerate(session.scalars(select(AuditEntry).where(AuditEntry.organization_id == org))):
            entry.at = oldest + HOUR_MS + number * 41_000
        people = session.scalars(select(User).join(Membership).where(Membership.organization_id == org)).all()
        for number, user in enumerate(people):
            user.created_at, user.last_seen_at = oldest, now - number * 7 * HOUR_MS - 600_000
        rows = {row.name: row for row in session.scalars(for_org(session, scene.actor, Webhook).query())}
        for part in cast.PARTS:
            _switch(session, scene.actor, rows[part.settings["name"]], part, now)
        routing.bump(session, org)
    delivery_settings.forget_all()


def _switch(session: Session, actor: Actor, webhook: Webhook, part: cast.Part, now: int) -> None:
    made = now - part.days_old * DAY_MS - 2 * HOUR_MS
    webhook.created_at = webhook.updated_at = made
    session.execute(update(SigningSecret).where(SigningSecret.webhook_id == webhook.id).values(created_at=made))
    created = select(AuditEntry).where(AuditEntry.object_id == webhook.public_id)
    for entry in session.scalars(created):
        entry.at = made
    if part.is_on:
        webhook.turn_on(actor.name, made + HOUR_MS // 4)
        _on_record(session, actor, "webhook.turned_on", webhook, made + HOUR_MS // 4)
    if part.off_days is not None:
        at = now - round(part.off_days * DAY_MS)
        webhook.turn_off(Reason.BY_PERSON, actor.name, at)
        _on_record(session, actor, "webhook.turned_off", webhook, at)
    if part.paused_hours is not None:
        at = now - round(part.paused_hours * HOUR_MS)
        webhook.paused, webhook.paused_at, webhook.paused_by = True, at, actor.name
        _on_record(session, actor, "webhook.paused", webhook, at)


def _on_record(session: Session, actor: Actor, action: str, webhook: Webhook, at: int) -> None:
    audit.record(session, actor, action, webhook)
    session.flush()
    newest = select(AuditEntry).where(AuditEntry.object_id == webhook.public_id).order_by(AuditEntry.id.desc())
    session.scalars(newest.limit(1)).one().at = at
