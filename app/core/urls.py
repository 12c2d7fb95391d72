"""The one URL grammar: what it accepts is taken apart, and what is stored and sent is put together from the parts.

libcurl and browsers read doubtful URLs each in their own way, so nothing doubtful is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

import idna

from app.core.addresses import Allowed, may_be_allowed, port_refusal, refusal

LONGEST_URL = 2048
LONGEST_HOST = 253
DEFAULT_PORTS = {"http": 80, "https": 443}

_ENTER = "Enter a URL, for example https://example.com/webhook."
_HTTPS_ONLY = (
    "Use https://: what is sent to http:// addresses can be read on the way, so this server doesn't send to them. "
    "The operator can allow it: start the server with POSTROOM_HTTPS_ONLY=false."
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SHAPE = re.compile(r"(?P<authority>[^/?]*)(?P<path>[^?]*)(?P<query>\?.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a host that ends in one is an IPv4 address (WHATWG)
_IPV4_PART = re.compile(r"(?P<hex>0x[0-9a-f]{1,12})|(?P<octal>0[0-7]{0,12})|(?P<decimal>[1-9][0-9]{0,12})")
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORBIDDEN = frozenset('"<>`')


class UrlError(ValueError):
    """The text is no URL that a webhook can have; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its parts: `host` is in A-labels, IPv6 without brackets; `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str
    authority: str = field(init=False, repr=False, compare=False)
    """Host and, unless it is the scheme's own, port: what the Host header says."""
    text: str = field(init=False, repr=False, compare=False)
    """The canonical spelling, as it is stored and dialled."""

    def __post_init__(self) -> None:
        """Put the spellings together once: each request asks for them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        object.__setattr__(self, "authority", authority)
        object.__setattr__(self, "text", f"{self.scheme}://{authority}{self.path}")

    @property
    def host_is_literal(self) -> bool:
        """Whether the host is an IP address rather than a name."""
        return ":" in self.host or self.host.rpartition(".")[2].isdigit()

    @property
    def is_https(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: whoever answers there is one and the same receiver."""
        return self.scheme, self.host, self.port

    @property
    def host_in_unicode(self) -> str:
        """The host as people write it: `faß.de` for `xn--fa-hia.de`."""
        return ".".join(idna.ulabel(label) if label.startswith("xn--") else label for label in self.host.split("."))


def parse(text: str) -> Url:
    """Take a URL apart; `UrlError` says in a sentence why it can't be used. A trailing dot of the host is dropped."""
    if not text.strip():
        raise UrlError(_ENTER)
    if len(text) > LONGEST_URL:
        raise UrlError(f"The URL is longer than {LONGEST_URL:,} characters. Shorten it.")
    _refuse_characters(text)
    scheme, rest = _split_scheme(text)
    if "#" in rest:
        raise UrlError("Remove the part after #.")
    shape = _SHAPE.fullmatch(rest)
    assert shape is not None
    if "@" in shape["authority"]:
        raise UrlError("Take the user and password out of the URL and enter them under Authentication.")
    host, port = _split_authority(shape["authority"])
    path = _spell(shape["path"] or "/", upper=True) + _spell(shape["query"] or "", upper=False)
    url = Url(scheme, host, port or DEFAULT_PORTS[scheme], path)
    if len(url.text) > LONGEST_URL:
        raise UrlError(f"The URL is longer than {LONGEST_URL:,} characters once written in ASCII. Shorten it.")
    return url


def problems(url: Url, allowed: Allowed, https_only: bool) -> list[str]:
    """Return what speaks against sending to this URL, before its name is looked up; empty when nothing does."""
    found = []
    if https_only and not url.is_https:
        found.append(_HTTPS_ONLY)
    port_rule = port_refusal(url.port, allowed)
    if port_rule is not None:
        found.append(f"{url.port} is {port_rule} and blocked. {_by_operator('POSTROOM_ALLOW_PORTS', str(url.port))}")
    host_problem = _host_problem(url, allowed)
    if host_problem is not None:
        found.append(host_problem)
    return found


def _host_problem(url: Url, allowed: Allowed) -> str | None:
    host = url.host
    if not url.host_is_literal and "." not in host and host != "localhost" and not allowed.networks:
        way_out = _by_operator("POSTROOM_ALLOW_NETWORKS", "its network")
        return f"{host} is a name of an internal network and blocked. {way_out}"
    is_local_name = host == "localhost" or host.endswith(".localhost")  # RFC 6761
    address = "127.0.0.1" if is_local_name else host
    if not (url.host_is_literal or is_local_name):
        return None
    rule = refusal(address, allowed)
    if rule is None:
        return None
    if is_local_name:  # it may stand for either
        return f"{host} is {rule} and blocked. {_by_operator('POSTROOM_ALLOW_NETWORKS', '127.0.0.1,::1')}"
    return f"{host} is {rule} and blocked.{way_to_allow(address)}"


def way_to_allow(address: str) -> str:
    """Return the sentence, after a space, that says how the operator lets webhooks reach an IP address; "" if none can.

    >>> way_to_allow("10.0.0.5")
    ' The operator can allow it: start the server with POSTROOM_ALLOW_NETWORKS=10.0.0.5.'
    """
    return f" {_by_operator('POSTROOM_ALLOW_NETWORKS', address)}" if may_be_allowed(address) else ""


def _by_operator(option: str, value: str) -> str:
    return f"The operator can allow it: start the server with {option}={value}."


def _refuse_characters(text: str) -> None:
    for character in text:
        if character == "\\":
            raise UrlError("Replace the backslash in the URL with a slash.")
        if character.isspace():
            raise UrlError("Remove the white space from the URL; inside it, write a space as %20.")
        if not character.isprintable():
            raise UrlError("The URL contains a character that can't be seen. Type it anew.")


def _split_scheme(text: str) -> tuple[str, str]:
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise UrlError(_ENTER)
    name = scheme[1].lower()
    rest = text[scheme.end() :]
    if name not in DEFAULT_PORTS:
        # "host:80/x" looks like a scheme too; advice that fits both is the best there is
        raise UrlError("The URL must begin with https:// or http://.")
    if not rest.startswith("//") or rest[2:3] in ("", "/", "?", "#"):
        raise UrlError(_ENTER)
    return name, rest[2:]


def _split_authority(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or (parts["port"] and int(parts["port"]) > 65535):
        if authority.count(":") == 1 and "[" not in authority:
            raise UrlError("The port must be a number from 1 to 65535, without leading zeros.")
        raise UrlError("The host name can't be read. Write it as in https://example.com/webhook.")
    port = int(parts["port"]) if parts["port"] else None
    host = parts["host"]
    return (_ipv6(host[1:-1]) if host.startswith("[") else _name_or_ipv4(host)), port


def _ipv6(text: str) -> str:
    try:
        if "%" in text:
            raise ValueError  # a zone names an interface of this machine
        address = IPv6Address(text)
    except ValueError:
        raise UrlError("The address in brackets is no IPv6 address.") from None
    mapped = address.ipv4_mapped
    # spelled here, because Python versions differ about it
    return str(address) if mapped is None else f"::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}"


def _name_or_ipv4(text: str) -> str:
    strange = next((character for character in text if character < "\x80" and character not in _HOST_CHARACTERS), None)
    if strange is not None:
        raise UrlError(f"The host name can't contain {strange}.")
    host = _mapped(text).removesuffix(".")
    if len(host) > LONGEST_HOST:
        raise UrlError(f"The host name is longer than {LONGEST_HOST} characters.")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    name = ".".join(_a_label(label) for label in labels)
    if len(name) > LONGEST_HOST:
        raise UrlError(f"The host name is longer than {LONGEST_HOST} characters.")
    if labels[-1] == "onion":
        raise UrlError("Names under .onion can't be reached.")  # RFC 7686: never to be looked up
    return name


def _mapped(host: str) -> str:
    """Lower case, and one spelling for the many that Unicode has (UTS 46, non-transitional)."""
    try:
        return idna.uts46_remap(host, std3_rules=False)
    except idna.IDNAError:
        raise UrlError("The host name contains a character that no name can have.") from None


def _a_label(label: str) -> str:
    """One part of the name as DNS has it (IDNA 2008). Underscores are taken: receivers have them."""
    try:
        if not label.isascii():
            label = idna.alabel(label).decode("ascii")
        elif label.startswith("xn--") and idna.alabel(idna.ulabel(label)).decode("ascii") != label:
            raise UrlError(f"The host name has a part that isn't valid: {label}.")
    except idna.IDNAError:
        raise UrlError(f"The host name has a part that isn't valid: {label}.") from None
    if _LABEL.fullmatch(label) is None:
        raise UrlError(
            f"The host name has a part that isn't valid: {label}." if label else "The host name has an empty part."
        )
    return label


def _ipv4(parts: list[str]) -> str:
    """An IPv4 address in any spelling that a resolver would take: 127.1, 0x7f.1, 017700000001, 2130706433."""
    matches = [_IPV4_PART.fullmatch(part) for part in parts]
    numbers = [int(match["hex"] or match["decimal"] or "0o" + match["octal"], 0) for match in matches if match]
    last_limit = 256 ** (5 - len(parts)) if len(parts) <= 4 else 0
    if len(numbers) != len(parts) or any(number > 255 for number in numbers[:-1]) or numbers[-1] >= last_limit:
        raise UrlError("The host ends in a number but is no IP address.")
    high = sum(number << (24 - 8 * index) for index, number in enumerate(numbers[:-1]))
    return str(IPv4Address(high + numbers[-1]))


def _spell(part: str, *, upper: bool) -> str:
    """Path or query in ASCII. The path's escapes are upper case, because libcurl writes them so."""
    strange = next((character for character in part if character in _FORBIDDEN), None)
    if strange is not None:
        raise UrlError(f"The URL can't contain {strange}. Write it as %{ord(strange):02X}.")
    if _LONE_PERCENT.search(part):
        raise UrlError("Write % as %25, or follow it with two hex digits.")
    if upper:
        part = _PERCENT.sub(lambda escape: escape[0].upper(), part)
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in part)
