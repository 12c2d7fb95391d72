"""Notices as the banner says them."""

from __future__ import annotations

from datetime import UTC

import pytest

from app.core import notices
from app.core.notices import Clock
from app.core.states import Reason
from app.models import Cause
from app.services.notifications import Notice

NOW, HOUR = 1_795_251_600_000, 3_600_000  # 21 Nov 2026, 09:00 UTC
CLOCK = Clock(NOW, UTC)
TOLD = {
    Cause.FAILING: (
        notices.failing("Warehouse", NOW - HOUR, 20, None, CLOCK),
        "Warehouse is failing since 08:00 UTC: 20 of 20 attempts failed.",
    ),
    Cause.TURNED_OFF: (
        notices.turned_off("Warehouse", Reason.GONE, 2, None, CLOCK),
        "Warehouse was turned off on 21 Nov, 09:00 UTC because the receiver answered 410 Gone.",
    ),
    Cause.RECOVERED: (
        notices.recovered("Warehouse", NOW - HOUR, 0, 0, was_off=False, by_probe=False, clock=CLOCK),
        "Warehouse delivers again. It had failed since 21 Nov, 08:00 UTC.",
    ),
}


@pytest.mark.parametrize("cause", TOLD)
def test_subject_and_first_sentence_become_one_that_says_nothing_twice(cause):
    text, said = TOLD[cause]

    assert Notice("ntf_1", "whk_1", cause, text.subject, text.body, NOW, 1).gist == said
