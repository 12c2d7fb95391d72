"""The signature schemes of signatures.toml: how a secret becomes a key, what is signed, and how it is written down."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.core import vocabulary
from app.core.headers import name_problem
from app.core.vocabulary import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.core.vocabulary import Table

EVENT_ID = "{event.id}"
SECONDS = "{attempt.seconds}"
_T = TypeVar("_T")
_BODY = "{body}"
SIGNATURE = "{signature}"
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_BRACED = re.compile(r"\{[^{}]*\}")


class KeyUnusableError(ValueError):
    """A secret does not fit its scheme; the text says why, for a person, and never repeats the secret."""


class _Algorithm(Protocol):
    def key_problem(self, key: bytes, /) -> str | None: ...
    def sign(self, key: bytes, message: bytes) -> bytes: ...
    def verifies(self, key: bytes, message: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How a secret becomes a key, and how many bytes a new one must have."""

    decode: Callable[[str], bytes]
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a body is signed and where the signature stands. `signs` is the text in front of the body."""

    name: str
    title: str
    key: KeyForm
    algorithm: _Algorithm
    signs: str
    write: Callable[[bytes], str]
    read: Callable[[str], bytes]
    value: str
    join: str | None
    before: str
    header: str | None
    headers: tuple[tuple[str, str], ...]

    @property
    def signs_time(self) -> bool:
        """Whether the attempt's second is signed, so that a receiver can refuse an old request sent again."""
        return SECONDS in self.signs

    @property
    def header_names(self) -> tuple[str, ...]:
        """Every header the scheme sets by itself; users can't set these."""
        return (*(name for name, _ in self.headers), *((self.header,) if self.header else ()))

    def message(self, event_id: str, attempt_s: str, body: bytes) -> bytes:
        """Return the bytes that are signed."""
        return filled(self.signs, event_id, attempt_s).encode() + body


def filled(template: str, event_id: str, seconds: str) -> str:
    """Put an event's id and an attempt's second into a template of a scheme."""
    if template == EVENT_ID:
        return event_id
    if template == SECONDS:
        return seconds
    return template.replace(SECONDS, seconds).replace(EVENT_ID, event_id)


def key_problem(scheme: Scheme, secret: str) -> str | None:
    """Return why a new secret can't be used with this scheme, in a sentence; None: it can."""
    try:
        key = scheme.key.decode(secret)
    except KeyUnusableError as error:
        return str(error)
    shortest, longest = scheme.key.shortest, scheme.key.longest
    if not shortest <= len(key) <= longest:
        return f"The secret must be {shortest} to {longest} bytes long{', without its prefix' if shortest > 1 else ''}."
    return scheme.algorithm.key_problem(key)


def public_key(secret: str) -> str:
    """Return the `whpk_…` that belongs to a `whsk_…` (Standard Webhooks 1.0.0, asymmetric). Raises KeyUnusableError."""
    key = _after_prefix(secret)
    problem = _ED25519.key_problem(key)
    if problem is not None:
        raise KeyUnusableError(problem)
    return "whpk_" + base64.b64encode(key[32:]).decode()


def load_schemes(text: bytes, file: str = "signatures.toml") -> dict[str, Scheme]:
    """Read the table of schemes. Raises DataFileError, which names file, key and the nearest known one."""
    top = vocabulary.read(file, text, None)
    return {name: _scheme(name, top.table(name, _SCHEME_KEYS)) for name in top.names}


_SCHEME_KEYS = ("title", "key", "algorithm", "signs", "encoding", "value", "join", "before", "header", "headers")


def _scheme(name: str, table: Table) -> Scheme:
    signs = _template(table, "signs", table.text("signs"), {EVENT_ID, SECONDS, _BODY})
    if signs.count(_BODY) != 1 or not signs.endswith(_BODY):
        table.refuse("signs", f"it must end with {_BODY}")
    value = _template(table, "value", table.text("value"), {SIGNATURE})
    if value.count(SIGNATURE) != 1:
        table.refuse("value", f"it must hold {SIGNATURE} once")
    write, read = _choice(table, "encoding", _ENCODINGS)
    headers = table.texts("headers")
    for header in [*headers, *filter(None, [table.may("header", str)])]:
        if problem := name_problem(header):
            table.refuse("headers" if header in headers else "header", problem)
    return Scheme(
        name=name,
        title=table.text("title"),
        key=_choice(table, "key", _KEYS),
        algorithm=_choice(table, "algorithm", _ALGORITHMS),
        signs=signs.removesuffix(_BODY),
        write=write,
        read=read,
        value=value,
        join=table.may("join", str) or None,
        before=_template(table, "before", table.may("before", str) or "", {EVENT_ID, SECONDS}),
        header=table.may("header", str),
        headers=tuple(
            (key, _template(table, f"headers.{key}", text, {EVENT_ID, SECONDS})) for key, text in headers.items()
        ),
    )


def _template(table: Table, key: str, text: str, known: set[str]) -> str:
    for found in _BRACED.findall(text):
        if found not in known:
            table.refuse(key, f"there is no {found}{nearest(found, sorted(known))}")
    return text


@lru_cache(1024)
def _after_prefix(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.rpartition("_")[2], validate=True)
    except ValueError:
        raise KeyUnusableError("What follows the secret's prefix must be base64.") from None


def _as_shown(secret: str) -> bytes:
    return secret.encode()


class _Hmac:
    def key_problem(self, _key: bytes, /) -> str | None:
        return None

    def sign(self, key: bytes, message: bytes) -> bytes:
        inner, outer = _keyed(key)
        inner, outer = inner.copy(), outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def verifies(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(key, message, "sha256"), signature)


@lru_cache(1024)  # saves taking the key in for each message: 1 µs of the 2 that `hmac.digest` needs for 1 KB
def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The inner and the outer hash of an HMAC (RFC 2104), the key taken in."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


class _Ed25519:
    """RFC 8032. A key is the seed and the public half, 64 bytes; the public half alone can verify."""

    def key_problem(self, key: bytes, /) -> str | None:
        if len(key) != 64:
            return "The key must be 64 bytes in base64: the seed, then the public key."
        if Ed25519PrivateKey.from_private_bytes(key[:32]).public_key().public_bytes_raw() != key[32:]:
            return "The public half of the key doesn't belong to its seed."
        return None

    def sign(self, key: bytes, message: bytes) -> bytes:
        if len(key) != 64:
            raise KeyUnusableError("The key must be 64 bytes in base64: the seed, then the public key.")
        return Ed25519PrivateKey.from_private_bytes(key[:32]).sign(message)

    def verifies(self, key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(key[-32:]).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def _choice(table: Table, key: str, known: Mapping[str, _T]) -> _T:
    word = table.text(key)
    if word not in known:
        table.refuse(key, f"there is no {word!r}{nearest(word, known)}")
    return known[word]


_ED25519 = _Ed25519()
_ALGORITHMS: dict[str, _Algorithm] = {"hmac-sha256": _Hmac(), "ed25519": _ED25519}
_KEYS = {"base64": KeyForm(_after_prefix, 24, 64), "text": KeyForm(_as_shown, 1, 512)}
_ENCODINGS: dict[str, tuple[Callable[[bytes], str], Callable[[str], bytes]]] = {
    "base64": (
        lambda signature: base64.b64encode(signature).decode(),
        lambda text: base64.b64decode(text, validate=True),
    ),
    "hex": (bytes.hex, bytes.fromhex),
}
