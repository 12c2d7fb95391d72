"""An organization that has one of everything, made by the services before a server is started on it."""

from __future__ import annotations

import functools
import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pyotp
from sqlalchemy import Select, select, update

from app import clock, crypto
from app.cli.demo.fill import fill
from app.core.states import DeliveryState
from app.database import read, write
from app.delivery.engine import new_engine
from app.delivery.installed import installed
from app.delivery.resolver import Resolver
from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from app.delivery.wire import Wire
from app.errors import Unavailable
from app.models import Delivery, Event, Installation, Membership, Replay, ReplayState, User, Webhook
from app.services import (
    all_organizations,
    api_keys,
    browser_sessions,
    deliveries,
    event_types,
    events,
    inboxes,
    invitations,
    members,
    organizations,
    password_resets,
    replays,
    roles,
    saved_views,
    tests,
    two_factor,
    webhooks,
)
from app.services.log import LogQuery
from app.services.replay_selection import Wanted
from app.services.replays import Order
from tests.conftest import posted, switch_on
from tests.support import application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from app.cli.demo.scene import Scene
    from app.config import Settings
    from app.services.scope import Actor

EVENTS = 120
HOUR_MS = 3_600_000
LONG_NAME = "Reconciliation of everything that was sent to the warehouses of the north and never came back " * 2
HOSTILE = '</pre><script>alert(1)</script><b onclick="x">'


@dataclass(slots=True)
class House:
    """What there is, by names that addresses use; `cookies` are sessions by the name of who is signed in."""

    data_dir: Path
    port: int
    password: str
    email: str
    ids: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    totp: str = ""
    broken: dict[int, tuple[dict[str, str], bytes]] = field(default_factory=dict)
    """What is answered when something breaks: headers and page by status."""
    server: Any = None

    @property
    def address(self) -> str:
        """Where its server listens."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the API with a key that may do everything; with a body, POST it."""
        request = urllib.request.Request(
            f"{self.address}/api/v1{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {self.ids['secret_key']}", "Content-Type": "application/json"},
            method="POST" if body is not None else "GET",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def build(settings: Settings) -> House:
    """Fill the installation. Nobody else may write to it meanwhile."""
    with application.opened(settings) as app:
        made, _ = fill("Acme", EVENTS, 3, lambda _: None, days=1)
        house = House(settings.data_dir, settings.port, made.password, made.email)
        _webhooks(house, made)
        _people(house, made, app)
        _things(house, made)
        _waiting(made.actor)
        _tried(house, made.actor)
        _deliveries(house)
        _replays(house, made.actor)
        _broken(house, app)
        return house


def _webhooks(house: House, made: Scene) -> None:
    named = {
        "on": "Data warehouse",
        "mapped": "Provider reports",
        "failing": "Salesforce jobs",
        "paused": "Field app",
        "off": "Staging copy",
        "off_by_itself": "Old archive",
        "gone": "Trade fair board",
        "new": "Partner feed",
        "insecure": "Legacy ERP",
        "long": "Nightly reconciliation of expired provider transactions for the finance department in Porto",
        "filtered": "Large jobs",
    }
    house.ids |= {name: made.webhooks[title] for name, title in named.items()}
    kept = webhooks.create(made.actor, {"name": "Gone for good", "url": "https://gone.acme.example/in"}).webhook
    webhooks.delete(made.actor, kept.id)
    house.ids["deleted"] = kept.id


def _people(house: House, made: Scene, app: Flask) -> None:
    invited = members.add(made.actor, "ines@acme.test", name="Inês Prado", role="Support")
    kept_out = members.add(made.actor, "old@acme.test", name="Olaf Drews", role="Developer")
    members.deactivate(made.actor, kept_out.id)
    roles.create(made.actor, "Auditor", ["org.log", "org.audit"])
    by_name = {each.name: each for each in members.list_all(made.actor)}
    house.ids |= {
        "invited": invited.id,
        "kept_out": kept_out.id,
        "member": by_name["Dan Whitby"].id,
        "admin": by_name["Maria Silva"].id,
        "invitation": invitations.link_for(made.actor, invited.id).rpartition("/")[2],
        "role": "Auditor",
    }
    with read() as session:
        users = {user.name: (user.id, user.public_id) for user in session.scalars(select(User))}
    house.totp = _codes_on(users["João Reis"][1])
    for name, who in (("Maria Silva", "admin"), ("João Reis", "careful"), ("Priya Nair", "support")):
        house.cookies[who] = session_of(app, *users[name])
    browser_sessions.begin(users["Maria Silva"][0], "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", None)
    added = all_organizations.add(
        replace(made.actor, is_operator=True), "Nordlicht Energie", "jo@nordlicht.test", "Jo Berg"
    )
    house.ids["tenant"] = added.organization.id
    house.ids["reset"] = _reset_link(users["Dan Whitby"][1])


