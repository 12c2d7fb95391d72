"""Invitations: the link with which a new member chooses a password, good for a week and until it was used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app import clock, crypto, ids
from app.core.access import Permission
from app.core.notices import Clock, subject
from app.database import read
from app.delivery.installed import installed
from app.errors import Conflict
from app.mail import Mail
from app.models import Membership, Organization, User
from app.services import mails, sign_in
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LIVES_MS = 7 * 86_400_000

_OVER = "This link was used or is too old. Sign in, or ask for a new one."


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who is invited where."""

    organization: str
    name: str
    email: str


def link_for(actor: Actor, member: str) -> str:
    """Return a new link for the member with this public id.

    Raises `Conflict` for one who has a password: a link would be a way into somebody's account.
    """
    actor.require(Permission.MEMBERS)
    with read() as session:
        found = for_org(session, actor, Membership).one(member)
        if found.user.password_hash is not None:
            raise Conflict(f"{found.user.name} has a password already.")
        until = clock.now() + LIVES_MS
        token = _serializer().dumps([found.public_id, found.user.session_version, until])
    return f"{installed().settings.address}/invite/{token}"


def mail_link(actor: Actor, member: str) -> str:
    """Send a new link to the member with this public id by mail, and return the address it went to.

    Raises as `link_for`, `Unavailable` in the mail server's words, `Conflict` when mail isn't set up, and
    `Throttled` for one who was sent a link a moment ago.
    """
    link, now = link_for(actor, member), clock.now()
    with read() as session:
        found = for_org(session, actor, Membership).one(member)
        email, organization = found.user.email, session.get_one(Organization, actor.organization_id).name
    text = (
        f"{actor.name} invites you to {organization} at {installed().settings.address}.\n\n"
        f"Choose your password here:\n{link}\n\n"
        f"The link works once, until {Clock(now).day_and_time(now + LIVES_MS)}.\n"
    )
    mails.send_now(Mail(ids.new_id("mail"), [email], subject(f"Join {organization} at Postroom"), text), email)
    return email


def find(token: str) -> Invitation:
    """Return whom the link is for. Raises `Conflict` when it is over."""
    with read() as session:
        member = _member(session, token)
        return Invitation(member.organization.name, member.user.name, member.user.email)


def accept(token: str, password: str) -> User:
    """Set the password, and return the detached user. Raises `Conflict` when the link is over, `Invalid`."""
    with read() as session:
        user = _member(session, token).user
        public_id, email = user.public_id, user.email
    version = sign_in.reset_password(email, password)
    found = sign_in.find_user(public_id, version)
    if found is None:
        raise Conflict(_OVER)
    return found


def _member(session: Session, token: str) -> Membership:
    """The version in the link makes it good for one password: setting one moves the version on."""
    try:
        public_id, version, until = _serializer().loads(token)
    except (BadData, ValueError, TypeError) as error:
        raise Conflict(_OVER) from error
    query = select(Membership).where(Membership.public_id == public_id)
    member = session.scalar(query.options(joinedload(Membership.user), joinedload(Membership.organization)))
    if member is None or until <= clock.now():
        raise Conflict(_OVER)
    user = member.user
    if not user.is_active or user.session_version != version or user.password_hash is not None:
        raise Conflict(_OVER)
    return member


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(crypto.load_keys(installed().settings).session, salt="invitation")
