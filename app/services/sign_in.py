"""Signing in: the password, what too many wrong ones lead to, and what ends sessions."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload, selectinload

from app import clock, crypto, logs
from app.core.passwords import LONGEST, email_problem, password_problem
from app.database import read, write
from app.errors import Invalid, NotFound, Problem, Refused
from app.models import Membership, Organization, User
from app.services import audit, browser_sessions, two_factor
from app.services.scope import Actor
from app.services.sign_in_failures import TooManyFailuresError, count_try, forgive, take_back

CODE_ASKED_MS = 10 * 60_000

__all__ = [
    "CodeNeededError",
    "TooManyFailuresError",
    "WrongCodeError",
    "WrongPasswordError",
    "actor_for",
    "change_password",
    "confirm",
    "email_problem",
    "enter_code",
    "find_user",
    "password_problem",
    "reset_password",
    "sign_in",
    "sign_out_everywhere",
]


class WrongPasswordError(Refused):
    """The password doesn't fit, or there is no such account: nobody learns which."""

    def __init__(self) -> None:
        super().__init__("Wrong e-mail or password.")


class CodeNeededError(Refused):
    """The password fits, but the account has a second factor: nobody is signed in until `enter_code`.

    `public_id` and `version` say whose password it was, `until` how long a code is waited for.
    """

    def __init__(self, public_id: str, version: int, until: int) -> None:
        super().__init__("Enter the code from your app.")
        self.public_id = public_id
        self.version = version
        self.until = until


class WrongCodeError(Refused):
    """The code doesn't fit, or was used already."""

    def __init__(self) -> None:
        super().__init__("Wrong code. Enter the one that your app shows now, or a recovery code.")


class HasId(Protocol):
    """Whoever is signed in, as a row or as the session knows them."""

    @property
    def public_id(self) -> str:
        """The user's public id."""
        ...


def sign_in(email: str, password: str, address: str | None) -> User:
    """Return the user with this e-mail and password; the row is detached: its columns can be read.

    `address` is the network address it comes from. Raises `WrongPasswordError`, after too many of them
    `TooManyFailuresError`; `CodeNeededError` when the account has a second factor. The same words after the same
    time for an account that doesn't exist.
    """
    email, now = email.strip().lower(), clock.now()
    count_try(email, address, now)
    with read() as session:
        user = None if email_problem(email) else session.scalar(_active(email))
        row_id, hashed = (user.id, user.password_hash) if user else (None, None)
    if not crypto.password_fits(password[: LONGEST + 1], hashed) or row_id is None:
        logs.log("a sign-in was refused", address=address)
        raise WrongPasswordError
    with write() as session:
        user = session.get_one(User, row_id)
        if user.totp_secret is None:
            return _let_in(session, user, address, now)
        take_back(session, email, address, now)
        needed = CodeNeededError(user.public_id, user.session_version, now + CODE_ASKED_MS)
    raise needed


def enter_code(public_id: str, version: int, code: str, address: str | None) -> User:
    """Return the detached user whose password was right before, now that the code or a recovery code is too.

    `public_id` and `version` are those of `CodeNeededError`. Raises `WrongCodeError`, after too many of them
    `TooManyFailuresError`: they count with wrong passwords. `NotFound` when the password was changed meanwhile.
    """
    now = clock.now()
    with read() as session:
        email = session.scalar(_half_signed_in(public_id, version).with_only_columns(User.email))
    if email is None:
        raise NotFound("That took too long. Sign in again.")
    count_try(email, address, now)
    with write() as session:
        user = session.scalar(_half_signed_in(public_id, version).with_for_update())
        if user is not None and two_factor.uses_up(session, user, code, now, address):
            return _let_in(session, user, address, now)
    logs.log("a sign-in was refused", address=address)
    raise WrongCodeError


def _half_signed_in(public_id: str, version: int) -> Select[User]:
    return select(User).where(User.public_id == public_id, User.session_version == version, User.is_active)


def _let_in(session: Session, user: User, address: str | None, now: int) -> User:
    forgive(session, user.email, address, now)
    user.last_seen_at = now
    audit.record_own(session, user, "user.signed_in", address)
    session.flush()
    session.refresh(user)
    session.expunge(user)
    return user


