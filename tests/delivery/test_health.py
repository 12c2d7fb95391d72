"""Breaker and auto-off, with a receiver that fails, the lane in the database and the clock in the test's hand."""

from __future__ import annotations

import pytest

from app.core.states import Reason
from app.delivery import health
from app.models import Cause, Lane, Organization
from app.services import tests, webhooks
from tests.support import rows
from tests.support.receiver import Receiver

DAY_S = 86_400


@pytest.fixture
def broken(make_webhook, receiver, publish, deliver):
    """A webhook whose breaker has just opened: five deliveries failed."""
    hook = make_webhook(url=receiver.url, preset="vomo")
    receiver.answers(503)
    for _ in range(5):
        publish()
    assert deliver() == 5
    return hook


class TestTheBreaker:
    def test_it_opens_after_five_failures_and_defers_what_waits_without_an_attempt(
        self, broken, clock, deliver, publish, states
    ):
        assert rows.lane(broken.id).shut_until == clock.now + 30_000
        publish()

        clock.advance(ms=29_999)
        assert deliver() == 0

        assert states()[5] == ("pending", [])
        assert {row.tries for row in rows.deliveries()[:5]} == {1}, "a deferred delivery used its budget"

    def test_then_one_probe_goes_out_and_a_failure_shuts_it_for_twice_as_long(self, broken, clock, deliver):
        clock.advance(seconds=30)

        assert deliver() == 1

        assert rows.lane(broken.id).shut_until == clock.now + 60_000

    def test_the_probe_is_what_has_been_due_longest(self, broken, clock, deliver, publish):
        clock.advance(seconds=20)
        publish()
        clock.advance(seconds=10)

        deliver()

        assert [row.tries for row in rows.deliveries()] == [2, 1, 1, 1, 1, 0]

    def test_a_probe_that_arrives_lets_the_others_follow_slowly(
        self, broken, clock, running, receiver, states, publish
    ):
        receiver.answers(200)
        clock.advance(seconds=30)
        receiver.hold()
        with running():
            receiver.wait_for(6)
            with pytest.raises(AssertionError):
                receiver.wait_for(7, patience_s=0.15)
            receiver.release()

        assert states() == [("delivered", [503, 200])] * 5
        lane = rows.lane(broken.id)
        assert (lane.shut_until, lane.failures_in_row, lane.failing_since) == (0, 0, None)
        assert lane.last_success_at == clock.now

    def test_the_other_webhooks_go_on(self, broken, make_webhook, publish, deliver, states):
        with Receiver() as well:
            hook = make_webhook(url=well.url)
            publish()
            deliver()

        assert states(hook.id) == [("delivered", [200])]

    def test_one_failing_delivery_keeps_its_own_schedule_exactly(
        self, make_webhook, receiver, publish, deliver, clock, states
    ):
        make_webhook(url=receiver.url, retry={"delays": [1] * 11, "jitter": 0})
        receiver.answers(503)
        publish()
        for _ in range(12):
            assert deliver() == 1
            clock.advance(seconds=1)

        assert states() == [("failed", [503] * 12)]

    def test_answers_that_blame_the_request_do_not_open_it(
        self, make_webhook, receiver, publish, deliver, clock, states
    ):
        hook = make_webhook(url=receiver.url, preset="vomo")
        receiver.answers(404)
        for _ in range(8):
            publish()
            deliver()

        assert rows.lane(hook.id).shut_until == 0

    def test_turning_a_webhook_on_opens_its_lane(self, broken, owner, deliver, receiver, clock):
        receiver.answers(200)
        webhooks.turn_off(owner, broken.id)
        webhooks.turn_on(owner, broken.id)

        assert deliver() == 1, "the test payload"
        clock.advance(seconds=10)
        assert deliver() == 5


class TestAutoOff:
    def fail_for(self, days, hook, publish, deliver, clock, *, every_hours=6):
        for _ in range(days * 24 // every_hours):
            publish()
            deliver()
            clock.advance(seconds=every_hours * 3600)
            assert health.review(clock.now - 1) == []

    def test_five_days_without_a_success_turn_it_off_and_tell_its_owner(
        self, make_webhook, receiver, publish, deliver, clock
    ):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="github")
        self.fail_for(5, hook, publish, deliver, clock, every_hours=4)

        assert health.review(clock.now + 1) == [hook.row_id]

        row = rows.webhook(hook.id)
        assert (row.enabled, row.off_reason) == (False, Reason.SUSTAINED_FAILURE)
        told = rows.notices()
        assert [notice.cause for notice in told] == [Cause.FAILING, Cause.WARNING, Cause.TURNED_OFF]
        assert "no success for 5 days" in told[-1].body
        assert [notice.closed_at is None for notice in told] == [False, False, True]
        assert health.review(clock.now + 1) == []

    def test_one_success_in_between_starts_the_five_days_anew(self, make_webhook, receiver, publish, deliver, clock):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url, preset="github")
        self.fail_for(4, hook, publish, deliver, clock)
        receiver.answers(200, 500)
        publish()
        deliver()
        self.fail_for(4, hook, publish, deliver, clock)

        assert health.review(clock.now) == []

    def test_a_few_failures_do_not_turn_it_off_however_long_ago_they_were(
        self, make_webhook, receiver, publish, deliver, clock
    ):
        receiver.answers(500)
        make_webhook(url=receiver.url, preset="github")
        publish()
        deliver()
        clock.advance(seconds=30 * DAY_S)

        assert health.review(clock.now) == []

    def test_failing_tests_do_not_count(self, make_webhook, receiver, deliver, clock, owner):
        receiver.answers(500)
        hook = make_webhook(url=receiver.url)
        for _ in range(21):
            tests.send(owner, hook.id)
            deliver()
            clock.advance(seconds=6 * 3600)

        assert health.review(clock.now) == []


class TestNotices:
    def test_a_notice_is_closed_when_the_webhook_is_turned_on_again(
        self, make_webhook, receiver, publish, deliver, owner, clock
    ):
        receiver.answers(410)
        hook = make_webhook(url=receiver.url)
        publish()
        deliver()
        assert [notice.closed_at for notice in rows.notices()] == [None]

        webhooks.turn_on(owner, hook.id)

        assert [notice.closed_at for notice in rows.notices()] == [clock.now]

    def test_turning_off_by_itself_moves_the_routing_version(
        self, make_webhook, receiver, publish, deliver, organization
    ):
        receiver.answers(410)
        make_webhook(url=receiver.url)
        publish()
        (before,) = rows.all_of(Organization, Organization.id == organization.id)
        deliver()
        (after,) = rows.all_of(Organization, Organization.id == organization.id)

        assert after.routing_version == before.routing_version + 1


def test_a_lane_as_the_rules_take_it_has_every_field_they_know():
    lane = Lane(webhook_id=1, held_until=0, shut_until=7, failures_in_row=1, deliveries_failing=1, failed_attempts=2)
    lane.times_opened = 3

    found = health.health_of(lane)

    assert (found.shut_until, found.failed_attempts, found.times_opened) == (7, 2, 3)
