"""What people are told of webhooks that fail: a mail server on loopback, a receiver, the clock in the test's hand."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from app.database import write
from app.delivery import health, installed
from app.models import Cause, Organization, User
from app.services import alerts, probes, telling, tests, webhooks
from tests.support import rows
from tests.support.mailbox import Mailbox
from tests.support.receiver import Receiver

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@pytest.fixture
def mailbox(app, settings):
    """A mail server that the application uses."""
    with Mailbox() as found:
        use(found.url)
        yield found


def use(url, **more):
    """Let the application send its mails there."""
    kept = installed.installed()
    installed.use(replace(kept, settings=replace(kept.settings, smtp_url=url, **more)))


@pytest.fixture
def tell(clock):
    """Let a minute pass, and tell what is to be told; return how many notices that were."""

    def run(seconds=MINUTE_S):
        clock.advance(seconds=seconds)
        return telling.tell(clock.now)

    return run


@pytest.fixture
def fail(publish, deliver):
    """Publish events that fail, one after the other."""

    def run(times):
        for _ in range(times):
            publish()
        deliver()

    return run


def hook_at(make_webhook, receiver, **more):
    """A webhook whose deliveries have one try, so that each event is one attempt. 404 leaves its breaker alone."""
    return make_webhook(url=receiver.url, **{"name": "Warehouse", "preset": "github", **more})


class TestEachCauseOnce:
    def test_twenty_failures_a_warning_the_end_and_the_recovery_are_a_mail_each(
        self, make_webhook, receiver, fail, deliver, publish, tell, clock, mailbox, owner
    ):
        receiver.answers(503)
        hook = hook_at(make_webhook, receiver)
        for _ in range(31):  # 4 hours apart: five days and a little
            fail(1)
            tell(4 * HOUR_S)
            health.review(clock.now)
            telling.tell(clock.now)
        tell(HOUR_S)
        receiver.answers(200)
        webhooks.turn_on(owner, hook.id)
        deliver()
        publish()
        deliver()
        for _ in range(5):
            tell()

        assert [taken.subject for taken in mailbox.mails] == [
            "Warehouse is failing since 09:00 UTC",
            "Warehouse will be turned off tomorrow, 26 Nov, 09:00 UTC",
            "Warehouse was turned off",
            "Warehouse delivers again",
        ]
        assert {tuple(taken.to) for taken in mailbox.mails} == {("ada@acme.test",)}
        failing, warning, off, again = (taken.text for taken in mailbox.mails)
        assert "Failing since 21 Nov, 09:00 UTC: 3 of 3 attempts failed." in failing
        assert "503 Service Unavailable" in failing
        assert "The receiver had a problem." in failing
        assert f"/webhooks/{hook.id}/log" in failing
        assert "turned off on 26 Nov, 09:00 UTC" in warning
        assert "no success for 5 days" in off
        assert "sends it a test payload on 27 Nov" in off
        assert "It had been off since 26 Nov" in again

    def test_a_failure_that_goes_on_is_not_told_again_and_tests_and_replays_are_never(
        self, make_webhook, receiver, fail, deliver, tell, clock, mailbox, owner
    ):
        receiver.answers(404)
        hook = hook_at(make_webhook, receiver)
        for _ in range(21):
            tests.send(owner, hook.id)
            deliver()
            clock.advance(seconds=7)
        assert tell() == 0

        fail(45)
        assert [tell(), tell(DAY_S)] == [1, 0]

        assert [notice.cause for notice in rows.notices()] == [Cause.FAILING]
        assert len(mailbox.mails) == 1

    def test_what_recovers_by_itself_before_it_was_told_is_not_told(self, make_webhook, receiver, fail, tell, mailbox):
        receiver.answers(404)
        hook_at(make_webhook, receiver)
        fail(3)
        receiver.answers(200)
        fail(1)

        assert tell() == 0
        assert rows.notices() == []

    def test_three_tries_that_failed_turn_a_contracts_webhook_off_and_its_owner_is_told_why(
        self, make_webhook, receiver, publish, deliver, clock, tell, mailbox
    ):
        receiver.answers(500)
        make_webhook(url=receiver.url, preset="contracts", name="Signed")
        publish()
        for _ in range(3):
            deliver()
            clock.advance(seconds=300)
        assert tell() == 1

        (taken,) = mailbox.mails
        assert taken.subject == "Signed was turned off"
        assert "because every attempt of a delivery failed" in taken.text
        assert taken.mail["Auto-Submitted"] == "auto-generated"


class TestWhoIsTold:
    def test_owner_and_alert_addresses_each_once_and_nobody_who_wants_none(
        self, make_webhook, receiver, fail, tell, mailbox, owner
    ):
        alerts.save(owner, ["Ops@acme.test", "on-call@acme.test"], as_events=False)
        receiver.answers(404)
        hook_at(make_webhook, receiver, alert_addresses=["ops@acme.test", "ADA@acme.test"])
        fail(20)
        tell()
        assert sorted(mailbox.mails[0].to) == ["ADA@acme.test", "Ops@acme.test", "on-call@acme.test"]

        with write() as session:
            session.query(User).update({"gets_mail": False})
        with Receiver() as other:
            other.answers(404)
            hook_at(make_webhook, other, name="Second")
            fail(20)
            tell()
        assert sorted(mailbox.mails[1].to) == ["Ops@acme.test", "on-call@acme.test"]

    def test_several_webhooks_of_a_host_that_fail_within_a_minute_are_one_mail(
        self, make_webhook, receiver, fail, tell, mailbox
    ):
        receiver.answers(404)
        for name in ("North", "South", "West"):
            hook_at(make_webhook, receiver, name=name)
        fail(20)
        assert telling.tell(rows.notices()[0].created_at + 59_000) == 0, "others may still join it"
        assert tell() == 3

        (taken,) = mailbox.mails
        assert taken.subject == "3 webhooks at 127.0.0.1 are failing"
        assert all(f"{name} is failing since" in taken.text for name in ("North", "South", "West"))

    def test_times_are_told_in_the_owners_zone_too(self, make_webhook, receiver, fail, tell, mailbox):
        with write() as session:
            session.query(User).update({"zone": "Europe/Berlin"})
        receiver.answers(404)
        hook_at(make_webhook, receiver)
        fail(20)
        tell()

        assert "Failing since 21 Nov, 09:00 UTC (10:00 Europe/Berlin)" in mailbox.mails[0].text


class TestWhenTheMailServerIsAway:
    def test_it_is_tried_again_after_1_5_and_30_minutes_and_then_taken_once(
        self, make_webhook, receiver, fail, tell, app, clock
    ):
        with Mailbox() as gone:
            port = gone.port
        use(f"smtp://127.0.0.1:{port}")
        receiver.answers(404)
        hook_at(make_webhook, receiver)
        fail(20)

        assert [tell(60), tell(59), tell(1), tell(299), tell(1)] == [0] * 5
        assert rows.notices()[0].mail_tries == 3
        with Mailbox(port=port) as back:
            assert [tell(30 * MINUTE_S - 1), tell(1), tell(DAY_S)] == [0, 1, 0]
            assert len(back.mails) == 1

    def test_it_is_given_up_after_the_sixth_time(self, make_webhook, receiver, fail, tell, mailbox, clock):
        mailbox.refusal = "550 go away"
        receiver.answers(404)
        hook_at(make_webhook, receiver)
        fail(20)
        for _ in range(40):
            tell(HOUR_S)

        (notice,) = rows.notices()
        assert (notice.mail_tries, notice.told_at) == (6, None)
        assert len([line for line in mailbox.heard if line.upper().startswith("MAIL")]) == 6

    def test_without_a_mail_server_nothing_is_kept_for_the_day_there_is_one(
        self, make_webhook, receiver, fail, tell, app
    ):
        receiver.answers(404)
        hook_at(make_webhook, receiver)
        fail(20)
        assert tell() == 1

        with Mailbox() as late:
            use(late.url)
            assert tell(DAY_S) == 0
            assert late.mails == []

    def test_two_processes_that_look_at_once_tell_it_once(self, make_webhook, receiver, fail, clock, mailbox):
        receiver.answers(404)
        hook_at(make_webhook, receiver)
        fail(20)
        clock.advance(seconds=60)
        (group,) = telling._ready(clock.now)

        assert [len(telling._claim([notice.id for notice in group], clock.now)) for _ in range(2)] == [1, 0]


class TestAsEvents:
    @pytest.fixture
    def as_events(self, owner, mailbox):
        alerts.save(owner, [], as_events=True)

    def test_alerts_go_to_webhooks_that_select_them_but_never_to_the_one_they_are_about(
        self, as_events, make_webhook, receiver, fail, tell, deliver, clock
    ):
        receiver.answers(404)
        broken = hook_at(make_webhook, receiver, events=["*"])
        with Receiver() as chat:
            listener = make_webhook(url=chat.url, name="Chat", events=["postroom.*"])
            fail(20)
            tell()
            deliver()

            (request,) = chat.requests
        told = orjson.loads(request.body)
        assert told["type"] == "postroom.webhook_failing"
        assert told["data"]["webhook"]["id"] == broken.id
        assert told["data"]["subject"].startswith("Warehouse is failing since")
        assert {row.webhook_id for row in rows.deliveries() if row.event_type.startswith("postroom.")} == {
            listener.row_id
        }

    def test_two_webhooks_that_fail_and_hear_of_each_other_do_not_go_on_for_ever(
        self, as_events, make_webhook, receiver, fail, tell, deliver
    ):
        receiver.answers(404)
        hook_at(make_webhook, receiver, name="One", events=["*"])
        hook_at(make_webhook, receiver, name="Two", events=["*"])
        fail(20)
        for _ in range(30):
            tell(HOUR_S)
            deliver()

        assert len([row for row in rows.deliveries() if row.event_type.startswith("postroom.")]) == 2
        assert [notice.cause for notice in rows.notices()] == [Cause.FAILING] * 2

    def test_switching_it_on_installs_the_event_types(self, as_events, organization, owner):
        (row,) = rows.all_of(Organization, Organization.id == organization.id)
        assert row.alert_events
        assert alerts.find(owner).events
        assert rows.audited("event_pack.installed")


class TestProbes:
    @pytest.fixture
    def off(self, make_webhook, receiver, publish, deliver, clock):
        """A webhook that turned itself off because its three tries failed; one more event came since."""
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="contracts", name="Signed")
        publish()
        for _ in range(3):
            deliver()
            clock.advance(seconds=300)
        publish()
        assert rows.webhook(hook.id).off_reason == "exhausted"
        return hook

    def probe(self, hook, clock, deliver):
        """Go to when the next probe is due, and send it."""
        clock.now = rows.lane(hook.id).probe_at
        assert probes.send_due(clock.now - 1) == 0
        assert probes.send_due(clock.now) == 1
        assert probes.send_due(clock.now) == 0, "it was sent twice"
        deliver()

    def test_it_is_probed_after_1_2_4_and_7_days_and_at_most_ten_times(self, off, clock, deliver, receiver):
        waits, before = [], rows.webhook(off.id).switched_at
        while rows.lane(off.id).probe_at is not None:
            waits.append((rows.lane(off.id).probe_at - before) // (DAY_S * 1000))
            before = rows.lane(off.id).probe_at
            self.probe(off, clock, deliver)

        assert waits == [1, 2, 4, 7, 7, 7, 7, 7, 7, 7]
        assert not rows.webhook(off.id).enabled
        assert [row.kind for row in rows.deliveries()[2:]] == ["test"] * 10

    def test_one_that_is_accepted_turns_it_on_and_its_owner_is_told_what_was_missed(
        self, off, clock, deliver, receiver, mailbox, tell, publish, states
    ):
        tell()
        receiver.answers(204)
        self.probe(off, clock, deliver)
        row, lane = rows.webhook(off.id), rows.lane(off.id)
        assert (row.enabled, row.switched_by, lane.probe_at, lane.probes) == (True, "Postroom", None, 0)
        publish()
        deliver()
        assert states(off.id)[-1] == ("delivered", [204])
        tell()

        assert [taken.subject for taken in mailbox.mails] == ["Signed was turned off", "Signed delivers again"]
        assert "1 event happened while it was off" in mailbox.mails[1].text
        assert rows.audited("webhook.turned_on")[-1].actor == "Postroom"
        assert tell(DAY_S) == 0

    def test_a_test_that_a_person_sends_does_not_turn_it_on(self, off, deliver, receiver, owner):
        receiver.answers(200)
        tests.send(owner, off.id)
        deliver()

        assert not rows.webhook(off.id).enabled

    @pytest.mark.parametrize("what", ["turn_on", "turn_off", "delete"])
    def test_a_person_who_switches_or_deletes_it_ends_the_probing(self, off, owner, what, receiver):
        getattr(webhooks, what)(owner, off.id)

        assert rows.lane(off.id).probe_at is None

    def test_a_410_ends_it_for_good(self, off, clock, deliver, receiver):
        receiver.answers(410)
        self.probe(off, clock, deliver)

        assert rows.lane(off.id).probe_at is None
        assert not rows.webhook(off.id).enabled

    @pytest.mark.parametrize("answer", [410])
    def test_what_was_turned_off_by_410_is_never_probed(self, make_webhook, receiver, publish, deliver, answer, clock):
        receiver.answers(answer)
        hook = hook_at(make_webhook, receiver)
        publish()
        deliver()

        assert not rows.webhook(hook.id).enabled
        assert rows.lane(hook.id).probe_at is None
