"""demo: a month of events that looks, to every page and every rule, as if it had really happened."""

from __future__ import annotations

import hashlib
import re

import pytest
from sqlalchemy import select

from app import create_app
from app.cli.demo import cast
from app.cli.demo.fill import fill
from app.config import read_settings
from app.core import signing
from app.core.states import DeliveryState, Outcome
from app.database import read
from app.delivery import settings as delivery_settings
from app.extensions import db
from app.models import Attempt, AuditEntry, Delivery, Event, Organization, SentBody, Stat, Webhook
from app.services import deliveries, webhooks
from app.services.log import LogQuery, page
from app.services.organizations import system_of
from tests.support import rows
from tests.support.application import forget_everything

EVENTS = 250
ENOUGH = 1_200  # for every story to come about
# What the demo's stories need not contain, although the columns can be filled.
BY_CHANCE = {"status", "error", "message", "tls", "reason", "detail", "last_status", "last_error"}


@pytest.fixture
def filled(app, clock):
    """A demo organization, and what of it was written."""
    return fill("Acme", ENOUGH, 7, lambda _: None)


def test_demo_fills_an_empty_installation_that_can_then_be_looked_at(run, browser, settings):
    told = run("demo", "--no-live", "--events", "120", "--data-dir", str(settings.data_dir))

    assert told.exit_code == 0, told.output
    password = re.search(r"Sign in as maria\.silva@acme\.test with the password (\S+)", told.output)[1]
    assert "Wrong" not in browser.post("/login", data=_form(browser, "/login", password)).text
    for path, words in {
        "/webhooks": "Salesforce jobs",
        "/log?choose=webhook": "Old archive",
        "/events": "contract",
        "/members": "Priya Nair",
        "/units": "Provider BU",
        "/audit": "Staging copy",
        "/inbox": "Volunteer map",
        "/catalogue": "job.created",
    }.items():
        found = browser.get(path, follow_redirects=True)
        assert found.status_code == 200
        assert words in found.text, path


@pytest.fixture
def browser(migrated, settings):
    """A browser before the installation that a command filled, closed after the test."""
    found, _ = read_settings({**migrated, "POSTROOM_DATA_DIR": str(settings.data_dir)})
    forget_everything()
    app = create_app(found)
    yield app.test_client()
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def _form(browser, path, password):
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get(path).text)[1]
    return {"csrf_token": token, "email": "maria.silva@acme.test", "password": password}


def test_demo_leaves_an_installation_alone_that_is_in_use(run, migrated, settings, password_file):
    run("init", "--organization", "Real", "--admin-email", "ada@acme.test", "--admin-password-file", password_file)

    refused = run("demo", "--no-live", "--events", "50", "--data-dir", str(settings.data_dir))
    beside = run("demo", "--no-live", "--events", "50", "--data-dir", str(settings.data_dir), "--organization", "Trial")

    assert refused.exit_code == 1
    assert "There is an organization here already: Real." in refused.output
    assert beside.exit_code == 0, beside.output
    again = run("demo", "--no-live", "--events", "50", "--data-dir", str(settings.data_dir), "--organization", "Trial")
    assert "There is an organization Trial already." in again.output


def test_without_a_folder_demo_uses_one_of_its_own(run, settings):
    told = run("demo", "--no-live", "--events", "50")

    assert told.exit_code == 0, told.output
    assert (settings.data_dir / "demo" / "postroom.db").is_file()
    assert not (settings.data_dir / "postroom.db").exists()


def test_the_same_seed_makes_up_the_same_past(app, clock):
    for name in ("Acme", "Again"):
        fill(name, EVENTS, 7, lambda _: None)
    fill("Other", EVENTS, 8, lambda _: None)

    first, again, other = (_past(name) for name in ("Acme", "Again", "Other"))

    assert first == again
    assert first != other


def _past(organization):
    with read() as session:
        query = (
            select(Event.type, Event.data, Webhook.name, Delivery.state, Delivery.attempt_count, Delivery.last_status)
            .join(Delivery, Delivery.event_id == Event.id)
            .join(Webhook, Webhook.id == Delivery.webhook_id)
            .join(Organization, Organization.id == Event.organization_id)
            .where(Organization.name == organization)
        )
        # Inboxes have addresses of their own, so the rest is compared.
        return [tuple(row) for row in session.execute(query.order_by(Event.id, Webhook.id))]


