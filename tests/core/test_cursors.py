"""Cursors: what was made is read back, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.cursors import decode, encode

numbers = st.integers(0, 2**63 - 1)


@settings(deadline=None)
@given(numbers, numbers)
def test_a_cursor_gives_its_place_back_and_fits_a_url(at: int, row_id: int) -> None:
    text = encode(at, row_id)

    assert decode(text) == (at, row_id)
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()


@settings(deadline=None)
@given(st.one_of(st.text(max_size=30), st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True)))
def test_another_text_is_refused_or_is_the_one_spelling_of_a_place(text: str) -> None:
    try:
        at, row_id = decode(text)
    except ValueError:
        return
    assert encode(at, row_id) == text
    assert min(at, row_id) >= 0


MADE = encode(1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        f"{MADE}=",
        MADE[:-1],
        f"{MADE}A",
        f"{MADE[:-1]}h",
        f" {MADE[1:]}",
        "_" * 22,
        encode(-1, 2),
        encode(1, -2),
        "中" * 22,
        f"{MADE}\n",
    ],
    ids=ascii,
)
def test_a_cursor_that_was_never_made_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="The cursor can't be read"):
        decode(text)
