"""Alerts."""

from __future__ import annotations

from app.api.schemas.shapes import Body, Shown, left_out


class AlertsChange(Body):
    """What is to change; what is left out stays."""

    addresses: list[str] = left_out(about="E-mail addresses that are told of every webhook's trouble.")
    events: bool = left_out(about="Whether alerts are also published as events, for webhooks that select them.")


class Alerts(Shown):
    """Who is told when a webhook fails."""

    addresses: list[str]
    events: bool


class AlertsTested(Shown):
    """To whom the test mail was handed over."""

    to: list[str]
