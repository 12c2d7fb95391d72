"""Who is signed in, and what they may do in which organization: asked anew with each request, in one statement."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from app import clock
from app.core.access import Permission, View
from app.database import hot_read
from app.door import Statement
from app.services.browser_sessions import IDLE_MS, LONGEST_MS, NOTED_EVERY_MS, note_use


@dataclass(frozen=True, slots=True)
class Place:
    """An organization somebody belongs to, and what they may do and see there."""

    organization_id: int
    public_id: str
    name: str
    membership_id: int
    permissions: frozenset[Permission]
    view: View


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in, with their organizations by name."""

    public_id: str
    name: str
    email: str
    is_operator: bool
    session_version: int
    zone: str | None
    theme: str
    is_compact: bool
    has_shortcuts: bool
    places: tuple[Place, ...]

    @property
    def initials(self) -> str:
        """Up to two letters for the round picture."""
        parts = (self.name or self.email).replace("@", " ").split()
        return "".join(part[0] for part in parts[:2]).upper()


_FOUND = Statement("""SELECT browser_session.created_at, browser_session.last_seen_at,
    person.name, person.email, person.is_operator, person.zone, person.theme, person.is_compact, person.has_shortcuts,
    organization.id, organization.public_id, organization.name,
    membership.id, role.permissions, role.sees_everything, membership_unit.business_unit_id
FROM browser_session
JOIN "user" AS person ON person.id = browser_session.user_id
LEFT JOIN membership ON membership.user_id = person.id
LEFT JOIN organization ON organization.id = membership.organization_id
LEFT JOIN role ON role.id = membership.role_id
LEFT JOIN membership_unit ON membership_unit.membership_id = membership.id
WHERE browser_session.public_id = :browser AND person.public_id = :person
    AND person.session_version = :version AND person.is_active
ORDER BY organization.name, organization.id""")


def find(browser: str, public_id: str, version: int, *, is_use: bool) -> Person | None:
    """Return who is signed in in a browser; with `is_use` that is noted, at most once a minute.

    None when the session was ended, is older than 7 days or was not used for 8 hours; or when the user's sessions were
    all ended (`version` is that of the sign-in), or the user is disabled.
    """
    now = clock.now()
    with hot_read() as door:
        rows = door.rows(_FOUND, browser=browser, person=public_id, version=version)
    if not rows:
        return None
    created_at, seen_at, name, email, is_operator, zone, theme, is_compact, has_shortcuts = rows[0][:9]
    if now - created_at > LONGEST_MS or now - seen_at > IDLE_MS:
        return None
    if is_use and now - seen_at >= NOTED_EVERY_MS:
        note_use(browser, now)
    return Person(
        public_id,
        name,
        email,
        bool(is_operator),
        version,
        zone,
        theme,
        bool(is_compact),
        bool(has_shortcuts),
        _places(email, [row[9:] for row in rows if row[9] is not None]),
    )


def _places(email: str, rows: list[tuple[Any, ...]]) -> tuple[Place, ...]:
    """One for each membership; the rows have one for each of its business units."""
    units: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row[6] is not None:
            units[row[3]].add(row[6])
    return tuple(
        Place(row[0], row[1], row[2], row[3], _permissions(row[4]), View(email, bool(row[5]), frozenset(units[row[3]])))
        for row in {row[3]: row for row in rows}.values()
    )


@lru_cache(maxsize=256)
def _permissions(written: str) -> frozenset[Permission]:
    """Read those of a role, as its column has them."""
    return frozenset(Permission(name) for name in orjson.loads(written))
