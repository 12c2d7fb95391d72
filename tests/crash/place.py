"""A server as a real child process on a data directory of its own, to be killed and started again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 40.0
LOST = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)


class NotInTime(AssertionError):
    """Something that was waited for did not come."""


def wait_until(is_so: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, every_s: float = 0.02) -> None:
    """Wait for a condition; raise `NotInTime` when it doesn't come."""
    until, pause = time.monotonic() + patience_s, threading.Event()
    while not is_so():
        if time.monotonic() > until:
            raise NotInTime(f"{what}: not within {patience_s:g} s")
        pause.wait(every_s)


@dataclass
class Place:
    """An installation with one organization: where it lies, its port, and a key that may do everything."""

    folder: Path
    port: int
    key: str
    options: dict[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the servers have printed."""
        return self.folder.parent / "server.log"

    def spawn(self, **options: str) -> subprocess.Popen[bytes]:
        """Start a server and return at once."""
        chosen = {
            "DATA_DIR": str(self.folder),
            "PORT": str(self.port),
            "HTTPS_ONLY": "false",
            "ALLOW_NETWORKS": "127.0.0.0/8",
            "DISK_RESERVE_MB": "0",
            **self.options,
            **options,
        }
        environment = {"PATH": os.environ["PATH"], **{f"POSTROOM_{name}": text for name, text in chosen.items()}}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def start(self, **options: str) -> None:
        """Start the server and wait until it answers, or until a fault point has ended it."""
        self.child = self.spawn(**options)
        wait_until(lambda: self.answers() or self.child.poll() is not None, "the server answers")

    def answers(self) -> bool:
        """Whether the server can be reached."""
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except LOST:
            return False

    def kill(self) -> None:
        """End the server without a word."""
        assert self.child is not None
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(PATIENCE_S)

    def wait_for_death(self) -> int:
        """Wait until the server has ended; return its exit code (negative: the signal)."""
        assert self.child is not None
        return self.child.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask the server to stop; return its exit code."""
        assert self.child is not None
        self.child.terminate()
        return self.wait_for_death()

    def ask(
        self, method: str, path: str, body: Any = None, wire: http.client.HTTPConnection | None = None
    ) -> tuple[int, Any]:
        """Make one call; return status and answer. Raises one of `LOST` when no answer came."""
        mine = wire or self.connect()
        try:
            content = None if body is None else json.dumps(body)
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            mine.request(method, path, content, headers)
            answer = mine.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            if wire is None:
                mine.close()

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection for several calls."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def publish(self, event_id: str | None = None, wire: http.client.HTTPConnection | None = None) -> tuple[int, Any]:
        """Publish one event."""
        body = {"type": "job.created", "data": {"id": event_id}, **({"id": event_id} if event_id else {})}
        return self.ask("POST", "/api/v1/events", body, wire)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read from the database file, which the server may have open."""
        connection = sqlite3.connect(f"file:{self.folder / 'postroom.db'}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def write(self, statement: str) -> None:
        """Change the database file, whether the server lives or not."""
        connection = sqlite3.connect(self.folder / "postroom.db", isolation_level=None, timeout=10)
        try:
            connection.execute(statement)
        finally:
            connection.close()

    def waits(self) -> int:
        """How many deliveries are not finished."""
        return int(self.rows("SELECT count(*) FROM delivery WHERE state IN ('pending', 'sending')")[0][0])

    def drain(self) -> None:
        """Wait until every delivery has ended."""
        wait_until(lambda: not self.waits(), "every delivery ends")

    def attempts(self) -> list[tuple[str, int | None]]:
        """What the attempts came to, in order."""
        return self.rows("SELECT outcome, status FROM attempt ORDER BY delivery_id, number")

    def close(self) -> None:
        """End the server if there is one."""
        if self.child is not None and self.child.poll() is None:
            self.kill()
