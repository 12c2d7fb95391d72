"""What every state, reason, outcome and error is called, in sentences for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from app.core.causes import ERRORS as ERRORS
from app.core.causes import TURNED_OFF
from app.core.causes import hint as hint
from app.core.causes import status_line as status_line
from app.core.health import AUTO_OFF_AFTER_MS
from app.core.states import PROBE, DeliveryKind, DeliveryState, ErrorClass, Outcome, Reason
from app.models import ReplayState
from app.services.replay_selection import LeftOut
from app.web.filters import DAY_MS, ago_element, duration, emphasized, iso, moment, number, time_element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.services.explain import Explanation
    from app.services.explain import Why as Asked
    from app.services.log import DeliveryRow
    from app.services.replays import Progress
    from app.services.standing import Cause
    from app.services.webhooks import WebhookView

S, R, E = DeliveryState, Reason, ErrorClass

STATES: Mapping[DeliveryState, str] = {
    S.PENDING: "Waiting",
    S.SENDING: "Sending",
    S.DELIVERED: "Delivered",
    S.FAILED: "Failed",
    S.CANCELED: "Canceled",
    S.SKIPPED: "Not sent",
}

# What a badge can say: pending is three different things to people.
DISPLAYED: Mapping[str, str] = {
    "delivered": "Delivered",
    "sending": "Sending",
    "queued": "Queued",
    "retrying": "Retrying",
    "paused": "Paused",
    "failed": "Failed",
    "canceled": "Canceled",
    "skipped": "Skipped",
}

# The badge of a replay: whose picture and colour it has, and its word.
REPLAYS: Mapping[ReplayState, tuple[str, str]] = {
    ReplayState.RUNNING: ("sending", "Running"),
    ReplayState.DONE: ("delivered", "Done"),
    ReplayState.STOPPED: ("canceled", "Stopped"),
}

TAGS: Mapping[DeliveryKind, str] = {DeliveryKind.NORMAL: "", DeliveryKind.TEST: "TEST", DeliveryKind.REPLAY: "REPLAY"}

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.SUCCEEDED: "Accepted",
    Outcome.FAILED: "Failed",
    Outcome.BLOCKED: "Blocked; nothing was sent",
    Outcome.INTERRUPTED: "The server stopped during the request; the receiver may have got it",
}

# The badge whose colour and picture an outcome has.
LOOKS: Mapping[Outcome, str] = {
    Outcome.SUCCEEDED: "delivered",
    Outcome.FAILED: "failed",
    Outcome.BLOCKED: "failed",
    Outcome.INTERRUPTED: "canceled",
}


@dataclass(frozen=True, slots=True)
class Why:
    """A reason: `full` where every fact it names is known, else `plain`; and where the way out lies."""

    plain: str
    full: str = ""
    way_out: str = ""
    place: str = ""  # switch, resume, events, units, owner, filter, mapping, network; empty: nowhere


REASONS: Mapping[Reason, Why] = {
    R.WEBHOOK_OFF: Why("The webhook was off.", "The webhook was off since {since}.", "Turn on", "switch"),
    R.WEBHOOK_PAUSED: Why(
        "Held: the webhook is paused.", "Held: the webhook is paused since {since}.", "Resume", "resume"
    ),
    R.WEBHOOK_DELETED: Why("The webhook was deleted."),
    R.EVENT_TYPE_NOT_SELECTED: Why(
        "This event type isn't selected.", "{event_type} isn't selected.", "Settings ▸ Events", "events"
    ),
    R.BUSINESS_UNIT_NOT_SELECTED: Why(
        "The event's business unit isn't selected.",
        "Business unit {unit} isn't selected.",
        "Settings ▸ Business units",
        "units",
    ),
    R.OWNER_CANNOT_SEE: Why(
        "Its owner may not see this event.", "Its owner, {owner}, may not see this event.", "Change owner", "owner"
    ),
    R.FILTERED_OUT: Why("The filter didn't match.", "The filter {filter} didn't match{found}.", "Filter", "filter"),
    R.CREATED_LATER: Why(
        "The webhook was created after the event.", "The webhook was created after the event, {made}."
    ),
    R.SHAPE_FAILED: Why(
        "The payload couldn't be built.", "The payload couldn't be built: {detail}.", "Field mapping", "mapping"
    ),
    R.EXHAUSTED: Why("Every attempt failed."),
    R.GONE: Why("The receiver answered 410 Gone."),
    R.ASKED: Why("The receiver asked to drop this event."),
    R.TEST_FAILED: Why("The test payload failed.", "The test payload failed: {detail}."),
    R.REFUSED_BY_RULE: Why(
        "A rule of this server forbids this request.", "Not tried again: {detail}.", "System ▸ Network", "network"
    ),
    R.INTERRUPTED_REPEATEDLY: Why("Stopped after 3 interruptions; the receiver may have got it."),
    R.BY_PERSON: Why("Canceled by a member.", "Canceled by {detail}."),
    R.NEW: Why("Not turned on yet.", way_out="Turn on", place="switch"),
    R.SUSTAINED_FAILURE: Why(f"No success for {AUTO_OFF_AFTER_MS // 86_400_000} days."),
    R.OWNER_LEFT: Why("Its owner left.", way_out="Change owner", place="owner"),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """Who is spoken to: in which zone, and when."""

    zone: tzinfo
    now_at: int
    is_brief: bool = False  # in long lists a time ago goes without the moment itself on it

    def when(self, at: int, form: str = "ds") -> Markup:
        """Write a moment with its date."""
        return time_element(at, self.zone, self.now_at, form)

    def near(self, at: int, *, precision: str = "s") -> Markup:
        """Write a moment of today as the time of day, another one with its date."""
        local, today = (datetime.fromtimestamp(t / 1000, self.zone).date() for t in (at, self.now_at))
        return self.when(at, precision if local == today else f"d{precision}")

    def at(self, at: int) -> Markup:
        """Write when something happened: `at 09:12` when it was today, else `on 20 Nov`."""
        local, today = (datetime.fromtimestamp(t / 1000, self.zone).date() for t in (at, self.now_at))
        return Markup("{} {}").format("at" if local == today else "on", self.since(at))

    def since(self, at: int) -> Markup:
        """Write a moment of today as hour and minute, an earlier one as its day."""
        local, today = (datetime.fromtimestamp(t / 1000, self.zone).date() for t in (at, self.now_at))
        return self.when(at, "m" if local == today else "d")

    def on_or_at(self, at: int) -> Markup:
        """Write `at` and the minute of a moment of today, `on` and its day of an earlier one."""
        local, today = (datetime.fromtimestamp(t / 1000, self.zone).date() for t in (at, self.now_at))
        return Markup("at {}" if local == today else "on {}").format(self.since(at))  # noqa: S704 - our own words

    def left(self, at: int) -> Markup:
        """Write how long it is until a moment; it ticks where there is script."""
        words = f"in {duration((at - self.now_at) // 1000 * 1000)}" if at - self.now_at >= 1000 else "now"
        return Markup('<time datetime="{}" data-tick="down">{}</time>').format(iso(at), words)

    def ago(self, at: int) -> Markup:
        """Write how long ago a moment was; it ticks where there is script."""
        return ago_element(at, self.zone, self.now_at, with_title=not self.is_brief)

    def plain(self, at: int, form: str = "ds") -> str:
        """Write a moment as text alone."""
        return moment(at, self.zone, self.now_at, form)


def response(status: int | None, error: ErrorClass | None) -> str:
    """The Response column: the latest status, else the error in a word, else a dash."""
    if status is not None:
        return str(status)
    return ERRORS[error].short if error is not None else "–"


def attempt_line(outcome: Outcome, status: int | None, message: str | None) -> str:
    """One line for an attempt: what was recorded, else what its outcome means."""
    if message:
        return message.removesuffix(".")
    return status_line(status) if status is not None else OUTCOMES[outcome]


def reason(why: Reason, **facts: object) -> Markup:
    """Say a reason, with the facts its sentence names if given: since, event_type, unit, owner, filter, found …"""
    words = REASONS[why]
    known = {name: fact for name, fact in facts.items() if fact is not None and f"{{{name}}}" in words.full}
    if not known:
        return Markup(words.plain)  # noqa: S704 - our own words
    plain = {
        name: emphasized(fact.removesuffix(".")) if isinstance(fact, str) else fact for name, fact in known.items()
    }
    return Markup(words.full).format(**{"found": ""} | plain)  # noqa: S704 - our own words; format escapes the facts


def delivery(
    row: DeliveryRow, voice: Voice, *, last: str = "", ahead: int | None = None, begun: int | None = None
) -> Markup:
    """Say in a sentence where a delivery stands. `last`: the line of its latest attempt; `begun`: when one began."""
    if row.detail == PROBE:
        return Markup("A probe: is the receiver well again? ") + delivery(replace(row, detail=None), voice, last=last)
    tries = row.attempt_count - row.interruptions
    of = f"{tries} of {row.attempts_allowed}"
    cause = last or response(row.last_status, row.last_error)
    match row.display:
        case "queued":
            said = Markup("Waiting since {}.").format(voice.near(row.created_at))
            return said + _ahead(ahead)
        case "sending":
            return Markup("Attempt {} in progress{}.").format(of, _for(begun, voice))
        case "retrying":
            return Markup("Attempt {} failed: {}.").format(of, cause)
        case "paused":
            since = Markup(" since {}").format(voice.since(row.paused_at)) if row.paused_at is not None else ""
            return Markup("Held{} because the webhook is paused. It is sent on resume.").format(since)
        case "delivered":
            assert row.finished_at is not None
            after = duration(max(0, row.finished_at - row.created_at))
            answer = status_line(row.last_status) if row.last_status else "success"
            return Markup("Accepted with {} on attempt {}, {} after the event.").format(answer, of, after)
        case "canceled":
            return _canceled(row, voice)
        case "skipped":
            return Markup("Not sent: {}").format(lowered(reason(row.reason))) if row.reason else Markup("Not sent.")
        case _:
            return _failed(row, tries, cause)


def _for(begun: int | None, voice: Voice) -> Markup:
    if begun is None:
        return Markup("")
    seconds = max(0, voice.now_at - begun) // 1000
    passed = f"{seconds} s" if seconds < 60 else duration(seconds * 1000)
    return Markup(', <time datetime="{}" data-tick="up">{}</time>').format(iso(begun), passed)


def _ahead(ahead: int | None) -> Markup:
    if ahead is None:
        return Markup("")
    return Markup(" {} ahead of it for this webhook.").format(number(ahead) if ahead else "None")


def _canceled(row: DeliveryRow, voice: Voice) -> Markup:
    who = row.detail or "Postroom"
    why = {R.WEBHOOK_OFF: " when the webhook was turned off", R.WEBHOOK_DELETED: " when the webhook was deleted"}
    at = row.finished_at if row.finished_at is not None else voice.now_at
    return Markup("Canceled by {}{}, {}.").format(who, why.get(row.reason or R.BY_PERSON, ""), voice.when(at))


def _failed(row: DeliveryRow, tries: int, cause: str) -> Markup:
    if row.reason is R.EXHAUSTED or row.reason is None:
        spent = duration(max(0, (row.finished_at or row.created_at) - row.created_at))
        attempts = "1 attempt" if tries == 1 else f"{tries} attempts over {spent}"
        return Markup("Gave up after {}. Last answer: {}.").format(attempts, cause)
    if row.reason in (R.GONE, R.ASKED):
        return Markup("Not tried again: {}").format(lowered(reason(row.reason)))
    return reason(row.reason, detail=row.detail or cause)


def went(told: Explanation, voice: Voice, *, event_type: str, unit: str | None) -> Markup:
    """Say what became of an event at one webhook, with every rule that stood in its way."""
    match told.display:
        case "skipped":
            return _not_sent(told, voice, event_type, unit)
        case "paused":
            return reason(R.WEBHOOK_PAUSED, since=voice.since(told.paused_since or voice.now_at))
        case "retrying" | "queued":
            return _so_far(told) + _next(told.next_attempt_at, voice)
        case "sending":
            return Markup("Attempt {} in progress.").format(told.attempts)
        case "delivered":
            answer = status_line(told.status) if told.status else "Accepted"
            return Markup("{} on attempt {}").format(answer, told.attempts)
        case "canceled":
            return Markup("Canceled by {}.").format(told.detail or "Postroom")
        case _:
            last = response(told.status, told.error)
            why = reason(told.reason, detail=told.detail or last) if told.reason not in (None, R.EXHAUSTED) else None
            return why or Markup("Gave up after {}: {}.").format(_times(told.attempts, "attempt"), last)


def _so_far(told: Explanation) -> Markup:
    if not told.attempts:
        return Markup("")
    answer = status_line(told.status) if told.status else response(None, told.error).capitalize()
    return Markup("{} on attempt {}. ").format(answer, told.attempts)


def _next(due_at: int | None, voice: Voice) -> Markup:
    if due_at is None or due_at <= voice.now_at:
        return Markup("Next as soon as there is room.")
    return Markup("Next at {}.").format(voice.near(due_at))


def _not_sent(told: Explanation, voice: Voice, event_type: str, unit: str | None) -> Markup:
    facts = _facts(told, voice, event_type, unit)
    said = Markup("Not sent: {}").format(lowered(reason(told.reason or R.EVENT_TYPE_NOT_SELECTED, **facts)))
    for more in told.also:
        said += Markup(" Also: {}").format(lowered(reason(more, **facts)))
    return said


def _facts(told: Explanation, voice: Voice, event_type: str, unit: str | None) -> dict[str, Any]:
    return {
        "event_type": event_type,
        "unit": unit,
        "owner": told.owner,
        "filter": Markup("<code>{}</code>").format(told.filter) if told.filter else None,
        "found": f": {told.found}" if told.found else None,
        "since": voice.since(told.off_since) if told.off_since is not None else None,
        "made": voice.on_or_at(told.created_at),
        "detail": told.detail,
    }


PASSED: Mapping[Reason, str] = {
    R.EVENT_TYPE_NOT_SELECTED: "The event type is selected.",
    R.BUSINESS_UNIT_NOT_SELECTED: "The business unit is selected, or all are.",
    R.OWNER_CANNOT_SEE: "The owner may see it.",
    R.FILTERED_OUT: "The filter matches, or there is none.",
    R.WEBHOOK_OFF: "The webhook is on.",
}


def checks(why: Asked, voice: Voice) -> list[tuple[bool, Markup]]:
    """Go through every rule of an event that was not sent, in order: whether it passed, and what it says."""
    facts = _facts(why.told, voice, why.event_type, why.unit)
    stopped = (why.told.reason, *why.told.also)
    found = [(False, reason(one, **facts)) for one in stopped if one is not None and one not in PASSED]
    for rule, passed in PASSED.items():
        found.append((False, reason(rule, **facts)) if rule in stopped else (True, Markup(passed)))  # noqa: S704 - ours
    return found


def lowered(sentence: Markup) -> Markup:
    """A sentence as the second half of another: `The webhook …` -> `the webhook …`; names keep their letters."""
    return (
        sentence[:1].lower() + sentence[1:] if sentence.startswith(("The ", "Its ", "This ", "Business ")) else sentence
    )


def next_attempt(row: DeliveryRow, voice: Voice) -> Markup:
    """Say when the next attempt is made; empty where none is planned."""
    if row.state is not S.PENDING or row.is_paused or row.next_attempt_at is None:
        return Markup("")
    if not row.is_on:
        return Markup("Held until the webhook is turned on.")
    due_at = row.next_attempt_at
    if row.shut_until > max(due_at, voice.now_at):
        return Markup("Waiting until {}: the receiver is backing off.").format(voice.near(row.shut_until))
    if due_at <= voice.now_at:
        return Markup("Next attempt as soon as there is room.") if row.display == "retrying" else Markup("")
    return Markup("Next attempt {} ({}).").format(voice.left(due_at), voice.near(due_at))


# Why deliveries that match are not replayed: of one, and of several.
LEFT_OUT: Mapping[LeftOut, tuple[str, str]] = {
    LeftOut.WAITING: ("1 is on its way already.", "{} are on their way already."),
    LeftOut.NOT_FAILED: ("1 hasn't failed.", "{} haven't failed."),
    LeftOut.UNDER_WAY: (
        "1 was delivered later, or is on its way again.",
        "{} were delivered later, or are on their way again.",
    ),
    LeftOut.REPEATED: (
        "1 is of an event that is replayed for the same webhook already.",
        "{} are of events that are replayed for the same webhook already.",
    ),
    LeftOut.WEBHOOK_OFF: ("1 is for a webhook that is off.", "{} are for webhooks that are off."),
    LeftOut.WEBHOOK_DELETED: ("1 is for a webhook that was deleted.", "{} are for webhooks that were deleted."),
    LeftOut.TEST: ("1 is a test. Send a test payload instead.", "{} are tests. Send a test payload instead."),
    LeftOut.BEYOND: (
        "1 is more than one replay takes. The oldest go first; replay again for the rest.",
        "{} are more than one replay takes. The oldest go first; replay again for the rest.",
    ),
    LeftOut.NOT_FOUND: (
        "1 isn't there any more, or you may not see it.",
        "{} aren't there any more, or you may not see them.",
    ),
}


def left_out(why: LeftOut, count: int) -> str:
    """Say how many deliveries a replay leaves out, and why."""
    return LEFT_OUT[why][count != 1].format(number(count))


def replay(found: Progress, voice: Voice) -> Markup:
    """Say in a sentence how far a replay has come."""
    view = found.replay
    of = f"{number(view.total - found.left)} of {number(view.total)}"
    match view.state:
        case ReplayState.RUNNING:
            return Markup("{} deliveries made since {}.").format(of, voice.near(view.created_at))
        case ReplayState.STOPPED if not view.position:
            return Markup("Stopped before the first delivery was made.")
        case ReplayState.STOPPED:
            return Markup("Stopped after {} deliveries.").format(of)
        case _ if found.waiting:
            return Markup("All {} had their turn; {} not finished.").format(
                _times(view.total, "delivery"),
                f"{number(found.waiting)} {'is' if found.waiting == 1 else 'are'}",
            )
        case _:
            return Markup("{} of {} delivered.").format(number(found.delivered), number(view.total))


@dataclass(frozen=True, slots=True)
class Sentence:
    """A state in words: `strong` comes first and is tinted with `tone` (a badge's state, danger, warning or none)."""

    tone: str
    strong: Markup
    rest: Markup


def webhook(view: WebhookView, voice: Voice, *, missed: int | None = None, days: int = 0) -> Sentence:
    """Say how a webhook is doing.

    `missed`: events since it went off by itself. `days`: on how many of the 14 days before its last delivery it
    delivered, for one that has been silent for a day.
    """
    if not view.enabled:
        return _off(view, voice, missed)
    if view.paused:
        by, at = view.paused_by or "a member", voice.at(view.paused_at or voice.now_at)
        return Sentence("paused", Markup("Paused by {} {}.").format(by, at), _waiting(view, "held"))
    if view.shut_until > voice.now_at:
        until = Markup("Backing off until {}").format(voice.near(view.shut_until, precision="m"))
        failures = _times(view.failures_in_row, "failure")
        why = Markup(" after {} in a row.").format(failures) if view.failures_in_row else " as the receiver asked."
        return Sentence("warning", until, why + _waiting(view, "waiting"))
    if view.failing_since is not None:
        return _failing(view, voice)
    if view.last_success_at is None:
        if view.waiting:
            return Sentence("", Markup("On."), Markup(" Nothing was delivered yet.") + _waiting(view, "waiting"))
        return Sentence("", Markup("On."), Markup(" No event has matched yet."))
    last = Markup("Last delivered {}.").format(voice.ago(view.last_success_at))
    if is_unusually_silent(view.last_success_at, days, voice.now_at):
        return Sentence("warning", last, Markup(" Before that, it delivered on {} of 14 days.").format(days))
    if voice.now_at - view.last_success_at >= 7 * DAY_MS and not view.waiting:
        return Sentence("", Markup("On."), Markup(" No event matched in 7 days."))
    return Sentence("", Markup("On."), Markup(" ") + last)


def is_unusually_silent(last_success_at: int, days: int, now_at: int) -> bool:
    """Whether a webhook that delivered on `days` of 14 days has been silent for three times as long as is usual."""
    return days >= 5 and now_at - last_success_at >= 3 * 14 * DAY_MS // days


def next_of(view: WebhookView, due_at: int | None, voice: Voice) -> Markup:
    """Say when what waits for a webhook goes on; empty where nothing waits."""
    if due_at is None:
        return Markup("")
    if not view.enabled or view.paused:
        return Markup("held until it is {}").format("resumed" if view.enabled else "turned on")
    at = max(due_at, view.shut_until)
    return Markup("next at {}").format(voice.near(at, precision="m")) if at > voice.now_at else Markup("next now")


def most_common(causes: Sequence[Cause]) -> str:
    """Say what a failing webhook's deliveries last ended with: `503 Service Unavailable (12), timed out (2)`."""
    said = [
        f"{status_line(cause.status) if cause.status else response(None, cause.error)} ({number(cause.count)})"
        for cause in causes[:3]
    ]
    return f"Most common: {', '.join(said)}." if said else ""


def _failing(view: WebhookView, voice: Voice) -> Sentence:
    assert view.failing_since is not None
    strong = Markup("Failing since {}:").format(voice.since(view.failing_since))
    if view.deliveries_failing:
        among = f"{number(view.deliveries_failing)} of {_times(view.deliveries_failing, 'delivery')}"
        rest = Markup(" {}.").format(among)
    else:
        rest = Markup(" {} since the last success.").format(_times(view.failed_attempts, "failed attempt"))
    off_at = max(view.failing_since, view.last_success_at or 0) + AUTO_OFF_AFTER_MS
    rest += Markup(" If this goes on it is turned off on {}.").format(voice.when(off_at, "dm"))
    return Sentence("danger" if view.failures_in_row else "warning", strong, rest)


def _off(view: WebhookView, voice: Voice, missed: int | None) -> Sentence:
    if view.off_reason is R.NEW or view.switched_at is None:
        return Sentence("", Markup("Off."), Markup(" Not turned on yet."))
    on = voice.when(view.switched_at, "d")
    because = TURNED_OFF.get(view.off_reason) if view.off_reason is not None else None
    if because is not None:
        since = Markup(" {} since then.").format(_times(missed, "event")) if missed is not None else Markup("")
        rest = Markup(" {}.").format(because) + since + _probe(view, voice)
        return Sentence("danger", Markup("Turned off on {}:").format(on), rest)
    strong = Markup("Turned off by {} on {}.").format(view.switched_by or "a member", on)
    return Sentence("", strong, Markup(" New events aren't queued."))


def _probe(view: WebhookView, voice: Voice) -> Markup:
    """Say when a webhook that went off by itself is tried again."""
    if view.probe_at is None:
        return Markup("")
    return Markup(" Next probe {}.").format(voice.when(view.probe_at, "dm"))


def _waiting(view: WebhookView, word: str) -> Markup:
    return Markup(" {} {}.").format(number(view.waiting), word) if view.waiting else Markup("")


def _times(count: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(count)} {noun if count == 1 else many}"
