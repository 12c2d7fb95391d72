"""A receiver on loopback: answers as told and keeps what it got, or plays a script byte by byte.

    with Receiver() as receiver:
        receiver.answers(503, 204)
        ...
        assert receiver.requests[0].headers["webhook-id"] == "evt_1"

A script gets each connection in a thread of its own: `Receiver(lambda wire: wire.send(b"SSH-2.0-x\\r\\n"))`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

PATIENCE_S = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Headers(Mapping[str, str]):
    """Headers by name, in any case; of a name that came twice, the last."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._values = {name.lower(): value for name, value in pairs}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self.pairs)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: `head` and `body` are its bytes, `connection` counts from 1, `at` is monotonic."""

    method: str
    path: str
    headers: Headers
    head: bytes
    body: bytes
    connection: int
    at: float


class Gone(Exception):
    """The other side has closed the connection, or the receiver is being closed."""


def answer(status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """Write an answer with its Content-Length."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Something"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Wire:
    """One accepted connection, in the hands of a script."""

    def __init__(self, receiver: Receiver, connection: socket.socket, number: int) -> None:
        self.receiver = receiver
        self.socket = connection
        self.number = number
        self._buffer = b""

    def read_request(self) -> Received:
        """Read and record the next request; `Gone` when none comes any more."""
        head = self._read_until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, path, _ = first.split(" ", 2)
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        headers = Headers(pairs)
        body = self._read_exactly(int(headers.get("content-length", "0")))
        request = Received(method, path, headers, head, body, self.number, time.monotonic())
        self.receiver._record(request)
        return request

    def send(self, data: bytes) -> None:
        """Send all of it; `Gone` when nobody takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            raise Gone from None

    def cork(self) -> None:
        """Keep back what is sent until `uncork`, so that it leaves in as few packets as possible."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def uncork(self) -> None:
        """Let it go."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def drip(self, data: bytes, every_ms: int, *, endless: bool = False) -> None:
        """Send it one byte at a time."""
        while True:
            for index in range(len(data)):
                self.send(data[index : index + 1])
                self.pause(every_ms)
            if not endless:
                return

    def flood(self, data: bytes) -> None:
        """Send the same again and again, as fast as it goes, until the other side has had enough."""
        while True:
            self.send(data)

    def pause(self, duration_ms: int) -> None:
        """Let time pass; `Gone` when the receiver closes meanwhile."""
        if self.receiver._closing.wait(duration_ms / 1000):
            raise Gone

    def stay_silent(self) -> None:
        """Read and say nothing until the other side closes."""
        with contextlib.suppress(OSError, Gone):
            while self._receive():
                pass
        raise Gone

    def hold(self) -> None:
        """Neither read nor write until the receiver closes."""
        self.receiver._closing.wait(PATIENCE_S)
        raise Gone

    def half_close(self) -> None:
        """Send the end of the stream (FIN), and go on reading."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close in order."""
        self.socket.close()

    def reset(self) -> None:
        """Close with a RST."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except OSError:
            raise Gone from None

    def _read_until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            chunk = self._receive()
            if not chunk:
                raise Gone
            self._buffer += chunk
        end += len(mark)
        taken, self._buffer = self._buffer[:end], self._buffer[end:]
        return taken

    def _read_exactly(self, size: int) -> bytes:
        parts, missing = [self._buffer[:size]], size - len(self._buffer[:size])
        self._buffer = self._buffer[size:]
        while missing > 0:
            chunk = self._receive()
            if not chunk:
                raise Gone
            parts.append(chunk[:missing])
            self._buffer = chunk[missing:]
            missing -= len(chunk)
        return b"".join(parts)


Script = Callable[[Wire], object]


class Receiver:
    """Listens on a port that the system chose. Without a script it answers each request: 200 unless told otherwise.

    `connections` counts those that were accepted, `ended` those of them that are closed.
    """

    def __init__(
        self, script: Script | None = None, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = 0
        self._script = script or _answer_each
        self._tls = tls
        self._answers: list[bytes] = [OK]
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="receiver", daemon=True).start()

    @property
    def url(self) -> str:
        """Where to send to."""
        return self.at("127.0.0.1" if self.host == "0.0.0.0" else self.host)

    def at(self, host: str, path: str = "/hook") -> str:
        """The same port under another host name or path."""
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{self.port}{path}"

    def answers(self, *answers: int | bytes) -> None:
        """Answer the next requests so, in turn; the last answer stays. Numbers are statuses, bytes go as they are."""
        prepared = [answer(each) if isinstance(each, int) else each for each in answers]
        with self._news:
            self._answers = prepared or [OK]

    def hold(self) -> None:
        """Take requests, but keep every answer back until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Give the answers that were held back, and all to come."""
        self._open.set()

    def wait_for(self, count: int, patience_s: float = PATIENCE_S) -> list[Received]:
        """Return the requests as soon as there are `count`; fail when they don't come."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) >= count, patience_s):
                raise AssertionError(f"{len(self.requests)} requests came, not {count}")
            return list(self.requests)

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._closing.set()
        self._open.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._news:
            open_ones = list(self._sockets)
        for connection in open_ones:
            # Closed by the thread that serves it: TLS writes to a number, which by then could be another test's file.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._news:
                self.connections += 1
                self._sockets.add(connection)
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), name="receiver-wire", daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        plain = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with self._news:
                    self._sockets.add(connection)
                _shake_hands(connection)
            self._script(Wire(self, connection, number))
        except (Gone, OSError):
            pass
        finally:
            with self._news:
                self._sockets -= {plain, connection}
            connection.close()
            plain.close()
            with self._news:
                self.ended += 1

    def _record(self, request: Received) -> None:
        with self._news:
            self.requests.append(request)
            self._news.notify_all()

    def _next_answer(self) -> bytes:
        with self._news:
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def _shake_hands(connection: ssl.SSLSocket) -> None:
    """After a refusal, wait for the other side to read the alert: closing at once would destroy it by a RST."""
    try:
        connection.do_handshake()
    except ssl.SSLError:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while socket.socket.recv(connection, 65536):  # raw bytes: there is no TLS any more
                pass
        raise


def _answer_each(wire: Wire) -> None:
    while True:
        wire.read_request()
        data = wire.receiver._next_answer()
        wire.receiver._open.wait()
        wire.send(data)
