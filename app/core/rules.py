"""What a webhook may be: a draft held against its preset and this installation. Form and API show the same problems."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from app.core import filters, headers, urls
from app.core.encoding import ContentType
from app.core.redaction import MASK
from app.core.retry import Exhausted
from app.core.shaping import MOST_ROWS, DataMode, Shape, ShapeError, mapping_problems, shape
from app.core.texts import is_readable
from app.core.urls import Url, UrlError
from app.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from enum import StrEnum

    from app.core.addresses import Allowed
    from app.core.envelope import EventFacts
    from app.core.presets import Preset
    from app.core.schemes import Scheme

LONGEST_NAME = 100
LONGEST_TIMEOUT_S = 60
LONGEST_DELAY_S = 7 * 24 * 60 * 60
LARGEST_CA = 64 * 1024
MOST = {"events": 250, "business_units": 250, "extra_fields": 50, "success_codes": 20, "alert_addresses": 10}
MOST_DELAYS = 30
MOST_IN_FLIGHT = 256
HIGHEST_RATE = 1000

_PATTERN = re.compile(r"\*|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.\*")
_CODE = re.compile(r"[2-5]xx|[2-9][0-9]{2}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FRAMING_PREFIXES = ("postroom-", "proxy-", "sec-")
_AUTH_TYPES = ("none", "basic", "bearer", "header")


@dataclass(frozen=True, slots=True)
class Auth:
    """How a request signs in: `type` is none, basic, bearer or header; the rest is what that type needs."""

    type: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    name: str | None = None
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Every setting of a webhook as somebody would like it, by the API's names; `scheme` None: not signed."""

    name: str
    url: str
    preset: str
    events: tuple[str, ...]
    business_units: tuple[str, ...]
    auth: Auth
    content_type: str
    verify_ssl: bool
    data_mode: str
    extra_fields: tuple[str, ...]
    field_mapping: tuple[tuple[str, str | None], ...]
    only_mapped_fields: bool
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    filter: str | None
    scheme: str | None
    signature_header: str | None
    delays_s: tuple[float, ...]
    timeout_s: float
    jitter: float
    on_exhausted: str
    rate_limit: float | None
    max_in_flight: int
    ordered: bool
    success_codes: tuple[str, ...]
    ca: str | None
    alert_addresses: tuple[str, ...]


def problems(
    draft: Draft,
    preset: Preset,
    allowed: Allowed,
    https_only: bool,
    *,
    known_types: Collection[str],
    known_units: Collection[str],
    own_inbox: bool,
    samples: Sequence[EventFacts],
    chosen: frozenset[str],
    schemes: Mapping[str, Scheme] | None = None,
    own: Url | None = None,
) -> list[Problem]:
    """Return everything that keeps a draft from being saved, by the API's field names; empty: it can be.

    `own_inbox`: the URL is one of this server's test inboxes, which may lie at a private address. `samples` are
    events that the draft selects: their bodies are made once. `chosen` names the settings that somebody gave,
    because a preset can demand a choice. `schemes` are the signature schemes there are, where the caller has them;
    `own` is this server's base URL, which is no receiver but for its inboxes.
    """
    return [
        *_name(draft.name),
        *_url(draft.url, preset, allowed, https_only, own_inbox=own_inbox, own=own),
        *_auth(draft.auth),
        *_events(draft.events, known_types),
        *_units(draft.business_units, known_units, preset),
        *_words(draft, preset, chosen),
        *_lists(draft),
        *_mapping(draft, preset, samples),
        *_headers(draft, preset, schemes or {}),
        *_signature(draft, preset, schemes),
        *_filter(draft.filter),
        *_pace(draft),
        *_ca(draft.ca),
    ]


def _name(name: str) -> Iterator[Problem]:
    if not name.strip():
        yield Problem("name", "Give the webhook a name.")
    elif len(name) > LONGEST_NAME:
        yield Problem("name", f"A name can have {LONGEST_NAME} characters.")
    elif not is_readable(name):
        yield Problem("name", "The name contains a character that can't be seen. Type it anew.")


def _url(
    text: str, preset: Preset, allowed: Allowed, https_only: bool, *, own_inbox: bool, own: Url | None
) -> Iterator[Problem]:
    try:
        url = urls.parse(text)
    except UrlError as error:
        yield Problem("url", str(error))
        return
    insists = preset.require.get("https")
    if insists is not None and not url.is_https:
        yield Problem("url", insists)
    if own_inbox:
        return
    if own is not None and (url.host, url.port) == (own.host, own.port):
        yield Problem("url", "This is the server itself. Use its test inbox, or the URL of the receiver.")
        return
    for message in urls.problems(url, allowed, https_only and insists is None):
        yield Problem("url", message)


