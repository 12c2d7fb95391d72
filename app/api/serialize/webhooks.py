"""Webhooks, and what they would send."""

from __future__ import annotations

from typing import Any

from app.api.serialize.values import Shape, moment_or_null, text_or_null
from app.core.envelope import moment
from app.services.preview import Preview
from app.services.webhooks import WebhookView


def webhook(view: WebhookView, **more: Any) -> Shape:
    """A webhook, secrets masked, and whatever the answer adds."""
    return {
        "id": view.id,
        **view.settings,
        "enabled": view.enabled,
        "paused": view.paused,
        "off_reason": view.off_reason,
        "switched_at": moment_or_null(view.switched_at),
        "created_at": moment(view.created_at),
        "updated_at": moment(view.updated_at),
        "version": view.version,
        "failing_since": moment_or_null(view.failing_since),
        "last_success_at": moment_or_null(view.last_success_at),
        "last_error": view.last_error,
        "next_probe_at": moment_or_null(view.probe_at),
        **more,
    }


def preview(shown: Preview) -> Shape:
    """A request that would be sent."""
    return {
        "method": shown.method,
        "url": shown.url,
        "headers": dict(shown.headers),
        "body": text_or_null(shown.body),
        "curl": shown.curl,
        "not_sent": shown.not_sent,
    }
