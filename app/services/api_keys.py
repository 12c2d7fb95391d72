"""API keys: made, listed, revoked, and found again for each request of the API."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from app import clock, crypto
from app.core.access import Permission, Scope
from app.core.texts import is_name
from app.database import read, write
from app.errors import Invalid, Problem, Refused, Unavailable
from app.models import ApiKey
from app.services import audit
from app.services.scope import Actor, for_org, permissions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

FRESH_MS = 1_000  # a key revoked by another process works no longer than this
USE_IS_NOTED_EVERY_MS = 60_000
LONGEST_NAME = 100

_FORM = re.compile(r"prk_([0-9a-f]{8})[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as it is listed: never the key itself."""

    id: str
    name: str
    scopes: tuple[str, ...]
    last_four: str
    made_by: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    row_id: int = 0


@dataclass(frozen=True, slots=True)
class Created:
    """A new key; its text is shown this once."""

    view: KeyView
    key: str


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whoever sent a valid key."""

    row_id: int
    public_id: str
    name: str
    organization_id: int
    scopes: frozenset[Scope]
    permissions: frozenset[Permission]
    digest: bytes
    expires_at: int | None
    last_used_at: int | None

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope; `admin` has all of its organization."""
        return scope in self.scopes or (Scope.ADMIN in self.scopes and scope is not Scope.OPERATOR)

    def actor(self, address: str | None) -> Actor:
        """Return the key as an actor, asking from the network address `address`."""
        return Actor(
            organization_id=self.organization_id,
            name=f"API key {self.name}",
            permissions=self.permissions,
            public_id=self.public_id,
            api_key_id=self.row_id,
            address=address,
            is_operator=Scope.OPERATOR in self.scopes,
        )


# --- managing them


def create(actor: Actor, name: str, scopes: Sequence[str], expires_at: int | None = None) -> Created:
    """Make a key. It may never do more than its maker. Raises `Invalid`, `Refused`."""
    actor.require(Permission.KEYS)
    if not actor.view.sees_everything:
        raise Refused("A key sees every event of the organization, so only who sees every event may make one.")
    with write() as session:
        return add(session, actor, name, scopes, expires_at, clock.now())


