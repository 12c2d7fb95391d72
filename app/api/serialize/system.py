"""The whole installation, for its operators."""

from __future__ import annotations

from dataclasses import asdict

from app.api.serialize.values import Shape, moment_or_null
from app.core.envelope import moment
from app.services.all_organizations import Listed
from app.services.kept import Kept
from app.services.mails import MailState
from app.services.system import QueueState, WorkerView


def organization(found: Listed) -> Shape:
    """An organization with how many belong to it."""
    return {
        "id": found.id,
        "name": found.name,
        "created_at": moment(found.created_at),
        "members": found.members,
        "webhooks": found.webhooks,
        "events": found.events,
    }


def queue(found: QueueState) -> Shape:
    """What waits and what is under way."""
    return {
        "waiting": found.waiting,
        "in_flight": found.in_flight,
        "oldest_due_at": moment_or_null(found.oldest_due_at),
    }


def worker(found: WorkerView) -> Shape:
    """A process that delivers."""
    return {
        "name": found.name,
        "started_at": moment(found.started_at),
        "seen_at": moment(found.seen_at),
        "silent": found.is_silent,
    }


def kept(found: Kept) -> Shape:
    """What the log holds."""
    return {
        "events": found.events,
        "estimate": found.is_estimate,
        "deliveries": [{"state": state, "count": part.rows, "bytes": part.size} for state, part in found.parts.items()],
    }


def mail(found: MailState) -> Shape:
    """How mails fare."""
    return {
        "set_up": found.server is not None,
        "sender": found.sender,
        "sent_at": moment_or_null(found.sent_at),
        "failed_at": moment_or_null(found.failed_at),
        "failure": found.failure or None,
        "unsent": [
            asdict(each) | {"created_at": moment(each.created_at), "next_at": moment_or_null(each.next_at)}
            for each in found.unsent
        ],
    }
