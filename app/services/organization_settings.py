"""What an organization settles for itself: its name, the preset of new webhooks, and how long its log is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from app.core.access import Permission
from app.database import read, write
from app.delivery.installed import installed
from app.errors import Invalid, Problem
from app.models import Organization
from app.services import audit

if TYPE_CHECKING:
    from app.services.scope import Actor

LONGEST_NAME = 100
DEFAULT_PRESET = "standard"


@dataclass(frozen=True, slots=True)
class OrganizationSettings:
    """The settings; None: as the operator has it, or the preset `standard`."""

    name: str
    default_preset: str | None
    retention_days: int | None
    retention_failed_days: int | None


def find(actor: Actor) -> OrganizationSettings:
    """Return the settings of the actor's organization."""
    actor.require(Permission.SETTINGS)
    with read() as session:
        return _shown(session.get_one(Organization, actor.organization_id))


def change(actor: Actor, wanted: OrganizationSettings) -> None:
    """Make the settings these. Raises `Invalid`; days can only be fewer than the operator's."""
    actor.require(Permission.SETTINGS)
    wanted = replace(wanted, name=wanted.name.strip())
    problems = list(_problems(wanted))
    if problems:
        raise Invalid(problems)
    with write() as session:
        organization = session.get_one(Organization, actor.organization_id, with_for_update=True)
        before, after = asdict(_shown(organization)), asdict(wanted)
        changes = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        for name, (_, value) in changes.items():
            setattr(organization, name, value)
        renamed = {"name": changes.pop("name")} if "name" in changes else {}
        if renamed:
            audit.record(session, actor, "organization.renamed", organization, renamed)
        if changes:
            audit.record(session, actor, "organization.changed", organization, changes)


def new_webhooks_preset(actor: Actor) -> str:
    """Return the preset that the form of a new webhook begins with."""
    actor.require(Permission.WEBHOOKS)
    with read() as session:
        chosen = session.get_one(Organization, actor.organization_id).default_preset
    return chosen if chosen and chosen in installed().presets else DEFAULT_PRESET


def _problems(wanted: OrganizationSettings) -> list[Problem]:
    problems = []
    if not 0 < len(wanted.name) <= LONGEST_NAME or not wanted.name.isprintable():
        problems.append(Problem("name", f"Give the organization a name of 1 to {LONGEST_NAME} characters."))
    if wanted.default_preset is not None and wanted.default_preset not in installed().presets:
        problems.append(Problem("default_preset", f"There is no preset {wanted.default_preset}. Choose another."))
    operators = installed().settings
    for field in ("retention_days", "retention_failed_days"):
        days, most = getattr(wanted, field), getattr(operators, field)
        if days is not None and not 1 <= days <= most:
            problems.append(Problem(field, f"Enter 1 to {most} days: this server keeps nothing longer than {most}."))
    return problems


def _shown(row: Organization) -> OrganizationSettings:
    return OrganizationSettings(row.name, row.default_preset, row.retention_days, row.retention_failed_days)
