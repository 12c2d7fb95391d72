"""How attempts are told: the timeline, the phases of a request, and two attempts side by side."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup

from app.core.redaction import shown_headers
from app.core.states import DeliveryState, ErrorClass, Outcome
from app.services import deliveries
from app.web import payloads, words
from app.web.filters import duration, size

if TYPE_CHECKING:
    from app.services.deliveries import AttemptView, DeliveryView
    from app.web.words import Voice

S, E = DeliveryState, ErrorClass
MOST_DONE = 5
MOST_PLANNED = 2
COMPARED = 64 * 1024
"""Bytes of a body that are compared; more would take longer than a page may."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the timeline; `state` is a badge's, "done", or empty for what is planned."""

    time: Markup
    title: str
    note: Markup | str = ""
    state: str = ""
    next: bool = False


def timeline(view: DeliveryView, voice: Voice) -> list[Step]:
    """Tell what happened, what happens, and what is planned."""
    row = view.row
    begun = voice.near(row.created_at, precision="f")
    steps = [Step(begun, "Event", "received", "done")]
    if row.state is S.SKIPPED:
        return [*steps, Step(begun, "Not sent", "", "skipped")]
    made = list(reversed(view.attempts))
    left_out = len(made) - MOST_DONE if len(made) > MOST_DONE else 0
    if left_out:
        steps.append(Step(Markup("…"), f"{left_out} earlier", "attempts", "done"))
    before = made[left_out - 1].started_at if left_out else row.created_at
    for attempt in made[left_out:]:
        steps.append(_made(attempt, before, voice))
        before = attempt.started_at
    if row.state is S.SENDING:
        steps.append(Step(voice.near(voice.now_at), f"#{row.attempt_count}", "in progress", "sending"))
    if row.state is S.CANCELED and row.finished_at is not None:
        steps.append(Step(voice.near(row.finished_at, precision="f"), "Canceled", row.detail or "", "canceled"))
    planned = _planned(view, voice)
    if planned:
        last = steps[-1]
        steps[-1] = Step(last.time, last.title, last.note, last.state, next=True)
    return steps + planned


def _made(attempt: AttemptView, before: int, voice: Voice) -> Step:
    title = str(attempt.status) if attempt.status is not None else words.response(None, attempt.error)
    note = duration(attempt.duration_ms) if attempt.outcome is not Outcome.INTERRUPTED else "not counted"
    waited = attempt.started_at - before
    if waited >= 1000:
        note = f"{note}, {duration(waited)} later"
    at = voice.near(attempt.started_at, precision="f")
    return Step(at, f"#{attempt.number} {title}", note, words.LOOKS[attempt.outcome])


def _planned(view: DeliveryView, voice: Voice) -> list[Step]:
    """The next attempts; the last of them says that it is the last."""
    row, moments = view.row, view.planned
    if not moments or not row.is_on or row.is_paused:
        return []
    first = max(moments[0], row.shut_until)
    late = max(0, max(first, voice.now_at) - moments[0])  # what waits moves everything after it
    number = row.attempt_count + 1
    steps = []
    for index, due_at in enumerate(moments):
        is_last = index == len(moments) - 1
        if index >= MOST_PLANNED and not is_last:
            continue
        time, note = Markup("about {}").format(voice.near(due_at + late, precision="m")), Markup("")
        if index == 0 and row.state is S.PENDING:
            time, note = _next(first, row.shut_until, voice)
        if is_last and len(moments) > MOST_PLANNED + 1:
            note = Markup("{} more before").format(len(moments) - MOST_PLANNED - 1)
        the_last = ", the last" if is_last and len(moments) > 1 else ""
        steps.append(Step(time, f"#{number + index}{the_last}", note))
    return steps


def _next(at: int, shut_until: int, voice: Voice) -> tuple[Markup, Markup]:
    if at <= voice.now_at:
        return Markup("next"), Markup("as soon as there is room")
    return voice.near(at), Markup("backing off") if at == shut_until else voice.left(at)


PHASES = {"dns": "DNS", "connect": "connect", "tls": "TLS", "wait": "wait", "read": "read"}
_ENDED_IN = {E.DNS: "dns", E.REFUSED: "connect", E.CONNECT_TIMEOUT: "connect", E.TLS: "tls"}


