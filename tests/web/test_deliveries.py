"""Log History and the page of a delivery, as people with different permissions see them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from contextlib import contextmanager
from urllib.parse import urljoin

import pytest
from sqlalchemy import event

from app.database import hot_write
from app.delivery import queue
from app.door import Door
from app.extensions import db
from app.services import audit, exports, inside, log, system, tests, webhooks
from app.services.audit import AuditQuery
from app.services.log import LogQuery
from tests.web.browser import Browser, links_of, rows_of, sign_in, words_of

TWICE = {"retry": {"delays": [60, 600], "timeout": 2, "jitter": 0, "on_exhausted": "keep"}}
EVIL = '<script>alert("x")</script>'


@pytest.fixture
def ada(app, owner):
    """An admin at her browser."""
    return sign_in(app, owner)


@pytest.fixture
def warehouse(ada, receiver, make_webhook):
    return make_webhook(url=receiver.url, name="Warehouse", by=ada.actor, **TWICE)


@pytest.fixture
def delivery(ada, clock, warehouse, receiver, publish, deliver):
    """A delivery whose first attempt was refused with a body."""
    receiver.answers(b"HTTP/1.1 503 X\r\nX-Id: 7\r\nContent-Length: 11\r\n\r\nmaintenance", 200)
    publish("job.created", b'{"id":42,"total":1.50}', id="a")
    deliver()
    return log.page(ada.actor, LogQuery()).rows[0]


@pytest.fixture
def sue(app, make_member):
    """Support: reads the log, without bodies."""
    return sign_in(app, make_member("sue", role="Support").actor)


@contextmanager
def counted():
    """Collect the statements that are sent meanwhile; delivery is alive, as it is behind any page."""
    system.tick()
    sent: list[str] = []

    def note(connection, cursor, statement, *_):
        if not statement.startswith(("BEGIN", "PRAGMA")):
            sent.append(statement)

    def note_at_driver(door, statement, values):
        sent.append(statement.sqlite)
        return at_driver(door, statement, values)

    engines, at_driver = set(db.engines.values()), Door._run
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    Door._run = note_at_driver
    try:
        yield sent
    finally:
        Door._run = at_driver
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


# --- Log History


def test_a_row_has_the_five_columns_and_leads_to_the_delivery(ada, delivery):
    page = ada.get("/log").text

    assert rows_of(page) == [delivery.id]
    row = words_of(page[page.index(f'id="{delivery.id}"') : page.index("</tbody>")])
    assert "Retrying job.created" in row
    assert f"Warehouse {delivery.url} 503 1 of 3" in row
    assert "21 Nov 09:00:00" in row
    assert links_of(page, "job.created")[0] == f"/deliveries/{delivery.id}"


def test_a_row_opens_to_payload_and_attempts_with_code_headers_and_body(ada, delivery):
    opener = re.search(r'class="opener"[^>]* href="([^"#]+)', ada.get("/log").text)[1].replace("&amp;", "&")

    page = ada.get(urljoin("/log", opener)).text

    opened = words_of(page[page.index(f'id="d-{delivery.id}"') :])
    assert "Attempt 1 of 3 failed: 503 Service Unavailable. Next attempt in 1 min (09:01:00)." in opened
    assert '"total" : 1.50' in opened
    assert "Response code 503" in opened
    assert "X-Id: 7" in opened
    assert "maintenance" in opened
    assert f'name="open" value="{delivery.id}"' in page
    closer, more = re.search(r'class="opener"[^>]* href="([^"]+)"([^>]*)', page).groups()
    assert closer == f"/log#{delivery.id}"
    assert "autofocus" in more  # without script the page comes anew, and would begin at its top
    assert "autofocus" not in ada.fragment(f"/log/rows?open={delivery.id}").text


def test_several_rows_can_be_open_and_the_address_keeps_them(ada, warehouse, publish):
    publish(id="one")
    publish(id="two")
    first, second = rows_of(ada.get("/log").text)

    page = ada.get(f"/log?open={first}&open={second}").text

    assert page.count('class="inline"') == 2
    assert [f"open={second}" in link for link in re.findall(r'class="opener"[^>]* href="([^"]+)"', page)] == [
        True,
        False,
    ]


def test_filters_are_said_as_a_sentence_and_as_chips_that_can_be_taken_off(ada, delivery, warehouse):
    address = f"/log?state=failed&state=retrying&webhook={warehouse.id}&from=7d"

    page = ada.get(address).text

    assert "Failed or retrying deliveries to Warehouse in the last 7 days, newest first" in page
    assert rows_of(page) == [delivery.id]
    assert "Status: failed, retrying" in words_of(page)
    without = re.findall(r'href="([^"]+)" aria-label="Remove Webhook"', page)[0].replace("&amp;", "&")
    assert without == "/log?state=failed&state=retrying&from=7d"


def test_a_form_without_script_gives_the_same_list_as_the_short_address(ada, delivery):
    long = ada.get("/log?q=&from=own&own_from=2026-11-21T08:59&own_to=&attempts=&state=retrying").text
    short = ada.get("/log?state=retrying&from=2026-11-21T08:59").text

    assert rows_of(long) == rows_of(short) == [delivery.id]
    assert "from 21 Nov, 08:59" in words_of(long)


def test_what_there_is_to_choose_from_comes_when_a_menu_is_opened(ada, delivery, warehouse):
    page = ada.get(f"/log?state=retrying&webhook={warehouse.id}&slow=1").text
    carried = set(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', page))
    way = next(link for link in links_of(page, "Event") if "choose" in link)

    opened = ada.get(way).text
    fetched = ada.fragment(way.replace("/log?", "/log/choices?")).text

    assert {("state", "retrying"), ("webhook", warehouse.id), ("slow", "1")} <= carried
    assert 'name="event_type" value="job.created"' not in page
    for form in (opened, fetched):
        assert 'name="event_type" value="job.created"' in form
        assert re.findall(r'id="of-(\w+)" open', form) == ["event_type"]
        assert len(re.findall(r'value="(?:retrying|whk_\w+|1)" checked', form)) == 3
    assert rows_of(opened) == rows_of(page)
    assert "choose" not in ada.fragment("/log?choose=all&state=retrying").headers["HX-Replace-Url"]
    assert " open" not in re.search(r'<form class="filters".*?</form>', ada.get("/log?choose=all").text, re.DOTALL)[0]


def test_a_choice_that_no_menu_offers_any_more_stays_chosen(ada):
    page = ada.get("/log?choose=more&kind=Long+gone&unit=sold")

    for name, value in (("kind", "Long gone"), ("unit", "sold")):
        assert f'name="{name}" value="{value}" checked' in page.text


def test_a_filter_that_cant_be_read_is_explained(ada):
    for address, words in (
        ("/log?from=tomorrow", "isn&#39;t a time"),
        ("/log?attempts=many", "whole number"),
        ("/log?test=maybe", "exclude or only"),
        ("/log?cursor=x", "can&#39;t be used"),
    ):
        answer = ada.get(address)
        assert answer.status_code == 422
        assert words in answer.text


def test_what_was_not_sent_is_hidden_until_asked_for(ada, clock, warehouse, publish):
    webhooks.turn_off(ada.actor, warehouse.id)
    publish()

    assert rows_of(ada.get("/log").text) == []
    shown = ada.get("/log?skipped=1").text
    assert len(rows_of(shown)) == 1
    assert "Skipped" in words_of(shown)


def test_an_empty_log_says_so_and_a_filtered_one_what_would_match(ada, delivery, stranger, clock):
    clock.advance(seconds=7200)

    assert "1 match without the date." in words_of(ada.get("/log?from=1h").text)
    assert "No deliveries match these filters." in ada.get("/log?q=zzz").text


def test_pages_lead_on_and_back(ada, warehouse, publish, monkeypatch):
    for number in range(55):
        publish(id=f"n{number}")

    first = ada.get("/log").text
    older = ada.get(links_of(first, "Older")[0]).text
    newer = ada.get(links_of(older, "Newer")[0]).text

    assert (len(rows_of(first)), len(rows_of(older))) == (50, 5)
    assert rows_of(newer) == rows_of(first)
    assert not links_of(first, "Newer")
    assert not links_of(older, "Older")


def test_the_poll_gets_304_until_something_changes(ada, delivery, clock, deliver, receiver):
    first = ada.fragment("/log/rows")
    again = ada.fragment("/log/rows", **{"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")
    assert again.headers["Postroom-Poll"] == "2"
    clock.advance(seconds=61)
    deliver()
    changed = ada.fragment("/log/rows", **{"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert "Delivered" in changed.text


def test_a_quiet_log_is_asked_for_less_often(ada, delivery, clock):
    paces = []
    for passed in (0, 100, 1000):
        clock.advance(seconds=passed)
        paces.append(ada.fragment("/log/rows").headers["Postroom-Poll"])

    assert paces == ["2", "5", "15"]


def test_what_arrives_while_one_reads_waits_behind_a_pill(ada, delivery, publish):
    page = ada.get(f"/log?open={delivery.id}").text
    top = re.search(r'name="top" value="([^"]+)"', page)[1]
    publish(id="new")

    reading = ada.fragment(f"/log/rows?top={top}&open={delivery.id}").text
    at_rest = ada.fragment("/log/rows").text

    assert rows_of(reading) == [delivery.id]
    assert "1 new" in words_of(reading)
    assert len(rows_of(at_rest)) == 2
    assert "1 new" not in words_of(at_rest)


def test_a_fragment_opened_as_a_page_goes_to_its_page(ada, delivery):
    for fragment, page in (
        ("/log/rows?state=failed", "/log?state=failed"),
        ("/log/counts", "/log"),
        ("/log/choices?choose=webhook", "/log?choose=webhook"),
        (f"/deliveries/{delivery.id}/live", f"/deliveries/{delivery.id}"),
    ):
        answer = ada.get(fragment)
        assert (answer.status_code, answer.headers["Location"]) == (302, page)


def test_the_count_is_exact_until_it_is_capped(ada, delivery, monkeypatch):
    assert ada.fragment("/log/counts").text.startswith("1 delivery<hx-partial ")
    monkeypatch.setattr(log, "COUNTED", 0)
    assert ada.fragment("/log/counts").text.startswith("0+ deliveries<hx-partial ")


def test_fifty_rows_and_any_page_stay_within_their_budgets(ada, warehouse, publish, deliver):
    for number in range(50):
        publish(id=f"n{number}")
    deliver()
    ids = rows_of(ada.get("/log").text)
    assert len(ids) == 50

    assert len(gzip.compress(ada.fragment("/log/rows").data)) <= 8_000
    for address in (
        "/log",
        f"/log?open={ids[0]}&open={ids[1]}&open={ids[2]}",
        f"/deliveries/{ids[0]}?state=delivered",
        f"/deliveries/{ids[0]}/compare?a=1&b=1",
    ):
        with counted() as statements:
            assert ada.get(address).status_code == 200
        assert len(statements) <= 12, "\n".join(statements)
    etag = ada.fragment("/log/rows").headers["ETag"]
    with counted() as statements:
        assert ada.fragment("/log/rows", **{"If-None-Match": etag}).status_code == 304
    assert len([one for one in statements if "delivery" in one]) == 1


def test_a_view_is_saved_shown_renamed_and_deleted(ada, delivery):
    page = ada.get("/log?state=retrying&webhook=whk_0").text
    question = ada.get(links_of(page, "Save this view")[0]).text
    assert "Retrying deliveries to whk_0" in words_of(question)

    made = ada.post("/log/views/new", name="Mine", state="retrying", webhook="whk_0", junk="x")
    there = ada.get(made.headers["Location"]).text
    assert made.headers["Location"] == "/log?state=retrying&webhook=whk_0"
    assert links_of(there, "Mine") == [made.headers["Location"]]
    assert not links_of(there, "Save this view")
    edit = links_of(there, "Edit this view")[0]
    refused = ada.post(edit, name="")
    assert (refused.status_code, "1 to 60 characters" in refused.text) == (422, True)
    ada.post(edit, name="Ours")
    assert links_of(ada.get("/log").text, "Ours")
    ada.post(f"{edit}/delete")
    assert not links_of(ada.get("/log").text, "Ours")


def test_payloads_are_searched_where_the_box_says_so_and_the_list_says_how_far(ada, sue, delivery, monkeypatch):
    assert rows_of(ada.get("/log?q=1.50").text) == []
    assert links_of(ada.get("/log?q=1.50").text, "Search inside payloads too") == ["/log?q=1.50&inside=1"]
    found = ada.get("/log?q=1.50&inside=1").text
    assert rows_of(found) == [delivery.id]
    assert "matching “1.50”, payloads searched too" in found
    assert "data-live" not in found[found.index("<main") : found.index("</main>")]
    assert rows_of(ada.fragment(f"/log/rows?q=1.50&inside=1&open={delivery.id}").text) == [delivery.id]
    assert ada.get(f"/deliveries/{delivery.id}?q=1.50&inside=1").status_code == 200
    assert ada.get("/log.csv?q=1.50&inside=1").status_code == 422
    assert sue.get("/log?q=1.50&inside=1").status_code == 403
    monkeypatch.setattr(inside, "SLICE", 1)
    monkeypatch.setattr(inside, "LONGEST_S", 0)
    stopped = ada.get("/log?q=nothing&inside=1").text
    assert "Nothing found back to 21 Nov 09:00:00, after 2 s of looking." in words_of(stopped)
    assert "Stopped after 2 s of looking, back to 21 Nov 09:00:00." in words_of(stopped)


def test_the_oldest_come_first_when_asked_and_the_last_page_says_what_is_deleted(ada, warehouse, publish, clock):
    for number in range(52):
        clock.advance(seconds=1)
        publish(id=f"n{number}")
    newest = rows_of(ada.get("/log").text)

    first = ada.get("/log?sort=oldest").text
    second = ada.get(links_of(first, "Newer")[0]).text
    back = ada.get(links_of(second, "Older")[0]).text
    end = words_of(ada.get(links_of(ada.get("/log").text, "Older")[0]).text)

    assert "All deliveries, oldest first" in words_of(first)
    assert rows_of(second) == [newest[1], newest[0]]
    assert rows_of(back) == rows_of(first)
    assert 'name="top"' not in first
    assert "Older than 30 days is deleted, what failed after 90. Retention" in end


# --- files


def test_an_export_has_every_row_of_the_filter_and_no_formula(ada, receiver, make_webhook, publish, monkeypatch):
    monkeypatch.setattr(exports, "SLICE", 2)
    make_webhook(url=receiver.url, name="=cmd()", by=ada.actor)
    for number in range(5):
        publish(id=f"n{number}")

    answer = ada.get("/log.csv?state=queued")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    lines = [json.loads(line) for line in ada.get("/log.ndjson?state=queued").text.splitlines()]

    assert answer.headers["Content-Disposition"] == 'attachment; filename="deliveries.csv"'
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    assert len({row["id"] for row in rows}) == 5
    assert {row["webhook_name"] for row in rows} == {"'=cmd()"}
    assert lines[0]["webhook_name"] == "=cmd()"
    assert lines[0]["created_at"] == "2026-11-21T09:00:00.000Z"
    assert len(ada.get("/log.ndjson?state=failed").text.splitlines()) == 0


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_a_cell_that_looks_like_a_formula_is_text(cell):
    assert exports.escaped(cell) == f"'{cell}"
    assert exports.escaped(7) == 7


def test_an_export_has_bodies_for_who_asks_and_may_see_them(
    ada, make_member, app, receiver, make_webhook, publish, deliver
):
    make_webhook(url=receiver.url, by=ada.actor)
    receiver.answers(b"HTTP/1.1 200 X\r\nContent-Length: 7\r\n\r\n=thanks")
    publish(data=b'{"total":1.50}')
    deliver()
    pat = sign_in(app, make_member("pat", role="Support").actor)

    line = json.loads(ada.get("/log.ndjson?bodies=1&test=exclude").text)
    row = next(csv.DictReader(io.StringIO(ada.get("/log.csv?bodies=1&test=exclude").text)))

    assert '"data":{"total":1.50}' in line["request_body"]
    assert (line["response_body"], row["response_body"]) == ("=thanks", "'=thanks")
    assert "request_body" not in ada.get("/log.ndjson").text
    assert "with bodies" in ada.get("/log").text
    assert "with bodies" not in pat.get("/log").text
    assert pat.get("/log.csv?bodies=1").status_code == 403
    assert [entry.fields for entry in audit.page(ada.actor, AuditQuery(action="log.exported")).entries] == [
        (),
        (("bodies", None, True),),
        (("bodies", None, True),),
    ]


def test_an_export_ends_at_its_limit(ada, warehouse, publish, monkeypatch):
    monkeypatch.setattr(exports, "MOST_ROWS", 3)
    monkeypatch.setattr(exports, "SLICE", 2)
    for number in range(5):
        publish(id=f"n{number}")

    assert len(ada.get("/log.ndjson").text.splitlines()) == 3


# --- one delivery


def test_the_page_of_a_delivery_says_where_it_stands_and_what_is_planned(ada, delivery):
    page = ada.get(f"/deliveries/{delivery.id}").text
    said = words_of(page)

    assert "<title>Retrying · job.created" in page
    assert "Attempt 1 of 3 failed: 503 Service Unavailable. Next attempt in 1 min (09:01:00)." in said
    assert "#1 503" in said
    assert "09:01:00 #2" in said
    assert "about 09:11 #3, the last" in said
    assert "The receiver had a problem. It is tried again." in said
    assert f"POST {delivery.url}" in said
    assert "maintenance" in said
    assert "Postroom-Delivery:" in said


def test_what_was_not_sent_says_what_the_filter_found_and_where_to_change_it(ada, sue, receiver, make_webhook, publish):
    hook = make_webhook(url=receiver.url, filter="data.total > `100`")
    (skipped,) = publish("job.created", b'{"total":40}').deliveries

    page = ada.get(f"/deliveries/{skipped.id}").text

    assert "Not sent: the filter data.total > `100` didn't match: total was 40." in words_of(page)
    assert links_of(page, "Filter") == [f"/webhooks/{hook.id}/edit#filter"]
    assert "Not sent: the filter didn't match." in words_of(sue.get(f"/deliveries/{skipped.id}").text)


def test_what_is_under_way_says_for_how_long(ada, delivery, clock):
    clock.advance(seconds=60)
    with hot_write() as door:
        queue.claim(door, {1: 5}, (), "worker-1", clock.now, queue.LEASE_MS)
    clock.advance(seconds=3)

    assert "Attempt 2 of 3 in progress, 3 s." in words_of(ada.get(f"/deliveries/{delivery.id}").text)


def test_a_running_delivery_is_live_and_a_finished_one_is_not(ada, delivery, clock, deliver):
    assert f'hx-get="/deliveries/{delivery.id}/live"' in ada.get(f"/deliveries/{delivery.id}").text
    running = ada.fragment(f"/deliveries/{delivery.id}/live")
    assert running.headers["Postroom-Poll"] == "5"
    clock.advance(seconds=30)
    assert ada.fragment(f"/deliveries/{delivery.id}/live").headers["Postroom-Poll"] == "1"
    clock.advance(seconds=31)
    deliver()

    finished = ada.fragment(f"/deliveries/{delivery.id}/live", **{"If-None-Match": running.headers["ETag"]})

    assert finished.status_code == 200
    assert "Accepted with 200 OK on attempt 2 of 3" in words_of(finished.text)
    assert "data-live" not in finished.text


def test_an_attempt_has_a_page_of_its_own(ada, sue, delivery, clock, deliver):
    clock.advance(seconds=61)
    deliver()
    page = ada.get(f"/deliveries/{delivery.id}?state=delivered").text
    first = ada.get(links_of(page, "Attempt 1 by itself")[0]).text

    assert "<title>Attempt 1, 503 Service Unavailable · job.created" in first
    assert "maintenance" in first
    assert "1.50" in first
    newer = links_of(first, "newer")[0]
    assert newer == f"/deliveries/{delivery.id}/attempts/2?state=delivered"
    assert "200 OK" in ada.get(newer).text
    assert ada.get(f"/deliveries/{delivery.id}/attempts/3").status_code == 404
    assert "maintenance" not in sue.get(f"/deliveries/{delivery.id}/attempts/1").text


def test_two_attempts_are_compared_and_what_differs_is_marked(ada, delivery, clock, deliver, warehouse):
    webhooks.edit(ada.actor, warehouse.id, {"data_mode": "status_only"})
    clock.advance(seconds=61)
    deliver()

    page = ada.get(f"/deliveries/{delivery.id}").text
    assert "Body differs from attempt 1." in words_of(page)
    compared = ada.get(links_of(page, "Compare")[0]).text

    assert '<mark data-note="−">503 Service Unavailable' in compared
    assert '<mark data-note="+">200 OK' in compared
    assert "1.50" in compared
    assert ada.get(f"/deliveries/{delivery.id}/compare?a=1&b=9").status_code == 409


def test_the_payload_can_be_taken_away_byte_for_byte_and_as_a_command(ada, delivery, receiver):
    body = ada.get(f"/deliveries/{delivery.id}/body")
    command = ada.get(f"/deliveries/{delivery.id}/curl").text
    local = ada.get(f"/deliveries/{delivery.id}/curl?to=local").text

    assert body.data == receiver.requests[0].body
    assert "attachment" in body.headers["Content-Disposition"]
    assert command.startswith(f"curl -X POST {delivery.url}")
    assert local.startswith("curl -X POST http://127.0.0.1:8000/")
    assert body.data.decode() in command


def test_newer_and_older_keep_the_filter(ada, delivery, publish):
    publish(id="later")
    publish("job.updated", id="last")

    page = ada.get(f"/deliveries/{delivery.id}?event_type=job.created").text

    newer = links_of(page, "newer")[0]
    assert newer.endswith("?event_type=job.created")
    assert "job.created" in ada.get(newer).text
    assert not links_of(page, "older")


# --- by hand


def test_retry_now_sends_and_leads_back_to_where_one_was(ada, delivery, deliver):
    answer = ada.post(f"/deliveries/{delivery.id}/retry", back=f"/log?open={delivery.id}")

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/log?open={delivery.id}")
    assert deliver() == 1


@pytest.mark.parametrize("back", ["https://evil.test/", "//evil.test/", "/\\evil.test"])
def test_the_way_back_never_leaves_the_site(ada, delivery, back):
    answer = ada.post(f"/deliveries/{delivery.id}/retry", back=back)

    assert answer.headers["Location"] == f"/deliveries/{delivery.id}"


def test_canceling_asks_first_and_then_says_who_did_it(ada, delivery):
    assert "Cancel this delivery?" in ada.get(f"/deliveries/{delivery.id}/cancel").text

    ada.post(f"/deliveries/{delivery.id}/cancel")

    assert "Canceled by Ada, 21 Nov 09:00:00." in words_of(ada.get(f"/deliveries/{delivery.id}").text)
    again = ada.post(f"/deliveries/{delivery.id}/cancel")
    assert again.status_code == 303
    assert "can&#39;t be canceled" in ada.get(f"/deliveries/{delivery.id}").text


def test_replaying_asks_first_and_leads_to_the_new_delivery(ada, delivery):
    assert "The receiver may have seen it before." in ada.get(f"/deliveries/{delivery.id}/replay").text

    made = ada.post(f"/deliveries/{delivery.id}/replay").headers["Location"]

    assert made != f"/deliveries/{delivery.id}"
    assert "REPLAY" in words_of(ada.get(made).text)


def test_edited_data_is_sent_as_a_test_and_a_mistake_keeps_what_was_typed(ada, delivery, deliver, receiver):
    page = ada.get(f"/deliveries/{delivery.id}/edit-test").text
    assert "&#34;total&#34;: 1.50" in page

    refused = ada.post(f"/deliveries/{delivery.id}/edit-test", data='{"total": ')
    assert refused.status_code == 422
    assert "{&#34;total&#34;: " in refused.text
    assert "One thing needs a change" in refused.text

    answer = ada.post(f"/deliveries/{delivery.id}/edit-test", data='{"total": 2.50}')
    deliver()
    assert b'"total":2.50' in receiver.requests[-1].body
    assert "TEST" in words_of(ada.get(answer.headers["Location"]).text)


# --- who may what


def test_without_payloads_keys_are_seen_and_values_are_not(ada, sue, delivery):
    for address in (f"/log?open={delivery.id}", f"/deliveries/{delivery.id}"):
        page = sue.get(address).text
        assert "total" in page
        assert "1.50" not in page
        assert "maintenance" not in page
    for address in ("body", "curl", "edit-test"):
        assert sue.get(f"/deliveries/{delivery.id}/{address}").status_code == 403


def test_support_sees_no_buttons_and_may_not_press_them(ada, sue, delivery):
    page = sue.get(f"/deliveries/{delivery.id}").text

    assert "Retry now" not in page
    assert "Replay" not in words_of(page[page.index("<main") :])
    for act in ("retry", "cancel", "replay", "edit-test"):
        assert sue.post(f"/deliveries/{delivery.id}/{act}").status_code == 403
    assert sue.get("/replays/new?delivery=" + delivery.id).status_code == 403


def test_strangers_and_members_without_permission_find_nothing(app, delivery, make_member, organization):
    from tests.conftest import new_organization

    nobody = sign_in(app, make_member("nil").actor)
    sam = sign_in(app, make_member("sam", role="Admin", of=new_organization("Other")).actor)

    passer_by = Browser(sam.actor, app.test_client())

    for path in ("", "/live", "/body", "/curl", "/compare?a=1&b=1", "/cancel", "/replay", "/edit-test"):
        address = f"/deliveries/{delivery.id}{path}"
        asked = sam.fragment if path == "/live" else sam.get
        assert asked(address).status_code == 404, path
        assert nobody.get(address).status_code == 403, path
    for act in ("retry", "cancel", "replay", "edit-test"):
        assert sam.post(f"/deliveries/{delivery.id}/{act}", data="{}").status_code == 404
    assert rows_of(sam.get("/log").text) == []
    for address in ("/log", "/log/rows", "/log/counts", "/log.csv"):
        assert nobody.fragment(address).status_code == 403
        assert passer_by.get(address).status_code == 302
        assert passer_by.fragment(address).status_code == 401


def test_what_others_wrote_stays_text(ada, receiver, make_webhook, publish, deliver):
    body = EVIL.encode()
    receiver.answers(b"HTTP/1.1 500 X\r\nX-A: %b\r\nContent-Length: %d\r\n\r\n%b" % (body, len(body), body))
    make_webhook(url=receiver.url, name=EVIL, by=ada.actor)
    publish("job.created", json.dumps({"a": EVIL}).encode())
    deliver()
    row = log.page(ada.actor, LogQuery()).rows[0]

    for address in ("/log", f"/log?open={row.id}", f"/deliveries/{row.id}", f"/log?q={EVIL}", f"/events/{row.event}"):
        page = ada.get(address).text
        assert EVIL not in page
        assert "&lt;script&gt;" in page


def test_a_test_is_tagged(ada, warehouse):
    made = tests.send(ada.actor, warehouse.id)

    assert "TEST" in words_of(ada.get("/log").text)
    assert rows_of(ada.get("/log?test=exclude").text) == []
    assert rows_of(ada.get("/log?test=only").text) == [made]
