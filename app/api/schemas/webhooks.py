"""Webhooks: their settings as they are given and shown, switches, tests, rotation, preview."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from app.api.schemas.people import Change
from app.api.schemas.shapes import Body, Listed, MomentShown, Query, Shown, left_out
from app.core.encoding import ContentType
from app.core.retry import Exhausted
from app.core.shaping import DataMode
from app.core.states import DeliveryState, Reason

_AUTH = {"none": set(), "basic": {"username", "password"}, "bearer": {"token"}, "header": {"name", "value"}}


class Auth(Body):
    """How requests sign in at the receiver. Secrets are shown as ••••; sent back so, they stay as they are."""

    type: Literal["none", "basic", "bearer", "header"]
    username: str | None = left_out(about="basic; may be empty")
    password: str | None = left_out(about="basic")
    token: str | None = left_out(about="bearer")
    name: str | None = left_out(about="header")
    value: str | None = left_out(about="header")

    @model_validator(mode="after")
    def _fits_its_type(self) -> Auth:
        foreign = self.model_fields_set - {"type"} - _AUTH[self.type]
        if foreign:
            raise ValueError(f"{self.type} takes no {', '.join(sorted(foreign))}.")
        return self


class FieldMapping(Body):
    """A field of the selection and the property it is moved to; null leaves it out."""

    field: str
    property: str | None


class Signature(Body):
    """The scheme that requests are signed by (none: unsigned), and its header where the scheme's own isn't wanted."""

    scheme: str | None = left_out()
    header: str | None = left_out()


class Retry(Body):
    """When a delivery is tried again, in seconds: tries are one more than delays."""

    delays: list[float] = left_out()
    timeout: float = left_out()
    jitter: float = left_out(about="0 to 1: the share of a wait that chance may add")
    on_exhausted: str = left_out(*Exhausted)


class Settings(Body):
    """Everything about a webhook that people choose."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    name: str = left_out()
    url: str = left_out()
    preset: str = left_out()
    events: list[str] = left_out(about="Names, or patterns such as estimate.*; * for all.")
    business_units: list[str] = left_out(about="External ids; none: all of them.")
    owner: str | None = left_out(about="An e-mail address. The webhook hears only of what its owner may see.")
    auth: Auth = left_out()
    content_type: str = left_out(*ContentType)
    verify_ssl: bool = left_out()
    data_mode: str = left_out(*DataMode)
    extra_fields: list[str] = left_out()
    field_mapping: list[FieldMapping] = left_out()
    only_mapped_fields: bool = left_out()
    headers: dict[str, str] = left_out()
    filter: str | None = left_out(about="JMESPath over the data; what is neither false nor empty lets the event pass.")
    signature: Signature = left_out()
    retry: Retry = left_out()
    rate_limit: float | None = left_out(about="Requests a second; null: no limit.")
    max_in_flight: int = left_out()
    ordered: bool = left_out()
    success_codes: list[str] = left_out()
    ca: str | None = left_out(about="Certificate authorities to trust instead of the usual ones, as PEM.")
    client_certificate: str | None = left_out(about="Certificate and key, as PEM; shown as ••••.")
    alert_addresses: list[str] = left_out()


class WebhookDraft(Settings):
    """A new webhook. The preset fills in what is left out."""

    name: str
    url: str
    enabled: bool = False


class WebhookPatch(Settings):
    """What is to change; all else stays. `version`: refuse with 409 when somebody else changed it since."""

    enabled: bool = left_out()
    version: int = left_out()


class Webhook(Settings):
    """A webhook, secrets masked, and how it is doing."""

    id: str
    enabled: bool
    paused: bool
    off_reason: Reason | None
    switched_at: MomentShown | None
    created_at: MomentShown
    updated_at: MomentShown
    version: int
    failing_since: MomentShown | None
    last_success_at: MomentShown | None
    last_error: str | None
    next_probe_at: MomentShown | None


