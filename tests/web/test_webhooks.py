"""The list of webhooks, the form, one webhook's pages, and every deed on them."""

from __future__ import annotations

import html
import re

import pytest

from app.models import Webhook
from app.services import webhooks
from tests.conftest import PASSWORD
from tests.support.pages import Person, words
from tests.support.rows import all_of

FORM = {
    "preset": "standard",
    "name": "Billing",
    "which_events": "all",
    "which_units": "all",
    "data_mode": "everything",
    "content_type": "application/json",
    "auth_type": "none",
    "scheme": "standard",
    "verify_ssl": "on",
    "timeout": "15",
    "delays": "5 s, 5 min",
    "jitter": "20",
    "on_exhausted": "keep",
    "max_in_flight": "4",
    "success_codes": "2xx",
}


@pytest.fixture
def ada(client, owner):
    person = Person(client)
    person.sign_in("ada@acme.test", PASSWORD)
    return person


@pytest.fixture
def sam(client, stranger):
    person = Person(client.application.test_client())
    person.sign_in("sam@acme.test", PASSWORD)
    return person


def secrets_in(text):
    return re.findall(r"whsec_[A-Za-z0-9+/=]{20,}", text)


# --- the list


def test_without_a_webhook_the_list_says_what_one_is_for(ada):
    assert "Nothing is sent yet." in words(ada.look("/webhooks"))


def test_the_switch_turns_on_at_once_and_the_test_is_told(ada, make_webhook, receiver, deliver):
    webhook = make_webhook(url=receiver.url, on=False)
    ada.look("/webhooks")

    pressed = ada.press_in_place(f"/webhooks/{webhook.id}/on")
    assert 'aria-checked="true"' in pressed.text
    assert "Sending the test payload" in words(pressed)
    deliver()
    tested = re.search(r'name="tested" value="([^"]+)"', pressed.text)[1]
    later = ada.look(f"/webhooks/list?tested={tested}")

    assert re.search(r"On\. Test payload: 200 OK in \d+ ms", words(later))


def test_a_failed_test_is_told_with_the_way_out(ada, make_webhook, receiver, deliver):
    receiver.answers(503)
    webhook = make_webhook(url=receiver.url, on=False)
    back = ada.press(f"/webhooks/{webhook.id}/on")
    deliver()

    page = words(ada.look(back.location.partition("#")[0]))

    assert "On, but the test payload failed: 503 Service Unavailable." in page
    assert "See it" in page


def test_two_presses_make_one_state_and_one_test(ada, make_webhook, receiver, states):
    webhook = make_webhook(url=receiver.url, on=False)

    ada.press(f"/webhooks/{webhook.id}/on")
    ada.press(f"/webhooks/{webhook.id}/on")

    assert len(states(webhook.id)) == 1


def test_turning_off_while_deliveries_wait_asks_first(ada, owner, make_webhook, receiver, publish, states):
    webhook = make_webhook(url=receiver.url)
    publish()

    asked = ada.press(f"/webhooks/{webhook.id}/off")
    assert (asked.status_code, asked.location) == (303, f"/webhooks/{webhook.id}/off")
    assert "1 delivery is waiting." in words(ada.look(asked.location))
    assert webhooks.find(owner, webhook.id).enabled

    ada.press(f"/webhooks/{webhook.id}/off", waiting="cancel")

    assert not webhooks.find(owner, webhook.id).enabled
    assert states(webhook.id) == [("canceled", [])]


def test_the_list_filters_by_words_and_state(ada, make_webhook, receiver):
    make_webhook(url=receiver.url, name="Billing")
    make_webhook(url=receiver.url, name="Archive", on=False)

    assert "Archive" not in words(ada.look("/webhooks?q=bill"))
    assert "Billing" not in words(ada.look("/webhooks?state=off"))
    assert "No webhook matches these filters. 2 are there" in words(ada.look("/webhooks?q=nothing"))


