"""Bodies as JSON and as forms: the same leaves, readable by the decoders that receivers use."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import encoding, raw
from app.core.encoding import ContentType, json_text
from app.core.raw import Number

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1)
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


def leaves(tree: Any, name: str = "") -> list[tuple[str, str]]:
    """The rule of bracket notation, told a second time and in another way."""
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return [pair for key, value in items for pair in leaves(value, f"{name}[{key}]" if name else str(key))]
    return [(name, "" if tree is None else tree if isinstance(tree, str) else json.dumps(tree))]


@given(st.dictionaries(names, trees, max_size=5))
def test_a_form_decodes_back_to_the_leaves_of_the_json(tree: dict[str, Any]):
    body = encoding.encoded(json.dumps(tree).encode(), ContentType.FORM)

    decoded = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body))

    assert decoded == leaves(tree)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b'{"data":{"items":[{"name":"a b"}],"ok":true,"none":null}}',
         b"data%5Bitems%5D%5B0%5D%5Bname%5D=a+b&data%5Bok%5D=true&data%5Bnone%5D="),
        (b'{"a":"\\u00e9 &=+%","b":false}', b"a=%C3%A9+%26%3D%2B%25&b=false"),
        (b'{"n":1.50,"m":1e400,"k":123456789012345678901}', b"n=1.50&m=1e400&k=123456789012345678901"),
        (b'{"a":{},"b":[],"c":1,"d":[[],{}]}', b"c=1"),
        (b'{"keep":"-._~","not":"!*()\'"}', b"keep=-._~&not=%21%2A%28%29%27"),
        (b'{"z":1,"a":2}', b"z=1&a=2"),
        (b"{}", b""),
    ],
)  # fmt: skip
def test_a_form_is_written_in_bracket_notation(body: bytes, form: bytes):
    assert encoding.encoded(body, ContentType.FORM) == form


def test_json_is_handed_on_untouched():
    body = b'{"a":1.50,"a":2,"\\u0061":"\\/"}'

    assert encoding.encoded(body, ContentType.JSON) is body


def test_numbers_of_a_parsed_tree_are_written_as_they_were_read():
    text = b'{"a":[1.50,1e400,-0],"b":"1.50","c":{"d":123456789012345678901234567890}}'

    assert json_text(raw.parse(text)) == text


def test_what_json_has_not_got_is_refused():
    with pytest.raises(TypeError):
        json_text({"a": object()})
    with pytest.raises(TypeError):
        json_text({"a": "\ud800"})
    assert json_text([Number("7"), "7"]) == b'[7,"7"]'
