"""Organizations: how the first one is made, the set-up link, and the canary that proves the encryption key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from app import clock, crypto, ids
from app.core import access
from app.core.access import Scope
from app.core.passwords import email_problem, password_problem
from app.core.texts import is_name
from app.database import read, write
from app.errors import Conflict, Invalid, NotFound, Problem
from app.models import Installation, Membership, Organization, Role, User
from app.services import api_keys, audit
from app.services.scope import Actor, system_actor

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.config import Settings

LINK_LIVES_MS = 3_600_000
LONGEST_NAME = 100
FIRST_KEY = "First key"

_SET_UP = "set_up"  # its row is the lock: only one process can make the first admin
_LINK = "setup_link"
_CANARY = "canary"
_SONG = "the right key opens this"


class LinkState(StrEnum):
    """What a set-up link is still good for."""

    VALID = "valid"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SetupState:
    """A set-up link's state and since when it is used or expired; None: another link was."""

    state: LinkState
    since: int | None = None


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """An organization and a new admin of it. `user` is detached: its columns can be read, its relations can't."""

    organization: str
    user: User
    api_key: str | None = None  # shown this once


def create(session: Session, name: str, now: int) -> Organization:
    """Create an organization with its roles, in the caller's transaction."""
    organization = Organization(public_id=ids.new_id("org"), name=name, routing_version=0, created_at=now)
    session.add(organization)
    session.flush()
    for role in access.ROLES:
        session.add(
            Role(
                organization_id=organization.id,
                name=role.name,
                permissions=sorted(role.permissions),
                sees_everything=role.sees_everything,
            )
        )
    session.flush()
    return organization


def name_problems(field: str, name: str) -> list[Problem]:
    """Say what is wrong with an organization's name."""
    if is_name(name, LONGEST_NAME):
        return []
    return [Problem(field, f"Give the organization a name of 1 to {LONGEST_NAME} characters.")]


# --- the first admin


def first_admin(organization: str, email: str, password: str, *, with_key: bool = False) -> NewAdmin:
    """Create the first organization and its admin, who is the operator too; `with_key` adds an API key that may all.

    Raises `Invalid`, and `Conflict` once there is an admin.
    """
    organization, email = organization.strip(), email.strip().lower()
    problems = _problems(organization, email, password)
    if problems:
        raise Invalid(problems)
    now, hashed = clock.now(), crypto.hash_password(password)
    try:
        with write() as session:
            if session.get(Installation, _SET_UP) is not None or _has_admin(session):
                raise Conflict(_ALREADY)
            session.add(Installation(name=_SET_UP, value=b"", changed_at=now))
            session.flush()
            return _first_rows(session, organization, email, hashed, with_key=with_key, now=now)
    except IntegrityError as error:  # another process was faster
        raise Conflict(_ALREADY) from error


_ALREADY = "Postroom is set up already. Sign in, or run `postroom create-admin` for another admin."


def _problems(organization: str | None, email: str, password: str) -> list[Problem]:
    problems = [] if organization is None else name_problems("organization", organization)
    if words := email_problem(email):
        problems.append(Problem("email", words))
    if words := password_problem(password, email):
        problems.append(Problem("password", words))
    return problems


def _first_rows(session: Session, name: str, email: str, hashed: str, *, with_key: bool, now: int) -> NewAdmin:
    organization = create(session, name, now)
    membership = _admin_rows(session, organization, email, hashed, now)
    user = membership.user
    actor = replace(system_actor(organization.id), name=user.name, public_id=user.public_id)
    audit.record(session, actor, "organization.created", organization)
    key = api_keys.add(session, actor, FIRST_KEY, list(Scope), None, now).key if with_key else None
    session.flush()
    session.refresh(user)
    session.expunge(user)
    return NewAdmin(organization.public_id, user, key)


def _admin_rows(session: Session, organization: Organization, email: str, hashed: str, now: int) -> Membership:
    user = new_user(email, email.partition("@")[0], hashed, now)
    user.is_operator = True
    return as_admin(session, organization, user, now)


def new_user(email: str, name: str, hashed: str | None, now: int) -> User:
    """Return a user to be added; without a hash they can't sign in yet."""
    return User(
        public_id=ids.new_id("usr"),
        email=email,
        name=name,
        password_hash=hashed,
        session_version=1,
        is_operator=False,
        is_active=True,
        theme="system",
        created_at=now,
    )


