"""Keys, secrets at rest, password hashes, and the making of secrets. The only randomness besides ids."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from pathlib import Path

    from app.config import Settings

KEY_FILE = "postroom.key"
# OWASP's choice for argon2id: 19 MiB, two passes. The library's default takes 64 MiB a hash.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_two_at_a_time = threading.Semaphore(2)
_DUMMY_HASH = _hasher.hash("nobody has this password")


class WrongKey(Exception):
    """What is stored can't be opened with the keys given."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The process's own secrets: for sessions, and for what is encrypted at rest (newest first)."""

    session: str
    encryption: tuple[str, ...]


class Ring:
    """Encrypts with the newest key, opens with any of them."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, label: str, plain: str) -> bytes:
        """Encrypt `plain` under `label` (its column), so that it can't be moved to another one."""
        return self._fernet.encrypt(f"{label}\0{plain}".encode())

    def open(self, label: str, sealed: bytes) -> str:
        """Return what `seal` was given. Raises `WrongKey` when no key fits or the label differs."""
        try:
            found, _, plain = self._fernet.decrypt(sealed).decode().partition("\0")
        except InvalidToken as error:
            raise WrongKey(
                "A stored secret can't be opened: the encryption key is not the one it was made with. "
                f"Put back the key file ({KEY_FILE}) or POSTROOM_ENCRYPTION_KEYS."
            ) from error
        if found != label:
            raise WrongKey(f"A stored secret of {found} was found in {label}.")
        return plain


_ring: Ring | None = None


def use(ring: Ring) -> None:
    """Make `ring` the one that encrypted columns use in this process."""
    global _ring
    _ring = ring


def ring() -> Ring:
    """Return the ring in use."""
    if _ring is None:
        raise RuntimeError("no encryption keys were loaded")
    return _ring


def load_keys(settings: Settings) -> Keys:
    """Return the keys from the options, else from the key file, which is made (0600) at the first start."""
    path = settings.data_dir / KEY_FILE
    kept: dict[str, object] = {}
    if settings.secret_key is None or not settings.encryption_keys:
        kept = json.loads(_read_or_make(path))
    try:
        return Keys(
            session=settings.secret_key or str(kept["secret_key"]),
            encryption=settings.encryption_keys or tuple(kept["encryption_keys"]),  # type: ignore[arg-type]
        )
    except (KeyError, TypeError) as error:
        raise WrongKey(f"{path} is not a Postroom key file. Put back the right one from your backup.") from error


def _read_or_make(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = {"secret_key": secrets.token_urlsafe(48), "encryption_keys": [Fernet.generate_key().decode()]}
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(fresh, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return path.read_text(encoding="utf-8")


def hash_password(password: str) -> str:
    """Return an argon2id hash."""
    with _two_at_a_time:
        return _hasher.hash(password)


def password_fits(password: str, hashed: str | None) -> bool:
    """Whether the password fits; takes as long when there is no such account."""
    with _two_at_a_time:
        try:
            return _hasher.verify(hashed or _DUMMY_HASH, password) and hashed is not None
        except (VerifyMismatchError, InvalidHashError):
            return False


def new_signing_secret() -> str:
    """Return a Standard Webhooks secret: `whsec_` and 32 random bytes in base 64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def new_signing_key() -> str:
    """Return a Standard Webhooks ed25519 key: `whsk_` and seed and public half in base 64."""
    key = Ed25519PrivateKey.generate()
    return "whsk_" + base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()


def new_token() -> str:
    """Return an unguessable token for a link or an inbox address."""
    return secrets.token_urlsafe(24)


def new_totp_secret() -> str:
    """Return a secret for an authenticator app: 20 random bytes in base 32 (RFC 4226 asks for no less than 16)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def new_recovery_code() -> str:
    """Return a code to be written down: 80 random bits as four groups of four."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def new_api_key() -> tuple[str, str]:
    """Return (key, id): `prk_`, the 8 characters it is found by, and 32 random bytes."""
    key_id = secrets.token_hex(4)
    return f"prk_{key_id}{secrets.token_urlsafe(32)}", key_id


def digest(secret: str) -> bytes:
    """Return the SHA-256 of a high-entropy secret, as it is stored."""
    return hashlib.sha256(secret.encode()).digest()


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)
