"""Counts of what was delivered, by webhook and hour."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Moment


class Stat(Model):
    """How often something happened to the deliveries of a webhook whose events came in one hour.

    `hour` is the moment at which the hour of the *event* began, so that a delivery counts where it began, however
    long it was retried. What `measure` and `key` mean is said in `app/core/stats.py`.
    """

    __tablename__ = "stat"
    __table_args__ = ({"sqlite_with_rowid": False},)

    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[int] = mapped_column(Moment, primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
