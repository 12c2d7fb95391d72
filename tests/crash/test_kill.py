"""kill -9 at random moments, under load: nothing with a 202 is lost, and the log tells what happened.

`POSTROOM_TEST_SEED` repeats a run, `POSTROOM_TEST_KILLS` and `POSTROOM_TEST_EVENTS` make it longer.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.checker import Evidence, Hit, Row, problems
from tests.crash.place import LOST, PATIENCE_S, ROOT, Place

pytestmark = pytest.mark.timeout(600)

KILLS = int(os.environ.get("POSTROOM_TEST_KILLS", "10"))
EVENTS = int(os.environ.get("POSTROOM_TEST_EVENTS", "3000"))
THREADS = 8
CONCURRENCY = 16
RETRY = {"timeout": 1, "delays": [0.1] * 20, "jitter": 0}


class Publisher:
    """Publishes each id once and repeats it until a 202; gives every tenth up after a lost answer.

    Events are let out in portions, so that there is load between any two kills.
    """

    def __init__(self, place: Place) -> None:
        self.acked: set[str] = set()
        self.maybe: set[str] = set()
        self._place = place
        self._ids = iter(range(EVENTS))
        self._lock = threading.Lock()
        self._may = threading.Semaphore(0)
        self._retry = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def let_out(self, count: int) -> None:
        """Allow so many more events."""
        self._may.release(count)

    def finish(self) -> None:
        """Allow all there are, and wait until each has its answer."""
        self._may.release(EVENTS + THREADS)
        for thread in self._threads:
            thread.join(PATIENCE_S * 2)
        assert not any(thread.is_alive() for thread in self._threads), "an event was never acknowledged"

    def _run(self) -> None:
        wire = self._place.connect()
        while True:
            self._may.acquire()
            with self._lock:
                number = next(self._ids, None)
            if number is None:
                wire.close()
                return
            self._publish(f"e{number}", wire, gives_up=number % 10 == 0)

    def _publish(self, event_id: str, wire: object, *, gives_up: bool) -> None:
        while True:
            try:
                status, answer = self._place.publish(event_id, wire)  # type: ignore[arg-type]
                assert status in (202, 503), answer
                if status == 202:
                    self.acked.add(event_id)
                    return
            except LOST:
                wire.close()  # type: ignore[attr-defined]
                if gives_up:
                    self.maybe.add(event_id)
                    return
            self._retry.wait(0.02)


@contextmanager
def receiver_process(file: Path, seed: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run the receiver; gives its port and the process."""
    command = [sys.executable, "-m", "tests.crash.hits", str(file), str(seed)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline()), child
    finally:
        child.terminate()
        child.wait(PATIENCE_S)
        child.stdout.close()


def evidence(place: Place, publisher: Publisher, file: Path) -> Evidence:
    """Gather what a run has left behind."""
    attempts: dict[str, list[tuple[int, str, str | None]]] = {}
    query = "SELECT public_id, number, outcome, error FROM attempt JOIN delivery ON delivery.id = delivery_id"
    for delivery, *attempt in place.rows(query + " ORDER BY number"):
        attempts.setdefault(delivery, []).append(tuple(attempt))  # type: ignore[arg-type]
    columns = "delivery.public_id, producer_id, state, attempt_count, interruptions, attempts_allowed"
    rows = place.rows(f"SELECT {columns} FROM delivery JOIN event ON event.id = event_id")
    return Evidence(
        acked=publisher.acked,
        maybe=publisher.maybe,
        hits=[Hit(*line.split()) for line in file.read_text().splitlines()],
        ids=dict(place.rows("SELECT public_id, producer_id FROM event")),  # type: ignore[arg-type]
        rows=[Row(*row, attempts=tuple(attempts.get(row[0], ()))) for row in rows],
        kills=KILLS,
        concurrency=CONCURRENCY,
        integrity=[row[0] for row in place.rows("PRAGMA integrity_check")],
        broken_keys=len(place.rows("PRAGMA foreign_key_check")),
    )


def test_killed_at_random_moments_nothing_with_a_202_is_lost(make_place, tmp_path, capsys):
    seed = int(os.environ.get("POSTROOM_TEST_SEED", "0")) or secrets.randbelow(2**32)
    chance, file = random.Random(seed), tmp_path / "received.txt"
    with receiver_process(file, seed) as (port, receiver):
        place = make_place(url=f"http://127.0.0.1:{port}/", retry=RETRY, max_in_flight=CONCURRENCY)
        place.options["CONCURRENCY"] = str(CONCURRENCY)
        place.start()
        publisher = Publisher(place)
        for _ in range(KILLS):
            publisher.let_out(EVENTS // (KILLS + 1))
            threading.Event().wait(chance.uniform(0.2, 1.0))
            place.kill()
            place.start()
        publisher.finish()
        receiver.send_signal(signal.SIGUSR1)
        place.drain()
        given_up = give_back(place)
        place.drain()
        code = place.stop()
        found = evidence(place, publisher, file)

    with capsys.disabled():
        print(f"\n{summary(found, seed, given_up)}")
    assert code == 0
    assert problems(found) == [], f"seed {seed}; the evidence lies in {tmp_path}"


def give_back(place: Place) -> int:
    """Retry by hand what was given up because it was there at three kills; return how many there were."""
    suspects = place.rows("SELECT public_id FROM delivery WHERE reason = 'interrupted_repeatedly'")
    for (delivery,) in suspects:
        status, answer = place.ask("POST", f"/api/v1/deliveries/{delivery}/retry")
        assert status < 300, answer
    return len(suspects)


def summary(found: Evidence, seed: int, given_up: int) -> str:
    """One line about a run."""
    recovered = len(found.maybe & {found.ids.get(hit.event) for hit in found.hits})
    interrupted = sum(outcome == "interrupted" for row in found.rows for _, outcome, _ in row.attempts)
    return (
        f"seed {seed}: {len(found.rows)} events, {found.kills} kills, {len(found.hits)} requests, "
        f"{interrupted} interrupted, {given_up} retried by hand, {recovered} of {len(found.maybe)} unanswered arrived"
    )
