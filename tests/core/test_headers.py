"""Header rules: what is accepted is exactly one line on the wire, and what would reframe a request is refused."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pycurl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.headers import RESERVED, name_problem, problems, value_problem
from app.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    "value",
    ["a\r\nX: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "é", "中", "a\tb", " a", "a ", " ", "\t", "x" * 1025, "a\x1bb"],
    ids=ascii,
)
def test_147_a_value_that_could_be_more_than_a_value_is_refused(value: str) -> None:
    assert value_problem(value)
    assert problems([("X-A", value)], ())


@pytest.mark.parametrize(
    "name", ["a b", "a:", "a;", " a", "a ", "", "X\r\nY", "é", "a\0", "a/b", '"a"', "a,b", "x" * 65], ids=ascii
)
def test_148_a_name_that_is_no_token_is_refused(name: str) -> None:
    assert name_problem(name)
    assert problems([(name, "1")], ())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Transfer-Encoding", "Transfer-Encoding can't be set."),
        ("Content-Length", "Content-Length is set by Postroom."),
        ("Content-Type", "Content-Type is set by Postroom."),
        ("Host", "Host can't be set."),
        ("hOsT", "hOsT can't be set."),
        ("Connection", "Connection can't be set."),
        ("Expect", "Expect can't be set."),
        ("TE", "TE can't be set."),
        ("webhook-id", "webhook-id is set by Postroom."),
        ("Webhook-Anything", "Webhook-Anything is set by Postroom."),
        ("Postroom-Delivery", "Postroom-Delivery is set by Postroom."),
        ("User-Agent", "User-Agent is set by Postroom."),
        ("Authorization", "Enter Authorization under Authentication."),
        ("Proxy-Authorization", "Proxy-Authorization can't be set."),
        ("Sec-Fetch-Site", "Sec-Fetch-Site can't be set."),
        ("HTTP2-Settings", "HTTP2-Settings can't be set."),
        ("X-GitHub-Event", "X-GitHub-Event is set by Postroom."),
    ],
)
def test_149_a_reserved_name_is_refused(name: str, sentence: str) -> None:
    assert problems([(name, "1")], {"X-GitHub-Event"}) == [Problem("headers", sentence)]


def test_reserved_names_stay_reserved_when_they_are_passed_in() -> None:
    assert problems([("Host", "a")], RESERVED) == [Problem("headers", "Host can't be set.")]


def test_150_an_empty_value_is_accepted() -> None:
    assert value_problem("") is None
    assert problems([("X-A", "")], ()) == []


def test_151_twenty_headers_pass_and_twenty_one_do_not() -> None:
    headers = [(f"X-{n}", "1") for n in range(21)]

    assert problems(headers[:20], ()) == []
    assert problems(headers, ()) == [Problem("headers", "A webhook can have 20 headers.")]


def test_151_more_than_8_kib_together_are_refused() -> None:
    fitting = [(f"X-{n}", "x" * 1015) for n in range(8)]  # 8 lines of 1,022 bytes
    one_more = [*fitting, ("Y", "x" * 12)]

    assert problems(fitting, ()) == []
    assert problems(one_more, ()) == [Problem("headers", "The headers are larger than 8 KiB together.")]


def test_151_one_name_twice_is_refused_in_any_case() -> None:
    assert problems([("X-A", "1"), ("x-a", "2")], ()) == [Problem("headers", "x-a is there twice. Keep one.")]


def test_each_fault_of_a_header_is_told() -> None:
    assert [problem.message for problem in problems([("a b", "é")], ())] == [
        "A header's name can hold letters, digits and !#$%&'*+.^_`|~- only.",
        "a b: A header's value can hold printable ASCII characters only: no line ends, tabs or accents.",
    ]


names = st.text(st.sampled_from("!#$%&'*+.^_`|~09azAZ-"), min_size=1, max_size=64)
values = st.text(st.characters(min_codepoint=0, max_codepoint=0x180), max_size=40)


@pytest.fixture(scope="module")
def heads() -> Iterator[tuple[int, list[bytes]]]:
    """The port of a receiver on loopback, and the heads of the requests it was sent."""
    server = socket.create_server(("127.0.0.1", 0))
    taken: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                taken.append(head)
                connection.sendall(b"HTTP/1.1 204 Yes\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], taken
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, values)
def test_an_accepted_header_is_one_line_on_the_wire(heads: tuple[int, list[bytes]], name: str, value: str) -> None:
    if problems([(name, value)], ()):
        return
    port, taken = heads
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/")
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" if value else f"{name};", "User-Agent: t", "Accept: */*"])

    curl.perform()
    curl.close()

    lines = taken[-1].split(b"\r\n")
    assert lines[2:] == [
        f"{name}: {value}".encode() if value else f"{name}:".encode(),
        b"User-Agent: t",
        b"Accept: */*",
        b"",
        b"",
    ]


@settings(deadline=None)
@given(st.text(max_size=70))
def test_what_is_accepted_is_printable_ascii_of_bounded_length(text: str) -> None:
    if name_problem(text) is None:
        assert 1 <= len(text) <= 64
        assert not set(text) & set(' :;,()<>@[]{}\\"/=?')
    if value_problem(text) is None:
        assert text.isascii()
        assert text == text.strip()
        assert text.isprintable()
