"""Delivery processes: who runs, and when they were last seen."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Moment


class Worker(Model):
    """A process that delivers."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[int] = mapped_column(Moment)
    seen_at: Mapped[int] = mapped_column(Moment)