def add(session: Session, actor: Actor, name: str, scopes: Sequence[str], expires_at: int | None, now: int) -> Created:
    """Make a key in the caller's transaction. Raises `Invalid`."""
    name = name.strip()
    problems = _problems(actor, name, scopes, expires_at, now)
    if problems:
        raise Invalid(problems)
    text, key_id = crypto.new_api_key()
    row = ApiKey(
        public_id=key_id,
        organization_id=actor.organization_id,
        name=name,
        digest=crypto.digest(text),
        scopes=[scope.value for scope in Scope if scope in scopes],
        last_four=text[-4:],
        made_by=actor.name,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    audit.record(
        session, actor, "api_key.created", row, {"scopes": (None, row.scopes), "expires_at": (None, expires_at)}
    )
    return Created(_view(row), text)


def _problems(actor: Actor, name: str, scopes: Sequence[str], expires_at: int | None, now: int) -> list[Problem]:
    problems = []
    if not is_name(name, LONGEST_NAME):
        problems.append(Problem("name", f"Give the key a name of 1 to {LONGEST_NAME} characters."))
    known = {scope.value for scope in Scope}
    unknown = [scope for scope in scopes if scope not in known]
    if not scopes or unknown:
        words = f"{unknown[0]} is not a scope." if unknown else "Choose what the key may do."
        problems.append(Problem("scopes", f"{words} There are: {', '.join(Scope)}."))
    elif not permissions_of(list(scopes)) <= actor.permissions or (Scope.OPERATOR in scopes and not actor.is_operator):
        problems.append(Problem("scopes", "A key may not do more than you may."))
    if expires_at is not None and expires_at <= now:
        problems.append(Problem("expires_at", "Choose a moment that lies ahead."))
    return problems


def list_all(actor: Actor) -> list[KeyView]:
    """Return the organization's keys, newest first, the revoked ones last."""
    actor.require(Permission.KEYS)
    with read() as session:
        query = for_org(session, actor, ApiKey).query().order_by(ApiKey.id.desc())
        views = [_view(row) for row in session.scalars(query)]
    return sorted(views, key=lambda view: view.revoked_at is not None)


def revoke(actor: Actor, public_id: str) -> KeyView:
    """Revoke a key. It is refused from now on in this process, within a second in others."""
    actor.require(Permission.KEYS)
    with write() as session:
        row = for_org(session, actor, ApiKey).one(public_id)
        if row.revoked_at is None:
            row.revoked_at = clock.now()
            audit.record(session, actor, "api_key.revoked", row)
        session.flush()
        view = _view(row)
    _forget(public_id)
    return view


def _view(row: ApiKey) -> KeyView:
    return KeyView(
        id=row.public_id,
        name=row.name,
        scopes=tuple(row.scopes),
        last_four=row.last_four,
        made_by=row.made_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        row_id=row.id,
    )


# --- finding one, on the way of every request


_lock = threading.Lock()
_kept: dict[str, tuple[KeyHolder, int]] = {}  # and when it was read
_renewing: set[str] = set()
_changes = 0  # a key that was read before a change is not kept after it


def find(key_text: str, now: int) -> KeyHolder | None:
    """Return who holds this key; None when there is no such key, or it expired or was revoked.

    What is told of a key is at most a second old. Its last use is noted once a minute.
    """
    form = _FORM.fullmatch(key_text)
    holder = _holder(form[1], now) if form else None
    if holder is None or not _fits(holder, key_text, now):
        return None
    if _use_is_old(holder, now):
        _note_use(holder, now)
    return holder


def kept(key_text: str, now: int) -> KeyHolder | None:
    """Return who holds this key when memory knows, within the last second, and nothing has to be noted; else None."""
    form = _FORM.fullmatch(key_text)
    found = _kept.get(form[1]) if form else None
    if form is None or found is None:
        return None
    holder, age = found[0], now - found[1]
    if not 0 <= age < FRESH_MS or not _fits(holder, key_text, now) or _use_is_old(holder, now):
        return None
    if age < FRESH_MS // 2 or form[1] in _renewing:
        return holder
    _renewing.add(form[1])  # whoever is told None reads it anew, in time for the others
    return None


def _fits(holder: KeyHolder, key_text: str, now: int) -> bool:
    is_over = holder.expires_at is not None and holder.expires_at <= now
    return not is_over and crypto.same(holder.digest, crypto.digest(key_text))


def _use_is_old(holder: KeyHolder, now: int) -> bool:
    return holder.last_used_at is None or now - holder.last_used_at >= USE_IS_NOTED_EVERY_MS


def _holder(public_id: str, now: int) -> KeyHolder | None:
    kept = _kept.get(public_id)
    if kept is not None and 0 <= now - kept[1] < FRESH_MS and public_id not in _renewing:
        return kept[0]
    seen_changes = _changes
    holder = _read_holder(public_id)
    with _lock:
        _renewing.discard(public_id)
        if holder is None:
            _kept.pop(public_id, None)
        elif seen_changes == _changes:
            _kept[public_id] = (holder, now)
    return holder


def _read_holder(public_id: str) -> KeyHolder | None:
    with read() as session:
        row = session.scalar(select(ApiKey).where(ApiKey.public_id == public_id, ApiKey.revoked_at.is_(None)))
        if row is None:
            return None
        return KeyHolder(
            row_id=row.id,
            public_id=row.public_id,
            name=row.name,
            organization_id=row.organization_id,
            scopes=frozenset(Scope(scope) for scope in row.scopes),
            permissions=permissions_of(row.scopes),
            digest=bytes(row.digest),
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )


def _note_use(holder: KeyHolder, now: int) -> None:
    with _lock:
        kept = _kept.get(holder.public_id)
        if kept is not None:  # first, so that others of this minute don't write too
            _kept[holder.public_id] = (replace(kept[0], last_used_at=now), kept[1])
    try:
        with write(patience=0.5) as session:
            session.execute(update(ApiKey).where(ApiKey.id == holder.row_id).values(last_used_at=now))
    except (OperationalError, Unavailable):  # busy or full: no reason to refuse a request that may only read
        return


def _forget(public_id: str) -> None:
    global _changes
    with _lock:
        _changes += 1
        _kept.pop(public_id, None)


def forget_all() -> None:
    """Drop everything: another database is in use."""
    global _changes
    with _lock:
        _changes += 1
        _kept.clear()
