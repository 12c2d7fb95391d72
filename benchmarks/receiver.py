"""A receiver that is never the limit: one process, epoll, answers 204 to every complete request."""

from __future__ import annotations

import multiprocessing
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from typing import Any

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
CLOCK = struct.Struct("<16sd")


class Receiver:
    """Where it listens, and how many requests it has answered."""

    def __init__(self, port: int, count: Synchronized[int], stamps: Any) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/in"
        self._count = count
        self._stamps = stamps

    @property
    def answered(self) -> int:
        """How many requests were answered."""
        return self._count.value

    def first_bytes(self) -> dict[bytes, float]:
        """When each request's first byte came, by the 16 characters that follow `"mark":"` in its body."""
        found = {}
        while not self._stamps.empty():
            found.update(self._stamps.get())
        return found


@contextmanager
def receiver(*, stamps: bool = False) -> Iterator[Receiver]:
    """Run a receiver in a process of its own."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    count = multiprocessing.Value("q", 0)
    queue: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(listener, count, queue if stamps else None), daemon=True)
    process.start()
    port = listener.getsockname()[1]
    listener.close()
    try:
        yield Receiver(port, count, queue)
    finally:
        process.terminate()
        process.join()


def _serve(listener: socket.socket, count: Synchronized[int], stamps: Any) -> None:
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    open_ones: dict[int, tuple[socket.socket, bytearray]] = {}
    seen: dict[bytes, float] = {}
    sent_at = time.time()
    while True:
        for number, _ in poll.poll(0.2):
            if number == listener.fileno():
                _accept(listener, poll, open_ones)
                continue
            connection, buffer = open_ones[number]
            now = time.time()
            try:
                chunk = connection.recv(262_144)
            except ConnectionError:
                chunk = b""
            if not chunk:
                poll.unregister(number)
                open_ones.pop(number)[0].close()
                continue
            buffer += chunk
            answered = _answer(connection, buffer, seen if stamps else None, now)
            with count.get_lock():
                count.value += answered
        if stamps is not None and seen and time.time() - sent_at > 0.2:
            stamps.put(seen)
            seen, sent_at = {}, time.time()


def _accept(listener: socket.socket, poll: select.epoll, open_ones: dict[int, tuple[socket.socket, bytearray]]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_ones[connection.fileno()] = (connection, bytearray())
        poll.register(connection.fileno(), select.EPOLLIN)


def _answer(connection: socket.socket, buffer: bytearray, seen: dict[bytes, float] | None, now: float) -> int:
    answered = 0
    while True:
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            break
        head = bytes(buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(buffer) < end + 4 + length:
            break
        if seen is not None:
            body = bytes(buffer[end + 4 : end + 4 + length])
            mark = body.find(b'"mark":"')
            if mark >= 0:
                seen.setdefault(body[mark + 8 : mark + 24], now)
        del buffer[: end + 4 + length]
        answered += 1
    if answered:
        connection.sendall(ANSWER * answered)
    return answered
