"""Webhooks: made off, switched, edited by one at a time, secrets masked, deleted without their secrets."""

from __future__ import annotations

import pytest

from app.core.redaction import MASK
from app.core.states import Reason
from app.errors import Conflict, Invalid, NotFound, Refused
from app.models import SigningSecret, WebhookPattern
from app.services import webhooks
from tests.support import rows

URL = "http://127.0.0.1:9001/hook"
OTHER_HOST = "http://127.0.0.1:9002/hook"
BASIC = {"type": "basic", "username": "u", "password": "s3cret"}


def fields(refused):
    return [problem.field for problem in refused.value.problems]


class TestCreating:
    def test_a_new_webhook_is_off_and_sends_nothing(self, owner, deliver, receiver):
        made = webhooks.create(owner, {"name": "Billing", "url": receiver.url})

        assert (made.webhook.enabled, made.webhook.off_reason, made.test_delivery) == (False, Reason.NEW, None)
        assert deliver() == 0
        assert receiver.requests == []

    def test_it_can_be_made_on_and_sends_its_test_at_once(self, owner, deliver, receiver):
        made = webhooks.create(owner, {"name": "Billing", "url": receiver.url, "enabled": True})

        deliver()

        assert made.webhook.enabled
        (request,) = receiver.requests
        assert request.headers["postroom-delivery"] == made.test_delivery

    def test_the_preset_fills_in_the_rest_and_what_is_given_wins(self, owner):
        made = webhooks.create(owner, {"name": "A", "url": URL, "preset": "vomo", "retry": {"timeout": 7}})

        settings = made.webhook.settings
        assert settings["retry"] == {"delays": [10, 100], "timeout": 7, "jitter": 0, "on_exhausted": "keep"}
        assert settings["signature"] == {"scheme": "hex", "header": "vomo-signature"}
        assert (settings["events"], settings["max_in_flight"], settings["owner"]) == (["*"], 4, "ada@acme.test")

    def test_its_secret_is_told_once_and_kept_encrypted(self, owner):
        made = webhooks.create(owner, {"name": "A", "url": URL})

        assert made.secret.startswith("whsec_")
        assert made.secret not in str(webhooks.find(owner, made.webhook.id))
        assert webhooks.edit(owner, made.webhook.id, {"name": "B"}).secret is None

    def test_one_that_is_not_signed_has_no_secret(self, owner):
        assert webhooks.create(owner, {"name": "A", "url": URL, "signature": {"scheme": "none"}}).secret is None
        assert rows.all_of(SigningSecret) == []

    def test_every_problem_is_named_at_once(self, owner):
        with pytest.raises(Invalid) as refused:
            webhooks.create(owner, {"name": "", "url": "ftp://x", "events": ["no.such"], "max_in_flight": 0})

        assert set(fields(refused)) == {"name", "url", "events", "max_in_flight"}
        assert webhooks.list_all(owner) == []

    def test_an_unknown_preset_is_refused_with_those_there_are(self, owner):
        with pytest.raises(Invalid) as refused:
            webhooks.create(owner, {"name": "A", "url": URL, "preset": "nope"})

        assert "standard" in refused.value.problems[0].message

    def test_jobs_wants_https_and_reporting_wants_a_unit_and_a_content_type(self, owner):
        with pytest.raises(Invalid) as jobs:
            webhooks.create(owner, {"name": "A", "url": URL, "preset": "jobs"})
        with pytest.raises(Invalid) as reporting:
            webhooks.create(owner, {"name": "A", "url": URL, "preset": "reporting"})

        assert fields(jobs) == ["url"]
        assert sorted(fields(reporting)) == ["business_units", "content_type"]


