"""What every test can ask for: an application with a database of its own, a clock, people, a receiver.

Tests that touch the database run on SQLite and, where POSTROOM_TEST_POSTGRES names a server, on PostgreSQL too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from app import clock as app_clock
from app import ids, schema
from app.config import Settings, read_settings
from app.database import read, write
from app.delivery import settings as delivery_settings
from app.delivery.engine import Engine, new_engine
from app.delivery.installed import installed
from app.delivery.resolver import Resolver
from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from app.delivery.wire import Wire
from app.errors import Conflict
from app.models import Attempt, BusinessUnit, Delivery, Membership, Organization, Role, User, Webhook
from app.services import business_units, event_types, events, organizations, routing, webhooks
from app.services.events import Posted
from app.services.intake import Stored
from app.services.scope import Actor, for_org, system_actor
from app.services.webhooks import WebhookView
from tests.support import application
from tests.support.postgres import PostgresServer
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

START_AT = 1_795_251_600_000  # 21 Nov 2026, 09:00 UTC
PASSWORD = "seven brown horses"
POSTGRES = "POSTROOM_TEST_POSTGRES"
HERE = Path(__file__).parent
WAITING = (HERE / "test_packaging.py", HERE / "crash", HERE / "systems")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for processes comes first, so that two workers end together; the rest in whatever order it has."""
    items.sort(key=lambda item: item.path not in WAITING and item.path.parent not in WAITING)


class Clock:
    """The wall clock of the application, which moves only when told to."""

    def __init__(self, at: int) -> None:
        self.now = at

    def advance(self, *, seconds: float = 0, ms: int = 0) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000) + ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock in the test's hand: `.now` in milliseconds, `.advance(seconds=, ms=)`."""
    held = Clock(START_AT)
    monkeypatch.setattr(app_clock, "now", lambda: held.now)
    return held


# --- settings, database, application


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Options of an installation of its own that may reach this machine; on a port that was free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found, _ = read_settings(
        {},
        data_dir=tmp_path / "data",
        port=port,
        https_only=False,
        allow_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        disk_reserve_mb=0,
    )
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The settings, pointing at a migrated and empty database that only this test uses."""
    if request.param == "sqlite":
        settings.data_dir.mkdir(mode=0o700)
        shutil.copyfile(request.getfixturevalue("sqlite_template"), settings.data_dir / "postroom.db")
        yield settings
        return
    if not os.environ.get(POSTGRES):
        pytest.skip(f"left out: {POSTGRES} is not set")
    server: PostgresServer = request.getfixturevalue("postgres")
    yield replace(settings, database_url=server.empty())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    found, _ = read_settings({}, data_dir=tmp_path_factory.mktemp("template"))
    schema.migrate(found)
    return found.data_dir / "postroom.db"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The PostgreSQL server to test on."""
    server = PostgresServer(os.environ[POSTGRES], tmp_path_factory.mktemp("postgres"))
    yield server
    server.close()


@pytest.fixture
def app(database: Settings) -> Iterator[Flask]:
    """The application, with its context pushed."""
    with application.opened(database) as found:
        yield found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a screen."""
    return app.test_client()


# --- people


@pytest.fixture
def organization(app: Flask, clock: Clock) -> Organization:
    """An organization with its roles. Detached: its columns can be read."""
    return new_organization("Acme")


def new_organization(name: str) -> Organization:
    """Make an organization with its roles."""
    with write() as session:
        made = organizations.create(session, name, app_clock.now())
        session.refresh(made)
        session.expunge(made)
    return made


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member made for a test, whose password is `PASSWORD`."""

    actor: Actor
    user: User
    id: str


MakeMember = Callable[..., NewMember]


@pytest.fixture(scope="session")
def password_hash() -> str:
    """A hash of `PASSWORD` that is quick to check, as each hash says itself how slow it is on purpose."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@pytest.fixture
def make_member(organization: Organization, password_hash: str) -> MakeMember:
    """Make a member: `make_member("ada", role="Admin", units=[unit], of=organization)`; ada@acme.test."""

    def make(name: str, role: str = "Member", units: list[BusinessUnit] | None = None, of: Any = None) -> NewMember:
        now, home = app_clock.now(), of or organization
        with write() as session:
            user = User(
                public_id=ids.new_id("usr"),
                email=f"{name.lower()}@acme.test",
                name=name.capitalize(),
                password_hash=password_hash,
                session_version=1,
                is_operator=False,
                is_active=True,
                theme="system",
                created_at=now,
            )
            found = select(Role).where(Role.organization_id == home.id, Role.name == role)
            member = Membership(
                public_id=ids.new_id("mem"),
                organization_id=home.id,
                user=user,
                role=session.scalars(found).one(),
                units=[session.get_one(BusinessUnit, unit.id) for unit in units or ()],
                created_at=now,
            )
            session.add(member)
            session.flush()
            actor = Actor(
                organization_id=home.id,
                name=user.name,
                permissions=member.permissions,
                view=member.view,
                public_id=user.public_id,
                membership_id=member.id,
                address="198.51.100.7",
            )
            public_id = member.public_id
            session.refresh(user)
            session.expunge(user)
        return NewMember(actor, user, public_id)

    return make


@pytest.fixture
def owner(make_member: MakeMember) -> Actor:
    """Ada, an admin: may all and sees all."""
    return make_member("ada", role="Admin").actor


@pytest.fixture
def member(make_member: MakeMember, owner: Actor) -> Actor:
    """Max, a developer of the same organization: has webhooks, but none of an admin's permissions."""
    return make_member("max", role="Developer").actor


