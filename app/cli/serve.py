"""serve and worker: start intake, engine and clockwork in this order, stop them in reverse."""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import click

from app import logs
from app.cli.lock import hold
from app.config import BadSetting, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

DRAIN_S = 30.0
STORAGE_EXIT = 70


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--no-deliver", is_flag=True, help="Pages and API only; delivery is done by `postroom worker`.")
def serve(host: str | None, port: int | None, no_deliver: bool) -> None:
    """Start the server: pages, API and, in the same process, delivery."""
    settings = prepared(host=host, port=port)
    Process(settings, delivers=not no_deliver, serves=True).run()


@click.command()
def worker() -> None:
    """Start a process that only delivers; several share a PostgreSQL database."""
    settings = prepared()
    Process(settings, delivers=True, serves=False).run()


def prepared(**given: Any) -> Settings:
    """Read the options and make the process ready to run with them."""
    os.environ.pop("SSLKEYLOGFILE", None)  # libcurl would write session keys there
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:2")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        settings, warnings = read_settings(**given)
    except BadSetting as error:
        raise click.ClickException(str(error)) from error
    logs.set_up(settings.log_format)
    for warning in warnings:
        logs.logger.warning(warning)
    return settings


class Process:
    """One server or worker process, from start to exit."""

    def __init__(
        self,
        settings: Settings,
        *,
        delivers: bool,
        serves: bool,
        beside: Callable[[Any], Callable[[], None]] | None = None,
    ) -> None:
        self._settings = settings
        self._delivers = delivers
        self._serves = serves
        self._beside = beside  # started with the application, once it delivers; returns what stops it
        self._signals = 0
        self._stop = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        self._interrupt: Callable[[], None] = lambda: None
        self._drained_by = 0.0
        self._exit_code = 0

    def run(self) -> None:
        """Run until a signal; exit 0 after a clean drain, 70 when the storage is broken."""
        from app import create_app, crypto, schema
        from app.database import StorageBroken
        from app.services import organizations

        held = hold(self._settings.data_dir) if self._settings.database.startswith("sqlite") or self._serves else None
        try:
            app = create_app(self._settings)
            schema.migrate(self._settings)
            with app.app_context():
                organizations.check_canary()
                self._go(app)
        except (StorageBroken, crypto.WrongKey) as error:
            click.echo(str(error), err=True)
            self._exit_code = STORAGE_EXIT
        finally:
            if held is not None:
                held.close()
        sys.exit(self._exit_code)

    def _go(self, app: Any) -> None:
        # What is loaded now stays: the collector need not look at it again, nor at every few hundred new objects.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        from app.services.intake import intake

        clockwork = engine = None
        intake.start(app.app_context)
        if self._delivers:
            engine, clockwork = self._start_delivering(app.app_context)
            self._interrupt = engine.interrupt
        stop_beside = self._beside(app) if self._beside is not None else None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if self._serves:
            self._serve(app, engine)
        else:
            logs.log("delivering", worker=engine.worker if engine else None)
            self._wait()
        if stop_beside is not None:
            stop_beside()
        intake.stop()
        if engine is not None and clockwork is not None:
            self._stop_delivering(engine, clockwork)
        self._close()
        logs.log("stopped")

    def _start_delivering(self, context: Callable[[], AbstractContextManager[Any]]) -> tuple[Any, Any]:
        from app import crypto
        from app.delivery.engine import new_engine
        from app.delivery.installed import installed
        from app.delivery.orders import Terms
        from app.delivery.transfer import Egress
        from app.delivery.wire_process import WireProcess
        from app.scheduler import Clockwork

        worker_name = f"{socket.gethostname()}-{os.getpid()}-{crypto.new_token()[:6]}"
        ca_file = str(self._settings.ca_file or certifi.where())
        if not Path(ca_file).is_file():
            raise click.ClickException(f"POSTROOM_CA_FILE: {ca_file} can't be read.")
        base = installed().base
        own = (base.host, base.port) if base else None
        egress = Egress(installed().allowed, ca_file, own, listening=frozenset({self._settings.port}))
        settings = self._settings
        local_names = bool(installed().allowed.networks)
        terms = Terms(
            egress,
            settings.concurrency,
            local_names,
            installed().preset_files,
            settings.log_format,
            settings.faults,
        )
        engine = new_engine(worker_name, WireProcess(terms))
        clockwork = Clockwork(engine, context, self._die)
        clockwork.start()
        return engine, clockwork

    def _stop_delivering(self, engine: Any, clockwork: Any) -> None:
        from app.delivery import queue
        from app.services import system

        engine.stop()
        if not clockwork.stop(max(1.0, self._drained_by - time.monotonic())):
            engine.interrupt()
            clockwork.stop(2.0)
        queue.let_go(engine.worker)
        system.leave(engine.worker)
        engine.close()

    def _on_signal(self, *_: object) -> None:
        self._signals += 1
        if self._signals > 1:
            self._interrupt()
        self._begin_stop()

    def _begin_stop(self) -> None:
        self._drained_by = time.monotonic() + (DRAIN_S if self._signals == 1 else 0)
        self._stop.set()
        self._wake()

    def _die(self) -> None:
        """The storage can't be trusted: send nothing more and exit, so that a restart recovers it."""
        self._exit_code = STORAGE_EXIT
        self._begin_stop()

    def _wait(self) -> None:
        while not self._stop.wait(1.0):
            pass
        logs.log("stopping; letting requests under way end")

    def _serve(self, app: Any, engine: Any) -> None:
        from app.cli.server import Server
        from app.services import system
        from app.services.intake import intake

        server = Server(app, self._settings)
        self._wake = server.wake
        self._announce()
        while not self._stop.is_set():
            server.turn(1.0)
        logs.log("stopping; letting requests under way end")
        system.begin_drain()
        intake.refuse()  # publishes get 503 from here on
        if engine is not None:
            engine.stop()
        server.refuse()
        while time.monotonic() < self._drained_by and (
            server.is_answering or (engine is not None and engine.in_flight)
        ):
            server.turn(0.05)  # waitress left alone would cut answers short
        server.close()

    def _announce(self) -> None:
        from app.services import organizations

        settings = self._settings
        click.echo(f"Data in {settings.data_dir}")
        link = organizations.make_setup_link(settings)
        if link:
            click.echo(f"Open {link}  (works once)")
        else:
            click.echo(f"Open {settings.address}/")
        sys.stdout.flush()

    def _close(self) -> None:
        from app import database
        from app.extensions import db

        database.checkpoint()
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
