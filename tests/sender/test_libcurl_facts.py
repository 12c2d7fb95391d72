"""What libcurl does, without anything of ours: the facts on which the sender is built.

When an upgrade changes one of them, a test fails here, and whoever upgrades learns what to look at.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pycurl
import pytest

from tests.support.receiver import Receiver, Script, Wire, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sender.flights import Certificates

END = b"\r\n\r\n"
OK = answer(200, body=b"ok")


class Answered:
    """A bare handle with a body to send, and what came of it."""

    def __init__(self, url: str, *options: tuple[int, object], multi: pycurl.CurlMulti | None = None) -> None:
        self.headers: list[bytes] = []
        self.body = io.BytesIO()
        self.handle = handle = pycurl.Curl()
        for option, value in (
            (pycurl.URL, url),
            (pycurl.POSTFIELDS, b"{}"),
            (pycurl.PROXY, ""),
            (pycurl.TIMEOUT_MS, 5000),
            (pycurl.HEADERFUNCTION, self.headers.append),
            (pycurl.WRITEFUNCTION, self.body.write),
            *options,
        ):
            handle.setopt(option, value)
        self.code, self.text = run(multi or pycurl.CurlMulti(), handle)
        self.status: int = handle.getinfo(pycurl.RESPONSE_CODE)


def run(multi: pycurl.CurlMulti, handle: pycurl.Curl) -> tuple[int, str]:
    """Move one handle until it has ended."""
    multi.add_handle(handle)
    try:
        while True:
            multi.perform()
            _, whole, broken = multi.info_read()
            if whole:
                return 0, ""
            if broken:
                return broken[0][1], broken[0][2]
            multi.select(0.1)
    finally:
        multi.remove_handle(handle)


def says(data: bytes, then: str = "close") -> Script:
    def script(wire: Wire) -> None:
        wire.read_request()
        wire.send(data)
        getattr(wire, then)()

    return script


def test_the_versions_these_facts_were_found_with() -> None:
    """Not a rule, a reminder: read the release notes when this fails, then write the new number."""
    assert pycurl.version_info()[1].startswith("8."), pycurl.version


# What the environment and defaults decide unless told otherwise


def test_an_unset_proxy_is_taken_from_the_environment_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver, Receiver() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        Answered(receiver.url)
        assert (receiver.connections, proxy.connections) == (1, 0)

        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, receiver.url)
        handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        run(pycurl.CurlMulti(), handle)

        assert (receiver.connections, proxy.connections) == (1, 1)


def test_without_an_authority_file_nobody_is_trusted_whatever_the_environment_says(
    certificates: Certificates, tmp_path: Path
) -> None:
    bundle = tmp_path / "hostile.pem"
    certificates.unknown.cert_pem.write_to_path(str(bundle))
    script = "import pycurl,sys; c=pycurl.Curl(); c.setopt(c.URL, sys.argv[1]); c.perform()"
    with Receiver(tls=certificates.server(ca=certificates.unknown)) as receiver:
        command = [sys.executable, "-c", script, receiver.url]

        ended = subprocess.run(
            command, check=False, capture_output=True, timeout=20, env={**os.environ, "SSL_CERT_FILE": str(bundle)}
        )

        assert b"(60, " in ended.stderr
        assert Answered(receiver.url, (pycurl.CAINFO, str(bundle))).code == 0
        assert Answered(receiver.url, (pycurl.CAINFO, str(certificates.trusted_file))).code == 60


def test_session_keys_are_written_where_the_environment_says(certificates: Certificates, tmp_path: Path) -> None:
    """Which is why the process removes SSLKEYLOGFILE before anything imports TLS."""
    keys = tmp_path / "keys"
    with Receiver(tls=certificates.server()) as receiver:
        script = (
            "import pycurl as p, sys; c = p.Curl(); c.setopt(p.URL, sys.argv[1]); "
            "c.setopt(p.CAINFO, sys.argv[2]); c.perform()"
        )
        command = [sys.executable, "-c", script, receiver.url, str(certificates.trusted_file)]
        environment = {**os.environ, "SSLKEYLOGFILE": str(keys)}

        subprocess.run(command, check=True, capture_output=True, timeout=20, env=environment)

    assert "TRAFFIC_SECRET" in keys.read_text()


def test_a_post_without_fields_sends_standard_input() -> None:
    with Receiver(says(OK)) as receiver:
        script = "import pycurl,sys; c=pycurl.Curl(); c.setopt(c.URL, sys.argv[1]); c.setopt(c.POST, 1); c.perform()"

        command = [sys.executable, "-c", script, receiver.url]
        subprocess.run(command, input=b"secret", check=False, capture_output=True, timeout=20)

        assert receiver.requests[0].headers["transfer-encoding"] == "chunked"


def test_userinfo_becomes_a_header_unless_option_278_forbids_it() -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("//", "//user:pass@")
        Answered(url)
        assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNz"

        assert Answered(url, (278, 1)).code == 67
        assert len(receiver.requests) == 1


def test_the_options_without_a_name_in_pycurl_are_taken_by_number() -> None:
    handle = pycurl.Curl()

    for option in (265, 278, 321):
        handle.setopt(option, 1)
    with pytest.raises((pycurl.error, TypeError)):
        handle.setopt(9999, 1)


def test_compression_is_neither_asked_for_nor_undone() -> None:
    with Receiver(says(answer(200, {"Content-Encoding": "gzip"}, b"not gzip"))) as receiver:
        answered = Answered(receiver.url)

        assert answered.body.getvalue() == b"not gzip"
        assert "accept-encoding" not in receiver.requests[0].headers


def test_a_redirect_and_a_cookie_are_not_followed_up() -> None:
    moved = answer(302, {"Location": "/elsewhere", "Set-Cookie": "a=b"})
    multi = pycurl.CurlMulti()
    with Receiver() as receiver:
        receiver.answers(moved)
        first = Answered(receiver.url, multi=multi)
        Answered(receiver.url, multi=multi)

        assert first.status == 302
        assert [request.path for request in receiver.requests] == ["/hook", "/hook"]
        assert "cookie" not in receiver.requests[1].headers


# What it writes


def test_header_strings_go_out_unchecked() -> None:
    with Receiver() as receiver:
        Answered(receiver.url, (pycurl.HTTPHEADER, ["X-A: b\r\nX-Injected: c"]))

        assert receiver.requests[0].headers["x-injected"] == "c"


def test_an_empty_header_needs_a_semicolon() -> None:
    with Receiver() as receiver:
        Answered(receiver.url, (pycurl.HTTPHEADER, ["X-Dropped:", "X-Kept;", "no colon"]))

        headers = receiver.requests[0].headers
        assert "x-dropped" not in headers
        assert headers["x-kept"] == ""
        assert b"no colon" not in receiver.requests[0].head


def test_what_is_not_given_is_added() -> None:
    with Receiver() as receiver:
        Answered(receiver.url)

        headers = receiver.requests[0].headers
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        assert headers["accept"] == "*/*"


def test_a_large_body_asks_first_and_is_sent_twice_after_a_417_unless_expect_is_emptied() -> None:
    def refuses(wire: Wire) -> None:
        while True:
            head = wire._read_until(END)
            heads.append(head)
            wire.send(answer(417))
            if b"Expect" not in head:
                wire._read_exactly(len(large[1]))

    large = (pycurl.POSTFIELDS, b"x" * 1_100_000)
    heads: list[bytes] = []
    with Receiver(refuses) as receiver:
        Answered(receiver.url, large)
        assert len(heads) == 2
        assert b"Expect" not in heads[1]
        assert b"Expect: 100-continue" in heads[0]

        heads.clear()
        Answered(receiver.url, large, (pycurl.HTTPHEADER, ["Expect:"]))
        assert len(heads) == 1
        assert b"Expect" not in heads[0]


def test_paths_are_rewritten_unless_told_not_to() -> None:
    with Receiver() as receiver:
        url = receiver.at("127.0.0.1", "/a/../b")
        Answered(url)
        Answered(url, (pycurl.PATH_AS_IS, 1))

        assert [request.path for request in receiver.requests] == ["/b", "/a/../b"]


# What it takes for an answer


@pytest.mark.parametrize("line", [b"HTTP/1.1 2000 OK", b"HTTP/1.1 200OK", b"http/1.1 200"])
def test_malformed_status_lines_read_as_200(line: bytes) -> None:
    with Receiver(says(line + END)) as receiver:
        answered = Answered(receiver.url)

        assert (answered.code, answered.status) == (0, 200)


def test_an_answer_cut_inside_its_headers_ends_well_with_200() -> None:
    with Receiver(says(b"HTTP/1.1 200 OK\r\nX-A: b\r\n")) as receiver:
        answered = Answered(receiver.url)

        assert (answered.code, answered.status) == (0, 200)
        assert answered.headers == [b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"]


def test_a_deadline_inside_the_headers_reports_200_too() -> None:
    with Receiver(says(b"HTTP/1.1 200 OK\r\nX-A: b\r\n", "stay_silent")) as receiver:
        answered = Answered(receiver.url, (pycurl.TIMEOUT_MS, 200))

        assert (answered.code, answered.status) == (28, 200)


def test_interim_answers_and_trailers_come_line_by_line_like_headers() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n"
    with Receiver(says(b"HTTP/1.1 103 Early\r\nX-A: b\r\n\r\n" + chunked)) as receiver:
        answered = Answered(receiver.url)

        assert answered.headers == [
            b"HTTP/1.1 103 Early\r\n",
            b"X-A: b\r\n",
            b"\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"\r\n",
            b"X-Trailer: 1\r\n",
        ]


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 6000 + END, 5100),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 400 + END, 310),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 150_000 + END, 1),
        (b"HTTP/1.1 103 Early\r\n\r\n" * 50_000, 35_000),
    ],
    ids=["lines", "bytes", "one line", "interim"],
)
def test_headers_are_limited_in_all_so_what_is_kept_of_them_is_bounded(data: bytes, kept: int) -> None:
    with Receiver(says(data)) as receiver:
        answered = Answered(receiver.url)

        assert answered.code in (56, 100)
        assert len(answered.headers) <= kept
        assert sum(map(len, answered.headers)) <= 301 * 1024


def test_a_body_callback_that_takes_nothing_ends_the_transfer_with_23() -> None:
    with Receiver() as receiver:
        assert Answered(receiver.url, (pycurl.WRITEFUNCTION, lambda _: 0)).code == 23


# What it does behind one's back


def test_a_request_on_a_dying_connection_is_sent_again_unasked() -> None:
    def dies(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)
        if wire.number == 1:
            wire.read_request()
            wire.close()
        wire.stay_silent()

    multi = pycurl.CurlMulti()
    with Receiver(dies) as receiver:
        for _ in range(2):
            assert Answered(receiver.url, multi=multi).code == 0

        assert len(receiver.requests) == 3


def test_an_answer_nobody_asked_for_is_given_to_the_next_request() -> None:
    said = threading.Event()

    def talks(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)
        go_on.wait(20)
        wire.send(answer(500))
        said.set()
        wire.stay_silent()

    go_on = threading.Event()
    multi = pycurl.CurlMulti()
    with Receiver(talks) as receiver:
        Answered(receiver.url, multi=multi)
        go_on.set()
        said.wait(20)

        assert Answered(receiver.url, multi=multi).status == 500


def test_on_an_encrypted_connection_such_an_answer_waits_where_no_look_at_the_socket_finds_it(
    certificates: Certificates,
) -> None:
    def talks(wire: Wire) -> None:
        wire.read_request()
        wire.cork()  # both records in one segment
        wire.send(OK)
        wire.send(answer(500))
        wire.uncork()
        wire.stay_silent()

    multi, trust = pycurl.CurlMulti(), (pycurl.CAINFO, str(certificates.trusted_file))
    with Receiver(talks, tls=certificates.server()) as receiver:
        assert Answered(receiver.url, trust, multi=multi).status == 200
        assert Answered(receiver.url, trust, multi=multi).status == 500


def test_the_debug_callback_sees_the_header_of_every_record_that_was_opened(certificates: Certificates) -> None:
    opened = []

    def note(kind: int, text: bytes) -> None:
        if kind == pycurl.INFOTYPE_SSL_DATA_IN and len(text) == 5 and text[1] == 3:
            opened.append(5 + int.from_bytes(text[3:5], "big"))
        if text.startswith(b"SSL connection using "):
            versions.append(text.split()[3])

    versions: list[bytes] = []
    with Receiver(tls=certificates.server()) as receiver:
        answered = Answered(
            receiver.url,
            (pycurl.CAINFO, str(certificates.trusted_file)),
            (pycurl.VERBOSE, 1),
            (pycurl.DEBUGFUNCTION, note),
        )

        assert answered.code == 0
    assert versions == [b"TLSv1.3"]
    assert len(opened) >= 7
    assert min(opened) == 6, "the change of cipher specification is one byte"


# Addresses and names


@pytest.mark.parametrize("spelling", ["127.1", "0x7f000001", "2130706433", "017700000001", "%31%32%37.0.0.1"])
def test_every_spelling_of_an_address_reaches_the_socket_callback_as_the_address(spelling: str) -> None:
    seen = []

    def refuse(_purpose: int, target: object) -> int:
        seen.append((target.addr, target.family, target.protocol))  # type: ignore[attr-defined]
        return pycurl.SOCKET_BAD

    answered = Answered(f"http://{spelling}:8080/", (pycurl.OPENSOCKETFUNCTION, refuse))

    assert seen == [(("127.0.0.1", 8080), socket.AF_INET, socket.IPPROTO_TCP)]
    assert answered.code == 7


def test_after_a_refused_address_the_next_one_is_tried() -> None:
    seen = []

    def refuse(_purpose: int, target: object) -> int:
        seen.append(target.addr[0])  # type: ignore[attr-defined]
        return pycurl.SOCKET_BAD

    resolve = (pycurl.RESOLVE, ["x.test:80:127.0.0.1,127.0.0.2,[::1]"])
    Answered("http://x.test/", resolve, (pycurl.OPENSOCKETFUNCTION, refuse))

    assert sorted(seen) == ["127.0.0.1", "127.0.0.2", "::1"]


def test_the_gate_callback_runs_before_each_request_on_a_reused_connection_too() -> None:
    calls = []

    def gate(*ends: object) -> int:
        calls.append((ends, len(receiver.requests)))
        return pycurl.PREREQFUNC_OK

    multi = pycurl.CurlMulti()
    with Receiver() as receiver:
        for _ in range(2):
            Answered(receiver.url, (pycurl.PREREQFUNCTION, gate), multi=multi)

        (first, before_first), (second, before_second) = calls
        assert first == second
        assert first[0] == first[1] == "127.0.0.1"
        assert first[2] == receiver.port
        assert (before_first, before_second) == (0, 1)
        assert receiver.connections == 1


def test_a_refusal_at_the_gate_sends_nothing_and_ends_with_42() -> None:
    with Receiver() as receiver:
        answered = Answered(receiver.url, (pycurl.PREREQFUNCTION, lambda *_: pycurl.PREREQFUNC_ABORT))

        assert answered.code == 42
        assert receiver.requests == []


def test_a_given_address_stays_in_the_multi_and_a_trailing_dot_is_another_name() -> None:
    multi = pycurl.CurlMulti()
    with Receiver() as receiver:
        resolve = (pycurl.RESOLVE, [f"x.invalid:{receiver.port}:127.0.0.1"])
        assert Answered(receiver.at("x.invalid"), resolve, multi=multi).code == 0
        assert Answered(receiver.at("x.invalid"), (pycurl.FRESH_CONNECT, 1), multi=multi).code == 0
        assert Answered(receiver.at("x.invalid."), (pycurl.TIMEOUT_MS, 3000), multi=multi).code in (6, 28)


COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    FILE *log = fopen(getenv("LOOK_UPS"), "a");
    fprintf(log, "%s\\n", name ? name : "-");
    fclose(log);
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, found);
}
"""
SENDING = """
import sys
from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from tests.sender.flights import LOOPBACK, fly, post
sender = Sender(Egress(LOOPBACK, sys.argv[1]))
print([flight.result.status for flight in fly(sender, *map(post, sys.argv[2:]))])
sender.close()
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler to count the calls of getaddrinfo")
def test_the_sender_makes_libcurl_look_up_nothing(tmp_path: Path, certificates: Certificates) -> None:
    root = Path(__file__).resolve().parents[2]
    source, library, log = tmp_path / "count.c", tmp_path / "count.so", tmp_path / "look_ups"
    source.write_text(COUNTER)
    log.touch()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, capture_output=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "LOOK_UPS": str(log), "PYTHONPATH": str(root)}
    with Receiver() as plain, Receiver(tls=certificates.server()) as encrypted:
        urls = [plain.at("hooks.test"), plain.url, encrypted.at("hooks.test")]
        command = [sys.executable, "-c", SENDING, str(certificates.trusted_file), *urls]

        ended = subprocess.run(
            command, env=environment, cwd=root, capture_output=True, text=True, timeout=30, check=True
        )

    assert ended.stdout.strip() == "[200, 200, 200]"
    assert log.read_text() == ""


# The loop


def test_waiting_without_descriptors_returns_at_once() -> None:
    """Which is why the loop has an epoll and an eventfd of its own."""
    began = time.monotonic()

    pycurl.CurlMulti().select(1.0)

    assert time.monotonic() - began < 0.5


def test_an_exception_in_the_gate_callback_leaves_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    def gate(*_: object) -> int:
        raise RuntimeError("a bug")

    with Receiver() as receiver:
        try:
            code = Answered(receiver.url, (pycurl.PREREQFUNCTION, gate)).code
        except RuntimeError:
            code = None
        assert code in (None, 42), "it may be printed or raised, but the request is not sent"
        assert receiver.requests == []


def test_a_proxys_own_answer_looks_like_the_receivers_unless_option_265_hides_it(certificates: Certificates) -> None:
    def tunnel_then_dead(wire: Wire) -> None:
        with contextlib.suppress(ValueError):
            wire.read_request()
        wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        wire.close()

    with Receiver(tunnel_then_dead) as proxy:
        proxied = (pycurl.PROXY, f"http://127.0.0.1:{proxy.port}")

        assert Answered("https://hooks.test/", proxied).headers[0] == b"HTTP/1.1 200 Connection established\r\n"
        assert Answered("https://hooks.test/", proxied, (265, 1)).headers == []


def test_every_option_the_sender_sets_is_known_to_this_libcurl() -> None:
    from app.delivery.transfer import _CONSTANT

    handle = pycurl.Curl()
    setting: Callable[[int, object], None] = handle.setopt
    for option, value in _CONSTANT:
        setting(option, value)
