"""A real server, a real browser, and somebody who uses them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app.config import read_settings
from tests.journeys import house as houses
from tests.journeys.house import House

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-gpu",
]
ROOT = Path(__file__).resolve().parents[2]
LINK = r"(?<=Open )http\S+"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys are walked last, each in the order in which it is written, whatever order other tests have."""
    here = Path(__file__).parent
    journeys = [item for item in items if item.path.parent == here]
    journeys.sort(key=lambda item: (item.path, item.reportinfo()[1] or 0))
    items[:] = [item for item in items if item.path.parent != here] + journeys


class Server:
    """A `postroom serve` on a data directory: its address and the set-up link that it printed."""

    def __init__(self, data_dir: Path, port: int, **options: str) -> None:
        self.options = options
        self.data_dir = data_dir
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.setup_link = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it says where it is."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        environ |= {"POSTROOM_DATA_DIR": str(self.data_dir), "POSTROOM_DISK_RESERVE_MB": "0"}
        environ |= {"POSTROOM_ALLOW_NETWORKS": "127.0.0.0/8", "POSTROOM_HTTPS_ONLY": "false", **self.options}
        command = [sys.executable, "-m", "app", "serve", "--port", str(self.port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
        self._process = process
        assert process.stdout is not None
        link = next((found[0] for line in process.stdout if (found := re.search(LINK, line))), None)
        assert link is not None, f"no address was printed; the server ended with {process.poll()}"
        self.setup_link = link

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        if self._process is not None and self._process.stdout is not None:
            self._process.terminate()
            self._process.wait(40)
            self._process.stdout.close()
            self._process = None


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on an empty data directory."""
    with running(Server(tmp_path_factory.mktemp("data"), free_port())) as found:
        yield found


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """A server that is started, and stopped in the end."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


Window = Callable[..., Any]


# --- an organization that has one of everything


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> House:
    """The house as it was built, to be copied."""
    data_dir = tmp_path_factory.mktemp("house") / "data"
    data_dir.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, data_dir / "postroom.db")
    found, _ = read_settings(
        {},
        data_dir=data_dir,
        port=free_port(),
        https_only=False,
        allow_networks=(ip_network("127.0.0.0/8"),),
        disk_reserve_mb=0,
    )
    return houses.build(found)


@pytest.fixture(scope="module")
def house(built: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A copy of the house, with its server running."""
    data_dir = tmp_path_factory.mktemp("copy") / "data"
    shutil.copytree(built.data_dir, data_dir)
    mail = {"POSTROOM_SMTP_URL": f"smtp://127.0.0.1:{free_port()}", "POSTROOM_MAIL_FROM": "postroom@acme.test"}
    with running(Server(data_dir, built.port, **mail)) as server:
        yield replace(built, server=server)


@pytest.fixture(scope="module")
def window(house: House, chromium: Any, complaints: Complaints) -> Iterator[Window]:
    """Open windows: `window("admin", java_script_enabled=False)`; their complaints are heard."""
    opened = []

    def open_for(who: str, **options: Any) -> Any:
        kept = {"viewport": {"width": 1280, "height": 900}, "base_url": house.address, **options}
        context = chromium.new_context(**kept)
        opened.append(context)
        if who in house.cookies:
            context.add_cookies([{"name": "postroom", "value": house.cookies[who], "url": house.address}])
        page = context.new_page()
        page.set_default_timeout(30_000)
        complaints.listen_to(page)
        page.add_init_script(WATCH)
        return page

    yield open_for
    for context in opened:
        context.close()


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
document.addEventListener("securitypolicyviolation", (event) => console.error("policy: " + event.violatedDirective));
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
    opened.set_default_timeout(30_000)
    complaints.listen_to(opened)
    opened.add_init_script(WATCH)
    yield opened
    context.close()
