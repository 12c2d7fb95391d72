"""Replays."""

from __future__ import annotations

from app.api.serialize.values import Shape, counts, moment_or_null
from app.core.envelope import moment
from app.services.missed import Missed
from app.services.replay_selection import Selection
from app.services.replays import Progress, ReplayView, left_out_of


def selection(found: Selection) -> Shape:
    """What a replay would send."""
    return {
        "total": found.total,
        "matching": found.matching,
        "more": found.is_more,
        "webhooks": [
            {
                "webhook": each.id,
                "name": each.name,
                "enabled": each.is_on,
                "matching": each.matching,
                "replayed": each.replayed,
            }
            for each in found.by_webhook
        ],
        "states": counts(found.by_state, "state"),
        "left_out": counts(found.left_out, "reason"),
    }


def missed(found: Missed) -> Shape:
    """What a webhook missed while it was off."""
    return {
        "total": found.total,
        "more": found.is_more,
        "first_at": moment_or_null(found.first_at),
        "last_at": moment_or_null(found.last_at),
        "event_types": counts(found.by_type, "event_type"),
    }


def replay_summary(view: ReplayView) -> Shape:
    """A replay as a list shows it."""
    return {
        "id": view.id,
        "state": view.state,
        "total": view.total,
        "made": view.position,
        "rate": view.rate,
        "filter": view.asked.get("filter"),
        "webhook": view.asked.get("missed", {}).get("webhook"),
        "reason": view.why,
        "made_by": view.made_by,
        "created_at": moment(view.created_at),
        "finished_at": moment_or_null(view.finished_at),
        "left_out": counts(left_out_of(view), "reason"),
    }


def replay(found: Progress) -> Shape:
    """A replay and what became of its deliveries."""
    return replay_summary(found.replay) | {
        "delivered": found.delivered,
        "failed": found.failed,
        "waiting": found.waiting,
        "canceled": found.canceled,
        "deleted": found.forgotten,
        "event_deleted": found.gone,
        "left": found.left,
        "refused": counts(found.refused, "reason"),
        "seconds_left": found.seconds_left,
    }
