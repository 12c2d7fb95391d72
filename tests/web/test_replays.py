"""Replays by filter, at the pages: the question with its figures, the progress, and what was missed while off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from app.core.states import DeliveryKind
from app.models import Delivery, Replay, ReplayItem, ReplayState
from app.services import replay_selection, replaying, replays, webhooks
from app.services.log import LogQuery
from app.services.replay_selection import LeftOut, Wanted
from app.services.replays import Order
from app.web import words
from tests.support import rows
from tests.support.pages import words as words_of
from tests.support.visitor import Form, Page

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.support.pages import Person


def form_of(answer: TestResponse) -> Form:
    """The form of the question, as it stands on the page."""
    shown = Page.__new__(Page)
    Page.__init__(shown, _AsRequests(answer))  # type: ignore[arg-type]
    return next(form for form in shown.forms.values() if form.method == "post" and ("boxes", "1") in form.fields)


class _AsRequests:
    """A test client's answer with the names that `Page` reads."""

    def __init__(self, answer: TestResponse) -> None:
        self.status_code, self.url, self.text = answer.status_code, "", answer.text


def press(person: Person, form: Form, path: str = "", **changes: Any) -> TestResponse:
    """Send a form as it stands, but for some of its fields."""
    fields: dict[str, Any] = {}
    for name, value in form.filled(**changes):
        fields.setdefault(name, []).append(value)
    fields.pop("csrf_token", None)
    return person.press(path or form.action, **fields)


@pytest.fixture
def failed(make_webhook, publish, receiver, deliver):
    """Three deliveries of one webhook that failed."""
    hook = make_webhook(url=receiver.url, name="Warehouse", retry={"delays": []})
    receiver.answers(500, 500, 500)
    for _ in range(3):
        publish()
    deliver()
    receiver.answers(200)
    return hook


@pytest.mark.parametrize("kind", [ReplayState, LeftOut])
def test_nothing_is_without_words(kind):
    assert set({ReplayState: words.REPLAYS, LeftOut: words.LEFT_OUT}[kind]) == set(kind)


def test_the_question_says_how_many_of_which_and_the_button_makes_as_many(ada, failed, deliver, clock, receiver):
    question = ada.look("/replays/new?webhook=" + failed.id)
    assert "Replay 3 deliveries?" in words_of(question)

    made = press(ada, form_of(question), reason="It was down", rate="100")
    running = ada.look(made.location)
    assert "0 of 3 deliveries made" in words_of(running)
    assert "/live" in running.text
    for _ in range(2):
        replaying.advance(clock.now)
        clock.advance(seconds=300)
    deliver()

    done = ada.look(made.location)
    assert "3 of 3 delivered." in words_of(done)
    assert "It was down" in words_of(done)
    assert "/live" not in done.text, "a finished one is asked for again and again"
    assert len(rows.all_of(Delivery, Delivery.kind == DeliveryKind.REPLAY)) == 3
    assert "All deliveries to Warehouse until 21 Nov" in words_of(ada.look("/replays"))
    replay = made.location.rpartition("/")[2]
    assert ada.look(f"/log?replay={replay}").text.count('name="delivery"') == 3


def test_the_same_form_sent_twice_starts_one_replay(ada, failed):
    form = form_of(ada.look("/replays/new?state=failed"))

    first, second = press(ada, form), press(ada, form)

    assert first.location == second.location
    assert len(rows.all_of(Replay)) == 1
    assert len(rows.all_of(ReplayItem)) == 3


def test_a_box_is_counted_again_and_nothing_typed_is_lost(ada, owner, failed):
    webhooks.turn_off(owner, failed.id)
    question = ada.look("/replays/new?state=failed")
    assert "Nothing to replay" in words_of(question)
    assert "3 are for webhooks that are off." in words_of(question)

    again = press(ada, form_of(question), "/replays/count", leave_out_off=None)
    assert "Replay 3 deliveries?" in words_of(again)
    refused = press(ada, form_of(again), rate="5000", reason="Try")
    assert refused.status_code == 422
    assert "Choose a rate from 0.1 to 1000 a second." in words_of(refused)
    assert ("reason", "Try") in form_of(refused).fields
    assert ("leave_out_off", "1") not in form_of(refused).fields


def test_a_figure_that_has_changed_since_is_shown_before_anything_is_sent(ada, failed):
    form = form_of(ada.look("/replays/new?state=failed"))

    answer = press(ada, form, expected="2")

    assert answer.status_code == 409
    assert "Meanwhile it would be 3 instead of 2." in words_of(answer)
    assert press(ada, form_of(answer)).status_code == 303


def test_what_is_selected_is_replayed_whatever_became_of_it(ada, failed, publish, deliver, clock):
    clock.advance(seconds=300)
    publish()
    deliver()
    log = ada.look("/log").text
    chosen = re.findall(r'name="delivery" value="(dlv_\w+)"', log)[:2]  # one delivered, one failed
    assert 'action="/replays/new"' in log

    question = ada.look("/replays/new?" + "&".join(f"delivery={one}" for one in chosen))
    made = press(ada, form_of(question))

    assert "2 selected deliveries." in words_of(question)
    assert made.status_code == 303
    assert len(rows.all_of(ReplayItem)) == 2


def test_the_log_leads_to_all_that_match(ada, failed):
    page = ada.look("/log?state=failed&webhook=" + failed.id).text

    assert "/replays/new?state=failed&amp;webhook=" + failed.id in page
    count = ada.look("/log/counts?state=failed", **{"HX-Request": "true"}).text
    key = re.search(r'id="(all-\w+)"', ada.look("/log?state=failed").text)
    assert key is not None
    assert count.startswith("3 deliveries<hx-partial")
    assert f'hx-target="#{key[1]}"' in count


