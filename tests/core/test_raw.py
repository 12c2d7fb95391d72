"""JSON text: cut without being changed, and refused where no receiver could read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import raw
from app.core.raw import Number, RawError

texts = st.text(st.characters(exclude_categories=["Cs"]))
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def written(tree: Any, *, spaced: bool, escaped: bool) -> bytes:
    separators = (" ,\n", "\t: ") if spaced else (",", ":")
    return json.dumps(tree, separators=separators, ensure_ascii=escaped).encode()


@given(st.dictionaries(texts, trees, max_size=5), st.booleans(), st.booleans())
def test_members_survive_byte_for_byte_whatever_white_space_stood_around(
    tree: dict[str, Any], spaced: bool, escaped: bool
):
    cut = raw.cut(written(tree, spaced=spaced, escaped=escaped))

    assert cut == {name: written(value, spaced=False, escaped=escaped) for name, value in tree.items()}


@given(st.dictionaries(texts, trees, max_size=5), st.booleans())
def test_the_members_of_an_object_put_together_are_the_object(tree: dict[str, Any], escaped: bool):
    text = written(tree, spaced=False, escaped=escaped)

    members = raw.members(text)

    assert b"{" + b",".join(member.text for member in members) + b"}" == text
    assert [member.name for member in members] == list(tree)
    assert [member.value for member in members] == [written(v, spaced=False, escaped=escaped) for v in tree.values()]


@pytest.mark.parametrize(
    "value",
    [
        b"1.50", b"1e400", b"-0", b"-0.0", b"1E+2", b"123456789012345678901234567890", b'"\\u00e9\\/\\u0000"',
        '"é"'.encode(), b'{"b":1,"a":2,"b":3}', b'["\\ud83d\\ude00","}],{"]', b"{}", b"[]", b'""',
    ],
)  # fmt: skip
def test_what_was_published_is_what_is_kept(value: bytes):
    assert raw.cut(b'{ "data" :\n' + value + b" }")["data"] == value
    assert raw.compact(b" " + value + b" ") == value
    assert raw.cut_items(b"[ " + value + b" , 1 ]") == [value, b"1"]


def test_of_a_member_given_twice_the_last_counts():
    assert raw.cut(b'{"id":"a","id":"b"}') == {"id": b'"b"'}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"[1]", "an object"),
        (b"12", "an object"),
        (b'{"a":NaN}', "isn't JSON"),
        (b'{"a":Infinity}', "isn't JSON"),
        (b'{"a":1}x', "isn't JSON"),
        (b'{"a":1,}', "isn't JSON"),
        (b'{"a":01}', "isn't JSON"),
        (b'{"a":', "isn't JSON"),
        (b'{"a":"\n"}', "isn't JSON"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":{"b":"\\udc00x"}}', "surrogate"),
        (b'{"a":"\\ud800\\u0041"}', "surrogate"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
        (b'{"a":' + b"[" * 100_000, "nested"),
    ],
)
def test_text_that_no_receiver_could_read_is_refused_in_words(body: bytes, says: str):
    with pytest.raises(RawError, match=says):
        raw.cut(body)


def test_a_hundred_levels_are_taken_and_one_more_is_refused():
    assert raw.cut(b'{"a":' + b"[" * 99 + b"]" * 99 + b"}")["a"] == b"[" * 99 + b"]" * 99
    assert raw.cut(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", deepest=101)

    with pytest.raises(RawError, match="deeper than 100"):
        raw.cut(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}")


def test_brackets_inside_texts_and_side_by_side_are_no_depth():
    body = b'{"a":"' + b"[{" * 200 + b'","b":[' + b"[]," * 200 + b"{}]}"

    assert set(raw.cut(body)) == {"a", "b"}


def test_numbers_are_parsed_as_they_were_written():
    tree = raw.parse(b'{"a":[1.50,1e400,-0,123456789012345678901234567890],"b":"1.50","c":true,"d":null}')

    assert tree == {"a": ["1.50", "1e400", "-0", "123456789012345678901234567890"], "b": "1.50", "c": True, "d": None}
    assert [type(value) for value in tree["a"]] == [Number] * 4
    assert type(tree["b"]) is str


@pytest.mark.parametrize("text", [b"NaN", b"[-Infinity]", b'"\\udfff"', b"[" * 5000 + b"]" * 5000, b"", b"\xff"])
def test_parsing_refuses_what_cutting_refuses(text: bytes):
    with pytest.raises(RawError):
        raw.parse(text)


@pytest.mark.parametrize(
    ("text", "left", "value"),
    [
        (b'{"a":1,"companies":[{"a":2}],"b":3}', b'{"a":1,"b":3}', b'[{"a":2}]'),
        (b'{"companies":null}', b"{}", b"null"),
        (b'{"a":1}', b'{"a":1}', None),
        (b'{"a":"companies"}', b'{"a":"companies"}', None),
        (b'{"x":{"companies":1}}', b'{"x":{"companies":1}}', None),
        (b'{"compan\\u0069es":7,"\\u0061":1}', b'{"\\u0061":1}', b"7"),
        (b'{"companies":1,"a":1,"companies":2,"a":1}', b'{"a":1,"a":1}', b"2"),
        (b'{"a":"},{\\"companies\\":1","companies":4}', b'{"a":"},{\\"companies\\":1"}', b"4"),
        (b"{}", b"{}", None),
    ],
)
def test_a_member_is_lifted_out_and_the_rest_stays_as_it_was(text: bytes, left: bytes, value: bytes | None):
    assert raw.lift(text, "companies") == (left, value)
