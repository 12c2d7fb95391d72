"""Replays by filter: many events sent again, at a rate, with progress and a stop."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.types import Json, Key, Moment, partial_index, text_enum


class ReplayState(StrEnum):
    """Where a replay stands."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class Replay(Model):
    """A person's order to send many events again; what it sends was listed when it was made."""

    __tablename__ = "replay"
    __table_args__ = (
        Index(None, "organization_id", "id"),
        partial_index("ix_replay_running", "id", where="state = 'running'"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    made_by: Mapped[str]  # the name is kept, whatever becomes of the person
    made_by_id: Mapped[str | None]
    why: Mapped[str]
    filter: Mapped[dict[str, Any]] = mapped_column(Json)  # as it was asked, for the page
    rate: Mapped[float]  # deliveries a second
    state: Mapped[ReplayState] = mapped_column(text_enum(ReplayState))
    total: Mapped[int]
    position: Mapped[int] = mapped_column(default=0)  # how many of its items were taken
    next_at: Mapped[int] = mapped_column(Moment)  # when the next one is due; those after it follow at the rate
    created_at: Mapped[int] = mapped_column(Moment)
    finished_at: Mapped[int | None] = mapped_column(Moment)


class ReplayItem(Model):
    """One event for one webhook, and the delivery that was made for it."""

    __tablename__ = "replay_item"
    __table_args__ = (
        Index(None, "delivery_id"),
        {"sqlite_with_rowid": False},
    )

    replay_id: Mapped[int] = mapped_column(ForeignKey("replay.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), index=True)
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id", ondelete="SET NULL"))
    refused: Mapped[str | None]  # why no delivery was made for it
