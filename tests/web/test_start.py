"""The first event, from the button to the recovered delivery."""

from __future__ import annotations

import pytest

from app.services import first_run, inboxes, webhooks
from tests.conftest import PASSWORD
from tests.support.pages import Person, words


@pytest.fixture
def ada(client, owner):
    person = Person(client)
    person.sign_in("ada@acme.test", PASSWORD)
    return person


def test_one_lands_at_the_first_event_until_one_was_delivered(ada, owner, make_webhook, receiver, publish, deliver):
    assert ada.look("/").location == "/start"
    make_webhook(url=receiver.url)
    publish()
    deliver()

    assert ada.look("/").location == "/webhooks"


def test_one_press_makes_inbox_webhook_and_event(ada, owner):
    ada.look("/start")

    answer = ada.press("/start", pack="jobs")

    assert answer.status_code == 303
    page = words(ada.look(answer.location))
    assert "job.created" in page
    assert "Queued" in page
    (webhook,) = webhooks.list_all(owner)
    assert (webhook.settings["name"], webhook.enabled) == ("My first webhook", True)
    assert webhook.settings["url"] == inboxes.list_all(owner)[0].url


def test_pressing_twice_makes_no_second_webhook(ada, owner):
    ada.press("/start", pack="jobs")
    ada.press("/start", pack="jobs")

    assert len(webhooks.list_all(owner)) == 1
    assert len(inboxes.list_all(owner)) == 1


def test_without_a_pack_the_test_payload_is_what_is_sent(ada, owner):
    page = ada.look(ada.press("/start", pack="none").location)

    assert "webhook.test" in words(page)


def test_the_running_part_is_asked_for_until_it_is_over(ada):
    sent = ada.press("/start", pack="jobs").location.partition("=")[2]

    running = ada.look(f"/start/exchange?sent={sent}", **{"HX-Request": "true"})
    again = ada.look(f"/start/exchange?sent={sent}", **{"HX-Request": "true", "If-None-Match": running.headers["ETag"]})

    assert running.headers["Postroom-Poll"] == "1"
    assert "data-live" in running.text
    assert (again.status_code, again.text) == (304, "")


def test_see_it_fail_lets_the_inbox_refuse_twice_and_recovers_within_a_minute(ada, owner):
    ada.press("/start", pack="jobs")

    ada.press("/start/again", fail="1")

    assert inboxes.list_all(owner)[0].answers == ("500", "500", "200")
    (webhook,) = webhooks.list_all(owner)
    assert webhook.settings["retry"]["delays"][:3] == [5, 10, 300]


def test_the_steps_tell_what_happened_and_what_comes(ada, owner, publish, make_webhook, receiver, deliver):
    from app.services import deliveries
    from app.web.start import steps

    receiver.answers(500, 200)
    make_webhook(url=receiver.url)
    sent = publish().deliveries[0].id
    deliver()

    told = steps(deliveries.find(owner, sent))

    assert [step.title for step in told] == ["Queued", "Sending", "Failed", "Next attempt", "Delivered"]
    assert told[2].note.startswith("500 Internal Server Error in")
    assert told[3].due_at is not None


def test_a_member_without_the_permission_is_refused_and_lands_elsewhere(client, make_member):
    make_member("sue", role="Support")
    sue = Person(client)
    sue.sign_in("sue@acme.test", PASSWORD)

    assert sue.look("/start").status_code == 403
    assert sue.look("/").location == "/log"


def test_a_stranger_sees_nothing_of_an_exchange(ada, client, stranger):
    sent = ada.press("/start", pack="jobs").location.partition("=")[2]
    sam = Person(client.application.test_client())
    sam.sign_in("sam@acme.test", PASSWORD)

    assert sam.look(f"/start?sent={sent}").status_code == 404


def test_a_first_run_is_over_only_by_an_event_not_by_a_test(owner, make_webhook, receiver, deliver):
    webhook = make_webhook(url=receiver.url, on=False)
    webhooks.turn_on(owner, webhook.id)
    deliver()

    assert len(receiver.wait_for(1)) == 1
    assert not first_run.is_over(owner)