def _active(email: str) -> Select[User]:
    return select(User).where(User.email == email, User.is_active)


def confirm(user: HasId, password: str, address: str | None) -> None:
    """Ask the signed-in user for the password again, before secrets are shown or rights change.

    Raises as `sign_in` does, and counts with it.
    """
    now = clock.now()
    with read() as session:
        row = _one(session, user)
        email, hashed = row.email, row.password_hash
    count_try(email, address, now)
    if not crypto.password_fits(password[: LONGEST + 1], hashed):
        raise WrongPasswordError
    with write() as session:
        forgive(session, email, address, now)


# --- sessions


def find_user(public_id: str, session_version: int) -> User | None:
    """Return the detached user of a session; None when the session was ended or the user is disabled."""
    with read() as session:
        user = session.scalar(select(User).where(User.public_id == public_id, User.is_active))
        if user is None or user.session_version != session_version:
            return None
        session.expunge(user)
        return user


def actor_for(user: HasId, organization: str | None, address: str | None = None) -> Actor:
    """Return the user as an actor in the organization with this public id; None: the first by name.

    Raises `NotFound` for an organization that isn't the user's, `Refused` for a user without any.
    """
    query = (
        select(Membership)
        .join(Membership.user)
        .join(Membership.organization)
        .where(User.public_id == user.public_id, User.is_active)
        .options(joinedload(Membership.user), joinedload(Membership.role), selectinload(Membership.units))
        .order_by(Organization.name, Organization.id)
    )
    if organization is not None:
        query = query.where(Organization.public_id == organization)
    with read() as session:
        membership = session.scalars(query.limit(1)).first()
        if membership is not None:
            return _as_actor(membership, address)
    if organization is not None:
        raise NotFound
    raise Refused("You belong to no organization. Ask whoever runs this server to add you to one.")


def _as_actor(membership: Membership, address: str | None) -> Actor:
    return Actor(
        organization_id=membership.organization_id,
        name=membership.user.name,
        permissions=membership.permissions,
        view=membership.view,
        public_id=membership.user.public_id,
        membership_id=membership.id,
        address=address,
        is_operator=membership.user.is_operator,
    )


def sign_out_everywhere(user: HasId) -> int:
    """End every session of the user; return the version that a new session is to carry."""
    with write() as session:
        row = _one(session, user)
        row.session_version += 1
        browser_sessions.end_all(session, row)
        return row.session_version


# --- passwords


def change_password(user: HasId, current: str, new: str, address: str | None = None) -> int:
    """Change the user's own password, which ends every session; return the version that this one is to carry on with.

    Raises `Invalid` for `current` or `new`, `TooManyFailuresError` after too many wrong ones.
    """
    try:
        confirm(user, current, address)
    except WrongPasswordError as error:
        raise Invalid([Problem("current", "This isn't your password.")]) from error
    with read() as session:
        email = _one(session, user).email
    return _set_password(email, new, "new", address)


def reset_password(email: str, new: str, *, without_codes: bool = False) -> int:
    """Set the password of the account with this e-mail, which ends every session of it; return the session version.

    A second factor stays, unless `without_codes`. Raises `NotFound`, `Invalid`.
    """
    return _set_password(email.strip().lower(), new, "password", None, without_codes=without_codes)


def _set_password(email: str, new: str, field: str, address: str | None, *, without_codes: bool = False) -> int:
    if words := password_problem(new, email):
        raise Invalid([Problem(field, words)])
    hashed = crypto.hash_password(new)
    with write() as session:
        user = session.scalar(select(User).where(User.email == email).with_for_update())
        if user is None:
            raise NotFound(f"Nobody here has the e-mail {email}.")
        user.password_hash = hashed
        user.session_version += 1
        browser_sessions.end_all(session, user)
        if without_codes and user.totp_secret is not None:
            two_factor.clear(user)
            audit.record_own(session, user, "user.two_factor_turned_off", address)
        audit.record_own(session, user, "user.password_changed", address)
        return user.session_version


def _one(session: Session, user: HasId) -> User:
    row = session.scalar(select(User).where(User.public_id == user.public_id))
    if row is None:
        raise NotFound
    return row
