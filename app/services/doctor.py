"""What an operator should know about the options and the machine: checks that need no network and change nothing."""

from __future__ import annotations

import dataclasses
import resource
import shutil
import sqlite3
import ssl
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from app import mail
from app.core.redaction import MASK, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.config import Settings

OLDEST_SQLITE = (3, 35)
FILES_BESIDE_REQUESTS = 256
NETWORK_FILE_SYSTEMS = frozenset(
    """
    9p afs ceph cifs davfs fuse.ceph fuse.glusterfs fuse.s3fs fuse.sshfs glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2
    smb3 smbfs virtiofs
    """.split()  # noqa: SIM905  a list takes a line a word
)
MOUNTS = Path("/proc/mounts")


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what came of it, in words that say what to do."""

    verdict: Verdict
    about: str
    words: str


def shown_options(settings: Settings) -> dict[str, str]:
    """Return every option by its name, as it is in force; secrets masked."""
    shown = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, tuple):
            value = ", ".join(map(str, value))
        text = "" if value is None else str(value)
        if field.metadata["secret"] and text:
            text = MASK if "://" not in text else redacted(text)
        shown[field.metadata["name"]] = text
    return shown


def examine(settings: Settings) -> Iterator[Finding]:
    """Check what can be checked without asking the network."""
    yield from _data_directory(settings)
    yield from _schema(settings)
    yield from _versions()
    yield _authorities(settings)
    yield _open_files(settings)
    yield from _disk(settings)
    yield from _addresses(settings)
    yield from _base_url(settings)
    yield _mail(settings)


# --- the checks


def _data_directory(settings: Settings) -> Iterator[Finding]:
    from app.crypto import KEY_FILE

    folder = settings.data_dir
    if not folder.is_dir():
        yield Finding(Verdict.NOTE, "data directory", f"{folder} isn't there yet; the first start makes it.")
        return
    yield _mode(folder, 0o700)
    if (folder / KEY_FILE).exists():
        yield _mode(folder / KEY_FILE, 0o600)
    elif not (settings.encryption_keys and settings.secret_key):
        yield Finding(Verdict.NOTE, KEY_FILE, "It isn't there yet; the first start makes it.")


def _mode(path: Path, widest: int) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~widest:
        words = f"Others on this machine can read {path} (mode {mode:04o}). Run: chmod {widest:o} {path}"
        return Finding(Verdict.WRONG, path.name, words)
    return Finding(Verdict.OK, path.name, f"{path}, mode {mode:04o}.")


def _schema(settings: Settings) -> Iterator[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from app import schema

    try:
        found, newest = schema.version(settings), schema.head(settings)
    except SQLAlchemyError as error:
        yield Finding(Verdict.WRONG, "database", f"It can't be opened: {getattr(error, 'orig', error)}".strip())
        return
    if found is None:
        yield Finding(Verdict.NOTE, "schema", "The database is empty; the first start makes its tables.")
    elif found == newest:
        yield Finding(Verdict.OK, "schema", f"{found}, the newest.")
    else:
        words = f"{found}, not {newest}. Restart the server or run `postroom migrate`."
        yield Finding(Verdict.NOTE, "schema", words)


def _versions() -> Iterator[Finding]:
    from app.delivery import transfer

    wanted = ".".join(map(str, OLDEST_SQLITE))
    is_new_enough = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    words = f"{sqlite3.sqlite_version}" + ("." if is_new_enough else f" is too old: {wanted} or newer is needed.")
    yield Finding(Verdict.OK if is_new_enough else Verdict.WRONG, "SQLite", words)
    yield Finding(Verdict.OK, "libcurl", f"{vars(transfer)['pycurl'].version}.")


def _authorities(settings: Settings) -> Finding:
    import certifi

    file = str(settings.ca_file or certifi.where())
    try:
        known = len(ssl.create_default_context(cafile=file).get_ca_certs())
    except (OSError, ssl.SSLError) as error:
        return Finding(
            Verdict.WRONG, "certificate authorities", f"{file} can't be used ({error}). Set POSTROOM_CA_FILE."
        )
    return Finding(Verdict.OK, "certificate authorities", f"{known} in {file}.")


def _open_files(settings: Settings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * settings.concurrency + FILES_BESIDE_REQUESTS
    if hard != resource.RLIM_INFINITY and hard < needed:
        words = f"{hard} are allowed; {settings.concurrency} requests at a time need {needed}. Raise LimitNOFILE."
        return Finding(Verdict.WRONG, "open files", words)
    return Finding(Verdict.OK, "open files", f"{'any number' if hard == resource.RLIM_INFINITY else hard} allowed.")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free = shutil.disk_usage(folder).free >> 20
    if free < settings.disk_reserve_mb:
        words = f"{free} MiB are free. New events are refused below {settings.disk_reserve_mb} MiB."
        yield Finding(Verdict.WRONG, "disk", words)
    else:
        yield Finding(Verdict.OK, "disk", f"{free} MiB are free.")
    kind = file_system_of(folder)
    if kind in NETWORK_FILE_SYSTEMS and settings.database.startswith("sqlite"):
        words = f"{folder} lies on {kind}. SQLite loses data on network file systems: use a local disk, or PostgreSQL."
        yield Finding(Verdict.WRONG, "file system", words)
    elif kind:
        yield Finding(Verdict.OK, "file system", f"{kind}.")


def file_system_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of file system that a folder lies on; None where the system doesn't tell."""
    if not mounts.exists():
        return None
    best, kind = "", None
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        point = point.encode().decode("unicode_escape")  # blanks are written as \040
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _addresses(settings: Settings) -> Iterator[Finding]:
    own = ", ".join(map(str, settings.allow_networks)) or "none"
    ports = ", ".join(map(str, settings.allow_ports)) or "none"
    words = f"Private, local and metadata addresses are blocked. Allowed although private: {own}; extra ports: {ports}."
    yield Finding(Verdict.OK, "addresses", words)
    for network in settings.allow_networks:
        if network.prefixlen == 0:
            words = f"{network} allows every address: whoever may make a webhook reaches all of your network."
            yield Finding(Verdict.WRONG, "POSTROOM_ALLOW_NETWORKS", words)
    if not settings.https_only:
        yield Finding(Verdict.NOTE, "POSTROOM_HTTPS_ONLY", "Webhooks may use http://, which others can read.")


