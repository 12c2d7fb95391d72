"""Every state, reason, outcome and error has its words; a new one without them fails here."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from app.core.outcome import Decision
from app.core.states import DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.services.log import DeliveryRow
from app.services.log_query import DISPLAYED
from app.services.webhooks import WebhookView
from app.web import words
from app.web.words import Voice

if TYPE_CHECKING:
    from markupsafe import Markup

NOW = 1_795_251_600_000  # 21 Nov 2026, 09:00 UTC
VOICE = Voice(UTC, NOW)


def row(**changes: object) -> DeliveryRow:
    values: dict[str, object] = {
        "id": "dlv_1",
        "event": "evt_1",
        "event_type": "job.created",
        "webhook": "whk_1",
        "webhook_name": "Warehouse",
        "url": "https://wh.acme.test/in",
        "verify_ssl": True,
        "state": DeliveryState.PENDING,
        "kind": DeliveryKind.NORMAL,
        "is_paused": False,
        "shut_until": 0,
        "reason": None,
        "detail": None,
        "attempt_count": 0,
        "interruptions": 0,
        "attempts_allowed": 10,
        "next_attempt_at": NOW,
        "last_status": None,
        "last_error": None,
        "duration_ms": None,
        "created_at": NOW - 60_000,
        "finished_at": None,
        "cursor": "",
        "is_on": True,
        "paused_at": None,
    }
    return DeliveryRow(**{**values, **changes})  # type: ignore[arg-type]


DAY = 86_400_000


def view(**changes: object) -> WebhookView:
    values: dict[str, object] = {
        "id": "whk_1",
        "settings": {},
        "enabled": True,
        "off_reason": None,
        "switched_at": NOW - 86_400_000,
        "switched_by": "Maria Silva",
        "paused": False,
        "paused_at": None,
        "paused_by": None,
        "owner_name": "Maria Silva",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
        "shut_until": 0,
        "failing_since": None,
        "failures_in_row": 0,
        "failed_attempts": 0,
        "last_success_at": None,
        "last_error": None,
    }
    return WebhookView(**{**values, **changes})  # type: ignore[arg-type]


def text(said: Markup) -> str:
    return said.striptags()


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (DeliveryState, words.STATES),
        (DeliveryKind, words.TAGS),
        (Outcome, words.OUTCOMES),
        (Outcome, words.LOOKS),
        (ErrorClass, words.ERRORS),
        (Reason, words.REASONS),
    ],
)
def test_nothing_is_without_words(kind, known):
    assert set(known) == set(kind)


def test_every_state_a_badge_can_show_has_a_name():
    finished = {state.value for state in DeliveryState} - {"pending"}

    assert set(words.DISPLAYED) == finished | set(DISPLAYED)


def test_an_outcome_looks_like_a_badge_there_is():
    assert set(words.LOOKS.values()) <= set(words.DISPLAYED)


def test_every_error_has_a_word_for_its_column_and_a_hint_that_is_a_sentence():
    for error, trouble in words.ERRORS.items():
        assert trouble.short, error
        assert trouble.hint.endswith("."), error


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_a_sentence_with_and_without_its_fact(reason):
    facts = dict.fromkeys(("since", "event_type", "unit", "owner", "filter", "made", "detail"), "X <b>")

    plain, full = words.reason(reason), words.reason(reason, **facts)

    assert plain.endswith(".")
    assert "{" not in plain + full
    assert "<b>" not in full
    assert full.endswith(".")


def test_a_way_out_always_says_where():
    assert all(bool(why.way_out) == bool(why.place) for why in words.REASONS.values())


def test_every_reason_that_turns_a_webhook_off_by_itself_is_told():
    automatic = {Reason.SUSTAINED_FAILURE, Reason.EXHAUSTED, Reason.GONE, Reason.ASKED, Reason.OWNER_LEFT}

    assert automatic <= set(words.TURNED_OFF)
    assert Decision.__annotations__["turn_off"]  # what decides it names a reason


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Waiting since 08:59:00."),
        ({"state": DeliveryState.SENDING, "attempt_count": 1}, "Attempt 1 of 10 in progress."),
        ({"attempt_count": 3, "interruptions": 1}, "Attempt 2 of 10 failed: 503 Service Unavailable."),
        (
            {"is_paused": True, "paused_at": NOW},
            "Held since 09:00 because the webhook is paused. It is sent on resume.",
        ),
        (
            {"state": DeliveryState.DELIVERED, "last_status": 200, "attempt_count": 3, "finished_at": NOW + 247_000},
            "Accepted with 200 OK on attempt 3 of 10, 5 min 7 s after the event.",
        ),
        (
            {
                "state": DeliveryState.FAILED,
                "reason": Reason.EXHAUSTED,
                "attempt_count": 10,
                "finished_at": NOW + 273_540_000,
            },
            "Gave up after 10 attempts over 3 days 4 h. Last answer: 503 Service Unavailable.",
        ),
        ({"state": DeliveryState.FAILED, "reason": Reason.GONE}, "Not tried again: the receiver answered 410 Gone."),
        (
            {"state": DeliveryState.FAILED, "reason": Reason.ASKED},
            "Not tried again: the receiver asked to drop this event.",
        ),
        (
            {"state": DeliveryState.FAILED, "reason": Reason.INTERRUPTED_REPEATEDLY},
            "Stopped after 3 interruptions; the receiver may have got it.",
        ),
        (
            {"state": DeliveryState.CANCELED, "reason": Reason.BY_PERSON, "detail": "Maria Silva", "finished_at": NOW},
            "Canceled by Maria Silva, 21 Nov 09:00:00.",
        ),
        ({"state": DeliveryState.SKIPPED, "reason": Reason.WEBHOOK_OFF}, "Not sent: the webhook was off."),
    ],
)
def test_a_delivery_is_told_in_a_sentence(changes, sentence):
    assert text(words.delivery(row(**changes), VOICE, last="503 Service Unavailable")) == sentence


@pytest.mark.parametrize("state", list(DeliveryState))
@pytest.mark.parametrize("reason", [None, *Reason])
def test_no_state_and_reason_together_leave_a_delivery_without_a_sentence(state, reason):
    said = words.delivery(row(state=state, reason=reason, finished_at=NOW), VOICE)

    assert said.endswith(".")
    assert "None" not in said
    assert "{" not in said


def test_the_next_attempt_says_how_long_and_when():
    said = words.next_attempt(row(attempt_count=2, next_attempt_at=NOW + 252_000), VOICE)

    assert text(said) == "Next attempt in 4 min 12 s (09:04:12)."
    assert 'data-tick="down"' in said


def test_a_receiver_that_backs_off_is_the_reason_for_waiting():
    said = words.next_attempt(row(attempt_count=2, shut_until=NOW + 60_000), VOICE)

    assert text(said) == "Waiting until 09:01:00: the receiver is backing off."


def test_a_webhook_that_is_off_holds_what_waits():
    assert text(words.next_attempt(row(is_on=False), VOICE)) == "Held until the webhook is turned on."


def test_a_moment_of_another_day_is_written_with_its_date_in_the_viewers_zone():
    there = Voice(ZoneInfo("America/New_York"), NOW)

    assert text(there.near(NOW)) == "04:00:00"
    assert text(there.near(NOW - 86_400_000)) == "20 Nov 04:00:00"


@pytest.mark.parametrize(
    ("status", "error", "hint"),
    [
        (301, ErrorClass.STATUS, "Put the final address into the URL. Often http, www or a slash."),
        (401, ErrorClass.STATUS, "Check user and password, or the receiver's allow list."),
        (410, ErrorClass.STATUS, "The path doesn't exist. 410 turns the webhook off."),
        (503, ErrorClass.STATUS, "The receiver had a problem. It is tried again."),
        (None, ErrorClass.TIMEOUT, "Answer first, work afterwards."),
        (200, None, ""),
    ],
)
def test_an_attempt_comes_with_one_hint(status, error, hint):
    assert words.hint(status, error, again=True) == hint


def test_a_hint_doesnt_promise_another_try_where_there_is_none():
    assert words.hint(503, ErrorClass.STATUS) == "The receiver had a problem."


def test_the_response_is_a_status_or_a_word_or_a_dash():
    assert words.response(503, ErrorClass.STATUS) == "503"
    assert words.response(None, ErrorClass.TIMEOUT) == "timed out"
    assert words.response(None, None) == "–"


def test_what_a_receiver_wrote_is_escaped_in_a_sentence():
    said = words.delivery(row(attempt_count=1), VOICE, last="<script>alert(1)</script>")

    assert "<script>" not in said


@pytest.mark.parametrize(
    ("changes", "tone", "sentence"),
    [
        ({"enabled": False, "off_reason": Reason.NEW, "switched_at": None}, "", "Off. Not turned on yet."),
        ({}, "", "On. No event has matched yet."),
        ({"last_success_at": NOW - 120_000}, "", "On. Last delivered 2 min ago."),
        (
            {"failing_since": NOW - 3_600_000, "failures_in_row": 4, "failed_attempts": 14},
            "danger",
            (
                "Failing since 08:00: 14 failed attempts since the last success. "
                "If this goes on it is turned off on 26 Nov, 08:00."
            ),
        ),
        (
            {"failing_since": NOW - 3_600_000, "failures_in_row": 4, "failed_attempts": 20, "deliveries_failing": 14},
            "danger",
            "Failing since 08:00: 14 of 14 deliveries. If this goes on it is turned off on 26 Nov, 08:00.",
        ),
        (
            {"failing_since": NOW - 3_600_000, "failed_attempts": 1, "deliveries_failing": 1},
            "warning",
            "Failing since 08:00: 1 of 1 delivery. If this goes on it is turned off on 26 Nov, 08:00.",
        ),
        ({"waiting": 3}, "", "On. Nothing was delivered yet. 3 waiting."),
        ({"last_success_at": NOW - 8 * DAY}, "", "On. No event matched in 7 days."),
        (
            {"shut_until": NOW + 2_400_000, "failures_in_row": 20, "waiting": 31},
            "warning",
            "Backing off until 09:40 after 20 failures in a row. 31 waiting.",
        ),
        ({"shut_until": NOW + 2_400_000}, "warning", "Backing off until 09:40 as the receiver asked."),
        (
            {"paused": True, "paused_at": NOW, "paused_by": "Maria Silva", "waiting": 31},
            "paused",
            "Paused by Maria Silva at 09:00. 31 held.",
        ),
        (
            {"enabled": False, "off_reason": Reason.GONE},
            "danger",
            "Turned off on 20 Nov: the receiver answered 410 Gone. 412 events since then.",
        ),
        (
            {"enabled": False, "off_reason": Reason.EXHAUSTED, "probe_at": NOW + 86_520_000},
            "danger",
            (
                "Turned off on 20 Nov: every attempt of a delivery failed. 412 events since then. "
                "Next probe 22 Nov, 09:02."
            ),
        ),
        (
            {"enabled": False, "off_reason": Reason.BY_PERSON},
            "",
            "Turned off by Maria Silva on 20 Nov. New events aren't queued.",
        ),
    ],
)
def test_a_webhook_is_told_in_a_sentence(changes, tone, sentence):
    said = words.webhook(view(**changes), VOICE, missed=412)

    assert text(said.strong + said.rest) == sentence
    assert said.tone == tone


@pytest.mark.parametrize(
    ("days", "silent_days", "is_unusual"),
    [(14, 2, False), (14, 3, True), (10, 4, False), (10, 5, True), (4, 30, False)],
)
def test_a_webhook_that_usually_delivers_is_amber_when_it_has_gone_silent(days, silent_days, is_unusual):
    said = words.webhook(view(last_success_at=NOW - silent_days * DAY), VOICE, days=days)

    assert (said.tone == "warning") is is_unusual
    if is_unusual:
        assert text(said.strong + said.rest) == (
            f"Last delivered {silent_days} days ago. Before that, it delivered on {days} of 14 days."
        )


@pytest.mark.parametrize("reason", list(Reason))
def test_a_webhook_that_is_off_is_told_whatever_the_reason(reason):
    said = words.webhook(view(enabled=False, off_reason=reason), VOICE)

    assert text(said.strong + said.rest).endswith(".")
