"""The webhook form when somebody else saved meanwhile: what differs, side by side, and taking theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.web.forms import AUTH_SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.web.forms import WebhookForm

# What the table calls each setting, and the parts of the form that hold it. Secrets are shown nowhere, nor here.
SETTINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "preset": ("Preset", ("preset",)),
    "name": ("Name", ("name",)),
    "url": ("Webhook URL", ("url",)),
    "auth": ("Authentication", ("auth_type", "auth")),
    "events": ("Events", ("which_events", "events", "patterns")),
    "business_units": ("Business units", ("which_units", "units")),
    "owner": ("Owner", ("owner",)),
    "data_mode": ("Data", ("data_mode",)),
    "content_type": ("Content type", ("content_type",)),
    "extra_fields": ("Extra fields", ("extra_fields",)),
    "field_mapping": ("Field mapping", ("mapping", "only_mapped_fields")),
    "signature": ("Signing", ("scheme", "signature_header")),
    "verify_ssl": ("SSL verification", ("verify_ssl",)),
    "ca": ("Certificate authorities", ("ca",)),
    "timeout": ("Timeout", ("timeout",)),
    "delays": ("Waits between attempts", ("delays", "jitter")),
    "on_exhausted": ("After the last attempt", ("on_exhausted",)),
    "rate_limit": ("Rate limit", ("rate_limit",)),
    "max_in_flight": ("In flight", ("max_in_flight",)),
    "ordered": ("In order", ("ordered",)),
    "filter": ("Filter", ("filter",)),
    "success_codes": ("Success codes", ("success_codes",)),
    "headers": ("Own headers", ("headers",)),
    "alert_addresses": ("Alert addresses", ("alert_addresses",)),
}
WORDS = {
    "everything": "Everything",
    "status_only": "Only the status",
    "keep": "Keep it on",
    "disable": "Turn it off",
    "none": "None",
    "basic": "Basic",
    "bearer": "Bearer token",
    "header": "Own header",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that differs between what one is about to save and what is saved."""

    name: str
    label: str
    yours: str
    theirs: str


def differences(yours: WebhookForm, theirs: WebhookForm) -> list[Difference]:
    """Return what differs, in the order of the form."""
    found = []
    yours = yours if yours.owner else replace(yours, owner=theirs.owner)  # left empty, it stays who it is
    for name, (label, parts) in SETTINGS.items():
        mine, other = (tuple(_comparable(form, part) for part in parts) for form in (yours, theirs))
        if mine != other:
            found.append(Difference(name, label, _said(name, yours), _said(name, theirs)))
    return found


def taken(form: WebhookForm, theirs: WebhookForm, name: str) -> WebhookForm:
    """Return the form with one setting as it is saved."""
    _, parts = SETTINGS.get(name, ("", ()))
    return replace(form, **{part: getattr(theirs, part) for part in parts})


def _comparable(form: WebhookForm, part: str) -> Any:
    """A part of the form without what browsers add and what stands in no order."""
    value = getattr(form, part)
    if part == "auth":
        secret = AUTH_SECRETS.get(form.auth_type)
        return {name: text for name, text in value.items() if text and name != secret}
    if part in ("events", "patterns"):
        return frozenset(value) if form.which_events == "pick" else frozenset()
    if part == "units":
        return frozenset(value) if form.which_units == "only" else frozenset()
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _said(name: str, form: WebhookForm) -> str:
    """A setting in words."""
    if name == "events":
        return "All, including new ones" if form.which_events == "all" else ", ".join([*form.events, *form.patterns])
    if name == "business_units":
        return "All" if form.which_units != "only" else ", ".join(form.units)
    if name == "auth":
        named = form.auth.get("username" if form.auth_type == "basic" else "name", "")
        return f"{WORDS.get(form.auth_type, form.auth_type)} {named}".strip()
    if name == "field_mapping":
        rows = [f"{row.field} → {'left out' if row.leave_out else row.target}" for row in form.mapping]
        return "\n".join(rows + ["Mapped fields only"] * form.only_mapped_fields)
    if name == "delays":
        return f"{form.delays} (jitter {form.jitter} %)" if form.jitter != "0" else form.delays
    if name == "signature":
        return f"{WORDS.get(form.scheme, form.scheme)} {form.signature_header}".strip()
    if name == "timeout":
        return f"{form.timeout} s"
    value = getattr(form, SETTINGS[name][1][0])
    if isinstance(value, bool):
        return "On" if value else "Off"
    return ", ".join(value) if isinstance(value, tuple) else WORDS.get(value, str(value))
