"""`postroom demo`: fills an installation of its own with a month of demo data, then serves it with live traffic."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.cli.demo.history import Written
    from app.cli.demo.scene import Scene
    from app.config import Settings

ORGANIZATION = "Acme"
FOLDER = "demo"


@click.command()
@click.option(
    "--events", type=click.IntRange(50, 1_000_000), default=4_000, show_default=True, help="Events to make up."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes up the same past.")
@click.option("--organization", help="Its name. Needed where there is an organization already: a new one is made.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to put it; left out: the folder demo in the data directory, so that nothing real is touched.",
)
@click.option("--no-live", is_flag=True, help="Fill only; `postroom serve` with this data directory shows it.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
def demo(
    events: int,
    seed: int,
    organization: str | None,
    data_dir: Path | None,
    no_live: bool,
    host: str | None,
    port: int | None,
) -> None:
    """Fill a fresh organization with demo data, then serve it while events go on being published.

    The webhooks send to test inboxes of this server; some fail now and then. Ctrl-C ends it.
    """
    from app.cli.serve import Process, prepared

    settings = prepared(data_dir=data_dir or _own_folder(), host=host, port=port)
    made, written = _filled(settings, organization, events, seed)
    click.echo(f"{written.events:,} events and {written.deliveries:,} deliveries for {len(made.webhooks)} webhooks.")
    click.echo(f"Sign in as {made.email} with the password {made.password}")
    click.echo("The other members sign in with the same password.")
    if no_live:
        click.echo(f"To look at it: POSTROOM_DATA_DIR={settings.data_dir} postroom serve")
        return
    Process(settings, delivers=True, serves=True, beside=_traffic(made, seed, written)).run()


def _own_folder() -> Path:
    from app.config import read_settings

    settings, _ = read_settings()
    return settings.data_dir / FOLDER


def _filled(settings: Settings, organization: str | None, events: int, seed: int) -> tuple[Scene, Written]:
    from app import create_app, schema
    from app.cli.demo import scene
    from app.cli.demo.fill import fill
    from app.cli.lock import hold
    from app.extensions import db
    from app.services import organizations

    is_sqlite = settings.database.startswith("sqlite")
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(settings.data_dir) if is_sqlite else nullcontext():
        app = create_app(settings)
        schema.migrate(settings)
        with app.app_context():
            try:
                organizations.check_canary()
                scene.refuse_used(organization)
                with click.progressbar(length=events, label="Making up a month") as bar:
                    return fill(organization or ORGANIZATION, events, seed, bar.update)
            finally:
                db.session.remove()
                for engine in db.engines.values():
                    engine.dispose()


def _traffic(made: Scene, seed: int, written: Written) -> Callable[[Any], Callable[[], None]]:
    from app.cli.demo.live import Traffic

    return lambda app: Traffic(app, made, seed, 4_000 + written.events).start()
