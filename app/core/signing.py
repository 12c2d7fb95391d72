"""Signs the bytes of a body, exactly those that go on the wire, and checks what a receiver was sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.core.schemes import (
    EVENT_ID,
    SECONDS,
    SIGNATURE,
    KeyUnusableError,
    Scheme,
    filled,
    key_problem,
    load_schemes,
    public_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "EVENT_ID_HEADER",
    "TOLERANCE_S",
    "KeyUnusableError",
    "Scheme",
    "Step",
    "Verdict",
    "check",
    "header_of",
    "key_problem",
    "load_schemes",
    "public_key",
    "sign",
]

EVENT_ID_HEADER = "webhook-id"
"""Sent with every request, signed or not: the same on each retry and replay, so that a receiver can drop doubles."""
TOLERANCE_S = 300
"""Seconds that a timestamp may be off, either way, before a receiver should refuse the request."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was checked, and what came of it in a sentence."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request's signature holds; `reason` is the sentence that says why it doesn't."""

    valid: bool
    steps: tuple[Step, ...]
    reason: str | None


def sign(
    scheme: Scheme | None, keys: Sequence[str], event_id: str, attempt_s: int, body: bytes, header: str | None
) -> list[tuple[str, str]]:
    """Return the headers that sign these bytes, and always the event's id; without a scheme nothing else.

    `keys` are the live secrets as shown, newest first; `attempt_s` is in seconds; `header` is the signature's name
    when it isn't the scheme's. Raises KeyUnusableError for a secret that doesn't fit, or when there is none.
    """
    if scheme is None:
        return [(EVENT_ID_HEADER, event_id)]
    if not keys:
        raise KeyUnusableError("There is no signing secret.")
    seconds = str(attempt_s)
    message = scheme.message(event_id, seconds, body)
    live = keys if scheme.join is not None else keys[:1]
    signatures = [
        scheme.value.replace(SIGNATURE, scheme.write(scheme.algorithm.sign(scheme.key.decode(key), message)))
        for key in live
    ]
    lines = [(name, filled(value, event_id, seconds)) for name, value in scheme.headers]
    value = filled(scheme.before, event_id, seconds) + (scheme.join or "").join(signatures)
    lines.append((header_of(scheme, header), value))
    return lines


def header_of(scheme: Scheme, header: str | None) -> str:
    """Return the name of the signature's header. Raises KeyUnusableError when neither scheme nor webhook has one."""
    name = header or scheme.header
    if name is None:
        raise KeyUnusableError("The signature has no header to stand in; name one.")
    return name