def _base_url(settings: Settings) -> Iterator[Finding]:
    if settings.base_url is None:
        is_local = settings.host in {"127.0.0.1", "::1", "localhost"}
        words = f"Not set: links and receivers are told {settings.address}."
        yield Finding(Verdict.OK if is_local else Verdict.NOTE, "POSTROOM_BASE_URL", words)
    elif settings.base_url.startswith("http://"):
        yield Finding(Verdict.NOTE, "POSTROOM_BASE_URL", "It is http://: sessions travel unencrypted.")
    else:
        yield Finding(Verdict.OK, "POSTROOM_BASE_URL", f"{settings.base_url}.")
    if settings.base_url and not settings.trusted_proxy and settings.base_url.startswith("https://"):
        words = "Not set: behind a proxy, all people seem to come from one address."
        yield Finding(Verdict.NOTE, "POSTROOM_TRUSTED_PROXY", words)


def _mail(settings: Settings) -> Finding:
    """What is set up; whether the mail server takes mails is told by System > Mail, after a test."""
    if settings.smtp_url is None:
        words = "Not set up: nobody is told when a webhook fails. Set POSTROOM_SMTP_URL."
        return Finding(Verdict.NOTE, "e-mail", words)
    server = mail.parse(settings.smtp_url)
    words = f"{server.host}, port {server.port}, {server.security}; from {settings.mail_sender}."
    if settings.smtp_plain and server.security is mail.Security.STARTTLS and not server.is_local:
        return Finding(Verdict.NOTE, "e-mail", f"{words} POSTROOM_SMTP_PLAIN lets mails go unencrypted.")
    return Finding(Verdict.OK, "e-mail", words)