def test_an_unchanged_list_costs_no_second_answer(ada, make_webhook, receiver):
    make_webhook(url=receiver.url)
    first = ada.look("/webhooks/list")

    again = ada.look("/webhooks/list", **{"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.text) == (304, "")


def test_an_event_that_a_webhook_missed_while_off_makes_the_list_another(ada, owner, make_webhook, receiver, publish):
    hook = make_webhook(url=receiver.url)
    webhooks.turn_off(owner, hook.id)
    tag = ada.look("/webhooks/list").headers["ETag"]
    before = ada.look("/webhooks/list", **{"If-None-Match": tag}).status_code
    publish()

    after = ada.look("/webhooks/list", **{"If-None-Match": tag}).status_code

    assert (before, after) == (304, 200)


def test_names_and_urls_stay_text(ada, make_webhook, receiver):
    make_webhook(url=receiver.url + "?q=%3Cscript%3E", name="<img src=x onerror=alert(1)>")

    page = ada.look("/webhooks").text

    assert "<img" not in page
    assert "&lt;img src=x" in page


# --- the form


def test_a_webhook_is_made_off_and_its_secret_is_shown_once(ada, owner, receiver):
    ada.look("/webhooks/new")

    made = ada.press("/webhooks/new", **FORM, url=receiver.url)
    assert made.status_code == 303
    first, second = ada.look(made.location), ada.look(made.location)

    (webhook,) = webhooks.list_all(owner)
    assert (webhook.enabled, webhook.owner_name) == (False, "Ada")
    assert "Billing was created and is off." in words(first)
    assert len(set(secrets_in(first.text))) == 1
    assert secrets_in(second.text) == []


def test_create_and_turn_on_sends_a_test(ada, owner, receiver, deliver):
    ada.press("/webhooks/new", **FORM, url=receiver.url, do="on")
    deliver()

    assert webhooks.list_all(owner)[0].enabled
    assert len(receiver.wait_for(1)) == 1


def test_what_is_wrong_is_listed_and_all_but_secrets_is_kept(ada):
    fields = {"mapping_field": ["a", "b"], "mapping_property": ["same", "same"], "timeout": "fast"}
    answer = ada.press(
        "/webhooks/new",
        **{**FORM, **fields, "auth_type": "basic"},
        url="",
        auth__username="u",
        auth__password="hunter22",
    )

    assert answer.status_code == 422
    page = words(answer)
    assert "Enter a URL, for example https://example.com/webhook." in page
    assert "Two rows send" in page
    assert "Write the timeout as a number of seconds." in page
    assert answer.text.count('value="same"') == 2
    assert 'value="u"' in answer.text
    assert "hunter22" not in answer.text
    assert "data-focus" in answer.text


def test_stored_passwords_are_in_no_page_and_stay_when_left_empty(ada, make_webhook, receiver, deliver, publish):
    auth = {"type": "basic", "username": "u", "password": "hunter22"}
    webhook = make_webhook(url=receiver.url, auth=auth)
    page = ada.look(f"/webhooks/{webhook.id}/edit")
    assert "hunter22" not in page.text

    fields = {**FORM, "name": "Renamed", "auth_type": "basic", "version": str(webhook.version)}
    saved = ada.press(f"/webhooks/{webhook.id}/edit", **fields, url=receiver.url, auth__username="u", auth__password="")
    publish()
    deliver()

    assert saved.status_code == 303
    assert receiver.requests[0].headers["authorization"] == "Basic dTpodW50ZXIyMg=="


def test_a_new_host_asks_for_the_password_again(ada, make_webhook, receiver):
    auth = {"type": "basic", "username": "u", "password": "hunter22"}
    webhook = make_webhook(url=receiver.url, auth=auth)

    fields = {**FORM, "auth_type": "basic", "version": str(webhook.version)}
    answer = ada.press(
        f"/webhooks/{webhook.id}/edit", **fields, url="http://127.0.0.1:9443/", auth__username="u", auth__password=""
    )

    assert answer.status_code == 422
    assert "The URL points to a new host, so enter the password again." in words(answer)


def test_two_people_editing_at_once_see_what_differs_and_choose(ada, owner, member, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url, preset="standard", retry={"delays": [5, 300]})
    webhooks.edit(member, webhook.id, {"name": "Theirs"})

    fields = {**FORM, "name": "Mine", "version": str(webhook.version)}
    answer = ada.press(f"/webhooks/{webhook.id}/edit", **fields, url=receiver.url)

    assert answer.status_code == 409
    assert re.search(r"Max changed this webhook at 09:00 ?\. Your version is below", words(answer))
    assert "Name Mine Theirs Take theirs" in words(answer)
    assert "Webhook URL" not in words(answer).partition("Preview")[0].partition("Like")[0]
    assert 'value="Mine"' in answer.text
    assert webhooks.find(owner, webhook.id).settings["name"] == "Theirs"

    latest = {**fields, "version": str(webhook.version + 1), "clash": "1", "webhook": webhook.id, "url": receiver.url}
    took = ada.press("/webhooks/form", **latest, do="theirs.name")
    saved = ada.press(f"/webhooks/{webhook.id}/edit", **latest)

    assert 'value="Theirs"' in took.text
    assert "Take theirs" not in took.text
    assert saved.status_code == 303
    assert webhooks.find(owner, webhook.id).settings["name"] == "Mine"


def test_ssl_verification_is_disabled_only_when_the_risk_is_accepted(ada, owner, receiver):
    refused = ada.press("/webhooks/new", **{**FORM, "verify_ssl": "off"}, url=receiver.url)
    assert refused.status_code == 422
    assert all_of(Webhook) == []

    ada.press("/webhooks/new", **{**FORM, "verify_ssl": "off"}, url=receiver.url, accept_ssl="1")

    assert not webhooks.list_all(owner)[0].settings["verify_ssl"]
    assert "SSL off" in words(ada.look("/webhooks"))


def test_rows_are_added_moved_and_kept_without_script_and_nothing_is_saved(ada):
    fields = {"mapping_field": ["first", "second"], "mapping_property": ["1", "2"]}

    added = ada.press("/webhooks/form", **FORM, **fields, url="", do="row.add")
    moved = ada.press("/webhooks/form", **FORM, **fields, url="", do="row.up.1")

    assert added.text.count('name="mapping_field"') == 3
    assert moved.text.index('value="second"') < moved.text.index('value="first"')
    assert all_of(Webhook) == []


def test_another_preset_refills_and_says_so(ada):
    answer = ada.press("/webhooks/form", **{**FORM, "preset": "vomo"}, was="standard", url="", do="preset")

    page = words(answer)
    assert "VOMO set: Hex HMAC of the body in vomo-signature" in page
    assert 'value="vomo-signature"' in answer.text
    assert "Undo" in page


def test_the_preview_is_what_the_receiver_gets(ada, owner, make_type, publish, receiver, deliver):
    example = b'{"id":42,"client":{"name":"A & B","size":1e400},"total":1.50}'
    make_type("job.created", example=example)
    fields = {**FORM, "mapping_field": ["client.name"], "mapping_property": ["customer"]}

    shown = ada.press_in_place("/webhooks/preview", **fields, url=receiver.url, sample="job.created", show="curl")
    ada.press("/webhooks/new", **fields, url=receiver.url)
    webhooks.turn_on(owner, webhooks.list_all(owner)[0].id)
    publish("job.created", example)
    deliver()

    sent = next(request.body for request in receiver.wait_for(2) if b"job.created" in request.body).decode()
    data = sent[sent.index('"data":') :]
    assert data == '"data":{"id":42,"client":{"size":1e400},"total":1.50,"customer":"A & B"}}'
    assert data in words(shown)


def test_a_filter_is_tried_on_the_last_events_of_the_selected_types(ada, make_type, publish, max_):
    for number in range(3):
        publish(data=b'{"total":%d}' % (number * 100), id=f"n{number}")
    publish("job.updated", b'{"total":900}')
    form = {"preset": "standard", "which_events": "pick", "events": "job.created"}

    said = words(ada.press("/webhooks/check-filter", **form, filter="data.total >= `100`"))
    wrong = words(ada.press("/webhooks/check-filter", **form, filter="data.total >="))
    none = words(ada.press("/webhooks/check-filter", **{**form, "events": "job.other"}, filter="data.x"))
    page = words(ada.press("/webhooks/form", **form, filter="data.total >= `100`"))

    assert said == "Matches 2 of the last 3 events; at the newest other one total was 0."
    assert said in page
    assert "olumn" in wrong
    assert none == "There is no event of the selected types yet to try it on."


def test_one_webhook_tells_why_an_event_or_a_type_was_not_sent(
    ada, make_webhook, make_type, publish, receiver, deliver
):
    make_type("job.created"), make_type("job.updated")
    webhook = make_webhook(url=receiver.url, events=["job.created"], filter="data.total > `100`", on=False)
    event = publish("job.updated", b'{"total":40}')

    def asked(what):
        return words(ada.look(f"/webhooks/{webhook.id}/why?event={what}"))

    told = asked(event.id)
    assert "job.updated isn't selected. The business unit is selected, or all are. The owner may see it." in told
    assert "The filter data.total > `100` didn't match: total was 40. The webhook was off." in told
    assert "would not be sent now" in asked("job.updated")
    assert "There is no event type job.nothing." in asked("job.nothing")
    assert "There is no event with this id" in asked("evt_0")
    everything = make_webhook(url=receiver.url, name="All")
    assert "would be sent now" in words(ada.look(f"/webhooks/{everything.id}/why?event=job.created"))


def test_the_preview_marks_what_the_mapping_moved(ada, make_type):
    make_type("job.created", example=b'{"client": {"name": "A"}}')
    fields = {"mapping_field": ["client.name"], "mapping_property": ["customer"]}

    shown = ada.press_in_place("/webhooks/preview", **FORM, **fields, url="", sample="job.created")

    assert re.search(r'<mark data-note="← client.name">[^\n]*customer', shown.text)


def test_a_preview_needs_neither_name_nor_url(ada, make_type):
    make_type("job.created", example=b'{"id": 42}')

    shown = ada.press_in_place("/webhooks/preview", **{**FORM, "name": ""}, url="", sample="job.created")

    assert "valid" in words(shown)


def test_a_copy_has_the_settings_but_no_secret(ada, make_webhook, receiver):
    auth = {"type": "bearer", "token": "t0ken-of-the-first"}
    webhook = make_webhook(url=receiver.url, name="Billing", auth=auth, filter="id > `1`")

    page = ada.look(f"/webhooks/new?from={webhook.id}")

    assert 'value="Billing (copy)"' in page.text
    assert "id &gt; `1`" in page.text
    assert "t0ken" not in page.text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nonsense", "Enter a URL"),
        ("http://10.0.0.5/", "private address"),
        ("https://169.254.169.254/", "blocked"),
        ("http://no-such-host.invalid/", "doesn't resolve at the moment"),
    ],
)
def test_a_url_is_looked_at_before_it_is_saved(ada, url, expected):
    assert expected in words(ada.press_in_place("/webhooks/check-url", **FORM, url=url))


