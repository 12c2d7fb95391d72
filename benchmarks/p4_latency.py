"""P4: open loop, 300 single publishes a second for a minute: from the client's send to the receiver's first byte."""

from __future__ import annotations

import time

from benchmarks.load import open_loop, percentile
from benchmarks.place import make_webhooks, place
from benchmarks.receiver import Receiver, receiver
from benchmarks.report import Figure
from benchmarks.server import postroom, publish_to

RATE = 300
SECONDS = 60
WARM_UP = 5
MOST_LAG_MS = 20


def run(rounds: int) -> list[Figure]:
    """Return median and 99th percentile in ms. A round in which the generator fell behind is void."""
    p50s, p99s = [], []
    for number in range(max(1, rounds // 2)):
        with receiver(stamps=True) as to, place() as at:
            make_webhooks(at, to.url, 1)
            with postroom(at) as port:
                open_loop(publish_to(port, at.api_key, f"w{number}"), RATE, WARM_UP)
                sent, lag = open_loop(publish_to(port, at.api_key, f"l{number}"), RATE, SECONDS)
                arrived = _collect(to, len(sent))
        if lag > MOST_LAG_MS:
            print(f"P4 round {number + 1} is void: the generator fell {lag:.0f} ms behind")
            continue
        waits = [(arrived[mark] - at) * 1000 for mark, at in sent.items()]
        p50s.append(percentile(waits, 0.50))
        p99s.append(percentile(waits, 0.99))
    if not p50s:
        raise RuntimeError("P4: every round was void; the machine is busy with something else")
    return [
        Figure(
            "P4", f"publish to receiver, median, {RATE}/s", "ms", tuple(p50s), must="≤ 15 ms", reached=max(p50s) <= 15
        ),
        Figure(
            "P4", f"publish to receiver, p99, {RATE}/s", "ms", tuple(p99s), must="≤ 100 ms", reached=max(p99s) <= 100
        ),
    ]


def _collect(to: Receiver, expected: int) -> dict[bytes, float]:
    arrived: dict[bytes, float] = {}
    end = time.monotonic() + 15
    while time.monotonic() < end:
        arrived |= {mark: at for mark, at in to.first_bytes().items() if mark.startswith(b"l")}
        if len(arrived) >= expected:
            return arrived
        time.sleep(0.1)
    raise RuntimeError(f"only {len(arrived)} of {expected} events arrived within 15 s")
