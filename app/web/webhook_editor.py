"""The form that makes and changes a webhook, its preview, and the look at its URL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup

from app.core.access import Permission
from app.core.envelope import EventFacts
from app.core.redaction import MASK
from app.core.routing import patterns_for
from app.core.shaping import COMPANIES
from app.delivery.installed import installed
from app.errors import Changed, Invalid, NotFound, Problem, Unavailable
from app.services import (
    changes,
    choices,
    drafts,
    filter_test,
    inboxes,
    organization_settings,
    preview,
    url_check,
    webhooks,
)
from app.services.log import LogQuery
from app.services.log import page as log_page
from app.services.organization_settings import DEFAULT_PRESET
from app.services.url_check import Checked, Level
from app.web import form_changes, form_clash, form_problems, form_summaries, forms, is_fragment, needs, once, words
from app.web.viewer import actor
from app.web.webhook_list import line_of, voice
from app.web.webhooks import bp as bp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from werkzeug.wrappers import Response

    from app.core.envelope import Template
    from app.services.choices import Choices
    from app.services.filter_test import Matched
    from app.services.webhooks import WebhookView
    from app.web.form_clash import Difference
    from app.web.forms import WebhookForm

PLACEHOLDER_URL = "https://example.com/webhook"
NEWEST = 5
VIEWS = (("body", "Body"), ("headers", "Headers"), ("curl", "cURL"))
# What a preview can do without while it is still being typed.
FILLED_IN: dict[str, Any] = {
    "name": "Preview",
    "url": PLACEHOLDER_URL,
    "auth": {"type": "none"},
    "alert_addresses": [],
    "success_codes": ["2xx"],
    "ca": None,
    "rate_limit": None,
    "max_in_flight": 4,
    "retry": {},
    "headers": {},
}
ALWAYS = ["*"]
OTHER_SAMPLES = [("", "the preset's test event"), ("last", "the last real event"), ("event", "an event's id …")]
PATHS_SHOWN = 200


@bp.get("/webhooks/new")
@needs(Permission.WEBHOOKS)
def new() -> str:
    """The form of a new webhook; `copy` (or `from`) names one to copy, `preset` and `url` fill in."""
    copied = request.args.get("copy") or request.args.get("from")
    if copied:
        settings = webhooks.find(actor(), copied).settings
        headers = {name: value for name, value in settings["headers"].items() if value != MASK}
        copy = {"name": f"{settings['name']} (copy)", "client_certificate": None, "headers": headers}
        form = forms.shown({**settings, **copy})
        form = replace(form, stored=frozenset(), version="")
    else:
        begins = organization_settings.new_webhooks(actor())
        form = replace(_fresh(request.args.get("preset") or begins.preset), owner=begins.owner)
    return _page(replace(form, url=request.args.get("url", form.url)), None)


@bp.get("/webhooks/<public_id>/edit")
@needs(Permission.WEBHOOKS)
def edit(public_id: str) -> str:
    """The form of a webhook."""
    view = webhooks.find(actor(), public_id)
    return _page(forms.shown(view.settings, version=view.version), view)


@bp.post("/webhooks/new")
@needs(Permission.WEBHOOKS)
def create() -> Response | tuple[str, int]:
    """Make it; `do=on` turns it on too."""
    form = forms.read(request.form)
    wire, problems = forms.given(form)
    problems += _unaccepted(form, None)
    try:
        _refuse(problems, lambda: preview.preview(actor(), wire))
        made = webhooks.create(actor(), {**wire, "enabled": request.form.get("do") == "on"})
    except Invalid as error:
        return _page(form, None, error.problems), 422
    if made.secret and not form.secret:
        once.keep(actor().public_id, made.webhook.id, made.secret)
    tested = f"{made.webhook.id}:{made.test_delivery}" if made.test_delivery else None
    return redirect(url_for(".index", created=made.webhook.id, tested=tested), 303)


@bp.post("/webhooks/<public_id>/edit")
@needs(Permission.WEBHOOKS)
def save(public_id: str) -> Response | tuple[str, int]:
    """Save the changes, unless somebody else saved meanwhile."""
    view = webhooks.find(actor(), public_id)
    form = forms.read(request.form, forms.shown(view.settings).stored)
    wire, problems = forms.given(form)
    problems += _unaccepted(form, view)
    try:
        _refuse(problems, lambda: preview.preview(actor(), wire, webhook=public_id))
        version = int(form.version) if form.version.isdigit() else None
        edited = webhooks.edit(actor(), public_id, wire, version=version)
    except Invalid as error:
        return _page(form, view, error.problems), 422
    except Changed as error:
        view = webhooks.find(actor(), public_id)
        latest = replace(form, version=str(view.version))
        return _page(latest, view, [], conflict=_who_else(public_id) or error.message), 409
    if edited.secret and not form.secret:
        once.keep(actor().public_id, public_id, edited.secret)
        return redirect(url_for(".signature", public_id=public_id), 303)
    flash(_applies(edited.changed, view.waiting))
    return redirect(url_for(".show", public_id=public_id), 303)


def _applies(changed: Sequence[str], waiting: int) -> str:
    """Say what an edit changed, and what that means for what waits."""
    if not changed:
        return "Nothing was changed."
    names = ", ".join(name.replace("_", " ") for name in changed)
    said = f"Changed: {names}. Applies from the next attempt"
    if not waiting:
        return f"{said}."
    count = "1 delivery is" if waiting == 1 else f"{waiting:,} deliveries are"
    return f"{said}; {count} waiting."


def _who_else(public_id: str) -> str:
    """Who saved last, and when; empty where the audit log no longer knows."""
    last = next(iter(changes.of(actor(), public_id, limit=1)), None)
    if last is None:
        return ""
    who, where = ("You", " in another window") if last.actor == actor().name else (last.actor, "")
    return Markup("{} changed this webhook{} {}.").format(who, where, voice().at(last.at))


def _unaccepted(form: WebhookForm, view: WebhookView | None) -> list[Problem]:
    """Turning SSL verification off has to be confirmed, once."""
    was_on = view is None or view.settings["verify_ssl"]
    if form.verify_ssl or not was_on or "accept_ssl" in request.form:
        return []
    return [Problem("verify_ssl", "Confirm that SSL verification is to be disabled, or keep it enabled.")]


def _refuse(problems: Sequence[Problem], rest: Any) -> None:
    """Raise what can't be read together with what breaks a rule, so that one look shows all."""
    if not problems:
        return
    found = list(problems)
    try:
        rest()
    except Invalid as error:
        named = {problem.field for problem in problems}
        found += [problem for problem in error.problems if problem.field not in named]
    raise Invalid(found)


