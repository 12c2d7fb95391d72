"""Test inboxes: the address that takes anything, and the page that shows what came."""

from __future__ import annotations

import http.client
import threading

import pytest
from waitress import create_server

from app.services import inboxes
from tests.support.pages import words


@pytest.fixture
def inbox(owner):
    return inboxes.create(owner, "Test inbox")


@pytest.fixture
def send(client, inbox):
    """Send something to the inbox, as anybody could."""

    def run(method="POST", **more):
        return client.open(f"/in/{inbox.token}", method=method, **more)

    return run


def received(owner, inbox):
    return inboxes.requests(owner, inbox.id).items


def test_the_first_inbox_is_made_by_a_button_and_not_by_looking(ada, owner):
    assert "Create test inbox" in ada.look("/inbox").text
    assert inboxes.list_all(owner) == []

    made = ada.press("/inbox/new", name="Test inbox").location

    assert made == f"/inbox/{inboxes.list_all(owner)[0].id}"
    assert ada.look("/inbox").location == made


def test_the_inbox_that_received_last_comes_first(ada, client, owner, inbox):
    other = inboxes.create(owner, "Another")
    assert ada.look("/inbox").location == f"/inbox/{inbox.id}"

    client.post(f"/in/{other.token}")

    assert ada.look("/inbox").location == f"/inbox/{other.id}"
    assert ada.look(f"/inbox/{other.id}/received").location == f"/inbox/{other.id}"


def test_what_is_sent_to_the_address_is_shown(ada, inbox, send):
    assert send(json={"type": "job.created", "n": 1}).status_code == 200

    page = ada.look(f"/inbox/{inbox.id}")

    assert "job.created" in words(page)
    assert "Content-Type: application/json" in words(page)
    assert '<span class="k">&#34;n&#34;</span>' in page.text or '<span class="k">"n"</span>' in page.text
    assert "Not sent by a webhook here" in words(page)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_every_method_is_taken(owner, inbox, send, method):
    send(method, data=b"a=1", content_type="application/x-www-form-urlencoded")

    (request,) = received(owner, inbox)
    assert (request.method, request.body) == (method, b"a=1")


