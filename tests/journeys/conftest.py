"""A real server, a real browser, and somebody who uses them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys are walked last, each in the order in which it is written, whatever order other tests have."""
    here = Path(__file__).parent
    journeys = [item for item in items if item.path.parent == here]
    journeys.sort(key=lambda item: (item.path, item.reportinfo()[1] or 0))
    items[:] = [item for item in items if item.path.parent != here] + journeys


@dataclass(frozen=True, slots=True)
class Server:
    """A running `postroom serve`: its address and the set-up link that it printed."""

    address: str
    setup_link: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on an empty data directory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    environ |= {"POSTROOM_DATA_DIR": str(tmp_path_factory.mktemp("data")), "POSTROOM_DISK_RESERVE_MB": "0"}
    environ |= {"POSTROOM_ALLOW_NETWORKS": "127.0.0.0/8", "POSTROOM_HTTPS_ONLY": "false"}
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        link = next((found[0] for line in process.stdout if (found := re.search(r"http\S+/setup\S+", line))), None)
        assert link is not None, f"no set-up link was printed; the server ended with {process.poll()}"
        yield Server(f"http://127.0.0.1:{port}", link)
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    if CHROMIUM is None:
        pytest.skip("left out: Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


# An attribute that htmx refused is a fault of ours; the policy's own reports stand in the console already.
WATCH = """
document.addEventListener("htmx:security:strip", (event) => console.error("strip: " + event.target.outerHTML));
"""


class Complaints(list[str]):
    """What the browser complained about: script errors, refused scripts and styles, stripped attributes."""

    def listen_to(self, page: Any) -> None:
        """Hear what a page's console says."""
        page.on("pageerror", lambda error: self.append(f"error: {error}"))
        page.on("console", lambda message: self._hear(message))

    def _hear(self, message: Any) -> None:
        serious = message.type in {"error", "warning"} and "favicon" not in message.text
        expected = "the server responded with a status of 4" in message.text
        if serious and not expected:
            self.append(f"{message.type}: {message.text}")


@pytest.fixture(scope="module")
def complaints() -> Complaints:
    """What the browser complained about during a module."""
    return Complaints()


@pytest.fixture(scope="module")
def page(chromium: Any, complaints: Complaints) -> Iterator[Any]:
    """A window of somebody who is new here; the same one through a module."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    complaints.listen_to(opened)
    opened.add_init_script(WATCH)
    yield opened
    context.close()
