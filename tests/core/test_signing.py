"""Signatures: published vectors, the official verifiers, rotation, and what the checker says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
import standardwebhooks
import stripe
import svix
from hypothesis import given
from hypothesis import strategies as st

from app import datafiles
from app.core.encoding import ContentType
from app.core.shaping import EventFacts, Shape, shape
from app.core.signing import KeyUnusableError, Scheme, check, key_problem, load_schemes, public_key, sign
from app.core.vocabulary import DataFileError

SCHEMES = load_schemes(datafiles.signatures())
A = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
B = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
SEED = bytes(range(32))
ED_PUBLIC = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
ED = "whsk_" + base64.b64encode(SEED + base64.b64decode(ED_PUBLIC[5:])).decode()
ED10 = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
TS = 1_700_000_000
VOMO = '{"type":"project.updated","organization_id":"org_1","data":{"name":"été"}}'.encode()

# number: scheme, secrets, id, second, body, what the signature's header holds
VECTORS: dict[str, tuple[str, list[str], str, int, bytes, str]] = {
    "V1": ("standard", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
           b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    "V2": ("standard", ["whsec_plJ3nmyCDGBKInavdOK15jsl"], "msg_loFOjxBNrRLzqYUf", 1731705121,
           b'{"event_type":"ping","data":{"success":true}}', "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
    "V3": ("standard", [A], "msg_1", TS, b"", "v1,amcCR9+HGJUcbpN0HzliuKzDJkenCx5mV9lf3DlQ0mM="),
    "V4": ("standard", [A], "msg_1", TS, b"{}", "v1,fhksJF5ElKjlPoT/jtefCO5XjQPvhf7Dhf/8R1ad9yU="),
    "V5": ("standard", [A], "msg_1", TS, b"a=1&b=%C3%A9+x", "v1,j+GxeBBJSHOL+LMZTPQXQjH2NKk2xpGYw2h5dHjoSxM="),
    "V6": ("standard", [A], "msg_1", TS, b"\xff\x00bin", "v1,NhhqbOJLwVzOmR537ZdTfehPf5IZWLWRTTnqTmWjqhA="),
    "V7": ("standard", [B, A], "evt_1", TS, b"{}",
           "v1,lYLXgUyDGCxAZHR6J7a+qL0O8iykiZ5cUKQfN0isJpw= v1,bXtchBV0Hi1flm60IFUb87JKA3d/Yvv8UoEjbNotegk="),
    "V8": ("standard", [A], "evt_1", TS, b"data%5Bitems%5D%5B0%5D%5Bname%5D=a+b&data%5Bok%5D=true&data%5Bnone%5D=",
           "v1,1UyD5xwqdMFYPK/cOcyhvUwGfTS0HlXqAs+4qoExNRs="),
    "V9": ("v1a", [ED], "msg_1", TS, b"{}",
           "v1a,fR8yyhXRO0do/WxNS4zXzRCZpGO+mwd0OAbs9Yr4JTAZF2y4KGv3H0dFLUCKzYN4xVJij9U5gkTIbHLMAd6YCQ=="),
    "V10": ("v1a", [ED10], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}',
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="),
    "V11": ("github", ["It's a Secret to Everybody"], "evt_1", TS, b"Hello, World!",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
    "V12": ("stripe", ["whsec_test"], "evt_1", TS, b"{}",
            "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"),
    "V13": ("hex", ["topsecret"], "evt_1", TS, b"a=1&b=2",
            "16ac037b7516fc8d712e59e82ab4b133a4ac8db2e888ad1524711506cd853803"),
    "V14": ("hex", [A], "evt_1", TS, b"{}", "985a3c96a281605f1d3b4c1137aa5b322d0d56867f0b183245815130d7964c97"),
    "V15": ("hex", [A], "evt_1", TS, VOMO, "a2e8faced4d28afa63069aa3db1513752b4585ecd41c1a8090d675e921fb663f"),
    "V16": ("stripe", [A], "evt_1", TS, b"{}",
            "t=1700000000,v1=c96db64dcac97ab83cf9a5c23aebfdd84148c3fd17caeb1ff7f359754d7d0025"),
}  # fmt: skip
SIGNATURE_HEADERS = {"hex": "vomo-signature"}


def signed(scheme: str, keys: list[str], body: bytes, *, event_id: str = "evt_1", at: int = TS) -> dict[str, str]:
    return dict(sign(SCHEMES[scheme], keys, event_id, at, body, SIGNATURE_HEADERS.get(scheme)))


def checked(scheme: str, keys: list[str], headers: dict[str, str], body: bytes, now: int = TS, **more: Any) -> Any:
    return check(SCHEMES[scheme], keys, headers, body, now, header=SIGNATURE_HEADERS.get(scheme), **more)


@pytest.mark.parametrize("number", VECTORS)
def test_every_published_vector_comes_out(number: str):
    scheme, keys, event_id, at, body, expected = VECTORS[number]

    lines = sign(SCHEMES[scheme], keys, event_id, at, body, SIGNATURE_HEADERS.get(scheme))

    assert lines[-1][1] == expected
    assert checked(scheme, keys, dict(lines), body, at).valid


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", "86227fe96722a2247dcfee12c07d89c1b0567bbc9aa6a8d804838f66a3da843f"),
        (b"a=1&b=%C3%A9+x", "bd063ecb07fdbbfbef491149654943a9e8f5b003813984d5e366048c786ed3a7"),
    ],
)
def test_vector_17_the_core_is_hmac_over_the_decoded_key(body: bytes, expected: str):
    bare = load_schemes(
        b'[bare]\ntitle = "Bare"\nkey = "base64"\nalgorithm = "hmac-sha256"\nsigns = "{body}"\nencoding = "hex"\n'
        b'value = "{signature}"\nheader = "x"\n'
    )["bare"]

    assert sign(bare, [A], "evt_1", TS, body, None) == [("x", expected)]


def test_the_headers_of_a_signature_are_the_standards():
    assert sign(SCHEMES["standard"], [A], "evt_1", TS, b"{}", None) == [
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1,bXtchBV0Hi1flm60IFUb87JKA3d/Yvv8UoEjbNotegk="),
    ]


@pytest.mark.parametrize("scheme", [None, *SCHEMES])
def test_the_events_id_is_always_sent(scheme: str | None):
    keys = [ED if scheme == "v1a" else A]

    lines = sign(None if scheme is None else SCHEMES[scheme], keys, "evt_7", TS, b"{}", "x-signature")

    assert ("webhook-id", "evt_7") in lines
    assert scheme is not None or lines == [("webhook-id", "evt_7")]


def test_while_two_secrets_are_valid_both_sign_where_the_scheme_can_carry_two():
    both = signed("stripe", [B, A], b"{}")["Stripe-Signature"]
    new, old = signed("stripe", [B], b"{}")["Stripe-Signature"], signed("stripe", [A], b"{}")["Stripe-Signature"]

    assert both == new + "," + old.partition(",")[2]
    for scheme in ("hex", "github"):
        assert signed(scheme, [B, A], b"{}") == signed(scheme, [B], b"{}")
    for key in (A, B):
        for scheme in ("standard", "stripe"):
            assert checked(scheme, [key], signed(scheme, [B, A], b"{}"), b"{}").valid


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=300), st.integers(0, 10**11))
def test_a_signature_is_the_hmac_that_anyone_can_compute(key: bytes, body: bytes, at: int):
    secret = "whsec_" + base64.b64encode(key).decode()

    message = b"evt_1." + str(at).encode() + b"." + body
    standard = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    assert signed("standard", [secret], body, at=at)["webhook-signature"] == "v1," + standard
    as_shown = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert signed("hex", [secret], body)["vomo-signature"] == as_shown
    assert signed("github", [secret], body)["X-Hub-Signature-256"] == "sha256=" + as_shown


@pytest.mark.parametrize("keys", [[A], [B, A]])
@pytest.mark.parametrize("content_type", list(ContentType))
def test_the_official_verifiers_accept_what_goes_on_the_wire(keys: list[str], content_type: ContentType):
    facts = EventFacts(
        id="evt_1", type="job.created", created_at=0, occurred_at=0, data='{"é":[1.50,{"x":"ß"}]}'.encode(),
        organization_id="org_1", webhook_id="whk_1", delivery_id="dlv_1",
    )  # fmt: skip
    body = shape(facts, Shape(content_type=content_type), 0)
    now = int(time.time())

    headers = signed("standard", keys, body, at=now)
    stripe_header = signed("stripe", keys, body, at=now)["Stripe-Signature"]

    for key in keys:
        svix.Webhook(key).verify(body, headers)
        stripe.WebhookSignature.verify_header(body.decode(), stripe_header, key, tolerance=300)
        if content_type is ContentType.JSON:  # it also parses what it verified
            assert standardwebhooks.Webhook(key).verify(body, headers) == json.loads(body)
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.Webhook(keys[0]).verify(body + b" ", headers)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body.decode() + " ", stripe_header, keys[0], tolerance=300)


def test_an_asymmetric_signature_is_checked_with_the_public_key_alone():
    headers = signed("v1a", [ED], b"{}")

    assert public_key(ED) == ED_PUBLIC
    assert checked("v1a", [ED_PUBLIC], headers, b"{}").valid
    assert not checked("v1a", [public_key(ED10)], headers, b"{}").valid


@pytest.mark.parametrize(
    ("scheme", "key", "says"),
    [
        ("standard", A, None),
        ("standard", "whsec_" + base64.b64encode(bytes(64)).decode(), None),
        ("standard", "whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 bytes"),
        ("standard", "whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 bytes"),
        ("standard", "whsec_###", "base64"),
        ("standard", "whsec_é", "base64"),
        ("v1a", ED, None),
        ("v1a", ED_PUBLIC, "64 bytes"),
        ("v1a", "whsk_" + base64.b64encode(bytes(64)).decode(), "doesn't belong"),
        ("hex", "anything", None),
        ("hex", "", "1 to 512 bytes"),
    ],
)
def test_a_secret_that_does_not_fit_its_scheme_is_named(scheme: str, key: str, says: str | None):
    problem = key_problem(SCHEMES[scheme], key)

    assert problem is None if says is None else says in str(problem)
    assert problem is None or not key or key not in problem


def test_signing_without_a_secret_or_a_header_is_an_error_not_an_unsigned_request():
    with pytest.raises(KeyUnusableError):
        sign(SCHEMES["standard"], [], "evt_1", TS, b"{}", None)
    with pytest.raises(KeyUnusableError):
        sign(SCHEMES["standard"], ["whsec_###"], "evt_1", TS, b"{}", None)
    with pytest.raises(KeyUnusableError):
        sign(SCHEMES["v1a"], [ED_PUBLIC], "evt_1", TS, b"{}", None)
    with pytest.raises(KeyUnusableError, match="no header"):
        sign(SCHEMES["hex"], [A], "evt_1", TS, b"{}", None)


# the checker


def test_the_checker_says_what_it_found_step_by_step():
    verdict = checked("standard", [A], signed("standard", [A], b"{}"), b"{}", TS + 3)

    assert verdict.valid
    assert verdict.reason is None
    assert [(step.ok, step.text) for step in verdict.steps] == [
        (True, "The header webhook-signature is there."),
        (True, "The signature is right."),
        (True, "The timestamp is 3 s old."),
    ]


def test_the_checker_reads_headers_however_they_are_written():
    headers = {name.upper(): f" {value} " for name, value in signed("standard", [A], b"{}").items()}

    assert checked("standard", [A], headers, b"{}").valid


def test_the_checker_tells_the_causes_apart():
    headers = signed("standard", [A], b'{"a":1}')

    reasons = {
        "no header": checked("standard", [A], {}, b"").reason,
        "no id": checked("standard", [A], {"webhook-signature": "v1,x"}, b"").reason,
        "wrong secret": checked("standard", [B], headers, b'{"a":1}').reason,
        "expired": checked("standard", [B], headers, b'{"a":1}', expired=[(A, "on 20 Nov")]).reason,
        "changed": checked("standard", [A], headers, b'{"a": 1}', sent=b'{"a":1}').reason,
        "longer": checked("standard", [A], headers, b'{"a":1}\n', sent=b'{"a":1}').reason,
        "cut": checked("standard", [A], headers, b'{"a"', sent=b'{"a":1}').reason,
        "old": checked("standard", [A], headers, b'{"a":1}', TS + 14 * 60).reason,
        "ahead": checked("standard", [A], headers, b'{"a":1}', TS - 5 * 3600).reason,
        "no number": checked("standard", [A], headers | {"webhook-timestamp": "soon"}, b'{"a":1}').reason,
        "another form": checked("standard", [A], headers | {"webhook-signature": "sha256=00"}, b'{"a":1}').reason,
        "not base64": checked("standard", [A], headers | {"webhook-signature": "v1,é v1,%%"}, b'{"a":1}').reason,
    }

    assert reasons == {
        "no header": "There is no header webhook-signature.",
        "no id": "There is no header webhook-id.",
        "wrong secret": "It was made with another secret, or the body was changed.",
        "expired": "It was made with the secret that expired on 20 Nov.",
        "changed": "The body was changed: first difference at byte 6 (a space).",
        "longer": "The body was changed: first difference at byte 8 (a line end).",
        "cut": "The body was changed: first difference at byte 5 (the end).",
        "old": "The timestamp is 14 min old; more than 5 min is refused.",
        "ahead": "The timestamp is 5 h ahead; more than 5 min is refused.",
        "no number": "The timestamp 'soon' isn't a number of seconds.",
        "another form": "The header webhook-signature holds no signature of the form v1,….",
        "not base64": "The header webhook-signature holds no signature of the form v1,….",
    }


def test_the_checker_takes_the_second_from_where_the_scheme_puts_it():
    headers = signed("stripe", [A], b"{}")

    assert checked("stripe", [A], headers, b"{}", TS + 299).valid
    assert (
        checked("stripe", [A], headers, b"{}", TS + 301).reason
        == "The timestamp is 5 min old; more than 5 min is refused."
    )
    garbled = {"Stripe-Signature": headers["Stripe-Signature"].replace("t=", "x=")}
    assert not checked("stripe", [A], garbled, b"{}").valid
    assert checked("hex", [A], signed("hex", [A], b"{}"), b"{}", TS + 10**8).valid, "hex has no timestamp to be old"
    assert [SCHEMES[name].signs_time for name in SCHEMES] == [True, True, False, False, True]


def test_the_checker_passes_over_signatures_of_other_schemes():
    headers = signed("standard", [A], b"{}")
    headers["webhook-signature"] = "v1a,AAAA junk v2,x " + headers["webhook-signature"]

    assert checked("standard", [A], headers, b"{}").valid


READ = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "Stripe-Signature",
    "vomo-signature",
    "X-Hub-Signature-256",
]


@given(st.dictionaries(st.sampled_from(READ), st.text()), st.binary(max_size=20))
def test_nothing_pasted_into_the_checker_is_valid_by_chance_or_breaks_it(headers: dict[str, str], body: bytes):
    for scheme in SCHEMES:
        verdict = checked(scheme, [ED if scheme == "v1a" else A], headers, body)

        assert not verdict.valid
        assert verdict.reason


# the file


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("algorithm", "algoritm"),
            "signatures.toml: standard.algoritm: there is no such key here; did you mean algorithm?",
        ),
        (('"hmac-sha256"', '"hmac-sha265"'), "signatures.toml: standard.algorithm: .*did you mean hmac-sha256?"),
        ((".{body}", ".{bodi}"), "signatures.toml: standard.signs: there is no {bodi}; did you mean {body}?"),
        ((".{body}", ".{body}!"), "signatures.toml: standard.signs: it must end with {body}"),
        (("v1,{signature}", "v1"), "signatures.toml: standard.value: it must hold {signature} once"),
        (("webhook-timestamp =", '"webhook timestamp" ='), "signatures.toml: standard.headers: "),
    ],
)
def test_a_wrong_scheme_is_refused_with_file_and_key(change: tuple[str, str], says: str):
    text = datafiles.signatures().decode().partition("[v1a]")[0].partition("[standard]")[2]
    assert change[0] in text

    with pytest.raises(DataFileError) as caught:
        load_schemes(("[standard]" + text.replace(change[0], change[1], 1)).encode())

    head, _, tail = says.partition(".*")
    assert str(caught.value).startswith(head)
    assert str(caught.value).endswith(tail)


def test_schemes_say_which_headers_they_set():
    assert SCHEMES["standard"].header_names == ("webhook-id", "webhook-timestamp", "webhook-signature")
    assert SCHEMES["hex"].header_names == ("webhook-id",)
    assert all(isinstance(scheme, Scheme) for scheme in SCHEMES.values())
