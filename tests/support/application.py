"""One application for all tests of a process: its routes are made once, everything else is each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, QueuePool, event, make_url

from app import create_app, furnish
from app.extensions import db
from app.services import api_keys, routing, system
from tests.support import postgres

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings

KEPT = 4

_made: dict[str, tuple[Flask, dict[str, Any]]] = {}


@contextmanager
def opened(settings: Settings) -> Iterator[Flask]:
    """The application of an installation with http:// in its address, with its context pushed.

    Engines stay, with what they know of statements. What the test before did to the configuration is undone.
    """
    assert settings.address.startswith("http://"), "make one of your own"
    app, config = _one_for(settings)
    app.config.clear()
    app.config.update(config)
    furnish(app, settings)
    forget_everything()
    with app.app_context():
        for engine in db.engines.values():
            engine.url = make_url(settings.database)
        try:
            yield app
        finally:
            db.session.remove()
            for engine in db.engines.values():
                _rest(engine)


def _rest(engine: Engine) -> None:
    """Close the connections: to a file, as it is deleted; to a server, when they are many or still in use."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    if engine.dialect.name == "sqlite" or pool.checkedout() or pool.checkedin() > KEPT:
        engine.dispose()


def forget_everything() -> None:
    """Drop what services keep in memory of another test's database."""
    api_keys.forget_all()
    routing.forget_all()
    system.forget_all()


def _one_for(settings: Settings) -> tuple[Flask, dict[str, Any]]:
    kind = make_url(settings.database).drivername
    if kind not in _made:
        app = create_app(settings)
        app.testing = True
        with app.app_context():
            for engine in db.engines.values():
                _connect_where_it_says(engine)
        _made[kind] = app, dict(app.config)
    return _made[kind]


def _connect_where_it_says(engine: Engine) -> None:
    """Let an engine read its URL at each connection, so that it can be pointed elsewhere."""

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, _arguments: Any, _more: Any) -> Any:
        arguments, more = dialect.create_connect_args(engine.url)
        if dialect.name == "postgresql":
            more["application_name"] = postgres.KEPT
        return dialect.connect(*arguments, **more)
