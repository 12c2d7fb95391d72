"""A webhook's settings as they are given on the wire: read into a draft, held against the rules, written to the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from app.core import rules, urls
from app.core.access import Permission
from app.core.encoding import ContentType
from app.core.redaction import MASK, is_secret_header
from app.core.retry import Exhausted
from app.core.rules import Auth, Draft
from app.core.shaping import DataMode, EventFacts
from app.core.urls import UrlError
from app.delivery.installed import installed
from app.errors import Invalid, Problem
from app.models import BusinessUnit, EventType, Webhook, WebhookPattern

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.core.presets import Preset
    from app.services.scope import Actor

Given = Mapping[str, Any]

_DEFAULTS: dict[str, Any] = {
    "name": "",
    "url": "",
    "events": ["*"],
    "business_units": [],
    "auth": {"type": "none"},
    "content_type": "application/json",
    "verify_ssl": True,
    "data_mode": "everything",
    "extra_fields": [],
    "field_mapping": [],
    "only_mapped_fields": False,
    "headers": {},
    "filter": None,
    "rate_limit": None,
    "max_in_flight": 4,
    "ordered": False,
    "success_codes": ["2xx"],
    "ca": None,
    "client_certificate": None,
    "alert_addresses": [],
}
_AUTH_SECRETS = {"basic": "password", "bearer": "token", "header": "value"}


@dataclass(frozen=True, slots=True)
class Settled:
    """Settings that passed every rule: the draft, the business units' rows, and the wire's shape of it all."""

    draft: Draft
    units: list[BusinessUnit]
    values: dict[str, Any]
    types: Sequence[EventType]  # all there are, by the way


def presets(actor: Actor) -> list[Preset]:
    """Return the presets there are, in the order in which they are offered."""
    actor.require(Permission.WEBHOOKS)
    return list(installed().presets.values())


def preset_named(name: str) -> Preset:
    """Return a preset. Raises `Invalid` for an unknown one."""
    presets = installed().presets
    if name not in presets:
        raise Invalid([Problem("preset", f"There is no preset {name}. Choose one of: {', '.join(presets)}.")])
    return presets[name]


def defaults_of(preset: Preset) -> dict[str, Any]:
    """Return every setting as this preset fills it in, in the wire's shape."""
    retry = preset.retry
    return {
        **_DEFAULTS,
        "preset": preset.name,
        "signature": {"scheme": preset.scheme or "none", "header": preset.signature_header},
        "retry": {
            "delays": [_seconds(delay) for delay in retry.delays_ms],
            "timeout": _seconds(retry.timeout_ms),
            "jitter": retry.jitter,
            "on_exhausted": retry.on_exhausted.value,
        },
        **preset.defaults,
    }


@dataclass(frozen=True, slots=True)
class Selection:
    """What a webhook selects, in order: patterns of event types, external ids of business units."""

    events: list[str]
    units: list[str]


def shown(webhook: Webhook, selection: Selection | None = None) -> dict[str, Any]:
    """Return a webhook's settings in the wire's shape, secrets masked; `selection` spares asking for that."""
    if selection is None:
        selection = Selection(webhook.events, sorted(unit.external_id for unit in webhook.units))
    return {
        "name": webhook.name,
        "url": webhook.url,
        "preset": webhook.preset,
        "events": selection.events,
        "business_units": selection.units,
        "owner": webhook.owner.user.email if webhook.owner else None,
        "auth": _masked(orjson.loads(webhook.auth) if webhook.auth else {"type": "none"}),
        "content_type": webhook.content_type.value,
        "verify_ssl": webhook.verify_ssl,
        "data_mode": webhook.data_mode.value,
        "extra_fields": list(webhook.extra_fields),
        "field_mapping": [{"field": field, "property": target} for field, target in webhook.field_mapping],
        "only_mapped_fields": webhook.only_mapped_fields,
        "headers": {
            name: MASK if value and is_secret_header(name) else value
            for name, value in _stored_headers(webhook).items()
        },
        "filter": webhook.filter,
        "signature": {"scheme": webhook.scheme or "none", "header": webhook.signature_header},
        "retry": {
            "delays": [_seconds(delay) for delay in webhook.delays_ms],
            "timeout": _seconds(webhook.timeout_ms),
            "jitter": webhook.jitter,
            "on_exhausted": webhook.on_exhausted.value,
        },
        "rate_limit": webhook.rate_limit,
        "max_in_flight": webhook.max_in_flight,
        "ordered": webhook.ordered,
        "success_codes": list(webhook.success_codes),
        "ca": webhook.ca,
        "client_certificate": MASK if webhook.client_certificate else None,
        "alert_addresses": list(webhook.alert_addresses),
    }


