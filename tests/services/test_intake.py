"""Publishing: one commit, one answer each; the same id as often as one likes; who hears of it and why not."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import func, select

from app.core.states import DeliveryState, Reason
from app.database import is_sqlite, read, write
from app.delivery import bell
from app.errors import Conflict, Invalid, Unavailable
from app.extensions import db
from app.models import Delivery, Event, User
from app.services import event_types, events, intake, routing, webhooks
from app.services.intake import Stored
from app.services.scope import system_actor
from tests.conftest import new_organization, posted
from tests.support import rows

NOWHERE = "http://127.0.0.1:9001/hook"


@pytest.fixture
def writer(app):
    """The writer's thread, as the server runs it."""
    intake.intake.start(app.app_context)
    yield intake.intake
    intake.intake.stop()
    intake.intake._closed = False


def count(table):
    with read() as session:
        return session.scalar(select(func.count()).select_from(table))


def in_threads(app, number, work):
    """Let threads, each with a context of its own, do `work(index)` at once; return what came of each."""
    found = [None] * number
    start = threading.Barrier(number)

    def run(index):
        with app.app_context():
            start.wait()
            try:
                found[index] = work(index)
            except Exception as error:  # noqa: BLE001  the test looks at it
                found[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


class TestAnswers:
    def test_an_event_is_stored_with_its_deliveries_and_told_of_them(self, publish, make_webhook, clock):
        hook = make_webhook(url=NOWHERE, preset="vomo")

        stored = publish("job.created", b'{"id":42,"total":12.50}', id="my-1", status="open", occurred_at=5)

        (told,) = stored.deliveries
        assert (stored.type, stored.received_at, stored.duplicate) == ("job.created", clock.now, False)
        assert (told.webhook, told.state, told.reason) == (hook.id, DeliveryState.PENDING, None)
        event = rows.event(stored.id)
        assert (event.data, event.status, event.occurred_at) == (b'{"id":42,"total":12.50}', "open", 5)
        row = rows.the_delivery()
        assert (row.public_id, row.attempts_allowed, row.next_attempt_at) == (told.id, 3, clock.now)

    def test_an_event_that_nobody_hears_of_is_kept_all_the_same(self, publish):
        assert publish().deliveries == ()
        assert count(Event) == 1

    def test_an_unknown_type_is_refused_by_name(self, organization, clock):
        with pytest.raises(Invalid) as refused:
            events.publish(system_actor(organization.id), posted("job.gone"), clock.now)

        assert [problem.field for problem in refused.value.problems] == ["type"]
        assert "job.gone" in refused.value.problems[0].message

    def test_an_unknown_business_unit_is_refused(self, publish):
        with pytest.raises(Invalid) as refused:
            publish(business_unit="nowhere")

        assert [problem.field for problem in refused.value.problems] == ["business_unit"]

    def test_a_type_that_was_added_a_moment_ago_is_known(self, publish, make_type):
        publish("job.created")
        make_type("job.updated")

        assert publish("job.updated").type == "job.updated"

    def test_the_bell_rings_after_the_commit_and_only_for_something_new(self, publish):
        heard = []
        listener = lambda: heard.append(count(Event))  # noqa: E731
        bell.listen(listener)
        try:
            publish(id="a")
            publish(id="a")
        finally:
            bell.leave(listener)

        assert heard == [1]


class TestTheSameAgain:
    def test_the_same_id_gets_the_first_answer_and_makes_nothing_new(self, publish, make_webhook, clock):
        make_webhook(url=NOWHERE)
        first = publish(id="a")
        clock.advance(seconds=60)

        again = publish(id="a")

        assert again.duplicate
        assert (again.id, again.received_at, again.deliveries) == (first.id, first.received_at, first.deliveries)
        assert (count(Event), count(Delivery)) == (1, 1)
        assert rows.event(first.id).repeated_at == clock.now

    def test_the_same_id_with_another_body_is_refused(self, publish):
        publish(id="a", data=b'{"id":1}')

        with pytest.raises(Conflict):
            publish(id="a", data=b'{"id":2}')

        assert count(Event) == 1

    def test_ids_of_two_organizations_do_not_meet(self, publish, stranger, organization):
        other = new_organization("Third")
        publish(id="a")

        assert not publish(id="a", of=other).duplicate
        assert count(Event) == 2

    def test_without_an_id_every_event_is_a_new_one(self, publish):
        publish()
        publish()

        assert count(Event) == 2

    def test_the_same_id_twice_in_a_batch_is_stored_once(self, organization, make_type, clock):
        make_type("job.created")
        batch = [posted("job.created", id="a"), posted("job.created", id="a"), posted("job.created", b"{}", id="a")]

        first, second, third = events.publish_batch(system_actor(organization.id), batch, clock.now)

        assert (first.duplicate, second.duplicate) == (False, True)
        assert first.id == second.id
        assert isinstance(third, Conflict)
        assert count(Event) == 1

    @pytest.mark.parametrize("runs", ["in each thread", "in the writer's thread"])
    def test_fifty_at_once_with_the_same_id_make_one_event(
        self, runs, request, app, organization, make_type, make_webhook, clock
    ):
        if runs == "in the writer's thread":
            request.getfixturevalue("writer")
        make_webhook(url=NOWHERE)
        make_type("job.created")
        actor = system_actor(organization.id)

        found = in_threads(app, 50, lambda _: events.publish(actor, posted("job.created", id="a"), clock.now))

        assert all(isinstance(each, Stored) for each in found), found
        assert len({each.id for each in found}) == 1
        assert [each.duplicate for each in found].count(False) == 1
        assert len({each.deliveries for each in found}) == 1
        assert (count(Event), count(Delivery)) == (1, 1)

    def test_an_id_that_another_process_stores_in_the_same_moment_is_found_on_the_second_look(
        self, app, organization, make_type, clock
    ):
        if is_sqlite():
            pytest.skip("left out: only on PostgreSQL do two processes publish")
        make_type("job.created")
        actor = system_actor(organization.id)
        first = events.publish(actor, posted("job.created", id="seed"), clock.now)
        answer = []

        def other():
            with app.app_context():
                answer.append(events.publish(actor, posted("job.created", id="a"), clock.now))

        with write() as session:
            row = session.scalars(select(Event).where(Event.public_id == first.id)).one()
            digest = posted("job.created", id="a").digest
            copy = {column.name: getattr(row, column.name) for column in Event.__table__.columns if column.name != "id"}
            session.add(Event(**{**copy, "public_id": "evt_other", "producer_id": "a", "digest": digest}))
            session.flush()
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(0.5)
            assert thread.is_alive(), "it didn't wait for the other's commit"
        thread.join(10)

        (stored,) = answer
        assert (stored.id, stored.duplicate) == ("evt_other", True)


class TestTheGroup:
    def test_what_many_publish_at_once_is_stored_in_few_commits(
        self, app, organization, make_type, make_webhook, clock, writer
    ):
        make_webhook(url=NOWHERE)
        make_type("job.created")
        actor, commits = system_actor(organization.id), []
        note = lambda *_: commits.append(1)  # noqa: E731
        with writer._some:  # the writer can't begin before all have come
            sql_event.listen(db.engine, "commit", note)
            threads = [threading.Thread(target=self.publish, args=(app, actor, number, clock)) for number in range(40)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(30)
        sql_event.remove(db.engine, "commit", note)

        assert (count(Event), count(Delivery)) == (40, 40)
        assert len(commits) < 40

    def publish(self, app, actor, number, clock):
        with app.app_context():
            events.publish(actor, posted("job.created", id=f"e{number}"), clock.now)

    def test_one_that_is_refused_spoils_nothing_for_the_others(self, app, organization, make_type, clock, writer):
        make_type("job.created")
        actor = system_actor(organization.id)
        events.publish(actor, posted("job.created", id="e0"), clock.now)

        found = in_threads(
            app,
            10,
            lambda number: events.publish(
                actor, posted("job.created", b'{"n":%d}' % number if number else b"{}", id=f"e{number}"), clock.now
            ),
        )

        assert isinstance(found[0], Conflict)
        assert all(isinstance(each, Stored) for each in found[1:])

    def test_a_stopping_server_takes_nothing_more(self, publish, make_type, writer):
        make_type("job.created")
        writer.refuse()

        with pytest.raises(Unavailable):
            publish()

        assert count(Event) == 0

    def test_what_was_taken_before_the_stop_is_stored(self, app, publish, make_type, writer):
        make_type("job.created")
        publish()
        writer.stop()

        assert count(Event) == 1

    def test_a_group_that_cannot_be_stored_is_answered_and_the_writer_goes_on(
        self, publish, make_type, writer, monkeypatch
    ):
        make_type("job.created")
        real = intake._store

        def broken(*_):
            monkeypatch.setattr(intake, "_store", real)
            raise RuntimeError("the disk has a bad day")

        monkeypatch.setattr(intake, "_store", broken)
        with pytest.raises(Unavailable):
            publish(id="a")

        assert publish(id="a").duplicate is False


class TestBatches:
    def test_the_good_ones_are_kept_whatever_the_others_are(self, organization, make_type, make_webhook, clock):
        make_webhook(url=NOWHERE)
        make_type("job.created")
        batch = [
            posted("job.created", id="a"),
            posted("job.gone"),
            Invalid([]),
            posted("job.created", id="b", business_unit="nowhere"),
            posted("job.created", id="c"),
        ]

        answers = events.publish_batch(system_actor(organization.id), batch, clock.now)

        assert [type(answer) for answer in answers] == [Stored, Invalid, Invalid, Invalid, Stored]
        assert answers[2] is batch[2]
        assert (count(Event), count(Delivery)) == (2, 2)

    def test_events_are_stored_in_the_order_they_came(self, organization, make_type, clock):
        make_type("job.created")
        batch = [posted("job.created", id=f"e{number}") for number in range(20)]

        events.publish_batch(system_actor(organization.id), batch, clock.now)

        assert [event.producer_id for event in rows.all_of(Event)] == [f"e{number}" for number in range(20)]

    def test_an_event_for_thousands_of_webhooks_is_fanned_out_in_slices(self, publish, make_webhook, monkeypatch):
        monkeypatch.setattr(intake, "FAN_OUT_SLICE", 2)
        for _ in range(5):
            make_webhook(url=NOWHERE)

        assert len(publish().deliveries) == 5
        assert count(Delivery) == 5


class TestWhoHearsOfIt:
    def test_a_webhook_that_does_not_select_the_type_gets_no_delivery_at_all(self, publish, make_webhook, make_type):
        make_type("job.created")
        make_webhook(url=NOWHERE, events=["job.created"])

        assert publish("estimate.created").deliveries == ()

    @pytest.mark.parametrize("pattern", ["*", "job.*", "job.created"])
    def test_patterns_select(self, pattern, publish, make_webhook, make_type):
        make_type("job.created")
        make_webhook(url=NOWHERE, events=[pattern])

        assert [told.state for told in publish("job.created").deliveries] == ["pending"]

    def test_a_webhook_that_is_off_gets_a_skipped_delivery_with_the_reason(self, publish, make_webhook):
        make_webhook(url=NOWHERE, on=False)

        (told,) = publish().deliveries

        assert (told.state, told.reason) == (DeliveryState.SKIPPED, Reason.WEBHOOK_OFF)
        assert rows.the_delivery().finished_at is not None

    def test_a_deleted_webhook_hears_nothing(self, publish, make_webhook, owner):
        hook = make_webhook(url=NOWHERE)
        publish()
        webhooks.delete(owner, hook.id)

        assert publish().deliveries == ()

    def test_the_first_reason_is_the_most_telling_one(self, publish, make_webhook, make_unit):
        make_unit("north")
        make_unit("south")
        make_webhook(url=NOWHERE, on=False, business_units=["south"], filter="data.total > `100`")

        (told,) = publish(business_unit="north").deliveries

        assert told.reason is Reason.BUSINESS_UNIT_NOT_SELECTED

    @pytest.mark.parametrize(("unit", "state"), [("north", "pending"), ("south", "skipped"), (None, "skipped")])
    def test_a_webhook_of_a_business_unit_hears_only_of_that(self, unit, state, publish, make_webhook, make_unit):
        make_unit("north")
        make_unit("south")
        make_webhook(url=NOWHERE, business_units=["north"])

        assert [told.state for told in publish(business_unit=unit).deliveries] == [state]

    @pytest.mark.parametrize(("total", "reason"), [(150, None), (99, Reason.FILTERED_OUT)])
    def test_a_filter_decides_by_the_data(self, total, reason, publish, make_webhook):
        make_webhook(url=NOWHERE, filter="data.total > `100`")

        assert [told.reason for told in publish(data=b'{"total":%d}' % total).deliveries] == [reason]

    def test_a_public_event_goes_out_under_its_public_name_to_whoever_selects_that(self, publish, make_webhook, owner):
        event_types.install(owner, "vomo")
        public = make_webhook(url=NOWHERE, events=["project.public.updated"])
        make_webhook(url=NOWHERE, events=["project.updated"])

        stored = publish("project.updated", is_public=True)

        assert stored.type == "project.public.updated"
        assert [told.webhook for told in stored.deliveries] == [public.id]


class TestTheOwnersAccess:
    """A3: a webhook fires only for events its owner may see, asked anew for each event."""

    @pytest.fixture
    def hook(self, make_webhook, make_member, make_unit):
        self.north, self.south = make_unit("north"), make_unit("south")
        self.max = make_member("max", role="Developer", units=[self.north])
        return make_webhook(url=NOWHERE, by=self.max.actor)

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({"business_unit": "north"}, None),
            ({"business_unit": "south"}, Reason.OWNER_CANNOT_SEE),
            ({}, None),
            ({"business_unit": "south", "visible_to": ("Max@acme.test",)}, None),
            ({"business_unit": "north", "visible_to": ("eva@acme.test",)}, Reason.OWNER_CANNOT_SEE),
            ({"visible_to": ()}, Reason.OWNER_CANNOT_SEE),
        ],
    )
    def test_a_members_webhook_hears_what_the_member_sees(self, more, reason, hook, publish):
        assert [told.reason for told in publish(**more).deliveries] == [reason]

    def test_an_admins_webhook_hears_everything(self, publish, make_webhook, make_unit):
        make_unit("south")
        make_webhook(url=NOWHERE)

        (told,) = publish(business_unit="south", visible_to=("eva@acme.test",)).deliveries

        assert told.reason is None

    def test_two_events_of_one_contract_may_differ(self, hook, publish):
        created = publish("contractCreated", visible_to=("max@acme.test",))
        signed = publish("contractSigned", visible_to=("eva@acme.test",))

        assert [told.reason for told in created.deliveries] == [None]
        assert [told.reason for told in signed.deliveries] == [Reason.OWNER_CANNOT_SEE]

    def test_a_disabled_owners_webhook_hears_nothing(self, hook, publish, organization):
        with write() as session:
            session.get_one(User, self.max.user.id).is_active = False
            routing.bump(session, organization.id)

        assert [told.reason for told in publish().deliveries] == [Reason.OWNER_CANNOT_SEE]
