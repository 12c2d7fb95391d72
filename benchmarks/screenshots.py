"""`python -m benchmarks.screenshots`: take the pictures in docs/screenshots/ anew, of demo data."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app import clock, create_app, schema
from app.cli.demo.fill import fill
from app.config import read_settings
from app.core import raw
from app.core.states import DeliveryState
from app.database import read
from app.extensions import db
from app.models import Delivery, Event, Webhook
from app.services import event_types, notifications
from app.services.events import Posted, publish
from benchmarks.server import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.cli.demo.scene import Scene

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
PORT = 8300  # as it is by default, and as the documents say
LARGEST = 200 * 1024
SIZES = ((1280, 860), (375, 812))
SCHEMES = ("light", "dark")
SYSTEMS = {
    "contracts": "Contract archive",
    "jobs": "Salesforce jobs",
    "vomo": "Volunteer map",
    "integrations": "Customer data sync",
    "reporting": "Provider reports",
}
EVENTS, SEED = 4_000, 1
SETTLES_S = 8
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


def main() -> None:
    """Fill an installation with demo data, run the server on it, and take every picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed.")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="postroom-demo-") as data_dir:
        port = PORT if _is_free(PORT) else free_port()
        environ = {"POSTROOM_DATA_DIR": data_dir, "POSTROOM_PORT": str(port), "POSTROOM_DISK_RESERVE_MB": "0"}
        subjects = _filled(environ)
        FOLDER.mkdir(parents=True, exist_ok=True)
        with serving({**os.environ, **environ}, port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            _take_all(browser, f"http://127.0.0.1:{port}", subjects)
            browser.close()
    _check_sizes()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@dataclass(frozen=True, slots=True)
class Subjects:
    """What pictures are taken of."""

    scene: Scene
    delivery: str
    event: str
    opened: str
    """A delivery that is opened in the log."""


def _filled(environ: dict[str, str]) -> Subjects:
    """Make the demo's organization, with a few events that the server delivers once it runs."""
    settings, _ = read_settings(environ)
    app = create_app(settings)
    schema.migrate(settings)
    with app.app_context():
        scene, _ = fill("Acme", EVENTS, SEED, lambda _: None)
        _publish_some(scene)
        delivery, event = _retried(scene.webhooks["Salesforce jobs"])
        opened, _ = _retried(scene.webhooks["Volunteer map"])
        while (notice := notifications.outlook(scene.actor).notice) is not None:  # the banner would be in every picture
            notifications.close(scene.actor, notice.id)
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    return Subjects(scene, delivery, event, opened)


def _publish_some(scene: Scene) -> None:
    """What the test inboxes are to have received: the history's requests went to them before they kept any."""
    for number, name in enumerate(("project.created", "user.created", "project.updated", "user.updated")):
        data = raw.compact(bytes(event_types.find(scene.actor, name).example))
        posted = Posted(name, data, hashlib.sha256(data).digest(), producer_id=f"{name.replace('.', '-')}-{number}")
        publish(scene.actor, posted, clock.now())


def _retried(webhook: str) -> tuple[str, str]:
    """The newest delivery of a webhook that took more than one attempt and arrived, and its event."""
    query = (
        select(Delivery.public_id, Event.public_id)
        .join(Event, Event.id == Delivery.event_id)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Webhook.public_id == webhook, Delivery.attempt_count > 1, Delivery.state == DeliveryState.DELIVERED)
        .order_by(Delivery.created_at.desc())
    )
    with read() as session:
        found = session.execute(query).first()
    assert found is not None, "chance made no delivery that took two attempts; choose another seed"
    return found[0], found[1]


def _take_all(browser: Any, address: str, subjects: Subjects) -> None:
    state = _sign_in(browser, address, subjects.scene)
    time.sleep(SETTLES_S)  # what was published last is delivered meanwhile
    for width, height in SIZES:
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, storage_state=state, base_url=address
            )
            page = context.new_page()
            for name, path in _places(subjects):
                _take(page, path, f"{name}-{scheme}-{width}")
            if (width, scheme) == (1280, "light"):
                for name, webhook in SYSTEMS.items():
                    _take(page, f"/webhooks/{subjects.scene.webhooks[webhook]}/edit", f"system-{name}")
            context.close()


def _places(subjects: Subjects) -> Iterator[tuple[str, str]]:
    """The pictures by name, and where each is taken."""
    scene, delivery = subjects.scene, subjects.delivery
    jobs, warehouse = scene.webhooks["Salesforce jobs"], scene.webhooks["Data warehouse"]
    yield "start", "/start"
    yield "webhooks", "/webhooks"
    yield "webhook", f"/webhooks/{warehouse}"
    yield "webhook-failing", f"/webhooks/{jobs}"
    yield "webhook-form", f"/webhooks/new?from={jobs}"
    yield "log", f"/log?webhook={scene.webhooks['Volunteer map']}&attempts=2&open={subjects.opened}"
    yield "delivery", f"/deliveries/{delivery}"
    yield "event", f"/events/{subjects.event}"
    yield "inbox", f"/inbox/{scene.inboxes['Volunteer map']}"
    yield "catalogue", "/catalogue"
    yield "system", "/system"


def _sign_in(browser: Any, address: str, scene: Scene) -> Any:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/login")
    page.fill("[name=email]", scene.email)
    page.fill("[name=password]", scene.password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    state = context.storage_state()
    context.close()
    return state


def _take(page: Any, path: str, name: str) -> None:
    page.goto(path, wait_until="load")
    page.wait_for_timeout(250)
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled", caret="hide")
    print(name)


def _check_sizes() -> None:
    """A picture that grew too large is a fault of the scene or of the page, not to be committed."""
    large = [file.name for file in FOLDER.glob("*.png") if file.stat().st_size > LARGEST]
    if large:
        sys.exit(f"larger than {LARGEST >> 10} KiB: {', '.join(large)}")


if __name__ == "__main__":
    main()