# --- changes that need no saving


@bp.post("/webhooks/form")
@needs(Permission.WEBHOOKS)
def reshape() -> str:
    """The form after a press of one of its small buttons; nothing is saved."""
    webhook = request.form.get("webhook")
    view = webhooks.find(actor(), webhook) if webhook else None
    form = forms.read(request.form, forms.shown(view.settings).stored if view else frozenset())
    asked = request.form.get("do", "")
    said = ""
    if asked == "inbox":
        known = inboxes.list_all(actor()) or [inboxes.create(actor(), "Test inbox")]
        form = replace(form, url=known[0].url)
    elif asked == "preset":
        form, said = _refilled(form, request.form.get("was", DEFAULT_PRESET))
    elif asked.startswith("undo."):
        form, _ = _refilled(replace(form, preset=asked.removeprefix("undo.")), form.preset)
    elif asked.startswith("theirs.") and view is not None:
        form = form_clash.taken(form, forms.shown(view.settings), asked.removeprefix("theirs."))
    else:
        form = form_changes.changed(form, asked)
    return _page(form, view, said=said, was=request.form.get("was", ""))


def _refilled(form: WebhookForm, was: str) -> tuple[WebhookForm, str]:
    """Fill in what the new preset sets, and say what that is."""
    before, after = drafts.preset_named(was), drafts.preset_named(form.preset)
    filled = form_changes.refilled(
        form, drafts.defaults_of(before), drafts.defaults_of(after), asks_units="business_units" in after.require
    )
    if "content_type" in after.require and form.content_type == drafts.defaults_of(before)["content_type"]:
        filled = replace(filled, content_type="")
    return filled, f"{after.title} set: {after.summary}"


def _fresh(preset: str) -> WebhookForm:
    """A new webhook as a preset has it."""
    chosen = drafts.preset_named(preset if preset in installed().presets else DEFAULT_PRESET)
    form = forms.shown(drafts.defaults_of(chosen), asks_units="business_units" in chosen.require)
    if "content_type" in chosen.require:
        form = replace(form, content_type="")
    return form


