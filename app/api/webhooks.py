"""Webhooks: managing, switching, testing, rotating their secret, and previewing what they would send."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.api import bodies, problems, serialize
from app.api.auth import Calls, actor, documented
from app.api.paging import page_of, page_of_all, place_of
from app.api.schemas import deliveries as delivery_schemas
from app.api.schemas import webhooks as schemas
from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Listed
from app.core import raw
from app.core.access import Scope
from app.core.envelope import moment
from app.errors import Changed
from app.services import changes, deliveries, drafts, explain, preview, signing_secrets, tests, webhook_list, webhooks
from app.services.webhook_list import ListQuery
from app.services.webhooks import Switched

calls = Calls("webhooks", "Webhooks")
READ, WRITE = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE


@calls.call("GET", "/webhooks", READ, name="listWebhooks", answers={200: schemas.Webhooks})
def index(query: schemas.WebhooksListed) -> Response:
    """List webhooks, the oldest first."""
    found = webhooks.list_all(actor())
    asked = ListQuery(query.q, query.state, query.business_unit, query.event_type)
    if asked.is_filtered:
        chosen = webhook_list.row_ids(actor(), asked)
        found = [view for view in found if view.row_id in chosen]
    return bodies.answer(page_of_all(found, query, serialize.webhook, lambda view: view.row_id))


@calls.call("POST", "/webhooks", WRITE, name="createWebhook", answers={201: schemas.WebhookCreated})
def create(body: schemas.WebhookDraft) -> Response:
    """Create a webhook. It is off unless `enabled` is given. Its secret is in this answer and in no other."""
    made = webhooks.create(actor(), body.model_dump(exclude_unset=True))
    shape = serialize.webhook(made.webhook, secret=made.secret, test_delivery=made.test_delivery)
    return bodies.answer(shape, 201, location=f"/api/v1/webhooks/{made.webhook.id}")


@calls.call("GET", "/webhooks/<id>", READ, name="getWebhook", answers={200: schemas.WebhookFound})
def show(path: ById) -> Response:
    """Return one webhook, secrets masked."""
    view = webhooks.find(actor(), path.id)
    return bodies.answer(serialize.webhook(view, waiting=view.waiting))


@calls.call("GET", "/webhooks/<id>/changes", READ, name="listWebhookChanges", answers={200: schemas.WebhookChanges})
def show_changes(path: ById, query: Listed) -> Response:
    """List who changed what of a webhook, newest first, of the last 200 changes."""
    before = place_of(query.cursor)
    webhook = webhooks.find(actor(), path.id).id
    found = [each for each in changes.of(actor(), webhook) if before is None or each.row_id < before[1]]
    return bodies.answer(page_of(found, query, serialize.change, lambda change: (0, change.row_id)))


@calls.call("GET", "/webhooks/<id>/why", READ, name="explainAtWebhook", answers={200: schemas.Why})
def why(path: ById, query: schemas.WhyAsked) -> Response:
    """Say what became of an event at a webhook, or what would of an event of a type: sent, or which rules stop it."""
    return bodies.answer(serialize.why(explain.why(actor(), path.id, query.event)))


@calls.call("GET", "/presets", READ, name="listPresets", answers={200: schemas.Presets})
def presets(query: Listed) -> Response:
    """List the presets, with the settings that each fills in."""
    found = drafts.presets(actor())
    numbers = {preset.name: number for number, preset in enumerate(found, 1)}
    return bodies.answer(page_of_all(found, query, serialize.preset, lambda preset: numbers[preset.name]))


@calls.call("PATCH", "/webhooks/<id>", WRITE, name="editWebhook", answers={200: schemas.WebhookEdited}, clashes=True)
def edit(path: ById, body: schemas.WebhookPatch) -> Response:
    """Change the settings that are given. Applies from the next attempt, for waiting deliveries too.

    With `version`, a change that somebody else made since is not written over: 409, whose `current` is theirs.
    """
    given = body.model_dump(exclude_unset=True)
    seen = given.pop("version", None)
    try:
        edited = webhooks.edit(actor(), path.id, given, version=seen)
    except Changed as error:
        current = serialize.webhook(webhooks.find(actor(), path.id))
        return problems.answer_problem(problems.problem_of(error) | {"current": current})
    return bodies.answer(serialize.webhook(edited.webhook, secret=edited.secret, test_delivery=edited.test_delivery))


@calls.call("DELETE", "/webhooks/<id>", WRITE, name="deleteWebhook", answers={200: schemas.WebhookDeleted})
def delete(path: ById) -> Response:
    """Delete a webhook. What waits is canceled; the log stays, its secrets don't."""
    return bodies.answer({"in_flight": webhooks.delete(actor(), path.id)})


