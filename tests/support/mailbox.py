"""A mail server on loopback: takes mails and keeps them, refuses as told, with STARTTLS where it has a certificate."""

from __future__ import annotations

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from typing import cast


@dataclass
class Taken:
    """A mail as it was handed over."""

    sender: str
    to: list[str]
    mail: EmailMessage

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.mail["Subject"])

    @property
    def text(self) -> str:
        """Its text."""
        return cast(str, self.mail.get_content()).replace("\r\n", "\n")


class _Dialogue(socketserver.StreamRequestHandler):
    server: Mailbox
    timeout = 5

    def handle(self) -> None:
        self.say("220 mailbox.test")
        sender, to = "", list[str]()
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            self.server.heard.append(line)
            match verb.upper():
                case "EHLO":
                    more = ["250-STARTTLS"] if self.server.trust and not isinstance(self.request, ssl.SSLSocket) else []
                    self.say("250-mailbox.test", *more, "250-AUTH PLAIN", "250 8BITMIME")
                case "STARTTLS" if self.server.trust:
                    self.say("220 go on")
                    self.request = self.server.trust.wrap_socket(self.request, server_side=True)
                    self.setup()
                case "AUTH":
                    given = base64.b64decode(rest.split(" ")[-1]).decode().split("\0")[1:]
                    self.say("235 welcome" if given == self.server.account else f"535 no, {given[-1]} is wrong")
                case "MAIL":
                    sender, to = rest[5:].split(">")[0].strip("<>"), []
                    self.say(self.server.refusal or "250 ok")
                case "RCPT":
                    to.append(rest[3:].strip("<>"))
                    self.say("250 ok")
                case "DATA":
                    self.say("354 go on")
                    self.server.keep(sender, to, self.data())
                    self.say("250 kept")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def finish(self) -> None:
        super().finish()
        self.request.close()  # the one TLS is spoken over isn't the one that came in

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def data(self) -> bytes:
        lines = iter(self.rfile.readline, b".\r\n")
        return b"".join(line[1:] if line.startswith(b"..") else line for line in lines)


class Mailbox(socketserver.ThreadingTCPServer):
    """The server; `mails` are those it took, `heard` every line but data. Down between `with` blocks' ends."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, trust: ssl.SSLContext | None = None, account: tuple[str, str] = ("", ""), port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Dialogue)
        self.trust = trust
        self.account = list(account)
        self.refusal = ""
        self.mails: list[Taken] = []
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return cast(int, self.server_address[1])

    @property
    def url(self) -> str:
        """What POSTROOM_SMTP_URL takes."""
        return f"smtp://127.0.0.1:{self.port}"

    def keep(self, sender: str, to: list[str], data: bytes) -> None:
        """Keep a mail."""
        mail = cast(EmailMessage, email.message_from_bytes(data, policy=email.policy.SMTP))
        self.mails.append(Taken(sender, to, mail))

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no news."""

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
