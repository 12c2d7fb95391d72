"""Settings on the wire: what is shown can be given back, and means the same."""

from __future__ import annotations

import pytest

from app.core.redaction import MASK
from app.delivery.installed import installed
from app.errors import Invalid
from app.services import drafts, webhooks
from tests.support import rows

URL = "http://127.0.0.1:9001/hook"
EVERYTHING = {
    "name": "Billing",
    "url": URL,
    "events": ["job.*", "job.created"],
    "business_units": ["north"],
    "auth": {"type": "header", "name": "X-Key", "value": "k3y"},
    "content_type": "application/x-www-form-urlencoded",
    "verify_ssl": False,
    "data_mode": "status_only",
    "extra_fields": ["region"],
    "field_mapping": [{"field": "status", "property": "state"}, {"field": "resource", "property": None}],
    "only_mapped_fields": True,
    "headers": {"X-Env": "prod"},
    "filter": "data.total > `100`",
    "signature": {"scheme": "github", "header": "X-Own"},
    "retry": {"delays": [0.5, 300], "timeout": 2.5, "jitter": 0.1, "on_exhausted": "disable"},
    "rate_limit": 2.5,
    "max_in_flight": 7,
    "ordered": True,
    "success_codes": ["2xx", "404"],
    "alert_addresses": ["ops@acme.test"],
}


@pytest.fixture
def hook(owner, make_unit, make_type):
    make_unit("north")
    make_type("job.created")
    return webhooks.create(owner, EVERYTHING).webhook


def test_every_setting_comes_back_as_it_was_given_but_for_the_secret(hook):
    expected = {**EVERYTHING, "auth": {"type": "header", "name": "X-Key", "value": MASK}}
    expected["events"] = sorted(EVERYTHING["events"])

    assert {name: hook.settings[name] for name in EVERYTHING} == expected


def test_what_is_shown_can_be_saved_again_and_nothing_changes(hook, owner):
    before = rows.webhook(hook.id)

    after = webhooks.edit(owner, hook.id, hook.settings).webhook

    assert after.settings == hook.settings
    assert rows.webhook(hook.id).auth == before.auth
    assert rows.audited("webhook.edited") == []


@pytest.mark.parametrize("preset", ["standard", "contracts", "vomo", "github", "stripe", "cloudevents", "integrations"])
def test_a_presets_defaults_are_settings_that_can_be_saved(preset, owner):
    defaults = drafts.defaults_of(installed().presets[preset])

    made = webhooks.create(owner, {**defaults, "name": "A", "url": URL}).webhook

    shown = {name: made.settings[name] for name in defaults if name not in {"name", "url"}}
    assert shown == {name: value for name, value in defaults.items() if name not in {"name", "url"}}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"retry": {"timeout": 9}}, {"delays": [0.5, 300], "timeout": 9, "jitter": 0.1, "on_exhausted": "disable"}),
        ({"retry": {"delays": []}}, {"delays": [], "timeout": 2.5, "jitter": 0.1, "on_exhausted": "disable"}),
    ],
)
def test_a_change_of_one_member_of_retry_keeps_the_others(given, kept, hook, owner):
    assert webhooks.edit(owner, hook.id, given).webhook.settings["retry"] == kept


def test_a_masked_secret_of_another_kind_is_no_secret(hook, owner):
    with pytest.raises(Invalid) as refused:
        webhooks.edit(owner, hook.id, {"auth": {"type": "bearer", "token": MASK}})

    assert [problem.field for problem in refused.value.problems] == ["auth.token"]


def test_no_authentication_forgets_the_secret(hook, owner):
    webhooks.edit(owner, hook.id, {"auth": {"type": "none"}})

    assert rows.webhook(hook.id).auth is None


def test_the_url_is_kept_in_its_canonical_form(owner):
    made = webhooks.create(owner, {"name": "A", "url": " HTTP://127.0.0.1:9001 "}).webhook

    assert made.settings["url"] == "http://127.0.0.1:9001/"


def test_a_mapping_is_tried_on_the_examples_of_the_types_it_will_meet(owner, make_type):
    make_type("job.created", example=b'{"name":"Roof","customer":"Ada"}')
    mapping = [{"field": "name", "property": "customer.name"}]

    with pytest.raises(Invalid) as refused:
        webhooks.create(owner, {"name": "A", "url": URL, "field_mapping": mapping})

    assert refused.value.problems[0].field.startswith("field_mapping[0]")