def settle(session: Session, actor: Actor, given: Given, webhook: Webhook | None) -> Settled:
    """Fill in what isn't given (from the row, else from the preset) and hold it all against the rules.

    Raises `Invalid` with every problem there is.
    """
    preset = preset_named(given.get("preset") or (webhook.preset if webhook else "standard"))
    chosen = Selection([], []) if given.keys() >= {"events", "business_units"} else None  # given anew: not asked for
    values = _merged(shown(webhook, chosen) if webhook else defaults_of(preset), given)
    values["preset"] = preset.name
    values["auth"], again = _unmasked(values["auth"], webhook, values["url"])
    values["headers"], headers_again = _unmasked_headers(values["headers"], webhook, values["url"])
    if values["client_certificate"] == MASK:
        values["client_certificate"] = webhook.client_certificate if webhook else None
    draft = _draft(values)
    units = _units(session, actor, draft.business_units)
    types = session.scalars(select(EventType).where(EventType.organization_id == actor.organization_id)).all()
    found = rules.problems(
        draft,
        preset,
        installed().allowed,
        installed().settings.https_only,
        known_types=_names(types),
        known_units={unit.external_id for unit in units},
        own_inbox=_is_own_inbox(draft.url),
        samples=[_sample(kind) for kind in types if _selects(draft, kind)][:20],
        chosen=frozenset(given) if webhook is None else frozenset(values),
        schemes=installed().schemes,
        own=installed().base,
    )
    if again or headers_again or found:
        raise Invalid([*found, *again, *headers_again])
    return Settled(draft, units, values, types)


def write_to(webhook: Webhook, settled: Settled) -> None:
    """Write settled settings to the row."""
    draft, values = settled.draft, settled.values
    webhook.name, webhook.preset = draft.name, draft.preset
    webhook.url = urls.parse(draft.url).text
    webhook.content_type = ContentType(draft.content_type)
    webhook.verify_ssl = draft.verify_ssl
    webhook.data_mode = DataMode(draft.data_mode)
    webhook.extra_fields = list(draft.extra_fields)
    webhook.field_mapping = [[field, target] for field, target in draft.field_mapping]
    webhook.only_mapped_fields = draft.only_mapped_fields
    webhook.auth = None if values["auth"]["type"] == "none" else orjson.dumps(values["auth"]).decode()
    webhook.headers = orjson.dumps(dict(draft.headers)).decode() if draft.headers else None
    webhook.filter = draft.filter or None
    webhook.scheme, webhook.signature_header = draft.scheme, draft.signature_header
    webhook.delays_ms = [round(delay * 1000) for delay in draft.delays_s]
    webhook.timeout_ms = round(draft.timeout_s * 1000)
    webhook.jitter, webhook.on_exhausted = draft.jitter, Exhausted(draft.on_exhausted)
    webhook.rate_limit, webhook.max_in_flight, webhook.ordered = draft.rate_limit, draft.max_in_flight, draft.ordered
    webhook.success_codes = list(draft.success_codes)
    webhook.ca, webhook.client_certificate = draft.ca, values["client_certificate"]
    webhook.alert_addresses = list(draft.alert_addresses)
    webhook.units = settled.units
    wanted = set(draft.events)
    webhook.patterns = [row for row in webhook.patterns if row.pattern in wanted]
    present = {row.pattern for row in webhook.patterns}
    webhook.patterns += [
        WebhookPattern(pattern=pattern, organization_id=webhook.organization_id) for pattern in sorted(wanted - present)
    ]


def _merged(base: dict[str, Any], given: Given) -> dict[str, Any]:
    """`signature` and `retry` are merged by member, so that a change of one keeps the others."""
    merged = dict(base)
    for name, value in given.items():
        if name in {"signature", "retry"} and isinstance(value, Mapping):
            merged[name] = {**base[name], **value}
        else:
            merged[name] = value
    return merged


