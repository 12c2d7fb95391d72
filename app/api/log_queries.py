"""What a call asks of the log, as the log is asked."""

from __future__ import annotations

from app.api.schemas.deliveries import TESTS, LogFilter
from app.services.log import LogQuery


def asked_of(given: LogFilter) -> LogQuery:
    """Return the filters as a query for the newest page."""
    return LogQuery(
        state=tuple(given.state or ()),
        webhook=tuple(given.webhook or ()),
        event=given.event,
        event_type=tuple(given.event_type or ()),
        response=tuple(given.response or ()),
        error=tuple(given.error or ()),
        from_at=given.from_at,
        to_at=given.to_at,
        test=TESTS.get(given.test, given.test),
        kind=tuple(given.kind or ()),
        unit=tuple(given.unit or ()),
        attempts=given.attempts,
        slow=given.slow,
        q=given.q,
    )
