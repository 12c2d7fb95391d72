"""A user's own account: the name that others see, and the time zones there are to choose from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from sqlalchemy import select

from app.database import write
from app.errors import Invalid, NotFound, Problem
from app.models import User
from app.services import audit

if TYPE_CHECKING:
    from app.services.scope import Actor

LONGEST_NAME = 100


def rename(actor: Actor, name: str) -> None:
    """Change the acting user's own name. Raises `Invalid`."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid([Problem("name", f"Enter a name of 1 to {LONGEST_NAME} characters.")])
    with write() as session:
        user = session.scalar(select(User).where(User.public_id == actor.public_id))
        if user is None:
            raise NotFound
        before, user.name = user.name, name
        audit.record(session, actor, "user.renamed", user, {"name": (before, name)})


@cache
def zones() -> tuple[str, ...]:
    """Return the names of the time zones, UTC first; those without a region are other names of these."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))
