"""Notices: what the people behind a webhook should know."""

from __future__ import annotations

from app.api.schemas.shapes import MomentShown, Shown
from app.models import Cause


class Notice(Shown):
    """An open notice about a webhook."""

    id: str
    webhook: str
    cause: Cause
    subject: str
    body: str
    created_at: MomentShown


class Notices(Shown):
    """A page of open notices, the oldest first."""

    items: list[Notice]
    next: str | None
