"""What is kept of a webhook in memory: until it changes, and no longer."""

from __future__ import annotations

import pytest

from app.database import write
from app.delivery import queue, settings
from app.models import Webhook
from app.services import signing_secrets, webhooks


@pytest.fixture
def hook(make_webhook):
    return make_webhook(url="http://127.0.0.1:9001/hook", name="Billing")


def test_a_webhook_is_read_once_and_then_kept(hook):
    assert settings.of(hook.row_id) is settings.of(hook.row_id)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda actor, hook: webhooks.edit(actor, hook.id, {"url": "http://127.0.0.1:9002/"}), id="edit"),
        pytest.param(lambda actor, hook: webhooks.turn_off(actor, hook.id), id="turn off"),
        pytest.param(lambda actor, hook: webhooks.pause(actor, hook.id), id="pause"),
        pytest.param(lambda actor, hook: signing_secrets.rotate(actor, hook.id), id="rotate"),
        pytest.param(lambda actor, hook: webhooks.delete(actor, hook.id), id="delete"),
    ],
)
def test_every_change_is_seen_by_the_next_who_asks(change, hook, owner):
    before = settings.of(hook.row_id)

    change(owner, hook)

    assert settings.of(hook.row_id) != before


def test_a_deleted_webhook_is_gone(hook, owner):
    webhooks.delete(owner, hook.id)

    assert settings.of(hook.row_id) is None


def test_a_change_by_another_process_is_noticed_by_its_version(hook, publish, clock):
    publish()
    before = settings.of(hook.row_id)
    with write() as session:
        row = session.get_one(Webhook, hook.row_id)
        row.max_in_flight, row.version = 2, row.version + 1
    assert settings.of(hook.row_id) is before

    settings.keep_only({line.webhook_id: line.version for line in queue.look(clock.now, "worker-1").lines})

    assert settings.of(hook.row_id).max_in_flight == 2


def test_a_change_while_a_webhook_is_being_read_is_not_overlooked(hook, owner, monkeypatch):
    real = settings._load

    def interfered(webhook_ids):
        monkeypatch.setattr(settings, "_load", real)
        old = real(webhook_ids)
        webhooks.turn_off(owner, hook.id)
        return old

    settings.forget(hook.row_id)
    monkeypatch.setattr(settings, "_load", interfered)

    assert not settings.of(hook.row_id).is_on
    assert not settings.of(hook.row_id).is_on


def test_an_unchanged_webhook_is_not_read_again(hook):
    before = settings.of(hook.row_id)

    settings.keep_only({hook.row_id: before.version})

    assert settings.of(hook.row_id) is before


def test_an_ordered_webhook_has_one_in_flight_whatever_it_says(make_webhook):
    hook = make_webhook(url="http://127.0.0.1:9001/", ordered=True, max_in_flight=10)

    assert settings.of(hook.row_id).max_in_flight == 1


def test_an_expired_secret_is_not_used_any_more(hook, owner, clock):
    old = settings.of(hook.row_id).keys_at(clock.now)
    new = signing_secrets.rotate(owner, hook.id, overlap_ms=1000).secret

    found = settings.of(hook.row_id)

    assert found.keys_at(clock.now) == [new, *old]
    assert found.keys_at(clock.now + 1000) == [new]
