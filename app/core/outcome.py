"""What one attempt came to, and what follows from it: `judge` and `decide`, pure and total."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from app.core.retry import Exhausted, RetryPolicy, retry_after_ms
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason

if TYPE_CHECKING:
    from app.core.urls import Url

HEADERS_KEPT = 100
HEADER_BYTES_KEPT = 1024
CONNECT_LIMIT_MS = 5_000
OUR_FAULT_WAIT_MS = 5_000
LOCATION_SHOWN = 200
HEADS_KEPT = 512
"""Answers' heads that are kept as they were read: receivers say the same again and again."""
LONGEST_KEPT = 1024
"""Bytes of a head that is kept."""

# RFC 9112 §4, stricter than libcurl, which reads `HTTP/1.1 2000 OK` and `200OK` as 200.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})( [^\n]*)?\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}( [^\n]*)?\r?\n")

_BY_CODE = {
    5: ErrorClass.DNS,
    6: ErrorClass.DNS,
    7: ErrorClass.REFUSED,
    0: ErrorClass.BAD_HTTP,
    1: ErrorClass.BAD_HTTP,
    8: ErrorClass.BAD_HTTP,
    23: ErrorClass.BAD_HTTP,
    61: ErrorClass.BAD_HTTP,
    100: ErrorClass.BAD_HTTP,
    35: ErrorClass.TLS,
    58: ErrorClass.TLS,
    60: ErrorClass.TLS,
    66: ErrorClass.TLS,
    77: ErrorClass.TLS,
    83: ErrorClass.TLS,
    91: ErrorClass.TLS,
}
_TIMED_OUT = 28
_OUR_MEMORY = frozenset({2, 27})
_OUR_VALIDATION = frozenset({3, 4, 43, 48, 49, 67})
_ENDED_BY_PEER = frozenset({52, 55, 56})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# libcurl's and OpenSSL's words on the left, ours on the right; the first that occurs is taken.
_CERTIFICATE = (
    ("self-signed", "self-signed"),
    ("self signed", "self-signed"),
    ("unable to get local issuer", "issued by an unknown authority"),
    ("unable to get issuer", "issued by an unknown authority"),
    ("has expired", "expired"),
    ("not yet valid", "not valid yet"),
    ("subject name", "made out for another host"),
    ("common name", "made out for another host"),
    ("too weak", "signed in an outdated way"),
    ("too small", "its key is too short"),
    ("unsuitable certificate purpose", "not made for servers"),
)
_HANDSHAKE = (
    ("wrong version number", "This port doesn't speak TLS"),
    ("packet length too long", "This port doesn't speak TLS"),
    ("unsupported protocol", "The receiver speaks only outdated versions of TLS"),
    ("alert protocol version", "The receiver speaks only outdated versions of TLS"),
    ("certificate required", "The receiver asks for a client certificate"),
    ("alert bad certificate", "The receiver doesn't accept this client certificate"),
    ("alert unknown ca", "The receiver doesn't accept this client certificate"),
    ("alert handshake failure", "The receiver refused the TLS handshake; it may ask for a client certificate"),
)


# Named tuples, because each attempt makes one of each: a frozen dataclass of this size takes three times as long.


class Timings(NamedTuple):
    """How long each step took, in milliseconds; on a connection that was used before, connect and TLS are 0."""

    dns_ms: float = 0.0
    connect_ms: float = 0.0
    tls_ms: float = 0.0
    first_byte_ms: float = 0.0
    total_ms: float = 0.0


class Facts(NamedTuple):
    """Everything one transfer left behind. `code` and `text` are libcurl's and never shown to users."""

    code: int = 0
    text: str = ""
    gate_passed: bool = False
    refused: str | None = None
    """What forbade the request, in words for users: "10.0.0.5 is a private address, which is blocked"."""
    lasting: bool = False
    """The refusal holds until somebody edits something: it does not hang on what a name resolves to today."""
    again: bool = False
    """libcurl wanted to send the request a second time and was stopped."""
    dirty: bool = False
    """The connection was not fit for use; nothing was sent on it."""
    local: str | None = None
    """A cause on this machine (descriptors, memory, a bug), for the operator."""
    dns_failed: str | None = None
    head: bytes = b""
    """Status line and headers of the last block, as far as they came, without the blank line: see `last_block`."""
    head_complete: bool = False
    header_bytes_capped: bool = False
    body: bytes = b""
    body_capped: bool = False
    received: int = 0
    """Bytes of the body that arrived before it ended or was cut."""
    peer: str | None = None
    started_at: int = 0
    timings: Timings = Timings()
    timeout_ms: int = 0
    tls_version: str | None = None
    removed_late: bool = False
    """Taken off the wire because the kernel received megabytes that never became an answer."""


