"""Whether this machine's clock is right, by what receivers say the time is."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from app.core.access import Permission
from app.delivery import skew
from app.services import system
from tests.support.receiver import Receiver


@pytest.fixture(autouse=True)
def _anew(app):
    skew.forget_all()


def headers(at: int, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"Date", formatdate(at / 1000, usegmt=True).encode()), *more]


def test_the_median_of_several_hosts_tells(clock):
    for number, off_s in enumerate((14, 14, 0)):
        skew.note((f"h{number}.test", 443), headers(clock.now - off_s * 1000), clock.now)

    assert skew.off_ms() == 13_500


def test_two_hosts_are_too_few_and_neither_caches_nor_nonsense_tell(clock):
    for number in range(9):
        skew.note((f"h{number % 2}.test", 443), headers(clock.now - 60_000), clock.now)
        clock.advance(seconds=10)
    skew.note(("cache.test", 443), headers(clock.now - 60_000, (b"Age", b"60")), clock.now)
    skew.note(("odd.test", 443), [(b"date", b"yesterday")], clock.now)

    assert skew.off_ms() is None


def test_a_host_is_looked_at_once_in_ten_seconds_and_the_last_fifty_answers_count(clock):
    for wrong in (True, False):
        for number in range(60):
            moment = clock.now - 60_000 if wrong else clock.now
            skew.note((f"h{number % 5}.test", 443), headers(moment), clock.now)
            skew.note((f"h{number % 5}.test", 443), headers(clock.now - 3_600_000), clock.now)
            clock.advance(seconds=2)

    assert skew.off_ms() is not None
    assert abs(skew.off_ms()) <= 1_000


@pytest.mark.parametrize("off_s", [8, 14])
def test_a_clock_that_is_far_off_stands_above_every_page(app, owner, clock, make_webhook, publish, deliver, off_s):
    from tests.web.browser import sign_in

    date = formatdate(clock.now / 1000 - off_s, usegmt=True).encode()
    with Receiver() as one, Receiver() as two, Receiver() as three:
        for receiver in (one, two, three):
            receiver.answers(b"HTTP/1.1 200 OK\r\nDate: " + date + b"\r\nContent-Length: 0\r\n\r\n")
            make_webhook(url=receiver.url)
        publish()
        deliver()
    system.watch_clock()
    system.tick()

    page = sign_in(app, owner).get("/webhooks").text

    assert owner.may(Permission.WEBHOOKS)
    assert ("The clock is 14 s off; receivers may reject signatures." in page) is (off_s == 14)
