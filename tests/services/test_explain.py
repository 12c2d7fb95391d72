"""For every event and every webhook: sent, or why not."""

from __future__ import annotations

import pytest

from app.core.states import Reason
from app.errors import NotFound, Refused
from app.services import deliveries, explain, webhooks

URL = "http://127.0.0.1:9001/hook"


def told(actor, stored):
    return {found.name: (found.outcome, found.reason) for found in explain.explain(actor, stored.id)}


def test_every_webhook_of_the_organization_is_explained(
    owner, publish, make_webhook, make_type, make_unit, receiver, deliver, clock
):
    make_unit("north"), make_unit("south"), make_type("estimate.created")
    make_webhook(url=receiver.url, name="sent")
    make_webhook(url=URL, name="off", on=False)
    make_webhook(url=URL, name="filter", filter="data.total > `100`")
    make_webhook(url=URL, name="unit", business_units=["south"])
    make_webhook(url=URL, name="type", events=["estimate.*"])
    paused = make_webhook(url=URL, name="paused")
    webhooks.pause(owner, paused.id)
    clock.advance(seconds=1)
    stored = publish(business_unit="north")
    deliver()
    clock.advance(seconds=1)
    make_webhook(url=URL, name="later")

    assert told(owner, stored) == {
        "sent": ("delivered", None),
        "off": ("skipped", Reason.WEBHOOK_OFF),
        "filter": ("skipped", Reason.FILTERED_OUT),
        "unit": ("skipped", Reason.BUSINESS_UNIT_NOT_SELECTED),
        "type": ("not_matched", Reason.EVENT_TYPE_NOT_SELECTED),
        "paused": ("pending", Reason.WEBHOOK_PAUSED),
        "later": ("not_matched", Reason.CREATED_LATER),
    }


def test_later_rules_that_would_have_stopped_it_too_are_named(owner, publish, make_webhook):
    make_webhook(url=URL, on=False, filter="data.total > `100`")
    stored = publish()

    (found,) = explain.explain(owner, stored.id)

    assert found.reason is Reason.FILTERED_OUT
    assert Reason.WEBHOOK_OFF in found.also


def test_an_owner_who_may_not_see_it_is_named(owner, publish, make_webhook, make_member, make_unit):
    make_unit("south")
    make_webhook(url=URL, by=make_member("max", role="Developer").actor)

    (found,) = explain.explain(owner, publish(business_unit="south").id)

    assert (found.reason, found.owner) == (Reason.OWNER_CANNOT_SEE, "Max")


def test_a_replay_is_what_counts_in_the_end(owner, publish, make_webhook, receiver, deliver):
    receiver.answers(500, 200)
    make_webhook(url=receiver.url, preset="github")
    stored = publish()
    deliver()
    (first,) = explain.explain(owner, stored.id)
    assert (first.outcome, first.status, first.attempts) == ("failed", 500, 1)

    deliveries.replay(owner, first.delivery)
    deliver()

    (second,) = explain.explain(owner, stored.id)
    assert (second.outcome, second.copies) == ("delivered", 2)
    assert second.delivery != first.delivery


def test_a_deleted_webhook_is_not_spoken_of(owner, publish, make_webhook):
    hook = make_webhook(url=URL)
    stored = publish()
    webhooks.delete(owner, hook.id)

    assert explain.explain(owner, stored.id) == []


def test_who_may_not_see_the_event_learns_nothing(publish, make_member, make_unit, stranger, make_webhook):
    make_unit("south")
    make_webhook(url=URL)
    stored = publish(business_unit="south")

    with pytest.raises(NotFound):
        explain.explain(make_member("max", role="Developer").actor, stored.id)
    with pytest.raises(NotFound):
        explain.explain(stranger, stored.id)
    with pytest.raises(Refused):
        explain.explain(make_member("tom", role="Member").actor, stored.id)