class Result(NamedTuple):
    """What an attempt came to. `message` is a sentence for users: no text of libcurl, no resolved address."""

    outcome: Outcome
    status: int | None = None
    error: ErrorClass | None = None
    message: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    truncated: bool = False
    retry_after_ms: int | None = None
    asked: str | None = None
    """"disable" or "abort-message", from the answer's header `webhook-delivery`."""
    free: bool = False
    """Does not use the retry budget: its cause lies on our side."""
    final: bool = False
    """Trying again cannot help until somebody edits the webhook."""
    timings: Timings = Timings()
    peer: str | None = None
    started_at: int = 0
    tls_version: str | None = None
    response_size: int = 0
    """Bytes of the answer's body: as announced where it was cut, else as received."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: for the delivery, for its webhook (`turn_off`), and for all that waits there (`lane_wait_ms`)."""

    state: DeliveryState
    wait_ms: int | None = None
    reason: Reason | None = None
    turn_off: Reason | None = None
    lane_wait_ms: int | None = None


DELIVERED = Decision(DeliveryState.DELIVERED)
"""What follows from nearly every attempt."""


class _Answer(NamedTuple):
    """What a complete final header block says; `status` is None when there is none."""

    status: int | None = None
    fields: tuple[tuple[bytes, bytes], ...] = ()
    asked: str | None = None
    announced: int | None = None


_NO_ANSWER = _Answer()


class _Verdict(NamedTuple):
    outcome: Outcome
    error: ErrorClass | None
    message: str
    free: bool = False
    final: bool = False


def last_block(received: bytes) -> tuple[bytes, bool]:
    """Return the last header block of an answer, and whether it is a final one that came whole.

    `received` is all that libcurl took for header lines: interim blocks (RFC 9110 §15.2) come before the final one,
    trailers after it, and a block whose first line only libcurl takes for a status ends the reading.
    """
    return _kept_last_block(received) if len(received) <= LONGEST_KEPT else _last_block(received)


def _last_block(received: bytes) -> tuple[bytes, bool]:
    start = 0
    while True:
        blank = received.find(b"\n\r\n", start)
        bare = received.find(b"\n\n", start, blank + 1 if blank >= 0 else len(received))
        end = (bare if bare >= 0 else blank) + 1
        if end == 0:
            return received[start:], False
        status = received[start : received.index(b"\n", start) + 1]
        if not _INTERIM.fullmatch(status):
            return received[start:end], _STATUS_LINE.fullmatch(status) is not None
        start = end + (1 if received[end] == 10 else 2)


_kept_last_block = lru_cache(HEADS_KEPT)(_last_block)  # saves the search through a head that came before


def judge(facts: Facts, url: Url, success_codes: tuple[str, ...], now_at: int) -> Result:
    """Return what the attempt came to. Never raises, whatever the receiver sent.

    Only a complete final header block decides by its status: libcurl reports 200 for an answer that broke off
    inside its headers. `success_codes` are three digits, or a class such as "2xx".
    """
    answer = _read_head(facts)
    status = answer.status
    if status is None:
        return _result(facts, _unanswered(facts, url), answer, None)
    if is_among(status, success_codes):
        return _result(facts, _accepted(facts, status), answer, None)
    verdict = _Verdict(Outcome.FAILED, ErrorClass.STATUS, _status_sentence(status, answer.fields, now_at))
    return _result(facts, verdict, answer, _asked_wait(answer.fields, now_at))