class TestEditing:
    @pytest.fixture
    def hook(self, owner):
        return webhooks.create(owner, {"name": "A", "url": URL, "auth": BASIC, "headers": {"X-A": "1"}}).webhook

    def test_only_what_is_given_changes(self, owner, hook):
        after = webhooks.edit(owner, hook.id, {"name": "B"}).webhook

        changed = {name for name in after.settings if after.settings[name] != hook.settings[name]}
        assert changed == {"name"}
        assert after.version == hook.version + 1

    def test_passwords_are_masked_and_come_back_masked_without_being_lost(self, owner, hook, receiver, deliver):
        assert hook.settings["auth"] == {"type": "basic", "username": "u", "password": MASK}

        after = webhooks.edit(owner, hook.id, {"auth": hook.settings["auth"], "name": "B"}).webhook

        assert after.settings["auth"]["password"] == MASK
        assert '"s3cret"' in rows.webhook(hook.id).auth

    def test_a_new_host_wants_the_password_again(self, owner, hook):
        with pytest.raises(Invalid) as refused:
            webhooks.edit(owner, hook.id, {"url": OTHER_HOST})

        assert fields(refused) == ["auth.password"]
        webhooks.edit(owner, hook.id, {"url": URL + "/deeper"})
        webhooks.edit(owner, hook.id, {"url": OTHER_HOST, "auth": {**BASIC, "password": "n3w"}})
        assert rows.webhook(hook.id).url == OTHER_HOST

    def test_whoever_saves_second_is_told_so(self, owner, hook):
        webhooks.edit(owner, hook.id, {"name": "B"}, version=hook.version)

        with pytest.raises(Conflict):
            webhooks.edit(owner, hook.id, {"name": "C"}, version=hook.version)

        assert rows.webhook(hook.id).name == "B"

    def test_a_change_is_on_record_and_a_secret_is_not(self, owner, hook):
        webhooks.edit(owner, hook.id, {"name": "B", "auth": {**BASIC, "password": "n3w"}})

        (entry,) = rows.audited("webhook.edited")
        assert entry.changes["name"] == ["A", "B"]
        assert entry.changes["auth"] == [MASK, "changed"]
        assert "n3w" not in str(entry.changes)
        assert "s3cret" not in str(entry.changes)

    def test_what_breaks_a_rule_changes_nothing(self, owner, hook):
        with pytest.raises(Invalid):
            webhooks.edit(owner, hook.id, {"name": "B", "filter": "((("})

        assert rows.webhook(hook.id).name == "A"

    def test_a_webhook_that_gets_signed_gets_its_first_secret(self, owner):
        hook = webhooks.create(owner, {"name": "A", "url": URL, "signature": {"scheme": "none"}}).webhook

        secret = webhooks.edit(owner, hook.id, {"signature": {"scheme": "standard"}}).secret

        assert secret.startswith("whsec_")

    def test_event_types_are_replaced_as_a_whole(self, owner, hook, make_type):
        make_type("job.created"), make_type("job.updated")
        webhooks.edit(owner, hook.id, {"events": ["job.created", "job.updated"]})
        webhooks.edit(owner, hook.id, {"events": ["job.updated"]})

        assert [row.pattern for row in rows.all_of(WebhookPattern)] == ["job.updated"]


class TestSwitching:
    def test_turning_on_sends_the_presets_test_once_however_often_it_is_pressed(self, owner, receiver, deliver):
        hook = webhooks.create(owner, {"name": "A", "url": receiver.url, "preset": "integrations"}).webhook

        first, second = webhooks.turn_on(owner, hook.id), webhooks.turn_on(owner, hook.id)
        deliver()

        assert first.test_delivery is not None
        assert second.test_delivery is None
        (request,) = receiver.requests
        assert b'"event":"webhook_test"' in request.body
        assert rows.webhook(hook.id).version == hook.version + 1

    def test_turning_off_twice_is_on_record_once(self, owner, make_webhook):
        hook = make_webhook(url=URL)
        webhooks.turn_off(owner, hook.id)
        webhooks.turn_off(owner, hook.id)

        (entry,) = rows.audited("webhook.turned_off")
        assert entry.actor == "Ada"
        row = rows.webhook(hook.id)
        assert (row.off_reason, row.switched_by) == (Reason.BY_PERSON, "Ada")

    def test_what_waits_can_be_canceled_with_it(self, owner, make_webhook, publish, states):
        hook = make_webhook(url=URL)
        publish()
        webhooks.turn_off(owner, hook.id, cancel_waiting=True)

        assert states() == [("canceled", [])]

    def test_pausing_tells_who_and_since_when(self, owner, make_webhook, clock):
        hook = make_webhook(url=URL)
        webhooks.pause(owner, hook.id)
        view = webhooks.find(owner, hook.id)
        assert (view.paused, view.paused_at, view.paused_by, view.enabled) == (True, clock.now, "Ada", True)

        webhooks.resume(owner, hook.id)
        assert not webhooks.find(owner, hook.id).paused

    def test_a_deleted_webhook_is_gone_and_its_secrets_with_it_but_its_log_stays(
        self, owner, make_webhook, publish, receiver, deliver, states
    ):
        hook = make_webhook(url=receiver.url, auth=BASIC, headers={"X-A": "1"})
        publish()
        deliver()
        webhooks.delete(owner, hook.id)

        with pytest.raises(NotFound):
            webhooks.find(owner, hook.id)
        row = rows.webhook(hook.id)
        assert (row.auth, row.headers, row.enabled) == (None, None, False)
        assert rows.all_of(SigningSecret) == []
        assert states() == [("delivered", [200])]


