"""Redaction: a canary planted anywhere comes out nowhere, and what is no secret stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.redaction import MASK, redacted, shown_headers

CANARY = "c4n4ry-S3cr3t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("POST https://a.com/in?token=c4n4ry-S3cr3t&x=1", f"POST https://a.com/in?token={MASK}&x=1"),
        ("https://a.com/?x=1&api_key=c4n4ry-S3cr3t#f", f"https://a.com/?x=1&api_key={MASK}#f"),
        ("https://a.com/?X-Amz-Signature=c4n4ry-S3cr3t", f"https://a.com/?X-Amz-Signature={MASK}"),
        ("https://a.com/?%74oken=c4n4ry-S3cr3t", f"https://a.com/?%74oken={MASK}"),
        ("password=c4n4ry-S3cr3t&name=ada", f"password={MASK}&name=ada"),
        ("client_secret=c4n4ry-S3cr3t", f"client_secret={MASK}"),
        ("https://u:c4n4ry-S3cr3t@a.com/x", f"https://{MASK}@a.com/x"),
        ("https://u:a@c4n4ry-S3cr3t@a.com/x", f"https://{MASK}@a.com/x"),
        ("Authorization: Basic c4n4ry-S3cr3t", f"Authorization: Basic {MASK}"),
        ("authorization: c4n4ry-S3cr3t two words", f"authorization: {MASK}"),
        ("curl -H 'X-Api-Key: c4n4ry-S3cr3t' -d x", f"curl -H 'X-Api-Key: {MASK}' -d x"),
        ('{"Authorization": "Bearer c4n4ry-S3cr3t", "a": 1}', f'{{"Authorization": "Bearer {MASK}", "a": 1}}'),
        ("Cookie: a=c4n4ry-S3cr3t; b=c4n4ry-S3cr3t\r\nX: 1", f"Cookie: {MASK}\r\nX: 1"),
        ("the secret whsec_c4n4ry/S3cr3t+A== was made", f"the secret whsec_{MASK} was made"),
        ("prk_01abcdef_c4n4ry-S3cr3t.", f"prk_{MASK}."),
        ("whsk_c4n4ry-S3cr3t", f"whsk_{MASK}"),
    ],
)
def test_026_a_secret_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert CANARY not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://a.com/in?x=1&name=ada",
        "https://a.com/@ada?mail=ada@a.com",
        "The basic idea: a bearer of news",
        "whpk_A6EHv is public",
        "keyboard=qwerty&monkey=1&tokenless",
        "a == b",
        "prk_…9a1c",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_the_head_of_a_request_is_shown_without_what_opens_doors() -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("authorization", "Basic dTpw"),
        ("Cookie", "a=b"),
        ("X-API-KEY", "k"),
        ("X-Env", "prod"),
        ("X-Own", "c4n4ry"),
        ("X-Empty", ""),
        ("Location", "https://u:p@a.com/?token=x"),
    ]

    assert shown_headers(headers, {"X-OWN", "x-empty"}) == [
        ("Content-Type", "application/json"),
        ("authorization", f"Basic {MASK}"),
        ("Cookie", MASK),
        ("X-API-KEY", MASK),
        ("X-Env", "prod"),
        ("X-Own", MASK),
        ("X-Empty", ""),
        ("Location", f"https://{MASK}@a.com/?token={MASK}"),
    ]


@settings(deadline=None)
@given(st.text(st.sampled_from("abtoken=&?:/@'\" \n;-_whsec_prk_Cookie:•é"), max_size=80))
def test_masking_twice_masks_nothing_more(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@settings(deadline=None)
@given(
    st.text(max_size=30),
    st.sampled_from(["whsec_{}", "prk_{}", "https://u:{}@a.com", "?token={}", "&password={}", "Authorization: {}"]),
    st.text(max_size=30).map(" \n".__add__),
)
def test_a_planted_canary_never_comes_out(before: str, place: str, after: str) -> None:
    text = f"{before} {place.format(CANARY)}{after}"

    assert CANARY not in redacted(text)


def test_64_kib_of_anything_take_no_time() -> None:
    for hostile in [
        "a" * 65536,
        "://" * 20000,
        "&" * 65536,
        "a=" * 32768,
        "cookie:" * 9000,
        "whsec_" * 10000,
        "@" * 65536,
    ]:
        assert len(redacted(hostile)) <= 2 * 65536
