"""P2: publish one by one with 32 keep-alive clients, through the real server; one webhook hears of every event.

The server runs with --no-deliver, so that publishing alone is measured. Reference: a route on the same WSGI server,
with as many threads, that reads the request and answers 202.
"""

from __future__ import annotations

from app.config import Settings
from benchmarks.load import closed_loop
from benchmarks.place import make_webhooks, place
from benchmarks.report import Figure
from benchmarks.server import bare, postroom, publish_to

CLIENTS = 32
REQUESTS = 10_000
THREADS = Settings().threads


def run(rounds: int) -> list[Figure]:
    """Return the rate of single publishes beside the bare route's."""
    rates, references = [], []
    for number in range(rounds):
        with bare(THREADS) as port:
            references.append(closed_loop(publish_to(port, "none"), CLIENTS, REQUESTS))
        with place() as at:
            make_webhooks(at, "http://127.0.0.1:9999/in", 1)
            with postroom(at, "--no-deliver") as port:
                rates.append(closed_loop(publish_to(port, at.api_key, f"p{number}"), CLIENTS, REQUESTS))
    ratio = sorted(rates)[rounds // 2] / sorted(references)[rounds // 2]
    what = f"single publishes, {CLIENTS} clients"
    return [Figure("P2", what, "/s", tuple(rates), tuple(references), "≥ 0.5 of a bare route", ratio >= 0.5)]