class WebhookFound(Webhook):
    """A webhook, and how many deliveries wait for it (counted up to 10,000)."""

    waiting: int


class WebhookCreated(Webhook):
    """A new webhook. `secret` is shown this once; null: its requests aren't signed."""

    secret: str | None
    test_delivery: str | None


class WebhookEdited(Webhook):
    """A changed webhook. `secret` is shown once, when the change made one."""

    secret: str | None
    test_delivery: str | None


class WebhookSwitchedOn(Webhook):
    """A webhook that is on, and the test that went out; null when it was on already."""

    test_delivery: str | None


class WebhookHeld(Webhook):
    """A webhook after a switch, and how many requests to it are still under way."""

    in_flight: int


class WebhookDeleted(Shown):
    """It is gone; requests still under way may arrive."""

    in_flight: int


class WaitingRetried(Shown):
    """How many deliveries waited for their time and are due now."""

    retried: int


class Webhooks(Shown):
    """A page of webhooks, the oldest first."""

    items: list[Webhook]
    next: str | None


class WebhooksListed(Listed):
    """Which webhooks."""

    q: str = Field("", max_length=200, description="Part of the name or the URL.")
    state: Literal["", "attention", "on", "off", "paused"] = ""
    business_unit: str = Field("", max_length=200, description="Those that may send its events.")
    event_type: str = Field("", max_length=200, description="Those that select it.")


class WebhookChange(Shown):
    """A change of a webhook."""

    at: MomentShown
    actor: str
    action: str
    changes: list[Change]


class WebhookChanges(Shown):
    """A page of changes, newest first."""

    items: list[WebhookChange]
    next: str | None


class WhyAsked(Query):
    """What is asked about."""

    event: str = Field(min_length=1, max_length=200, description="An event's id, or an event type.")


class Why(Shown):
    """What became of an event at this webhook, or what would become of one of a type.

    `reason` is the first rule that stops it, `also` are all later ones.
    """

    webhook: str
    event: str | None
    event_type: str
    business_unit: str | None = Field(description="The name of the event's.")
    outcome: DeliveryState | Literal["not_matched", "would_be_sent"]
    delivery: str | None
    reason: Reason | None
    also: list[Reason]


class Preset(Shown):
    """How a family of receivers wants it."""

    name: str
    title: str
    summary: str
    defaults: dict[str, Any] = Field(description="The settings that it fills in.")


class Presets(Shown):
    """A page of presets."""

    items: list[Preset]
    next: str | None


class TurnOff(Body):
    """Whether to cancel what waits; otherwise it is kept until the webhook is turned on."""

    cancel_waiting: bool = False


class Sample(Body):
    """An event type, for its example, or a past event; neither: the preset's test event."""

    event_type: str | None = None
    event: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Sample:
        if self.event_type is not None and self.event is not None:
            raise ValueError("Name an event type or an event, not both.")
        return self


class Test(Sample):
    """What to send, and other data for it; its numbers are sent as they are written."""

    data: dict[str, Any] | None = None


class Rotate(Body):
    """For how many seconds requests carry both signatures: up to seven days."""

    overlap: int = Field(86_400, ge=0, le=604_800)


class Rotated(Shown):
    """The new secret, shown this once."""

    secret: str
    previous_valid_until: MomentShown


class PreviewSettings(Settings):
    """Settings that need not be saved; with `id` they are laid over that webhook's own."""

    id: str | None = None
    enabled: bool = left_out()


def _kind(value: Any) -> str:
    return "~id" if isinstance(value, str) else "~settings"


class Preview(Sample):
    """A webhook, by its id or as settings, and what it would send."""

    webhook: Annotated[Annotated[str, Tag("~id")] | Annotated[PreviewSettings, Tag("~settings")], Discriminator(_kind)]


class PreviewShown(Shown):
    """The request that would be sent, credentials masked. `not_sent`: why it would not, for this event."""

    method: Literal["POST"]
    url: str
    headers: dict[str, str]
    body: str
    curl: str
    not_sent: Reason | None
