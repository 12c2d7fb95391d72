"""A real server in a process of its own, an organization on it, and receivers that it can reach over https."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from app.core import raw
from tests.conftest import PASSWORD
from tests.support.receiver import Received, Receiver
from tests.support.visitor import PATIENCE_S, Page, Visitor

ROOT = Path(__file__).resolve().parents[2]
ADA = "ada@acme.test"
FINISHED = frozenset({"delivered", "failed", "canceled", "skipped"})

Subscribe = Callable[..., tuple[dict[str, Any], Receiver]]
NewReceiver = Callable[..., Receiver]


class Server:
    """A running Postroom with one organization, seen through its API and its pages."""

    def __init__(self, address: str, made: dict[str, str], environ: dict[str, str]) -> None:
        self.address = address
        self.organization = made["organization"]
        self.key = made["api_key"]
        self.environ = environ
        self._session = requests.Session()
        self._session.trust_env = False
        self._visitors: list[Visitor] = []

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> requests.Response:
        """Call the API; bytes are sent as they are, other bodies as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        url = f"{self.address}/api/v1{path}"
        return self._session.request(method, url, data=data, headers=headers, timeout=PATIENCE_S)

    def get(self, path: str) -> Any:
        """Read from the API."""
        return _told(self.call("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        """Post to the API, which must take it."""
        return _told(self.call("POST", path, body))

    def put(self, path: str, body: Any) -> Any:
        """Put to the API, which must take it."""
        return _told(self.call("PUT", path, body))

    def patch(self, path: str, body: Any) -> Any:
        """Patch by the API, which must take it."""
        return _told(self.call("PATCH", path, body))

    def publish(self, type: str, data: bytes | dict[str, Any] | None = None, **more: Any) -> Any:  # noqa: A002
        """Publish an event; without data, the example of its type. Bytes go out as they are written."""
        text = self.example(type) if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
        others = json.dumps({"type": type, **more}).encode()
        return self.post("/events", others[:-1] + b',"data":' + text + b"}")

    def example(self, type_name: str) -> bytes:
        """Return the example of an event type as the catalogue has it, byte for byte."""
        return raw.cut(self.call("GET", f"/event-types/{type_name}").content)["example"]

    def delivery_of(self, published: dict[str, Any], webhook: dict[str, Any]) -> dict[str, Any]:
        """Return the delivery that publishing made for a webhook."""
        return next(each for each in published["deliveries"] if each["webhook"] == webhook["id"])

    def finished(self, delivery_id: str) -> dict[str, Any]:
        """Return a delivery as soon as it has ended."""
        return self.until(lambda: self.get(f"/deliveries/{delivery_id}"), lambda found: found["state"] in FINISHED)

    def attempted(self, delivery_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Return a delivery's attempts as soon as there are so many."""
        found = self.until(
            lambda: self.get(f"/deliveries/{delivery_id}/attempts")["items"], lambda items: len(items) >= count
        )
        return sorted(found, key=lambda attempt: attempt["number"])

    def until(self, look: Callable[[], Any], is_it: Callable[[Any], bool]) -> Any:
        """Look again and again until it is so."""
        pause = threading.Event()
        for _ in range(round(PATIENCE_S / 0.02)):
            found = look()
            if is_it(found):
                return found
            pause.wait(0.02)
        raise AssertionError(f"it did not come to that: {found}")

    def command(self, *arguments: str) -> str:
        """Run a `postroom` command beside the server and return what it says."""
        return run_command(self.environ, *arguments)

    def visitor(self, email: str = ADA, password: str = PASSWORD) -> Visitor:
        """Return somebody who has signed in."""
        found = Visitor(self.address)
        self._visitors.append(found)
        assert found.sign_in(email, password).code == 200
        return found

    def add_member(self, admin: Visitor, name: str, role: str, units: tuple[str, ...] = ()) -> Visitor:
        """Let the admin add a member, who follows the invitation and chooses a password. E-mail: name@acme.test."""
        form = admin.look("/members/new").forms["/members/new"]
        ids = [_unit_id(admin.page, unit) for unit in units]
        made = admin.send(form, name=name.capitalize(), email=f"{name}@acme.test", role=role, units=ids)
        link = re.search(r"https?://[^\s\"<]+/invite/[^\s\"<]+", made.html)
        assert link is not None, made.text
        guest = Visitor(self.address)
        self._visitors.append(guest)
        page = guest.look(link[0].replace("&amp;", "&"))
        assert guest.send(next(form for form in page.forms.values() if form.method == "post"), password=PASSWORD)
        return guest

    def close(self) -> None:
        """Close every connection to it."""
        for visitor in self._visitors:
            visitor.close()
        self._session.close()


def _told(answer: requests.Response) -> Any:
    assert answer.ok, f"{answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def _unit_id(page: Page, name: str) -> str:
    found = re.search(rf'name="units" value="([^"]+)"[^>]*>(?:<[^>]+>)*\s*{re.escape(name)}', page.html)
    assert found is not None, f"the page offers no business unit {name}"
    return found[1]


# --- certificates and receivers


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The certificate authority that the servers trust."""
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What receivers present."""
    return _presented(authority)


@pytest.fixture(scope="session")
def untrusted_tls() -> ssl.SSLContext:
    """What a receiver presents whose certificate nobody trusts."""
    return _presented(trustme.CA())


def _presented(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def new_receiver(tls: ssl.SSLContext) -> Iterator[NewReceiver]:
    """Make receivers on https; answer 200 until told otherwise."""
    made: list[Receiver] = []

    def make(context: ssl.SSLContext = tls) -> Receiver:
        made.append(Receiver(tls=context))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


# --- the server


@contextmanager
def running(data_dir: Path, environ: dict[str, str]) -> Iterator[Server]:
    """Run `postroom serve` with an organization in a folder of its own."""
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith("POSTROOM_")},
        "PYTHONPATH": str(ROOT),
        "POSTROOM_DATA_DIR": str(data_dir),
        "POSTROOM_PORT": str(_free_port()),
        "POSTROOM_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        "POSTROOM_DISK_RESERVE_MB": "0",
        **environ,
    }
    made = run_command(
        environ, "init", "--organization", "Acme", "--admin-email", ADA, "--admin-password-file", "-", "--json"
    )
    with (data_dir / "log.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environ, stdout=log, stderr=log)
        server = Server(f"http://127.0.0.1:{environ['POSTROOM_PORT']}", json.loads(made), environ)
        try:
            _wait_for(server, process)
            yield server
        finally:
            server.close()
            process.terminate()
            process.wait(40)


def run_command(environ: dict[str, str], *arguments: str) -> str:
    """Run a `postroom` command and return what it says."""
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(command, env=environ, input=PASSWORD, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            return requests.get(f"{server.address}/readyz", timeout=1).ok
        except requests.ConnectionError:
            return False

    server.until(is_ready, bool)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Server]:
    """The one server that all five systems use; https only, as it is by default."""
    data_dir = tmp_path_factory.mktemp("server")
    ca_file = data_dir / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with running(data_dir, {"POSTROOM_CA_FILE": str(ca_file)}) as found:
        yield found


@pytest.fixture(scope="session")
def ada(server: Server) -> Visitor:
    """The admin, signed in at the pages."""
    return server.visitor()


@pytest.fixture
def subscribe(server: Server, new_receiver: NewReceiver) -> Iterator[Subscribe]:
    """Make a webhook to a receiver of its own and turn it on; gives both, the test payload already forgotten.

    `subscribe("vomo", events=["project.created"])`; `on=False` leaves it as it is after creating.
    """
    made: list[dict[str, Any]] = []

    def make(preset: str, *, on: bool = True, to: Receiver | None = None, **settings: Any) -> Any:
        receiver = to or new_receiver()
        wanted = {"name": f"{preset} {len(made)}", "url": receiver.url, "preset": preset, **settings}
        webhook = server.post("/webhooks", wanted)
        made.append(webhook)
        if on:
            test = server.post(f"/webhooks/{webhook['id']}/enable")["test_delivery"]
            server.finished(test)
            receiver.requests.clear()
        return webhook, receiver

    yield make
    for webhook in made:
        server.call("DELETE", f"/webhooks/{webhook['id']}")


def only(receiver: Receiver) -> Received:
    """Return the one request that came."""
    (found,) = receiver.wait_for(1)
    return found
