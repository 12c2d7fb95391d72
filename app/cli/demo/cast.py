"""Who and what is in demo data: people, business units, companies, kinds of events, webhooks and their receivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.cli.demo import answers
from app.cli.demo.answers import Answer, Receiver
from app.cli.demo.history import DAY_MS, HOUR_MS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

PACKS = ("contracts", "jobs", "vomo", "integrations", "reporting")

PEOPLE = (
    ("Maria Silva", "Admin", ()),
    ("João Reis", "Admin", ()),
    ("Dan Whitby", "Developer", ("north",)),
    ("Priya Nair", "Support", ("north", "south", "provider")),
    ("Anke Thiel", "Member", ("provider",)),
)
UNITS = (("north", "North"), ("south", "South"), ("provider", "Provider BU"))
COMPANIES = (
    ("north", "tyne-valley", "Tyne Valley Roofing", {"region": "north-east", "vat_number": "GB824115", "crews": 6}),
    ("north", "caledonia", "Caledonia Renewables", {"region": "scotland", "vat_number": "GB771020", "crews": 14}),
    ("south", "brightwell", "Brightwell Services Ltd", {"region": "london", "vat_number": "GB310442", "crews": 9}),
    ("provider", "nordlicht", "Nordlicht GmbH", {"region": "north", "vat_number": "DE811907", "cost_center": "4410"}),
    ("provider", "suedwind", "Südwind AG", {"region": "south", "vat_number": "CHE-114.9", "cost_center": "4420"}),
    ("provider", "ponte-nova", "Ponte Nova Lda", {"region": "porto", "vat_number": "PT509221"}),
)

_SOMEWHERE = ("north", "south")
KINDS = {
    "job.created": Kind(14, _SOMEWHERE),
    "job.updated": Kind(26, _SOMEWHERE),
    "job.assigned": Kind(10, _SOMEWHERE),
    "job.status_changed": Kind(22, _SOMEWHERE),
    "job.image_created": Kind(12, _SOMEWHERE),
    "job.document_created": Kind(4, _SOMEWHERE),
    "estimate.created": Kind(8, _SOMEWHERE),
    "estimate.updated": Kind(10, _SOMEWHERE),
    "signed_document.signed": Kind(3, _SOMEWHERE),
    "signable_document.signed": Kind(2, _SOMEWHERE),
    "contractCreated": Kind(6),
    "contractSigned": Kind(4),
    "contractReminder": Kind(5),
    "project.created": Kind(4),
    "project.updated": Kind(7),
    "user.created": Kind(8),
    "user.updated": Kind(6),
    "integration_new_data_model": Kind(7),
    "integration_updated_data_model": Kind(12),
    "integration_import_done": Kind(3),
    "integration_cannot_refresh_oauth_token": Kind(1),
    "transaction.create": Kind(7, ("provider",)),
    "transaction.update": Kind(9, ("provider",)),
    "transaction.send": Kind(6, ("provider",)),
    "transaction.review": Kind(4, ("provider",)),
    "transaction.expired": Kind(2, ("provider",)),
}
NEVER_LIVE = frozenset({"signed_document.signed", "signable_document.signed", "transaction.expired"})
"""Types that a webhook gets whose receiver exists nowhere, and which is to stay healthy: nobody publishes them live."""


@dataclass(frozen=True, slots=True)
class Part:
    """A webhook of the demo: its settings, what its receiver is like, and what was done to it when."""

    settings: dict[str, Any]
    receiver: Callable[[int], Receiver] = field(default=lambda _: Receiver())
    """Given the present moment."""
    inbox: str | None = None
    """The name of the test inbox it sends to; None: its URL says where, and nobody is there."""
    days_old: int = 60
    is_on: bool = True
    off_days: float | None = None
    """So many days ago somebody turned it off."""
    paused_hours: float | None = None
    owner: str = "Maria Silva"
    usual_answers: tuple[str, ...] = ("200",)
    """What its inbox answers while events are published live."""


def _inbox(
    usual_ms: float, *slips: tuple[float, Answer], troubles: tuple[tuple[float, float, Answer], ...] = ()
) -> Any:
    """The habits of a test inbox; troubles are told in days ago."""
    return lambda now: Receiver(answers.FINE, usual_ms, slips, _ago(now, troubles), is_inbox=True)


def _elsewhere(
    usual_ms: float,
    *slips: tuple[float, Answer],
    troubles: tuple[tuple[float, float, Answer], ...] = (),
    fine: bytes = b'{"ok":true}',
) -> Any:
    return lambda now: Receiver(Answer(200, fine), usual_ms, slips, _ago(now, troubles))


def _ago(now: int, troubles: tuple[tuple[float, float, Answer], ...]) -> tuple[tuple[int, int, Answer], ...]:
    return tuple((now - round(begin * DAY_MS), now - round(end * DAY_MS), answer) for begin, end, answer in troubles)


_HOUR = HOUR_MS / DAY_MS
_BASIC = {"type": "basic", "username": "acme", "password": "seven brown horses"}
_MAPPING = [
    {"field": "customer.name", "property": "client"},
    {"field": "reference", "property": "order_number"},
    {"field": "customer.email", "property": None},
]

PARTS = (
    Part(
        {
            "name": "Contract archive",
            "preset": "contracts",
            "events": ["contractCreated", "contractSigned", "contractReminder"],
        },
        _inbox(14, (0.01, answers.BROKEN)),
        inbox="Contract archive",
    ),
    Part(
        {
            "name": "Salesforce jobs",
            "preset": "jobs",
            "url": "https://crm.acme.example/webhooks/jobs",
            "events": ["job.*", "estimate.*"],
            "auth": _BASIC,
        },
        _elsewhere(
            140,
            (0.02, answers.BUSY),
            (0.004, answers.RESET),
            troubles=((12.2, 12.1, answers.UNTRUSTED), (4.4 * _HOUR, -1, answers.STOCK_TAKING)),
            fine=b'{"accepted":true}',
        ),
        days_old=210,
    ),
    Part(
        {
            "name": "Volunteer map",
            "preset": "vomo",
            "events": ["project.*", "user.*"],
        },
        _inbox(18, (0.02, answers.BROKEN), (0.006, answers.SILENT)),
        inbox="Volunteer map",
        usual_answers=("200", "200", "200", "500", "200"),
    ),
    Part(
        {
            "name": "Customer data sync",
            "preset": "integrations",
            "events": [
                "integration_new_data_model",
                "integration_updated_data_model",
                "integration_deleted_data_model",
                "integration_import_done",
                "integration_cannot_refresh_oauth_token",
            ],
            "rate_limit": 10,
        },
        _inbox(26, (0.03, answers.THROTTLED), troubles=((6.3, 6.25, answers.BROKEN),)),
        inbox="Customer data sync",
        usual_answers=("200", "200", "200", "200", "429", "200"),
    ),
    Part(
        {
            "name": "Provider reports",
            "preset": "reporting",
            "events": ["transaction.create", "transaction.update", "transaction.send", "transaction.review"],
            "business_units": ["provider"],
            "content_type": "application/json",
            "extra_fields": ["region", "vat_number", "cost_center"],
            "field_mapping": _MAPPING,
            "auth": {**_BASIC, "username": ""},
        },
        _inbox(22),
        inbox="Provider reports",
        owner="João Reis",
    ),
    Part(
        {"name": "Data warehouse", "preset": "standard", "events": ["*"], "max_in_flight": 8},
        _inbox(9, troubles=((17.5, 17.45, answers.REFUSED),)),
        inbox="Data warehouse",
        days_old=300,
    ),
    Part(
        {"name": "Order stream", "preset": "stripe", "events": ["estimate.*", "transaction.*"]},
        _inbox(31, (0.01, answers.BUSY)),
        inbox="Order stream",
    ),
    Part(
        {"name": "Build trigger", "preset": "github", "events": ["project.*"], "data_mode": "status_only"},
        _inbox(12),
        inbox="Build trigger",
        owner="Dan Whitby",
    ),
    Part(
        {
            "name": "Large jobs",
            "preset": "cloudevents",
            "events": ["job.created", "job.status_changed"],
            "filter": "data.estimated_value > `8000`",
        },
        _inbox(16),
        inbox="Large jobs",
        days_old=21,
    ),
    Part(
        {"name": "North branch board", "preset": "standard", "events": ["job.assigned", "job.status_changed"]},
        _inbox(11, (0.004, answers.SILENT)),
        inbox="North branch board",
        owner="Dan Whitby",
        usual_answers=("200", "200", "200", "200", "200", "200", "after 20 s", "200"),
    ),
    Part(
        {
            "name": "Field app",
            "preset": "jobs",
            "url": "https://api.field.example/v2/hooks/acme",
            "events": ["job.assigned", "job.image_created"],
        },
        _elsewhere(95, (0.006, answers.RESET)),
        paused_hours=2.6,
        owner="Dan Whitby",
    ),
    Part(
        {
            "name": "Legacy ERP",
            "preset": "standard",
            "url": "https://erp.internal.acme.example:8443/soap-bridge/receive",
            "events": ["signed_document.signed", "signable_document.signed"],
            "verify_ssl": False,
            "headers": {"X-Tenant": "acme-gb"},
            "content_type": "application/x-www-form-urlencoded",
        },
        _elsewhere(4_600, (0.05, answers.SILENT), fine=b"<ack/>"),
        days_old=340,
    ),
    Part(
        {
            "name": "Nightly reconciliation of expired provider transactions for the finance department in Porto",
            "preset": "reporting",
            "url": "https://integrations.finance-operations.northern-europe.acme.example/api/v3/tenants/4b1f7c0e/"
            "reconciliation/provider-transactions/expired?environment=production&format=extended",
            "events": ["transaction.expired"],
            "business_units": ["provider"],
            "content_type": "application/x-www-form-urlencoded",
        },
        _elsewhere(310),
        owner="João Reis",
    ),
    Part(
        {
            "name": "Old archive",
            "preset": "contracts",
            "url": "https://old-archive.acme.example/in",
            "events": ["contractSigned"],
        },
        _elsewhere(60, troubles=((4.3, -1, answers.READ_ONLY),)),
        days_old=400,
    ),
    Part(
        {
            "name": "Trade fair board",
            "preset": "standard",
            "url": "https://board.fair.example/live",
            "events": ["project.created", "project.public.created"],
        },
        _elsewhere(75, troubles=((9.2, -1, answers.GONE),)),
        days_old=33,
    ),
    Part(
        {
            "name": "Staging copy",
            "preset": "standard",
            "url": "https://staging.acme.example/postroom",
            "events": ["contractCreated", "user.created"],
        },
        _elsewhere(120, (0.08, answers.UNAUTHORIZED)),
        off_days=6.4,
        owner="Dan Whitby",
    ),
    Part(
        {
            "name": "Partner feed",
            "preset": "cloudevents",
            "url": "https://partners.example/hooks/7d20",
            "events": ["estimate.updated"],
        },
        days_old=0,
        is_on=False,
    ),
)
