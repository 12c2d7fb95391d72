"""An installation that is served by a child process, prepared without starting one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from app import create_app
from app.extensions import db
from app.services import event_types, organizations, webhooks
from tests.conftest import PASSWORD, switch_on
from tests.crash.place import Place
from tests.support.application import forget_everything

if TYPE_CHECKING:
    from pathlib import Path

    from app.config import Settings

MakePlace = Callable[..., Place]


@pytest.fixture
def make_place(settings: Settings, sqlite_template: Path) -> Iterator[MakePlace]:
    """Make an installation with a webhook that is on: `make_place(url=receiver.url, **settings of the webhook)`."""
    made: list[Place] = []

    def make(*, url: str, **webhook: Any) -> Place:
        settings.data_dir.mkdir(mode=0o700)
        shutil.copyfile(sqlite_template, settings.data_dir / "postroom.db")
        app = create_app(settings)
        forget_everything()
        with app.app_context():
            admin = organizations.first_admin("Acme", "ada@acme.test", PASSWORD, with_key=True)
            actor = organizations.system_of(None)
            event_types.create(actor, {"name": "job.created"})
            view = webhooks.create(actor, {"name": "Hooks", "url": url, "owner": "ada@acme.test", **webhook}).webhook
            switch_on(actor, view.id)
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
        assert admin.api_key is not None
        made.append(Place(settings.data_dir, settings.port, admin.api_key))
        return made[-1]

    yield make
    for place in made:
        place.close()
