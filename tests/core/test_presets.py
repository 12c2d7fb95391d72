"""Presets: what each of the shipped ones sends, exactly, and how a wrong file is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from app import datafiles
from app.core.encoding import ContentType
from app.core.presets import DEFAULTABLE, DataFileError, Preset, load_presets
from app.core.retry import Exhausted
from app.core.shaping import Company, DataMode, EventFacts, Shape, headers, shape
from app.core.signing import load_schemes, sign

SCHEMES = load_schemes(datafiles.signatures())
PRESETS = load_presets(datafiles.presets(Path("/nowhere")).items(), SCHEMES)
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
AT = 1_700_000_060_500
DATA = b'{"id":42,"total":1.50}'
FACTS = EventFacts(
    id="evt_1",
    type="transaction.send",
    created_at=1_700_000_000_123,
    occurred_at=1_699_999_999_000,
    data=DATA,
    organization_id="org_1",
    webhook_id="whk_1",
    delivery_id="dlv_1",
    status="sent",
    resource_type="transaction",
    resource_id="42",
    business_unit="north",
    context=b'{"customer_id":"c-9","state":"abc"}',
    companies=(Company("c1", "Moor", b'{"region":"EU"}'),),
)
OCCURRED, CREATED = "2023-11-14T22:13:19.000Z", "2023-11-14T22:13:20.123Z"

BODIES = {
    "standard": f'{{"id":"evt_1","type":"transaction.send","timestamp":"{OCCURRED}","data":{{"id":42,"total":1.50}}}}',
    "contracts": '{"event":"transaction.send","data":{"id":42,"total":1.50}}',
    "jobs": f'{{"id":"evt_1","event":"transaction.send","created_at":"{CREATED}","data":{{"id":42,"total":1.50}}}}',
    "vomo": '{"type":"transaction.send","organization_id":"org_1","data":{"id":42,"total":1.50}}',
    "integrations": '{"workspace_id":"org_1","customer_id":"c-9","event":"transaction.send","state":"abc",'
    '"payload":{"id":42,"total":1.50}}',
    "reporting": '{"trigger":"send","status":"sent","transaction":{"id":42,"total":1.50}}',
    "github": '{"id":42,"total":1.50}',
    "stripe": '{"id":"evt_1","object":"event","type":"transaction.send","created":1700000000,'
    '"data":{"object":{"id":42,"total":1.50}}}',
    "cloudevents": '{"specversion":"1.0","id":"evt_1","source":"org_1","type":"transaction.send",'
    f'"time":"{OCCURRED}","datacontenttype":"application/json","subject":"42","data":{{"id":42,"total":1.50}}}}',
}
JSON = ("Content-Type", "application/json")
STANDARD = [
    ("webhook-id", "evt_1"),
    ("webhook-timestamp", "1700000060"),
    ("webhook-signature", "v1,{}"),
]
HEADERS: dict[str, list[tuple[str, str]]] = {
    "standard": [JSON, *STANDARD],
    "contracts": [JSON, *STANDARD],
    "jobs": [JSON, ("webhook-id", "evt_1")],
    "vomo": [JSON, ("webhook-id", "evt_1"), ("vomo-signature", "{}")],
    "integrations": [JSON, *STANDARD],
    "reporting": [JSON, ("webhook-id", "evt_1")],
    "github": [JSON, ("X-GitHub-Event", "transaction.send"), ("X-GitHub-Delivery", "dlv_1"), ("webhook-id", "evt_1"),
               ("X-Hub-Signature-256", "sha256={}")],
    "stripe": [JSON, ("webhook-id", "evt_1"), ("Stripe-Signature", "t=1700000060,v1={}")],
    "cloudevents": [("Content-Type", "application/cloudevents+json"), *STANDARD],
}  # fmt: skip
LONG = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
POLICIES = {  # timeout, delays in seconds, jitter
    "standard": (15, LONG, 0.2),
    "contracts": (3, (300, 300), 0),
    "jobs": (15, (300, 600), 0),
    "vomo": (3, (10, 100), 0),
    "integrations": (15, LONG, 0.2),
    "reporting": (15, LONG, 0.2),
    "github": (10, (), 0),
    "stripe": (20, LONG, 0.2),
    "cloudevents": (15, LONG, 0.2),
}


def sent_headers(preset: Preset, body: bytes, content_type: ContentType = ContentType.JSON) -> list[tuple[str, str]]:
    scheme = None if preset.scheme is None else SCHEMES[preset.scheme]
    lines = headers(preset.headers, FACTS, content_type, AT)
    return lines + sign(scheme, [SECRET], FACTS.id, AT // 1000, body, preset.signature_header)


def sent_body(preset: Preset, facts: EventFacts = FACTS, **settings: Any) -> bytes:
    return shape(facts, Shape(envelope=preset.envelope, **settings), AT)


def test_the_presets_come_in_the_order_of_their_cards():
    assert list(PRESETS) == list(BODIES)


@pytest.mark.parametrize("name", BODIES)
def test_a_preset_sends_exactly_this_body(name: str):
    assert sent_body(PRESETS[name]).decode() == BODIES[name]


@pytest.mark.parametrize("name", HEADERS)
def test_a_preset_sends_exactly_these_headers(name: str):
    lines = sent_headers(PRESETS[name], sent_body(PRESETS[name]))

    assert [key for key, _ in lines] == [key for key, _ in HEADERS[name]]
    for (_, value), (_, wanted) in zip(lines, HEADERS[name], strict=True):
        before, _, after = wanted.partition("{}")
        assert value.startswith(before)
        assert value.endswith(after)
        assert len(value) == len(wanted) or len(value) - len(wanted) + 2 in (44, 64), "no signature stands there"


@pytest.mark.parametrize("name", POLICIES)
def test_a_preset_retries_exactly_like_this(name: str):
    timeout, delays, jitter = POLICIES[name]
    retry = PRESETS[name].retry

    assert (retry.timeout_ms, retry.delays_ms, retry.jitter) == (
        timeout * 1000,
        tuple(d * 1000 for d in delays),
        jitter,
    )
    assert retry.on_exhausted is (Exhausted.DISABLE if name == "contracts" else Exhausted.KEEP)


def test_what_presets_insist_on_and_test_with():
    assert {name: set(preset.require) for name, preset in PRESETS.items() if preset.require} == {
        "jobs": {"https"},
        "reporting": {"business_units", "content_type"},
    }
    tests = {name: preset.test_type for name, preset in PRESETS.items()}
    assert (tests.pop("integrations"), tests.pop("github")) == ("webhook_test", "ping")
    assert set(tests.values()) == {"webhook.test"}
    assert PRESETS["integrations"].test_data == b'{"test":true}'
    assert PRESETS["reporting"].ask == {"password": "Secret, optional"}


def test_a_report_tells_companies_beside_the_transaction_and_not_in_it():
    assert sent_body(PRESETS["reporting"], extra_fields=("region",)).decode() == (
        '{"trigger":"send","status":"sent","transaction":{"id":42,"total":1.50},'
        '"companies":[{"id":"c1","name":"Moor","fields":{"region":"EU"}}]}'
    )
    told = dict(parse_qsl(sent_body(
        PRESETS["reporting"], data_mode=DataMode.STATUS_ONLY, extra_fields=("region",), content_type=ContentType.FORM
    ).decode()))  # fmt: skip
    assert told == {
        "trigger": "send",
        "status": "sent",
        "transaction[resource][type]": "transaction",
        "transaction[resource][id]": "42",
        "transaction[status]": "sent",
        "transaction[occurred_at]": OCCURRED,
        "companies[0][id]": "c1",
        "companies[0][name]": "Moor",
        "companies[0][fields][region]": "EU",
    }


def test_an_integration_without_context_still_has_its_five_keys():
    sent = json.loads(sent_body(PRESETS["integrations"], replace(FACTS, context=None)))

    assert list(sent) == ["workspace_id", "customer_id", "event", "state", "payload"]
    assert (sent["customer_id"], sent["state"]) == (None, None)


def test_a_cloud_event_without_resource_has_no_subject():
    assert "subject" not in json.loads(sent_body(PRESETS["cloudevents"], replace(FACTS, resource_id=None)))


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("content_type", list(ContentType))
@pytest.mark.parametrize("mode", list(DataMode))
def test_every_preset_can_be_sent_in_every_way(name: str, content_type: ContentType, mode: DataMode):
    body = sent_body(PRESETS[name], data_mode=mode, content_type=content_type, extra_fields=("region",))
    told = dict(sent_headers(PRESETS[name], body, content_type))["Content-Type"]

    if content_type is ContentType.FORM:
        assert parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        assert told == "application/x-www-form-urlencoded"
    else:
        assert isinstance(json.loads(body), dict)
        assert told.endswith("json")


OWN = """
title = "Own"
summary = "Ours."
order = 20
signature = { scheme = "standard" }
retry = { timeout = 2.5, delays = [0.5], jitter = 0, on_exhausted = "keep" }
test = { type = "webhook.test", data = { test = true } }

