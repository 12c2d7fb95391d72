"""Business units: what parts of the organization events belong to."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import directory as schemas
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import business_units

calls = Calls("business_units", "Business units")
READ, WRITE = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE


@calls.call("GET", "/business-units", READ, name="listBusinessUnits", answers={200: schemas.Units})
def index(query: Listed) -> Response:
    """List business units in the order they were added."""
    units = business_units.list_all(actor())
    return bodies.answer(page_of_all(units, query, serialize.unit, lambda unit: unit.row_id))


@calls.call("GET", "/business-units/<unit>", READ, name="getBusinessUnit", answers={200: schemas.Unit})
def show(path: schemas.ByUnit) -> Response:
    """Return one business unit."""
    return bodies.answer(serialize.unit(business_units.find(actor(), path.unit)))


@calls.call("GET", "/business-units/<unit>/usage", READ, name="getBusinessUnitUsage", answers={200: schemas.UnitUsage})
def usage(path: schemas.ByUnit) -> Response:
    """Return what a business unit has, and which webhooks would go silent without it."""
    return bodies.answer(serialize.unit_usage(business_units.usage(actor(), path.unit)))


@calls.call(
    "PUT",
    "/business-units/<unit>",
    WRITE,
    name="putBusinessUnit",
    answers={200: schemas.Unit, 201: schemas.Unit},
)
def put(path: schemas.ByUnit, body: schemas.UnitPut) -> Response:
    """Add a business unit (201), or rename the one there is (200)."""
    unit, is_new = business_units.put(actor(), path.unit, body.name)
    return bodies.answer(serialize.unit(unit), 201 if is_new else 200)


@calls.call("DELETE", "/business-units/<unit>", WRITE, name="deleteBusinessUnit", answers={204: None}, clashes=True)
def delete(path: schemas.ByUnit) -> tuple[str, int]:
    """Delete a business unit and its companies. Its events stay, for those who see everything."""
    business_units.delete(actor(), path.unit)
    return "", 204
