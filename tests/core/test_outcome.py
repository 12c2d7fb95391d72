"""What an attempt came to and what follows: no success without a complete answer, and never an exception."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.outcome import Decision, Facts, Result, Timings, decide, judge, last_block
from app.core.retry import Exhausted, RetryPolicy
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.core.urls import parse

URL = parse("https://hooks.acme.test/in")
NOW = 1_795_000_000_000
POLICY = RetryPolicy((5_000, 300_000), timeout_ms=15_000)
PENDING, FAILED, DELIVERED = DeliveryState.PENDING, DeliveryState.FAILED, DeliveryState.DELIVERED


def answered(head: bytes = b"HTTP/1.1 200 OK\r\n", **facts: object) -> Facts:
    return Facts(gate_passed=True, head=head, head_complete=True, timeout_ms=15_000, **facts)  # type: ignore[arg-type]


def judged(facts: Facts, codes: tuple[str, ...] = ("2xx",), url: str = "https://hooks.acme.test/in") -> Result:
    return judge(facts, parse(url), codes, NOW)


def follows(result: Result, **terms: object) -> Decision:
    given_terms = {"tries": 1, "attempts_allowed": 3, "kind": DeliveryKind.NORMAL, "roll": 0, **terms}
    policy = given_terms.pop("policy", POLICY)
    return decide(result, policy, **given_terms)  # type: ignore[arg-type]


# Reading the answer


@pytest.mark.parametrize(
    ("received", "block", "complete"),
    [
        (b"", b"", False),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n", True),
        (b"HTTP/1.1 200 OK\nA: b\n\n", b"HTTP/1.1 200 OK\nA: b\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n", False),
        (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204\r\n\r\n", b"HTTP/1.1 204\r\n", True),
        (b"HTTP/1.1 103 C\r\nA: b\r\n\r\nHTTP/1.1 2", b"HTTP/1.1 2", False),
        (b"HTTP/1.1 100 C\r\n\r\n", b"", False),
        (b"HTTP/1.1 101 S\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 S\r\n", True),
        (b"HTTP/1.1 2000 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 trailer\r\n\r\n", b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\n\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\n", True),
    ],
)
def test_the_final_block_is_found_among_interim_ones_and_trailers(
    received: bytes, block: bytes, complete: bool
) -> None:
    assert last_block(received) == (block, complete)


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 2000 OK", b"HTTP/1.1 200OK", b"http/1.1 200", b"HTTP/2 200", b"HTTP/1.1 099 x", b"HTTP/1.2 200 OK"],
)
def test_a_line_that_only_libcurl_takes_for_a_status_is_none(line: bytes) -> None:
    block, complete = last_block(line + b"\r\n\r\n")

    assert not complete
    assert judged(Facts(gate_passed=True, head=block, head_complete=complete)).error is ErrorClass.BAD_HTTP


@given(
    st.lists(
        st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 C\r\n", b"A: b\r\n", b"\r\n", b"\n", b"\0", b"HTTP"])
    )
)
def test_any_bytes_are_read_without_complaint(pieces: list[bytes]) -> None:
    block, complete = last_block(b"".join(pieces))

    assert b"\n\r\n" not in block
    assert not complete or re.match(rb"HTTP/1\.[01] [1-9]\d\d[ \r\n]", block)


# Judging


def words() -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(["a reason", ""])


HEADS = (
    st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 \r\nA: b\r\n"])
    | st.binary(max_size=60)
    | st.builds(
        lambda status, rest: b"HTTP/1.1 %d X\r\n" % status + rest, st.integers(0, 1200), st.binary(max_size=200)
    )
)
FACTS = st.builds(
    Facts,
    code=st.integers(0, 110),
    text=st.text(max_size=20) | st.sampled_from(["alert", "self-signed certificate", "has expired"]),
    gate_passed=st.booleans(),
    refused=words(),
    lasting=st.booleans(),
    again=st.booleans(),
    dirty=st.booleans(),
    local=words(),
    dns_failed=words(),
    head=HEADS,
    head_complete=st.booleans(),
    header_bytes_capped=st.booleans(),
    body=st.binary(max_size=20),
    body_capped=st.booleans(),
    received=st.integers(0, 10**9),
    timeout_ms=st.integers(1, 60_000),
    removed_late=st.booleans(),
)
CODES = st.lists(st.sampled_from(["2xx", "204", "302", "5xx", "", "x", "2xxx", "410"]), max_size=3).map(tuple)


@given(FACTS, CODES, st.sampled_from(["https://a.test/", "http://10.0.0.5:8080/x?y", "http://[2606::1]/"]))
def test_judging_never_raises_and_never_invents_a_success(facts: Facts, codes: tuple[str, ...], url: str) -> None:
    result = judged(facts, codes, url)

    assert result.message
    assert result.message.isprintable()
    if result.outcome is Outcome.SUCCEEDED:
        status = re.match(rb"HTTP/1\.1 ([2-9]\d\d)[ \r\n]", facts.head)
        assert status
        assert facts.head_complete
        assert facts.gate_passed
        assert not (facts.refused)
        assert not (facts.local)
        assert not (facts.dirty)
        assert status[1].decode() in codes or f"{chr(status[1][0])}xx" in codes
    else:
        assert result.error is not None
    assert (result.outcome is Outcome.BLOCKED) == bool(facts.refused)


@given(FACTS, CODES, st.sampled_from(DeliveryKind), st.integers(1, 4), st.integers(1, 4), st.integers(0, 15))
def test_deciding_never_raises_and_always_says_when_or_why(
    facts: Facts, codes: tuple[str, ...], kind: DeliveryKind, tries: int, allowed: int, roll: int
) -> None:
    result = judged(facts, codes)

    decision = decide(result, POLICY, tries=tries, attempts_allowed=allowed, kind=kind, roll=roll)

    assert (decision.state is DELIVERED) == (result.outcome is Outcome.SUCCEEDED)
    assert (decision.wait_ms is not None) == (decision.state is PENDING)
    assert (decision.reason is not None) == (decision.state is FAILED)
    assert decision.state is not PENDING or result.free or (tries < allowed and kind is not DeliveryKind.TEST)


@pytest.mark.parametrize(
    "spoilt", [{"gate_passed": False}, {"head_complete": False}, {"refused": "x"}, {"local": "x"}, {"dirty": True}]
)
def test_a_200_is_no_success_without_a_whole_exchange(spoilt: dict[str, object]) -> None:
    assert judged(answered()).outcome is Outcome.SUCCEEDED
    assert judged(answered()._replace(**spoilt)).outcome is not Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        (Facts(code=6, dns_failed="there is no such name"), ErrorClass.DNS),
        (Facts(code=6), ErrorClass.DNS),
        (Facts(code=7), ErrorClass.REFUSED),
        (Facts(code=7, again=True, gate_passed=True), ErrorClass.RESET),
        (Facts(code=42, again=True, gate_passed=True), ErrorClass.RESET),
        (Facts(code=28), ErrorClass.CONNECT_TIMEOUT),
        (Facts(code=28, gate_passed=True), ErrorClass.TIMEOUT),
        (Facts(code=35), ErrorClass.TLS),
        (Facts(code=58), ErrorClass.TLS),
        (Facts(code=60), ErrorClass.TLS),
        (Facts(code=77), ErrorClass.TLS),
        (Facts(code=56, text="error:0A00045C:SSL routines::tlsv13 alert certificate required"), ErrorClass.TLS),
        (Facts(code=56, text="Recv failure: Connection reset by peer", gate_passed=True), ErrorClass.RESET),
        (Facts(code=52, gate_passed=True), ErrorClass.RESET),
        (Facts(code=18, gate_passed=True), ErrorClass.RESET),
        (Facts(code=0, gate_passed=True, head=b"HTTP/1.1 200 OK\r\n"), ErrorClass.BAD_HTTP),
        (Facts(code=8, gate_passed=True), ErrorClass.BAD_HTTP),
        (Facts(code=100, gate_passed=True), ErrorClass.BAD_HTTP),
        (Facts(code=56, gate_passed=True, header_bytes_capped=True), ErrorClass.BAD_HTTP),
        (Facts(code=0, gate_passed=True, removed_late=True), ErrorClass.BAD_HTTP),
    ],
)
def test_each_way_of_failing_has_its_class(facts: Facts, error: ErrorClass) -> None:
    result = judged(facts)

    assert (result.outcome, result.error, result.status) == (Outcome.FAILED, error, None)


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        (answered(), None),
        (answered(code=23, body_capped=True), ErrorClass.TOO_LARGE),
        (answered(removed_late=True), ErrorClass.TOO_LARGE),
        (answered(code=28), ErrorClass.LATE),
        (answered(code=18), ErrorClass.INCOMPLETE),
        (answered(code=56), ErrorClass.INCOMPLETE),
        (answered(code=56, again=True), ErrorClass.INCOMPLETE),
    ],
)
def test_what_happens_to_the_body_is_a_note_on_the_success(facts: Facts, note: ErrorClass | None) -> None:
    result = judged(facts)

    assert (result.outcome, result.status, result.error) == (Outcome.SUCCEEDED, 200, note)


def test_what_we_refused_comes_before_everything_else() -> None:
    result = judged(answered(refused="10.0.0.5 is a private address, which is blocked", local="x", dirty=True))

    assert (result.outcome, result.error) == (Outcome.BLOCKED, ErrorClass.BLOCKED)
    assert result.message == "10.0.0.5 is a private address, which is blocked; nothing was sent"


def test_a_cause_of_our_own_does_not_use_the_budget() -> None:
    for facts in (answered(local="OSError: too many open files"), Facts(code=27), Facts(local="MemoryError")):
        result = judged(facts)

        assert (result.outcome, result.error, result.free) == (Outcome.INTERRUPTED, ErrorClass.INTERRUPTED, True)
    assert judged(Facts(local="x")).message == "The server had to stop before the request; nothing was sent"
    assert "may have got it" in judged(Facts(local="x", gate_passed=True)).message


@pytest.mark.parametrize(
    ("facts", "url", "message"),
    [
        (answered(b"HTTP/1.1 503 <script>\r\n"), "http://a.test/", "503 Service Unavailable"),
        (answered(b"HTTP/1.1 999 Odd\r\n"), "http://a.test/", "999"),
        (answered(b"HTTP/1.1 429 X\r\nRetry-After: 60\r\n"), "http://a.test/", "429, asks for 60 s"),
        (answered(b"HTTP/1.1 429 X\r\n"), "http://a.test/", "429 Too Many Requests"),
        (
            answered(b"HTTP/1.1 301 X\r\nLocation: https://www.a.test/\r\n"),
            "http://a.test/",
            "301, not followed; it points to https://www.a.test/",
        ),
        (answered(b"HTTP/1.1 304 X\r\n"), "http://a.test/", "304 Not Modified"),
        (Facts(code=7), "http://a.test:8080/", "Connection refused by a.test:8080"),
        (Facts(code=28, timeout_ms=15_000), "http://a.test/", "No connection within 5 s"),
        (Facts(code=28, timeout_ms=1_500), "http://a.test/", "No connection within 1.5 s"),
        (
            Facts(code=28, timeout_ms=15_000, gate_passed=True),
            "http://a.test/",
            "No answer within 15 s (connected, request sent)",
        ),
        (
            Facts(code=60, text="SSL certificate problem: self-signed certificate in certificate chain"),
            "https://a.test/",
            "Certificate not trusted: self-signed",
        ),
        (Facts(code=35, text="error:...:wrong version number"), "https://a.test/", "This port doesn't speak TLS"),
        (Facts(code=35, text="secret of libcurl"), "https://a.test/", "The TLS handshake failed"),
        (
            Facts(code=6, dns_failed="there is no such name"),
            "http://a.test/",
            "Host name not found: a.test (there is no such name)",
        ),
        (Facts(code=52, gate_passed=True), "http://a.test/", "Connection closed before an answer"),
        (Facts(code=1, gate_passed=True), "http://a.test/", "Unreadable answer"),
    ],
)
def test_people_read_a_sentence_and_never_libcurls_words(facts: Facts, url: str, message: str) -> None:
    assert judged(facts, url=url).message == message


def test_success_codes_are_the_webhooks_own() -> None:
    created = answered(b"HTTP/1.1 201 Created\r\n")

    assert judged(created, ("200", "201")).outcome is Outcome.SUCCEEDED
    assert judged(created, ("200",)).outcome is Outcome.FAILED
    assert judged(answered(b"HTTP/1.1 101 S\r\n"), ("1xx", "101")).outcome is Outcome.FAILED


def test_headers_are_cut_in_number_and_length_and_folded_lines_joined() -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"v" * 2000) for number in range(150))

    result = judged(answered(b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\nno colon\r\n" + lines))

    assert result.headers[0] == (b"A", b"b c")
    assert len(result.headers) == 100
    assert {len(value) for _, value in result.headers[1:]} == {1024}


def test_the_size_of_a_cut_answer_is_the_announced_one() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3250585\r\n"

    assert judged(answered(head, body_capped=True, received=70_000)).response_size == 3_250_585
    assert judged(answered(head, received=70_000)).response_size == 70_000
    assert judged(answered(b"HTTP/1.1 200 OK\r\n", body_capped=True, received=70_000)).response_size == 70_000


# Deciding


def failure(status: int = 500, lines: bytes = b"") -> Result:
    return judged(answered(b"HTTP/1.1 %d X\r\n" % status + lines))


def test_a_success_ends_the_delivery() -> None:
    assert follows(judged(answered())) == Decision(DELIVERED)


def test_a_failure_waits_as_the_policy_says_until_the_tries_are_spent() -> None:
    assert follows(failure(), tries=1) == Decision(PENDING, wait_ms=5_000)
    assert follows(failure(), tries=2) == Decision(PENDING, wait_ms=300_000)
    assert follows(failure(), tries=3) == Decision(FAILED, reason=Reason.EXHAUSTED)
    assert follows(failure(), tries=3, attempts_allowed=4).state is PENDING


def test_spent_tries_turn_the_webhook_off_where_the_policy_says_so() -> None:
    policy = RetryPolicy((1,), timeout_ms=1, on_exhausted=Exhausted.DISABLE)

    decision = follows(failure(), tries=2, attempts_allowed=2, policy=policy)

    assert decision == Decision(FAILED, reason=Reason.EXHAUSTED, turn_off=Reason.EXHAUSTED)
    assert follows(failure(), tries=1, attempts_allowed=2, policy=policy).turn_off is None


def test_gone_ends_the_delivery_and_turns_the_webhook_off() -> None:
    assert follows(failure(410)) == Decision(FAILED, reason=Reason.GONE, turn_off=Reason.GONE)


def test_a_receiver_may_ask_to_be_turned_off_or_to_drop_the_event() -> None:
    disable, abort = b"webhook-delivery: disable\r\n", b"Webhook-Delivery: abort-message\r\n"

    assert follows(judged(answered(b"HTTP/1.1 200 OK\r\n" + disable))) == Decision(DELIVERED, turn_off=Reason.ASKED)
    assert follows(failure(500, disable)) == Decision(PENDING, wait_ms=5_000, turn_off=Reason.ASKED)
    assert follows(failure(500, abort)) == Decision(FAILED, reason=Reason.ASKED)
    assert follows(judged(answered(b"HTTP/1.1 200 OK\r\n" + abort))) == Decision(DELIVERED)
    assert follows(failure(500, b"webhook-delivery: please\r\n")) == Decision(PENDING, wait_ms=5_000)


def test_a_hint_lengthens_the_wait_and_on_429_and_503_makes_the_whole_webhook_wait() -> None:
    hint = b"Retry-After: 120\r\n"

    assert follows(failure(500, hint)) == Decision(PENDING, wait_ms=120_000)
    assert follows(failure(503, hint)) == Decision(PENDING, wait_ms=120_000, lane_wait_ms=120_000)
    assert follows(failure(429, hint), tries=2) == Decision(PENDING, wait_ms=300_000, lane_wait_ms=120_000)
    assert follows(failure(429, hint), tries=3).lane_wait_ms == 120_000
    assert follows(failure(429)).lane_wait_ms is None
    assert judged(answered(b"HTTP/1.1 200 OK\r\n" + hint)).retry_after_ms is None


def test_a_literal_that_is_blocked_is_not_tried_again_and_a_name_is() -> None:
    lasting = judged(Facts(refused="10.0.0.5 is a private address, which is blocked", lasting=True))
    passing = judged(Facts(refused="a.test resolves to a private address, which is blocked"))

    assert follows(lasting) == Decision(FAILED, reason=Reason.REFUSED_BY_RULE)
    assert follows(passing) == Decision(PENDING, wait_ms=5_000)


def test_a_hole_in_our_own_validation_is_not_tried_again() -> None:
    for code in (3, 43, 49, 67):
        result = judged(Facts(code=code))

        assert (result.outcome, follows(result).reason) == (Outcome.FAILED, Reason.REFUSED_BY_RULE)


def test_what_lies_on_our_side_is_tried_again_whatever_the_budget() -> None:
    again, local = judged(Facts(code=7, again=True, gate_passed=True)), judged(Facts(local="x"))

    for kind in DeliveryKind:
        assert follows(again, tries=3, kind=kind) == Decision(PENDING, wait_ms=0)
        assert follows(local, tries=3, kind=kind) == Decision(PENDING, wait_ms=5_000)


@pytest.mark.parametrize("status", [500, 410, 429])
def test_a_test_has_one_try_and_leaves_its_webhook_alone(status: int) -> None:
    result = failure(status, b"Retry-After: 9\r\nwebhook-delivery: disable\r\n")

    assert follows(result, kind=DeliveryKind.TEST) == Decision(FAILED, reason=Reason.TEST_FAILED)
    assert follows(judged(answered()), kind=DeliveryKind.TEST) == Decision(DELIVERED)


def test_facts_have_harmless_defaults() -> None:
    assert judged(Facts(code=28)).timings == Timings()