[envelope]
what = "{event.type}"
"""


def test_an_own_file_of_the_data_directory_is_read_beside_the_shipped_ones(tmp_path: Path):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "own.toml").write_text(OWN)

    files = datafiles.presets(tmp_path)
    presets = load_presets(files.items(), SCHEMES)

    assert set(presets) == {*PRESETS, "own"}
    assert sent_body(presets["own"]) == b'{"what":"transaction.send"}'
    assert (presets["own"].retry.timeout_ms, presets["own"].retry.delays_ms) == (2500, (500,))


def test_an_own_file_may_take_the_place_of_a_shipped_one(tmp_path: Path):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "vomo.toml").write_text(OWN)

    assert load_presets(datafiles.presets(tmp_path).items(), SCHEMES)["vomo"].title == "Own"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("summary", "sumary", "own.toml: sumary: there is no such key here; did you mean summary?"),
        ("delays", "delay", "own.toml: retry.delay: there is no such key here; did you mean delays?"),
        ("title", "xyzzy", "own.toml: xyzzy: there is no such key here; known are title, summary, "),
        ('title = "Own"', "", "own.toml: title: it is missing"),
        ('"Own"', '" "', "own.toml: title: it is empty"),
        ("order = 20", 'order = "20"', "own.toml: order: it must be a whole number"),
        ("order = 20", "order = true", "own.toml: order: it must be a whole number"),
        ('"standard"', '"standart"',
         "own.toml: signature.scheme: there is no scheme 'standart'; did you mean standard?"),
        ('"standard"', '"hex"', "own.toml: signature.header: it is missing: the scheme 'hex' has no header of its own"),
        ('"standard"', '"hex", header = "a b"', "own.toml: signature.header: A header's name"),
        ('"keep"', '"keeep"', "own.toml: retry.on_exhausted: there is no 'keeep'; did you mean keep?"),
        ("timeout = 2.5", "timeout = 0", "own.toml: retry.timeout: it must be more than 0 seconds"),
        ("timeout = 2.5", "timeout = nan", "own.toml: retry.timeout: it must be more than 0 seconds"),
        ("[0.5]", "[-1]", "own.toml: retry.delays: a wait can't be less than 0 seconds"),
        ("[0.5]", '["5"]', "own.toml: retry.delays[0]: it must be a number"),
        ("jitter = 0", "jitter = 2", "own.toml: retry.jitter: it must be between 0 and 1"),
        ("{event.type}", "{event.tipe}", "own.toml: envelope.what: there is no {event.tipe}; did you mean event.type?"),
        ("[envelope]", '[headers]\nX-A = "{selection}"\n[envelope]', "own.toml: headers.X-A: the selection"),
        ("[envelope]", '[headers]\n"X A" = "a"\n[envelope]', "own.toml: headers.X A: A header's name"),
        ("[envelope]", '[require]\nhttp = "x"\n[envelope]',
         "own.toml: require.http: there is no such key here; did you mean https?"),
        ("[envelope]", "[defaults]\nurl = 1\n[envelope]", "own.toml: defaults.url: there is no such key here"),
        ("[envelope]", "[defaults]\nordered = 1\n[envelope]", "own.toml: defaults.ordered: it must be true or false"),
        ("data = { test = true }", "data = 'x'", "own.toml: test.data: It isn't JSON"),
        ("data = { test = true }", "data = '[]'", "own.toml: test.data: it must be a JSON object"),
        ("order = 20", "order = ", "own.toml: it isn't TOML: "),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_file_key_and_the_nearest_key(old: str, new: str, says: str):
    assert old in OWN

    with pytest.raises(DataFileError) as caught:
        load_presets([("own", OWN.replace(old, new, 1).encode())], SCHEMES)

    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(("name", "text"), [("Bad Name", OWN.encode()), ("own", b"\xff")])
def test_a_file_that_cannot_be_named_or_read_is_refused(name: str, text: bytes):
    with pytest.raises(DataFileError, match=f"^{name}.toml: "):
        load_presets([(name, text)], SCHEMES)


def test_defaults_are_kept_as_the_api_would_say_them():
    text = OWN + '[defaults]\nmax_in_flight = 1\nrate_limit = 5\nevents = ["job.*"]\nauth = { type = "basic" }\n'

    preset = load_presets([("own", text.encode())], SCHEMES)["own"]

    assert preset.defaults == {"max_in_flight": 1, "rate_limit": 5.0, "events": ["job.*"], "auth": {"type": "basic"}}
    assert set(preset.defaults) <= set(DEFAULTABLE)
