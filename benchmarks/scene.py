"""An organization after a day of work: webhooks of all five systems, some of them in trouble. For pictures.

Everything is done by the application itself, under a clock that runs through the day, but for the wire: receivers that
exist nowhere answer as the scene says.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app import clock, create_app, schema
from app.config import read_settings
from app.core.outcome import Facts, Timings
from app.database import write
from app.delivery.engine import Engine
from app.delivery.resolver import Answer
from app.extensions import db
from app.models import Delivery, Event, User, Webhook
from app.services import (
    api_keys,
    business_units,
    companies,
    event_types,
    inboxes,
    members,
    notifications,
    organizations,
    webhooks,
)
from app.services.events import Posted, publish
from app.services.scope import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.core.urls import Url
    from app.delivery.transfer import Request

EMAIL, PASSWORD = "maria.silva@northwind.test", "seven brown horses"
PACKS = ("contracts", "jobs", "vomo", "integrations", "reporting")
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
DAY_BEGAN_MS = 26 * HOUR_MS
TROUBLE_BEGAN_MS = 40 * MINUTE_MS
ROUGHLY_EVERY_MS = 13 * MINUTE_MS
PUBLISHED = (
    *("job.created", "job.updated", "job.assigned", "job.status_changed", "job.image_created"),
    *("estimate.created", "estimate.updated", "contractCreated", "contractSigned", "contractReminder"),
    *("project.created", "project.updated", "user.created", "integration_new_data_model"),
    *("integration_updated_data_model", "integration_import_done"),
    *("transaction.create", "transaction.update", "transaction.send", "transaction.review"),
)
CONTEXT = b'{"customer_id":"cus_2204","state":"k2v9-connect-7714"}'


@dataclass(frozen=True, slots=True)
class Scene:
    """What pictures are taken of, by public id."""

    webhooks: dict[str, str]
    delivery: str
    event: str
    inbox: str


class Day:
    """The clock of the scene, in milliseconds."""

    def __init__(self, at: int) -> None:
        self.now = at


class Stage:
    """Stands where the wire is: each request is answered at once, by the host it is for."""

    def __init__(self, day: Day, chance: random.Random, trouble_at: int) -> None:
        self._day, self._chance, self._trouble_at = day, chance, trouble_at
        self._done: list[tuple[int, Facts]] = []

    def start(self, key: int, request: Request, _answer: Answer) -> None:
        """Answer a request."""
        status, body = self._reply(request.url, is_first=not request.fresh)
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nServer: nginx"
        first = self._chance.uniform(35, 240)
        facts = Facts(
            gate_passed=True,
            head=head.encode(),
            head_complete=True,
            body=body,
            received=len(body),
            peer="203.0.113.24:443",
            started_at=self._day.now,
            timings=Timings(2.1, 14.8, 31.2, first, first + 0.6),
            timeout_ms=request.timeout_ms,
            tls_version="TLSv1.3",
        )
        self._done.append((key, facts))

    def _reply(self, url: Url, *, is_first: bool) -> tuple[int, bytes]:
        if url.host.startswith("old-"):
            return 500, b'{"error":"this archive is read-only since August"}'
        if url.host.startswith("warehouse.") and self._day.now > self._trouble_at:
            return 503, b'{"error":"stock-taking, try later"}'
        if url.host.startswith("crm.") and is_first and self._chance.random() < 0.12:
            return 503, b'{"error":"upstream timed out","request":"r-%d"}' % self._chance.randrange(10**6)
        return (202, b'{"accepted":true}') if url.host.startswith("sync.") else (200, b'{"ok":true}')

    def turn(self, _patience_ms: int) -> list[tuple[int, Facts]]:
        """Give back what was answered."""
        done, self._done = self._done, []
        return done

    def wake(self) -> None:
        """There is nothing to wake."""

    def answer(self, *_: Any) -> Answer:
        """Every name has an address here."""
        return Answer(("203.0.113.24",))


def play(environ: dict[str, str]) -> Scene:
    """Fill the data directory of these options with the scene, and return what to look at."""
    settings, _ = read_settings(environ)
    app = create_app(settings)
    schema.migrate(settings)
    real = clock.now
    day = Day(real() - DAY_BEGAN_MS)
    clock.now = lambda: day.now
    try:
        with app.app_context():
            scene = _played(day, real())
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
    finally:
        clock.now = real
    return scene


def _played(day: Day, end_at: int) -> Scene:
    chance = random.Random(7)
    stage = Stage(day, chance, end_at - TROUBLE_BEGAN_MS)
    engine = Engine("northwind-1", stage, stage, lambda: 0, 64)  # type: ignore[arg-type]
    actor = _organization()
    made = _webhooks(actor)
    engine.run(linger_s=0)
    for number, at in enumerate(_moments(day.now, end_at, chance)):
        _let_pass(day, engine, at)
        _publish(actor, PUBLISHED[number % len(PUBLISHED)], number, chance)
        engine.run(linger_s=0)
    _let_pass(day, engine, end_at)
    while (notice := notifications.gravest(actor)) is not None:
        notifications.close(actor, notice.id)
    delivery, event = _retried(made["jobs"])
    return Scene(made, delivery, event, _inbox(actor))


def _moments(begin_at: int, end_at: int, chance: random.Random) -> Iterator[int]:
    at = begin_at + HOUR_MS
    while at < end_at - MINUTE_MS:
        yield at
        at += round(ROUGHLY_EVERY_MS * chance.uniform(0.2, 1.8))


def _let_pass(day: Day, engine: Engine, until: int) -> None:
    """Move the clock on from retry to retry."""
    while engine.next_due_at is not None and day.now < engine.next_due_at <= until:
        day.now = engine.next_due_at
        engine.run(linger_s=0)
    day.now = until
    engine.run(linger_s=0)


def _organization() -> Actor:
    organizations.first_admin("Northwind Services", EMAIL, PASSWORD)
    system = organizations.system_of(None)
    with write() as session:
        session.scalars(select(User)).one().name = "Maria Silva"
    for pack in PACKS:
        event_types.install(system, pack)
    for unit, name in (("north", "North"), ("provider", "Provider BU"), ("retail", "Retail")):
        business_units.put(system, unit, name)
    companies.put(system, "provider", "nordlicht", "Nordlicht GmbH", {"region": "north", "vat_number": "DE811"})
    companies.put(system, "provider", "suedwind", "Südwind AG", {"region": "south", "vat_number": "CHE-114"})
    members.add(system, "dan@northwind.test", name="Dan Whitby", role="Developer")
    members.add(system, "priya@northwind.test", name="Priya Nair", role="Support")
    api_keys.create(system, "Order system", ["events:write"])
    return system


def _webhooks(actor: Actor) -> dict[str, str]:
    basic = {"type": "basic", "username": "northwind", "password": PASSWORD}
    mapping = [{"field": "customer.name", "property": "client"}, {"field": "customer.email", "property": None}]
    wanted: dict[str, dict[str, Any]] = {
        "contracts": {
            "name": "Contract archive",
            "url": "https://archive.northwind.example/hooks/contracts",
            "events": ["contractCreated", "contractSigned", "contractReminder"],
        },
        "jobs": {
            "name": "Salesforce jobs",
            "url": "https://crm.northwind.example/webhooks/jobs",
            "events": ["job.*", "estimate.*"],
            "auth": basic,
        },
        "vomo": {
            "name": "Volunteer map",
            "url": "https://map.volunteers.example/vomo",
            "events": ["project.created", "project.updated", "project.public.created", "project.public.updated"],
        },
        "integrations": {
            "name": "Customer data sync",
            "url": "https://sync.dumas.example/integrations",
            "events": ["integration_new_data_model", "integration_updated_data_model", "integration_import_done"],
        },
        "reporting": {
            "name": "Provider reports",
            "url": "https://reports.nordlicht.example/pushback",
            "events": ["transaction.create", "transaction.update", "transaction.send"],
            "business_units": ["provider"],
            "content_type": "application/json",
            "extra_fields": ["region", "vat_number"],
            "field_mapping": mapping,
            "auth": {**basic, "username": ""},
        },
        "standard": {
            "name": "Warehouse",
            "url": "https://warehouse.northwind.example/in",
            "events": ["job.created", "job.status_changed"],
        },
    }
    old = {
        "name": "Old archive",
        "url": "https://old-archive.northwind.example/in",
        "events": ["contractSigned"],
        "preset": "contracts",
    }
    made = {preset: _webhook(actor, {"preset": preset, **settings}) for preset, settings in wanted.items()}
    _webhook(actor, old)
    return made


def _webhook(actor: Actor, settings: dict[str, Any]) -> str:
    made = webhooks.create(actor, settings).webhook.id
    webhooks.turn_on(actor, made)
    return made


def _publish(actor: Actor, name: str, number: int, chance: random.Random) -> None:
    data = bytes(event_types.find(actor, name).example)
    data = data.replace(b"4217", b"%d" % (4217 + number)).replace(b"20418", b"%d" % (20418 + number))
    posted = Posted(
        name,
        data,
        hashlib.sha256(b"%d" % number).digest(),
        producer_id=f"{name.replace('.', '-')}-{number}",
        status=chance.choice(["open", "draft", "signed"]),
        business_unit="provider" if name.startswith("transaction") else None,
        is_public=name.startswith("project.") and chance.random() < 0.4,
        context=CONTEXT,
    )
    publish(actor, posted, clock.now())


def _retried(webhook: str) -> tuple[str, str]:
    """The newest delivery of a webhook that took more than one attempt, and its event."""
    query = (
        select(Delivery.public_id, Event.public_id)
        .join(Event, Event.id == Delivery.event_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Webhook.public_id == webhook, Delivery.attempt_count > 1)
        .order_by(Delivery.id.desc())
    )
    found = db.session.execute(query).first()
    assert found is not None, "chance made no delivery that took two attempts; choose another seed"
    return found[0], found[1]


def _inbox(actor: Actor) -> str:
    """A test inbox with a webhook that the server will send to once it runs."""
    inbox = inboxes.create(actor, "Test inbox")
    wanted = {"name": "My first webhook", "url": inbox.url, "events": ["user.created"]}
    _webhook(actor, wanted)
    for number in range(3):
        _publish(actor, "user.created", 10_000 + number, random.Random(number))
    return inbox.id