def phases(attempt: AttemptView) -> list[tuple[str, str, float | None]]:
    """The phases of a request with their lengths (ms), for the timing bar; none where it did not get there."""
    taken = attempt.timings
    if taken is None:
        return []
    wait = max(0.0, taken.first_byte_ms - taken.connect_ms - taken.tls_ms)
    rest = max(0.0, taken.total_ms - taken.dns_ms - taken.connect_ms - taken.tls_ms - wait)
    lengths = {"dns": taken.dns_ms, "connect": taken.connect_ms, "tls": taken.tls_ms, "wait": wait, "read": 0.0}
    ended_in = "read" if taken.first_byte_ms > 0 else _ENDED_IN.get(attempt.error, "wait") if attempt.error else "wait"
    lengths[ended_in] += rest
    if not any(lengths.values()):
        return []
    return [(name, PHASES[name], length or None) for name, length in lengths.items()]


def headers(lines: bytes | None) -> list[tuple[str, str]]:
    """Header lines as pairs, as they may be shown."""
    return shown_headers(deliveries.headers(lines), ())


def differing(view: DeliveryView) -> dict[int, int]:
    """Which attempts sent another body than the one before them: its number, by theirs."""
    sent = [item for item in reversed(view.attempts) if item.request_body is not None]
    pairs = pairwise(sent)
    return {item.number: before.number for before, item in pairs if item.request_body != before.request_body}


# --- two side by side


@dataclass(frozen=True, slots=True)
class Part:
    """A part of two attempts; differing lines are marked in both texts."""

    title: str
    a: Markup
    b: Markup
    is_same: bool


def comparison(a: AttemptView, b: AttemptView, voice: Voice, *, masked: bool) -> list[Part]:
    """Put two attempts side by side. `masked`: bodies are compared, but not shown."""
    parts = [_lines("Outcome", *(_outcome(item, voice) for item in (a, b)))]
    parts.append(_lines("Request headers", *(_header_lines(item.request_headers) for item in (a, b))))
    parts.append(_bodies("Request body", a.request_body, b.request_body, masked=masked))
    parts.append(_lines("Response headers", *(_header_lines(item.response_headers) for item in (a, b))))
    parts.append(_bodies("Response body", a.response_body, b.response_body, masked=masked))
    return parts


def _outcome(item: AttemptView, voice: Voice) -> list[str]:
    lines = [
        words.attempt_line(item.outcome, item.status, item.message),
        f"Began {voice.plain(item.started_at, 'df')}",
        f"Took {duration(item.duration_ms)}",
        f"POST {item.url}",
        f"Sent to {item.peer or 'nobody'}{f' · {item.tls}' if item.tls else ''}",
    ]
    return lines + [f"{text} {duration(ms)}" for _, text, ms in phases(item) if ms is not None]


def _header_lines(lines: bytes | None) -> list[str]:
    return [f"{name}: {value}" for name, value in headers(lines)]


def _bodies(title: str, a: bytes | None, b: bytes | None, *, masked: bool) -> Part:
    if masked:
        texts = [payloads.MASKED if body else Markup("") for body in (a, b)]
        return Part(title, texts[0], texts[1], a == b)
    return _lines(title, *(_body_lines(body) for body in (a, b)))


def _body_lines(body: bytes | None) -> list[str]:
    """A body by lines: JSON indented, so that what differs is found member by member."""
    if not body:
        return ["No body."]
    if len(body) > COMPARED:
        return [f"{size(len(body))}: too large to compare here."]
    try:
        text = msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "surrogateescape")
    return text.split("\n")


def _lines(title: str, a: list[str], b: list[str]) -> Part:
    """Mark the lines that only one of both has: − on the left, + on the right."""
    left, right = [], []
    for kind, a_from, a_to, b_from, b_to in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        left += [_line(line, "" if kind == "equal" else "−") for line in a[a_from:a_to]]
        right += [_line(line, "" if kind == "equal" else "+") for line in b[b_from:b_to]]
    return Part(title, Markup("").join(left), Markup("").join(right), a == b)


def _line(text: str, sign: str) -> Markup:
    shown = payloads.raw_text(text)
    if not sign:
        return Markup("{}\n").format(shown)
    return Markup('<mark data-note="{}">{}\n</mark>').format(sign, shown)
