"""`python -m benchmarks.screenshots`: take the pictures in docs/screenshots/ anew, of a scene played for them."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import scene
from benchmarks.server import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scene import Scene

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
PORT = 8300  # as it is by default, and as the documents say
LARGEST = 150 * 1024
SIZES = ((1280, 860), (375, 812))
SCHEMES = ("light", "dark")
SYSTEMS = ("contracts", "jobs", "vomo", "integrations", "reporting")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


def main() -> None:
    """Play the scene, run the server on it, and take every picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed.")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="postroom-scene-") as data_dir:
        port = PORT if _is_free(PORT) else free_port()
        environ = {"POSTROOM_DATA_DIR": data_dir, "POSTROOM_PORT": str(port), "POSTROOM_DISK_RESERVE_MB": "0"}
        played = scene.play(environ)
        FOLDER.mkdir(parents=True, exist_ok=True)
        with serving({**os.environ, **environ}, port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            _take_all(browser, f"http://127.0.0.1:{port}", played)
            browser.close()
    _check_sizes()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _take_all(browser: Any, address: str, played: Scene) -> None:
    state = _sign_in(browser, address)
    for width, height in SIZES:
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, storage_state=state, base_url=address
            )
            page = context.new_page()
            for name, path in _places(played):
                _take(page, path, f"{name}-{scheme}-{width}")
            if (width, scheme) == (1280, "light"):
                for name in SYSTEMS:
                    _take(page, f"/webhooks/{played.webhooks[name]}/edit", f"system-{name}")
            context.close()


def _places(played: Scene) -> Iterator[tuple[str, str]]:
    """The pictures by name, and where each is taken."""
    webhook, delivery = played.webhooks["jobs"], played.delivery
    yield "start", "/start"
    yield "webhooks", "/webhooks"
    yield "webhook", f"/webhooks/{webhook}"
    yield "webhook-form", f"/webhooks/new?from={webhook}"
    yield "log", f"/log?webhook={webhook}&open={delivery}"
    yield "delivery", f"/deliveries/{delivery}"
    yield "event", f"/events/{played.event}"
    yield "inbox", f"/inbox/{played.inbox}"
    yield "catalogue", "/catalogue"
    yield "system", "/system"


def _sign_in(browser: Any, address: str) -> Any:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/login")
    page.fill("[name=email]", scene.EMAIL)
    page.fill("[name=password]", scene.PASSWORD)
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