def session_of(app: Flask, row_id: int, public_id: str) -> str:
    """Return the cookie of a new session."""
    client = app.test_client()
    with read() as session:
        version = session.get_one(User, row_id).session_version
    with client.session_transaction() as kept:
        kept["_user_id"] = f"{public_id}:{version}"
        kept["browser"] = browser_sessions.begin(row_id, "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0", None)
    cookie = client.get_cookie("postroom")
    assert cookie is not None
    return cookie.value


def _codes_on(user: str) -> str:
    offer = two_factor.offer(user, "Postroom")
    secret = offer.key.replace(" ", "")
    two_factor.turn_on(user, offer.sealed, pyotp.TOTP(secret).at(clock.now() // 1000 - 30))
    return secret


def _reset_link(user: str) -> str:
    token, now = crypto.new_token(), clock.now()
    with write() as session:
        name = password_resets._NOTE + user
        session.add(Installation(name=name, value=b"", changed_at=now))
        session.flush()
        password_resets._issue(session, name, token, now)
    return f"{user}.{token}"


def _things(house: House, made: Scene) -> None:
    actor = made.actor
    key = api_keys.create(actor, "Everything", ["admin"])
    house.ids |= {"key": key.view.id, "secret_key": key.key}
    old = api_keys.create(actor, "Old one", ["events:write"])
    api_keys.revoke(actor, old.view.id)
    house.ids["view"] = saved_views.create(actor, "Failed and retrying", "state=failed&state=retrying").id
    (inbox,) = [one for one in inboxes.list_all(actor) if one.name == "Data warehouse"]
    house.ids["inbox"] = inbox.id
    body = json.dumps({"type": "job.created", "data": {"note": HOSTILE, "wide": "x" * 300}}).encode()
    inboxes.receive(inbox.token, "POST", [("Content-Type", "application/json"), ("X-Long", "y" * 200)], body)
    empty = inboxes.create(actor, "Nothing came yet")
    house.ids["empty_inbox"] = empty.id
    house.ids |= {
        "event": _publish(actor, "job.created", body),
        "type": "job.created",
        "unit": "north",
        "company": "tyne-valley",
    }


def _organization(actor: Actor) -> str:
    with read() as session:
        return session.get_one(Membership, actor.membership_id).organization.public_id


def _waiting(actor: Actor) -> None:
    """Deliveries that nobody sent yet, canceled, held and queued, and one that a webhook missed."""
    for number in range(2):
        _publish(actor, "job.assigned", b'{"id":%d}' % number)
    _publish(actor, "contractCreated", b"{}")
    with write() as session:
        newest = select(Delivery.public_id).where(Delivery.state == DeliveryState.PENDING).order_by(Delivery.id.desc())
        canceled = session.scalars(newest.limit(1)).one()
        # what waits, waits for as long as anybody looks at it
        later = update(Delivery).where(Delivery.state == DeliveryState.PENDING)
        session.execute(later.values(next_attempt_at=clock.now() + HOUR_MS))
    deliveries.cancel(actor, canceled)


def _tried(house: House, actor: Actor) -> None:
    """Deliveries to where nobody listens: tried once, tried twice, given up, and a test."""
    event_types.create(actor, {"name": "house.built", "example": b'{"rooms":7}'})
    url = "http://127.0.0.1:1025/nobody/listens"
    retry = {"jitter": 0, "on_exhausted": "keep"}
    for name, delays in (("Unreachable", [3600, 3600]), ("Given up", [])):
        settings = {"name": name, "url": url, "events": ["house.built"], "retry": {**retry, "delays": delays}}
        house.ids[name] = switch_on(actor, webhooks.create(actor, settings).webhook.id).id
    for data in (b'{"rooms":7}', b'{"rooms":8}'):
        _publish(actor, "house.built", data)
    tests.send(actor, house.ids["Given up"])
    with engine() as running:
        running()
        with read() as session:
            again = session.scalars(_at(house.ids["Unreachable"]).limit(1)).one().public_id
        deliveries.retry(actor, again)
        running()


@contextmanager
def engine() -> Iterator[Callable[[], None]]:
    """What delivers, once a call, whatever is due."""
    sender = Sender(Egress(installed().allowed, certifi.where()))
    resolver = Resolver(local_names=True, on_ready=sender.wake)
    made = new_engine("builder", Wire(sender, resolver, 64), roll=lambda: 0)
    try:
        yield lambda: made.run(linger_s=0)
    finally:
        made.close()


def _publish(actor: Actor, event_type: str, data: bytes) -> str:
    system = organizations.system_of(_organization(actor))
    event = posted(event_type, data, business_unit="north")
    return events.publish(system, event, clock.now()).id


def _at(webhook: str) -> Select[tuple[Delivery]]:
    """The deliveries of a webhook, newest first."""
    return select(Delivery).join(Webhook).where(Webhook.public_id == webhook).order_by(Delivery.id.desc())


def _deliveries(house: House) -> None:
    """Name a delivery of each state, and one with two attempts."""
    s = DeliveryState
    tried, given_up = _at(house.ids["Unreachable"]), _at(house.ids["Given up"])
    newest = select(Delivery).order_by(Delivery.id.desc())
    wanted: dict[str, Select[tuple[Delivery]]] = {
        "delivered": newest.where(Delivery.state == s.DELIVERED),
        "failed": given_up.where(Delivery.kind == "normal"),
        "canceled": newest.where(Delivery.state == s.CANCELED),
        "skipped": _at(house.ids["off"]).where(Delivery.state == s.SKIPPED),
        "retrying": tried.where(Delivery.attempt_count == 1),
        "tried_twice": tried.where(Delivery.attempt_count == 2),
        "held": _at(house.ids["paused"]).where(Delivery.state == s.PENDING),
        "queued": _at(house.ids["on"]).where(Delivery.state == s.PENDING, Delivery.attempt_count == 0),
        "test": given_up.where(Delivery.kind == "test"),
    }
    with read() as session:
        for name, query in wanted.items():
            row = session.scalars(query.limit(1)).first()
            assert row is not None, f"no delivery is {name}"
            house.ids[name] = row.public_id
            house.ids[f"event_of_{name}"] = session.get_one(Event, row.event_id).public_id


def _replays(house: House, actor: Actor) -> None:
    for name in ("replay_stopped", "replay_running"):
        asked = LogQuery(webhook=(house.ids["failing"],))
        house.ids[name] = replays.start(
            actor, Wanted(asked, only_failed=False, leave_out_off=False), Order(rate=0.1, why="Stock-taking"), {}
        )
        if name == "replay_stopped":
            replays.stop(actor, house.ids[name])
    with write() as session:
        running = session.scalars(select(Replay).where(Replay.state == ReplayState.RUNNING)).one()
        running.next_at = clock.now() + HOUR_MS


def _broken(house: House, app: Flask) -> None:
    """Let a page fail, and keep what is answered."""
    view = app.view_functions["start.help"]
    client = app.test_client()
    client.set_cookie("postroom", house.cookies["admin"])
    try:
        for code, error in ((500, RuntimeError("on purpose")), (503, Unavailable("The database can't answer now."))):
            app.view_functions["start.help"] = _failing(view, error)
            answer = client.get("/help")
            assert answer.status_code == code
            house.broken[code] = dict(answer.headers), answer.data
    finally:
        app.view_functions["start.help"] = view


def _failing(view: Any, error: Exception) -> Any:
    @functools.wraps(view)
    def fail() -> None:
        raise error

    return fail
