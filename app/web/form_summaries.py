"""What the closed parts of the webhook form say in their headings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.web.filters import duration
from app.web.waits import seconds_of

if TYPE_CHECKING:
    from app.web.forms import WebhookForm


def delivery_summary(form: WebhookForm) -> str:
    """Say in words what the delivery settings come to: `up to 10 attempts within about 3 days · 15 s each`."""
    delays = seconds_of(form.delays)
    if delays is None:
        return "the waits can't be read"
    if not form.timeout.replace(".", "", 1).isdigit():
        return "the timeout can't be read"
    each = f"{form.timeout} s"
    words = [f"up to {len(delays) + 1} attempts within {_roughly(sum(delays))}", f"{each} each"]
    if not delays:
        words = ["a single attempt", each]
    if form.on_exhausted != "keep":
        words.append("then it is turned off")
    if form.rate_limit:
        words.append(f"at most {form.rate_limit} a second")
    if form.ordered:
        words.append("in order")
    return " · ".join(words)


def _roughly(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return f"about {round(seconds / 86_400)} days"
    if seconds >= 2 * 3_600:
        return f"about {round(seconds / 3_600)} h"
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