def decide(
    result: Result, policy: RetryPolicy, *, tries: int, attempts_allowed: int, kind: DeliveryKind, roll: int
) -> Decision:
    """Return what follows from `result`, the end of try `tries` (counted from 1, interruptions left out).

    Tests have one try and tell nothing about their webhook's health, so they never turn it off nor make it wait.
    """
    if result.free:
        wait = OUR_FAULT_WAIT_MS if result.outcome is Outcome.INTERRUPTED else 0
        return Decision(DeliveryState.PENDING, wait_ms=wait)
    if kind is DeliveryKind.TEST:
        ended = result.outcome is Outcome.SUCCEEDED
        return DELIVERED if ended else Decision(DeliveryState.FAILED, reason=Reason.TEST_FAILED)
    asked_off = Reason.ASKED if result.asked == "disable" else None
    if result.outcome is Outcome.SUCCEEDED:
        return DELIVERED if asked_off is None else Decision(DeliveryState.DELIVERED, turn_off=asked_off)
    if result.status == HTTPStatus.GONE:
        return Decision(DeliveryState.FAILED, reason=Reason.GONE, turn_off=Reason.GONE)
    lane_wait = result.retry_after_ms if result.status in (429, 503) else None
    if result.asked == "abort-message":
        return Decision(DeliveryState.FAILED, reason=Reason.ASKED, lane_wait_ms=lane_wait)
    if result.final:
        return Decision(DeliveryState.FAILED, reason=Reason.REFUSED_BY_RULE)
    if tries >= attempts_allowed:
        spent = Reason.EXHAUSTED if policy.on_exhausted is Exhausted.DISABLE else None
        return Decision(DeliveryState.FAILED, None, Reason.EXHAUSTED, asked_off or spent, lane_wait)
    wait = policy.wait_after(tries, result.retry_after_ms, roll)
    return Decision(DeliveryState.PENDING, wait_ms=wait, turn_off=asked_off, lane_wait_ms=lane_wait)


def _read_head(facts: Facts) -> _Answer:
    """The answer, when a final block came whole and nothing of ours forbade the transfer."""
    if not facts.head_complete or not facts.gate_passed or facts.refused or facts.local or facts.dirty:
        return _NO_ANSWER
    head = facts.head
    return _kept_answer(head) if len(head) <= LONGEST_KEPT else _answer(head)


def _answer(head: bytes) -> _Answer:
    line, _, rest = head.partition(b"\n")
    match = _STATUS_LINE.fullmatch(line + b"\n")
    if match is None:
        return _NO_ANSWER
    fields = _fields(rest)
    return _Answer(int(match[1]), fields, _asked_for(fields), _announced(fields))


_kept_answer = lru_cache(HEADS_KEPT)(_answer)  # saves taking a head apart that came before


