"""The states of a delivery, who may move it where, and why: as data."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands. The last four are finished."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"


FINISHED = frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.CANCELED, DeliveryState.SKIPPED})
UNDELIVERED = frozenset({DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED})

S = DeliveryState
MOVES: dict[str, tuple[frozenset[DeliveryState | None], frozenset[DeliveryState]]] = {
    "enqueue": (frozenset({None}), frozenset({S.PENDING, S.SKIPPED})),
    "claim": (frozenset({S.PENDING}), frozenset({S.SENDING})),
    "finish": (frozenset({S.SENDING}), frozenset({S.DELIVERED, S.PENDING, S.FAILED})),
    "hand_back": (frozenset({S.SENDING}), frozenset({S.PENDING})),
    "release_lapsed": (frozenset({S.SENDING}), frozenset({S.PENDING, S.FAILED})),
    "cancel": (frozenset({S.PENDING}), frozenset({S.CANCELED})),
    "hasten": (frozenset({S.PENDING}), frozenset({S.PENDING})),
    "requeue": (frozenset({S.FAILED, S.CANCELED}), frozenset({S.PENDING})),
}


class DeliveryKind(StrEnum):
    """What made a delivery: an event, the test button, or a person who sends an event again."""

    NORMAL = "normal"
    TEST = "test"
    REPLAY = "replay"


PROBE = "probe"  # the detail of a test payload that Postroom sends by itself, to see whether a receiver is well again


class Reason(StrEnum):
    """Why a delivery was not sent, or will not be tried again, or why a webhook is off."""

    # not sent
    WEBHOOK_OFF = "webhook_off"
    WEBHOOK_PAUSED = "webhook_paused"
    WEBHOOK_DELETED = "webhook_deleted"
    EVENT_TYPE_NOT_SELECTED = "event_type_not_selected"
    BUSINESS_UNIT_NOT_SELECTED = "business_unit_not_selected"
    OWNER_CANNOT_SEE = "owner_cannot_see"
    FILTERED_OUT = "filtered_out"
    CREATED_LATER = "created_later"
    # not tried again
    SHAPE_FAILED = "shape_failed"
    EXHAUSTED = "exhausted"
    GONE = "gone"
    ASKED = "asked"
    TEST_FAILED = "test_failed"
    REFUSED_BY_RULE = "refused_by_rule"
    INTERRUPTED_REPEATEDLY = "interrupted_repeatedly"
    BY_PERSON = "by_person"
    # why a webhook is off
    NEW = "new"
    SUSTAINED_FAILURE = "sustained_failure"
    OWNER_LEFT = "owner_left"


class Outcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"


class ErrorClass(StrEnum):
    """What kept an attempt from a clean success: one word per cause that people can act on."""

    STATUS = "status"
    DNS = "dns"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TIMEOUT = "timeout"
    RESET = "reset"
    TLS = "tls"
    BAD_HTTP = "bad_http"
    TOO_LARGE = "too_large"
    INCOMPLETE = "incomplete"
    LATE = "late"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"
    SHAPE_FAILED = "shape_failed"
