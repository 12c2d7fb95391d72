"""Webhooks: the list with its switches, one webhook's page, and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from markupsafe import Markup

from app.core.access import Permission
from app.core.states import FINISHED
from app.delivery.installed import installed
from app.errors import Conflict, Invalid, NotFound
from app.services import (
    changes,
    deliveries,
    event_types,
    log,
    retention,
    samples,
    signatures,
    signing_secrets,
    standing,
    stats,
    tests,
    webhooks,
)
from app.services.log import LogQuery
from app.web import is_fragment, live, needs, once, webhook_figures, webhook_list, words
from app.web.audit import telling
from app.web.mail import is_missed
from app.web.viewer import actor
from app.web.webhook_list import line_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from app.web.webhook_list import Line

bp = Blueprint("webhooks", __name__)

NEWEST = 20
MOST_HEADERS = 100
MANY_WAITING = 100  # more than that is not retried at once without asking
DAY_MS = 86_400_000
OVERLAPS = ((0, "at once"), (3_600_000, "1 h"), (DAY_MS, "24 h"), (7 * DAY_MS, "7 days"))


@bp.get("/webhooks")
@needs(Permission.WEBHOOKS)
def index() -> str:
    """Webhooks, those that need attention first."""
    created = request.args.get("created")
    secret = once.take(actor().public_id, created) if created else None
    facts = webhook_list.facts(webhook_list.asked()) | webhook_list.menus()
    return render_template("webhooks/index.html", created=created, secret=secret, mail_is_missed=is_missed(), **facts)


@bp.get("/webhooks/list")
@needs(Permission.WEBHOOKS)
def rows() -> Response:
    """The list alone, for the poll and the filters."""
    query = webhook_list.asked()
    seconds = 1 if webhook_list.is_testing() else 3
    stamp = webhook_list.stamp(query)
    return live.region("webhooks/_list.html", stamp, lambda: webhook_list.facts(query), seconds=seconds)


@bp.get("/webhooks/types")
@needs(Permission.WEBHOOKS)
def types() -> BaseResponse:
    """The event types that the list can be filtered by, offered when that field is entered."""
    if not is_fragment():
        return redirect(url_for(".index"))
    return Response(Markup("").join(Markup("<option>{}").format(name) for name in webhook_list.types()))


@bp.get("/webhooks/attention")
@needs(Permission.WEBHOOKS)
def attention() -> Response:
    """How many webhooks need attention, in a header alone."""
    count = webhooks.count_needing_attention(actor())
    return Response(status=200, headers={"Postroom-Attention": str(count), "Postroom-Poll": "30"})


# --- one webhook


@bp.get("/webhooks/<public_id>")
@needs(Permission.WEBHOOKS)
def show(public_id: str) -> str:
    """How a webhook is doing."""
    return render_template("webhooks/show.html", **_overview(public_id))


@bp.get("/webhooks/<public_id>/menu")
@needs(Permission.WEBHOOKS)
def menu(public_id: str) -> BaseResponse | str:
    """What the list's menu of a webhook holds; as a page, the webhook's own, where all of that can be done too."""
    if not is_fragment():
        return redirect(url_for(".show", public_id=public_id))
    return render_template("webhooks/_menu.html", view=webhooks.find(actor(), public_id))


@bp.get("/webhooks/<public_id>/overview")
@needs(Permission.WEBHOOKS)
def overview(public_id: str) -> Response:
    """The overview alone, for the poll."""
    shown = log.stamp(actor(), LogQuery(webhook=(public_id,), limit=NEWEST))
    test = webhook_list.test_of(request.args.get("tested"))
    is_moving = shown.is_busy or (test is not None and test.state not in FINISHED)
    stamp = (webhook_list.stamp_of(public_id), shown.shown, test)
    return live.region("webhooks/_overview.html", stamp, lambda: _overview(public_id), seconds=1 if is_moving else 3)


def _overview(public_id: str) -> dict[str, Any]:
    line, voice = _line(public_id, with_day=True), webhook_list.voice()
    test = line.test
    sent = deliveries.find(actor(), test.id) if test is not None and test.webhook == public_id else None
    period = webhook_figures.period_of(request.args.get("period"))
    found = stats.of_view(actor(), line.view, period, voice.zone)
    return {
        "line": line,
        "rows": log.page(actor(), LogQuery(webhook=(public_id,), limit=NEWEST)).rows,
        "test": sent,
        "is_testing": test is not None and test.state not in FINISHED,
        "words": words,
        "found": found,
        "charts": webhook_figures.charts(found, line.view, voice) if found.attempted else None,
        "next_at": words.next_of(line.view, standing.next_due(actor(), line.view), voice),
        "causes": words.most_common(standing.causes(actor(), line.view)),
        "periods": webhook_figures.links(public_id, period),
        "many": MANY_WAITING,
    }


def _line(public_id: str, *, with_day: bool = False) -> Line:
    view = webhooks.find(actor(), public_id)
    stand = standing.of(actor(), [view])[view.id]
    day = stats.last_day(actor(), [view])[view.id] if with_day else None
    line = line_of(view, stand.waiting, stand.missed, webhook_list.test_of(request.args.get("tested")), day)
    return replace(line, offered=stand.offered)


@bp.get("/webhooks/<public_id>/log", endpoint="log")
@needs(Permission.WEBHOOKS)
def show_log(public_id: str) -> BaseResponse:
    """Log History of this webhook."""
    return redirect(url_for("deliveries.index", webhook=webhooks.find(actor(), public_id).id))


@bp.get("/webhooks/<public_id>/changes")
@needs(Permission.WEBHOOKS)
def show_changes(public_id: str) -> str:
    """Who changed what."""
    line = _line(public_id)
    return render_template("webhooks/changes.html", line=line, changes=changes.of(actor(), public_id), **telling())


# --- the signature


@bp.get("/webhooks/<public_id>/signature")
@needs(Permission.WEBHOOKS)
def signature(public_id: str) -> str:
    """How to check what this webhook sends."""
    return _signature_page(public_id, secret=once.take(actor().public_id, public_id))


@bp.post("/webhooks/<public_id>/signature")
@needs(Permission.WEBHOOKS)
def check_signature(public_id: str) -> str:
    """Check pasted headers and body with the stored secret."""
    headers, body = request.form.get("headers", ""), request.form.get("body", "")
    pasted = dict(_header(line) for line in headers.splitlines()[:MOST_HEADERS] if ":" in line)
    verdict = signatures.check(actor(), public_id, pasted, body.replace("\r\n", "\n").encode())
    return _signature_page(public_id, verdict=verdict, headers=headers, body=body)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _signature_page(public_id: str, **facts: Any) -> str:
    sheet = signatures.sheet(actor(), public_id)
    if sheet is not None:
        sample = samples.sample(sheet, request.args.get("language", ""))
        code = render_template(sample.template, **sample.facts)
        facts |= {"languages": samples.languages(sheet), "language": sample.language, "code": code}
        facts |= _latest(public_id, {sheet.header.lower(), *(name.lower() for name in sheet.sent_beside)})
    return render_template("webhooks/signature.html", line=_line(public_id), sheet=sheet, **facts)


@bp.get("/webhooks/<public_id>/secret/rotate")
@needs(Permission.SECRETS)
def ask_rotate(public_id: str) -> str:
    """Ask before the signing secret is replaced."""
    return render_template("webhooks/rotate.html", line=_line(public_id), overlaps=OVERLAPS, chosen=DAY_MS)


@bp.post("/webhooks/<public_id>/secret/rotate")
@needs(Permission.SECRETS)
def rotate(public_id: str) -> BaseResponse:
    """Replace the signing secret; the next page shows the new one, once."""
    overlap_ms = request.form.get("overlap", DAY_MS, type=int)
    once.keep(actor().public_id, public_id, signing_secrets.rotate(actor(), public_id, overlap_ms=overlap_ms).secret)
    return redirect(url_for(".signature", public_id=public_id), 303)


def _latest(public_id: str, named: set[str]) -> dict[str, Any]:
    """The newest request and what of its headers belongs to the signature; `latest` fills the checker with them."""
    sent = signatures.latest(actor(), public_id)
    if sent is None:
        return {"sent": None}
    signed = [(name, value) for name, value in sent.headers if name.lower() in named]
    facts: dict[str, Any] = {"sent": sent, "signed": signed}
    if request.method == "GET" and "latest" in request.args:
        facts["headers"] = "\n".join(f"{name}: {value}" for name, value in signed)
        facts["body"] = sent.body.decode("utf-8", "replace")
    return facts


# --- switches and other deeds


@bp.post("/webhooks/<public_id>/on")
@needs(Permission.WEBHOOKS)
def turn_on(public_id: str) -> BaseResponse | str:
    """Turn it on, which sends a test payload; where it has no owner, go and choose one."""
    try:
        return _after(public_id, webhooks.turn_on(actor(), public_id).test_delivery)
    except Conflict as error:
        flash(error.message)
        place = url_for(".edit", public_id=public_id, _anchor="owner")
        return Response(headers={"HX-Redirect": place}) if is_fragment() else redirect(place, 303)


@bp.get("/webhooks/<public_id>/off")
@needs(Permission.WEBHOOKS)
def ask_off(public_id: str) -> str:
    """Ask what becomes of the deliveries that wait."""
    days = retention.kept(actor()).delivered
    return render_template("webhooks/off.html", line=_line(public_id), back=_place(public_id), kept_days=days)


@bp.post("/webhooks/<public_id>/off")
@needs(Permission.WEBHOOKS)
def turn_off(public_id: str) -> BaseResponse | str:
    """Turn it off; when deliveries wait and nobody said what becomes of them, ask first."""
    waiting = request.form.get("waiting")
    if waiting is None and _line(public_id).view.waiting and not is_fragment():
        return redirect(url_for(".ask_off", public_id=public_id, at=request.form.get("at")), 303)
    webhooks.turn_off(actor(), public_id, cancel_waiting=waiting == "cancel")
    return _after(public_id)


@bp.post("/webhooks/<public_id>/pause")
@needs(Permission.WEBHOOKS)
def pause(public_id: str) -> BaseResponse | str:
    """Hold everything, and keep queueing."""
    webhooks.pause(actor(), public_id)
    return _after(public_id)


@bp.post("/webhooks/<public_id>/resume")
@needs(Permission.WEBHOOKS)
def resume(public_id: str) -> BaseResponse | str:
    """Send what was held."""
    webhooks.resume(actor(), public_id)
    return _after(public_id)


@bp.get("/webhooks/<public_id>/retry")
@needs(Permission.WEBHOOKS)
def ask_retry(public_id: str) -> str:
    """Ask before much is sent at once."""
    return render_template("webhooks/retry.html", line=_line(public_id), back=_place(public_id))


@bp.post("/webhooks/<public_id>/retry")
@needs(Permission.WEBHOOKS)
def retry(public_id: str) -> BaseResponse | str:
    """Send now what waits for its time."""
    try:
        retried = webhooks.retry_waiting(actor(), public_id)
        flash(f"{retried} {'delivery is' if retried == 1 else 'deliveries are'} sent now, as fast as the webhook may.")
    except Conflict as error:
        flash(error.message)
    return _after(public_id)


@bp.get("/webhooks/<public_id>/test")
@needs(Permission.WEBHOOKS)
def ask_test(public_id: str) -> str:
    """Choose what a test sends."""
    return _test_page(public_id, {})


@bp.post("/webhooks/<public_id>/test")
@needs(Permission.WEBHOOKS)
def send_test(public_id: str) -> BaseResponse | str | tuple[str, int]:
    """Send a test payload: the preset's, a type's example, or a past event."""
    what = request.form.get("what", "preset")
    event_type = request.form.get("event_type") if what == "type" else None
    event = request.form.get("event", "").strip() if what == "event" else None
    try:
        return _after(public_id, tests.send(actor(), public_id, event_type=event_type, event=event))
    except Invalid as error:
        return _test_page(public_id, {problem.field: problem.message for problem in error.problems}), 422
    except NotFound:
        if event is None:
            raise
        return _test_page(public_id, {"event": "There is no event with this id, or you may not see it."}), 422


def _test_page(public_id: str, errors: dict[str, str]) -> str:
    types = [(kind.name, kind.name) for kind in event_types.list_all(actor())]
    line = _line(public_id)
    preset = installed().presets.get(line.view.settings["preset"])
    test_type = preset.test_type if preset else ""
    return render_template(
        "webhooks/test.html", line=line, types=types, errors=errors, back=_place(public_id), test_type=test_type
    )


@bp.post("/webhooks/<public_id>/duplicate")
@needs(Permission.WEBHOOKS)
def duplicate(public_id: str) -> BaseResponse:
    """Open the form of a new webhook with these settings; secrets are not copied."""
    return redirect(url_for(".new", copy=public_id), 303)


@bp.get("/webhooks/<public_id>/delete")
@needs(Permission.WEBHOOKS)
def ask_delete(public_id: str) -> str:
    """Ask for the name before deleting."""
    return render_template("webhooks/delete.html", line=_line(public_id), error=None)


@bp.post("/webhooks/<public_id>/delete")
@needs(Permission.WEBHOOKS)
def delete(public_id: str) -> BaseResponse | tuple[str, int]:
    """Delete it, when its name was typed."""
    line = _line(public_id)
    name = line.view.settings["name"]
    if request.form.get("name", "").strip() != name:
        return render_template("webhooks/delete.html", line=line, error=f"Type {name} to delete it."), 422
    webhooks.delete(actor(), public_id)
    flash(f"{name} was deleted.")
    return redirect(url_for(".index"), 303)


def _after(public_id: str, test: str | None = None) -> BaseResponse | str:
    """Go back to where the deed was done: the list or the webhook's own page."""
    if is_fragment():
        facts = webhook_list.facts(webhook_list.asked())
        if test is not None:
            facts["lines"] = [_with_test(line, public_id, test) for line in facts["lines"]]
        return render_template("webhooks/_list.html", **facts)
    if request.form.get("at") == "page":
        return redirect(url_for(".show", public_id=public_id, tested=test), 303)
    return redirect(url_for(".index", tested=f"{public_id}:{test}" if test else None, _anchor=public_id), 303)


def _with_test(line: Line, public_id: str, test: str) -> Line:
    return replace(line, test=webhook_list.test_of(test)) if line.view.id == public_id else line


def _place(public_id: str) -> str:
    at_page = request.values.get("at") == "page"
    return url_for(".show", public_id=public_id) if at_page else url_for(".index")