def _auth(auth: Auth) -> Iterator[Problem]:
    """RFC 7617 for basic; tokens and values follow the header rules. A masked secret is judged where it is kept."""
    if auth.type not in _AUTH_TYPES:
        yield Problem("auth.type", _choose(_AUTH_TYPES))
    elif auth.type == "basic":
        yield from _basic(auth)
    elif auth.type == "bearer":
        yield from _secret("auth.token", auth.token, "Enter the token.", "Bearer ")
    elif auth.type == "header":
        name = auth.name or ""
        problem = headers.name_problem(name)
        if problem is None and name.lower() != "authorization":
            problem = headers.reserved_problem(name, ())
        if problem is not None:
            yield Problem("auth.name", problem)
        yield from _secret("auth.value", auth.value, "Enter the header's value.", "")


def _basic(auth: Auth) -> Iterator[Problem]:
    username, password = auth.username or "", auth.password or ""
    if ":" in username:
        yield Problem("auth.username", "The user name can't contain a colon.")
    for name, text in (("username", username), ("password", password)):
        if _CONTROL.search(text):
            yield Problem(f"auth.{name}", "It contains a character that can't be seen. Type it anew.")
        elif len(text) > 255:
            yield Problem(f"auth.{name}", "It can have 255 characters.")


def _secret(name: str, value: str | None, wanted: str, before: str) -> Iterator[Problem]:
    if not value:
        yield Problem(name, wanted)
    elif value != MASK and (problem := headers.value_problem(value) or headers.value_problem(before + value)):
        yield Problem(name, problem)


def _events(events: Sequence[str], known: Collection[str]) -> Iterator[Problem]:
    if not events:
        yield Problem("events", "Pick at least one event type, or choose All.")
    for event in events:
        if event not in known and _PATTERN.fullmatch(event) is None:
            yield Problem("events", f"There is no event type {event[:80]}.")


def _units(units: Sequence[str], known: Collection[str], preset: Preset) -> Iterator[Problem]:
    if not units and "business_units" in preset.require:
        yield Problem("business_units", preset.require["business_units"])
    for unit in units:
        if unit not in known:
            yield Problem("business_units", f"There is no business unit {unit[:80]}.")


def _words(draft: Draft, preset: Preset, chosen: frozenset[str]) -> Iterator[Problem]:
    """The settings that are one of a few words."""
    if "content_type" in preset.require and "content_type" not in chosen:
        yield Problem("content_type", preset.require["content_type"])
    words: tuple[tuple[str, str, type[StrEnum]], ...] = (
        ("content_type", draft.content_type, ContentType),
        ("data_mode", draft.data_mode, DataMode),
        ("retry.on_exhausted", draft.on_exhausted, Exhausted),
    )
    for name, word, known in words:
        if word not in list(known):
            yield Problem(name, _choose(list(known)))


def _lists(draft: Draft) -> Iterator[Problem]:
    for name, most in MOST.items():
        if len(getattr(draft, name)) > most:
            yield Problem(name, f"There can be {most} of them.")
    for extra in draft.extra_fields:
        if not extra.strip() or len(extra) > 100 or not extra.isprintable():
            yield Problem("extra_fields", "A field's name has 1 to 100 characters, all of them visible.")
            break
    if not draft.success_codes:
        yield Problem("success_codes", "Name at least one, for example 2xx.")
    for code in draft.success_codes:
        if _CODE.fullmatch(code) is None:
            yield Problem("success_codes", f"{code[:20]} is no status. Write 2xx for a class, or 202 for one.")
    for address in draft.alert_addresses:
        if len(address) > 254 or _ADDRESS.fullmatch(address) is None:
            yield Problem("alert_addresses", f"{address[:80]} is no mail address.")


def _mapping(draft: Draft, preset: Preset, samples: Sequence[EventFacts]) -> Iterator[Problem]:
    rows = draft.field_mapping[: MOST_ROWS + 1]
    wrong = mapping_problems(rows, preset.envelope)
    for row, part, message in wrong:
        yield Problem(f"field_mapping[{row}].{part}", message)
    if wrong or draft.content_type not in list(ContentType) or draft.data_mode not in list(DataMode):
        return
    wanted = Shape(
        data_mode=DataMode(draft.data_mode),
        extra_fields=draft.extra_fields,
        field_mapping=rows,
        only_mapped_fields=draft.only_mapped_fields,
        envelope=preset.envelope,
        content_type=ContentType(draft.content_type),
    )
    told = set()
    for sample in samples:
        try:
            shape(sample, wanted, sample.occurred_at)
        except ShapeError as error:
            problem = Problem(_row_of(error.path, rows), error.message)
            if problem not in told:
                told.add(problem)
                yield problem


