"""Mails over SMTP: encrypted or not at all, verified, no header that a name could write, failures in words."""

from __future__ import annotations

import socket
import ssl

import certifi
import pytest
import trustme

from app import mail
from app.config import BadSetting, read_settings
from app.mail import Mail, MailError, Security, Server
from tests.support.mailbox import Mailbox

NOW = 1_795_251_600_000
SENDER = "Postroom <postroom@acme.test>"
HELLO = Mail("ntf_1", ["ada@acme.test"], "Héllo", "Ünïcode\n.a line with a dot\n")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """The trust of a server on loopback, and the file that makes it believed."""
    authority, file = trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(file))
    return context, file


def send(url, message=HELLO, *, ca_file=None, **more):
    mail.send(mail.parse(url), SENDER, message, NOW, ca_file=ca_file or certifi.where(), **more)


def test_a_mail_arrives_as_it_was_written():
    with Mailbox() as mailbox:
        send(mailbox.url)

    (taken,) = mailbox.mails
    assert (taken.sender, taken.to, taken.subject) == ("postroom@acme.test", ["ada@acme.test"], "Héllo")
    assert taken.text == HELLO.text
    assert taken.mail["Date"] == "Sat, 21 Nov 2026 09:00:00 +0000"
    assert taken.mail["Message-ID"] == "<ntf_1@acme.test>"
    assert taken.mail["Auto-Submitted"] == "auto-generated"


def test_with_starttls_the_password_goes_over_the_encrypted_connection_only(certificates):
    trust, file = certificates
    with Mailbox(trust, account=("ada@acme.test", "p@ss")) as mailbox:
        send(f"smtp://ada%40acme.test:p%40ss@127.0.0.1:{mailbox.port}", ca_file=file)

    assert len(mailbox.mails) == 1
    verbs = [line.split()[0].upper() for line in mailbox.heard]
    assert verbs.index("STARTTLS") < verbs.index("AUTH")


def test_a_certificate_that_is_not_trusted_ends_it_before_anything_is_told(certificates):
    trust, _ = certificates
    with Mailbox(trust) as mailbox, pytest.raises(MailError, match="isn't trusted"):
        send(mailbox.url)

    assert mailbox.mails == []


def test_without_encryption_nothing_is_sent_to_another_machine_unless_that_is_allowed(monkeypatch):
    monkeypatch.setattr(Server, "is_local", False)
    with Mailbox() as mailbox:
        with pytest.raises(MailError, match="POSTROOM_SMTP_PLAIN"):
            send(mailbox.url)
        with pytest.raises(MailError, match="the password wasn't sent"):
            send(mailbox.url.replace("//", "//me:secret@"), may_be_plain=True)
        assert not any("AUTH" in line.upper() for line in mailbox.heard)
        send(mailbox.url, may_be_plain=True)

    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    "message",
    [
        Mail("1", ["ada@acme.test"], "Hi\r\nBcc: eve@evil.test", ""),
        Mail("1", ["ada@acme.test\r\nBcc: eve@evil.test"], "Hi", ""),
        Mail("1", ["ada@acme.test>,<eve@evil.test"], "Hi", ""),
    ],
)
def test_nothing_that_is_given_can_write_a_header_or_add_a_recipient(message):
    with Mailbox() as mailbox, pytest.raises(MailError):
        send(mailbox.url, message)

    assert mailbox.mails == []


def test_failures_are_told_in_words(monkeypatch):
    with Mailbox(account=("ada", "right")) as mailbox:
        mailbox.refusal = "552 too much"
        with pytest.raises(MailError, match=r"refused the mail: 552 too much"):
            send(mailbox.url)
        with pytest.raises(MailError, match=r"refused user or password: 535 no, … is wrong"):
            send(mailbox.url.replace("//", "//ada:canary@"))
    with pytest.raises(MailError, match="refused the connection"):
        send(mailbox.url)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(mail, "TIMEOUT_S", 0.1)
        with pytest.raises(MailError, match="didn't answer within"):
            send(f"smtp://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize(
    "url", ["mail.acme.test", "http://acme.test", "smtp://", "smtp://canary@acme.test", "smtp://a:canary@b:x"]
)
def test_an_address_of_a_mail_server_that_cannot_be_used_is_refused_without_telling_it(url):
    with pytest.raises(BadSetting) as told:
        read_settings({"POSTROOM_SMTP_URL": url})

    assert "POSTROOM_SMTP_URL" in str(told.value)
    assert "canary" not in str(told.value)


def test_the_port_and_the_sender_have_defaults():
    assert (mail.parse("smtp://a.test").port, mail.parse("smtps://a.test").port) == (587, 465)
    assert mail.parse("smtps://a.test").security is Security.TLS
    settings, _ = read_settings({"POSTROOM_BASE_URL": "https://postroom.acme.test"})
    assert settings.mail_sender == "Postroom <postroom@postroom.acme.test>"
    with pytest.raises(BadSetting, match="use an address"):
        read_settings({"POSTROOM_MAIL_FROM": "nobody"})
