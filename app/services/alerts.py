"""Whom an organization tells of its webhooks' trouble, beside their owners: addresses, and its own webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.core.access import Permission
from app.core.passwords import email_problem
from app.database import read, write
from app.errors import Invalid, Problem
from app.models import Organization, User
from app.services import audit, event_types, mails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.services.scope import Actor

PACK = "postroom"
MOST_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told: these addresses by mail, and with `events` every webhook that selects the alerts' event types."""

    addresses: tuple[str, ...]
    events: bool


def find(actor: Actor) -> Alerts:
    """Return what is set."""
    actor.require(Permission.SETTINGS)
    with read() as session:
        row = session.get_one(Organization, actor.organization_id)
        return Alerts(tuple(row.alert_addresses), row.alert_events)


def save(actor: Actor, addresses: Sequence[str], *, as_events: bool) -> Alerts:
    """Set who is told. Switched on, the alerts' event types are installed. Raises `Invalid` for `addresses`."""
    actor.require(Permission.SETTINGS)
    unique = list({address.lower(): address for address in addresses}.values())
    if problems := _problems(unique):
        raise Invalid(problems)
    if as_events and not event_types.pack_state(actor, PACK).is_current:
        event_types.install(actor, PACK)
    with write() as session:
        row = session.get_one(Organization, actor.organization_id)
        before, after = Alerts(tuple(row.alert_addresses), row.alert_events), Alerts(tuple(unique), as_events)
        row.alert_addresses, row.alert_events = unique, as_events
        if before != after:
            changes = {
                "alert_addresses": (list(before.addresses), unique),
                "alert_events": (before.events, as_events),
            }
            changed = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
            audit.record(session, actor, "organization.alerts_changed", row, changed)
    return after


def _problems(addresses: Sequence[str]) -> list[Problem]:
    if len(addresses) > MOST_ADDRESSES:
        return [Problem("addresses", f"At most {MOST_ADDRESSES} addresses. A mailing list counts as one.")]
    found = next((address for address in addresses if email_problem(address)), None)
    return [] if found is None else [Problem("addresses", f"{found} isn't an e-mail address.")]


def send_test(actor: Actor) -> list[str]:
    """Send a test mail to the alert addresses and to the asker; return to whom.

    Raises `Unavailable` in the mail server's words, `Conflict` when mail isn't set up, `Throttled`.
    """
    actor.require(Permission.SETTINGS)
    addresses = list(find(actor).addresses)
    with read() as session:
        asker = session.scalar(select(User.email).where(User.public_id == actor.public_id))
    if asker and asker.lower() not in {address.lower() for address in addresses}:
        addresses.append(asker)
    mails.send_test(addresses, f"organization {actor.organization_id}")
    return addresses
