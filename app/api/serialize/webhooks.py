"""Webhooks, and what they would send."""

from __future__ import annotations

from typing import Any

from app.api.serialize.values import Shape, moment_or_null, text_or_null
from app.core.envelope import moment
from app.core.presets import Preset
from app.core.signing import Verdict
from app.services import drafts
from app.services.explain import Why
from app.services.notifications import Notice
from app.services.preview import Preview
from app.services.signatures import SignatureSheet
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


def why(found: Why) -> Shape:
    """What became of an event at one webhook, or would become of one."""
    return {
        "webhook": found.told.webhook,
        "event": found.event,
        "event_type": found.event_type,
        "business_unit": found.unit,
        "outcome": found.told.outcome,
        "delivery": found.told.delivery,
        "reason": found.told.reason,
        "also": list(found.told.also),
    }


def preset(found: Preset) -> Shape:
    """A preset, and what it fills in."""
    return {
        "name": found.name,
        "title": found.title,
        "summary": found.summary,
        "defaults": drafts.defaults_of(found),
    }


def notice(found: Notice) -> Shape:
    """A notice about a webhook."""
    return {
        "id": found.id,
        "webhook": found.webhook,
        "cause": found.cause,
        "subject": found.subject,
        "body": found.body,
        "created_at": moment(found.created_at),
    }


def signature(sheet: SignatureSheet) -> Shape:
    """How a webhook signs, without a secret."""
    return {
        "scheme": sheet.scheme,
        "algorithm": sheet.algorithm,
        "header": sheet.header,
        "sent_beside": list(sheet.sent_beside),
        "signs": sheet.signs,
        "encoding": sheet.encoding,
        "public_key": sheet.public_key,
        "secrets": [
            {
                "made_by": each.made_by,
                "created_at": moment(each.created_at),
                "expires_at": moment_or_null(each.expires_at),
            }
            for each in sheet.secrets
        ],
    }


def verdict(found: Verdict) -> Shape:
    """Whether a signature holds, step by step."""
    return {
        "valid": found.valid,
        "reason": found.reason,
        "steps": [{"ok": step.ok, "text": step.text} for step in found.steps],
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
