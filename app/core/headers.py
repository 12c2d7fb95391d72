"""What a header may be called and hold (RFC 9110, section 5), and which names are not for users.

libcurl sends header strings unchecked, so these rules hold at save and again at send.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MOST_HEADERS = 20
LONGEST_VALUE = 1024
LARGEST_BLOCK = 8 * 1024  # bytes, with ": " and the line end of each

SET_BY_POSTROOM = frozenset({"content-type", "content-length", "user-agent"})
_FRAMING = """
host content-encoding transfer-encoding accept-encoding connection keep-alive te trailer upgrade expect http2-settings
"""
RESERVED = SET_BY_POSTROOM | frozenset(_FRAMING.split()) | {"authorization"}
OWN_PREFIXES = ("webhook-", "postroom-")
RESERVED_PREFIXES = (*OWN_PREFIXES, "proxy-", "sec-")

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")


def name_problem(name: str) -> str | None:
    """Return why this can't be a header's name, in a sentence; None: it can. Reserved names are another question."""
    if _NAME.fullmatch(name):
        return None
    if not name:
        return "Give the header a name."
    if len(name) > 64:
        return "A header's name can have 64 characters."
    return "A header's name can hold letters, digits and !#$%&'*+.^_`|~- only."


def value_problem(value: str) -> str | None:
    """Return why a header can't have this value, in a sentence; None: it can. Empty is allowed."""
    if len(value) > LONGEST_VALUE:
        return f"A header's value can have {LONGEST_VALUE:,} characters."
    if _VALUE.fullmatch(value):
        return None
    if value != value.strip(" "):
        return "A header's value can't begin or end with a space."
    return "A header's value can hold printable ASCII characters only: no line ends, tabs or accents."


def reserved_problem(name: str, reserved: Collection[str]) -> str | None:
    """Return why this name is not for users; `reserved` (lower case) adds the preset's and signature's own names."""
    lowered = name.lower()
    if lowered in reserved or lowered in SET_BY_POSTROOM or lowered.startswith(OWN_PREFIXES):
        return f"{name} is set by Postroom."
    if lowered == "authorization":
        return "Enter Authorization under Authentication."
    if lowered in RESERVED or lowered.startswith(RESERVED_PREFIXES):
        return f"{name} can't be set."
    return None


def problems(headers: Sequence[tuple[str, str]], reserved: Collection[str]) -> list[Problem]:
    """Return everything wrong with a webhook's own headers; `RESERVED` is refused whatever `reserved` adds."""
    found: list[str] = []
    if len(headers) > MOST_HEADERS:
        found.append(f"A webhook can have {MOST_HEADERS} headers.")
    if sum(len(name) + len(value) + 4 for name, value in headers) > LARGEST_BLOCK:
        found.append("The headers are larger than 8 KiB together.")
    taken = {name.lower() for name in reserved} - RESERVED
    seen: set[str] = set()
    for name, value in headers[:MOST_HEADERS]:
        problem = name_problem(name) or reserved_problem(name, taken)
        if problem is None and name.lower() in seen:
            problem = f"{name} is there twice. Keep one."
        seen.add(name.lower())
        found.extend(filter(None, [problem, _with_name(name, value_problem(value))]))
    return [Problem("headers", message) for message in found]


def _with_name(name: str, problem: str | None) -> str | None:
    return None if problem is None else f"{name}: {problem}"
