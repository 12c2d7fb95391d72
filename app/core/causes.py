"""What errors and reasons are called, and what can be done about them: for pages, notices and mails alike."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from app.core.health import AUTO_OFF_AFTER_MS
from app.core.states import ErrorClass, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

R, E = Reason, ErrorClass


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error class: in the Response column, and what can be done about it."""

    short: str
    hint: str


ERRORS: Mapping[ErrorClass, Trouble] = {
    E.STATUS: Trouble("refused by status", "The receiver refused the request; its answer may say why."),
    E.DNS: Trouble("host not found", "A typo, or its DNS is down."),
    E.REFUSED: Trouble("refused", "Nothing listens there, or a firewall rejects this server."),
    E.CONNECT_TIMEOUT: Trouble("no connection", "A firewall may drop packets from this server."),
    E.TIMEOUT: Trouble("timed out", "Answer first, work afterwards."),
    E.RESET: Trouble("closed", "A crash or a proxy's limit at the receiver."),
    E.TLS: Trouble("certificate", "Repair the certificate; disabling verification is a last resort."),
    E.BAD_HTTP: Trouble("unreadable", "What came back isn't HTTP as its standard has it."),
    E.TOO_LARGE: Trouble("answer cut", "A short answer is enough: only its status code counts."),
    E.INCOMPLETE: Trouble("incomplete", "The status counted; the rest of the answer broke off."),
    E.LATE: Trouble("body late", "The status counted; the rest of the answer didn't end in time."),
    E.BLOCKED: Trouble("blocked", "See System ▸ Network for what this server may reach."),
    E.INTERRUPTED: Trouble("interrupted", "Doesn't count as an attempt."),
    E.SHAPE_FAILED: Trouble("not built", "Look at the field mapping and at what the event carries."),
}

_STATUS_HINTS: Mapping[int, str] = {
    401: "Check user and password, or the receiver's allow list.",
    403: "Check user and password, or the receiver's allow list.",
    404: "The path doesn't exist.",
    410: "The path doesn't exist. 410 turns the webhook off.",
    413: "Send only the status, or change the content type or mapping.",
    415: "Send only the status, or change the content type or mapping.",
    422: "Send only the status, or change the content type or mapping.",
    429: "Waiting as asked. A rate limit would avoid it.",
}

# Why a webhook went off by itself; those that people turn off have sentences of their own.
TURNED_OFF: Mapping[Reason, str] = {
    R.SUSTAINED_FAILURE: f"no success for {AUTO_OFF_AFTER_MS // 86_400_000} days",
    R.EXHAUSTED: "every attempt of a delivery failed",
    R.GONE: "the receiver answered 410 Gone",
    R.ASKED: "the receiver asked for it",
    R.OWNER_LEFT: "its owner left",
    R.WEBHOOK_DELETED: "it was deleted",
}


def status_line(status: int) -> str:
    """The code with its registered name: `503 Service Unavailable`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def hint(status: int | None, error: ErrorClass | None, *, again: bool = False) -> str:
    """What to do about an attempt; empty where there is nothing to do. `again`: the delivery is still under way."""
    if error is E.STATUS and status is not None:
        if 300 <= status < 400:
            return "Put the final address into the URL. Often http, www or a slash."
        if status >= 500:
            return "The receiver had a problem." + (" It is tried again." if again else "")
        return _STATUS_HINTS.get(status, ERRORS[E.STATUS].hint)
    return ERRORS[error].hint if error is not None else ""