def test_a_refused_address_is_never_dialled_by_the_check(ada, receiver, monkeypatch):
    import socket

    real = socket.getaddrinfo
    private = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 443))]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: private if host == "rebound.test" else real(host, *a, **k)
    )
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("it connected"))

    answer = ada.press_in_place("/webhooks/check-url", **FORM, url="https://rebound.test/")

    assert "resolves to 10.0.0.5, which is a private address and blocked." in words(answer)


# --- one webhook


def test_the_overview_lists_the_newest_deliveries(ada, make_webhook, receiver, publish, deliver):
    webhook = make_webhook(url=receiver.url)
    publish("job.created")
    deliver()

    page = words(ada.look(f"/webhooks/{webhook.id}"))

    assert "Delivered job.created" in page
    assert "1 of 10" in page


def test_pause_and_resume_are_said(ada, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)

    ada.press(f"/webhooks/{webhook.id}/pause", at="page")
    assert "Paused by Ada" in words(ada.look(f"/webhooks/{webhook.id}"))
    ada.press(f"/webhooks/{webhook.id}/resume", at="page")

    assert "Paused" not in words(ada.look(f"/webhooks/{webhook.id}"))


def test_a_test_can_be_a_types_sample_or_a_past_event(ada, make_webhook, receiver, publish, deliver):
    webhook = make_webhook(url=receiver.url)
    past = publish("job.created", b'{"id":7}')

    ada.press(f"/webhooks/{webhook.id}/test", what="type", event_type="job.created")
    ada.press(f"/webhooks/{webhook.id}/test", what="event", event=past.id)
    wrong = ada.press(f"/webhooks/{webhook.id}/test", what="event", event="evt_none")
    deliver()

    assert len(receiver.wait_for(3)) == 3
    assert wrong.status_code == 422
    assert "There is no event with this id" in words(wrong)


