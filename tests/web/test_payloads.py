"""Payloads are shown as sent: no number rewritten, nothing of it becomes HTML."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from app.web import payloads
from app.web.payloads import INLINE, KIB, BodyKind, NotJsonError

TAG = re.compile(r"</?(?:span|i|mark)[^>]*>")


def text_of(html: str) -> str:
    """What a reader sees: the HTML without its tags and escapes."""
    return Markup(html).striptags() if "\n" not in html else Markup(TAG.sub("", html)).unescape()


def test_numbers_stay_as_they_were_written():
    shown = payloads.pretty(b'{"a":1e400,"b":1.50,"c":-0.0,"d":123456789012345678901234567890}')

    for number in ("1e400", "1.50", "-0.0", "123456789012345678901234567890"):
        assert f'<span class="n">{number}</span>' in shown


def test_duplicate_keys_and_their_order_are_shown_as_sent():
    assert text_of(payloads.pretty(b'{"b":1,"a":2,"b":3}')) == '{\n  "b": 1,\n  "a": 2,\n  "b": 3\n}'


def test_string_escapes_stay_as_they_were_written():
    assert '"\\u00e9\\/\\n"' in payloads.pretty(rb'["\u00e9\/\n"]')


def test_empty_objects_and_lists_stay_on_one_line():
    assert text_of(payloads.pretty(b'{"a":{},"b":[ ]}')) == '{\n  "a": {},\n  "b": []\n}'


def test_keys_strings_numbers_and_words_have_their_classes():
    shown = payloads.pretty(b'{"k":"s","n":1,"b":true}')

    assert '<span class="k">"k"</span>: <span class="s">"s"</span>' in shown
    assert '<span class="b">true</span>' in shown


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_comes_out_with_the_same_tokens(value):
    sent = json.dumps(value)

    html = payloads.indent(sent.encode())

    seen = Markup(TAG.sub("", html)).unescape()
    assert json.loads(seen) == value
    assert "".join(seen.split()) == "".join(sent.split())


@given(st.binary(max_size=200))
def test_anything_can_be_shown_and_never_becomes_html(body):
    for content_type in ("application/json", "text/html", "application/x-www-form-urlencoded", ""):
        html = payloads.show(body, content_type).html
        assert "<" not in TAG.sub("", html)


@pytest.mark.parametrize(
    "body", [b"<script>alert(1)</script>", b'{"<img src=x onerror=a>": "</pre><b>"}', b'"<hx-partial hx-get=/x>"']
)
def test_markup_in_a_payload_stays_text(body):
    shown = payloads.show(body, "application/json").html

    assert "<" not in TAG.sub("", shown)
    assert "&lt;" in shown


@pytest.mark.parametrize(
    ("character", "mark"),
    [
        ("\x1b", "\\x1b"),
        ("\r", "\\x0d"),
        ("\x7f", "\\x7f"),
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),
        ("\x85", "U+0085"),
    ],
)
def test_control_and_bidi_characters_are_shown_as_marks(character, mark):
    shown = payloads.raw_text(f"a{character}b")

    assert shown == f'a<i class="hidden-char">{mark}</i>b'


def test_line_ends_and_tabs_are_no_marks():
    assert payloads.raw_text(b"a\r\nb\n\tc") == "a\nb\n\tc"


def test_bytes_that_are_not_utf_8_are_shown_as_marks_in_text():
    assert payloads.show(b"caf\xe9", "text/plain").html == 'caf<i class="hidden-char">\\xe9</i>'


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b"", 1),
        (b"{", 2),
        (b"[1,]", 4),
        (b'{"a":1,}', 8),
        (b"01", 1),
        (b"1 2", 3),
        (b'{"a" 1}', 6),
        (b"[1}", 3),
        (b'{"a":1}x', 8),
        (b'"\xff"', 2),
        (b"[" * 101, 101),
    ],
)
def test_what_is_not_json_says_where(body, position):
    with pytest.raises(NotJsonError) as caught:
        payloads.indent(body)

    assert caught.value.position == position


def test_broken_json_is_shown_raw_with_the_position_of_the_error():
    shown = payloads.show(b'{"a": }', "application/json")

    assert shown.kind is BodyKind.TEXT
    assert shown.notice == "Not JSON: an unexpected character at byte 7."
    assert shown.html == '{"a": }'


def test_what_was_cut_is_not_called_broken():
    shown = payloads.show('{"a": "ã'.encode()[:-1], "application/json", is_cut=True)

    assert (shown.kind, shown.notice, shown.size) == (BodyKind.TEXT, "", 8)
    assert shown.html == '{"a": "'


def test_text_that_claims_nothing_has_no_notice():
    assert payloads.show(b"ok", "text/plain").notice == ""


def test_the_bytes_decide_that_it_is_json_whatever_is_claimed():
    assert payloads.show(b'{"a":1}', "text/plain").kind is BodyKind.JSON


def test_json_is_coloured_up_to_64_kib_and_plain_above():
    small, large = b'"' + b"a" * (64 * KIB - 2) + b'"', b'"' + b"a" * (64 * KIB - 1) + b'"'

    assert payloads.show(small).kind is BodyKind.JSON
    assert payloads.show(large).kind is BodyKind.TEXT
    assert payloads.show(b"[" + large + b"]").notice == "Larger than 64 KiB, so it is shown as it was sent."


def test_above_256_kib_the_first_64_and_the_last_4_are_shown():
    body = b"a" * (812 * KIB - 3) + b"end"

    shown = payloads.show(body)

    assert shown.notice == "Showing 68 of 812 KiB."
    assert shown.html.endswith("end")
    assert "744 KiB not shown" in shown.html
    assert len(shown.html) < 70 * KIB


def test_at_256_kib_all_of_it_is_shown():
    assert payloads.show(b"a" * 256 * KIB).notice == ""


def test_in_the_log_the_limits_are_a_quarter():
    assert payloads.show(b'"' + b"a" * 16 * KIB + b'"', limits=INLINE).kind is BodyKind.TEXT
    assert payloads.show(b"a" * (64 * KIB + 1), limits=INLINE).notice == "Showing 17 of 64 KiB."


def test_a_cut_never_halves_a_character():
    for shift in range(4):
        body = b"a" * shift + "€".encode() * (100 * KIB)

        assert "\\x" not in payloads.show(body).html


def test_a_payload_made_to_grow_when_indented_is_shown_raw():
    shown = payloads.pretty(b"[" + b"1," * 30_000 + b"1]")

    assert len(shown) < 100 * KIB


def test_deep_nesting_does_not_grow_the_page():
    assert len(payloads.pretty(b"[" * 30_000)) == 30_000


def test_binary_bodies_show_their_first_bytes_in_hexadecimal():
    shown = payloads.show(b"\x89PNG\r\n\x00<" + b"\x01" * 1000, "image/png")

    assert shown.kind is BodyKind.BINARY
    assert shown.html.startswith("00000000  89 50 4e 47 0d 0a 00 3c")
    assert "|" not in shown.html
    assert ".PNG...&lt;" in shown.html
    assert shown.html.count("\n") == 15


def test_form_bodies_are_decoded_into_fields():
    shown = payloads.show(b"a=1&b=x+y%26z&a=2&empty=", "application/x-www-form-urlencoded; charset=utf-8")

    assert shown.kind is BodyKind.FORM
    assert shown.fields == (("a", "1"), ("b", "x y&z"), ("a", "2"), ("empty", ""))
    assert shown.html == "a=1&amp;b=x+y%26z&amp;a=2&amp;empty="


def test_raw_shows_json_without_indenting_it():
    assert payloads.show(b'{ "a":1 }', raw=True).html == '{ "a":1 }'


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    "body",
    [b'{"name":"Ferreira","total":1840}', b"name=Ferreira&total=1840", b"Ferreira 1840" * 30_000, b"Ferreira 1840\0"],
)
@pytest.mark.parametrize("raw", [False, True])
def test_who_may_not_see_payloads_sees_keys_at_most(body, content_type, raw):
    shown = payloads.show(body, content_type, masked=True, raw=raw)

    assert "Ferreira" not in shown.html + str(shown.fields)
    assert "1840" not in shown.html + str(shown.fields)


def test_masked_json_keeps_its_keys():
    assert text_of(payloads.pretty(b'{"name":"x","total":1}', masked=True)) == '{\n  "name": •,\n  "total": •\n}'


def test_noted_paths_mark_their_lines_and_say_why_once():
    shown = payloads.pretty(
        b'{"data":{"client":"x","list":[1,2]},"z":1}', notes={"data.client": "← name", "data.list": 'a "b"'}
    )

    assert shown.count("<mark") == 5
    assert '<mark data-note="← name">    <span class="k">"client"' in shown
    assert 'data-note="a &#34;b&#34;"' in shown
    assert shown.count("data-note") == 2
    assert text_of(shown) == text_of(payloads.pretty(b'{"data":{"client":"x","list":[1,2]},"z":1}')) + "\n"
