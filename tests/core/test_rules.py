"""What a webhook may be: each rule's sentence at its field, and nothing against an ordinary webhook."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.addresses import Allowed
from app.core.envelope import EventFacts
from app.core.presets import load_presets
from app.core.redaction import MASK
from app.core.rules import Auth, Draft, problems
from app.core.schemes import load_schemes
from app.core.urls import parse
from app.errors import Problem

APP = Path(__file__).parents[2] / "app"
SCHEMES = load_schemes((APP / "signatures.toml").read_bytes())
PRESETS = load_presets([(file.stem, file.read_bytes()) for file in (APP / "presets").glob("*.toml")], SCHEMES)

ORDINARY = Draft(
    name="Billing",
    url="https://hooks.acme.test/in",
    preset="standard",
    events=("job.created", "estimate.*"),
    business_units=("north",),
    auth=Auth("basic", "u", "p"),
    content_type="application/json",
    verify_ssl=True,
    data_mode="everything",
    extra_fields=("region",),
    field_mapping=(("customer.name", "client"), ("internal_note", None)),
    only_mapped_fields=False,
    headers=(("X-Env", "prod"),),
    filter=None,
    scheme="standard",
    signature_header=None,
    delays_s=(5, 300),
    timeout_s=15,
    jitter=0.2,
    on_exhausted="keep",
    rate_limit=None,
    max_in_flight=4,
    ordered=False,
    success_codes=("2xx",),
    ca=None,
    alert_addresses=("ada@acme.test",),
)

SAMPLE = EventFacts(
    id="evt_1",
    type="job.created",
    created_at=0,
    occurred_at=0,
    data=b'{"id":1,"status":"open","customer":{"name":"Ada"},"tags":["a"]}',
    organization_id="org_1",
    webhook_id="whk_1",
    delivery_id="dlv_1",
)


def found(
    preset: str = "standard", *, https_only: bool = True, allowed: Allowed | None = None, **changes: Any
) -> list[Problem]:
    """What is wrong with the ordinary webhook once some settings are changed; `_name` goes to the rules themselves."""
    given = {name.removeprefix("_"): changes.pop(name) for name in list(changes) if name.startswith("_")}
    surroundings: dict[str, Any] = {
        "known_types": {"job.created"},
        "known_units": {"north"},
        "own_inbox": False,
        "samples": [SAMPLE],
        "chosen": frozenset(changes),
        "schemes": SCHEMES,
        **given,
    }
    return problems(
        replace(ORDINARY, preset=preset, **changes), PRESETS[preset], allowed or Allowed(), https_only, **surroundings
    )


def test_nothing_speaks_against_an_ordinary_webhook() -> None:
    assert found() == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_used_as_it_is(preset: str) -> None:
    own = PRESETS[preset]
    settings = {
        "scheme": own.scheme,
        "signature_header": own.signature_header,
        "delays_s": tuple(delay / 1000 for delay in own.retry.delays_ms),
        "timeout_s": own.retry.timeout_ms / 1000,
        "content_type": "application/json",
    }

    assert found(preset, **settings) == []


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": " "}, "name", "Give the webhook a name."),
        ({"name": "x" * 101}, "name", "A name can have 100 characters."),
        ({"name": "a\u200bb"}, "name", "The name contains a character that can't be seen. Type it anew."),
        ({"name": "a\x1b[31m"}, "name", "The name contains a character that can't be seen. Type it anew."),
        ({"url": ""}, "url", "Enter a URL, for example https://example.com/webhook."),
        (
            {"url": "http://a.com/"},
            "url",
            (
                "Use https://: what is sent to http:// addresses can be read on the way, so this server doesn't send "
                "to them. The operator can allow it: start the server with POSTROOM_HTTPS_ONLY=false."
            ),
        ),
        (
            {"url": "https://10.0.0.5/"},
            "url",
            (
                "10.0.0.5 is a private address and blocked. The operator can allow it: start the server with "
                "POSTROOM_ALLOW_NETWORKS=10.0.0.5."
            ),
        ),
        (
            {"url": "https://u:p@a.com/"},
            "url",
            "Take the user and password out of the URL and enter them under Authentication.",
        ),
        ({"events": ()}, "events", "Pick at least one event type, or choose All."),
        ({"events": ("job.crated",)}, "events", "There is no event type job.crated."),
        ({"events": ("job*",)}, "events", "There is no event type job*."),
        ({"events": ("*.created",)}, "events", "There is no event type *.created."),
        ({"business_units": ("south",)}, "business_units", "There is no business unit south."),
        (
            {"content_type": "text/xml"},
            "content_type",
            "Choose one of: application/json, application/x-www-form-urlencoded.",
        ),
        ({"data_mode": "some"}, "data_mode", "Choose one of: everything, status_only."),
        ({"on_exhausted": "stop"}, "retry.on_exhausted", "Choose one of: keep, disable."),
        ({"extra_fields": ("",)}, "extra_fields", "A field's name has 1 to 100 characters, all of them visible."),
        ({"extra_fields": ("a",) * 51}, "extra_fields", "There can be 50 of them."),
        ({"filter": "items[0"}, "filter", "Column 8: expected a closing bracket."),
        ({"scheme": "rot13"}, "signature.scheme", "Choose one of: standard, v1a, hex, github, stripe, none."),
        ({"scheme": "hex"}, "signature.header", "Name the header that carries the signature."),
        (
            {"scheme": "hex", "signature_header": "Host"},
            "signature.header",
            "Host can't carry the signature; choose another name.",
        ),
        (
            {"signature_header": "Webhook-Id"},
            "signature.header",
            "Webhook-Id can't carry the signature; choose another name.",
        ),
        (
            {"signature_header": "a b"},
            "signature.header",
            "A header's name can hold letters, digits and !#$%&'*+.^_`|~- only.",
        ),
        ({"timeout_s": 0.5}, "retry.timeout", "The timeout is 1 to 60 seconds."),
        ({"timeout_s": 61}, "retry.timeout", "The timeout is 1 to 60 seconds."),
        ({"timeout_s": float("nan")}, "retry.timeout", "The timeout is 1 to 60 seconds."),
        ({"delays_s": (5, -1)}, "retry.delays[1]", "A wait is 0 seconds to 7 days."),
        ({"delays_s": (float("inf"),)}, "retry.delays[0]", "A wait is 0 seconds to 7 days."),
        ({"delays_s": (1,) * 31}, "retry.delays", "There can be 30 of them."),
        ({"jitter": 1.1}, "retry.jitter", "The jitter is 0 to 1."),
        ({"rate_limit": 0}, "rate_limit", "The rate limit is 0.01 to 1,000 requests a second, or none."),
        ({"max_in_flight": 0}, "max_in_flight", "1 to 256 requests can be in flight."),
        ({"success_codes": ()}, "success_codes", "Name at least one, for example 2xx."),
        ({"success_codes": ("2x",)}, "success_codes", "2x is no status. Write 2xx for a class, or 202 for one."),
        ({"success_codes": ("1xx",)}, "success_codes", "1xx is no status. Write 2xx for a class, or 202 for one."),
        ({"alert_addresses": ("ada",)}, "alert_addresses", "ada is no mail address."),
        ({"alert_addresses": ("a@b\nc",)}, "alert_addresses", "a@b\nc is no mail address."),
        (
            {"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "ca",
            "This is no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----.",
        ),
        ({"ca": "x" * 65537}, "ca", "The certificates are larger than 64 KiB."),
    ],
)
def test_each_rule_has_its_sentence_at_its_field(changes: dict[str, Any], field: str, message: str) -> None:
    assert found(**changes) == [Problem(field, message)]


@pytest.mark.parametrize(
    "changes",
    [
        {"events": ("*",)},
        {"events": ("not.yet.*",)},
        {"business_units": ()},
        {"auth": Auth()},
        {"auth": Auth("basic", "", "p")},
        {"auth": Auth("basic")},
        {"auth": Auth("bearer", token="a b")},
        {"auth": Auth("header", name="X-Api-Key", value="k")},
        {"auth": Auth("header", name="Authorization", value="Token k")},
        {"auth": Auth("bearer", token=MASK)},
        {"delays_s": ()},
        {"success_codes": ("2xx", "302", "409")},
        {"scheme": None, "signature_header": "X-Left-Over"},
        {"scheme": "hex", "signature_header": "X-Signature"},
        {"headers": (("X-A", ""),)},
        {"filter": "data.total > `100`"},
        {"field_mapping": (("__proto__", "constructor"),)},
        {"rate_limit": 0.5, "max_in_flight": 1, "timeout_s": 60, "jitter": 0},
    ],
    ids=str,
)
def test_what_looks_odd_and_is_right_is_accepted(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        (Auth("digest"), "auth.type"),
        (Auth("basic", "a:b", "p"), "auth.username"),
        (Auth("basic", "a\r\nb", "p"), "auth.username"),
        (Auth("basic", "a", "p\n"), "auth.password"),
        (Auth("basic", "a", "p" * 256), "auth.password"),
        (Auth("bearer"), "auth.token"),
        (Auth("bearer", token="a\nb"), "auth.token"),
        (Auth("bearer", token="中"), "auth.token"),
        (Auth("bearer", token="t" * 1020), "auth.token"),
        (Auth("header", name="Host", value="x"), "auth.name"),
        (Auth("header", name="webhook-id", value="x"), "auth.name"),
        (Auth("header", name="a b", value="x"), "auth.name"),
        (Auth("header", value="x"), "auth.name"),
        (Auth("header", name="X-Key"), "auth.value"),
        (Auth("header", name="X-Key", value="a\nb"), "auth.value"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_152_what_would_break_the_authentication_is_refused(auth: Auth, field: str) -> None:
    assert [problem.field for problem in found(auth=auth)] == [field]


def test_152_a_password_may_hold_any_letter() -> None:
    assert found(auth=Auth("basic", "ada", "pässwörd-中")) == []


def test_secrets_are_not_in_the_text_of_a_draft() -> None:
    draft = replace(
        ORDINARY, auth=Auth("bearer", password="c4nary", token="c4nary", value="c4nary"), headers=(("X", "c4nary"),)
    )

    assert "c4nary" not in repr(draft)


@pytest.mark.parametrize(
    ("mapping", "field", "message"),
    [
        ((("id", "a"), ("status", "a")), "field_mapping[1].property", "Two rows send *a*. Keep one."),
        (
            (("id", "status2"), ("tags", "status2.code")),
            "field_mapping[1].property",
            "*status2* is a value, so *status2.code* can't be placed inside it.",
        ),
        ((("tags", "id"),), "field_mapping[0].property", "*id* is sent by the preset; choose another name."),
        ((("", "a"),), "field_mapping[0].field", "Enter a name."),
        (
            (("id", "a"), ("status.code", "b")),
            "field_mapping[1].field",
            "*status* is a value, so *status.code* can't be looked up in it.",
        ),
        (
            (("tags.0", "b"),),
            "field_mapping[0].field",
            "*tags* is a list, so *tags.0* can't be looked up in it.",
        ),
        (
            (("id", "status.code"),),
            "field_mapping[0].property",
            "*status* is a value, so *status.code* can't be placed inside it.",
        ),
    ],
)
def test_153_a_mapping_that_cannot_be_made_is_refused_at_its_row(
    mapping: tuple[tuple[str, str | None], ...], field: str, message: str
) -> None:
    assert found(field_mapping=mapping) == [Problem(field, message)]


def test_153_ten_thousand_rows_are_refused_at_once() -> None:
    began = time.perf_counter()

    (problem,) = found(field_mapping=tuple((f"a{n}", f"b{n}") for n in range(10_000)))

    assert problem.field == "field_mapping[200].field"
    assert time.perf_counter() - began < 1


def test_one_fault_of_many_samples_is_told_once() -> None:
    assert len(found(field_mapping=(("status.code", "b"),), _samples=[SAMPLE] * 5)) == 1


def test_the_presets_and_signatures_own_headers_are_reserved() -> None:
    assert found("github", scheme="github", headers=(("x-github-event", "1"), ("X-Hub-Signature-256", "2"))) == [
        Problem("headers", "x-github-event is set by Postroom."),
        Problem("headers", "X-Hub-Signature-256 is set by Postroom."),
    ]
    assert found(scheme="hex", signature_header="X-Sum", headers=(("x-sum", "1"),)) == [
        Problem("headers", "x-sum is set by Postroom.")
    ]


def test_authentication_and_headers_cannot_send_one_name_twice() -> None:
    assert found(auth=Auth("header", name="x-env", value="k")) == [
        Problem("headers", "x-env is sent by Authentication already.")
    ]
    assert found("github", scheme="github", auth=Auth("header", name="X-GitHub-Event", value="k")) == [
        Problem("auth.name", "X-GitHub-Event is set by Postroom.")
    ]


def test_a_preset_that_insists_on_https_says_why_whatever_the_setting() -> None:
    why = PRESETS["jobs"].require["https"]
    url = "http://a.com/"

    assert found("jobs", https_only=False, url=url, scheme=None) == [Problem("url", why)]
    assert found("jobs", https_only=True, url=url, scheme=None) == [Problem("url", why)]
    assert found("standard", https_only=False, url=url) == []


def test_a_preset_that_demands_a_choice_is_not_content_with_what_was_left_as_it_was() -> None:
    require = PRESETS["reporting"].require

    assert found("reporting", scheme=None, business_units=()) == [
        Problem("business_units", require["business_units"]),
        Problem("content_type", require["content_type"]),
    ]
    assert found("reporting", scheme=None, business_units=("north",), content_type="application/json") == []


def test_the_test_inbox_may_lie_at_a_private_address() -> None:
    inbox = "http://127.0.0.1:8300/in/abc"
    base = parse("http://127.0.0.1:8300/")

    assert found(url=inbox, _own_inbox=True, _own=base) == []
    assert len(found(url=inbox, _own=base)) == 1


def test_030_the_server_itself_is_no_receiver() -> None:
    message = "This is the server itself. Use its test inbox, or the URL of the receiver."
    everywhere = Allowed((ip_network("0.0.0.0/0"),))

    assert found(url="https://hooks.acme.test/api/v1/events", _own=parse("https://hooks.acme.test/")) == [
        Problem("url", message)
    ]
    assert found(url="http://127.0.0.1:8300/api", allowed=everywhere, _own=parse("http://127.0.0.1:8300/")) == [
        Problem("url", message)
    ]
    assert found(url="https://hooks.acme.test:8443/in", _own=parse("https://hooks.acme.test/")) == []


def test_own_certificates_are_taken() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Acme CA")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    assert found(ca=pem * 2) == []
    assert [problem.field for problem in found(ca="hello")] == ["ca"]


def test_all_problems_are_told_together() -> None:
    fields = {problem.field for problem in found(name="", url="", events=(), filter="[", success_codes=(), jitter=2)}

    assert fields == {"name", "url", "events", "filter", "success_codes", "retry.jitter"}
