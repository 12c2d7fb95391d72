"""One request: every option libcurl is given, the gate it must pass, the caps on its answer, the facts it leaves."""

from __future__ import annotations

import errno
import io
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pycurl

from app import clock
from app.core.addresses import port_refusal
from app.core.headers import name_problem
from app.core.outcome import CONNECT_LIMIT_MS, Facts, Timings, last_block
from app.delivery.gate import local_end
from app.faults import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.core.addresses import Allowed
    from app.core.urls import Url
    from app.delivery.gate import Connection, Gate
    from app.delivery.resolver import Answer

CAP = 64 * 1024
CURL_VERSION = pycurl.version
MOST_SOCKETS = 16

# No names in pycurl for these; libcurl takes integer options by number.
_DISALLOW_USERNAME_IN_URL = 278
_CA_CACHE_TIMEOUT = 321

# What libcurl would otherwise do stands beside each: none of it may happen.
_CONSTANT: tuple[tuple[int, Any], ...] = (
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),  # speak file, gopher, ftp, ws
    (_DISALLOW_USERNAME_IN_URL, 1),  # turn userinfo into an Authorization header
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.PROXY, ""),  # unset: http_proxy and ALL_PROXY decide
    (pycurl.NETRC, pycurl.NETRC_IGNORED),  # add a `default` entry's credentials to every host
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),  # send refused HTTP/2 streams again unasked
    (pycurl.HTTP09_ALLOWED, 0),  # take a banner for an answer
    (pycurl.PATH_AS_IS, 1),  # rewrite /a/../b
    (pycurl.NOSIGNAL, 1),
    (pycurl.POST, 1),
    (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
    (pycurl.MAXAGE_CONN, 30),
    (pycurl.MAXLIFETIME_CONN, 300),
    (_CA_CACHE_TIMEOUT, 300),  # keep a CA bundle for a day after the operator replaced it
)
_BAD_HEADER = "A header breaks the rules for headers, which blocks the request"
_OUR_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


@dataclass(slots=True)  # not frozen: one is made for each attempt, and freezing costs 1 µs
class Request:
    """What is to be sent. `headers` are complete and in their order on the wire, but for Host and Content-Length."""

    url: Url
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_ms: int
    verify_ssl: bool = True
    ca: bytes | None = None
    client_certificate: bytes | None = None
    fresh: bool = False
    own_inbox: bool = False

    @property
    def head(self) -> bytes:
        """Request line and headers as they go over the wire, byte for byte."""
        url = self.url
        host = f"[{url.host}]" if ":" in url.host else url.host
        port = "" if url.text.startswith(f"{url.scheme}://{host}{url.path}") else f":{url.port}"
        lines = [f"POST {url.path} HTTP/1.1", f"Host: {host}{port}"]
        lines += [f"{name}: {value}" if value else f"{name}:" for name, value in self.headers]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


@dataclass(frozen=True, slots=True)
class Egress:
    """What the operator lets out.

    `own` is where this server is found: for the test inbox and nobody else. `listening` are further ports of its
    own, behind a proxy for example: closed on every address of this machine, whatever is allowed.
    """

    allowed: Allowed
    ca_file: str
    own: tuple[str, int] | None = None
    listening: frozenset[int] = frozenset()