CALLS = {
    "create": lambda actor, hook: webhooks.create(actor, {"name": "B", "url": URL}),
    "edit": lambda actor, hook: webhooks.edit(actor, hook.id, {"name": "B"}),
    "turn on": lambda actor, hook: webhooks.turn_on(actor, hook.id),
    "turn off": lambda actor, hook: webhooks.turn_off(actor, hook.id),
    "pause": lambda actor, hook: webhooks.pause(actor, hook.id),
    "resume": lambda actor, hook: webhooks.resume(actor, hook.id),
    "delete": lambda actor, hook: webhooks.delete(actor, hook.id),
    "find": lambda actor, hook: webhooks.find(actor, hook.id),
    "list": lambda actor, hook: webhooks.list_all(actor),
}


class TestWhoMay:
    def test_a_developer_may(self, member, make_webhook):
        for call in CALLS.values():
            call(member, make_webhook(url=URL))

    @pytest.mark.parametrize("role", ["Support", "Member"])
    def test_without_the_permission_nobody_may(self, role, make_member, make_webhook):
        actor, hook = make_member("eva", role=role).actor, make_webhook(url=URL)
        for call in CALLS.values():
            with pytest.raises(Refused):
                call(actor, hook)

    def test_another_organizations_webhook_is_not_there(self, stranger, make_webhook):
        hook = make_webhook(url=URL)
        for name in CALLS.keys() - {"create", "list"}:
            with pytest.raises(NotFound):
                CALLS[name](stranger, hook)

        assert webhooks.list_all(stranger) == []
        assert rows.webhook(hook.id).name == "Hooks"

    def test_only_who_manages_members_names_another_owner(self, owner, member):
        with pytest.raises(Invalid) as refused:
            webhooks.create(member, {"name": "A", "url": URL, "owner": "ada@acme.test"})
        assert fields(refused) == ["owner"]

        made = webhooks.create(owner, {"name": "A", "url": URL, "owner": "Max@acme.test"}).webhook
        assert made.settings["owner"] == "max@acme.test"


class TestAttention:
    def test_those_that_need_attention_come_first_and_are_counted(
        self, owner, make_webhook, receiver, publish, deliver
    ):
        make_webhook(url=receiver.url, name="A", events=["*"], filter="data.none")
        make_webhook(url=receiver.url, name="B", on=False)
        receiver.answers(500)
        make_webhook(url=receiver.url, name="C")
        publish()
        deliver()

        assert [view.settings["name"] for view in webhooks.list_all(owner)] == ["C", "A", "B"]
        assert webhooks.count_needing_attention(owner) == 1

    def test_one_that_went_off_by_itself_needs_attention_until_it_is_on_again(
        self, owner, make_webhook, receiver, publish, deliver
    ):
        receiver.answers(410)
        hook = make_webhook(url=receiver.url)
        publish()
        deliver()
        assert webhooks.count_needing_attention(owner) == 1

        webhooks.turn_off(owner, hook.id)
        webhooks.turn_on(owner, hook.id)
        assert webhooks.count_needing_attention(owner) == 0
