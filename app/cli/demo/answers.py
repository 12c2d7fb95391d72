"""How the receivers of demo data answered: judged by the engine's own rules, from facts as a transfer leaves them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from app.core.outcome import Facts, Result, Timings, judge

if TYPE_CHECKING:
    import random

    from app.delivery.orders import DeliverySettings

PEER = "203.0.113.24:443"


@dataclass(frozen=True, slots=True)
class Answer:
    """One way a receiver answers: with a status, or by failing as libcurl's `code` says."""

    status: int = 200
    body: bytes = b""
    headers: bytes = b""
    code: int = 0
    dns_failed: str | None = None
    text: str = ""
    takes_ms: float | None = None  # about so long; None: as long as this receiver usually takes


FINE = Answer()
BUSY = Answer(503, b'{"error":"upstream timed out"}')
BROKEN = Answer(500, b'{"error":"internal error","reference":"7f3a91c2"}')
THROTTLED = Answer(429, b'{"error":"too many requests"}', headers=b"\r\nRetry-After: 30")
GONE = Answer(410, b'{"error":"this board was taken down"}')
STOCK_TAKING = Answer(503, b'{"error":"maintenance","until":"18:00"}')
READ_ONLY = Answer(500, b'{"error":"this archive is read-only since August"}')
UNAUTHORIZED = Answer(401, b'{"error":"unknown user"}')
SILENT = Answer(code=28, takes_ms=-1)
REFUSED = Answer(code=7, takes_ms=1.4)
RESET = Answer(code=56, takes_ms=180)
UNTRUSTED = Answer(code=60, text="SSL certificate problem: certificate has expired", takes_ms=44)
UNKNOWN_HOST = Answer(dns_failed="no such host", takes_ms=2.2)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver's habits: what it answers, what goes wrong now and then, when it was in trouble."""

    fine: Answer = Answer(200, b'{"ok":true}')
    usual_ms: float = 90.0
    slips: tuple[tuple[float, Answer], ...] = ()
    """Shares of the attempts that are answered otherwise."""
    troubles: tuple[tuple[int, int, Answer], ...] = ()
    """From and until which moment (milliseconds since 1970 UTC) every attempt is answered so."""
    is_inbox: bool = False

    def answer(self, at: int, chance: random.Random) -> Answer:
        """What it answers to an attempt at `at`."""
        for begin, end, answer in self.troubles:
            if begin <= at < end:
                return answer
        if self.slips:
            roll = chance.random()
            for share, answer in self.slips:
                if roll < share:
                    return answer
                roll -= share
        return self.fine


class Wire:
    """Turns answers into results for one webhook, as if they had come over the wire."""

    def __init__(self, settings: DeliverySettings, receiver: Receiver, chance: random.Random) -> None:
        self._settings, self._receiver, self._chance = settings, receiver, chance
        self._judged: dict[tuple[Answer, int], Result] = {}
        self._spread = [chance.lognormvariate(0, 0.45) for _ in range(256)]

    def result(self, at: int) -> Result:
        """What an attempt at `at` came to."""
        answer = self._receiver.answer(at, self._chance)
        roll = self._chance.getrandbits(8)
        kept = self._judged.get((answer, roll))
        if kept is None:
            kept = self._judged[answer, roll] = self._judge(answer, self._spread[roll], at)
        if kept.status is None:
            return kept._replace(started_at=at)
        return kept._replace(started_at=at, headers=((b"Date", _http_date(at // 1000)), *kept.headers))

    def _judge(self, answer: Answer, spread: float, at: int) -> Result:
        url = self._settings.url
        assert url is not None, "no story sends to a URL that can't be used"
        is_answered = not answer.code and answer.dns_failed is None
        facts = Facts(
            code=answer.code,
            text=answer.text,
            gate_passed=answer.code not in (7, 28) or answer is SILENT,
            dns_failed=answer.dns_failed,
            head=self._head(answer) if is_answered else b"",
            head_complete=is_answered,
            body=self._body(answer) if is_answered else b"",
            received=len(self._body(answer)) if is_answered else 0,
            peer=self._peer() if answer.dns_failed is None and answer is not REFUSED else None,
            timings=self._timings(answer, spread),
            timeout_ms=self._settings.retry.timeout_ms,
            tls_version="TLSv1.3" if url.is_https and is_answered else None,
        )
        return judge(facts, url, self._settings.success_codes, at)

    def _head(self, answer: Answer) -> bytes:
        if self._receiver.is_inbox:
            rest = b"Content-Type: text/plain; charset=utf-8\r\nServer: Postroom"
        else:
            rest = b"Server: nginx\r\nContent-Type: application/json\r\nX-Request-Id: 4be1c07d5a"
        head = b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n%b" % (answer.status, len(self._body(answer)), rest)
        return head + answer.headers + b"\r\n"

    def _body(self, answer: Answer) -> bytes:
        return b"%d\n" % answer.status if self._receiver.is_inbox else answer.body

    def _peer(self) -> str:
        url = self._settings.url
        assert url is not None
        return f"127.0.0.1:{url.port}" if self._receiver.is_inbox else PEER

    def _timings(self, answer: Answer, spread: float) -> Timings:
        if answer is SILENT:
            limit = self._settings.retry.timeout_ms
            return Timings(0.0, 11.2, 24.8, 0.0, limit + 0.4)
        first = round((answer.takes_ms or self._receiver.usual_ms) * spread, 3)
        if answer.code or answer.dns_failed:
            return Timings(total_ms=first)
        if self._receiver.is_inbox or spread < 1:  # on a connection that was used before
            return Timings(first_byte_ms=first, total_ms=round(first + 0.2, 3))
        dns, connect, tls = 1.8, round(11 * spread, 3), round(26 * spread, 3)
        first = round(first + dns + connect + tls, 3)
        return Timings(dns, connect, tls, first, round(first + 0.6, 3))


@lru_cache(4096)
def _http_date(second: int) -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode()