@calls.call(
    "POST", "/webhooks/<id>/enable", WRITE, name="enableWebhook", answers={200: schemas.WebhookSwitchedOn}, clashes=True
)
def enable(path: ById) -> Response:
    """Turn a webhook on. Its preset's test event is sent at once."""
    switched = webhooks.turn_on(actor(), path.id)
    return bodies.answer(serialize.webhook(switched.webhook, test_delivery=switched.test_delivery))


@calls.call(
    "POST", "/webhooks/<id>/disable", WRITE, name="disableWebhook", answers={200: schemas.WebhookHeld}, needs_body=False
)
@documented(path=ById, body=schemas.TurnOff)
def disable(id: str) -> Response:  # noqa: A002
    """Turn a webhook off. No request begins after the answer. The body may be left out."""
    asked = bodies.read_optional(schemas.TurnOff)
    return _held(webhooks.turn_off(actor(), id, cancel_waiting=asked.cancel_waiting))


@calls.call("POST", "/webhooks/<id>/pause", WRITE, name="pauseWebhook", answers={200: schemas.WebhookHeld})
def pause(path: ById) -> Response:
    """Hold everything: events queue, nothing is sent until it is resumed."""
    return _held(webhooks.pause(actor(), path.id))


@calls.call("POST", "/webhooks/<id>/resume", WRITE, name="resumeWebhook", answers={200: schemas.WebhookHeld})
def resume(path: ById) -> Response:
    """Send what was held, and go on."""
    return _held(webhooks.resume(actor(), path.id))


@calls.call(
    "POST",
    "/webhooks/<id>/retry",
    WRITE,
    name="retryWebhook",
    answers={202: schemas.WaitingRetried},
    clashes=True,
)
def retry(path: ById) -> Response:
    """Make all that waits for a webhook due now; it goes out within the webhook's limits."""
    return bodies.answer({"retried": webhooks.retry_waiting(actor(), path.id)}, 202)


def _held(switched: Switched) -> Response:
    return bodies.answer(serialize.webhook(switched.webhook, in_flight=switched.in_flight))


@calls.call(
    "POST",
    "/webhooks/<id>/test",
    WRITE,
    name="testWebhook",
    answers={202: delivery_schemas.Delivery},
    clashes=True,
    needs_body=False,
)
@documented(path=ById, body=schemas.Test)
def test(id: str) -> Response:  # noqa: A002
    """Send a test payload, also while the webhook is off. The body may be left out.

    `data` stands in for the data of what is named: so a past event is edited and sent as a test.
    """
    asked = bodies.read_optional(schemas.Test)
    data = raw.cut(request.get_data())["data"] if asked.data is not None else None
    made = tests.send(actor(), id, event_type=asked.event_type, event=asked.event, data=data)
    return bodies.answer(serialize.delivery(deliveries.find(actor(), made).row), 202)


@calls.call(
    "POST",
    "/webhooks/<id>/secret/rotate",
    WRITE,
    name="rotateSecret",
    answers={200: schemas.Rotated},
    clashes=True,
    needs_body=False,
)
@documented(path=ById, body=schemas.Rotate)
def rotate(id: str) -> Response:  # noqa: A002
    """Make a new signing secret; for a while requests carry both signatures. The body may be left out."""
    asked = bodies.read_optional(schemas.Rotate)
    rotated = signing_secrets.rotate(actor(), id, overlap_ms=asked.overlap * 1000)
    return bodies.answer({"secret": rotated.secret, "previous_valid_until": moment(rotated.previous_valid_until)})


@calls.call("POST", "/webhooks/preview", WRITE, name="previewWebhook", answers={200: schemas.PreviewShown})
def show_preview(body: schemas.Preview) -> Response:
    """Return the exact request that a webhook, saved or not, would send. Nothing is sent."""
    webhook, given = _previewed(body)
    shown = preview.preview(actor(), given, webhook=webhook, event_type=body.event_type, event=body.event)
    return bodies.answer(serialize.preview(shown))


def _previewed(body: schemas.Preview) -> tuple[str | None, dict[str, Any]]:
    if isinstance(body.webhook, str):
        return body.webhook, {}
    given = body.webhook.model_dump(exclude_unset=True)
    return given.pop("id", None), given
