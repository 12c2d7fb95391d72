"""A sixth system, of the operator's own: a preset and a pack in the data directory, and no line of code."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from app.services import event_types, webhooks
from app.services.events import publish as publish_event
from tests.conftest import PASSWORD, posted
from tests.support.pages import Person, words

PRESET = """
title = "Parking"
summary = "One attempt, signed in X-Parking."
order = 20
signature = { scheme = "hex", header = "X-Parking" }
retry = { timeout = 5, delays = [7], jitter = 0, on_exhausted = "disable" }
test = { type = "parking.test", data = { hello = true } }

[envelope]
what = "{event.type}"
car = "{selection}"
"""
PACK = """
title = "Parking"

[[kind]]
name = "car"
title = "Car Events"

[[type]]
name = "car.parked"
kind = "car"
title = "Parked"
description = "A car has come."
example = '{"id": 1, "plate": "P-1"}'
"""


@pytest.fixture
def database(database):
    """The database, and beside it the operator's own files, there before the application starts."""
    for folder, text in (("presets", PRESET), ("packs", PACK)):
        (database.data_dir / folder).mkdir(parents=True)
        (database.data_dir / folder / "parking.toml").write_text(text, encoding="utf-8")
    return database


@pytest.fixture
def ada(owner, client):
    person = Person(client)
    person.sign_in("ada@acme.test", PASSWORD)
    return person


def test_own_presets_and_packs_are_offered_at_the_pages(ada):
    assert "Parking" in words(ada.look("/catalogue/packs"))
    page = words(ada.look("/webhooks/new?preset=parking"))
    assert "Parking" in page
    assert "One attempt, signed in X-Parking." in page


def test_they_shape_sign_and_retry_like_the_shipped_ones(owner, make_webhook, receiver, deliver, clock, states):
    event_types.install(owner, "parking")
    made = webhooks.create(owner, {"name": "Barrier", "url": receiver.url, "preset": "parking"})
    webhooks.turn_on(owner, made.webhook.id)
    receiver.answers(200, 500)
    deliver()
    publish_event(owner, posted("car.parked", b'{"id":1.50}'), clock.now)
    deliver()
    clock.advance(seconds=7)
    deliver()

    test, first, second = receiver.requests
    assert test.body == b'{"what":"parking.test","car":{"hello":true}}'
    assert first.body == second.body == b'{"what":"car.parked","car":{"id":1.50}}'
    assert first.headers["X-Parking"] == hmac.new(made.secret.encode(), first.body, hashlib.sha256).hexdigest()
    assert states() == [("delivered", [200]), ("failed", [500, 500])]
    assert not webhooks.find(owner, made.webhook.id).enabled
