"""The preview is what the receiver gets, byte for byte, whatever preset, encoding and data mode."""

from __future__ import annotations

import ssl

import pytest
import trustme

from app.core.redaction import MASK
from app.core.states import Reason
from app.errors import Invalid, NotFound, Refused
from app.services import companies, preview, webhooks
from tests.support import rows
from tests.support.receiver import Receiver

PRESETS = ("standard", "contracts", "jobs", "vomo", "integrations", "reporting", "github", "stripe", "cloudevents")
TYPES = ("application/json", "application/x-www-form-urlencoded")
URL = "http://127.0.0.1:9001/hook"
VARIES = {"postroom-delivery", "x-github-delivery"}


@pytest.fixture(scope="module")
def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("preset", PRESETS)
def test_it_shows_the_very_bytes_that_are_sent(
    preset, owner, publish, make_webhook, make_unit, make_type, deliver, tls, receiver
):
    make_unit("north")
    companies.put(owner, "north", "c-1", "Roofs & Söhne", {"region": "west"})
    with Receiver(tls=tls) as secure:
        target = secure if preset == "jobs" else receiver
        hooks = [
            make_webhook(
                url=target.url,
                preset=preset,
                verify_ssl=False,
                business_units=["north"],
                content_type=content_type,
                data_mode=data_mode,
                extra_fields=["region"],
                auth={"type": "basic", "username": "u", "password": "p"},
                headers={"X-Env": f"{number}"},
            )
            for number, (content_type, data_mode) in enumerate(
                [(kind, mode) for kind in TYPES for mode in ("everything", "status_only")]
            )
        ]
        stored = publish(
            "job.created",
            '{"id":42,"total":12.50,"big":12345678901234567890,"list":[{"a":"é&="},null,true]}'.encode(),
            business_unit="north",
            status="open",
            resource_type="job",
            resource_id="42",
            context=b'{"customer_id":"c-9","state":"abc"}',
        )
        shown = [preview.preview(owner, {}, webhook=hook.id, event=stored.id) for hook in hooks]
        deliver()
        sent = {request.headers["x-env"]: request for request in target.requests}

    assert len(sent) == len(hooks)
    for number, previewed in enumerate(shown):
        request = sent[str(number)]
        assert previewed.body == request.body
        assert previewed.not_sent is None
        names = [name.lower() for name, _ in previewed.headers]
        assert names == [name.lower() for name, _ in request.headers.pairs]
        for name, value in previewed.headers:
            if MASK in value:
                assert name.lower() == "authorization"
            elif name.lower() not in VARIES:
                assert value == request.headers[name], name


class TestBeforeSaving:
    def test_nothing_is_stored_or_sent(self, owner, receiver, deliver):
        preview.preview(owner, {"name": "A", "url": receiver.url})

        assert webhooks.list_all(owner) == []
        assert deliver() == 0

    def test_without_an_event_it_shows_the_presets_test(self, owner):
        shown = preview.preview(owner, {"name": "A", "url": URL, "preset": "integrations"})

        assert b'"event":"webhook_test"' in shown.body

    def test_a_types_example_can_be_shown(self, owner, make_type):
        make_type("job.created", example=b'{"id":7}')

        shown = preview.preview(owner, {"name": "A", "url": URL, "preset": "vomo"}, event_type="job.created")

        assert shown.body.endswith(b'"data":{"id":7}}')

    def test_changed_settings_are_laid_over_the_stored_ones(self, owner, make_webhook, make_type):
        make_type("job.created", example=b'{"id":7}')
        hook = make_webhook(url=URL, preset="vomo", headers={"X-Env": "prod"})
        mapping = {"field_mapping": [{"field": "id", "property": "number"}]}

        shown = preview.preview(owner, mapping, webhook=hook.id, event_type="job.created")

        assert shown.body.endswith(b'"data":{"number":7}}')
        assert ("X-Env", "prod") in shown.headers
        assert rows.webhook(hook.id).field_mapping == []

    def test_what_cannot_be_saved_cannot_be_shown(self, owner):
        with pytest.raises(Invalid) as refused:
            preview.preview(owner, {"name": "A", "url": "ftp://x"})

        assert [problem.field for problem in refused.value.problems] == ["url"]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"filter": "data.id > `100`"}, Reason.FILTERED_OUT),
            ({"events": ["job.updated"]}, Reason.EVENT_TYPE_NOT_SELECTED),
            ({}, None),
        ],
    )
    def test_it_says_why_an_event_would_not_be_sent(self, given, reason, owner, publish, make_type):
        make_type("job.updated")
        stored = publish(data=b'{"id":7}')

        assert preview.preview(owner, {"name": "A", "url": URL, **given}, event=stored.id).not_sent is reason

    def test_the_curl_command_holds_the_body_and_no_secret(self, owner):
        auth = {"type": "bearer", "token": "t0ken"}

        shown = preview.preview(owner, {"name": "A", "url": URL, "auth": auth})

        assert "t0ken" not in shown.curl
        assert "t0ken" not in str(shown.headers)
        assert shown.body.decode() in shown.curl
        assert URL in shown.curl

    def test_who_may_not_may_not(self, owner, make_member, stranger, make_webhook, publish):
        hook, stored = make_webhook(url=URL), publish()

        with pytest.raises(Refused):
            preview.preview(make_member("eva", role="Support").actor, {}, webhook=hook.id)
        with pytest.raises(NotFound):
            preview.preview(stranger, {}, webhook=hook.id)
        with pytest.raises(NotFound):
            preview.preview(stranger, {"name": "A", "url": URL}, event=stored.id)
