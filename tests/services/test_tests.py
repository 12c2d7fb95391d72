"""Test payloads: the ordinary request for one try, whatever the webhook's state."""

from __future__ import annotations

import pytest

from app.core.states import DeliveryKind
from app.errors import Invalid, NotFound, Refused, Throttled
from app.services import events, explain, tests, webhooks
from app.services.events import EventQuery
from tests.support import rows


@pytest.fixture
def hook(make_webhook, receiver):
    return make_webhook(url=receiver.url, preset="vomo", on=False)


def body(receiver):
    return receiver.requests[-1].body


def test_a_test_sends_the_presets_event_once_even_while_the_webhook_is_off(hook, owner, receiver, deliver, states):
    receiver.answers(500)

    delivery = tests.send(owner, hook.id)
    deliver()

    assert b'"type":"webhook.test"' in body(receiver)
    assert receiver.requests[0].headers["postroom-delivery"] == delivery
    assert states() == [("failed", [500])]
    assert (rows.the_delivery().kind, rows.the_delivery().reason) == (DeliveryKind.TEST, "test_failed")


def test_it_can_send_a_types_example(hook, owner, receiver, deliver, make_type):
    make_type("job.created", example=b'{"id":7,"name":"Roof"}')

    tests.send(owner, hook.id, event_type="job.created")
    deliver()

    assert b'"type":"job.created"' in body(receiver)
    assert b'{"id":7,"name":"Roof"}' in body(receiver)


def test_it_can_send_a_past_event_again_as_a_test(hook, owner, receiver, deliver, publish):
    stored = publish(data=b'{"total":12.50}')

    tests.send(owner, hook.id, event=stored.id)
    deliver()

    assert b'{"total":12.50}' in body(receiver)
    assert rows.deliveries()[-1].kind is DeliveryKind.TEST


def test_the_data_can_be_edited_first(hook, owner, receiver, deliver, publish):
    stored = publish()

    tests.send(owner, hook.id, event=stored.id, data=b'{ "id" : 99 }')
    deliver()

    assert b'{"id":99}' in body(receiver)


@pytest.mark.parametrize("data", [b"[1]", b"{", b'{"a":NaN}', b"\xff"])
def test_data_that_cannot_be_read_are_refused_by_name(data, hook, owner):
    with pytest.raises(Invalid) as refused:
        tests.send(owner, hook.id, data=data)

    assert [problem.field for problem in refused.value.problems] == ["data"]
    assert rows.deliveries() == []


def test_an_unknown_type_is_refused(hook, owner):
    with pytest.raises(Invalid) as refused:
        tests.send(owner, hook.id, event_type="no.such")

    assert [problem.field for problem in refused.value.problems] == ["event_type"]


def test_an_event_the_tester_may_not_see_is_not_there(hook, member, publish, make_unit):
    make_unit("south")
    hidden = publish(business_unit="south")

    with pytest.raises(NotFound):
        tests.send(member, hook.id, event=hidden.id)


def test_ten_a_minute_are_the_limit(hook, owner, clock):
    for _ in range(10):
        tests.send(owner, hook.id)
    with pytest.raises(Throttled):
        tests.send(owner, hook.id)

    clock.advance(seconds=60)
    tests.send(owner, hook.id)


def test_a_test_is_on_record_and_no_event_of_the_producers(hook, owner, deliver):
    tests.send(owner, hook.id)

    assert len(rows.audited("webhook.tested")) == 1
    (event,) = events.page(owner)
    assert event.is_test
    assert events.page(owner, EventQuery(include_tests=False)) == []
    assert [told.outcome for told in explain.explain(owner, event.public_id)] == ["pending"]


def test_a_test_goes_to_one_webhook_alone(hook, owner, make_webhook, receiver, deliver):
    make_webhook(url=receiver.url)
    tests.send(owner, hook.id)

    assert deliver() == 1


def test_who_may_not_change_webhooks_may_not_test_them(hook, make_member, stranger):
    with pytest.raises(Refused):
        tests.send(make_member("eva", role="Support").actor, hook.id)
    with pytest.raises(NotFound):
        tests.send(stranger, hook.id)


def test_a_deleted_webhook_cannot_be_tested(hook, owner):
    webhooks.delete(owner, hook.id)

    with pytest.raises(NotFound):
        tests.send(owner, hook.id)
