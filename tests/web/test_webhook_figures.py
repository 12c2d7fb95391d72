"""The figures of a webhook on its page and in the list: right, and never 0 % of nothing."""

from __future__ import annotations

import re

import pytest

from app.core.stats import HOUR_MS
from app.services import webhooks
from tests.support import rows
from tests.support.pages import words

DAY_MS = 24 * HOUR_MS


@pytest.fixture
def sent(make_webhook, receiver, publish, deliver):
    """A webhook whose first event arrived, and whose second waits for another try."""
    hook = make_webhook(url=receiver.url, preset="vomo", name="Warehouse")
    receiver.answers(200, 503)
    publish("job.created")
    deliver()
    publish("job.updated")
    deliver()
    return hook


def test_a_period_in_which_nothing_was_sent_has_no_rates(ada, make_webhook):
    hook = make_webhook(url="http://127.0.0.1:9001/", name="Quiet")

    for period in ("24h", "7d", "30d"):
        page = words(ada.look(f"/webhooks/{hook.id}?period={period}"))
        assert "Delivered – Nothing was sent in this period" in page
        assert "0 %" not in page
        assert "0.0 %" not in page
        assert "By answer" not in page
    listed = words(ada.look("/webhooks"))
    assert "Nothing was sent" in listed
    assert "0 %" not in listed


def test_the_page_tells_figures_that_lead_to_the_log(ada, sent):
    page = ada.look(f"/webhooks/{sent.id}")

    said = words(page)
    assert "Delivered 50.0 % 1 of 2 attempted" in said
    assert "First attempt 50.0 % 1 of 2 delivered by attempt 1" in said
    assert re.search(r"Waiting 1 Queued, retrying or held; next at 09:00", said)
    assert "Failing since 09:00 : 1 of 1 delivery." in said
    assert "Most common: 503 Service Unavailable (1)." in said
    assert "<title>Deliveries by hour: 1 delivered, 1 failed</title>" in page.text
    assert said.count("Show as table") == 2
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/log\?[^"]+)"', page.text)}
    for told in ("response=503", "response=200", "event_type=job.updated"):
        (link,) = [link for link in links if told in link]
        assert sent.id in link
        assert "from=24h" in link
        assert "1 delivery" in ada.look(link.replace("/log?", "/log/counts?"), **{"HX-Request": "true"}).text
    this_hour = max(link for link in links if "&to=" in link)
    assert "2 deliveries" in ada.look(this_hour.replace("/log?", "/log/counts?"), **{"HX-Request": "true"}).text


def test_the_list_tells_the_last_day(ada, sent):
    row = words(ada.look("/webhooks")).partition("Warehouse")[2]

    assert "2 · 1 failed" in row
    assert "50.0 %" in row
    assert re.search(r"p95 \d+ ms", row)


def test_an_unchanged_list_and_page_are_asked_for_cheaply_and_a_counted_try_changes_both(
    ada, sent, clock, deliver, receiver
):
    receiver.answers(200)
    for path in ("/webhooks/list", f"/webhooks/{sent.id}/overview"):
        fresh = ada.look(path, **{"HX-Request": "true"})
        tag = {"HX-Request": "true", "If-None-Match": fresh.headers["ETag"]}
        clock.advance(seconds=1)
        assert ada.look(path, **tag).status_code == 304, path
        clock.advance(ms=HOUR_MS)
        assert ada.look(path, **tag).status_code == 200, "the bars have moved"
    tags = {
        path: ada.look(path, **{"HX-Request": "true"}).headers["ETag"]
        for path in ("/webhooks/list", f"/webhooks/{sent.id}/overview")
    }
    deliver()
    for path, tag in tags.items():
        assert ada.look(path, **{"HX-Request": "true", "If-None-Match": tag}).status_code == 200, path


def test_what_waits_is_retried_at_once_within_the_webhooks_limits(ada, sent, deliver, receiver, states):
    receiver.answers(200)
    assert deliver() == 0

    answer = ada.press(f"/webhooks/{sent.id}/retry", at="page")
    assert answer.status_code == 303
    assert "1 delivery is sent now" in words(ada.look(f"/webhooks/{sent.id}"))
    assert deliver() == 1

    assert states() == [("delivered", [200]), ("delivered", [503, 200])]
    assert rows.audited("webhook.retried")[0].object_id == sent.id


def test_a_webhook_that_is_paused_retries_nothing_and_says_why(ada, sent, owner, deliver):
    webhooks.pause(owner, sent.id)

    ada.press(f"/webhooks/{sent.id}/retry", at="page")

    assert "This webhook is paused. Resume it, and what waits is sent." in words(ada.look(f"/webhooks/{sent.id}"))
    assert deliver() == 0


def test_many_are_not_retried_without_asking(ada, sent, monkeypatch):
    monkeypatch.setattr("app.web.webhooks.MANY_WAITING", 0)

    page = ada.look(f"/webhooks/{sent.id}")

    assert f'href="/webhooks/{sent.id}/retry?at=page"' in page.text
    asked = words(ada.look(f"/webhooks/{sent.id}/retry?at=page"))
    assert "1 delivery is waiting. They are tried now instead of at their time, 4 at once." in asked


def test_the_list_is_filtered_by_name_state_unit_and_event(ada, make_webhook, make_unit, make_type):
    make_unit("north")
    make_type("job.created")
    make_type("user.created")
    make_webhook(url="http://127.0.0.1:9001/", name="Everything")
    make_webhook(url="http://127.0.0.1:9001/", name="Northern", business_units=["north"], events=["job.*"])
    make_webhook(url="http://127.0.0.1:9001/", name="Users", events=["user.created"], on=False)
    make_unit("south")

    def listed(query):
        return re.findall(r'class="link title"[^>]*>([^<]+)<', ada.look(f"/webhooks?{query}").text)

    assert listed("") == ["Everything", "Northern", "Users"]
    assert listed("q=NORTH") == ["Northern"]
    assert listed("state=off") == ["Users"]
    assert listed("unit=north") == ["Everything", "Northern", "Users"]
    assert listed("unit=south") == ["Everything", "Users"]
    assert listed("event=job.created") == ["Everything", "Northern"]
    assert listed("event=user.created&state=on") == ["Everything"]
    assert listed("state=nonsense") == []
    assert "No webhook matches these filters. 3 are there without them." in words(ada.look("/webhooks?q=zzz"))


def test_from_a_hundred_on_the_list_has_pages(ada, make_webhook, monkeypatch):
    monkeypatch.setattr("app.services.webhook_list.LISTED", 2)
    for name in ("c", "A", "b"):
        make_webhook(url="http://127.0.0.1:9001/", name=name, on=False)

    first, second = ada.look("/webhooks"), ada.look("/webhooks?page=2")

    names = [re.findall(r'class="link title"[^>]*>([^<]+)<', page.text) for page in (first, second)]
    assert names == [["A", "b"], ["c"]]
    assert "1–2 of 3" in words(first)
    assert 'href="/webhooks?page=2"' in first.text
    assert 'name="page" value="2"' in second.text
    assert "This page is empty by now." in words(ada.look("/webhooks?page=3"))
    assert ada.look("/webhooks?page=x").status_code == 200
