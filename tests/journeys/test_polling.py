"""Pages that keep themselves up to date: what they ask, when they don't, and what happens to who reads meanwhile.

The clock of the pages is in the test's hand: an hour without a poll takes no time, and a poll comes when it is told to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Complaints, Window
    from tests.journeys.house import House

pytestmark = pytest.mark.timeout(180)

LIVE = (
    "/webhooks",
    "/webhooks/{on}",
    "/log",
    "/events",
    "/events/{event}",
    "/inbox/{inbox}",
    "/deliveries/{queued}",
    "/replays/{replay_running}",
)
LONGEST_PACE_MS = 16_000
HOUR_MS = 3_600_000
HIDDEN = """
is => {
  Object.defineProperty(document, "hidden", { get: () => is, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


class Polls(list[int]):
    """The statuses with which the polls of a window were answered, and a clock that makes them come."""

    def __init__(self, tab: Any) -> None:
        super().__init__()
        self._tab = tab
        self.asked: list[str] = []
        tab.clock.install()
        tab.on("request", lambda request: self.asked.append(request.url) if self._is_poll(request) else None)
        tab.on("response", lambda answer: self.append(answer.status) if self._is_poll(answer.request) else None)

    def _is_poll(self, request: Any) -> bool:
        return "hx-request" in request.headers and "/webhooks/attention" not in request.url

    def next(self) -> int:
        """Let time pass until the next poll, and return how it was answered."""
        with self._tab.expect_response(lambda answer: self._is_poll(answer.request)) as found:
            self._tab.clock.run_for(LONGEST_PACE_MS)
        return int(found.value.status)

    def settle(self) -> None:
        """Let time pass until two polls, one after the other, brought nothing new."""
        while [self.next(), self.next()] != [304, 304]:
            pass

    def in_an_hour(self) -> int:
        """Let an hour pass, and return how many polls were sent in it."""
        before = len(self.asked)
        self._tab.clock.fast_forward(HOUR_MS)
        self._tab.evaluate("fetch('/healthz').then(answer => answer.text())")  # what was sent before it is known by now
        return len(self.asked) - before


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """What the webhook of this module sends to."""
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def webhook(house: House, receiver: Receiver) -> str:
    """A webhook that gives up for 10 min after a failure; its id."""
    retry = {"delays": [600, 600], "timeout": 5, "jitter": 0, "on_exhausted": "keep"}
    made = house.call("/webhooks", {"name": "Polled", "url": receiver.url, "retry": retry, "enabled": True})
    return str(made["id"])


def publish(house: House, webhook: str, **data: Any) -> str:
    """Publish an event and return its delivery's id at this webhook."""
    stored = house.call("/events", {"type": "job.created", "data": {"id": 7, **data}})
    return next(str(one["id"]) for one in stored["deliveries"] if one["webhook"] == webhook)


@pytest.mark.parametrize("address", LIVE)
def test_what_does_not_change_is_answered_304(house: House, window: Window, address: str) -> None:
    tab = window("admin")
    polls = Polls(tab)
    tab.goto(address.format(**house.ids))

    polls.settle()

    assert set(polls) <= {200, 304}
    assert polls.count(200) <= 2, "once for the tag, once for what the server was still doing"


def test_a_change_comes_in_place_and_new_rows_wait_while_one_is_open(
    house: House, window: Window, webhook: str, receiver: Receiver
) -> None:
    receiver.answers(503)
    shown = publish(house, webhook, n=1)
    tab = window("admin")
    polls = Polls(tab)
    tab.goto(f"/log?webhook={webhook}&state=retrying&state=sending&state=delivered&test=exclude")
    while not tab.locator(f"#{shown} .badge", has_text="Retrying").count():
        polls.next()
    receiver.answers(200)
    tab.locator(f"#{shown} .opener").click()
    tab.locator(f"#d-{shown} details.attempt > summary").first.click()  # was open: now closed, and stays so
    tab.locator(f"#{shown} .opener").focus()

    publish(house, webhook, n=2)
    publish(house, webhook, n=3)
    while not tab.locator(".pill", has_text="2 new").count():
        polls.next()
    house.call(f"/deliveries/{shown}/retry", {})
    while not tab.locator(f"#{shown} .badge", has_text="Delivered").count():
        polls.next()

    assert tab.locator(f"#d-{shown}").is_visible()
    assert tab.locator(f"#d-{shown} details.attempt").last.evaluate("one => one.open") is False
    assert tab.locator(f"#{shown} .opener:focus").count() == 1
    tab.locator(".pill").click()
    tab.locator("tbody tr:not(.detail)").nth(2).wait_for()


def test_a_hidden_tab_asks_nothing_and_once_at_once_when_it_is_shown_again(house: House, window: Window) -> None:
    tab = window("admin")
    polls = Polls(tab)
    tab.goto("/log")
    polls.settle()
    tab.evaluate(HIDDEN, True)
    assert polls.in_an_hour() == 0

    with tab.expect_request("**/log/rows*"):
        tab.evaluate(HIDDEN, False)


def test_a_tab_that_is_paused_or_left_alone_asks_nothing_until_it_is_resumed(house: House, window: Window) -> None:
    tab = window("admin")
    polls = Polls(tab)
    tab.goto("/log")
    polls.settle()
    tab.locator("[data-pause]").first.click()
    assert polls.in_an_hour() == 0
    with tab.expect_request("**/log/rows*"):
        tab.locator("[data-pause]").first.click()

    polls.in_an_hour()  # nobody touches anything
    tab.locator("#notice", has_text="Updates paused.").wait_for()
    assert polls.in_an_hour() == 0
    with tab.expect_request("**/log/rows*"):
        tab.get_by_role("button", name="Resume").click()
    tab.locator("#notice:empty").wait_for(state="attached")


def test_a_session_that_ended_leaves_the_table_alone(house: House, window: Window) -> None:
    tab = window("support")
    polls = Polls(tab)
    tab.goto("/log")
    polls.settle()
    rows = tab.locator("tbody tr").count()
    tab.context.clear_cookies()

    assert polls.next() == 401
    tab.get_by_text("You were signed out.").wait_for()
    assert polls.in_an_hour() == 0
    assert tab.locator("tbody tr").count() == rows > 0


def test_no_poll_made_the_browser_complain(complaints: Complaints) -> None:
    # an hour that passes at once is longer than htmx waits for what is under way
    assert [one for one in complaints if "htmx:error: timeout" not in one] == []


def test_a_server_that_restarts_is_noticed_and_found_again(house: House, window: Window) -> None:
    tab = window("admin")
    polls = Polls(tab)
    tab.goto("/log")
    polls.next()
    rows = tab.locator("tbody tr").count()
    house.server.stop()
    for _ in range(3):
        with tab.expect_event("requestfailed", lambda request: "/log/rows" in request.url):
            tab.clock.run_for(LONGEST_PACE_MS)
    tab.locator("#notice", has_text="Not connected. Showing ").wait_for()
    assert tab.locator("tbody tr").count() == rows

    house.server.start()
    tab.clock.run_for(60_000)
    tab.locator("#notice:empty").wait_for(state="attached")
    assert polls[-1] in (200, 304)
    assert polls.next() in (200, 304)
