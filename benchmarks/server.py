"""A real `postroom serve` in a process of its own, on a place that was prepared."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import Target
from benchmarks.place import Place

BARE = """
import sys
from flask import Flask
import logging
from waitress import serve
logging.getLogger('waitress.queue').setLevel(logging.ERROR)
app = Flask(__name__)
@app.post("/api/v1/events")
def publish():
    return b'{}', 202, {"Content-Type": "application/json"}
serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=int(sys.argv[2]), _quiet=True)
"""


@contextmanager
def postroom(at: Place, *flags: str) -> Iterator[int]:
    """Run the server on this place; gives its port."""
    port = free_port()
    with serving({**os.environ, **at.environ, "POSTROOM_PORT": str(port)}, port, *flags):
        yield port


@contextmanager
def serving(environ: dict[str, str], port: int, *flags: str) -> Iterator[None]:
    """Run the server with these options, which name its port."""
    with _process([sys.executable, "-m", "app", "serve", *flags], environ, port):
        yield


@contextmanager
def bare(threads: int) -> Iterator[int]:
    """Run the same server with a route that only answers 202; gives its port."""
    port = free_port()
    with _process([sys.executable, "-c", BARE, str(port), str(threads)], dict(os.environ), port):
        yield port


@contextmanager
def _process(command: list[str], environ: dict[str, str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(40)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not start in 20 s")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def publish_to(port: int, key: str, marks: str = "m") -> Target:
    """A publish of one event of 1 KB whose data carry the mark."""
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\n"
    )
    data = {"mark": "MARK", "id": 42, "name": "Roof repair", "text": "x" * 930, "total": 1840.5}
    body = json.dumps({"type": "job.created", "data": data, "id": "MARK"}, separators=(",", ":"))
    return Target(port, head.encode(), body.encode(), marks)
