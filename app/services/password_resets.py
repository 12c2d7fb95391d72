"""A lost password: a link by mail, good for an hour and once. Nobody learns from it who has an account.

Asking only leaves a note; the clockwork sends the mail, so that the answer takes the same time for everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from app import clock, crypto, ids, logs
from app.core.notices import Clock
from app.core.passwords import email_problem, password_problem
from app.database import read, write
from app.delivery.installed import installed
from app.errors import Conflict, Invalid, Problem
from app.mail import Mail, MailError
from app.models import Installation, User
from app.services import mails, sign_in
from app.services.sign_in_failures import count_reset

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LIVES_MS = 3_600_000
BETWEEN_MS = 2 * 60_000
_NOTE = "reset_"  # + the user's id: asked for (empty), or the digest of what the link holds
_OVER = "This link was used or is too old. Ask for a new one."


def ask(email: str, address: str | None) -> None:
    """Have a link sent to this e-mail if it has an account; else nothing happens, as slowly.

    `address` is the network address it is asked from. Raises `Conflict` when mail isn't set up, `Throttled`.
    """
    if not mails.is_set_up():
        raise Conflict("E-mail isn't set up here, so no link can be sent.")
    email, now = email.strip().lower(), clock.now()
    count_reset(email, address, now)
    with write() as session:
        user = None if email_problem(email) else session.scalar(select(User).where(User.email == email, User.is_active))
        if user is None:
            return
        note = session.get(Installation, _NOTE + user.public_id)
        if note is None or note.changed_at < now - BETWEEN_MS:
            session.merge(Installation(name=_NOTE + user.public_id, value=b"", changed_at=now))


def send_asked(now: int) -> int:
    """Send the links that were asked for; return how many. One that isn't taken is dropped: it can be asked again."""
    with read() as session:
        query = select(Installation.name).where(Installation.name.startswith(_NOTE), Installation.value == b"")
        names = list(session.scalars(query))
    sent = 0
    for name in names:
        token = crypto.new_token()
        with write() as session:
            email = _issue(session, name, token, now)
        if email is None:
            continue
        try:
            mails.send(_mail(email, f"{name.removeprefix(_NOTE)}.{token}", now))
            sent += 1
        except (MailError, Conflict) as error:
            logs.trouble("a link for a new password could not be sent", why=str(error))
    return sent


def _issue(session: Session, name: str, token: str, now: int) -> str | None:
    """Make the token the one that counts, unless another process did; return where to send it."""
    user = session.scalar(select(User).where(User.public_id == name.removeprefix(_NOTE), User.is_active))
    if user is None:
        session.execute(delete(Installation).where(Installation.name == name))
        return None
    mine = update(Installation).where(Installation.name == name, Installation.value == b"")
    move = mine.values(value=_digest(token, user), changed_at=now).returning(Installation.name)
    return user.email if session.scalar(move) is not None else None


def _digest(token: str, user: User) -> bytes:
    """The session version is in it: a password set elsewhere, or a sign-out everywhere, ends the link."""
    return crypto.digest(f"{token}\0{user.session_version}")


def _mail(email: str, token: str, now: int) -> Mail:
    address = installed().settings.address
    text = (
        f"Somebody asked for a new password for {email} at {address}.\n\n"
        f"Choose it here:\n{address}/reset/{token}\n\n"
        f"The link works once, until {Clock(now).day_and_time(now + LIVES_MS)}, and signs you out everywhere.\n"
        "If it wasn't you, do nothing: your password stays as it is.\n"
    )
    return Mail(ids.new_id("mail"), [email], "A new password for Postroom", text)


def find(token: str) -> str:
    """Return whose password the link sets: an e-mail. Raises `Conflict` when it is over."""
    with read() as session:
        return _user(session, token).email


def use(token: str, password: str) -> None:
    """Set the password, which ends every session; a second factor stays. Raises `Conflict`, `Invalid`."""
    with read() as session:
        email = _user(session, token).email
    if words := password_problem(password, email):
        raise Invalid([Problem("password", words)])
    with write() as session:
        user = _user(session, token)
        used = delete(Installation).where(
            Installation.name == _NOTE + user.public_id, Installation.value == _digest(_secret(token), user)
        )
        if session.scalar(used.returning(Installation.name)) is None:
            raise Conflict(_OVER)
    sign_in.reset_password(email, password)


def _secret(token: str) -> str:
    return token.partition(".")[2]


def _user(session: Session, token: str) -> User:
    public_id = token.partition(".")[0]
    note = session.get(Installation, _NOTE + public_id)
    user = session.scalar(select(User).where(User.public_id == public_id, User.is_active))
    if note is None or user is None or note.changed_at + LIVES_MS <= clock.now():
        raise Conflict(_OVER)
    if not note.value or not crypto.same(bytes(note.value), _digest(_secret(token), user)):
        raise Conflict(_OVER)
    return user