def test_deleting_asks_for_the_name(ada, owner, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url, name="Warehouse")

    assert ada.press(f"/webhooks/{webhook.id}/delete", name="warehouse").status_code == 422
    assert len(webhooks.list_all(owner)) == 1
    ada.press(f"/webhooks/{webhook.id}/delete", name="Warehouse")

    assert webhooks.list_all(owner) == []


def test_a_rotated_secret_is_shown_once_and_both_hold(ada, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)

    ada.press(f"/webhooks/{webhook.id}/secret/rotate", overlap="3600000")
    first, second = (ada.look(f"/webhooks/{webhook.id}/signature") for _ in range(2))

    assert len(set(secrets_in(first.text))) == 1
    assert secrets_in(second.text) == []
    assert "Requests carry both signatures until" in words(second)


def test_the_checker_tells_a_true_request_from_a_changed_one(ada, make_webhook, receiver, publish, deliver):
    webhook = make_webhook(url=receiver.url)
    publish("job.created", b'{"id":7}')
    deliver()
    request = receiver.requests[0]
    headers = "\n".join(f"{name}: {request.headers[name]}" for name in request.headers if name.startswith("webhook-"))
    page = f"/webhooks/{webhook.id}/signature"

    true = ada.press(page, headers=headers, body=request.body.decode())
    changed = ada.press(page, headers=headers, body=request.body.decode().replace('{"id":7}', '{"id": 7}'))
    missing = ada.press(page, headers="content-type: application/json", body="{}")

    assert "Valid." in words(true)
    assert "The body was changed: first difference at byte" in words(changed)
    assert "(a space)" in words(changed)
    assert "There is no header" in words(missing)


