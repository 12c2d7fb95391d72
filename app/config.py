"""Every option, once: its name, type, default and what it does. Nothing else reads the environment."""

from __future__ import annotations

import dataclasses
import difflib
import os
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app import mail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "POSTROOM_"
PACKAGE = Path(__file__).resolve().parent
ASSETS = PACKAGE if (PACKAGE / "templates").is_dir() else PACKAGE.parent  # a wheel | a checkout

Network = IPv4Network | IPv6Network


class BadSetting(Exception):
    """An option has a value that can't be used; the message names it and says what it takes."""


def _flag(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("use true or false")


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(item.strip()) for item in text.split(",") if item.strip())


def _ports(text: str) -> tuple[int, ...]:
    return tuple(_whole(1, 65535)(item.strip()) for item in text.split(",") if item.strip())


def _keys(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"use a whole number from {least} to {most}")
        return int(text)

    return read


def _folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("use the address people open, for example https://postroom.example.com")
    return text.rstrip("/")


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"use one of: {', '.join(names)}")
        return text

    return read


def _mail_server(text: str) -> str:
    mail.parse(text)
    return text


def _sender(text: str) -> str:
    return mail.parse_sender(text)


def _database(text: str) -> str:
    for scheme in ("postgres://", "postgresql://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    if not text.startswith(("postgresql+psycopg://", "sqlite:///")):
        raise ValueError("use postgresql://user:password@host/name, or leave it out for SQLite")
    return text


def _option(name: str, words: str, parse: Callable[[str], Any], default: Any, *, secret: bool = False) -> Any:
    metadata = {"name": PREFIX + name, "help": words, "parse": parse, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata)


def _default_data_dir() -> Path:
    return (PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else Path.cwd()) / "instance"


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective options of this process."""

    data_dir: Path = _option(
        "DATA_DIR", "Folder with database, key file, own presets and packs: all there is to back up", _folder, None
    )
    database_url: str | None = _option(
        "DATABASE_URL",
        "postgresql://… for PostgreSQL; left out: SQLite in the data directory",
        _database,
        None,
        secret=True,
    )
    host: str = _option("HOST", "Address to listen on", str, "127.0.0.1")
    port: int = _option("PORT", "Port to listen on", _whole(1, 65535), 8300)
    base_url: str | None = _option(
        "BASE_URL", "Address people and receivers know this server by; left out: http://HOST:PORT", _web_address, None
    )
    https_only: bool = _option("HTTPS_ONLY", "Refuse webhooks whose URL begins with http://", _flag, True)
    allow_networks: tuple[Network, ...] = _option(
        "ALLOW_NETWORKS", "Private networks that webhooks may reach, as CIDRs parted by commas", _networks, ()
    )
    allow_ports: tuple[int, ...] = _option(
        "ALLOW_PORTS", "Otherwise refused ports that webhooks may use, parted by commas", _ports, ()
    )
    ca_file: Path | None = _option("CA_FILE", "Certificate authorities to trust instead of certifi's", _folder, None)
    secret_key: str | None = _option(
        "SECRET_KEY", "Signs sessions; left out: made and kept in the key file", str, None, secret=True
    )
    encryption_keys: tuple[str, ...] = _option(
        "ENCRYPTION_KEYS",
        "Fernet keys for secrets at rest, newest first; left out: in the key file",
        _keys,
        (),
        secret=True,
    )
    concurrency: int = _option("CONCURRENCY", "Requests to receivers in flight, in all", _whole(1, 4096), 256)
    threads: int = _option("THREADS", "Threads that answer web and API requests", _whole(1, 128), 32)
    trusted_proxy: str | None = _option(
        "TRUSTED_PROXY", "Address of the proxy whose X-Forwarded headers count, or *", str, None
    )
    trusted_proxy_count: int = _option("TRUSTED_PROXY_COUNT", "How many proxies stand in front", _whole(1, 9), 1)
    retention_days: int = _option("RETENTION_DAYS", "Days that delivered events stay in the log", _whole(1, 3650), 30)
    retention_failed_days: int = _option(
        "RETENTION_FAILED_DAYS", "Days that failed deliveries stay in the log", _whole(1, 3650), 90
    )
    disk_reserve_mb: int = _option(
        "DISK_RESERVE_MB", "Free space below which new events are refused, in MiB", _whole(0, 1_000_000), 256
    )
    smtp_url: str | None = _option(
        "SMTP_URL",
        "Mail server: smtp://user:password@host:587 (STARTTLS) or smtps://…:465; left out: no mails are sent",
        _mail_server,
        None,
        secret=True,
    )
    smtp_plain: bool = _option("SMTP_PLAIN", "Send mails unencrypted to a server that offers no TLS", _flag, False)
    mail_from: str | None = _option(
        "MAIL_FROM", "Sender of mails; left out: Postroom at the host of POSTROOM_BASE_URL", _sender, None
    )
    log_format: str = _option("LOG_FORMAT", "text for people, json for machines", _one_of("text", "json"), "text")
    faults: str = _option("FAULTS", "For tests: where to break on purpose", str, "")

    @property
    def address(self) -> str:
        """The address people know this server by, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}"

    @property
    def mail_sender(self) -> str:
        """The sender of mails, as a From header has it."""
        return self.mail_from or f"Postroom <postroom@{mail.domain_of(urlsplit(self.address).hostname or 'localhost')}>"

    @property
    def database(self) -> str:
        """The database's URL, as SQLAlchemy takes it."""
        return self.database_url or f"sqlite:///{self.data_dir / 'postroom.db'}"


def read_settings(environ: Mapping[str, str] | None = None, **given: Any) -> tuple[Settings, list[str]]:
    """Read the options from the environment; `given` ones (command-line flags) win. Returns warnings too.

    A secret option can also be given as NAME_FILE, the path of a file that holds it.
    Raises `BadSetting` for a value that can't be used.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    known: set[str] = set()
    for field in dataclasses.fields(Settings):
        name = field.metadata["name"]
        known.add(name)
        text = environ.get(name)
        if field.metadata["secret"]:
            known.add(f"{name}_FILE")
            text = _from_file(name, text, environ.get(f"{name}_FILE"))
        if text:
            shown = "" if field.metadata["secret"] else f"={text}"
            values[field.name] = _parsed(f"{name}{shown}", text, field.metadata["parse"])
    values.update({name: value for name, value in given.items() if value is not None})
    values.setdefault("data_dir", _default_data_dir())
    return Settings(**values), _warnings(environ, known)


def _from_file(name: str, text: str | None, path: str | None) -> str | None:
    if path is None:
        return text
    if text is not None:
        raise BadSetting(f"{name} and {name}_FILE are both set. Keep one.")
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise BadSetting(f"{name}_FILE: {path} can't be read ({error.strerror}).") from error


def _parsed(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise BadSetting(f"{name}: {error}.") from error


def _warnings(environ: Mapping[str, str], known: set[str]) -> list[str]:
    found = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(f"{PREFIX}TEST_"):
            near = difflib.get_close_matches(name, known, n=1)
            found.append(f"{name} is not an option of Postroom." + (f" Did you mean {near[0]}?" if near else ""))
    return found