def test_another_site_may_send_to_the_address_too(owner, inbox, send):
    answer = send(data=b"x", headers={"Origin": "https://elsewhere.test", "Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200
    assert len(received(owner, inbox)) == 1


def test_an_unknown_address_takes_nothing(client, inbox):
    assert client.post(f"/in/{inbox.token}x", data=b"x").status_code == 404


def test_a_body_is_kept_up_to_256_kib_and_its_size_told(ada, owner, inbox, send):
    send(data=b"x" * (300 << 10), content_type="text/plain")

    (request,) = received(owner, inbox)
    assert (len(request.body), request.size) == (256 << 10, 300 << 10)
    assert "Truncated" in words(ada.look(f"/inbox/{inbox.id}"))


def test_it_answers_as_told_one_after_the_other_and_stays_with_the_last(ada, inbox, send):
    ada.look(f"/inbox/{inbox.id}")
    answer = ada.press(f"/inbox/{inbox.id}/answers", answer="list", answers="500, 410,204")

    assert answer.status_code == 303
    assert [send(data=b"x").status_code for _ in range(4)] == [500, 410, 204, 204]


def test_429_says_when_to_come_again(ada, inbox, send):
    ada.look(f"/inbox/{inbox.id}")
    ada.press(f"/inbox/{inbox.id}/answers", answer="429")

    answer = send(data=b"x")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")


def test_an_answer_it_does_not_know_is_refused_and_what_was_typed_stays(ada, owner, inbox):
    ada.look(f"/inbox/{inbox.id}")
    answer = ada.press(f"/inbox/{inbox.id}/answers", answer="list", answers="500, teapot")

    assert answer.status_code == 422
    assert "teapot is not an answer." in words(answer)
    assert 'value="500, teapot"' in answer.text
    assert inboxes.find(owner, inbox.id).answers == ("200",)


def test_close_ends_the_connection_without_a_byte(app, owner, inbox):
    inboxes.set_answers(owner, inbox.id, ["close", "200"])
    server = create_server(app, host="127.0.0.1", port=0, threads=1)
    serving = threading.Thread(target=server.run)
    serving.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=10)
        connection.request("POST", f"/in/{inbox.token}", b"x")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.close()
        connection.request("POST", f"/in/{inbox.token}", b"x")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        serving.join(10)
        server.task_dispatcher.shutdown()


@pytest.fixture
def forward(make_webhook, receiver, publish, deliver, send):
    """Let a webhook send to the receiver, and pass on what came there, changed or not."""

    def run(change=lambda body: body, **settings):
        make_webhook(url=receiver.url, **settings)
        publish("job.created", b'{"id":42}')
        deliver()
        came = receiver.requests[-1]
        headers = {
            name: value for name, value in came.headers.items() if name.lower() not in ("host", "content-length")
        }
        send(data=change(came.body), headers=headers)

    return run


def test_the_signature_of_a_delivery_is_checked_and_its_delivery_named(ada, owner, inbox, forward):
    forward(preset="standard")

    page = ada.look(f"/inbox/{inbox.id}")

    (request,) = received(owner, inbox)
    assert "Signature valid" in words(page)
    assert "The signature is right." in words(page)
    assert f"/deliveries/{request.delivery}" in page.text


def test_a_changed_body_is_found_out(ada, inbox, forward):
    forward(lambda body: body + b" ", preset="standard")

    page = words(ada.look(f"/inbox/{inbox.id}"))

    assert "Signature not valid" in page
    assert "or the body was changed." in page


def test_a_webhook_that_does_not_sign_is_not_called_wrong(ada, inbox, forward):
    forward(signature={"scheme": "none"})

    page = words(ada.look(f"/inbox/{inbox.id}"))

    assert "Not signed" in page
    assert "Signature not valid" not in page


def test_the_poll_answers_304_until_something_comes(ada, inbox, send):
    asked = {"HX-Request": "true"}
    path = f"/inbox/{inbox.id}/received"
    first = ada.look(path, **asked)
    calm = ada.look(path, **asked, **{"If-None-Match": first.headers["ETag"]})
    send(json={"type": "job.created"})
    after = ada.look(path, **asked, **{"If-None-Match": first.headers["ETag"]})

    assert (calm.status_code, calm.headers["Postroom-Poll"]) == (304, "2")
    assert (after.status_code, after.headers["Postroom-Poll"]) == (200, "1")
    assert "job.created" in after.text


def test_what_is_open_stays_open_while_others_come(ada, owner, inbox, send, clock):
    send(json={"type": "first.one"})
    opened = received(owner, inbox)[0].id
    clock.advance(seconds=1)
    send(json={"type": "second.one"})

    page = ada.look(f"/inbox/{inbox.id}/received?request={opened}", **{"HX-Request": "true"})

    assert f'name="request" value="{opened}"' in page.text
    assert '<h2 id="h-one"><span class="mono">first.one</span>' in page.text
    assert "second.one" in page.text


def test_what_came_is_text_and_nothing_else(ada, inbox, send):
    evil = '<img src=x onerror=alert(1)><script>alert(2)</script><p hx-get="/x">'
    send(data=evil, content_type="text/html", headers={"X-Evil": evil})

    page = ada.look(f"/inbox/{inbox.id}").text

    assert "<img" not in page
    assert "alert(2)</script>" not in page
    assert '<p hx-get="/x">' not in page
    assert "&lt;img src=x" in page


def test_a_cleared_inbox_is_empty_once_it_was_confirmed(ada, owner, inbox, send):
    send(data=b"x")
    asked = ada.look(f"/inbox/{inbox.id}/clear")
    assert "1 request that it received is deleted." in words(asked)
    assert len(received(owner, inbox)) == 1

    answer = ada.press(f"/inbox/{inbox.id}/clear")

    assert answer.status_code == 303
    assert received(owner, inbox) == ()


def test_another_inbox_needs_a_name(ada, owner, inbox):
    ada.look("/inbox/new")

    assert "Give the inbox a name" in words(ada.press("/inbox/new", name=" "))
    made = ada.press("/inbox/new", name="Slow one")

    assert made.status_code == 303
    assert [each.name for each in inboxes.list_all(owner)] == ["Test inbox", "Slow one"]


def test_a_webhook_that_sends_here_is_one_click_away(ada, inbox):
    page = ada.look(f"/inbox/{inbox.id}").text

    assert f"/webhooks/new?url={inbox.url}".replace(":", "%3A") in page.replace(":", "%3A")


def test_strangers_find_nothing_and_members_without_webhooks_are_refused(app, inbox, sam, make_member):
    from tests.web.conftest import signed_in

    make_member("mia")

    assert sam.look(f"/inbox/{inbox.id}").status_code == 404
    assert sam.look(f"/inbox/{inbox.id}/received").status_code == 404
    assert signed_in(app, "mia@acme.test").look(f"/inbox/{inbox.id}").status_code == 403