def test_all_that_is_wrong_is_said_in_the_order_of_the_form_and_nothing_else_is(ada):
    wrong = {**FORM, "name": "", "url": "https://10.0.0.5:22/", "delays": "5 bananas", "mapping_field": ["a", "b"]}
    answer = ada.press("/webhooks/new", **wrong, mapping_property=["client", "client"])

    summary = re.findall(r'<li><a href="#([^"]+)">(.*?)</a>', answer.text)
    assert answer.status_code == 422
    assert [field for field, _ in summary] == ["name", "url", "url", "field_mapping[1].property", "retry.delays"]
    assert summary[3][1] == "Two rows send <i>client</i>. Keep one."
    said = words(answer).replace("\n", " ")
    assert "POSTROOM_ALLOW_PORTS=22. 10.0.0.5 is a private address" in said, "the field names one of its two"
    assert "start the server with POSTROOM_ALLOW_NETWORKS=10.0.0.5." in said, "it doesn't say how to allow it"
    assert "<p>Give the webhook a name.</p>" not in answer.text, "it stands as trouble of the whole server"


def test_the_preview_takes_the_last_real_event_of_the_selected_types(ada, owner, publish):
    none = ada.press_in_place("/webhooks/preview", **FORM, sample="last")
    publish("job.created", b'{"id":7}')
    publish("estimate.created", b'{"id":8}')

    form = {**FORM, "which_events": "pick", "events": ["job.created"]}
    picked = words(ada.press_in_place("/webhooks/preview", **form, sample="last"))

    assert "No event of the selected types has come yet." in words(none)
    assert re.search(r'"id" ?: 7', picked)
    assert not re.search(r'"id" ?: 8', picked)


def test_the_latest_request_fills_the_checker_and_is_valid(ada, make_webhook, receiver, publish, deliver):
    webhook = make_webhook(url=receiver.url)
    publish("job.created", b'{"id":7}')
    deliver()
    page = f"/webhooks/{webhook.id}/signature"

    filled = html.unescape(ada.look(f"{page}?latest=1").text)
    headers, body = (
        re.search(rf'<textarea[^>]* name="{name}"[^>]*>\n(.*?)</textarea>', filled, re.DOTALL)[1]
        for name in ("headers", "body")
    )

    assert body.encode() == receiver.requests[0].body
    assert f"webhook-signature: {receiver.requests[0].headers['webhook-signature']}" in headers
    assert "Valid." in words(ada.press(page, headers=headers, body=body))


