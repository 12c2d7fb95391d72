"""One company: its name and fields; adding and deleting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import Conflict, Invalid, Problem
from app.services import business_units, companies
from app.web import needs
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from app.services.companies import CompanyView

bp = Blueprint("companies", __name__)

Pairs = list[tuple[str, str]]
SPARE = 2  # empty rows at the end of the form


@bp.get("/companies/<external_id>")
@needs(Permission.DIRECTORY)
def show(external_id: str) -> str:
    """One company, to be looked at and changed."""
    company = _found(external_id)
    return _form(company.business_unit, {"name": company.name}, _pairs(company), company=company)


@bp.post("/companies/<external_id>")
@needs(Permission.DIRECTORY)
def save(external_id: str) -> Response | str | tuple[str, int]:
    """Change the name and the fields."""
    company = _found(external_id)
    given, pairs = {"name": request.form.get("name", "")}, _given_pairs()
    if "more" in request.form:
        return _form(company.business_unit, given, pairs, company=company, spare=SPARE + 3)
    try:
        fields = _fields(pairs, company.fields)
        companies.put(actor(), company.business_unit, external_id, given["name"], fields)
    except Invalid as error:
        return _form(company.business_unit, given, pairs, _by_field(error), company=company), 422
    flash("Saved. Applies to the next attempt.")
    return redirect(url_for("companies.show", external_id=external_id), 303)


@bp.get("/units/<unit>/companies/new")
@needs(Permission.DIRECTORY)
def new(unit: str) -> str:
    """The form of a new company."""
    return _form(unit, {}, [])


@bp.post("/units/<unit>/companies/new")
@needs(Permission.DIRECTORY)
def create(unit: str) -> Response | str | tuple[str, int]:
    """Add a company."""
    given = {name: request.form.get(name, "").strip() for name in ("name", "external_id")}
    pairs = _given_pairs()
    if "more" in request.form:
        return _form(unit, given, pairs, spare=SPARE + 3)
    try:
        if companies.is_known(actor(), given["external_id"]):
            words = "There is a company with this external id already."
            return _form(unit, given, pairs, {"external_id": words}), 409
        companies.put(actor(), unit, given["external_id"], given["name"], _fields(pairs, {}))
    except Invalid as error:
        return _form(unit, given, pairs, _by_field(error)), 422
    except Conflict as error:
        return _form(unit, given, pairs, {"external_id": error.message}), 409
    flash(f"{given['name']} was added.")
    return redirect(url_for("business_units.show", unit=unit), 303)


@bp.get("/companies/<external_id>/delete")
@needs(Permission.DIRECTORY)
def ask_delete(external_id: str) -> str:
    """Say what goes."""
    company = _found(external_id)
    return render_template(
        "companies/delete.html",
        section="units",
        company=company,
        reporters=_reporters(company),
        action=url_for("companies.delete", external_id=external_id),
        back=url_for("companies.show", external_id=external_id),
    )


@bp.post("/companies/<external_id>/delete")
@needs(Permission.DIRECTORY)
def delete(external_id: str) -> Response:
    """Delete the company."""
    company = _found(external_id)
    companies.delete(actor(), company.business_unit, external_id)
    flash(f"{company.name} was deleted.")
    return redirect(url_for("business_units.show", unit=company.business_unit), 303)


def _found(external_id: str) -> CompanyView:
    return companies.find(actor(), companies.unit_of(actor(), external_id), external_id)


def _reporters(company: CompanyView) -> list[str]:
    """The webhooks that report any of the company's fields."""
    found = companies.reporters(actor(), company.business_unit)
    return sorted({name for field in company.fields for name in found.get(field, ())})


# --- fields as rows of text


def _pairs(company: CompanyView) -> Pairs:
    return [(name, _text(value)) for name, value in company.fields.items()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _given_pairs() -> Pairs:
    names, values = request.form.getlist("field"), request.form.getlist("value")
    return [(name.strip(), value.strip()) for name, value in zip(names, values, strict=False) if name.strip()]


def _fields(pairs: Pairs, before: dict[str, Any]) -> dict[str, Any]:
    """Return what the rows say. A number (or true, false, null) stays one while it is written as one."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Invalid([Problem("fields", f"Two rows are named {twice}. Keep one.")])
    return {name: _value(text, before.get(name, "")) for name, text in pairs}


def _value(text: str, before: Any) -> Any:
    if text == _text(before):
        return before
    if isinstance(before, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _by_field(error: Invalid) -> dict[str, str]:
    return {problem.field: problem.message for problem in error.problems}


def _form(
    unit: str,
    given: dict[str, str],
    pairs: Pairs,
    errors: dict[str, str] | None = None,
    *,
    company: CompanyView | None = None,
    spare: int = SPARE,
) -> str:
    return render_template(
        "companies/form.html",
        section="units",
        unit=business_units.find(actor(), unit),
        given=given,
        pairs=[*pairs, *[("", "")] * spare],
        errors=errors or {},
        company=company,
        changed_by=companies.changed_by(actor(), company.external_id) if company else None,
        reporters=companies.reporters(actor(), unit),
    )
