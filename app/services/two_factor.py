"""The second factor: codes of an authenticator app, and recovery codes for when it is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from app import clock, crypto
from app.core import totp
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import User
from app.services import audit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

HOW_MANY = 10
_OFFER = "two_factor.offer"
_WRONG = "This isn't the code that your app shows now. Check the app's clock and enter the next one."
_USED = "Wrong code. Enter the one that your app shows now, or a recovery code."


@dataclass(frozen=True, slots=True)
class State:
    """Whether signing in asks for a code, and how many recovery codes are left."""

    is_on: bool
    codes_left: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A new secret on its way to an app. `sealed` comes back with the first code: nothing is stored before."""

    sealed: str
    key: str
    address: str


def state(user_id: str) -> State:
    """Return how the user with this public id signs in."""
    with read() as session:
        user = _one(session, user_id)
        return State(user.totp_secret is not None, len(user.recovery_codes))


def asks_for_codes(email: str) -> bool:
    """Whether signing in with this e-mail takes a code."""
    with read() as session:
        found = session.scalar(select(User.totp_secret).where(User.email == email.strip().lower()))
        return found is not None


def offer(user_id: str, issuer: str, sealed: str | None = None) -> Offer:
    """Return a new secret for the user's app, or again the one that was `sealed` for them."""
    with read() as session:
        email = _one(session, user_id).email
    secret = _opened(user_id, sealed) if sealed else None
    if secret is None:
        secret = crypto.new_totp_secret()
        sealed = crypto.ring().seal(_OFFER, f"{user_id} {secret}").decode()
    assert sealed is not None
    return Offer(sealed, totp.grouped(secret), totp.address_of(secret, email, issuer))


def _opened(user_id: str, sealed: str) -> str | None:
    """The secret that was offered to this user; None for what was made up, or offered to somebody else."""
    try:
        whose, _, secret = crypto.ring().open(_OFFER, sealed.encode()).partition(" ")
    except (crypto.WrongKey, UnicodeEncodeError):
        return None
    return secret if whose == user_id else None


def turn_on(user_id: str, sealed: str, code: str, address: str | None = None) -> list[str]:
    """Ask for codes from the next sign-in on, and return ten recovery codes: they are shown once.

    `sealed` is that of the offer, `code` what the app shows. The caller has confirmed the password.
    Raises `Invalid`, `Conflict` when it is on already.
    """
    secret = _opened(user_id, sealed)
    if secret is None:
        raise Invalid([Problem("code", "This key is too old. Add the new one to your app.")])
    with write() as session:
        user = _one(session, user_id, lock=True)
        if user.totp_secret is not None:
            raise Conflict("Codes are asked for already. Turn them off first.")
        step = totp.matching_step(secret, code, clock.now(), None)
        if step is None:
            raise Invalid([Problem("code", _WRONG)])
        user.totp_secret, user.totp_used = secret, step
        audit.record_own(session, user, "user.two_factor_turned_on", address)
        return _new_codes(user)


def renew_codes(user_id: str, address: str | None = None) -> list[str]:
    """Return ten new recovery codes; the old ones stop working. The caller has confirmed the password."""
    with write() as session:
        user = _one(session, user_id, lock=True)
        if user.totp_secret is None:
            raise Conflict("Codes are not asked for, so there is nothing to recover from.")
        audit.record_own(session, user, "user.recovery_codes_made", address)
        return _new_codes(user)


def turn_off(user_id: str, code: str, address: str | None = None) -> None:
    """Ask for no codes any more. The caller has confirmed the password. Raises `Invalid` for a wrong code."""
    with write() as session:
        user = _one(session, user_id, lock=True)
        if user.totp_secret is None:
            return
        if not uses_up(session, user, code, clock.now(), address):
            raise Invalid([Problem("code", _USED)])
        clear(user)
        audit.record_own(session, user, "user.two_factor_turned_off", address)


def clear(user: User) -> None:
    """Forget the user's secret and recovery codes, in the caller's transaction."""
    user.totp_secret, user.totp_used, user.recovery_codes = None, None, []


def uses_up(session: Session, user: User, code: str, now: int, address: str | None) -> bool:
    """Whether this is a code that still works; it does not any more after this. The caller holds the user's row."""
    if user.totp_secret is None:
        return False
    step = totp.matching_step(user.totp_secret, code, now, user.totp_used)
    if step is not None:
        user.totp_used = step
        return True
    digest = _digest(user.public_id, code)
    if digest not in user.recovery_codes:
        return False
    user.recovery_codes = [each for each in user.recovery_codes if each != digest]
    audit.record_own(session, user, "user.recovery_code_used", address)
    return True


def _new_codes(user: User) -> list[str]:
    codes = [crypto.new_recovery_code() for _ in range(HOW_MANY)]
    user.recovery_codes = [_digest(user.public_id, code) for code in codes]
    return codes


def _digest(user_id: str, code: str) -> str:
    letters = "".join(code.lower().replace("-", " ").split())
    return crypto.digest(f"recovery\0{user_id}\0{letters}").hex()


def _one(session: Session, user_id: str, *, lock: bool = False) -> User:
    query = select(User).where(User.public_id == user_id)
    user = session.scalar(query.with_for_update() if lock else query)
    if user is None:
        raise NotFound
    return user
