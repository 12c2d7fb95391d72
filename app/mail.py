"""One mail over SMTP: encrypted and verified, within deadlines, its failures in words that hold no password."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT_S = 10.0  # of each step
LONGEST_ANSWER = 200
_PORTS = {"smtp": 587, "smtps": 465}


class Security(StrEnum):
    """How the connection is encrypted."""

    TLS = "TLS"
    STARTTLS = "STARTTLS"


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails are handed over."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether nobody stands between: it is this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain text to one or more people. `id` makes its Message-ID: the same mail sent twice is seen to be one."""

    id: str
    to: Sequence[str]
    subject: str
    text: str


class MailError(Exception):
    """A mail wasn't taken; the message says why and what to do."""


def parse(url: str) -> Server:
    """Read `smtp://user:password@host:port` (STARTTLS) or `smtps://…` (TLS at once); parts can be percent-encoded.

    Raises `ValueError`, which never tells the password.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or parts.path.strip("/") or parts.query:
        raise ValueError("use smtp://user:password@host:587, or smtps://user:password@host:465")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("a user needs a password: smtp://user:password@host:587, with %40 for @ inside them")
    return Server(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        security=Security.TLS if parts.scheme == "smtps" else Security.STARTTLS,
        user=unquote(parts.username) if parts.username is not None else None,
        password=unquote(parts.password) if parts.password is not None else None,
    )


def parse_sender(text: str) -> str:
    """Check a sender: `postroom@acme.com`, or `Acme <postroom@acme.com>`. Raises `ValueError`."""
    name, address = parseaddr(text)
    try:
        return str(Address(name, addr_spec=address)) if "@" in address and text.isprintable() else _no_sender()
    except (ValueError, MessageError):
        return _no_sender()


def _no_sender() -> str:
    raise ValueError("use an address, for example Postroom <postroom@example.com>")


def domain_of(host: str) -> str:
    """Return a host as the domain of an address: a number stands in brackets."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def send(server: Server, sender: str, mail: Mail, now: int, *, ca_file: Path | str, may_be_plain: bool = False) -> None:
    """Hand a mail over. Blocks, each step for up to 10 s. Raises `MailError`.

    Without TLS nothing is sent, but to this machine or when it `may_be_plain`; a password then isn't sent either,
    but to this machine.
    """
    try:
        message = _message(sender, mail, now)
    except (ValueError, MessageError, LookupError) as error:
        raise MailError("This can't be written as a mail: an address or the subject isn't one.") from error
    try:
        _hand_over(server, message, mail.to, ca_file, may_be_plain)
    except MailError:
        raise
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise MailError(_words(error, server)) from None  # its context could hold the dialogue


def _message(sender: str, mail: Mail, now: int) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = [Address(addr_spec=address) for address in mail.to]
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    message["Message-ID"] = f"<{mail.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(mail.text, cte="quoted-printable")
    return message


def _hand_over(
    server: Server, message: EmailMessage, to: Sequence[str], ca_file: Path | str, may_be_plain: bool
) -> None:
    trust = ssl.create_default_context(cafile=str(ca_file))
    name = parseaddr(str(message["From"]))[1].rpartition("@")[2]
    client: smtplib.SMTP
    if server.security is Security.TLS:
        client = smtplib.SMTP_SSL(server.host, server.port, name, timeout=TIMEOUT_S, context=trust)
    else:
        client = smtplib.SMTP(server.host, server.port, name, timeout=TIMEOUT_S)
    with client:
        client.ehlo_or_helo_if_needed()
        is_safe = server.security is Security.TLS or server.is_local
        if server.security is Security.STARTTLS and client.has_extn("starttls"):
            client.starttls(context=trust)
            is_safe = True
        if not is_safe and not may_be_plain:
            raise MailError(
                f"{server.host} offers no encryption, so nothing was sent. Use smtps://, or set POSTROOM_SMTP_PLAIN."
            )
        if server.user is not None and server.password is not None:
            if not is_safe:
                raise MailError(f"{server.host} offers no encryption, so the password wasn't sent. Leave it out.")
            client.login(server.user, server.password)
        client.send_message(message, to_addrs=list(to))


def _words(error: Exception, server: Server) -> str:
    place = f"{server.host}:{server.port}"
    match error:
        case ssl.SSLCertVerificationError():
            why = error.verify_message
            return f"The certificate of {place} isn't trusted: {why}. Set POSTROOM_CA_FILE if it is yours."
        case ssl.SSLError():
            return f"{place} doesn't speak TLS as asked. smtps:// is for port 465, smtp:// for 587 and 25."
        case smtplib.SMTPAuthenticationError():
            return _told(f"{place} refused user or password", error.smtp_code, error.smtp_error, server)
        case smtplib.SMTPRecipientsRefused():
            code, answer = next(iter(error.recipients.values()), (0, b""))
            return _told(f"{place} refused every recipient", code, answer, server)
        case smtplib.SMTPResponseException():
            return _told(f"{place} refused the mail", error.smtp_code, error.smtp_error, server)
        case smtplib.SMTPServerDisconnected() if "timed out" not in str(error):
            return f"{place} closed the connection. Port 465 wants smtps://."
        case smtplib.SMTPNotSupportedError():
            return f"{place} doesn't offer what is needed: {error}."
        case TimeoutError() | smtplib.SMTPServerDisconnected():
            return f"{place} didn't answer within {TIMEOUT_S:.0f} s."
        case ConnectionRefusedError():
            return f"{place} refused the connection. Is the port right?"
        case socket.gaierror():
            return f"The host name {server.host} wasn't found."
        case _:
            return f"{place} couldn't be used ({type(error).__name__})."


def _told(what: str, code: int, answer: bytes | str, server: Server) -> str:
    """What a server answered, as far as it is plain text, and without the password should it repeat it."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if server.password:
        line = line.replace(server.password, "…")
    return f"{what}: {code} {line[:LONGEST_ANSWER]}".rstrip()