@pytest.fixture
def stranger(make_member: MakeMember) -> Actor:
    """Sam, an admin of another organization: must find nothing of this one."""
    return make_member("sam", role="Admin", of=new_organization("Other")).actor


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine; answers 200 until told otherwise."""
    with Receiver() as found:
        yield found


# --- delivering


MakeEngine = Callable[[str], Engine]
Deliver = Callable[[], int]
Publish = Callable[..., Stored]
MakeWebhook = Callable[..., WebhookView]
States = Callable[..., list[tuple[str, list[int | str]]]]


@pytest.fixture
def make_engine(app: Flask) -> Iterator[MakeEngine]:
    """Make an engine by its worker's name, with a wire of its own. Retries are spread by nothing: its roll is 0."""
    made: list[Engine] = []

    def make(worker: str) -> Engine:
        sender = Sender(Egress(installed().allowed, certifi.where()))
        resolver = Resolver(local_names=True, on_ready=sender.wake)
        made.append(new_engine(worker, Wire(sender, resolver, installed().settings.concurrency), roll=lambda: 0))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make_engine: MakeEngine, clock: Clock) -> Engine:
    """The engine that `deliver` drives."""
    return make_engine("worker-1")


@pytest.fixture
def deliver(engine: Engine) -> Deliver:
    """Deliver what is due and return how many attempts were recorded meanwhile."""

    def run() -> int:
        before = count_attempts()
        engine.run(linger_s=0)
        return count_attempts() - before

    return run


def count_attempts() -> int:
    """Return how many attempts are on record."""
    with read() as session:
        return session.scalar(select(func.count()).select_from(Attempt)) or 0


@pytest.fixture
def make_type(organization: Organization) -> Callable[..., None]:
    """Add an event type unless it is there: `make_type("job.created", example=b"{}")`."""

    def make(name: str, of: Organization = organization, **values: Any) -> None:
        with contextlib.suppress(Conflict):
            event_types.create(system_actor(of.id), {"name": name, **values})

    return make


@pytest.fixture
def make_unit(organization: Organization) -> Callable[..., BusinessUnit]:
    """Add a business unit and return its row, detached: `make_unit("north")`."""

    def make(external_id: str, of: Organization = organization) -> BusinessUnit:
        business_units.put(system_actor(of.id), external_id, external_id.capitalize())
        with read() as session:
            found = select(BusinessUnit).where(BusinessUnit.external_id == external_id)
            row = session.scalars(found.where(BusinessUnit.organization_id == of.id)).one()
            session.expunge(row)
        return row

    return make


@pytest.fixture
def publish(organization: Organization, make_type: Callable[..., None]) -> Publish:
    """Publish an event, of a type that is added where it isn't there: `publish("job.created", b'{"id":1}', id="a")`."""

    def make(  # the words of the wire
        type: str = "job.created",  # noqa: A002
        data: bytes = b'{"id":42}',
        *,
        id: str | None = None,  # noqa: A002
        **more: Any,
    ) -> Stored:
        home = more.pop("of", organization)
        make_type(type, home)
        return events.publish(system_actor(home.id), posted(type, data, id, **more), app_clock.now())

    return make


def posted(
    type: str,  # noqa: A002
    data: bytes = b'{"id":42}',
    id: str | None = None,  # noqa: A002
    **more: Any,
) -> Posted:
    """An event as the API hands it on."""
    digest = hashlib.sha256(repr((type, data, sorted(more.items()))).encode()).digest()
    return Posted(type=type, data=data, digest=digest, producer_id=id, **more)


@pytest.fixture
def make_webhook(owner: Actor) -> MakeWebhook:
    """Make a webhook that is on, without the test payload that turning it on sends.

    `make_webhook(url=receiver.url, preset="vomo", on=False, by=member)`; other names are settings as on the wire.
    """

    def make(*, url: str, on: bool = True, by: Actor = owner, **settings: Any) -> WebhookView:
        made = webhooks.create(by, {"name": "Hooks", "url": url, **settings}).webhook
        return switch_on(by, made.id) if on else made

    return make


def switch_on(actor: Actor, webhook_id: str) -> WebhookView:
    """Turn a webhook on without a word to its receiver."""
    with write() as session:
        row = for_org(session, actor, Webhook).one(webhook_id)
        row.turn_on(actor.name, app_clock.now())
        routing.bump(session, actor.organization_id)
        row_id = row.id
    delivery_settings.forget(row_id)
    return webhooks.find(actor, webhook_id)


@pytest.fixture
def states(app: Flask) -> States:
    """Every delivery with what its attempts came to: `[("pending", [503, "timeout"])]`; of one webhook, if named."""

    def look(webhook_id: str | None = None) -> list[tuple[str, list[int | str]]]:
        with read() as session:
            query = select(Delivery).order_by(Delivery.id)
            if webhook_id is not None:
                query = query.join(Webhook).where(Webhook.public_id == webhook_id)
            rows = session.scalars(query).all()
            attempts = session.scalars(select(Attempt).order_by(Attempt.number)).all()
            return [(row.state.value, [_told(a) for a in attempts if a.delivery_id == row.id]) for row in rows]

    return look


def _told(attempt: Attempt) -> int | str:
    return attempt.status or (attempt.error or attempt.outcome).value
