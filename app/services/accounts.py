"""A user's own account: the name that others see, how pages look to them, and whether they get mails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from sqlalchemy import select

from app.core.texts import is_name
from app.database import read, write
from app.errors import Invalid, NotFound, Problem
from app.models import User
from app.services import audit

if TYPE_CHECKING:
    from app.services.scope import Actor

LONGEST_NAME = 100
THEMES = ("system", "light", "dark")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a user has chosen for all of their browsers. `zone` None: each browser's own."""

    theme: str
    zone: str | None
    is_compact: bool
    has_shortcuts: bool
    gets_mail: bool


def rename(actor: Actor, name: str) -> None:
    """Change the acting user's own name. Raises `Invalid`."""
    name = name.strip()
    if not is_name(name, LONGEST_NAME):
        raise Invalid([Problem("name", f"Enter a name of 1 to {LONGEST_NAME} characters.")])
    with write() as session:
        user = session.scalar(select(User).where(User.public_id == actor.public_id))
        if user is None:
            raise NotFound
        before, user.name = user.name, name
        audit.record(session, actor, "user.renamed", user, {"name": (before, name)})


def preferences(actor: Actor) -> Preferences:
    """Return the acting user's own preferences."""
    with read() as session:
        user = session.scalar(select(User).where(User.public_id == actor.public_id))
        if user is None:
            raise NotFound
        return Preferences(user.theme, user.zone, user.is_compact, user.has_shortcuts, user.gets_mail)


def prefer(actor: Actor, chosen: Preferences) -> None:
    """Keep the acting user's preferences. Raises `Invalid` for a theme or zone that there isn't."""
    if chosen.theme not in THEMES:
        raise Invalid([Problem("theme", "Choose one of the themes.")])
    if chosen.zone is not None and chosen.zone not in available_timezones():
        raise Invalid([Problem("zone", "There is no such time zone. Choose one from the list.")])
    with write() as session:
        user = session.scalar(select(User).where(User.public_id == actor.public_id))
        if user is None:
            raise NotFound
        for name, value in asdict(chosen).items():
            setattr(user, name, value)


@cache
def zones() -> tuple[str, ...]:
    """Return the names of the time zones, UTC first; those without a region are other names of these."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))
