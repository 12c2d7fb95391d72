"""What deliveries need from the directory: business units and, where a webhook reports them, companies."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select

from app.core.shaping import Company as CompanyFacts
from app.database import read
from app.delivery.orders import Surroundings
from app.models import BusinessUnit, Company

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.delivery.orders import DeliverySettings, Loaded


def surroundings_of(events: Iterable[Loaded], settings: Mapping[int, DeliverySettings]) -> dict[int, Surroundings]:
    """Return, by business unit, what the events' payloads may say about it. Companies only where one asks for them."""
    units = {event.business_unit_id for event in events if event.business_unit_id is not None}
    if not units:
        return {}
    wants_companies = any(kept.shape.extra_fields for kept in settings.values())
    with read() as session:
        query = select(BusinessUnit.id, BusinessUnit.external_id).where(BusinessUnit.id.in_(units))
        names = dict(session.execute(query).all())
        companies = _companies(units) if wants_companies else {}
    return {unit: Surroundings(name, tuple(companies.get(unit, ()))) for unit, name in names.items()}


def _companies(units: Iterable[int]) -> Mapping[int, list[CompanyFacts]]:
    found: defaultdict[int, list[CompanyFacts]] = defaultdict(list)
    with read() as session:
        query = select(Company).where(Company.business_unit_id.in_(list(units))).order_by(Company.external_id)
        for company in session.scalars(query):
            facts = CompanyFacts(company.external_id, company.name, orjson.dumps(company.fields))
            found[company.business_unit_id].append(facts)
    return found
