"""Business units and companies."""

from __future__ import annotations

from app.api.serialize.values import Shape
from app.core.envelope import moment
from app.services.business_units import Listed, Unit
from app.services.companies import CompanyView
from app.services.company_import import Effect, Import


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


def unit_usage(found: Listed) -> Shape:
    """What a business unit has, and who listens to it."""
    return {
        "companies": found.companies,
        "members": found.members,
        "webhooks": list(found.bound),
        "listening": found.listening,
    }


def company_import(found: Import) -> Shape:
    """What a file of companies does."""
    return {
        "columns": list(found.columns),
        **{effect.value: found.count(effect) for effect in Effect},
        "rows": [
            {
                "line": row.line,
                "external_id": row.external_id,
                "name": row.name,
                "effect": row.effect,
                "words": row.words,
            }
            for row in found.rows
        ],
    }
