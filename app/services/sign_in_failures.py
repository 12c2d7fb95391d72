"""Failed sign-ins: how many there were of one account from one address, and how long it has to wait."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from app import crypto
from app.database import is_sqlite, write
from app.errors import Throttled, Unavailable
from app.models import SignInFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

WINDOW_MS = 15 * 60_000
FIRST_DELAY_MS = 5 * 60_000
LONGEST_DELAY_MS = 60 * 60_000
FAILURES_OF_ACCOUNT = 5
FAILURES_OF_ADDRESS = 20
RESETS_OF_ACCOUNT = 3
RESETS_OF_ADDRESS = 10


class TooManyFailuresError(Unavailable):
    """Too many wrong passwords or codes came for this account from this address, or from this address in all."""

    def __init__(self, wait_ms: int) -> None:
        seconds = -(-wait_ms // 1000)
        super().__init__(f"Too many wrong passwords. Try again in {-(-seconds // 60)} min.", retry_after=seconds)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What failures are counted of, and how many are too many."""

    digest: bytes
    limit: int


def count_try(email: str, address: str | None, now: int) -> None:
    """Count a try as failed before the password is looked at, so that many at once are not let through.

    Raises `TooManyFailuresError` while the account (from this address) or the address has to wait; that isn't counted.
    """
    _count(_subjects(email, address), now)


def count_reset(email: str, address: str | None, now: int) -> None:
    """Count that a link for a new password was asked for, whoever there is. Raises `Throttled` after too many."""
    network = _network(address or "")
    subjects = (
        _Subject(crypto.digest(f"reset\0{email}\0{network}"), RESETS_OF_ACCOUNT),
        _Subject(crypto.digest(f"resets\0{network}"), RESETS_OF_ADDRESS),
    )
    try:
        _count(subjects, now)
    except TooManyFailuresError as error:
        minutes = -(-error.retry_after // 60)
        raise Throttled(f"Too many links were asked for. Try again in {minutes} min.", error.retry_after) from error


def _count(subjects: Sequence[_Subject], now: int) -> None:
    with write() as session:
        for subject in subjects:
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


def take_back(session: Session, email: str, address: str | None, now: int) -> None:
    """The password was right but a code is still asked for: this try was no failure, those before it stay.

    Whoever has the password can't make themselves more tries at the code by giving it again.
    """
    for subject in _subjects(email, address):
        kept = session.get(SignInFailure, subject.digest, with_for_update=True, populate_existing=True)
        if kept is not None:
            kept.count -= 1
            kept.blocked_until = min(kept.blocked_until, now)  # it was let through, so only itself can have closed it


def forgive(session: Session, email: str, address: str | None, now: int) -> None:
    """Whoever it is, it is them: forget the account's failures, take back the address's try, sweep what is over."""
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
