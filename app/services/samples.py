"""Code that checks a webhook's signature, in several languages, with the webhook's own header names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.services.signatures import SignatureSheet

LANGUAGES = {
    "python": "Python",
    "node": "Node",
    "php": "PHP",
    "ruby": "Ruby",
    "go": "Go",
    "java": "Java",
    "csharp": "C#",
    "shell": "Shell",
}
_FIRST = "python"


def languages(sheet: SignatureSheet) -> dict[str, str]:
    """Return the languages there is a sample in: with a public key only the first."""
    return LANGUAGES if sheet.public_key is None else {_FIRST: LANGUAGES[_FIRST]}


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample's language, and the template that it is rendered from with these facts."""

    language: str
    template: str
    facts: dict[str, Any]


def sample(sheet: SignatureSheet, language: str) -> Sample:
    """Return the sample in a known language: the asked one where there is."""
    known = languages(sheet)
    language = language if language in known else _FIRST
    name = language if sheet.public_key is None else f"{language}_public"
    facts = {
        "secret": "whsec_…" if sheet.key == "base64" else "…",
        "header": sheet.header if language in ("go", "csharp", "shell") else sheet.header.lower(),
        "prefix": sheet.value.partition("{signature}")[0],
        "join": sheet.join,
        "inline": "{attempt.seconds}" in sheet.before,
        "time": "{attempt.seconds}" in sheet.signs,
        "id": "{event.id}" in sheet.signs,
        "base64": sheet.key == "base64",
        "hex": sheet.encoding == "hex",
        "public_key": sheet.public_key,
    }
    return Sample(language, f"webhooks/samples/{name}.txt", facts)
