"""How bytes that receivers and producers wrote are shown: escaped text, as sent, within limits.

JSON is indented and coloured by a tokenizer over the bytes; it is never parsed and written anew, so numbers,
order and duplicate keys stay as they were sent.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KIB = 1024
MAX_DEPTH = 100
DEEPEST_INDENT = 24
LONGEST_HTML = 384 * KIB
MASK = "•"
MASKED = Markup("<i>You may see that there is a body, but not what is in it.</i>")


@dataclass(frozen=True, slots=True)
class Limits:
    """Up to how many bytes a body is coloured and shown whole, and what is left of a longer one."""

    pretty: int = 64 * KIB
    whole: int = 256 * KIB
    head: int = 64 * KIB
    tail: int = 4 * KIB
    hex: int = 256


FULL = Limits()
INLINE = Limits(pretty=16 * KIB, whole=64 * KIB, head=16 * KIB, tail=KIB, hex=64)


class BodyKind(StrEnum):
    """What a body turned out to be."""

    JSON = "json"
    FORM = "form"
    TEXT = "text"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Shown:
    """A body as a page shows it. `notice` says what is wrong with it or missing from it."""

    kind: BodyKind
    html: Markup
    size: int
    notice: str = ""
    fields: tuple[tuple[str, str], ...] = ()


class NotJsonError(ValueError):
    """The bytes are not one JSON value; `position` counts bytes from 1."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"Not JSON: {message} at byte {position:,}.")
        self.position = position


LEXEME = re.compile(
    rb"""
    (?P<space>[ \t\r\n]+)
  | (?P<s>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")
  | (?P<n>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![0-9a-zA-Z.+-])
  | (?P<b>true|false|null)(?![0-9a-zA-Z])
  | (?P<p>[{}\[\],:])
    """,
    re.VERBOSE,
)

# Characters that would not be seen, or would turn the order of the text around them.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escaped(text: str) -> str:
    """Escape & < > and show control and bidi characters as marks; line ends stay."""
    return HIDDEN.sub(_mark, text.replace("\r\n", "\n").translate(ESCAPES))


def _mark(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by "surrogateescape"
        code -= 0xDC00
        shown = f"\\x{code:02x}"
    else:
        shown = f"\\x{code:02x}" if code < 0x80 else f"U+{code:04X}"
    return f'<i class="hidden-char">{shown}</i>'


def raw_text(payload: bytes | str) -> Markup:
    """Return text exactly as sent, escaped; bytes that are not UTF-8 become marks such as \\xff."""
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "surrogateescape")
    return Markup(escaped(text))  # noqa: S704 - escaped one line above


def pretty(payload: bytes, masked: bool = False, notes: Mapping[str, str] | None = None) -> Markup:
    """Return JSON indented and coloured, else the raw text.

    `masked` shows keys only. `notes` names paths such as "data.client" whose lines are marked with a word on why.
    """
    try:
        return indent(payload, masked=masked, notes=notes)
    except NotJsonError:
        return MASKED if masked else raw_text(payload)


def indent(payload: bytes, *, masked: bool = False, notes: Mapping[str, str] | None = None) -> Markup:
    """Indent and colour JSON; raise NotJsonError with the position of the first error."""
    page = _Page(masked=masked, notes=notes or {})
    for kind, lexeme in _lexemes(payload):
        page.put(kind, lexeme.decode())
    return Markup(page.html())  # noqa: S704 - every lexeme was escaped when it was put


