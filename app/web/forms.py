"""The webhook form: what its controls hold, and the wire's shape of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.core.redaction import MASK
from app.errors import Problem
from app.web.waits import ladder, plain, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from werkzeug.datastructures import MultiDict

Given = dict[str, Any]

AUTH_TYPES = ("none", "basic", "bearer", "header")
AUTH_PARTS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "header": ("name", "value"),
}
AUTH_SECRETS = {"basic": "password", "bearer": "token", "header": "value"}
ALL = ("*",)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the field mapping."""

    field: str = ""
    target: str = ""
    leave_out: bool = False


@dataclass(frozen=True, slots=True)
class WebhookForm:
    """What the controls hold, as texts, so that nothing typed is lost when it can't be used."""

    preset: str = "standard"
    name: str = ""
    url: str = ""
    auth_type: str = "none"
    auth: Mapping[str, str] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()
    """Which secrets the webhook has already; they are never shown."""
    which_events: str = "all"
    events: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    which_units: str = "all"
    units: tuple[str, ...] = ()
    owner: str = ""
    data_mode: str = "everything"
    content_type: str = "application/json"
    extra_fields: tuple[str, ...] = ()
    mapping: tuple[Row, ...] = ()
    only_mapped_fields: bool = False
    scheme: str = "none"
    signature_header: str = ""
    secret: str = ""
    verify_ssl: bool = True
    ca: str = ""
    client_certificate: str = ""
    timeout: str = "15"
    delays: str = ""
    jitter: str = "0"
    on_exhausted: str = "keep"
    rate_limit: str = ""
    max_in_flight: str = "4"
    ordered: bool = False
    filter: str = ""
    success_codes: str = "2xx"
    headers: str = ""
    alert_addresses: str = ""
    version: str = ""

    @property
    def tries(self) -> int | None:
        """How many attempts the delays make; None while they can't be read."""
        found = seconds_of(self.delays)
        return None if found is None else len(found) + 1


# --- between the controls and the wire


def shown(settings: Mapping[str, Any], *, version: int | None = None, asks_units: bool = False) -> WebhookForm:
    """Return the form of settings in the wire's shape. `asks_units`: neither choice of units is made beforehand."""
    auth, retry = settings["auth"], settings["retry"]
    secret = AUTH_SECRETS.get(auth["type"])
    patterns = tuple(name for name in settings["events"] if name.endswith(".*"))
    units = tuple(settings["business_units"])
    return WebhookForm(
        preset=settings["preset"],
        name=settings["name"],
        url=settings["url"],
        auth_type=auth["type"],
        auth={name: value or "" for name, value in auth.items() if name not in ("type", secret)},
        stored=frozenset(
            ([f"auth.{secret}"] if secret and auth.get(secret) else [])
            + (["client_certificate"] if settings["client_certificate"] else [])
        ),
        which_events="all" if tuple(settings["events"]) == ALL else "pick",
        events=tuple(name for name in settings["events"] if name not in (*ALL, *patterns)),
        patterns=patterns,
        which_units="only" if units else "" if asks_units else "all",
        units=units,
        owner=settings.get("owner") or "",
        data_mode=settings["data_mode"],
        content_type=settings["content_type"],
        extra_fields=tuple(settings["extra_fields"]),
        mapping=tuple(
            Row(row["field"], row["property"] or "", row["property"] is None) for row in settings["field_mapping"]
        ),
        only_mapped_fields=settings["only_mapped_fields"],
        scheme=settings["signature"]["scheme"] or "none",
        signature_header=settings["signature"]["header"] or "",
        verify_ssl=settings["verify_ssl"],
        ca=settings["ca"] or "",
        timeout=plain(retry["timeout"]),
        delays=ladder(retry["delays"]),
        jitter=plain(retry["jitter"] * 100),
        on_exhausted=retry["on_exhausted"],
        rate_limit="" if settings["rate_limit"] is None else plain(settings["rate_limit"]),
        max_in_flight=str(settings["max_in_flight"]),
        ordered=settings["ordered"],
        filter=settings["filter"] or "",
        success_codes=", ".join(settings["success_codes"]),
        headers="\n".join(f"{name}: {value}" for name, value in settings["headers"].items()),
        alert_addresses=", ".join(settings["alert_addresses"]),
        version="" if version is None else str(version),
    )


def read(posted: MultiDict[str, str], stored: frozenset[str] = frozenset()) -> WebhookForm:
    """Return the form as it was posted. `stored`: the secrets that the webhook has already."""
    texts: dict[str, Any] = {name: posted.get(name, "").strip() for name in _TEXTS}
    return WebhookForm(
        **texts,
        events=_items(posted.getlist("events")),
        units=_items(posted.getlist("units")),
        patterns=_items([*posted.getlist("patterns"), posted.get("new_pattern", "")]),
        extra_fields=_items([*posted.getlist("extra_fields"), *posted.get("new_field", "").split(",")]),
        only_mapped_fields="only_mapped_fields" in posted,
        ordered="ordered" in posted,
        verify_ssl=posted.get("verify_ssl") != "off",
        auth={name: posted.get(f"auth.{name}", "") for name in _AUTH_NAMES},
        mapping=_rows(posted),
        stored=stored,
    )