# --- preview and URL


@bp.post("/webhooks/preview")
@needs(Permission.WEBHOOKS)
def show_preview() -> str:
    """What would be sent with the form as it stands."""
    webhook = request.form.get("webhook")
    view = webhooks.find(actor(), webhook) if webhook else None
    form = forms.read(request.form, forms.shown(view.settings).stored if view else frozenset())
    if not is_fragment():
        return _page(form, view)
    return render_template("webhooks/_preview.html", form=form, **_preview(form, view))


def _preview(form: WebhookForm, view: WebhookView | None, offered: Choices | None = None) -> dict[str, Any]:
    """The request for the chosen sample, or what keeps it from being made."""
    wire, _ = forms.given(form)
    wire["events"] = wire["events"] or ALWAYS
    types = (offered or choices.choices(actor())).types
    wanted = {*form.events, *form.patterns} if form.which_events == "pick" else set(ALWAYS)
    selected = (name for name in types if wanted.intersection(patterns_for(name)))
    first = next(selected, next(iter(types), ""))
    sample, event = request.values.get("sample", first), request.values.get("sample_event", "").strip()
    facts: dict[str, Any] = {
        "built": None,
        "obstacles": [],
        "sample": sample,
        "samples": [(name, f"sample {name}") for name in types] + OTHER_SAMPLES,
        "sample_event": event,
        "aspect": request.values.get("show") or request.values.get("aspect", "body"),
        "aspects": VIEWS,
        "not_sent": None,
        "marks": _marks(form),
    }
    chosen: dict[str, str] = {"event_type": sample} if sample in types else {}
    if sample == "event" and event:
        chosen = {"event": event}
    if sample == "last" and not chosen:
        newest = preview.newest_event(actor(), wire["events"])
        if newest is None:
            facts["obstacles"] = ["No event of the selected types has come yet. Choose another sample."]
            return facts
        chosen = {"event": newest}
    try:
        facts["built"] = _built(wire, view, chosen)
    except Invalid as error:
        in_the_way = [each for each in error.problems if form_problems.top_of(each) not in FILLED_IN]
        facts["obstacles"] = list(dict.fromkeys(problem.message for problem in form_problems.in_order(in_the_way)))
    except NotFound:
        facts["obstacles"] = ["There is no event with this id, or you may not see it."]
    built = facts["built"]
    facts["not_sent"] = words.lowered(words.reason(built.not_sent)) if built and built.not_sent else None
    return facts


def _built(wire: forms.Given, view: WebhookView | None, chosen: dict[str, str]) -> preview.Preview:
    """Build it; what doesn't change the payload and can't be used yet is filled in."""
    webhook = view.id if view else None
    try:
        return preview.preview(actor(), wire, webhook=webhook, **chosen)
    except Invalid as error:
        top = {form_problems.top_of(problem) for problem in error.problems}
        if not top <= FILLED_IN.keys() | {"business_units", "content_type"}:
            raise
        patched = {**wire, **{name: FILLED_IN[name] for name in top if name in FILLED_IN}}
        if "business_units" in top or "content_type" in top:
            patched = {**patched, **_demanded(wire)}
        return preview.preview(actor(), patched, webhook=webhook, **chosen)


def _demanded(wire: forms.Given) -> forms.Given:
    """Something for what the preset demands and nobody has chosen yet."""
    units = [unit for unit, _ in choices.choices(actor()).units[:1]]
    return {
        "business_units": wire["business_units"] or units,
        "content_type": wire.get("content_type", "application/json"),
    }


def _marks(form: WebhookForm) -> dict[str, str]:
    """Where each mapped field went, by path in the body, for the marks beside the preview."""
    envelope = drafts.preset_named(form.preset).envelope if form.preset in installed().presets else None
    top, lifted = place_of_selection(envelope)
    notes = {f"{top}{row.target}": f"← {row.field}" for row in form.mapping if row.target and not row.leave_out}
    if form.extra_fields:
        notes[lifted] = "extra fields"
    return notes