def _lexemes(payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Give each lexeme with its class: k key, s string, n number, b true, false or null, p punctuation."""
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJsonError(error.start + 1, "a byte that is not UTF-8") from None
    nesting: list[bytes] = []
    expected = "value"
    position = 0
    while position < len(payload):
        found = LEXEME.match(payload, position)
        if found is None or found.lastgroup is None:
            raise NotJsonError(position + 1, "an unexpected character")
        kind, lexeme = found.lastgroup, found[0]
        if kind != "space":
            kind, expected = _step(kind, lexeme, expected, nesting, position)
            yield kind, lexeme
        position = found.end()
    if expected != "end":
        raise NotJsonError(len(payload) + 1, "it ends too early")


KEY_PLACES = ("key", "key or }")
OPENS, CLOSES = {b"{": "key or }", b"[": "value or ]"}, {b"}": b"{", b"]": b"["}


def _step(kind: str, lexeme: bytes, expected: str, nesting: list[bytes], position: int) -> tuple[str, str]:
    """Check one lexeme against what may stand here; return its class and what may follow."""
    is_value_place = expected in ("value", "value or ]")
    if kind == "s" and expected in KEY_PLACES:
        return "k", "colon"
    if kind in "snb" and is_value_place:
        return kind, _after_value(nesting)
    if lexeme in OPENS and is_value_place:
        if len(nesting) == MAX_DEPTH:
            raise NotJsonError(position + 1, f"nesting deeper than {MAX_DEPTH}")
        nesting.append(lexeme)
        return kind, OPENS[lexeme]
    if lexeme in CLOSES and nesting and nesting[-1] == CLOSES[lexeme]:
        if expected == "more" or expected.endswith(lexeme.decode()):
            nesting.pop()
            return kind, _after_value(nesting)
    elif lexeme == b":" and expected == "colon":
        return kind, "value"
    elif lexeme == b"," and expected == "more":
        return kind, "key" if nesting[-1] == b"{" else "value"
    raise NotJsonError(position + 1, "text after the value" if expected == "end" else "an unexpected character")


def _after_value(nesting: list[bytes]) -> str:
    return "more" if nesting else "end"


@dataclass(slots=True)
class _Page:
    """Lines of HTML in the making, each with the path of what stands on it."""

    masked: bool
    notes: Mapping[str, str]
    lines: list[tuple[str, str]] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    line_path: str = ""
    depth: int = 0
    length: int = 0
    just_opened: bool = False

    def put(self, kind: str, lexeme: str) -> None:
        if lexeme in "}]" and kind == "p":
            self._close(lexeme)
            return
        if self.just_opened:
            self._break()
            self.just_opened = False
        if kind == "k" and self.notes:
            self.path[-1] = str(json.loads(lexeme))
        if not self.line:
            self.line_path = ".".join(self.path)
        if kind == "p":
            self._punctuation(lexeme)
        else:
            shown = MASK if self.masked and kind != "k" else escaped(lexeme)
            self._add(f'<span class="{kind}">{shown}</span>')

    def _punctuation(self, lexeme: str) -> None:
        self._add(": " if lexeme == ":" else lexeme)
        if lexeme == ",":
            self._break()
        elif lexeme != ":":
            self.depth += 1
            self.path.append("")
            self.just_opened = True

    def _close(self, lexeme: str) -> None:
        self.depth -= 1
        self.path.pop()
        if not self.just_opened:
            self._break()
            self.line_path = ".".join(self.path)
        self.just_opened = False
        self._add(lexeme)

    def _add(self, html: str) -> None:
        if not self.line:
            self.line.append("  " * min(self.depth, DEEPEST_INDENT))
        self.line.append(html)

    def _break(self) -> None:
        line = "".join(self.line)
        self.length += len(line)
        if self.length > LONGEST_HTML:
            raise NotJsonError(1, "too many values to indent")
        self.lines.append((line, self.line_path))
        self.line = []

    def html(self) -> str:
        self._break()
        if not self.notes:
            return "\n".join(line for line, _ in self.lines)
        return "".join(self._noted())

    def _noted(self) -> Iterator[str]:
        above = None
        for line, path in self.lines:
            noted = next((name for name in self.notes if path == name or path.startswith(name + ".")), None)
            if noted is None:
                yield f"{line}\n"
            else:
                note = "" if noted == above else str(Markup(' data-note="{}"').format(self.notes[noted]))
                yield f"<mark{note}>{line}\n</mark>"
            above = noted


def show(
    payload: bytes,
    content_type: str = "",
    limits: Limits = FULL,
    raw: bool = False,
    masked: bool = False,
    is_cut: bool = False,
) -> Shown:
    """Decide how a body is shown: coloured JSON, a form's fields, text, or the first bytes in hexadecimal.

    The bytes decide, not the content type, save for forms and for text that is not UTF-8. `is_cut`: its end was not
    kept, so that it isn't to be blamed for ending.
    """
    total = len(payload)
    if is_cut:
        payload = _without_half_a_character(payload)
    if masked:
        return _masked(payload, limits)
    if _is_binary(payload, content_type):
        notice = f"Not text. The first {min(total, limits.hex)} bytes:"
        return Shown(BodyKind.BINARY, hex_dump(payload[: limits.hex]), total, notice)
    if total > limits.whole:
        head, tail = payload[: limits.head], payload[-limits.tail :]
        notice = f"Showing {(limits.head + limits.tail) // KIB} of {total // KIB:,} KiB."
        left_out = f'\n<i class="left-out">… {(total - limits.head - limits.tail) // KIB:,} KiB not shown …</i>\n'
        text = _at_characters(head) + Markup(left_out) + _at_characters(tail)  # noqa: S704 - figures only
        return Shown(BodyKind.TEXT, text, total, notice)
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return Shown(BodyKind.FORM, raw_text(payload), total, fields=form_fields(payload))
    shown = _text_or_json(payload, content_type, limits, raw=raw)
    return replace(shown, size=total, notice="") if is_cut else shown


def _masked(payload: bytes, limits: Limits) -> Shown:
    """Show the keys of JSON for those who may not see payloads, and of anything else only that it is there."""
    total = len(payload)
    if total <= limits.pretty:
        with suppress(NotJsonError):
            return Shown(BodyKind.JSON, indent(payload, masked=True), total)
    return Shown(BodyKind.TEXT, MASKED, total)


def _text_or_json(payload: bytes, content_type: str, limits: Limits, *, raw: bool) -> Shown:
    total = len(payload)
    if total > limits.pretty:
        is_plain = raw or payload[:1] not in b"{["
        notice = "" if is_plain else f"Larger than {limits.pretty // KIB} KiB, so it is shown as it was sent."
        return Shown(BodyKind.TEXT, raw_text(payload), total, notice)
    try:
        html = indent(payload)
    except NotJsonError as error:
        claims_json = "json" in content_type.lower() and payload.strip()
        return Shown(BodyKind.TEXT, raw_text(payload), total, str(error) if claims_json else "")
    return Shown(BodyKind.JSON, raw_text(payload) if raw else html, total)


def _is_binary(payload: bytes, content_type: str) -> bool:
    if b"\0" in payload:
        return True
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return not re.match(r"text/|application/(?:[\w.+-]*json|[\w.+-]*xml|x-www-form)", content_type.lower())
    return False


def _at_characters(part: bytes) -> Markup:
    """Show a part cut out of a text without the halves of characters at its ends."""
    start = next((at for at, byte in enumerate(part[:4]) if byte & 0xC0 != 0x80), 0)
    return raw_text(_without_half_a_character(part[start:]))


def _without_half_a_character(part: bytes) -> bytes:
    for back in range(1, min(4, len(part) + 1)):
        if part[-back] & 0xC0 == 0xC0:
            needed = 2 if part[-back] < 0xE0 else 3 if part[-back] < 0xF0 else 4
            return part[:-back] if needed > back else part
    return part


def hex_dump(data: bytes) -> Markup:
    """Return bytes as lines of sixteen: offset, hexadecimal, and what of it is printable ASCII."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):<47}  {text}")
    return raw_text("\n".join(lines))


def form_fields(payload: bytes, most: int = 500) -> tuple[tuple[str, str], ...]:
    """Return the fields of a form body, decoded, at most `most` of them."""
    pairs = parse_qsl(payload.decode("utf-8", "replace"), keep_blank_values=True)
    return tuple(pairs[:most])