class Transfer:
    """A libcurl handle, used for one request after another, and what the present one has left behind so far.

    The callbacks run inside libcurl: they append bytes and compare counters. An exception that left one would
    stop every flight, so each that could raise turns whatever happens into a fact.
    """

    # With slots the thirty attributes are found at once: as many don't fit into what instances of a class share.
    __slots__ = (
        *("handle", "_gate", "_on_open", "_settled", "_url", "_limits"),
        *("key", "request", "addresses", "started_at", "began", "redialled", "_dns_ms", "_before_ms", "_lines"),
        *("connection", "baseline", "passed", "again", "dirty", "lasting", "refused", "local", "dns_failed"),
        *("peer", "tls_version", "_tls_records", "_dialled", "_opened"),
        *("_headers", "_body", "body_capped", "received"),
    )
    key: int
    request: Request
    addresses: tuple[str, ...]
    started_at: int
    redialled: bool
    connection: Connection | None
    baseline: int | None
    """Bytes the kernel had received on the connection when it was first looked at; None: not yet."""
    refused: str | None
    local: str | None
    dns_failed: str | None
    peer: str | None
    tls_version: str | None
    _opened: list[tuple[int, int]]
    _headers: io.BytesIO
    """The header lines of all blocks, as they came. libcurl itself stops at 300 KiB; what we read ends at 64."""
    _body: bytes | bytearray
    _url: str | None
    """The URL that the handle was given last."""
    _limits: tuple[int, bool, bool] | None
    """Time limit, freshness and encryption that it was given last."""

    def __init__(self, gate: Gate, on_open: Callable[[int], object]) -> None:
        """`on_open` is told of every new descriptor: what was known of its number belongs to the past."""
        self.handle = pycurl.Curl()
        self._headers = io.BytesIO()
        self._gate = gate
        self._on_open = on_open
        self.settle()

    def settle(self) -> None:
        """Forget every option, then set those that are the same for all requests."""
        handle = self.handle
        handle.reset()
        for option, value in _CONSTANT:
            handle.setopt(option, value)
        handle.setopt(pycurl.SSL_VERIFYPEER, 1)
        handle.setopt(pycurl.SSL_VERIFYHOST, 2)
        handle.setopt(pycurl.CAINFO, self._gate.egress.ca_file)  # the wheel has none of its own
        handle.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        handle.setopt(pycurl.PREREQFUNCTION, self._pass_gate)
        handle.setopt(pycurl.HEADERFUNCTION, self._headers.write)  # line by line, without a step through Python
        handle.setopt(pycurl.WRITEFUNCTION, self._take_body)
        handle.setopt(pycurl.DEBUGFUNCTION, self._take_note)
        self._settled = True
        self._url = self._limits = None

    def settle_later(self) -> None:
        """Forget every option once the present request has ended: the handle may not be touched before."""
        self._settled = False

    def prepare(self, key: int, request: Request, answer: Answer) -> bool:
        """Make the handle ready to dial; False: it must not or cannot be dialled, and the facts say why."""
        self.key = key
        self.request = request
        self.addresses = answer.addresses
        self.started_at = clock.now()
        self.redialled = False
        self._dns_ms = self._before_ms = answer.took_ms
        self._begin()
        if not answer.addresses:  # never without: libcurl would look the name up itself
            self.dns_failed = answer.failed or "the name has no address"
            return False
        self.refused, self.lasting = self._refusal()
        return self.refused is None and self._set_options(fresh=request.fresh)

    def redial(self) -> bool:
        """Make ready for the same attempt on a fresh connection, with the time that is left; False: it cannot."""
        self.redialled = True
        self._before_ms += (time.monotonic() - self.began) * 1000
        self._begin()
        return self._set_options(fresh=True)

    def facts(self, code: int, text: str, *, removed_late: bool = False) -> Facts:
        """Return what this attempt left behind; `code` and `text` are libcurl's."""
        received = self._headers.getvalue()
        head, complete = last_block(received[:CAP])
        return Facts(  # in the order of its fields: naming them costs as much again
            code,
            text,
            self.passed,
            self.refused,
            self.lasting,
            self.again,
            self.dirty,
            self.local,
            self.dns_failed,
            head,
            complete,
            len(received) > CAP,
            bytes(self._body),
            self.body_capped,
            self.received,
            self.peer,
            self.started_at,
            self._timings(),
            self.request.timeout_ms,
            self.tls_version,
            removed_late,
        )

    def release(self) -> None:
        """Let go of request and connection; a handle with settings of one webhook alone forgets them."""
        if self.connection is not None:
            self.connection.tls_records += self._tls_records
        if not self._settled:
            self.settle()

    def _begin(self) -> None:
        self.began = time.monotonic()
        self.connection = None
        self.baseline = None
        self.passed = self.again = self.dirty = self.lasting = self.body_capped = self._dialled = False
        self.refused = None
        self.local = None
        self.dns_failed = None
        self.peer = None
        self.tls_version = None
        self.received = self._tls_records = 0
        self._opened = []
        self._headers.seek(0)
        self._headers.truncate()
        self._body = b""

    def _refusal(self) -> tuple[str | None, bool]:
        """The rule that forbids this request, and whether it holds whatever its name resolves to."""
        request, url = self.request, self.request.url
        rule = None if request.own_inbox else port_refusal(url.port, self._gate.egress.allowed)
        if rule is not None:
            return f"Port {url.port} is {rule} and blocked", True
        # libcurl sends header strings unchecked: a line end in one would begin another header, or another request.
        try:
            self._lines = [
                _start_of_line(name) + value if value else _start_of_line(name)[:-2] + ";"
                for name, value in request.headers
            ]
        except ValueError:
            return _BAD_HEADER, True
        text = "".join(self._lines)
        if not (text.isascii() and text.isprintable()):
            return _BAD_HEADER, True
        # One forbidden address refuses the whole name: which of them is dialled is not ours to choose.
        for address in self.addresses:
            rule = self._gate.refusal(request, address, url.port)
            if rule is not None:
                return self._in_words(rule), url.host_is_literal
        return None, False

    def _in_words(self, rule: str) -> str:
        """Name an address only where it stands in the URL: messages must not become a port scanner."""
        url = self.request.url
        verb = "is" if url.host_is_literal else "resolves to"
        return f"{url.host} {verb} {rule}, which is blocked"

    def _set_options(self, *, fresh: bool) -> bool:
        request, url, handle = self.request, self.request.url, self.handle
        left_ms = max(1, request.timeout_ms - int(self._before_ms))
        limits = (left_ms, fresh, url.is_https)
        try:
            if url.text != self._url:
                handle.setopt(pycurl.URL, url.text)
                self._url = url.text
            handle.setopt(pycurl.HTTPHEADER, [*self._lines, "Expect:"])
            handle.setopt(pycurl.POSTFIELDS, request.body)
            if self.addresses != (url.host,):
                handle.setopt(pycurl.RESOLVE, [_name_entry(url.host, url.port, self.addresses)])
            if limits != self._limits:
                handle.setopt(pycurl.TIMEOUT_MS, left_ms)
                handle.setopt(pycurl.CONNECTTIMEOUT_MS, min(CONNECT_LIMIT_MS, left_ms))
                handle.setopt(pycurl.FRESH_CONNECT, fresh)
                handle.setopt(pycurl.VERBOSE, url.is_https)  # for `_take_note`
                self._limits = limits
            if not request.verify_ssl or request.ca or request.client_certificate:
                self._set_own_tls()
        except (pycurl.error, ValueError, TypeError) as problem:
            # Something our own rules should have caught: never to be tried again as it is.
            self.refused, self.lasting, self._settled = "This request can't be written", True, False
            self._blame(problem)
            return False
        self._dialled = True
        return True

    def _set_own_tls(self) -> None:
        request, handle = self.request, self.handle
        self._settled = False
        if not request.verify_ssl:
            handle.setopt(pycurl.SSL_VERIFYPEER, 0)
            handle.setopt(pycurl.SSL_VERIFYHOST, 0)
        if request.ca:
            handle.setopt(pycurl.CAINFO_BLOB, request.ca)
        if request.client_certificate:
            handle.setopt(pycurl.SSLCERT_BLOB, request.client_certificate)
            handle.setopt(pycurl.SSLKEY_BLOB, request.client_certificate)

    # Callbacks

    def _open_socket(self, _purpose: int, target: Any) -> int:
        try:
            fault("callback.open_socket")
            return self._dial(target)
        except BaseException as problem:  # noqa: BLE001 - see the class
            self._blame(problem)
            return pycurl.SOCKET_BAD

    def _dial(self, target: Any) -> int:
        """Vet the address that libcurl is about to connect to. After a refusal it tries the name's next one."""
        if self.passed:
            self.again = True  # the connection died, and libcurl wants to send the request once more
        if self.again or self.refused is not None or len(self._opened) >= MOST_SOCKETS:
            return pycurl.SOCKET_BAD
        address, port = target.addr[0], target.addr[1]
        rule = self._gate.refusal(self.request, address, port)
        if rule is not None:
            self.refused, self.lasting = self._in_words(rule), self.request.url.host_is_literal
            return pycurl.SOCKET_BAD
        try:
            descriptor = socket.socket(target.family, target.socktype, target.protocol).detach()
        except OSError as problem:
            if problem.errno in _OUR_LIMITS:
                raise
            return pycurl.SOCKET_BAD  # no IPv6 here, for example: the next address may do
        self._opened.append((descriptor, target.family))
        self._on_open(descriptor)
        return descriptor

    def _pass_gate(self, remote_ip: str, local_ip: str, remote_port: int, local_port: int) -> int:
        """Called when a connection is ready and nothing was sent on it yet, be it fresh or used before."""
        try:
            fault("callback.gate")
            if self.passed:
                self.again = True
                return pycurl.PREREQFUNC_ABORT
            rule = self._gate.refusal(self.request, remote_ip, remote_port, local_ip)
            if rule is not None:
                self.refused, self.lasting = self._in_words(rule), self.request.url.host_is_literal
                return pycurl.PREREQFUNC_ABORT
            if not self._recognize((local_ip, local_port, remote_ip, remote_port)):
                self.dirty = True
                return pycurl.PREREQFUNC_ABORT
            self.passed = True
        except BaseException as problem:  # noqa: BLE001 - see the class
            self._blame(problem)
            return pycurl.PREREQFUNC_ABORT
        return pycurl.PREREQFUNC_OK

    def _recognize(self, ends: tuple[str, int, str, int]) -> bool:
        """Find the connection's descriptor: among those just opened, or as one that is still clean."""
        for descriptor, family in self._opened:
            if local_end(descriptor, family) == ends[:2]:
                self.connection, self.baseline = self._gate.learn(descriptor, ends, self.tls_version), 0
                self.peer = self.connection.peer
                return True
        known = self._gate.known(ends)
        if known is None or ends[2] not in self.addresses or not known.is_silent():
            return False
        self.connection, self.tls_version, self.peer = known, known.tls_version, known.peer
        return True

    def _take_body(self, chunk: bytes) -> int | None:
        try:
            fault("callback.body")
            self.received += len(chunk)
            if not self._body:
                self._body = chunk[:CAP]  # most answers are one piece
            elif isinstance(self._body, bytes):
                self._body = bytearray(self._body) + chunk[: CAP - len(self._body)]
            else:
                self._body += chunk[: CAP - len(self._body)]
            if self.received > CAP:
                self.body_capped = True
                return 0
        except BaseException as problem:  # noqa: BLE001 - see the class
            self._blame(problem)
            return 0
        return None

    def _take_note(self, kind: int, text: bytes) -> None:
        """Follow a TLS connection: its version, and how much of what came in was opened (RFC 8446 §5.1)."""
        if kind == pycurl.INFOTYPE_SSL_DATA_IN:
            if len(text) == 5 and text[1] == 3:  # the header of a record: type, version 3.x, length
                self._tls_records += 5 + (text[3] << 8) + text[4]
        elif kind == pycurl.INFOTYPE_TEXT and text.startswith(b"SSL connection using "):
            self.tls_version = text.split(b" ", 4)[3].decode("ascii", "replace")

    def _blame(self, problem: BaseException) -> None:
        self.local = f"{type(problem).__name__}: {problem}"

    def _timings(self) -> Timings:
        """libcurl counts each moment from the start of the transfer; people want the length of each step."""
        if not self._dialled:
            return Timings(dns_ms=self._dns_ms, total_ms=self._before_ms)
        getinfo = self.handle.getinfo
        total = self._before_ms + getinfo(pycurl.TOTAL_TIME_T) / 1000
        if not self.passed:
            return Timings(self._dns_ms, 0.0, 0.0, 0.0, total)
        first_byte = getinfo(pycurl.STARTTRANSFER_TIME_T) / 1000
        if not self._opened:
            return Timings(self._dns_ms, 0.0, 0.0, first_byte, total)
        connect = getinfo(pycurl.CONNECT_TIME_T) / 1000
        tls = max(0.0, getinfo(pycurl.APPCONNECT_TIME_T) / 1000 - connect)
        return Timings(self._dns_ms, connect, tls, first_byte, total)


@lru_cache(maxsize=4096)
def _start_of_line(name: str) -> str:
    """The name with its colon; ValueError when no header can be called so."""
    if name_problem(name) is not None:
        raise ValueError(name)
    return f"{name}: "


@lru_cache(maxsize=4096)
def _name_entry(host: str, port: int, addresses: tuple[str, ...]) -> str:
    """An entry for libcurl's name cache. It never expires there, so every transfer writes its own."""
    return f"{host}:{port}:" + ",".join([f"[{a}]" if ":" in a else a for a in addresses])