def check(
    scheme: Scheme,
    keys: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now_s: int,
    *,
    header: str | None = None,
    sent: bytes | None = None,
    expired: Sequence[tuple[str, str]] = (),
) -> Verdict:
    """Check a request as its receiver would, step by step, with the live secrets `keys`.

    `sent` is the body that went out, when it is known: it tells a changed body from a wrong secret. `expired` are
    secrets that hold no longer, each with the words for when that was ("on 20 Nov"). `now_s` is in seconds.
    """
    names = {name.lower(): value.strip() for name, value in headers.items()}
    claim = _claim(scheme, names, header_of(scheme, header))
    if isinstance(claim, Step):
        return Verdict(False, (claim,), claim.text)
    steps = [
        Step(True, f"The header {claim.header} is there."),
        _judge_signature(scheme, claim, body, keys, sent, expired),
    ]
    if scheme.signs_time:
        steps.append(_judge_time(claim.seconds, now_s))
    wrong = next((step.text for step in steps if not step.ok), None)
    return Verdict(wrong is None, tuple(steps), wrong)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says about its own signature."""

    header: str
    event_id: str
    seconds: str
    signatures: tuple[bytes, ...]


def _claim(scheme: Scheme, names: Mapping[str, str], header: str) -> _Claim | Step:
    value = names.get(header.lower())
    if value is None:
        return Step(False, f"There is no header {header}.")
    said = {}
    for name, template in scheme.headers:
        if template in scheme.signs:  # what isn't signed needs no proof
            if name.lower() not in names:
                return Step(False, f"There is no header {name}.")
            said[template] = names[name.lower()]
    if scheme.before:
        front = _pattern(scheme.before, {SECONDS: r"(?P<seconds>[0-9]+)", EVENT_ID: r"(?P<id>[^,;\s]+)"}).match(value)
        if front is None:
            return Step(False, f"The header {header} doesn't begin with {scheme.before}.")
        value = value[front.end() :]
        said |= {SECONDS: front.groupdict().get("seconds", ""), EVENT_ID: front.groupdict().get("id", "")}
    seconds = said.get(SECONDS, "")
    if scheme.signs_time and not re.fullmatch("[0-9]{1,12}", seconds):
        return Step(False, f"The timestamp {seconds[:40]!r} isn't a number of seconds.")
    signatures = _signatures(scheme, value)
    if not signatures:
        wanted = scheme.value.replace(SIGNATURE, "…")
        return Step(False, f"The header {header} holds no signature of the form {wanted}.")
    return _Claim(header, said.get(EVENT_ID, ""), seconds, signatures)


def _signatures(scheme: Scheme, value: str) -> tuple[bytes, ...]:
    form = _pattern(scheme.value, {SIGNATURE: "(?P<signature>.+)"})
    found = []
    for part in value.split(scheme.join) if scheme.join else [value]:
        match = form.fullmatch(part.strip())
        try:
            found += [scheme.read(match["signature"])] if match else []
        except ValueError:  # not of the scheme's encoding: a signature of another kind, to be passed over
            continue
    return tuple(found)


def _judge_signature(
    scheme: Scheme,
    claim: _Claim,
    body: bytes,
    keys: Sequence[str],
    sent: bytes | None,
    expired: Sequence[tuple[str, str]],
) -> Step:
    def made_with(key: str, of: bytes) -> bool:
        message = scheme.message(claim.event_id, claim.seconds, of)
        usable = scheme.key.decode(key)
        return any(scheme.algorithm.verifies(usable, message, signature) for signature in claim.signatures)

    for number, key in enumerate(keys):
        if made_with(key, body):
            return Step(
                True, "The signature is right." if number == 0 else "The signature is right, by an older secret."
            )
    for key, when in expired:
        if made_with(key, body):
            return Step(False, f"It was made with the secret that expired {when}.")
    if sent is not None and sent != body and any(made_with(key, sent) for key in keys):
        return Step(False, "The body was changed: " + _first_difference(sent, body))
    return Step(False, "It was made with another secret, or the body was changed.")


def _judge_time(seconds: str, now_s: int) -> Step:
    off = now_s - int(seconds)
    if abs(off) <= TOLERANCE_S:
        return Step(True, f"The timestamp is {abs(off)} s {'old' if off >= 0 else 'ahead'}.")
    minutes = abs(off) // 60
    words = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    return Step(
        False,
        f"The timestamp is {words} {'old' if off > 0 else 'ahead'}; more than {TOLERANCE_S // 60} min is refused.",
    )


_NAMED_BYTES = {b" ": "a space", b"\n": "a line end", b"\r": "a carriage return", b"\t": "a tab", b"": "the end"}


def _first_difference(sent: bytes, body: bytes) -> str:
    at = next(
        (at for at, pair in enumerate(zip(sent, body, strict=False)) if pair[0] != pair[1]), min(len(sent), len(body))
    )
    there = body[at : at + 1]
    named = _NAMED_BYTES.get(there) or (
        there.decode() if there.isascii() and there.decode().isprintable() else "0x" + there.hex()
    )
    return f"first difference at byte {at + 1} ({named})."


def _pattern(template: str, groups: Mapping[str, str]) -> re.Pattern[str]:
    text = re.escape(template)
    for placeholder, group in groups.items():
        text = text.replace(re.escape(placeholder), group)
    return re.compile(text)
