"""Who is looking: the signed-in user, acting in one organization."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, request, session
from flask_login import UserMixin, current_user, login_user, logout_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from app.database import read
from app.models import Membership, Organization, User
from app.services import browser_sessions
from app.services.scope import Actor
from app.web.filters import zone_named


@dataclass(frozen=True, slots=True)
class Place:
    """An organization the viewer belongs to."""

    public_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Viewer:
    """What templates may know of whoever is looking."""

    name: str
    email: str
    initials: str
    zone: str
    theme: str
    organization: str | None
    """Its id; None for who is in one alone."""
    organization_name: str
    organizations: tuple[Place, ...]
    is_operator: bool
    shortcuts: bool = True
    density: str = "comfortable"


class SignedIn(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A user as the session knows them: id and session version, so that one update ends every session."""

    def __init__(self, user: User) -> None:
        self.row_id = user.id
        self.public_id = user.public_id
        self.name = user.name
        self.email = user.email
        self.initials = user.initials
        self.is_operator = user.is_operator
        self.session_version = user.session_version
        self.zone = user.zone
        self.theme = user.theme
        self.is_compact = user.is_compact
        self.has_shortcuts = user.has_shortcuts

    def get_id(self) -> str:
        """What the session cookie holds."""
        return f"{self.public_id}:{self.session_version}"


def load_user(session_id: str) -> SignedIn | None:
    """Return the user of a session, unless it was ended, is too old or was idle for too long."""
    public_id, _, version = session_id.partition(":")
    place = session.get("browser")
    if not isinstance(place, str) or not version.isdigit():
        return None
    is_poll = request.method == "GET" and request.headers.get("HX-Request") == "true"  # it never prolongs a session
    user = browser_sessions.find(place, public_id, int(version), is_use=not is_poll)
    return None if user is None else SignedIn(user)


def begin_session(user: User) -> None:
    """Sign a user in, in a new session; the one that was there ends."""
    end_session()
    session["browser"] = browser_sessions.begin(user.id, request.headers.get("User-Agent", ""), request.remote_addr)
    login_user(SignedIn(user))


def end_session() -> None:
    """Sign the viewer out."""
    if "browser" in session:
        browser_sessions.end(session["browser"])
    logout_user()
    session.clear()
    g.pop("actor", None)


def this_browser() -> str:
    """Return the public id of the viewer's own session."""
    found: str = session.get("browser", "")
    return found


def load_actor() -> Actor | None:
    """Return the viewer as an actor in the chosen organization; None when nobody is signed in."""
    if "actor" not in g:
        g.actor = _find_actor() if current_user.is_authenticated else None
    actor: Actor | None = g.actor
    return actor


def actor() -> Actor:
    """Return the viewer as an actor; for views, which nobody reaches without being one."""
    found = load_actor()
    assert found is not None
    return found


def _find_actor() -> Actor | None:
    named = request.args.get("org")
    asked = named or session.get("organization")
    with read() as db_session:
        query = (
            select(Membership)
            .join(Organization, Organization.id == Membership.organization_id)
            .where(Membership.user_id == current_user.row_id)
            .options(
                joinedload(Membership.role),
                joinedload(Membership.user),
                joinedload(Membership.organization),
                selectinload(Membership.units),
            )
            .order_by(Organization.name)
        )
        memberships = db_session.scalars(query).unique().all()
        if not memberships:
            return None
        chosen = next((m for m in memberships if m.organization.public_id == asked), memberships[0])
        g.is_foreign = named is not None and chosen.organization.public_id != named
        g.org = chosen.organization.public_id if len(memberships) > 1 else None
        g.places = tuple(Place(m.organization.public_id, m.organization.name) for m in memberships)
        g.organization_name = chosen.organization.name
        found = Actor(
            organization_id=chosen.organization_id,
            name=chosen.user.name,
            permissions=chosen.permissions,
            view=chosen.view,
            public_id=chosen.user.public_id,
            membership_id=chosen.id,
            address=request.remote_addr,
            is_operator=chosen.user.is_operator,
        )
        public_id = chosen.organization.public_id
    if session.get("organization") != public_id:
        session["organization"] = public_id
    return found


def named_organization() -> str | None:
    """The organization that every address names, for somebody in several; None for who is in one."""
    found: str | None = g.get("org")
    return found


def names_a_foreign_organization() -> bool:
    """Whether the request is for an organization that the viewer doesn't belong to."""
    load_actor()
    return bool(g.get("is_foreign"))


def viewer() -> Viewer:
    """Return what templates may know of whoever is looking; of nobody, their cookies alone."""
    is_somebody = load_actor() is not None
    theme = request.cookies.get("theme") or (current_user.theme if is_somebody else "system")
    asked = request.cookies.get("zone") or (current_user.zone if is_somebody else None) or "UTC"
    zone = asked if zone_named(asked) is not None else "UTC"
    if not is_somebody:
        return Viewer("", "", "", zone, theme, None, "", (), is_operator=False)
    return Viewer(
        name=current_user.name,
        email=current_user.email,
        initials=current_user.initials,
        zone=zone,
        theme=theme if theme in ("light", "dark") else "system",
        organization=g.org,
        organization_name=g.organization_name,
        organizations=g.places,
        is_operator=current_user.is_operator,
        shortcuts=current_user.has_shortcuts,
        density="compact" if current_user.is_compact else "comfortable",
    )