def _fields(block: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Header lines as pairs; a folded line belongs to the one before it (RFC 9112 §5.2)."""
    fields: list[tuple[bytes, bytes]] = []
    for line in block.split(b"\n"):
        if line[:1] in (b" ", b"\t") and fields:
            name, value = fields[-1]
            fields[-1] = name, (value + b" " + line.strip())[:HEADER_BYTES_KEPT]
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        if len(fields) == HEADERS_KEPT:
            break
        fields.append((name[:HEADER_BYTES_KEPT], value.strip()[:HEADER_BYTES_KEPT]))
    return tuple(fields)


def _values(fields: tuple[tuple[bytes, bytes], ...], name: bytes) -> list[bytes]:
    return [value for key, value in fields if key.lower() == name]


@lru_cache(4096)
def is_among(status: int, codes: tuple[str, ...]) -> bool:
    """Whether a final status is in the list, as itself or as its class; an interim one never is."""
    text = str(status)
    return status >= 200 and (text in codes or f"{text[0]}xx" in codes)


def _accepted(facts: Facts, status: int) -> _Verdict:
    """The receiver has it. What then happens to the body is worth a note, not a second delivery."""
    line = _phrase(status)
    if facts.body_capped or facts.removed_late:
        return _Verdict(Outcome.SUCCEEDED, ErrorClass.TOO_LARGE, f"{line}, answer cut at 64 KiB")
    if facts.code == _TIMED_OUT:
        return _Verdict(Outcome.SUCCEEDED, ErrorClass.LATE, f"{line}, but its body didn't end in time")
    if facts.code:
        return _Verdict(Outcome.SUCCEEDED, ErrorClass.INCOMPLETE, f"{line}, but its body is incomplete")
    return _Verdict(Outcome.SUCCEEDED, None, line)


def _unanswered(facts: Facts, url: Url) -> _Verdict:
    if facts.refused:
        return _Verdict(Outcome.BLOCKED, ErrorClass.BLOCKED, f"{facts.refused}; nothing was sent", final=facts.lasting)
    if facts.local or facts.code in _OUR_MEMORY:
        return _Verdict(Outcome.INTERRUPTED, ErrorClass.INTERRUPTED, _our_fault(facts), free=True)
    if facts.dns_failed:
        return _Verdict(Outcome.FAILED, ErrorClass.DNS, f"Host name not found: {url.host} ({facts.dns_failed})")
    if facts.code in _OUR_VALIDATION:
        words = "This request can't be sent as it is; check the URL and the headers"
        return _Verdict(Outcome.FAILED, ErrorClass.BLOCKED, words, final=True)
    error = _class_of(facts, url)
    return _Verdict(Outcome.FAILED, error, _failure_sentence(error, facts, url), free=facts.again or facts.dirty)


def _class_of(facts: Facts, url: Url) -> ErrorClass:
    if facts.again or facts.dirty:
        return ErrorClass.RESET
    if facts.header_bytes_capped or facts.removed_late:
        return ErrorClass.BAD_HTTP
    if facts.code == _TIMED_OUT:
        return ErrorClass.TIMEOUT if facts.gate_passed else ErrorClass.CONNECT_TIMEOUT
    # TLS 1.3 tells a client that its certificate is missing only after the handshake, as an alert.
    if facts.code in _ENDED_BY_PEER and url.is_https and not facts.head and "alert" in facts.text:
        return ErrorClass.TLS
    return _BY_CODE.get(facts.code, ErrorClass.RESET)


def _our_fault(facts: Facts) -> str:
    if facts.gate_passed:
        return "The server stopped during the request; the receiver may have got it"
    return "The server had to stop before the request; nothing was sent"


def _failure_sentence(error: ErrorClass, facts: Facts, url: Url) -> str:
    match error:
        case ErrorClass.DNS:
            return f"Host name not found: {url.host}"
        case ErrorClass.REFUSED:
            return f"Connection refused by {url.host}:{url.port}"
        case ErrorClass.CONNECT_TIMEOUT:
            return f"No connection within {_seconds(min(CONNECT_LIMIT_MS, facts.timeout_ms))}"
        case ErrorClass.TIMEOUT:
            return f"No answer within {_seconds(facts.timeout_ms)} (connected, request sent)"
        case ErrorClass.TLS:
            return _tls_sentence(facts)
        case ErrorClass.BAD_HTTP:
            return "Unreadable answer"
        case _:
            return "Connection closed before an answer"


def _tls_sentence(facts: Facts) -> str:
    text = facts.text.lower()
    if facts.code == 77:
        return "This server can't read its list of certificate authorities; tell its operator"
    if facts.code == 58:
        return "The client certificate of this webhook can't be used"
    for sign, words in _CERTIFICATE:
        if sign in text:
            return f"Certificate not trusted: {words}"
    return next((words for sign, words in _HANDSHAKE if sign in text), "The TLS handshake failed")


def _status_sentence(status: int, fields: tuple[tuple[bytes, bytes], ...], now_at: int) -> str:
    if status in _REDIRECTS:
        location = next(iter(_values(fields, b"location")), b"")
        where = "".join(c for c in location.decode("latin-1") if c.isascii() and c.isprintable())[:LOCATION_SHOWN]
        return f"{status}, not followed; it points to {where}" if where else f"{status}, not followed"
    asked = _asked_wait(fields, now_at)
    if status == HTTPStatus.TOO_MANY_REQUESTS and asked is not None:
        return f"429, asks for {_seconds(asked)}"
    return _phrase(status)


@lru_cache(1024)
def _phrase(status: int) -> str:
    """The code with its registered name: what the receiver wrote there may be anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1000:g} s"


def _asked_wait(fields: tuple[tuple[bytes, bytes], ...], now_at: int) -> int | None:
    """Retry-After, when it is there once: two that differ say nothing."""
    values = set(_values(fields, b"retry-after"))
    return retry_after_ms(values.pop(), now_at) if len(values) == 1 else None


def _asked_for(fields: tuple[tuple[bytes, bytes], ...]) -> str | None:
    for value in _values(fields, b"webhook-delivery"):
        word = value.strip().lower()
        if word in (b"disable", b"abort-message"):
            return word.decode()
    return None


def _announced(fields: tuple[tuple[bytes, bytes], ...]) -> int | None:
    """The size of the body by its Content-Length, the first if there are several."""
    value = next(iter(_values(fields, b"content-length")), b"")
    return int(value) if value.isdigit() and len(value) <= 18 else None


def _result(facts: Facts, verdict: _Verdict, answer: _Answer, retry_after_ms: int | None) -> Result:
    size = facts.received
    if facts.body_capped and answer.announced is not None:
        size = max(size, answer.announced)
    return Result(  # in the order of its fields: naming them costs as much again
        verdict.outcome,
        answer.status,
        verdict.error,
        verdict.message,
        answer.fields,
        facts.body,
        facts.body_capped or facts.removed_late,
        retry_after_ms,
        answer.asked,
        verdict.free,
        verdict.final,
        facts.timings,
        facts.peer,
        facts.started_at,
        facts.tls_version,
        size,
    )
