"""What a text that people read, such as a name, may be made of."""

from __future__ import annotations

# Parts of letters and pictures: Persian and Indic words are spelled with them, emoji are put together by one.
_JOINERS = {0x200C: None, 0x200D: None}


def is_readable(text: str) -> bool:
    """Whether a text holds no character that can't be seen; joiners inside words and emoji are none.

    >>> is_readable("خانه\u200cها"), is_readable("a\u200bb"), is_readable("\u200d")
    (True, False, False)
    """
    shown = text.translate(_JOINERS)
    return shown.isprintable() and bool(shown or not text)


def is_name(text: str, longest: int) -> bool:
    """Whether a text may name something: 1 to `longest` readable characters."""
    return 0 < len(text) <= longest and is_readable(text)
