"""Signing in: the password, what too many wrong ones lead to, and what ends sessions."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

from sqlalchemy import Select, and_, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, joinedload, selectinload

from app import clock, crypto, logs
from app.core.passwords import LONGEST, email_problem, password_problem
from app.database import is_sqlite, read, write
from app.errors import Invalid, NotFound, Problem, Refused, Unavailable
from app.models import Membership, Organization, SignInFailure, User
from app.services import audit
from app.services.scope import Actor

WINDOW_MS = 15 * 60_000
FIRST_DELAY_MS = 5 * 60_000
LONGEST_DELAY_MS = 60 * 60_000
FAILURES_OF_ACCOUNT = 5
FAILURES_OF_ADDRESS = 20

__all__ = [
    "TooManyFailuresError",
    "WrongPasswordError",
    "actor_for",
    "change_password",
    "confirm",
    "email_problem",
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


class TooManyFailuresError(Unavailable):
    """Too many wrong passwords came for this account from this address, or from this address in all."""

    def __init__(self, wait_ms: int) -> None:
        seconds = -(-wait_ms // 1000)
        super().__init__(f"Too many wrong passwords. Try again in {-(-seconds // 60)} min.", retry_after=seconds)


class HasId(Protocol):
    """Whoever is signed in, as a row or as the session knows them."""

    @property
    def public_id(self) -> str:
        """The user's public id."""
        ...


def sign_in(email: str, password: str, address: str | None) -> User:
    """Return the user with this e-mail and password; the row is detached: its columns can be read.

    `address` is the network address it comes from. Raises `WrongPasswordError`, after too many of them
    `TooManyFailuresError`. The same words after the same time for an account that doesn't exist.
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
        _forgive(session, email, address, now)
        user = session.get_one(User, row_id)
        user.last_seen_at = now
        _record(session, user, "user.signed_in", address)
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
        _forgive(session, email, address, now)


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
    )


def sign_out_everywhere(user: HasId) -> int:
    """End every session of the user; return the version that a new session is to carry."""
    with write() as session:
        row = _one(session, user)
        row.session_version += 1
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


def reset_password(email: str, new: str) -> int:
    """Set the password of the account with this e-mail, which ends every session of it; return the session version.

    Raises `NotFound`, `Invalid`.
    """
    return _set_password(email.strip().lower(), new, "password", None)


def _set_password(email: str, new: str, field: str, address: str | None) -> int:
    if words := password_problem(new, email):
        raise Invalid([Problem(field, words)])
    hashed = crypto.hash_password(new)
    with write() as session:
        user = session.scalar(select(User).where(User.email == email).with_for_update())
        if user is None:
            raise NotFound(f"Nobody here has the e-mail {email}.")
        user.password_hash = hashed
        user.session_version += 1
        _record(session, user, "user.password_changed", address)
        return user.session_version


def _one(session: Session, user: HasId) -> User:
    row = session.scalar(select(User).where(User.public_id == user.public_id))
    if row is None:
        raise NotFound
    return row


def _record(session: Session, user: User, action: str, address: str | None) -> None:
    """Put it on record in each of the user's organizations."""
    for membership in session.scalars(select(Membership).where(Membership.user_id == user.id)):
        actor = Actor(membership.organization_id, user.name, frozenset(), public_id=user.public_id, address=address)
        audit.record(session, actor, action, user)


# --- too many failures


@dataclass(frozen=True, slots=True)
class _Subject:
    """What failures are counted of, and how many are too many."""

    digest: bytes
    limit: int


def count_try(email: str, address: str | None, now: int) -> None:
    """Count a try as failed before the password is looked at, so that many at once are not let through.

    Raises `TooManyFailuresError` while the account (from this address) or the address has to wait; that isn't counted.
    """
    with write() as session:
        for subject in _subjects(email, address):
            count, blocked_until = session.execute(_counting(subject.digest, now)).one()
            if blocked_until > now:
                raise TooManyFailuresError(blocked_until - now)
            if count >= subject.limit:
                delay = min(FIRST_DELAY_MS << min(count - subject.limit, 10), LONGEST_DELAY_MS)
                _set(session, subject.digest, blocked_until=now + delay)


def _counting(digest: bytes, now: int) -> Any:
    """Count one more; begin anew when the last one and its delay are longer ago than the window."""
    table = SignInFailure
    dialect = sqlite if is_sqlite() else postgresql
    is_over = and_(table.first_at <= now - WINDOW_MS, table.blocked_until <= now - WINDOW_MS)
    row = dialect.insert(table).values(subject=digest, count=1, first_at=now, blocked_until=0)
    row = row.on_conflict_do_update(
        index_elements=[table.subject],
        set_={
            "count": case((is_over, 1), else_=table.count + 1),
            "first_at": case((is_over, now), else_=table.first_at),
        },
    )
    return row.returning(table.count, table.blocked_until)


def _forgive(session: Session, email: str, address: str | None, now: int) -> None:
    """The password was right: forget the account's failures, take back the address's try, sweep what is over."""
    account, network = _subjects(email, address)
    is_over = and_(SignInFailure.first_at < now - WINDOW_MS, SignInFailure.blocked_until < now - WINDOW_MS)
    session.execute(delete(SignInFailure).where(SignInFailure.subject == account.digest))
    session.execute(delete(SignInFailure).where(is_over))
    kept = session.get(SignInFailure, network.digest, with_for_update=True, populate_existing=True)
    if kept is not None:
        kept.count -= 1
        kept.blocked_until = 0 if kept.count < network.limit else kept.blocked_until


def _set(session: Session, digest: bytes, **values: int) -> None:
    session.execute(update(SignInFailure).where(SignInFailure.subject == digest).values(**values))


def _subjects(email: str, address: str | None) -> tuple[_Subject, _Subject]:
    network = _network(address or "")
    return (
        _Subject(crypto.digest(f"account\0{email}\0{network}"), FAILURES_OF_ACCOUNT),
        _Subject(crypto.digest(f"address\0{network}"), FAILURES_OF_ADDRESS),
    )


def _network(address: str) -> str:
    """The address; of IPv6 the first half, because whoever has one has all of the other."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or int(found) >> 64)
    return str(found)
