"""Presets: how a family of receivers wants its webhooks. Read from TOML; nothing here knows any of them by name.

The tables of a preset file:

    title, summary, order   the card: its name, a sentence, its place
    [envelope]              members around the selection, in order; without it the selection is the body
    [headers]               name = text with placeholders; a Content-Type here holds while the body is JSON
    [signature]             scheme, a table of signatures.toml; header, when it isn't the scheme's own
    [retry]                 timeout and delays in seconds, jitter from 0 to 1, on_exhausted = "keep" or "disable"
    [require]               https, business_units, content_type = the sentence that says why it is insisted on
    [defaults]              any setting of a webhook, as the API calls it
    [ask]                   password = the label under which the form asks for a basic password alone
    [test]                  type and data of the test event
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.core import vocabulary
from app.core.envelope import TemplateError, TextTemplate, compile_envelope, compile_text
from app.core.headers import name_problem
from app.core.retry import Exhausted, RetryPolicy
from app.core.vocabulary import DataFileError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from app.core.envelope import Template
    from app.core.schemes import Scheme
    from app.core.vocabulary import Table

__all__ = ["DataFileError", "Preset", "load_presets"]

REQUIRABLE = ("https", "business_units", "content_type")
"""What a preset can insist on: that the URL is https, or that these two are chosen rather than left as they are."""

DEFAULTABLE: Mapping[str, type[object]] = MappingProxyType(
    {
        "events": list,
        "business_units": list,
        "auth": dict,
        "content_type": str,
        "verify_ssl": bool,
        "data_mode": str,
        "extra_fields": list,
        "field_mapping": list,
        "only_mapped_fields": bool,
        "headers": dict,
        "filter": str,
        "rate_limit": float,
        "max_in_flight": int,
        "ordered": bool,
        "success_codes": list,
    }
)
"""The webhook settings a preset may fill in, as the API calls them."""

_TOP = ("title", "summary", "order", "envelope", "headers", "signature", "retry", "require", "defaults", "ask", "test")
_RETRY = ("timeout", "delays", "jitter", "on_exhausted")
_ASKABLE = ("password",)


@dataclass(frozen=True, slots=True)
class Preset:
    """What a new webhook starts with, and what is put around its data.

    `envelope` None: the selection is the body. `scheme` None: nothing is signed. `require` says for each thing that
    is insisted on why. `ask` holds the label under which the form asks for a basic password alone.
    """

    name: str
    title: str
    summary: str
    order: int
    envelope: Template | None
    headers: tuple[tuple[str, TextTemplate], ...]
    scheme: str | None
    signature_header: str | None
    retry: RetryPolicy
    require: Mapping[str, str]
    defaults: Mapping[str, object]
    test_type: str
    test_data: bytes
    ask: Mapping[str, str]


def load_presets(files: Iterable[tuple[str, bytes]], schemes: Mapping[str, Scheme]) -> dict[str, Preset]:
    """Read presets, given as name and TOML, and return them in the order their cards are shown.

    Raises DataFileError, which names file, key and the nearest key that is known.
    """
    presets = [_preset(name, text, schemes) for name, text in files]
    return {preset.name: preset for preset in sorted(presets, key=lambda preset: (preset.order, preset.name))}


def _preset(name: str, text: bytes, schemes: Mapping[str, Scheme]) -> Preset:
    file = f"{name}.toml"
    vocabulary.check_name(file, name)
    top = vocabulary.read(file, text, _TOP)
    scheme, header = _signature(top, schemes)
    test = top.table("test", ("type", "data"))
    return Preset(
        name=name,
        title=top.text("title"),
        summary=top.text("summary"),
        order=top.take("order", int),
        envelope=_envelope(top),
        headers=_headers(top),
        scheme=scheme,
        signature_header=header,
        retry=_retry(top.table("retry", _RETRY)),
        require=_sentences(top, "require", REQUIRABLE),
        defaults=_defaults(top),
        test_type=test.text("type"),
        test_data=test.json_object("data"),
        ask=_sentences(top, "ask", _ASKABLE),
    )


def _envelope(top: Table) -> Template | None:
    members = top.may("envelope", dict)
    if members is None:
        return None
    try:
        return compile_envelope(members)
    except TemplateError as error:
        top.refuse(f"envelope.{error.key}" if error.key else "envelope", error.message)


def _headers(top: Table) -> tuple[tuple[str, TextTemplate], ...]:
    compiled = []
    for name, source in top.texts("headers").items():
        if problem := name_problem(name):
            top.refuse(f"headers.{name}", problem)
        try:
            compiled.append((name, compile_text(source)))
        except TemplateError as error:
            top.refuse(f"headers.{name}", error.message)
    return tuple(compiled)


def _signature(top: Table, schemes: Mapping[str, Scheme]) -> tuple[str | None, str | None]:
    if not top.has("signature"):
        return None, None
    table = top.table("signature", ("scheme", "header"))
    name, header = table.text("scheme"), table.may("header", str)
    if name not in schemes:
        table.refuse("scheme", f"there is no scheme {name!r}{nearest(name, schemes)}")
    if header is None and schemes[name].header is None:
        table.refuse("header", f"it is missing: the scheme {name!r} has no header of its own")
    if header is not None and (problem := name_problem(header)):
        table.refuse("header", problem)
    return name, header


def _retry(table: Table) -> RetryPolicy:
    timeout, jitter = table.take("timeout", float), table.take("jitter", float)
    delays = table.each("delays", float)
    if not timeout > 0:
        table.refuse("timeout", "it must be more than 0 seconds")
    if any(not delay >= 0 for delay in delays):
        table.refuse("delays", "a wait can't be less than 0 seconds")
    if not 0 <= jitter <= 1:
        table.refuse("jitter", "it must be between 0 and 1")
    exhausted = table.text("on_exhausted")
    if exhausted not in list(Exhausted):
        table.refuse("on_exhausted", f"there is no {exhausted!r}{nearest(exhausted, list(Exhausted))}")
    return RetryPolicy(_ms(*delays), _ms(timeout)[0], jitter, Exhausted(exhausted))


def _ms(*seconds: float) -> tuple[int, ...]:
    return tuple(round(each * 1000) for each in seconds)


def _sentences(top: Table, name: str, known: Collection[str]) -> Mapping[str, str]:
    if not top.has(name):
        return MappingProxyType({})
    table = top.table(name, known)
    return MappingProxyType({key: table.text(key) for key in table.names})


def _defaults(top: Table) -> Mapping[str, object]:
    if not top.has("defaults"):
        return MappingProxyType({})
    table = top.table("defaults", DEFAULTABLE)
    return MappingProxyType({key: table.take(key, DEFAULTABLE[key]) for key in table.names})
