"""Hostile receivers, one numbered row each: all are played at the same time over one sender, each row is a test.

The numbers are those of the published table of hostile inputs; rows below 77 belong to URLs, addresses and names.
"""

from __future__ import annotations

import contextlib
import datetime
import gzip
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.core.states import ErrorClass, Outcome
from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from tests.sender.flights import LOOPBACK, Certificates, Flight, Pause, SideBySide, Step, Story, fly, post, until
from tests.support.receiver import Receiver, Script, Wire, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

ROWS: dict[str, Callable[[Certificates], Generator[Step, object, None]]] = {}
END = b"\r\n\r\n"
OK = answer(200, body=b"ok")
PATIENT_MS = 8000  # where no deadline is waited for: a busy machine shall fail no test
SHORT_MS = 1000
LATE_MS = 3000  # where something has to arrive before the deadline
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def row(number: int) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Enter a story as row `number`."""

    def enter(story: Callable[..., object]) -> Callable[..., object]:
        ROWS[f"{number:03}"] = story  # type: ignore[assignment]
        return story

    return enter


# What rows are made of


@contextlib.contextmanager
def receivers(*scripts: Script, **settings: object) -> Iterator[list[Receiver]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Receiver(script, **settings)) for script in scripts]  # type: ignore[arg-type]


def says(data: bytes, then: str = "close") -> Script:
    """Take a request, say this, then `close`, `reset` or `stay_silent`."""

    def script(wire: Wire) -> None:
        wire.read_request()
        wire.send(data)
        getattr(wire, then)()

    return script


def answers_all(data: bytes) -> Script:
    """Give the same answer to every request, on one connection."""

    def script(wire: Wire) -> None:
        while True:
            wire.read_request()
            wire.send(data)

    return script


def all_of(
    *scripts: Script, timeout_ms: int = PATIENT_MS, body: bytes = b"{}"
) -> Generator[Step, list[Flight], list[Flight]]:
    """Send to each script at the same time; none may see its request twice."""
    with receivers(*scripts) as open_ones:
        flights = yield [post(each.url, body, timeout_ms=timeout_ms) for each in open_ones]
        for receiver in open_ones:
            assert len(receiver.requests) <= 1, "the request was sent twice"
    return flights


def delivered(flight: Flight, status: int = 200, note: ErrorClass | None = None) -> None:
    result = flight.result
    assert (result.outcome, result.status, result.error) == (Outcome.SUCCEEDED, status, note), flight


def failed(flight: Flight, *errors: ErrorClass, status: int | None = None) -> None:
    result = flight.result
    assert result.outcome is Outcome.FAILED, flight
    assert result.error in errors, flight
    assert result.status == status, flight


def failed_with(flight: Flight, status: int) -> None:
    failed(flight, ErrorClass.STATUS, status=status)


# Status line and headers


@row(77)
def every_2xx_is_a_success(_: Certificates):
    codes = (200, 201, 202, 204, 206, 299)
    flights = yield from all_of(*(says(answer(code)) for code in codes))
    for code, flight in zip(codes, flights, strict=True):
        delivered(flight, code)


@row(78)
def a_body_where_none_may_be_does_not_become_the_next_answer(_: Certificates):
    for code in (204, 304):
        script = answers_all(b"HTTP/1.1 %d X\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n" % code)
        with Receiver(script) as receiver:
            for _round in range(2):
                flight = yield post(receiver.url)
                delivered(flight, 204) if code == 204 else failed_with(flight, 304)


@row(79)
def interim_answers_are_passed_over(_: Certificates):
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: </x>\r\n\r\n"
    [flight] = yield from all_of(says(interim + answer(200, {"X-Last": "1"})))
    delivered(flight)
    assert dict(flight.result.headers) == {b"X-Last": b"1", b"Content-Length": b"0"}


@row(80)
def an_interim_answer_alone_is_none(_: Certificates):
    interim = (b"100 Continue", b"102 P", b"103 E", b"1000")
    for flight in (yield from all_of(*(says(b"HTTP/1.1 " + each + END) for each in interim))):
        failed(flight, ErrorClass.RESET)


@row(81)
def endless_interim_answers_end(_: Certificates):
    def slow(wire: Wire) -> None:
        wire.read_request()
        while True:
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            wire.pause(20)

    def fast(wire: Wire) -> None:
        wire.read_request()
        wire.flood(b"HTTP/1.1 103 Early\r\n\r\n" * 100)

    for flight in (yield from all_of(slow, fast, timeout_ms=SHORT_MS)):
        failed(flight, ErrorClass.TIMEOUT, ErrorClass.BAD_HTTP)


@row(82)
def switching_protocols_unasked_is_a_failure(_: Certificates):
    data = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    for flight in (yield from all_of(says(data), says(data, "stay_silent"), timeout_ms=SHORT_MS)):
        assert flight.result.outcome is Outcome.FAILED


@row(83)
def redirects_are_not_followed(_: Certificates):
    with Receiver() as elsewhere:
        targets = (elsewhere.url, "/hook", "file:///etc/passwd", "//127.0.0.1:1/", "\x1b[31mx")
        codes = (301, 302, 303, 307, 308)
        scripts = [says(answer(code, {"Location": target})) for code, target in zip(codes, targets, strict=True)]
        flights = yield from all_of(*scripts)
        for code, flight in zip(codes, flights, strict=True):
            failed_with(flight, code)
            assert flight.result.message.isprintable()
            assert flight.result.message.startswith(f"{code}, not followed; it points to ")
        assert elsewhere.connections == 0


@row(84)
def other_3xx_fail(_: Certificates):
    codes = (300, 304, 305, 306)
    for code, flight in zip(codes, (yield from all_of(*(says(answer(code)) for code in codes))), strict=True):
        failed_with(flight, code)


@row(85)
def a_challenge_is_not_answered(_: Certificates):
    codes = (400, 401, 401, 403, 404, 407, 413, 415, 422)
    challenges = ("Basic", 'Digest realm="a", nonce="b", qop="auth"', "Negotiate")
    scripts = [
        answers_all(answer(code, {"WWW-Authenticate": challenges[index % 3], "Proxy-Authenticate": "Basic"}))
        for index, code in enumerate(codes)
    ]
    for code, flight in zip(codes, (yield from all_of(*scripts)), strict=True):
        failed_with(flight, code)


@row(86)
def a_417_is_not_sent_again(_: Certificates):
    [flight] = yield from all_of(answers_all(answer(417)), body=b"x" * 1_500_000)
    failed_with(flight, 417)


@row(87)
def a_hint_when_to_come_back_is_read(_: Certificates):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=300)
    hints = ("120", later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    codes = (429, 503, 408)
    scripts = [says(answer(code, {"Retry-After": hint})) for code in codes for hint in hints]
    for index, flight in enumerate((yield from all_of(*scripts))):
        failed_with(flight, codes[index // 2])
        wait = flight.result.retry_after_ms or 0
        assert wait == 120_000 if index % 2 == 0 else 290_000 < wait <= 300_000


@row(88)
def a_nonsensical_hint_is_clamped_or_ignored(_: Certificates):
    hints = [
        "-5",
        "1e308",
        "99999999999",
        "NaN",
        "Sat, 21 Nov 2020 10:00:00 GMT",
        "9" * 64_000,
        "",
        "0x10",
        "9999999999",
    ]
    twice = b"HTTP/1.1 503 X\r\nRetry-After: 5\r\nRetry-After: 50\r\nContent-Length: 0\r\n\r\n"
    flights = yield from all_of(*(says(answer(503, {"Retry-After": hint})) for hint in hints), says(twice))
    waits = [flight.result.retry_after_ms for flight in flights]
    assert waits == [None] * 8 + [6 * 3600 * 1000, None]
    for flight in flights:
        assert flight.result.outcome is Outcome.FAILED


@row(89)
def gone_is_reported_as_gone(_: Certificates):
    [flight] = yield from all_of(says(answer(410)))
    failed_with(flight, 410)
    assert flight.result.message == "410 Gone"


@row(90)
def errors_of_the_receiver_fail(_: Certificates):
    codes = (500, 502, 504, 507, 599, 600, 999)
    for code, flight in zip(codes, (yield from all_of(*(says(answer(code)) for code in codes))), strict=True):
        failed_with(flight, code)


def unreadable(*answers: bytes) -> Generator[Step, list[Flight], None]:
    for flight in (yield from all_of(*(says(each) for each in answers))):
        failed(flight, ErrorClass.BAD_HTTP)


@row(91)
def what_only_libcurl_takes_for_200_is_unreadable(_: Certificates):
    lines = (b"HTTP/1.1 2000 OK", b"HTTP/1.1 200OK", b"http/1.1 200", b"HTTP/1.1  200 OK")
    trailer = b"HTTP/1.1 2000 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHTTP/1.1 200 OK: 1\r\n\r\n"
    yield from unreadable(*(line + END for line in lines), trailer)


@row(92)
def impossible_codes_are_unreadable(_: Certificates):
    yield from unreadable(*(b"HTTP/1.1 " + code + b" X" + END for code in (b"000", b"099", b"20", b"2OO", b"+200")))


@row(93)
def other_protocols_are_unreadable(_: Certificates):
    yield from unreadable(
        *(line + END for line in (b"HTTP/9.9 200 OK", b"HTTP/2 200", b"HTTP/1.2 200 OK", b"ICY 200 OK"))
    )


@row(94)
def banners_and_noise_are_unreadable(_: Certificates):
    def banner(wire: Wire) -> None:
        wire.send(b"SSH-2.0-OpenSSH_9.9\r\n")
        wire.stay_silent()

    noise = says(bytes(range(256)) * 8)
    for flight in (yield from all_of(banner, noise, says(b"<html>200 OK</html>"), says(b"\r\n" + OK))):
        failed(flight, ErrorClass.BAD_HTTP)


@row(95)
def old_servers_are_understood(_: Certificates):
    flights = yield from all_of(
        says(b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nto the end"), says(b"HTTP/1.1 200 OK\nX-A: b\n\nto the end")
    )
    for flight in flights:
        delivered(flight)
        assert flight.result.body == b"to the end"
        assert flight.result.headers == ((b"X-A", b"b"),)


@row(96)
def a_phrase_of_control_codes_shows_nowhere(_: Certificates):
    [flight] = yield from all_of(says(b"HTTP/1.1 200 \x1b[31mred\xff\r\nContent-Length: 0\r\n\r\n"))
    delivered(flight)
    assert flight.result.message == "200 OK"


@row(97)
def an_answer_that_breaks_off_in_its_headers_is_none(_: Certificates):
    flights = yield from all_of(says(b"HTTP/1.1 200 OK\r\nX-A: b\r\n"), says(b"HTTP/1.1 200 OK\r\nX-A: b"))
    for flight in flights:
        assert flight.facts.code == 0, "libcurl now reports it, see test_libcurl_facts"
        failed(flight, ErrorClass.BAD_HTTP)


@row(98)
def a_drip_of_headers_ends_at_the_deadline(_: Certificates):
    def drip(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\n")
        wire.drip(b"X-A: b\r\n", 10, endless=True)

    [flight] = yield from all_of(drip, timeout_ms=SHORT_MS)
    failed(flight, ErrorClass.TIMEOUT)
    assert flight.result.message == "No answer within 1 s (connected, request sent)"


@row(99)
def a_drip_in_the_status_line_ends_at_the_deadline(_: Certificates):
    def drip(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 ")
        wire.drip(b"O", 10, endless=True)

    [flight] = yield from all_of(drip, timeout_ms=SHORT_MS)
    failed(flight, ErrorClass.TIMEOUT)


@row(100)
def silence_ends_at_the_deadline(_: Certificates):
    [flight] = yield from all_of(Wire.stay_silent, timeout_ms=SHORT_MS)
    failed(flight, ErrorClass.TIMEOUT)
    assert flight.facts.timings.total_ms > 950


@row(101)
def too_many_headers_are_unreadable(_: Certificates):
    yield from unreadable(
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % index for index in range(10_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + (b"X-A: " + b"y" * 1000 + b"\r\n") * 400 + b"\r\n",
    )


@row(102)
def lines_without_end_are_unreadable(_: Certificates):
    def endless(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nX-A: ")
        wire.flood(b"y" * 10_000)

    def line(size: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: " + b"y" * size + END

    *long, endless_one, named = yield from all_of(
        says(line(70_000)),
        says(line(150_000)),
        endless,
        says(b"HTTP/1.1 200 OK\r\n" + b"n" * 10_000 + b": 1\r\nContent-Length: 0\r\n\r\n"),
    )
    for flight in (*long, endless_one):
        failed(flight, ErrorClass.BAD_HTTP)
    delivered(named)
    assert max(len(name) for name, _value in named.result.headers) == 1024


@row(103)
def broken_header_lines_are_unreadable(_: Certificates):
    yield from unreadable(b"HTTP/1.1 200 OK\r\nno colon" + END, b"HTTP/1.1 200 OK\r\nX-A: a\0b" + END)


@row(104)
def odd_headers_are_kept_as_bytes(_: Certificates):
    data = b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nX-B: \xff\xfe</script>\xe2\x80\xae\r\nContent-Length: 0\r\n\r\n"
    [flight] = yield from all_of(says(data))
    delivered(flight)
    headers = dict(flight.result.headers)
    assert headers[b"X-A"].split() == [b"one", b"two"]
    assert headers[b"X-B"] == b"\xff\xfe</script>\xe2\x80\xae"


@row(105)
def impossible_lengths_are_unreadable(_: Certificates):
    lengths = (b"Content-Length: -5", b"Content-Length: abc", b"Content-Length: 1\r\nContent-Length: 2")
    yield from unreadable(*(b"HTTP/1.1 200 OK\r\n" + each + END + b"xx" for each in lengths))


@row(106)
def odd_lengths_are_a_success(_: Certificates):
    flights = yield from all_of(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n12345"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000000000000000\r\n\r\n12345"),
    )
    for flight in flights:
        assert flight.result.outcome is Outcome.SUCCEEDED
        assert flight.result.body == b"12345"


@row(107)
def chunks_win_over_a_length(_: Certificates):
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    with Receiver(answers_all(data)) as receiver:
        for _round in range(2):
            flight = yield post(receiver.url)
            delivered(flight)
            assert flight.result.body == b"ok"


@row(108)
def transfer_encodings_unasked_are_unreadable(_: Certificates):
    encodings = (b"gzip", b"foo")
    yield from unreadable(*(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + each + END + b"x" for each in encodings))


# Bodies


@row(109)
def a_body_without_end_is_a_late_success(_: Certificates):
    def drip(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        wire.drip(b"x", 10, endless=True)

    [flight] = yield from all_of(drip, timeout_ms=LATE_MS)
    delivered(flight, note=ErrorClass.LATE)


@row(110)
def an_answer_without_length_kept_open_is_a_late_success(_: Certificates):
    [flight] = yield from all_of(says(b"HTTP/1.1 200 OK\r\n\r\nhere", "stay_silent"), timeout_ms=LATE_MS)
    delivered(flight, note=ErrorClass.LATE)
    assert flight.result.body == b"here"


@row(111)
def huge_bodies_take_no_memory(_: Certificates):
    def huge(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        wire.flood(b"x" * 100_000)

    before = _resident()
    flights = yield from all_of(*[huge] * 64)
    for flight in flights:
        delivered(flight, note=ErrorClass.TOO_LARGE)
        assert len(flight.result.body) == 65536
        assert flight.result.response_size == 10_000_000_000
    assert _resident() - before < 96 * 2**20, "memory grew with what was sent"


@row(112)
def the_cap_is_exact(_: Certificates):
    whole, cut = yield from all_of(says(answer(200, body=b"x" * 65536)), says(answer(200, body=b"x" * 65537)))
    delivered(whole)
    delivered(cut, note=ErrorClass.TOO_LARGE)
    assert (len(whole.result.body), len(cut.result.body)) == (65536, 65536)
    assert (whole.result.truncated, cut.result.truncated) == (False, True)


@row(113)
def compressed_bodies_are_not_unpacked(_: Certificates):
    bomb = gzip.compress(bytes(10_000_000))
    encodings = ("gzip", "br", "zstd", "deflate", "gzip, gzip, gzip, gzip, gzip, gzip")
    flights = yield from all_of(*(says(answer(200, {"Content-Encoding": each}, bomb)) for each in encodings))
    for flight in flights:
        delivered(flight)
        assert flight.result.body == bomb


@row(114)
def bad_chunk_sizes_leave_the_success(_: Certificates):
    for flight in (yield from all_of(*(says(CHUNKED + size + b"\r\nxx") for size in (b"zz", b"-1", b"1" * 18)))):
        delivered(flight, note=ErrorClass.INCOMPLETE)


def breaks_off(status: int) -> list[Script]:
    data = b"HTTP/1.1 %d X\r\nContent-Length: 100\r\n\r\nhalf" % status
    return [
        says(data),
        says(data, "reset"),
        says(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf" % status),
    ]


@row(115)
def a_body_that_breaks_off_leaves_the_success(_: Certificates):
    for flight in (yield from all_of(*breaks_off(200))):
        assert flight.result.outcome is Outcome.SUCCEEDED
        assert flight.result.error is ErrorClass.INCOMPLETE


@row(116)
def a_body_that_breaks_off_leaves_the_failure(_: Certificates):
    for flight in (yield from all_of(*breaks_off(500))):
        failed_with(flight, 500)


@row(117)
def chunk_extensions_are_no_way_to_burn_time(_: Certificates):
    def endless(wire: Wire) -> None:
        wire.read_request()
        wire.send(CHUNKED + b"2;")
        wire.flood(b"e" * 100_000)

    long = says(CHUNKED + b"2;" + b"e" * 5_000_000 + b"\r\nok\r\n0\r\n\r\n")
    ended, cut = yield from all_of(long, endless, timeout_ms=20_000)
    delivered(ended)
    delivered(cut, note=ErrorClass.TOO_LARGE)
    assert cut.facts.timings.total_ms < 15_000, "only the deadline ended it"


@row(118)
def trailers_are_never_read_as_a_status(_: Certificates):
    def endless(wire: Wire) -> None:
        wire.read_request()
        wire.send(CHUNKED + b"0\r\nX-A: ")
        wire.flood(b"y" * 10_000)

    many = b"".join(b"X-%d: y\r\n" % index for index in range(100_000))
    status = b"0\r\nHTTP/1.1 500 X\r\nHTTP/1.1: 500\r\n\r\n"
    polite = b"0\r\nHTTP/1.1 500 X: 1\r\n\r\n"
    flights = yield from all_of(
        says(CHUNKED + b"0\r\n" + many + b"\r\n"), endless, says(CHUNKED + status), says(CHUNKED + polite)
    )
    for flight in flights:
        assert (flight.result.outcome, flight.result.status) == (Outcome.SUCCEEDED, 200)


@row(119)
def bodies_are_kept_as_bytes(_: Certificates):
    body = b"\0\xff\xfe<img src=x onerror=alert(1)>\xed\xa0\x80"
    exact, long = yield from all_of(says(answer(200, body=body)), says(answer(200, body=b"x" * 5_000_000)))
    delivered(exact)
    assert exact.result.body == body
    delivered(long, note=ErrorClass.TOO_LARGE)


@row(120)
def what_one_answer_sets_changes_nothing_in_the_next_request(_: Certificates):
    setting = {"Set-Cookie": "a=b", "Alt-Svc": 'h2="127.0.0.1:1"; ma=9', "Strict-Transport-Security": "max-age=99999"}
    with Receiver(answers_all(answer(200, setting))) as receiver:
        for _round in range(2):
            delivered((yield post(receiver.url)))
        first, second = receiver.requests
        assert first.head == second.head


# Connections


@row(121)
def a_closed_port_refuses(_: Certificates):
    with socket.socket() as taken:  # bound, so that no other row gets the port, but not listening
        taken.bind(("127.0.0.1", 0))
        flight = yield post(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    failed(flight, ErrorClass.REFUSED)


@row(122)
def who_never_accepts_costs_no_more_than_the_timeout(_: Certificates):
    with full_listener() as port:
        flights = yield [post(f"http://{host}:{port}/", timeout_ms=SHORT_MS) for host in ("127.0.0.1", "eight.test")]
        for flight in flights:
            failed(flight, ErrorClass.CONNECT_TIMEOUT)
        assert flights[0].result.message == "No connection within 1 s"


@row(123)
def a_reset_before_or_in_the_headers_fails(_: Certificates):
    flights = yield from all_of(
        says(b"", "reset"),
        says(b"HTTP/1.1 200 OK\r\nX-A", "reset"),
        says(b"HTTP/1.1 200 OK\r\nX-A: b\r\n", "reset"),
        Wire.reset,
    )
    for flight in flights:  # a RST that comes with the accept is a refusal to the kernel
        failed(flight, ErrorClass.RESET, ErrorClass.BAD_HTTP, ErrorClass.REFUSED)


@row(124)
def closing_without_a_byte_fails(_: Certificates):
    for flight in (yield from all_of(says(b""), Wire.close)):
        failed(flight, ErrorClass.RESET)


@row(125)
def an_answer_too_many_never_belongs_to_the_next_delivery(_: Certificates):
    said: list[int] = []

    def at_once(wire: Wire) -> None:
        while True:
            wire.read_request()
            wire.send(answer(200, body=b"%d" % wire.number) + answer(500, body=b"unasked"))
            said.append(wire.number)

    def later(wire: Wire) -> None:
        while True:
            wire.read_request()
            wire.send(answer(200, body=b"%d" % wire.number))
            yielded.wait(20)
            wire.send(answer(500, body=b"unasked"))
            said.append(wire.number)

    yielded = threading.Event()
    for script in (at_once, later):
        said.clear()
        with Receiver(script) as receiver:
            for number in (1, 2):
                flight = yield post(receiver.url)
                delivered(flight)
                assert flight.result.body == b"%d" % number, "the answer of another connection"
                yielded.set()
                yield from until(lambda n=number: len(said) == n)
            assert len(receiver.requests) == 2


@row(126)
def a_connection_closed_while_idle_is_dialled_anew(_: Certificates):
    for ending in ("close", "reset", "half_close"):
        with Receiver(says(OK, ending)) as receiver:
            for number in (1, 2):
                delivered((yield post(receiver.url)))
                yield from until(lambda n=number, r=receiver: r.ended == n)
            assert (len(receiver.requests), receiver.connections) == (2, 2)


def dies_on_reuse(ending: str) -> Script:
    def script(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)
        wire.read_request()
        if ending == "HTTP":
            wire.send(b"HTTP")
            wire.close()
        else:
            getattr(wire, ending)()

    return script


@row(127)
def a_request_on_a_dying_connection_is_seen_once(_: Certificates):
    for ending in ("close", "reset", "HTTP"):
        with Receiver(dies_on_reuse(ending)) as receiver:
            delivered((yield post(receiver.url)))
            flight = yield post(receiver.url)
            failed(flight, ErrorClass.RESET, ErrorClass.BAD_HTTP)
            assert len(receiver.requests) == 2, "libcurl sent the request a second time"
            assert receiver.connections == 1 or flight.result.free
            delivered((yield post(receiver.url, fresh=True)))
            assert len(receiver.requests) == 3


@row(128)
def with_two_idle_connections_it_is_seen_once_too(_: Certificates):
    for ending in ("close", "reset"):
        with Receiver(dies_on_reuse(ending)) as receiver:
            receiver_url = receiver.url
            for flight in (yield [post(receiver_url), post(receiver_url, fresh=True)]):
                delivered(flight)
            assert receiver.connections == 2
            flight = yield post(receiver_url)
            failed(flight, ErrorClass.RESET)
            assert flight.result.free, "its cause is an aged connection of ours"
            assert len(receiver.requests) == 3, "libcurl sent the request a second time"


@row(129)
def an_answer_before_the_body_is_through_counts(_: Certificates):
    def early(status: int) -> Script:
        def script(wire: Wire) -> None:
            wire._read_until(END)
            wire.send(answer(status, {"Connection": "close"}))
            wire.stay_silent()

        return script

    refused, taken = yield from all_of(early(413), early(200), body=b"x" * 5_000_000)
    failed_with(refused, 413)
    delivered(taken)


@row(130)
def slow_readers_end_at_the_deadline(_: Certificates):
    def slow(wire: Wire) -> None:
        while wire.socket.recv(1024):
            wire.pause(50)

    for flight in (yield from all_of(Wire.hold, slow, body=b"x" * 5_000_000, timeout_ms=SHORT_MS)):
        failed(flight, ErrorClass.TIMEOUT)


@row(131)
def an_answer_after_the_timeout_reaches_nobody(_: Certificates):
    def late(wire: Wire) -> None:
        wire.read_request()
        if wire.number == 1:
            wire.pause(1200)
        wire.send(answer(200, body=b"%d" % wire.number))
        wire.stay_silent()

    with Receiver(late) as receiver:
        failed((yield post(receiver.url, timeout_ms=SHORT_MS)), ErrorClass.TIMEOUT)
        yield Pause(300)
        flight = yield post(receiver.url)
        delivered(flight)
        assert flight.result.body == b"2"


@row(132)
def an_answer_before_the_request_counts(_: Certificates):
    def hasty(wire: Wire) -> None:
        wire.send(OK)
        wire.stay_silent()

    [flight] = yield from all_of(hasty)
    delivered(flight)


# TLS


@row(133)
def certificates_that_cannot_be_trusted_are_told_apart(certificates: Certificates):
    now = datetime.datetime.now(datetime.UTC)
    expired = certificates.server(
        not_before=now - datetime.timedelta(days=9), not_after=now - datetime.timedelta(days=2)
    )
    cases = {
        "Certificate not trusted: issued by an unknown authority": certificates.server(ca=certificates.unknown),
        "Certificate not trusted: expired": expired,
        "Certificate not trusted: made out for another host": certificates.server("other.test"),
        "Certificate not trusted: self-signed": self_signed(certificates.trusted_file.parent),
    }
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(Receiver(tls=context)).url for context in cases.values()]
        flights = yield [post(url) for url in urls]
    for words, flight in zip(cases, flights, strict=True):
        failed(flight, ErrorClass.TLS)
        assert flight.result.message == words


@row(134)
def verification_off_for_one_is_not_off_for_another(certificates: Certificates):
    with Receiver(tls=certificates.server(ca=certificates.unknown)) as receiver:
        for _round in range(2):
            delivered((yield post(receiver.url, verify_ssl=False)))
            failed((yield post(receiver.url)), ErrorClass.TLS)
        assert len(receiver.requests) == 2


@row(135)
def an_own_authority_of_one_webhook_is_not_anothers(certificates: Certificates):
    own = certificates.unknown.cert_pem.bytes()
    with Receiver(tls=certificates.server(ca=certificates.unknown)) as receiver:
        for _round in range(2):
            delivered((yield post(receiver.url, ca=own)))
            failed((yield post(receiver.url)), ErrorClass.TLS)


@row(136)
def outdated_tls_is_refused(certificates: Certificates):
    context = certificates.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Receiver(tls=context) as receiver:
        flight = yield post(receiver.url)
    failed(flight, ErrorClass.TLS)
    assert flight.result.message == "The receiver speaks only outdated versions of TLS"


@row(137)
def a_silent_or_dripping_handshake_ends_at_the_deadline(_: Certificates):
    def drip(wire: Wire) -> None:
        wire.drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"\x03" * 2000, 10)

    with receivers(Wire.stay_silent, drip) as (silent, dripping):
        urls = [each.url.replace("http:", "https:") for each in (silent, dripping)]
        for flight in (yield [post(url, timeout_ms=SHORT_MS) for url in urls]):
            failed(flight, ErrorClass.CONNECT_TIMEOUT)


@row(138)
def https_at_a_plain_port_and_the_reverse_are_said_in_words(certificates: Certificates):
    def plain(wire: Wire) -> None:
        wire.socket.recv(65536)
        wire.send(answer(400))

    with Receiver(plain) as plain_one, Receiver(tls=certificates.server()) as tls_one:
        flights = yield [post(plain_one.url.replace("http:", "https:")), post(tls_one.url.replace("https:", "http:"))]
    failed(flights[0], ErrorClass.TLS)
    assert flights[0].result.message == "This port doesn't speak TLS"
    failed(flights[1], ErrorClass.BAD_HTTP, ErrorClass.RESET)


@row(139)
def a_client_certificate_is_shown_where_one_is_given(certificates: Certificates):
    def asking(mode: ssl.VerifyMode) -> ssl.SSLContext:
        context = certificates.server()
        context.verify_mode = mode
        certificates.trusted.configure_trust(context)
        return context

    leaf = certificates.trusted.issue_cert("postroom@hooks.test")
    pem = leaf.private_key_pem.bytes() + b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    with Receiver(tls=asking(ssl.CERT_OPTIONAL)) as optional, Receiver(tls=asking(ssl.CERT_REQUIRED)) as required:
        delivered((yield post(optional.url)))
        missing = yield post(required.url)
        failed(missing, ErrorClass.TLS)
        assert missing.result.message == "The receiver asks for a client certificate"
        delivered((yield post(required.url, client_certificate=pem)))
        failed((yield post(required.url)), ErrorClass.TLS)


@row(140)
def http_2_is_not_taken_up(certificates: Certificates):
    context = certificates.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    chosen = []

    def script(wire: Wire) -> None:
        chosen.append(wire.socket.selected_alpn_protocol())  # type: ignore[attr-defined]
        wire.read_request()
        wire.send(OK)
        wire.stay_silent()

    with Receiver(script, tls=context) as receiver:
        delivered((yield post(receiver.url)))
        assert receiver.requests[0].head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert chosen == ["http/1.1"]


# Environment


@row(145)
def a_bundle_that_was_lost_is_a_failure_of_tls(certificates: Certificates):
    yield Pause(0)
    lost = Sender(Egress(LOOPBACK, "/nonexistent/bundle.pem"))
    with contextlib.closing(lost), Receiver(tls=certificates.server()) as receiver:
        [flight] = fly(lost, post(receiver.url))
    failed(flight, ErrorClass.TLS)
    assert flight.result.message == "This server can't read its list of certificate authorities; tell its operator"


@pytest.fixture(scope="module")
def endings(certificates: Certificates, egress: Egress) -> Iterator[dict[str, BaseException | None]]:
    """How every story ended. They share one sender, its connections and its time."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sender = Sender(egress, seats=512)
    stories: list[tuple[str, Story]] = [(number, lambda s=story: s(certificates)) for number, story in ROWS.items()]
    game = SideBySide(sender, stories)
    game.play(patience_s=40)
    yield game.endings
    sender.close()