def place_of_selection(envelope: Template | None) -> tuple[str, str]:
    """Return the path of the selection in a body, with a dot after it unless it is the body, and that of companies."""
    if envelope is None:
        return "", COMPANIES
    body = orjson.loads(envelope.fill(_PROBE, b'{"%s":[],"":0}' % COMPANIES.encode(), 0))
    found = dict(_members(body, ""))
    top = next((path for path, value in found.items() if isinstance(value, dict) and "" in value), "")
    companies = next((path for path in found if path.rpartition(".")[2] == COMPANIES), COMPANIES)
    return f"{top}." if top else "", companies


_PROBE = EventFacts(
    id="", type="", created_at=0, occurred_at=0, data=b"{}", organization_id="", webhook_id="", delivery_id=""
)


def _members(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Every member of an object at any depth, by dotted path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{at}.{name}" if at else name
            yield path, inner
            yield from _members(inner, path)


def _paths(form: WebhookForm, offered: Choices) -> list[str]:
    """The fields that the examples of the selected types have, to choose from in the mapping."""
    types = offered.types
    chosen = [types[name] for name in form.events if name in types] if form.which_events == "pick" else types.values()
    paths = {path: None for each in chosen for path, _ in _members(orjson.loads(each.example), "")}
    return list(paths)[:PATHS_SHOWN]


@bp.post("/webhooks/check-url")
@needs(Permission.WEBHOOKS)
def check_url() -> str:
    """What can be said of the URL without sending anything."""
    form = forms.read(request.form)
    checked: Checked | None = None
    if form.url:
        try:
            checked = url_check.check(actor(), form.url, form.preset, verify_ssl=form.verify_ssl)
        except Unavailable as error:
            checked = Checked(Level.WARNING, error.message)
    return render_template("webhooks/_url.html", checked=checked)


@bp.post("/webhooks/check-filter")
@needs(Permission.WEBHOOKS)
def check_filter() -> str:
    """How many of the last events the filter lets pass."""
    form = forms.read(request.form)
    return render_template("webhooks/_filter.html", form=form, matched=_matched(form))


def _matched(form: WebhookForm) -> Matched | str | None:
    """What the filter came to; a text says what is wrong with it. None: there is no filter."""
    if not form.filter:
        return None
    patterns = forms.given(form)[0]["events"] or ALWAYS
    try:
        return filter_test.matches(actor(), form.filter, patterns)
    except Invalid as error:
        return error.message


@bp.post("/webhooks/check-delivery")
@needs(Permission.WEBHOOKS)
def check_delivery() -> str:
    """What the delivery settings come to, in words."""
    return render_template(
        "webhooks/_delivery.html", delivery_summary=form_summaries.delivery_summary(forms.read(request.form))
    )


# --- the page


def _clash(form: WebhookForm, view: WebhookView | None, *, is_new: bool) -> list[Difference] | None:
    """What differs from what is saved, once somebody else had saved; None: nobody had."""
    if view is None or not (is_new or "clash" in request.form):
        return None
    return form_clash.differences(form, forms.shown(view.settings))


def _page(
    form: WebhookForm,
    view: WebhookView | None,
    problems: Sequence[Problem] = (),
    *,
    conflict: str = "",
    said: str = "",
    was: str = "",
) -> str:
    problems = form_problems.in_order(problems)
    preset = installed().presets.get(form.preset) or installed().presets[DEFAULT_PRESET]
    offered = choices.choices(actor())
    facts: dict[str, Any] = {
        "form": form,
        "view": view,
        "problems": problems,
        "errors": form_problems.by_field(problems),
        "summary": [(problem.field, problem.message) for problem in problems],
        "accepted": "accept_ssl" in request.form,
        "conflict": conflict,
        "clash": _clash(form, view, is_new=bool(conflict)),
        "said": said,
        "was": was,
        "preset": preset,
        "presets": list(installed().presets.values()),
        "schemes": [("none", "None"), *((scheme.name, scheme.title) for scheme in installed().schemes.values())],
        "choices": offered,
        "paths": _paths(form, offered),
        "delivery_summary": form_summaries.delivery_summary(form),
        "advanced_summary": form_summaries.advanced_summary(form),
        "matched": _matched(form),
        **_preview(form, view, offered),
    }
    if is_fragment():
        return render_template("webhooks/_editor.html", **facts)
    if view is None:
        return render_template("webhooks/new.html", **facts)
    rows = log_page(actor(), LogQuery(webhook=(view.id,), limit=NEWEST)).rows
    return render_template("webhooks/edit.html", line=line_of(view, view.waiting, 0), rows=rows, words=words, **facts)
