"""The server as it runs: a publish that goes the short way is answered as the long way answers it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.api import express
from app.cli.server import Server
from app.database import is_sqlite, write
from app.models import Delivery, Event
from app.services import api_keys
from app.services.intake import intake
from tests.support import rows

EVENT = b'{"type":"job.created","data":{"total":1.50},"id":"e%d"}'


class Line:
    """A connection that stays open."""

    def __init__(self, port: int, key: str) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._key = key

    def publish(self, body: bytes, way: str = "", **headers: str) -> tuple[int, dict[str, str], Any]:
        """Publish by the short way, or with `way="?long"` by the other."""
        sent = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        self._line.request("POST", f"/api/v1/events{way}", body, sent)
        response = self._line.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        return response.status, told, json.loads(response.read())

    def close(self) -> None:
        self._line.close()


@pytest.fixture
def new_line(server, settings, owner, make_key) -> Iterator[Callable[[], Line]]:
    """Open connections with one key: `new_line()`."""
    key, opened = make_key(owner), []

    def new() -> Line:
        opened.append(Line(settings.port, key))
        return opened[-1]

    yield new
    for each in opened:
        each.close()


@pytest.fixture
def server(app, settings) -> Iterator[Server]:
    """The server in a thread of this process, with the intake as `serve` starts it."""
    intake.start(app.app_context)
    found = Server(app, settings)
    ended = threading.Event()

    def loop() -> None:
        with app.app_context():
            while not ended.is_set():
                found.turn(0.2)

    thread = threading.Thread(target=loop)
    thread.start()
    yield found
    ended.set()
    found.wake()
    thread.join(20)
    intake.stop()
    found.refuse()
    found.close()
    intake.__init__()  # type: ignore[misc]  as before the server was started


@pytest.fixture
def line(new_line, job_created, publish) -> Line:
    """A publisher whose key and type the server knows by now."""
    publish(data=b"{}")
    found = new_line()
    assert found.publish(b"{}")[0] == 422
    return found


@pytest.fixture
def short_ways(monkeypatch) -> list[bool]:
    """Which requests went the short way; it watches and changes nothing."""
    seen: list[bool] = []
    read = express.read

    def watched(headers: Any, body: bytes) -> Any:
        found = read(headers, body)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(express, "read", watched)
    return seen


def test_a_plain_publish_goes_the_short_way_and_is_stored_with_its_deliveries(line, make_webhook, short_ways):
    make_webhook(url="http://127.0.0.1:9001/")

    status, _, told = line.publish(EVENT % 1)

    assert (status, short_ways) == (202, [True])
    (event,) = rows.all_of(Event, Event.public_id == told["id"])
    assert event.data == b'{"total":1.50}'
    (delivery,) = rows.all_of(Delivery, Delivery.event_id == event.id)
    assert told["deliveries"][0] == {
        "id": delivery.public_id,
        "webhook": told["deliveries"][0]["webhook"],
        "state": "pending",
        "reason": None,
    }


@pytest.mark.parametrize("body", [EVENT % 7, EVENT.replace(b"1.50", b"2.50") % 7], ids=["the same again", "a clash"])
def test_both_ways_give_the_same_answer(line, short_ways, body):
    line.publish(EVENT % 7)

    short, long = line.publish(body), line.publish(body, "?long")

    assert short_ways == [True, True], "the two were not answered differently"
    for one in (short, long):
        one[1].pop("date")
    assert short == long


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (EVENT % 1, {"Authorization": "Bearer prk_" + "0" * 51}, 401),
        (EVENT % 1, {"Content_Type": "text/plain"}, 415),
        (b'{"type":"job.created","data":{"text":"%b"}}' % (b"x" * 20_000), {}, 202),
        (b'{"type":"job.unheard_of","data":{}}', {}, 422),
        (b'{"type":"job.created"', {}, 422),
        (EVENT % 1, {"Idempotency_Key": "another"}, 422),
    ],
    ids=["unknown key", "no JSON by name", "a large body", "unknown type", "broken JSON", "two ids"],
)
def test_what_is_not_plain_goes_the_long_way(line, short_ways, body, headers, status):
    assert line.publish(body, **headers)[0] == status

    assert True not in short_ways


def test_a_revoked_key_is_refused_by_the_short_way_too(line, owner, short_ways):
    assert line.publish(EVENT % 1)[0] == 202
    api_keys.revoke(owner, api_keys.list_all(owner)[0].id)

    assert line.publish(EVENT % 2)[0] == 401
    assert short_ways == [True, False]


def test_a_server_that_stops_says_so(line, short_ways):
    intake.refuse()

    status, headers, told = line.publish(EVENT % 1)

    assert (status, told["detail"]) == (503, "The server is stopping. Publish again in a few seconds.")
    assert int(headers["retry-after"]) > 0


def test_while_another_writer_is_at_work_the_loop_hands_on_and_answers_others(line, app, settings):
    if not is_sqlite():
        pytest.skip("left out: only SQLite lets one writer in at a time")
    other = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=20)
    told: list[int] = []
    publisher = threading.Thread(target=lambda: told.append(line.publish(EVENT % 1)[0]))

    with app.app_context(), write():
        publisher.start()
        other.request("GET", "/healthz")
        assert other.getresponse().status == 200
        assert told == [], "it was answered before it could be stored"
    other.close()
    publisher.join(20)

    assert told == [202]


def test_many_at_once_are_stored_in_few_commits_and_each_gets_its_own_answer(line, new_line):
    lines = [new_line() for _ in range(8)]
    told: list[tuple[int, str]] = []

    def publish(number: int) -> None:
        for turn in range(5):
            status, _, answer = lines[number].publish(EVENT % (100 * number + turn))
            told.append((status, answer["id"]))

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(len(lines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [status for status, _ in told] == [202] * 40
    assert len({event_id for _, event_id in told}) == 40