_AUTH_NAMES = ("username", "password", "token", "name", "value")
_TEXTS = [
    "preset",
    "name",
    "url",
    "auth_type",
    "which_events",
    "which_units",
    "owner",
    "data_mode",
    "content_type",
    "scheme",
    "signature_header",
    "secret",
    "ca",
    "client_certificate",
    "timeout",
    "delays",
    "jitter",
    "on_exhausted",
    "rate_limit",
    "max_in_flight",
    "filter",
    "success_codes",
    "headers",
    "alert_addresses",
    "version",
]


def _items(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _rows(posted: MultiDict[str, str]) -> tuple[Row, ...]:
    fields, targets = posted.getlist("mapping_field"), posted.getlist("mapping_property")
    left_out = set(posted.getlist("mapping_leave"))
    pairs = zip(fields, targets, strict=False)
    return tuple(
        Row(name.strip(), target.strip(), str(number) in left_out) for number, (name, target) in enumerate(pairs)
    )


def given(form: WebhookForm) -> tuple[Given, list[Problem]]:
    """Return the form in the wire's shape, and what of it can't even be read."""
    problems: list[Problem] = []
    wire: Given = {
        "preset": form.preset,
        "name": form.name,
        "url": form.url,
        "auth": _auth(form),
        "events": list(ALL) if form.which_events == "all" else [*form.events, *form.patterns],
        "business_units": list(form.units) if form.which_units == "only" else [],
        "data_mode": form.data_mode,
        "extra_fields": list(form.extra_fields),
        "field_mapping": [
            {"field": row.field, "property": None if row.leave_out else row.target}
            for row in form.mapping
            if row.field or row.target
        ],
        "only_mapped_fields": form.only_mapped_fields,
        "signature": {"scheme": form.scheme, "header": form.signature_header or None},
        "verify_ssl": form.verify_ssl,
        "ca": form.ca or None,
        "retry": _retry(form, problems),
        "rate_limit": _float(form.rate_limit, "rate_limit", problems) if form.rate_limit else None,
        "max_in_flight": _whole(form.max_in_flight, "max_in_flight", problems),
        "ordered": form.ordered,
        "filter": form.filter or None,
        "success_codes": _words(form.success_codes),
        "headers": _headers(form.headers, problems),
        "alert_addresses": _words(form.alert_addresses),
    }
    if form.which_units == "only" and not form.units:
        problems.append(Problem("business_units", "Choose at least one business unit."))
    if form.content_type:
        wire["content_type"] = form.content_type
    if form.owner:
        wire["owner"] = form.owner
    if form.secret:
        wire["secret"] = form.secret
    if form.client_certificate:
        wire["client_certificate"] = form.client_certificate
    elif "client_certificate" in form.stored:
        wire["client_certificate"] = MASK
    return wire, problems


def _auth(form: WebhookForm) -> Given:
    """A secret that was left empty stays the stored one."""
    parts = {name: form.auth.get(name, "") for name in AUTH_PARTS.get(form.auth_type, ())}
    secret = AUTH_SECRETS.get(form.auth_type)
    if secret and not parts[secret] and f"auth.{secret}" in form.stored:
        parts[secret] = MASK
    return {"type": form.auth_type or "none", **parts}


def _retry(form: WebhookForm, problems: list[Problem]) -> Given:
    delays = seconds_of(form.delays)
    if delays is None:
        problems.append(Problem("retry.delays", "Write waits such as 5 s, 5 min, 2 h, parted by commas."))
    jitter = _float(form.jitter, "retry.jitter", problems)
    return {
        "timeout": _float(form.timeout, "retry.timeout", problems),
        "delays": delays or [],
        "jitter": jitter / 100,
        "on_exhausted": form.on_exhausted,
    }


NUMBERS = {
    "retry.timeout": "Write the timeout as a number of seconds.",
    "retry.jitter": "Write the spread as a number of percent.",
    "rate_limit": "Write the requests a second as a number, or leave it empty.",
    "max_in_flight": "Write how many may be sent at the same time as a whole number.",
}


def _float(text: str, name: str, problems: list[Problem]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1e9:  # also false for "nan" and "inf", which float() reads
        problems.append(Problem(name, NUMBERS[name]))
        return 1
    return int(value) if value.is_integer() else value


def _whole(text: str, name: str, problems: list[Problem]) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        problems.append(Problem(name, NUMBERS[name]))
        return 1
    return int(text)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def _headers(text: str, problems: list[Problem]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon:
            problems.append(Problem("headers", f"Write a colon between name and value: {line[:40]}"))
        elif name.strip() in found:
            problems.append(Problem("headers", f"{name.strip()[:40]} is there twice."))
        found[name.strip()] = value.strip()
    return found
