"""Statistics: what the counts of deliveries tell about a webhook, or about the whole organization."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, CompoundSelect, Integer, column, func, null, select, union_all, values

from app import clock
from app.core import stats as rules
from app.core.access import Permission
from app.core.periods import Slot, slots
from app.core.stats import HOUR_MS, Measure
from app.database import read
from app.models import Stat, Webhook
from app.services.scope import Actor, for_org

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from app.core.periods import Period
    from app.services.webhooks import WebhookView

HOURS_LISTED = 24
DAY_MS = 24 * HOUR_MS
RHYTHM_DAYS = 14
_VOLUME = (Measure.FIRST, Measure.MISSED, Measure.LATER)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds below which half, 95 % and 99 % lie; None where nothing was counted."""

    p50: int | None
    p95: int | None
    p99: int | None


@dataclass(frozen=True, slots=True)
class Volume:
    """What became of the deliveries whose events came in one slot of the period."""

    slot: Slot
    attempted: int
    delivered: int
    duration: Percentiles

    @property
    def failed(self) -> int:
        """Those tried and not delivered so far."""
        return self.attempted - self.delivered


@dataclass(frozen=True, slots=True)
class Statistics:
    """A period in figures. A delivery counts in the slot in which its event came, however late it arrives."""

    period: Period
    slots: tuple[Volume, ...]
    attempted: int
    delivered: int
    first: int  # delivered by the first try
    duration: Percentiles  # of single tries
    lag: Percentiles  # from the event's coming to its delivery
    by_answer: tuple[tuple[str, int], ...]  # tries by status or error class, the most frequent first
    by_event: tuple[tuple[str, int, int], ...]  # event type, attempted, delivered; the most frequent first

    @property
    def failed(self) -> int:
        """Those tried and not delivered so far."""
        return self.attempted - self.delivered


@dataclass(slots=True)
class _Sums:
    """What is added up while rows are read."""

    types: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    answers: Counter[str] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    lags: Counter[int] = field(default_factory=Counter)

    def add(self, measure: str, key: str, count: int) -> None:
        """Add one count."""
        if measure == Measure.ANSWER:
            answer, edge = rules.read_answer(key)
            self.answers[answer] += count
            if edge is not None:
                self.durations[edge] += count
        elif measure == Measure.LAG:
            self.lags[int(key)] += count
        else:
            self.types[key][measure] += count

    def of(self, *measures: Measure) -> int:
        """How many deliveries, of all types."""
        return sum(counts[measure] for counts in self.types.values() for measure in measures)

    @property
    def attempted(self) -> int:
        """Deliveries that were tried."""
        return self.of(Measure.FIRST, Measure.MISSED)

    @property
    def delivered(self) -> int:
        """Deliveries that arrived."""
        return self.of(Measure.FIRST, Measure.LATER)


def of_organization(actor: Actor, period: Period, zone: tzinfo = UTC) -> Statistics:
    """Return the figures of all webhooks of the organization, those deleted since included."""
    actor.require(Permission.WEBHOOKS, Permission.LOG)
    return _read(period, zone, Stat.webhook_id.in_(_webhooks_of(actor)))


def of_webhook(actor: Actor, public_id: str, period: Period, zone: tzinfo = UTC) -> Statistics:
    """Return the figures of one webhook; days begin at midnight in `zone`. Raises `NotFound`."""
    actor.require(Permission.WEBHOOKS, Permission.LOG)
    with read() as session:
        row_id = for_org(session, actor, Webhook).one(public_id).id
    return _read(period, zone, Stat.webhook_id == row_id)


def of_view(actor: Actor, view: WebhookView, period: Period, zone: tzinfo = UTC) -> Statistics:
    """Return the same of a webhook that was found already."""
    actor.require(Permission.WEBHOOKS, Permission.LOG)
    return _read(period, zone, Stat.webhook_id == view.row_id)


@dataclass(frozen=True, slots=True)
class Pace:
    """What the whole installation delivers: deliveries a minute, and how soon after the event, in milliseconds."""

    per_minute: float
    lag_p95: int | None  # None: nothing arrived


def pace(now: int) -> Pace:
    """Return the pace of events that came in this hour and the one before; for operators."""
    since = rules.hour_of(now) - HOUR_MS
    counted = (
        select(Stat.measure, Stat.key, func.sum(Stat.count))
        .where(Stat.webhook_id.in_(select(Webhook.id)), Stat.hour >= since, Stat.measure != Measure.ANSWER)
        .group_by(Stat.measure, Stat.key)
    )
    sums = _Sums()
    with read() as session:
        for measure, key, count in session.execute(counted):
            sums.add(measure, key, count)
    return Pace(sums.delivered * 60_000 / (now - since), _percentiles(sums.lags).p95)


def _webhooks_of(actor: Actor) -> Any:
    return select(Webhook.id).where(Webhook.organization_id == actor.organization_id).scalar_subquery()


def _read(period: Period, zone: tzinfo, whose: Any) -> Statistics:
    cut = slots(period, clock.now(), zone)
    parts, whole = [_Sums() for _ in cut], _Sums()
    for number, measure, key, count in _rows(cut, whose):
        parts[number].add(measure, key, count)
        whole.add(measure, key, count)
    volumes = [
        Volume(slot, part.attempted, part.delivered, _percentiles(part.durations))
        for slot, part in zip(cut, parts, strict=True)
    ]
    return Statistics(
        period,
        tuple(volumes),
        attempted=whole.attempted,
        delivered=whole.delivered,
        first=whole.of(Measure.FIRST),
        duration=_percentiles(whole.durations),
        lag=_percentiles(whole.lags),
        by_answer=tuple(sorted(whole.answers.items(), key=lambda pair: (-pair[1], pair[0]))),
        by_event=_by_event(whole),
    )


