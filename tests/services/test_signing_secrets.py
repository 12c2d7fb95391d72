"""Rotation: the old secret stays valid for a while, and no longer."""

from __future__ import annotations

import pytest

from app.database import read
from app.errors import Conflict, Invalid, NotFound, Refused
from app.models import Webhook
from app.services import signing_secrets, webhooks
from tests.support import rows

URL = "http://127.0.0.1:9001/hook"
DAY_MS = 86_400_000


@pytest.fixture
def made(owner):
    return webhooks.create(owner, {"name": "A", "url": URL})


def valid_at(hook, moment):
    with read() as session:
        return [secret.secret for secret in session.get_one(Webhook, hook.row_id).secrets_valid_at(moment)]


def test_both_secrets_are_valid_in_the_overlap_the_newest_first(made, owner, clock):
    rotated = signing_secrets.rotate(owner, made.webhook.id)

    assert rotated.previous_valid_until == clock.now + DAY_MS
    assert valid_at(made.webhook, clock.now + DAY_MS - 1) == [rotated.secret, made.secret]
    assert valid_at(made.webhook, clock.now + DAY_MS) == [rotated.secret]


def test_without_an_overlap_the_old_one_ends_at_once(made, owner, clock):
    rotated = signing_secrets.rotate(owner, made.webhook.id, overlap_ms=0)

    assert valid_at(made.webhook, clock.now) == [rotated.secret]


def test_a_second_rotation_never_lengthens_the_life_of_an_old_secret(made, owner, clock):
    signing_secrets.rotate(owner, made.webhook.id, overlap_ms=1000)
    signing_secrets.rotate(owner, made.webhook.id, overlap_ms=DAY_MS)

    assert made.secret in valid_at(made.webhook, clock.now + 999)
    assert made.secret not in valid_at(made.webhook, clock.now + 1000)


def test_a_leaked_secret_can_be_ended_at_once_with_all_before_it(made, owner, clock):
    signing_secrets.rotate(owner, made.webhook.id, overlap_ms=7 * DAY_MS)
    last = signing_secrets.rotate(owner, made.webhook.id, overlap_ms=0)

    assert valid_at(made.webhook, clock.now) == [last.secret]


@pytest.mark.parametrize("overlap_ms", [-1, 7 * DAY_MS + 1])
def test_the_overlap_is_at_most_a_week(overlap_ms, made, owner):
    with pytest.raises(Invalid):
        signing_secrets.rotate(owner, made.webhook.id, overlap_ms=overlap_ms)


def test_what_is_not_signed_cannot_be_rotated(owner):
    hook = webhooks.create(owner, {"name": "A", "url": URL, "signature": {"scheme": "none"}}).webhook

    with pytest.raises(Conflict):
        signing_secrets.rotate(owner, hook.id)


def test_a_rotation_is_on_record_without_the_secret(made, owner):
    rotated = signing_secrets.rotate(owner, made.webhook.id)

    (entry,) = rows.audited("webhook.secret_rotated")
    assert rotated.secret not in str(entry.changes)
    assert rows.webhook(made.webhook.id).version == made.webhook.version + 1


def test_it_takes_the_permission_for_secrets(made, member, stranger):
    with pytest.raises(Refused):
        signing_secrets.rotate(member, made.webhook.id)
    with pytest.raises(NotFound):
        signing_secrets.rotate(stranger, made.webhook.id)
