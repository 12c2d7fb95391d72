"""Business units and companies."""

from __future__ import annotations

from app.api.serialize.values import Shape
from app.core.envelope import moment
from app.services.business_units import Unit
from app.services.companies import CompanyView


def unit(found: Unit) -> Shape:
    """A business unit."""
    return {"external_id": found.external_id, "name": found.name, "created_at": moment(found.created_at)}


def company(found: CompanyView) -> Shape:
    """A company of a business unit."""
    return {
        "external_id": found.external_id,
        "business_unit": found.business_unit,
        "name": found.name,
        "fields": found.fields,
        "created_at": moment(found.created_at),
        "updated_at": moment(found.updated_at),
    }