def test_the_past_has_deliveries_in_every_state_and_webhooks_in_every_standing(filled, clock):
    _, written = filled
    actor = system_of("Acme")

    states = {row.state for row in rows.deliveries()}
    views = {view.settings["name"]: view for view in webhooks.list_all(actor)}

    assert written.events >= ENOUGH
    assert states >= {DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.FAILED, DeliveryState.SKIPPED}
    assert views["Salesforce jobs"].failing_since is not None
    assert views["Field app"].paused
    assert views["Old archive"].off_reason == "exhausted"
    assert views["Trade fair board"].off_reason == "gone"
    assert views["Staging copy"].off_reason == "by_person"
    assert views["Partner feed"].off_reason == "new"
    assert {view.settings["preset"] for view in views.values()} >= set(cast.PACKS)
    assert page(actor, LogQuery()).rows[0].created_at <= clock.now


def test_every_row_of_the_past_agrees_with_the_others(filled):
    with read() as session:
        counted = sum(row.count for row in session.scalars(select(Stat)) if row.measure in ("first", "later"))
    arrived = 0
    for delivery in rows.deliveries():
        tried = rows.attempts(delivery)
        assert [attempt.number for attempt in tried] == list(range(1, delivery.attempt_count + 1))
        assert all(attempt.started_at >= delivery.created_at for attempt in tried)
        if delivery.state is DeliveryState.DELIVERED:
            assert tried[-1].outcome is Outcome.SUCCEEDED
            assert delivery.last_status == tried[-1].status
            assert delivery.finished_at >= tried[-1].started_at
            arrived += delivery.kind == "normal"
        elif tried:
            assert tried[-1].outcome is not Outcome.SUCCEEDED
            assert delivery.last_error == tried[-1].error
    assert counted == arrived


def test_what_was_sent_in_the_past_has_the_right_signature(filled):
    checked = 0
    with read() as session:
        query = select(Delivery, Attempt).join(Attempt, Attempt.delivery_id == Delivery.id)
        for delivery, attempt in session.execute(query):
            kept = delivery_settings.of(delivery.webhook_id)
            body = session.get_one(SentBody, (delivery.event_id, attempt.body_digest))
            data = session.get_one(Event, delivery.event_id).data if body.has_data else b""
            sent = bytes(body.head) + bytes(data) + bytes(body.tail)
            assert hashlib.sha256(sent).digest() == bytes(attempt.body_digest)
            if kept.scheme is None:
                continue
            headers = dict(deliveries.headers(attempt.request_headers))
            keys = [key.secret for key in kept.keys]
            at_s = attempt.started_at // 1000
            assert signing.check(kept.scheme, keys, headers, sent, at_s, header=kept.signature_header).valid
            checked += 1
    assert checked > EVENTS


def test_a_delivery_of_the_past_has_the_columns_of_a_real_one(filled, publish, make_webhook, receiver, deliver, clock):
    real_at = clock.now
    publish("job.created", id="first")
    make_webhook(url=receiver.url, events=["job.created"])
    publish("job.created", b'{"id":1}', id="real")
    deliver()

    for table in (Event, Delivery, Attempt):
        real = rows.all_of(table)[-1]
        past = [row for row in rows.all_of(table) if _is_alike(row, real, real_at)]
        assert past, table.__name__
        assert _filled_columns(real) - BY_CHANCE <= set.union(*(_filled_columns(row) for row in past)), table.__name__
        for name in _filled_columns(past[0]) & _filled_columns(real):
            assert type(getattr(past[0], name)) is type(getattr(real, name)), f"{table.__name__}.{name}"


def _is_alike(row, real, real_at):
    """A row of the demo that ended as the real one did."""
    same = all(getattr(row, name, None) == getattr(real, name, None) for name in ("state", "outcome", "kind", "type"))
    return same and row is not real and getattr(row, "created_at", getattr(row, "started_at", 0)) < real_at


def _filled_columns(row):
    return {column.key for column in row.__table__.columns if getattr(row, column.key) is not None}


def test_who_did_what_is_on_record(filled, clock):
    with read() as session:
        entries = session.scalars(select(AuditEntry)).all()

    assert {"webhook.created", "webhook.turned_on", "webhook.turned_off", "webhook.paused"} <= {
        e.action for e in entries
    }
    assert all(entry.at <= clock.now for entry in entries)