def as_admin(session: Session, organization: Organization, user: User, now: int) -> Membership:
    """Make a user an admin of an organization, in the caller's transaction."""
    role = session.scalar(select(Role).where(Role.organization_id == organization.id, Role.name == access.ADMIN))
    if role is None:
        raise Conflict(f"{organization.name} has no role {access.ADMIN}.")
    membership = Membership(
        public_id=ids.new_id("mem"), organization_id=organization.id, user=user, role=role, created_at=now
    )
    session.add(membership)
    session.flush()
    return membership


def _has_admin(session: Session) -> bool:
    return session.scalar(select(User.id).where(User.is_operator).limit(1)) is not None


# --- on the command line


def system_of(organization: str | None) -> Actor:
    """Return the server itself acting in the organization with this id or name; None: in the only one there is.

    Raises `NotFound`, and `Conflict` when it has to be said which.
    """
    with read() as session:
        return system_actor(_named(session, organization).id)


def add_admin(organization: str | None, email: str, password: str) -> NewAdmin:
    """Create another admin and operator of an organization, named as in `system_of`.

    Raises `Invalid`, and `Conflict` when the e-mail belongs to somebody already.
    """
    email = email.strip().lower()
    problems = _problems(None, email, password)
    if problems:
        raise Invalid(problems)
    now, hashed = clock.now(), crypto.hash_password(password)
    try:
        with write() as session:
            chosen = _named(session, organization)
            membership = _admin_rows(session, chosen, email, hashed, now)
            user = membership.user
            audit.record(session, system_actor(chosen.id), "member.added", user, {"role": (None, membership.role.name)})
            public_id = chosen.public_id
            session.flush()
            session.refresh(user)
            session.expunge(user)
    except IntegrityError as error:
        raise Conflict(f"{email} has an account already. `postroom reset-password` gives it a new password.") from error
    return NewAdmin(public_id, user)


def _named(session: Session, asked: str | None) -> Organization:
    query = select(Organization).order_by(Organization.id)
    if asked is not None:
        query = query.where(or_(Organization.public_id == asked, Organization.name == asked))
    found = session.scalars(query.limit(2)).all()
    if len(found) > 1:
        raise Conflict("There are several organizations. Name one by its id (org_…).")
    if not found:
        words = "There is no organization yet. Run `postroom init`." if asked is None else f"There is no {asked}."
        raise NotFound(words)
    return found[0]


# --- the set-up link


def make_setup_link(settings: Settings) -> str | None:
    """Return a new link for the first person, good for an hour and once; None when there is an admin already.

    Links made before stop working.
    """
    now, token = clock.now(), crypto.new_token()
    with write() as session:
        if _has_admin(session):
            return None
        session.merge(Installation(name=_LINK, value=crypto.digest(token), changed_at=now))
    return f"{settings.address}/setup?token={token}"


def setup_state(token: str) -> SetupState:
    """Return what the link with this token is good for."""
    with read() as session:
        link, done = session.get(Installation, _LINK), session.get(Installation, _SET_UP)
        is_ours = link is not None and crypto.same(bytes(link.value), crypto.digest(token))
        if done is not None or _has_admin(session):
            return SetupState(LinkState.USED, done.changed_at if is_ours and done else None)
        if link is None or not is_ours:
            return SetupState(LinkState.EXPIRED)
        ends_at = link.changed_at + LINK_LIVES_MS
        return SetupState(LinkState.VALID) if clock.now() < ends_at else SetupState(LinkState.EXPIRED, ends_at)


def set_up(token: str, organization: str, email: str, password: str) -> NewAdmin:
    """Use the set-up link: create the first organization and its admin.

    Raises `Conflict` for a link that was used or is too old, `Invalid` for what was typed.
    """
    match setup_state(token).state:
        case LinkState.USED:
            raise Conflict("This link was used. Sign in, or run `postroom create-admin`.")
        case LinkState.EXPIRED:
            raise Conflict("This link is too old. Start Postroom again: it prints a new one.")
    return first_admin(organization, email, password)


# --- the canary


def check_canary() -> None:
    """Make sure that this process has the key that the database's secrets were sealed with.

    Raises `crypto.WrongKey` in words that say what to do. A new database gets its canary here.
    """
    with read() as session:
        canary = session.get(Installation, _CANARY)
        sealed = bytes(canary.value) if canary else None
    if sealed is not None:
        crypto.ring().open(_CANARY, sealed)
        return
    try:
        with write() as session:
            fresh = crypto.ring().seal(_CANARY, _SONG)
            session.add(Installation(name=_CANARY, value=fresh, changed_at=clock.now()))
    except IntegrityError:  # another process put its own there meanwhile
        check_canary()
