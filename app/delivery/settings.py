"""What a delivery needs to know of its webhook, kept in memory by webhook until it changes."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select

from app.core import urls
from app.core.redaction import SECRET_HEADERS, is_secret_header
from app.core.shaping import Shape
from app.core.urls import Url, UrlError
from app.database import read
from app.delivery.bodies import one_of_a_kind
from app.delivery.installed import installed
from app.delivery.orders import DeliverySettings, Key
from app.models import Organization, Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from app.core.presets import Preset


_lock = threading.Lock()
_listeners: list[Callable[[int, int], None]] = []
_kept: dict[int, DeliverySettings] = {}
_changes = 0  # counts what was forgotten: what was loaded meanwhile may be out of date


def changes() -> int:
    """Return how often something was forgotten so far: what is loaded after that is at least as new."""
    return _changes


def listen(listener: Callable[[int, int], None]) -> None:
    """Call `listener(webhook_id, change)` with each webhook that is forgotten, in the thread that forgets it."""
    _listeners.append(listener)


def leave(listener: Callable[[int, int], None]) -> None:
    """Stop calling it."""
    if listener in _listeners:
        _listeners.remove(listener)


def forget(webhook_id: int) -> None:
    """Drop what is kept of a webhook, and tell who listens. Call it after the commit that changed it."""
    global _changes
    with _lock:
        _changes += 1
        change = _changes
        _kept.pop(webhook_id, None)
    for listener in _listeners:
        listener(webhook_id, change)


def forget_all() -> None:
    """Drop everything: another database is in use."""
    with _lock:
        _kept.clear()


def keep_only(versions: dict[int, int]) -> None:
    """Drop every kept webhook whose version has moved, as told by `versions` (webhook id: version)."""
    with _lock:
        moved = [each for each, version in versions.items() if each in _kept and _kept[each].version != version]
    for webhook_id in moved:
        forget(webhook_id)


def refresh() -> None:
    """Drop what another process has changed since it was kept: one small query."""
    with read() as session:
        versions = session.execute(select(Webhook.id, Webhook.version).where(Webhook.id.in_(list(_kept)))).all()
    keep_only({row.id: row.version for row in versions})


def of(webhook_id: int) -> DeliverySettings | None:
    """Return a webhook's settings, from memory or the database; None when it is gone."""
    kept = _kept.get(webhook_id)
    return kept or of_many([webhook_id]).get(webhook_id)


def of_many(webhook_ids: Collection[int]) -> dict[int, DeliverySettings]:
    """Return the settings of several webhooks with one round of queries, again if one was changed meanwhile."""
    while True:
        with _lock:
            found = {webhook_id: _kept[webhook_id] for webhook_id in webhook_ids if webhook_id in _kept}
            changes = _changes
        missing = [webhook_id for webhook_id in webhook_ids if webhook_id not in found]
        loaded = _load(missing) if missing else {}
        with _lock:
            if changes == _changes:
                _kept.update(loaded)
                return found | loaded


def _load(webhook_ids: list[int]) -> dict[int, DeliverySettings]:
    with read() as session:
        query = select(Webhook, Organization.public_id).join(Organization, Organization.id == Webhook.organization_id)
        rows = session.execute(query.where(Webhook.id.in_(webhook_ids), Webhook.deleted_at.is_(None)))
        return {webhook.id: settle(webhook, organization) for webhook, organization in rows}


def settle(webhook: Webhook, organization: str) -> DeliverySettings:
    """Return the settings of a webhook's row. Raises nothing: what can't be sent to is `blocked`."""
    surroundings = installed()
    preset = surroundings.presets.get(webhook.preset) or surroundings.presets["standard"]
    url, blocked = _address(webhook.url, preset)
    signs_in = authorization(webhook.auth)
    headers = tuple(orjson.loads(webhook.headers).items()) if webhook.headers else ()
    return DeliverySettings(
        webhook_id=webhook.id,
        public_id=webhook.public_id,
        organization_id=webhook.organization_id,
        organization=organization,
        version=webhook.version,
        edited_at=webhook.updated_at,
        is_on=webhook.enabled,
        is_paused=webhook.paused,
        url=url,
        url_text=webhook.url,
        blocked=blocked,
        own_inbox=url is not None and surroundings.is_own_inbox(url),
        preset=preset,
        shape=one_of_a_kind(
            Shape(
                data_mode=webhook.data_mode,
                extra_fields=tuple(webhook.extra_fields),
                field_mapping=tuple((str(field), target) for field, target in webhook.field_mapping),
                only_mapped_fields=webhook.only_mapped_fields,
                envelope=preset.envelope,
                content_type=webhook.content_type,
            )
        ),
        scheme=surroundings.schemes[webhook.scheme] if webhook.scheme else None,
        signature_header=webhook.signature_header,
        keys=tuple(Key(secret.secret, secret.expires_at) for secret in webhook.secrets),
        authorization=signs_in,
        headers=headers,
        retry=webhook.retry,
        success_codes=tuple(webhook.success_codes),
        rate_limit=webhook.rate_limit,
        max_in_flight=1 if webhook.ordered else webhook.max_in_flight,
        ordered=webhook.ordered,
        verify_ssl=webhook.verify_ssl,
        ca=webhook.ca.encode() if webhook.ca else None,
        client_certificate=webhook.client_certificate.encode() if webhook.client_certificate else None,
        secret_headers=SECRET_HEADERS
        | {name.lower() for name, _ in headers if is_secret_header(name)}
        | ({signs_in[0].lower()} if signs_in else frozenset()),
    )


def _address(text: str, preset: Preset) -> tuple[Url | None, str | None]:
    """Hold a stored URL against today's rules: rows older than a rule meet it when they are sent."""
    surroundings = installed()
    try:
        url = urls.parse(text)
    except UrlError as error:
        return None, str(error)
    if surroundings.is_own_inbox(url) and "https" not in preset.require:
        return url, None
    https_only = surroundings.settings.https_only or "https" in preset.require
    found = urls.problems(url, surroundings.allowed, https_only)
    return url, found[0] if found else None


def authorization(auth: str | None) -> tuple[str, str] | None:
    """Return the header that `auth` (JSON of the wire's shape) makes, or None for no authentication."""
    given = orjson.loads(auth) if auth else {"type": "none"}
    match given["type"]:
        case "basic":
            pair = f"{given.get('username') or ''}:{given.get('password') or ''}"
            return "Authorization", "Basic " + base64.b64encode(pair.encode()).decode()
        case "bearer":
            return "Authorization", f"Bearer {given['token']}"
        case "header":
            return given["name"], given["value"]
        case _:
            return None
