"""What the closed parts of the webhook form say in their headings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.web.filters import duration
from app.web.waits import seconds_of

if TYPE_CHECKING:
    from app.web.forms import WebhookForm


def delivery_summary(form: WebhookForm) -> str:
    """Say in words what the delivery settings come to: `15 s · 10 attempts over about 3 days`."""
    delays = seconds_of(form.delays)
    if delays is None:
        return f"{form.timeout} s"
    attempts = "1 attempt" if not delays else f"{len(delays) + 1} attempts over about {_roughly(sum(delays))}"
    words = [f"{form.timeout} s", attempts]
    if form.on_exhausted != "keep":
        words.append("then it is turned off")
    if form.rate_limit:
        words.append(f"at most {form.rate_limit} a second")
    if form.ordered:
        words.append("in order")
    return " · ".join(words)


def _roughly(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return f"{round(seconds / 86_400)} days"
    if seconds >= 2 * 3_600:
        return f"{round(seconds / 3_600)} h"
    return duration(seconds * 1000)


def advanced_summary(form: WebhookForm) -> str:
    """Say in words which of the advanced settings are used."""
    headers = len([line for line in form.headers.splitlines() if line.strip()])
    words = [
        "a filter" if form.filter else "no filter",
        "1 header" if headers == 1 else f"{headers} headers" if headers else "no headers",
    ]
    if form.success_codes != "2xx":
        words.append(f"success is {form.success_codes}")
    if form.alert_addresses:
        words.append("alerts by mail")
    if form.ca or form.client_certificate or "client_certificate" in form.stored:
        words.append("own certificates")
    return " · ".join(words)
