"""Who is looking: the signed-in user, acting in one organization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import g, request, session
from flask_login import UserMixin, current_user, login_user, logout_user

from app.services import browser_sessions, signed_in
from app.services.scope import Actor
from app.web.filters import zone_named

if TYPE_CHECKING:
    from app.models import User
    from app.services.signed_in import Person, Place


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
    """A person as the session knows them: id and session version, so that one update ends every session."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def __getattr__(self, name: str) -> Any:
        return getattr(self.person, name)

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
    person = signed_in.find(place, public_id, int(version), is_use=not is_poll)
    return None if person is None else SignedIn(person)


def begin_session(user: User) -> None:
    """Sign a user in, in a new session; the one that was there ends."""
    end_session()
    browser = browser_sessions.begin(user.id, request.headers.get("User-Agent", ""), request.remote_addr)
    session["browser"] = browser
    person = signed_in.find(browser, user.public_id, user.session_version, is_use=False)
    if person is not None:  # or all their sessions were ended in this very moment
        login_user(SignedIn(person))


def end_session() -> None:
    """Sign the viewer out."""
    if "browser" in session:
        browser_sessions.end(session["browser"])
    logout_user()
    session.clear()
    g.pop("actor", None)
    g.pop("viewer", None)


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
    person: Person = current_user.person
    if not person.places:
        return None
    chosen = next((place for place in person.places if place.public_id == asked), person.places[0])
    g.is_foreign = named is not None and chosen.public_id != named
    g.org = chosen.public_id if len(person.places) > 1 else None
    g.organization_name = chosen.name
    if session.get("organization") != chosen.public_id:
        session["organization"] = chosen.public_id
    return Actor(
        organization_id=chosen.organization_id,
        name=person.name,
        permissions=chosen.permissions,
        view=chosen.view,
        public_id=person.public_id,
        membership_id=chosen.membership_id,
        address=request.remote_addr,
        is_operator=person.is_operator,
    )


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
    if "viewer" not in g:  # every time on a page asks for the zone
        g.viewer = _viewer()
    found: Viewer = g.viewer
    return found


def _viewer() -> Viewer:
    person: Person | None = current_user.person if load_actor() is not None else None
    theme = request.cookies.get("theme") or (person.theme if person else "system")
    asked = request.cookies.get("zone") or (person.zone if person else None) or "UTC"
    zone = asked if zone_named(asked) is not None else "UTC"
    if person is None:
        return Viewer("", "", "", zone, theme, None, "", (), is_operator=False)
    return Viewer(
        name=person.name,
        email=person.email,
        initials=person.initials,
        zone=zone,
        theme=theme if theme in ("light", "dark") else "system",
        organization=g.org,
        organization_name=g.organization_name,
        organizations=person.places,
        is_operator=person.is_operator,
        shortcuts=person.has_shortcuts,
        density="compact" if person.is_compact else "comfortable",
    )