def _unmasked(auth: Given, webhook: Webhook | None, url: str) -> tuple[dict[str, Any], list[Problem]]:
    """Put back a stored secret that came masked; a changed host has to be given it again."""
    auth = {name: value for name, value in auth.items() if value is not None}
    secret = _AUTH_SECRETS.get(auth.get("type", "none"))
    stored = orjson.loads(webhook.auth) if webhook is not None and webhook.auth else {}
    if secret is None or auth.get(secret, MASK) != MASK or stored.get("type") != auth["type"]:
        if secret is not None and auth.get(secret) == MASK:
            auth.pop(secret)
        return auth, []
    assert webhook is not None
    if _host(url) != _host(webhook.url):
        return auth, [Problem(f"auth.{secret}", f"The URL points to a new host, so enter the {secret} again.")]
    return {**auth, secret: stored.get(secret)}, []


def _stored_headers(webhook: Webhook | None) -> dict[str, str]:
    return dict(orjson.loads(webhook.headers)) if webhook is not None and webhook.headers else {}


def _unmasked_headers(headers: Given, webhook: Webhook | None, url: str) -> tuple[dict[str, Any], list[Problem]]:
    """Put back the stored values of secret headers that came masked; a changed host has to be given them again."""
    stored = {name.lower(): value for name, value in _stored_headers(webhook).items()}
    kept = [name for name, value in headers.items() if value == MASK and name.lower() in stored]
    found = {**headers, **{name: stored[name.lower()] for name in kept}}
    if webhook is None or not kept or _host(url) == _host(webhook.url):
        return found, []
    return found, [Problem("headers", f"The URL points to a new host, so enter {name} again.") for name in kept]


def _masked(auth: dict[str, Any]) -> dict[str, Any]:
    secret = _AUTH_SECRETS.get(auth["type"])
    return {**auth, secret: MASK} if secret and auth.get(secret) else auth


def _host(url: str) -> object:
    try:
        return urls.parse(url).origin
    except UrlError:
        return url


def _draft(values: Given) -> Draft:
    auth = values["auth"]
    signature, retry = values["signature"], values["retry"]
    return Draft(
        name=values["name"].strip(),
        url=values["url"].strip(),
        preset=values["preset"],
        events=tuple(dict.fromkeys(values["events"])),
        business_units=tuple(dict.fromkeys(values["business_units"])),
        auth=Auth(**auth),
        content_type=values["content_type"],
        verify_ssl=values["verify_ssl"],
        data_mode=values["data_mode"],
        extra_fields=tuple(dict.fromkeys(values["extra_fields"])),
        field_mapping=tuple((row["field"], row["property"]) for row in values["field_mapping"]),
        only_mapped_fields=values["only_mapped_fields"],
        headers=tuple(values["headers"].items()),
        filter=values["filter"] or None,
        scheme=None if signature["scheme"] in (None, "none") else signature["scheme"],
        signature_header=signature["header"] or None,
        delays_s=tuple(retry["delays"]),
        timeout_s=retry["timeout"],
        jitter=retry["jitter"],
        on_exhausted=retry["on_exhausted"],
        rate_limit=values["rate_limit"],
        max_in_flight=values["max_in_flight"],
        ordered=values["ordered"],
        success_codes=tuple(values["success_codes"]),
        ca=values["ca"] or None,
        alert_addresses=tuple(values["alert_addresses"]),
    )


def _units(session: Session, actor: Actor, names: tuple[str, ...]) -> list[BusinessUnit]:
    query = select(BusinessUnit).where(
        BusinessUnit.organization_id == actor.organization_id, BusinessUnit.external_id.in_(names)
    )
    return list(session.scalars(query)) if names else []


def _names(types: Any) -> set[str]:
    return {name for kind in types for name in (kind.name, kind.public_name) if name}


def _selects(draft: Draft, kind: EventType) -> bool:
    from app.core.routing import patterns_for

    return bool(set(draft.events).intersection(patterns_for(kind.name)))


def _is_own_inbox(url: str) -> bool:
    try:
        return installed().is_own_inbox(urls.parse(url))
    except UrlError:
        return False


def _sample(kind: EventType) -> EventFacts:
    return EventFacts(
        id="evt_00000000000000000000000000",
        type=kind.name,
        created_at=0,
        occurred_at=0,
        data=bytes(kind.example),
        organization_id="org_00000000000000000000000000",
        webhook_id="whk_00000000000000000000000000",
        delivery_id="dlv_00000000000000000000000000",
    )


def _seconds(ms: int) -> float | int:
    return ms // 1000 if ms % 1000 == 0 else ms / 1000
