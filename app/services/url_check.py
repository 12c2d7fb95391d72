"""Looks at a webhook's URL before it is saved: grammar, rules, name, address, certificate. No request is sent."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import certifi

from app.core import addresses, urls
from app.core.access import Permission
from app.core.urls import Url, UrlError
from app.delivery.installed import installed
from app.errors import Unavailable

if TYPE_CHECKING:
    from app.services.scope import Actor

LONGEST_LOOK_UP_S = 4.0
LONGEST_HANDSHAKE_S = 4.0
AT_ONCE = 4

_seats = threading.BoundedSemaphore(AT_ONCE)
_look_ups = ThreadPoolExecutor(AT_ONCE, "url-check")


class Level(StrEnum):
    """What the check came to: `fine`, a `warning` that doesn't keep it from being saved, or an `error` that does."""

    FINE = "fine"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Checked:
    """The result and its sentence."""

    level: Level
    text: str


def check(actor: Actor, text: str, preset: str, *, verify_ssl: bool = True) -> Checked:
    """Check a URL for a webhook of this preset. Takes up to 8 s; raises `Unavailable` when too many do so at once.

    Connects to nothing that a delivery could not connect to.
    """
    actor.require(Permission.WEBHOOKS)
    try:
        url = urls.parse(text.strip())
    except UrlError as error:
        return Checked(Level.ERROR, str(error))
    forbidden = _forbidden(url, preset)
    if forbidden is not None:
        return Checked(Level.ERROR, forbidden)
    if installed().is_own_inbox(url):
        return Checked(Level.FINE, "A test inbox of this server.")
    if not _seats.acquire(timeout=1):
        raise Unavailable("Too many URLs are being checked. Try again in a moment.")
    try:
        return _reach(url, verify_ssl=verify_ssl)
    finally:
        _seats.release()


def _forbidden(url: Url, preset: str) -> str | None:
    """What saving would say against it."""
    here = installed()
    chosen = here.presets.get(preset)
    insists = chosen.require.get("https") if chosen else None
    if insists is not None and not url.is_https:
        return insists
    if here.is_own_inbox(url):
        return None
    if here.base is not None and (url.host, url.port) == (here.base.host, here.base.port):
        return "This is the server itself. Use its test inbox, or the URL of the receiver."
    return " ".join(urls.problems(url, here.allowed, here.settings.https_only)) or None


def _reach(url: Url, *, verify_ssl: bool) -> Checked:
    try:
        found = _addresses(url)
    except (OSError, TookTooLong, UnicodeError):
        return Checked(Level.WARNING, f"{url.host_in_unicode} doesn't resolve at the moment.")
    allowed = installed().allowed
    for address in found:
        refused = addresses.refusal(address, allowed)
        if refused is not None:
            found_there = f"{url.host_in_unicode} resolves to {address}, which is {refused} and blocked."
            return Checked(Level.ERROR, found_there + urls.way_to_allow(address))
    if not url.is_https:
        return Checked(Level.WARNING, f"{found[0]} · http:// isn't encrypted: anyone on the way can read it.")
    return _shake_hands(url, found[0], verify_ssl=verify_ssl)


def _addresses(url: Url) -> list[str]:
    """In a thread, because a name server that is silent can't be interrupted."""
    asked = _look_ups.submit(socket.getaddrinfo, url.host, url.port, type=socket.SOCK_STREAM)
    found = asked.result(LONGEST_LOOK_UP_S)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def _shake_hands(url: Url, address: str, *, verify_ssl: bool) -> Checked:
    ca_file = str(installed().settings.ca_file or certifi.where())
    try:
        with (
            socket.create_connection((address, url.port), LONGEST_HANDSHAKE_S) as plain,
            ssl.create_default_context(cafile=ca_file).wrap_socket(plain, server_hostname=url.host) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        words = _distrust(error)
        if not verify_ssl:
            return Checked(Level.WARNING, f"{address} · the certificate is {words}; it isn't verified.")
        return Checked(Level.WARNING, f"The certificate is {words}; deliveries will fail while SSL verification is on.")
    except ssl.SSLError:
        return Checked(Level.WARNING, f"{address} · port {url.port} doesn't speak TLS.")
    except TimeoutError:
        return Checked(Level.WARNING, f"{address} · no connection within {LONGEST_HANDSHAKE_S:.0f} s.")
    except OSError:
        return Checked(Level.WARNING, f"{address} · nothing answers on port {url.port} at the moment.")
    return Checked(Level.FINE, f"{address} · certificate valid{_until(certificate.get('notAfter'))}")


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    told = error.verify_message.lower()
    for said, words in (
        ("self-signed", "self-signed"),
        ("self signed", "self-signed"),
        ("expired", "expired"),
        ("not yet valid", "not valid yet"),
        ("hostname mismatch", "made out for another host"),
        ("ip address mismatch", "made out for another host"),
    ):
        if said in told:
            return words
    return "issued by an unknown authority"


def _until(moment: object) -> str:
    if not isinstance(moment, str):
        return ""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(moment), UTC)
    return f" to {ends.day} {ends:%b %Y}"
