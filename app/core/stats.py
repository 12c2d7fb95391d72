"""What is counted about deliveries, and what the counts tell: shares and percentiles.

A delivery of kind normal is counted at its webhook, in the hour in which its event came. Tests and replays are not
counted, nor are tries that were interrupted. Durations are counted in buckets at most a tenth wide.

| measure | key | counts |
| --- | --- | --- |
| `first` | event type | deliveries that arrived with their first try |
| `missed` | event type | deliveries whose first try failed; taken back when one is canceled |
| `later` | event type | those of them that arrived with a later try |
| `answer` | `200 37` | tries, by status or error class, and by the bucket of milliseconds until the answer |
| `lag` | `210` | deliveries that arrived, by the bucket of milliseconds since the event came |

So `first + missed` were attempted and `first + later` delivered: the delivery that arrives at once, which is nearly
every one, costs a single row of these three.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOUR_MS = 3_600_000
LONGEST_MS = 32 * 24 * HOUR_MS  # what took longer is counted as this long


class Measure(StrEnum):
    """What a count is of."""

    FIRST = "first"
    MISSED = "missed"
    LATER = "later"
    ANSWER = "answer"
    LAG = "lag"


# Plain texts for the hot path: looking an enum's member up costs more than counting.
_FIRST, _MISSED, _LATER, _ANSWER, _LAG = (measure.value for measure in Measure)


def _edges() -> tuple[int, ...]:
    found = [0]
    while found[-1] < LONGEST_MS:
        found.append(max(found[-1] + 1, found[-1] * 11 // 10))
    return tuple(found)


EDGES = _edges()
_NAMES = tuple(str(edge) for edge in EDGES)


class Try(NamedTuple):
    """One counted try of a delivery of kind normal."""

    webhook_id: int
    came_at: int  # when its event came
    event_type: str
    number: int  # from 1, interruptions left out
    answer: str  # the status, or the error class where there was none
    duration_ms: int | None  # None: nothing was waited for, such as a name that wasn't found
    delivered_at: int | None  # None: it failed


Key = tuple[int, int, str, str]  # webhook, hour, measure, key


def hour_of(at: int) -> int:
    """Return the moment at which the hour of `at` began, in UTC."""
    return at - at % HOUR_MS


def bucket(ms: int) -> str:
    """Return the bucket of a duration in milliseconds, named by its lower edge: exact to 10 ms, then a tenth wide.

    >>> bucket(7), bucket(213), bucket(-3)
    ('7', '196', '0')
    """
    return _NAMES[bisect_right(EDGES, ms) - 1] if ms > 0 else "0"


def counts(tries: Iterable[Try]) -> dict[Key, int]:
    """Return how often each thing happened. The tries may be of many webhooks and hours, in any order."""
    keys: list[Key] = []
    for webhook_id, came_at, event_type, number, answer, duration_ms, delivered_at in tries:
        hour = came_at - came_at % HOUR_MS
        took = answer if duration_ms is None else f"{answer} {bucket(duration_ms)}"
        keys.append((webhook_id, hour, _ANSWER, took))
        if delivered_at is not None:
            keys.append((webhook_id, hour, _FIRST if number == 1 else _LATER, event_type))
            keys.append((webhook_id, hour, _LAG, bucket(delivered_at - came_at)))
        elif number == 1:
            keys.append((webhook_id, hour, _MISSED, event_type))
    return Counter(keys)


def missed(webhook_id: int, came_at: int, event_type: str) -> Key:
    """Return the count from which a delivery is taken back when it is canceled after a try."""
    return webhook_id, hour_of(came_at), _MISSED, event_type


def read_answer(key: str) -> tuple[str, int | None]:
    """Return the answer and the lower edge of its bucket, if it has one.

    >>> read_answer("200 37"), read_answer("dns")
    (('200', 37), ('dns', None))
    """
    answer, _, edge = key.partition(" ")
    return answer, int(edge) if edge else None


def percentile(buckets: Mapping[int, int], share: float) -> int | None:
    """Return the duration below which `share` of those counted lie, to within its bucket; None without any.

    `buckets` maps lower edges, as `bucket` names them, to counts.

    >>> percentile({10: 98, 196: 2}, 0.5), percentile({10: 98, 196: 2}, 0.99), percentile({}, 0.5)
    (10, 205, None)
    """
    total = sum(buckets.values())
    if total <= 0:
        return None
    rank = share * total
    passed = 0
    for edge, count in sorted(buckets.items()):
        if count and passed + count >= rank:
            return edge + int((rank - passed) / count * (_width(edge) - 1))
        passed += count
    return max(buckets)


def _width(edge: int) -> int:
    above = bisect_right(EDGES, edge)
    return EDGES[above] - edge if above < len(EDGES) else 1