@pytest.mark.parametrize("preset", ["standard", "vomo", "github", "stripe"])
def test_the_python_sample_agrees_with_what_is_sent(
    ada, owner, make_webhook, receiver, publish, deliver, monkeypatch, preset, clock
):
    import time

    own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    webhook = make_webhook(url=receiver.url, preset=preset, secret=own)
    publish("job.created", b'{"id":7}')
    deliver()
    request = receiver.requests[0]
    page = ada.look(f"/webhooks/{webhook.id}/signature?language=python").text
    code = re.search(r'id="sample"[^>]*>(.*?)</pre>', page, re.DOTALL)[1]
    source = (
        code.replace("&#34;", '"').replace("&#39;", "'").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
    )
    sample: dict = {}
    exec(re.sub(r'SECRET = "[^"]*"', f'SECRET = "{own}"', source), sample)
    monkeypatch.setattr(time, "time", lambda: clock.now / 1000)
    headers = {name.lower(): request.headers[name] for name in request.headers}

    assert sample["is_genuine"](headers, request.body)
    assert not sample["is_genuine"](headers, request.body + b" ")


def test_every_language_has_its_sample(ada, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)
    header = "webhook-signature"

    for language in ("python", "node", "php", "ruby", "go", "java", "csharp", "shell"):
        page = ada.look(f"/webhooks/{webhook.id}/signature?language={language}").text
        assert header in re.search(r'id="sample"[^>]*>(.*?)</pre>', page, re.DOTALL)[1], language


def test_changes_tell_before_and_after_without_secrets(ada, owner, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)
    webhooks.edit(owner, webhook.id, {"name": "Renamed", "auth": {"type": "bearer", "token": "t0ken"}})

    page = ada.look(f"/webhooks/{webhook.id}/changes")

    assert "Hooks → Renamed" in words(page)
    assert "t0ken" not in page.text


# --- who may


PAGES = ["", "/edit", "/signature", "/changes", "/off", "/test", "/delete", "/secret/rotate", "/overview", "/log"]
DEEDS = ["/on", "/off", "/pause", "/resume", "/test", "/delete", "/edit", "/secret/rotate", "/signature"]


def test_a_stranger_finds_none_of_it(sam, owner, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)

    assert {sam.look(f"/webhooks/{webhook.id}{page}").status_code for page in PAGES} == {404}
    assert {sam.press(f"/webhooks/{webhook.id}{deed}").status_code for deed in DEEDS} == {404}
    assert webhook.settings["name"] not in words(sam.look("/webhooks"))
    assert webhooks.find(owner, webhook.id).enabled


def test_support_sees_no_webhooks(client, owner, make_member, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)
    make_member("sue", role="Support")
    sue = Person(client)
    sue.sign_in("sue@acme.test", PASSWORD)

    paths = ["/webhooks", "/webhooks/new", *(f"/webhooks/{webhook.id}{page}" for page in PAGES)]
    assert {sue.look(path).status_code for path in paths} == {403}


def test_a_developer_may_all_but_rotate_the_secret(client, member, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url)
    max_ = Person(client)
    max_.sign_in("max@acme.test", PASSWORD)

    assert max_.look(f"/webhooks/{webhook.id}").status_code == 200
    assert max_.press(f"/webhooks/{webhook.id}/secret/rotate").status_code == 403
    assert "Rotate</a>" not in max_.look(f"/webhooks/{webhook.id}/signature").text


# --- search


def test_an_id_jumps_and_words_find(ada, sam, make_webhook, receiver):
    webhook = make_webhook(url=receiver.url, name="Billing")

    assert ada.look(f"/search?q={webhook.id}").location == f"/webhooks/{webhook.id}"
    assert "Billing" in words(ada.look("/search?q=bill"))
    assert sam.look(f"/search?q={webhook.id}").status_code == 200
    assert "Billing" not in words(sam.look("/search?q=bill"))
