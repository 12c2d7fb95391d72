"""What publishing does to an event's data: differences to the version before, and schemas."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.core.access import View
from app.errors import Invalid, NotFound
from app.models import Resource, SchemaMode
from app.services import event_types, events
from app.services.events import EventQuery
from app.services.scope import system_actor
from tests.support import rows

SCHEMA = b'{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}'
UPDATED = "integration_updated_data_model"


@pytest.fixture
def catalogue(owner):
    event_types.install(owner, "integrations")


def model(city):
    return json.dumps(
        {"id": "i1", "resource_id": "c1", "type": "customer", "data": {"name": "Ada", "address": {"city": city}}},
        separators=(",", ":"),
    ).encode()


def diff_of(stored):
    return json.loads(rows.event(stored.id).data).get("diff")


class TestDifferences:
    """D3: the difference is computed from `previous`, else from the last version seen."""

    def test_from_the_previous_model_that_the_producer_sent(self, catalogue, publish):
        stored = publish(UPDATED, model("Nice"), previous=b'{"name":"Ada","address":{"city":"Lyon"}}')

        assert diff_of(stored) == {"address.city": {"old": "Lyon", "new": "Nice"}}
        assert json.loads(rows.event(stored.id).diff) == diff_of(stored)

    def test_from_the_last_model_that_was_seen_of_the_resource(self, catalogue, publish):
        named = {"resource_type": "customer", "resource_id": "c1"}
        publish(UPDATED, model("Lyon"), **named)

        stored = publish(UPDATED, model("Nice"), **named)

        assert diff_of(stored) == {"address.city": {"old": "Lyon", "new": "Nice"}}
        assert [json.loads(row.model)["address"]["city"] for row in rows.all_of(Resource)] == ["Nice"]

    def test_what_was_sent_counts_more_than_what_was_seen(self, catalogue, publish):
        named = {"resource_type": "customer", "resource_id": "c1"}
        publish(UPDATED, model("Lyon"), **named)

        stored = publish(UPDATED, model("Nice"), previous=b'{"name":"Ada","address":{"city":"Oslo"}}', **named)

        assert diff_of(stored) == {"address.city": {"old": "Oslo", "new": "Nice"}}

    def test_resources_of_another_organization_are_not_looked_at(self, catalogue, publish, stranger):
        event_types.install(system_actor(stranger.organization_id), "integrations")
        named = {"resource_type": "customer", "resource_id": "c1"}
        publish(UPDATED, model("Lyon"), **named)

        class Other:
            id = stranger.organization_id

        stored = publish(UPDATED, model("Nice"), of=Other, **named)

        assert (diff_of(stored) or {}).get("address.city", {}).get("old") is None

    def test_a_repeat_is_not_compared_with_itself(self, catalogue, publish):
        named = {"resource_type": "customer", "resource_id": "c1", "id": "a"}
        publish(UPDATED, model("Lyon"), **{**named, "id": "first"})
        first = publish(UPDATED, model("Nice"), **named)

        again = publish(UPDATED, model("Nice"), **named)

        assert again.duplicate
        assert diff_of(again) == diff_of(first) == {"address.city": {"old": "Lyon", "new": "Nice"}}


class TestSchemas:
    @pytest.mark.parametrize(
        ("mode", "is_kept", "is_warned"),
        [(SchemaMode.OFF, True, False), (SchemaMode.WARN, True, True), (SchemaMode.REJECT, False, False)],
    )
    def test_data_that_breaks_the_schema_are_kept_warned_of_or_refused(
        self, mode, is_kept, is_warned, publish, make_type
    ):
        make_type("job.created", schema=SCHEMA, schema_mode=mode)

        if not is_kept:
            with pytest.raises(Invalid) as refused:
                publish(data=b'{"id":"x"}')
            assert refused.value.problems[0].field.startswith("data")
            return
        stored = publish(data=b'{"id":"x"}')
        assert bool(rows.event(stored.id).warning) is is_warned

    def test_data_that_keep_the_schema_are_not_warned_of(self, publish, make_type):
        make_type("job.created", schema=SCHEMA, schema_mode=SchemaMode.REJECT)

        assert rows.event(publish(data=b'{"id":1}').id).warning is None


class TestFindingThem:
    def test_an_event_is_found_with_its_deliveries(self, publish, make_webhook, owner):
        hook = make_webhook(url="http://127.0.0.1:9001/")
        stored = publish()

        found = events.find(owner, stored.id)

        assert found.event.public_id == stored.id
        assert [webhook for _, webhook in found.deliveries] == [hook.id]

    def test_what_a_member_may_not_see_is_not_there_for_them(self, publish, make_member, make_unit):
        make_unit("south")
        support = make_member("eva", role="Support").actor
        hidden, seen = publish(business_unit="south"), publish()

        with pytest.raises(NotFound):
            events.find(support, hidden.id)
        assert [event.public_id for event in events.page(support)] == [seen.id]

    def test_an_address_that_is_part_of_another_one_is_not_taken_for_it(self, publish, make_member):
        eva = make_member("eva", role="Support").actor
        publish(visible_to=("xeva@acme.test",))
        mine = publish(visible_to=("eva@acme.test",))

        assert [event.public_id for event in events.page(eva)] == [mine.id]
        other = replace(eva, view=View("va@acme.test", sees_everything=False))
        assert events.page(other) == []

    def test_another_organization_finds_nothing(self, publish, stranger):
        stored = publish()

        with pytest.raises(NotFound):
            events.find(stranger, stored.id)
        assert events.page(stranger) == []

    def test_they_are_paged_newest_first(self, publish, owner, clock):
        made = []
        for _ in range(5):
            made.append(publish().id)
            clock.advance(ms=1)

        first = events.page(owner, limit=2)
        rest = events.page(owner, EventQuery(before=(first[1].created_at, first[1].id)))

        assert [event.public_id for event in first[:2]] == made[:2:-1]
        assert [event.public_id for event in rest] == made[2::-1]