def test_stop_stops_and_says_how_far_it_came(ada, failed):
    made = press(ada, form_of(ada.look("/replays/new?state=failed")), rate="1").location
    question = words_of(ada.look(f"{made}/stop"))
    stopped = ada.press(f"{made}/stop")

    assert "3 of 3 deliveries are not made yet, and won't be." in question
    assert stopped.status_code == 303
    assert "Stopped before the first delivery was made." in words_of(ada.look(made))
    assert f"{made}/stop" not in ada.look(made).text


def test_progress_answers_304_while_nothing_moves(ada, failed, clock):
    made = press(ada, form_of(ada.look("/replays/new?state=failed"))).location
    first = ada.look(f"{made}/live", **{"HX-Request": "true"})

    again = ada.look(f"{made}/live", **{"HX-Request": "true", "If-None-Match": first.headers["ETag"]})
    replaying.advance(clock.now)
    moved = ada.look(f"{made}/live", **{"HX-Request": "true", "If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.headers["Postroom-Poll"], moved.status_code) == (304, "1", 200)


def test_the_list_is_paged_and_says_when_there_is_nothing(ada, owner, failed, monkeypatch):
    assert "No replays yet." in words_of(ada.look("/replays"))
    for _ in range(52):
        made = replays.start(owner, Wanted(LogQuery()), Order(), {"state": "failed"})
        replays.stop(owner, made)

    page = ada.look("/replays").text
    older = re.search(r'rel="next"[^>]+href="([^"]+)"', page)

    assert older is not None
    assert ada.look(older[1]).text.count('id="rpl_') == 2


def test_without_the_permission_there_is_no_way_in(max_, failed):
    assert "/replays" not in max_.look("/log").text
    for path in ("/replays", "/replays/new", f"/webhooks/{failed.id}/missed"):
        assert max_.look(path).status_code == 403


# --- what was missed


@pytest.fixture
def missed(owner, failed, publish, clock):
    """A webhook that is on again after three events of two types."""
    clock.advance(seconds=300)
    webhooks.turn_off(owner, failed.id)
    for kind in ("job.created", "job.created", "job.updated"):
        clock.advance(seconds=1)
        publish(kind)
    clock.advance(seconds=1)
    webhooks.turn_on(owner, failed.id)
    return failed


def test_what_was_missed_is_offered_once_and_sent_oldest_first(ada, missed, clock, deliver, receiver):
    offer = "3 events happened while it was off."
    assert offer in words_of(ada.look("/webhooks"))
    assert offer in words_of(ada.look(f"/webhooks/{missed.id}"))

    question = ada.look(f"/webhooks/{missed.id}/missed")
    assert "Send what Warehouse missed?" in words_of(question)
    assert "would have gone to it (2 job.created , 1 job.updated )" in words_of(question)
    fields = dict(re.findall(r'name="(id|expected)" value="([^"]+)"', question.text))
    made = ada.press(f"/webhooks/{missed.id}/missed", rate="10", **fields)
    again = ada.press(f"/webhooks/{missed.id}/missed", rate="10", **fields)

    assert made.location == again.location
    assert offer not in words_of(ada.look("/webhooks")), "it is offered while it is being sent"
    for _ in range(3):
        replaying.advance(clock.now)
        clock.advance(seconds=1)
    deliver()
    assert "3 of 3 delivered." in words_of(ada.look(made.location))
    assert offer not in words_of(ada.look("/webhooks"))
    assert "Nothing that it missed is left to send." in words_of(ada.look(f"/webhooks/{missed.id}/missed"))


def test_what_was_not_sent_because_it_was_stopped_is_offered_again(ada, owner, missed, clock):
    from app.services import missed as catching_up

    made = catching_up.start(owner, missed.id, Order(rate=0.1))
    replaying.advance(clock.now)
    replays.stop(owner, made)

    assert "2 events happened while it was off." in words_of(ada.look("/webhooks"))


def test_what_was_missed_before_is_not_offered_after_another_break(ada, owner, missed, publish, clock):
    clock.advance(seconds=60)
    webhooks.turn_off(owner, missed.id)
    clock.advance(seconds=60)
    publish("job.created")
    assert "Turn it on first." in words_of(ada.look(f"/webhooks/{missed.id}/missed"))
    refused = ada.press(f"/webhooks/{missed.id}/missed")
    assert refused.status_code == 409
    clock.advance(seconds=60)
    webhooks.turn_on(owner, missed.id)

    assert "1 event happened while it was off. Send it…" in words_of(ada.look("/webhooks"))


def test_a_new_webhook_that_is_turned_on_has_missed_nothing(ada, owner, make_webhook, publish, receiver):
    hook = make_webhook(url=receiver.url, on=False)
    publish()
    webhooks.turn_on(owner, hook.id)

    assert "while it was off" not in words_of(ada.look("/webhooks"))


def test_replays_have_no_part_in_health(owner, failed, receiver, clock, deliver):
    before = rows.lane(failed.id).failed_attempts
    receiver.answers(500, 500, 500)
    replays.start(owner, Wanted(LogQuery()), Order(), {})
    for _ in range(2):
        clock.advance(seconds=300)
        replaying.advance(clock.now)
        deliver()

    assert rows.lane(failed.id).failed_attempts == before
    assert replay_selection.count(owner, Wanted(LogQuery())).total == 3, "a replay that failed is still failed, once"
