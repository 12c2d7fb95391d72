"""What the engine and the wire tell each other. Plain data: it passes from one process to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from app.core.outcome import Result
    from app.core.presets import Preset
    from app.core.retry import RetryPolicy
    from app.core.schemes import Scheme
    from app.core.shaping import Company, Shape
    from app.core.states import DeliveryKind
    from app.core.urls import Url
    from app.delivery.transfer import Egress


OrderKey = tuple[int, int]
"""A claim's delivery and lease: after a lapsed lease the same delivery may be claimed again."""


class Claim(NamedTuple):
    """A delivery that is ours until `until`: attempt `number` of it may be made."""

    id: int
    public_id: str
    event_id: int
    webhook_id: int
    number: int
    tries: int  # this one included, interruptions not
    attempts_allowed: int
    kind: DeliveryKind
    by_hand: bool
    url: str
    due_at: int
    event_type: str
    created_at: int
    lease: int
    until: int

    @property
    def key(self) -> OrderKey:
        """What it is called on the wire."""
        return self.id, self.lease


class Loaded(NamedTuple):
    """An event as it is delivered."""

    id: int
    public_id: str
    type: str
    data: bytes
    context: bytes | None
    status: str | None
    resource_type: str | None
    resource_id: str | None
    business_unit_id: int | None
    occurred_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an event's facts need from the directory."""

    business_unit: str | None = None
    companies: tuple[Company, ...] = ()


class Sent(NamedTuple):
    """The body of an earlier attempt, and when that attempt began."""

    started_at: int
    body: bytes


class Order(NamedTuple):
    """A claimed delivery with its event and, on a retry, the body that was sent before."""

    claim: Claim
    event: Loaded
    around: Surroundings
    sent: Sent | None


@dataclass(frozen=True, slots=True)
class Key:
    """A signing secret and when it stops being used (None: not yet known)."""

    secret: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """A webhook's settings with its preset's, in the form that building and judging want them."""

    webhook_id: int
    public_id: str
    organization_id: int
    organization: str
    version: int
    edited_at: int
    is_on: bool
    is_paused: bool
    url: Url | None
    url_text: str
    blocked: str | None  # why nothing may be sent to this URL
    own_inbox: bool
    preset: Preset
    shape: Shape
    scheme: Scheme | None
    signature_header: str | None
    keys: tuple[Key, ...]
    authorization: tuple[str, str] | None
    headers: tuple[tuple[str, str], ...]
    retry: RetryPolicy
    success_codes: tuple[str, ...]
    rate_limit: float | None
    max_in_flight: int
    ordered: bool
    verify_ssl: bool
    ca: bytes | None
    client_certificate: bytes | None
    secret_headers: frozenset[str]  # lower case: whose values no log may show

    def keys_at(self, now: int) -> list[str]:
        """The secrets to sign with at `now`, newest first."""
        return [key.secret for key in self.keys if key.expires_at is None or key.expires_at > now]


class SentBodyRow(NamedTuple):
    """A body as it is kept: once for all who sent the same."""

    event_id: int
    digest: bytes
    head: bytes
    tail: bytes
    has_data: bool


class Landing(NamedTuple):
    """What became of an order. `request_headers` as the log keeps them, and the body; None: nothing was sent."""

    order: OrderKey
    result: Result
    request_headers: bytes | None
    body: SentBodyRow | None
    allowance: int
    """How much of its webhook may be in hand from now on."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a wire in a process of its own is told first."""

    egress: Egress
    seats: int
    local_names: bool
    preset_files: tuple[tuple[str, bytes], ...]
    log_format: str
    faults: str


class News(NamedTuple):
    """What happened on the wire since it was last asked."""

    landed: list[Landing]
    returned: list[OrderKey]  # what was not begun, and will not be
    pauses: dict[int, float]  # webhooks that have used their rate up, and until when, on the monotonic clock
    waiting: int  # orders that have not begun
