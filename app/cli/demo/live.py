"""Live traffic: events published through the intake about once a second, to inboxes that fail now and then."""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from app import clock, logs
from app.cli.demo import cast
from app.cli.demo.history import CONTEXT, PUBLIC_SHARE
from app.cli.demo.material import subjects_of
from app.errors import AppError
from app.services import event_types, events, inboxes
from app.services.events import Posted

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from app.cli.demo.material import Subject
    from app.cli.demo.scene import Scene

SHORTEST_S, LONGEST_S = 0.3, 2.0
FLIP_EVERY = 15
"""Events between two changes of what an inbox answers."""
TROUBLES = (("500", "200"), ("500", "500", "200"), ("close", "200"), ("429", "200"), ("after 20 s", "200"))


class Traffic:
    """A thread that publishes until it is stopped."""

    def __init__(self, app: Flask, made: Scene, seed: int, number: int) -> None:
        self._app, self._made, self._number = app, made, number
        self._chance = random.Random(seed + 1)  # noqa: S311  stories, not secrets
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)
        self._kinds = {name: kind for name, kind in cast.KINDS.items() if name not in cast.NEVER_LIVE}
        self._weights = list(accumulate(kind.weight for kind in self._kinds.values()))

    def start(self) -> Callable[[], None]:
        """Begin; return what ends it."""
        self._thread.start()
        return self.stop

    def stop(self) -> None:
        """End it, and wait for the event that is being published."""
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        with self._app.app_context():
            actor = self._made.actor
            examples = {name: bytes(event_types.find(actor, name).example) for name in self._kinds}
            subjects = subjects_of(examples, self._chance)
            producer = replace(actor, api_key_id=self._made.api_key_id)
            while not self._stop.wait(self._chance.uniform(SHORTEST_S, LONGEST_S)):
                self._number += 1
                name = self._chance.choices(list(self._kinds), cum_weights=self._weights)[0]
                try:
                    events.publish(producer, self._posted(name, self._chance.choice(subjects[name])), clock.now())
                    if self._number % FLIP_EVERY == 0:
                        self._flip()
                except AppError as error:  # somebody deleted a type or an inbox, or the server is stopping
                    logs.log("demo event not published", why=str(error))

    def _posted(self, name: str, subject: Subject) -> Posted:
        moment = datetime.fromtimestamp(clock.now() // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        data = subject.told(self._number, moment)
        units = self._kinds[name].units
        return Posted(
            name,
            data,
            hashlib.sha256(data).digest(),
            producer_id=f"{name.replace('.', '-')}-{clock.now():x}-{self._number}",
            status=subject.status,
            business_unit=self._chance.choice(units) if units else None,
            is_public=name.startswith("project.") and self._chance.random() < PUBLIC_SHARE,
            context=CONTEXT if name.startswith("integration_") else None,
        )

    def _flip(self) -> None:
        """Let one inbox be in trouble for its next requests."""
        inbox = self._chance.choice(list(self._made.inboxes.values()))
        inboxes.set_answers(self._made.actor, inbox, self._chance.choice(TROUBLES))