def _rows(cut: Sequence[Slot], whose: Any) -> Sequence[Any]:
    """The counts by slot, measure and key: one walk along the key for each slot."""
    names = (column("number", Integer), column("from_at", BigInteger), column("to_at", BigInteger))
    slot = values(*names, name="slot").data([(number, *each) for number, each in enumerate(cut)]).cte("slot")
    query = (
        select(slot.c.number, Stat.measure, Stat.key, func.sum(Stat.count))
        .join(Stat, (Stat.hour >= slot.c.from_at) & (Stat.hour < slot.c.to_at))
        .where(whose, Stat.count != 0)
        .group_by(slot.c.number, Stat.measure, Stat.key)
    )
    with read() as session:
        return session.execute(query).all()


def _percentiles(buckets: Mapping[int, int]) -> Percentiles:
    return Percentiles(*[rules.percentile(buckets, share) for share in (0.5, 0.95, 0.99)])


def _by_event(sums: _Sums) -> tuple[tuple[str, int, int], ...]:
    found = [
        (name, counts[Measure.FIRST] + counts[Measure.MISSED], counts[Measure.FIRST] + counts[Measure.LATER])
        for name, counts in sums.types.items()
    ]
    return tuple(sorted((each for each in found if each[1]), key=lambda each: (-each[1], each[0])))


# --- for the list


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours of a webhook: for each hour what was delivered and what was not, oldest first."""

    bars: tuple[tuple[int, int], ...]
    p95: int | None  # of single tries, in milliseconds
    days: int = 0
    """On how many of the 14 days before its last delivery it delivered; counted for those silent for a day."""

    @property
    def delivered(self) -> int:
        """How many arrived."""
        return sum(delivered for delivered, _ in self.bars)

    @property
    def failed(self) -> int:
        """How many were tried and did not arrive so far."""
        return sum(failed for _, failed in self.bars)

    @property
    def attempted(self) -> int:
        """How many were tried."""
        return self.delivered + self.failed


def last_day(actor: Actor, views: Sequence[WebhookView]) -> dict[str, LastDay]:
    """Return the last day of each of up to some hundred webhooks, by public id, in two queries at most."""
    actor.require(Permission.WEBHOOKS)
    now = clock.now()
    newest = rules.hour_of(now)
    hours = [newest - n * HOUR_MS for n in reversed(range(HOURS_LISTED))]
    ids = [view.row_id for view in views]
    volume: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    durations: dict[int, Counter[int]] = defaultdict(Counter)
    with read() as session:
        listed = (Stat.webhook_id.in_(ids), Stat.hour.in_(hours), Stat.count != 0)
        by_hour = select(Stat.webhook_id, Stat.hour, Stat.measure, null(), func.sum(Stat.count))
        by_answer = select(Stat.webhook_id, null(), null(), Stat.key, func.sum(Stat.count))
        both: CompoundSelect[Any] = union_all(
            by_hour.where(*listed, Stat.measure.in_(_VOLUME)).group_by(Stat.webhook_id, Stat.hour, Stat.measure),
            by_answer.where(*listed, Stat.measure == Measure.ANSWER).group_by(Stat.webhook_id, Stat.key),
        )
        for webhook_id, hour, measure, key, count in session.execute(both):
            if key is None:
                volume[webhook_id, hour][measure] += count
            elif (edge := rules.read_answer(key)[1]) is not None:
                durations[webhook_id][edge] += count
    days = _days(view for view in views if (view.last_success_at or now) < now - DAY_MS)
    return {
        view.id: LastDay(
            tuple(_bar(volume[view.row_id, hour]) for hour in hours),
            rules.percentile(durations[view.row_id], 0.95),
            days.get(view.row_id, 0),
        )
        for view in views
    }


def _bar(counts: Counter[str]) -> tuple[int, int]:
    delivered = counts[Measure.FIRST] + counts[Measure.LATER]
    return delivered, max(0, counts[Measure.FIRST] + counts[Measure.MISSED] - delivered)


def _days(silent: Iterable[WebhookView]) -> dict[int, int]:
    """On how many days each of these delivered, in the fortnight that ends with its last delivery."""
    last = {view.row_id: view.last_success_at for view in silent if view.enabled and view.last_success_at}
    if not last:
        return {}
    names = (column("webhook_id", BigInteger), column("to_at", BigInteger))
    of = values(*names, name="last").data(list(last.items())).cte("last")
    query = (
        select(of.c.webhook_id, func.count(func.distinct(Stat.hour // DAY_MS)))
        .join(Stat, Stat.webhook_id == of.c.webhook_id)
        .where(
            Stat.hour <= of.c.to_at,
            Stat.hour > of.c.to_at - RHYTHM_DAYS * DAY_MS,
            Stat.measure.in_((Measure.FIRST, Measure.LATER)),
            Stat.count > 0,
        )
        .group_by(of.c.webhook_id)
    )
    with read() as session:
        return {row[0]: row[1] for row in session.execute(query)}
