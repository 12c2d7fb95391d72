"""What no log, page, export or preview may show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MASK = "••••"

SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrftoken"}
)
_SECRET_WORDS = ("token", "secret", "passw", "pwd", "apikey", "credential", "signature")
_SECRET_HEADER_WORDS = ("token", "secret", "passw", "pwd", "apikey", "accesskey", "authkey", "credential")
_SECRET_KEYS = frozenset({"key", "sig", "auth", "authorization", "code", "pass", "sid", "session"})

_SCHEME = re.compile(r"\s*(Basic|Bearer|Digest|Token)\s", re.IGNORECASE)
_KEYS = re.compile(r"(?<![A-Za-z0-9])(whsec_|whsk_|prk_)[A-Za-z0-9+/=_%-]+")
_USERINFO = re.compile(r"""://[^/?#\s"'<>]*@""")
_HEADER = re.compile(
    r"(?<![A-Za-z0-9-])((?:"
    + "|".join(sorted(SECRET_HEADERS))
    + r""")["']?[ \t]*[:=][ \t]*["']?)((?:Basic|Bearer|Digest|Token)[ \t]+)?[^\r\n"']+""",
    re.IGNORECASE,
)
_PAIR = re.compile(r"""(?<![^?&;\s"'])([^?&;=\s"'<>#]{1,100})=([^&;#\s"'<>]+)""")


def shown_headers(headers: Sequence[tuple[str, str]], secret_names: Collection[str]) -> list[tuple[str, str]]:
    """Return the headers as they may be shown; `secret_names`, in any case, are masked beside the usual ones."""
    secret = {name.lower() for name in secret_names}
    return [
        (name, masked(value) if name.lower() in secret or is_secret_header(name) else redacted(value))
        for name, value in headers
    ]


def is_secret_header(name: str) -> bool:
    """Whether a header is a credential by its name: one of the usual ones, or called a token, a key to an API, …"""
    plain = name.lower().replace("-", "").replace("_", "")
    return name.lower() in SECRET_HEADERS or any(word in plain for word in _SECRET_HEADER_WORDS)


def redacted(text: str) -> str:
    """Return the text without secrets: our own keys, userinfo, secret headers, and query or form values by name."""
    text = _KEYS.sub(rf"\1{MASK}", text)
    text = _USERINFO.sub(f"://{MASK}@", text)
    text = _HEADER.sub(lambda found: f"{found[1]}{found[2] or ''}{MASK}", text)
    return _PAIR.sub(_masked_pair, text)


def masked(value: str) -> str:
    """A secret's value: empty stays empty, and the way of signing in may be seen ("Basic ••••")."""
    if not value:
        return value
    scheme = _SCHEME.match(value)
    return f"{scheme[1]} {MASK}" if scheme else MASK


def _masked_pair(pair: re.Match[str]) -> str:
    name = unquote_plus(pair[1]).lower()
    plain = name.replace("-", "").replace("_", "")
    is_secret = name in _SECRET_KEYS or any(word in plain for word in _SECRET_WORDS)
    return f"{pair[1]}={MASK}" if is_secret else pair[0]