def _row_of(path: str, rows: Sequence[tuple[str, str | None]]) -> str:
    """The form's name for the cell whose path leads through `path`."""
    for part in (0, 1):
        for row, cells in enumerate(rows):
            if f"{cells[part] or ''}.".startswith(f"{path}."):
                return f"field_mapping[{row}].{('field', 'property')[part]}"
    return "field_mapping"


def _headers(draft: Draft, preset: Preset, schemes: Mapping[str, Scheme]) -> Iterator[Problem]:
    scheme = schemes.get(draft.scheme or "")
    taken = {
        *(name.lower() for name, _ in preset.headers),
        *(name.lower() for name in (scheme.header_names if scheme else ())),
        *([draft.signature_header.lower()] if draft.scheme and draft.signature_header else []),
    }
    yield from headers.problems(draft.headers, taken)
    if draft.auth.type == "header" and draft.auth.name:
        own = draft.auth.name.lower()
        if own in taken and headers.reserved_problem(own, ()) is None:
            yield Problem("auth.name", f"{draft.auth.name} is set by Postroom.")
        if any(name.lower() == own for name, _ in draft.headers):
            yield Problem("headers", f"{draft.auth.name} is sent by Authentication already.")


def _signature(draft: Draft, preset: Preset, schemes: Mapping[str, Scheme] | None) -> Iterator[Problem]:
    if draft.scheme is None:
        return
    scheme = None if schemes is None else schemes.get(draft.scheme)
    if schemes is not None and scheme is None:
        yield Problem("signature.scheme", _choose([*schemes, "none"]))
        return
    name = draft.signature_header
    if name is None:
        if scheme is not None and scheme.header is None:
            yield Problem("signature.header", "Name the header that carries the signature.")
        return
    lowered = name.lower()
    beside = {other.lower() for other, _ in scheme.headers} if scheme else set()
    framing = lowered in headers.RESERVED or lowered.startswith(_FRAMING_PREFIXES)
    is_sent = lowered in beside or lowered in {other.lower() for other, _ in preset.headers}
    if problem := headers.name_problem(name):
        yield Problem("signature.header", problem)
    elif framing or is_sent:
        yield Problem("signature.header", f"{name} can't carry the signature; choose another name.")


def _filter(expression: str | None) -> Iterator[Problem]:
    if expression is not None and (problem := filters.problem(expression)):
        yield Problem("filter", problem)


def _pace(draft: Draft) -> Iterator[Problem]:
    """Numbers. Each comparison is so written that NaN fails it."""
    if not 1 <= draft.timeout_s <= LONGEST_TIMEOUT_S:
        yield Problem("retry.timeout", f"The timeout is 1 to {LONGEST_TIMEOUT_S} seconds.")
    if len(draft.delays_s) > MOST_DELAYS:
        yield Problem("retry.delays", f"There can be {MOST_DELAYS} of them.")
    for index, delay in enumerate(draft.delays_s[:MOST_DELAYS]):
        if not 0 <= delay <= LONGEST_DELAY_S:
            yield Problem(f"retry.delays[{index}]", "A wait is 0 seconds to 7 days.")
    if not 0 <= draft.jitter <= 1:
        yield Problem("retry.jitter", "The jitter is 0 to 1.")
    if draft.rate_limit is not None and not 0.01 <= draft.rate_limit <= HIGHEST_RATE:
        yield Problem("rate_limit", f"The rate limit is 0.01 to {HIGHEST_RATE:,} requests a second, or none.")
    if not 1 <= draft.max_in_flight <= MOST_IN_FLIGHT:
        yield Problem("max_in_flight", f"1 to {MOST_IN_FLIGHT} requests can be in flight.")


def _ca(text: str | None) -> Iterator[Problem]:
    if text is None:
        return
    if len(text) > LARGEST_CA:
        yield Problem("ca", "The certificates are larger than 64 KiB.")
        return
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        yield Problem("ca", "This is no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----.")


def _choose(words: Sequence[str]) -> str:
    return f"Choose one of: {', '.join(words)}."
