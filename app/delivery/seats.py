"""Who may start a request now: the caps per webhook, host, retries and replays, and what each webhook has proved."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

HOST_WIDTH = 8
ANSWERS_TO_WIDEN = 100
MOST_ALLOWED = 64
QUICK_MS = 2_000
FAILURES_TO_NARROW = 5

Host = tuple[str, int]


@dataclass(slots=True)
class Proven:
    """What a webhook has shown it can take: how much of it may be in hand, and what is left of its rate."""

    allowance: int = MOST_ALLOWED
    tokens: float = 1.0
    tokens_at: float = 0.0


@dataclass(slots=True)
class Width:
    """How many requests one host:port may have at once: it grows while the host answers."""

    places: int = HOST_WIDTH
    answers: int = 0
    failures: int = 0


class Seats:
    """Counts who sits. Only the engine's thread uses it."""

    def __init__(self, seats: int) -> None:
        self.total = seats
        self.taken = 0
        self.retries = 0
        self.replays = 0
        self.by_webhook: defaultdict[int, int] = defaultdict(int)
        self.by_host: defaultdict[Host, int] = defaultdict(int)
        self.proven: defaultdict[int, Proven] = defaultdict(Proven)
        self._widths: defaultdict[Host, Width] = defaultdict(Width)

    @property
    def free(self) -> int:
        """How many seats are free in all."""
        return self.total - self.taken

    def webhook_has_room(self, webhook: int, cap: int) -> bool:
        """Whether another request to this webhook may start."""
        return self.by_webhook[webhook] < min(cap, self.proven[webhook].allowance)

    def host_has_room(self, host: Host) -> bool:
        """Whether another request to this host may start."""
        return self.by_host[host] < self._widths[host].places

    def retry_has_room(self) -> bool:
        """Whether another retry may start: they have at most half of the seats."""
        return self.retries * 2 < self.total

    def replay_has_room(self) -> bool:
        """Whether another delivery of a replay may start: they have at most a quarter of the seats."""
        return self.replays * 4 < self.total

    def wait_for_token(self, webhook: int, rate: float, now_s: float) -> float:
        """Take a token of the webhook's rate limit and return 0, or return how many seconds to wait for one.

        `rate` is in requests a second; a second's worth may be saved up.
        """
        proven = self.proven[webhook]
        most = max(1.0, rate)
        elapsed = now_s - proven.tokens_at if proven.tokens_at else most / rate
        proven.tokens = min(most, proven.tokens + elapsed * rate)
        proven.tokens_at = now_s
        if proven.tokens < 1:
            return (1 - proven.tokens) / rate
        proven.tokens -= 1
        return 0.0

    def sit(self, webhook: int, host: Host, *, is_retry: bool, is_replay: bool = False) -> None:
        """Take a seat."""
        self.taken += 1
        self.by_webhook[webhook] += 1
        self.by_host[host] += 1
        self.retries += is_retry
        self.replays += is_replay

    def leave(self, webhook: int, host: Host, *, is_retry: bool, is_replay: bool = False) -> None:
        """Free a seat."""
        self.taken -= 1
        self.retries -= is_retry
        self.replays -= is_replay
        self.by_webhook[webhook] -= 1
        self.by_host[host] -= 1

    def learn(self, webhook: int, host: Host, *, succeeded: bool, answered: bool, duration_ms: int) -> None:
        """Let an answer widen or narrow what its webhook and host may have.

        A webhook: 1 after a failure, doubled by each quick success, halved by slow ones. A host: doubled after
        each 100 answers in a row up to a quarter of the seats; back to 8 when it doesn't answer, 1 after five times.
        """
        proven = self.proven[webhook]
        if not succeeded:
            proven.allowance = 1
        elif duration_ms <= QUICK_MS:
            proven.allowance = min(MOST_ALLOWED, proven.allowance * 2)
        else:
            proven.allowance = max(1, proven.allowance // 2)
        self._learn_width(self._widths[host], answered=answered)

    def _learn_width(self, width: Width, *, answered: bool) -> None:
        if not answered:
            width.failures += 1
            width.answers = 0
            width.places = 1 if width.failures >= FAILURES_TO_NARROW else min(width.places, HOST_WIDTH)
            return
        width.failures = 0
        width.answers += 1
        if width.places < HOST_WIDTH:
            width.places = HOST_WIDTH
        if width.answers >= ANSWERS_TO_WIDEN:
            width.answers = 0
            width.places = max(HOST_WIDTH, min(width.places * 2, self.total // 4))
