"""A fresh installation to measure: its own data directory, one organization, webhooks, events."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app import clock, create_app, schema
from app.config import read_settings
from app.extensions import db
from app.services import api_keys, event_types, organizations, webhooks
from app.services.events import Posted, publish_batch
from app.services.scope import Actor

if TYPE_CHECKING:
    from flask import Flask

DATA_1K = b'{"id":42,"name":"Roof repair","text":"' + b"x" * 950 + b'","total":1840.50}'


@dataclass(frozen=True, slots=True)
class Place:
    """An installation with one organization."""

    app: Flask
    data_dir: Path
    actor: Actor
    api_key: str
    environ: dict[str, str]


@contextmanager
def place(**options: str) -> Iterator[Place]:
    """Make an installation in a temporary folder. On PostgreSQL when BENCH_DATABASE_URL is given."""
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        environ = {
            "POSTROOM_DATA_DIR": folder,
            "POSTROOM_ALLOW_NETWORKS": "127.0.0.0/8",
            "POSTROOM_HTTPS_ONLY": "false",
            **options,
        }
        if os.environ.get("BENCH_DATABASE_URL"):
            environ["POSTROOM_DATABASE_URL"] = os.environ["BENCH_DATABASE_URL"]
        settings, _ = read_settings(environ)
        app = create_app(settings)
        schema.migrate(settings)
        with app.app_context():
            organizations.first_admin("Bench", "bench@postroom.test", "seven brown horses")
            actor = organizations.system_of(None)
            event_types.install(actor, "jobs")
            key = api_keys.create(actor, "bench", ["admin"]).key
            yield Place(app, Path(folder), actor, key, dict(environ))
            for engine in db.engines.values():
                engine.dispose()


def make_webhooks(at: Place, url: str, count: int) -> None:
    """Make `count` webhooks that take every event, turned on."""
    for number in range(count):
        made = webhooks.create(at.actor, {"name": f"Webhook {number}", "url": url})
        webhooks.turn_on(at.actor, made.webhook.id)


def publish_many(at: Place, count: int) -> None:
    """Publish `count` events of 1 KB in batches."""
    for start in range(0, count, 500):
        batch = [
            Posted("job.created", DATA_1K, hashlib.sha256(b"%d" % number).digest(), producer_id=f"e{number}")
            for number in range(start, min(start + 500, count))
        ]
        publish_batch(at.actor, batch, clock.now())
