"""Load on a server from a process of its own: keep-alive clients over raw sockets."""

from __future__ import annotations

import multiprocessing
import select
import socket
import statistics
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what: the head of a request without Content-Length, and a body with `MARK` to fill in."""

    port: int
    head: bytes
    body: bytes
    marks: str = "m"

    def request(self, number: int) -> bytes:
        """One request, with a mark of 16 characters that nobody else has."""
        body = self.body.replace(b"MARK", f"{self.marks}{number:0{16 - len(self.marks)}d}".encode())
        return b"%bContent-Length: %d\r\n\r\n%b" % (self.head, len(body), body)


def closed_loop(target: Target, clients: int, requests: int) -> float:
    """Let `clients` send one request after another, `requests` in all; return requests a second. All must be 202."""
    return float(_elsewhere(_closed_loop, target, clients, requests))


def open_loop(target: Target, rate: float, seconds: float) -> tuple[dict[bytes, float], float]:
    """Send at fixed moments whatever comes back; return when each mark was sent, and the worst lag in ms."""
    sent, lag = _elsewhere(_open_loop, target, rate, seconds)
    return sent, lag


def _elsewhere(work: Any, *arguments: Any) -> Any:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(work, arguments)


def _closed_loop(target: Target, clients: int, requests: int) -> float:
    poll, lines = select.epoll(), {}
    for _ in range(clients):
        line = socket.create_connection(("127.0.0.1", target.port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.fileno()] = line
        poll.register(line.fileno(), select.EPOLLIN)
    sent = answered = 0
    began = time.perf_counter()
    for line in lines.values():
        line.sendall(target.request(sent))
        sent += 1
    while answered < requests:
        for number, _ in poll.poll(10):
            line = lines[number]
            answer = line.recv(65536)
            assert answer.startswith(b"HTTP/1.1 202"), answer[:300]
            _read_rest(line, answer)
            answered += 1
            if sent < requests:
                line.sendall(target.request(sent))
                sent += 1
    return requests / (time.perf_counter() - began)


def _read_rest(line: socket.socket, answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    at = head.lower().find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += line.recv(65536)


def _open_loop(target: Target, rate: float, seconds: float) -> tuple[dict[bytes, float], float]:
    poll = select.epoll()
    free: list[socket.socket] = []
    busy: dict[int, socket.socket] = {}
    sent: dict[bytes, float] = {}
    worst = 0.0
    began = time.time()
    total = int(rate * seconds)
    number = 0
    while number < total or busy:
        due = began + number / rate
        wait = max(0.0, due - time.time()) if number < total else 0.2
        for descriptor, _ in poll.poll(wait):
            line = busy.pop(descriptor)
            answer = line.recv(65536)
            assert answer.startswith(b"HTTP/1.1 202"), answer[:300]
            _read_rest(line, answer)
            free.append(line)
        if number >= total or time.time() < due:
            continue
        if free:
            line = free.pop()
        else:
            line = socket.create_connection(("127.0.0.1", target.port))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(line.fileno(), select.EPOLLIN)
        request = target.request(number)
        now = time.time()
        worst = max(worst, (now - due) * 1000)
        line.sendall(request)
        sent[f"{target.marks}{number:0{16 - len(target.marks)}d}".encode()] = now
        busy[line.fileno()] = line
        number += 1
    return sent, worst


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values don't exceed."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]