@pytest.mark.parametrize("number", sorted(ROWS))
def test_hostile(number: str, endings: dict[str, BaseException | None]) -> None:
    ending = endings[number]

    if ending is not None:
        raise ending


HOSTILE_ENVIRONMENT = """
import json, sys
from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from tests.sender.flights import LOOPBACK, fly, post
sender = Sender(Egress(LOOPBACK, sys.argv[1]))
print(json.dumps([[f.result.outcome, f.result.error, f.facts.text] for f in fly(sender, *map(post, sys.argv[2:]))]))
sender.close()
"""


def send_from(environment: dict[str, str], ca_file: Path, *urls: str) -> list[list[str]]:
    """Send from a process of its own with these variables set."""
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", HOSTILE_ENVIRONMENT, str(ca_file), *urls],
        env={**os.environ, **environment, "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return json.loads(ended.stdout)


@pytest.mark.parametrize("number", ["141"])
def test_hostile_proxies(number: str, certificates: Certificates) -> None:
    with Receiver() as proxy, Receiver() as plain, Receiver(tls=certificates.server()) as encrypted:
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
        environment = dict.fromkeys(names, f"http://127.0.0.1:{proxy.port}")

        ended = send_from(environment, certificates.trusted_file, plain.url, encrypted.url)

        assert [outcome for outcome, *_ in ended] == ["succeeded", "succeeded"]
        assert proxy.connections == 0


@pytest.mark.parametrize("number", ["142"])
def test_hostile_files_at_home(number: str, certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login eve password secret\n")
    (tmp_path / ".curlrc").write_text("header = X-Curlrc: 1\n")
    with Receiver() as receiver:
        environment = {"HOME": str(tmp_path), "CURL_HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc")}

        [ended] = send_from(environment, certificates.trusted_file, receiver.url)

        assert ended[0] == "succeeded"
        assert "authorization" not in receiver.requests[0].headers
        assert "x-curlrc" not in receiver.requests[0].headers


@pytest.mark.parametrize("number", ["144"])
def test_hostile_authorities(number: str, certificates: Certificates, tmp_path: Path) -> None:
    bundle = tmp_path / "hostile.pem"
    certificates.unknown.cert_pem.write_to_path(str(bundle))
    names = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    environment = {**dict.fromkeys(names, str(bundle)), "SSL_CERT_DIR": str(tmp_path)}
    with Receiver(tls=certificates.server(ca=certificates.unknown)) as receiver:
        [ended] = send_from(environment, certificates.trusted_file, receiver.url)

        assert ended[:2] == ["failed", "tls"]
        assert receiver.requests == []


# Tools


def _resident() -> int:
    """Bytes of memory this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """A port on every loopback address whose queue is full: nobody accepts, and further calls go unanswered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(("127.0.0.1", port))
        yield port


def self_signed(folder: Path, algorithm: hashes.HashAlgorithm | None = None) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, algorithm or hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / f"self-signed-{certificate.serial_number}.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
