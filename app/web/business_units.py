"""Business units: the list, one with its companies, adding, renaming, deleting, and companies from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import Conflict, Invalid
from app.services import business_units, companies, company_import
from app.services.company_import import Effect
from app.web import needs
from app.web.viewer import actor

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from app.services.companies import CompanyView

bp = Blueprint("business_units", __name__)

COLUMNS = 6  # fields shown as columns; the rest is behind ▸
PAGE = 100


@bp.get("/units")
@needs(Permission.DIRECTORY)
def index() -> str:
    """The list."""
    return render_template("business_units/index.html", section="units", listed=business_units.overview(actor()))


@bp.get("/units/new")
@needs(Permission.DIRECTORY)
def new() -> str:
    """The form of a new one."""
    return _form({}, {}, None)


@bp.post("/units/new")
@needs(Permission.DIRECTORY)
def create() -> Response | tuple[str, int]:
    """Add a business unit."""
    given = {name: request.form.get(name, "").strip() for name in ("name", "external_id")}
    try:
        if _is_taken(given["external_id"]):
            return _form(given, {"external_id": "There is a business unit with this external id already."}, None), 409
        unit, _ = business_units.put(actor(), given["external_id"], given["name"])
    except Invalid as error:
        return _form(given, {problem.field: problem.message for problem in error.problems}, None), 422
    flash(f"{unit.name} was added.")
    return redirect(url_for("business_units.show", unit=unit.external_id), 303)


def _is_taken(external_id: str) -> bool:
    return any(unit.external_id == external_id for unit in business_units.list_all(actor()))


@bp.get("/units/<unit>")
@needs(Permission.DIRECTORY)
def show(unit: str) -> str:
    """One business unit with its companies, their fields as columns."""
    after = request.args.get("after", type=int)
    found = companies.page(actor(), unit, limit=PAGE, after=after)
    listed, more = found[:PAGE], len(found) > PAGE
    fields = _fields(listed)
    return render_template(
        "business_units/show.html",
        section="units",
        one=business_units.usage(actor(), unit),
        companies=listed,
        columns=fields[:COLUMNS],
        rest=fields[COLUMNS:],
        opened=request.args.getlist("open"),
        older=url_for("business_units.show", unit=unit, after=listed[-1].row_id) if more else "",
        newer=url_for("business_units.show", unit=unit) if after else "",
    )


def _fields(listed: list[CompanyView]) -> list[str]:
    """The names of all fields, those that most companies have first."""
    counts: dict[str, int] = {}
    for company in listed:
        for name in company.fields:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))


@bp.get("/units/<unit>/rename")
@needs(Permission.DIRECTORY)
def ask_name(unit: str) -> str:
    """The form of its name."""
    return _form({"name": business_units.find(actor(), unit).name}, {}, unit)


@bp.post("/units/<unit>/rename")
@needs(Permission.DIRECTORY)
def rename(unit: str) -> Response | tuple[str, int]:
    """Give it another name; the external id stays."""
    business_units.find(actor(), unit)
    given = {"name": request.form.get("name", "")}
    try:
        business_units.put(actor(), unit, given["name"])
    except Invalid as error:
        return _form(given, {problem.field: problem.message for problem in error.problems}, unit), 422
    return redirect(url_for("business_units.show", unit=unit), 303)


@bp.get("/units/<unit>/delete")
@needs(Permission.DIRECTORY)
def ask_delete(unit: str) -> str:
    """Say what would go silent."""
    return _delete_page(unit)


@bp.post("/units/<unit>/delete")
@needs(Permission.DIRECTORY)
def delete(unit: str) -> Response | tuple[str, int]:
    """Delete it with its companies."""
    name = business_units.find(actor(), unit).name
    try:
        business_units.delete(actor(), unit)
    except Conflict:  # a webhook chose it meanwhile: the page names it
        return _delete_page(unit), 409
    flash(f"{name} was deleted.")
    return redirect(url_for("business_units.index"), 303)


def _delete_page(unit: str) -> str:
    back, action = url_for("business_units.show", unit=unit), url_for("business_units.delete", unit=unit)
    one = business_units.usage(actor(), unit)
    return render_template("business_units/delete.html", section="units", one=one, back=back, action=action)


def _form(given: dict[str, str], errors: dict[str, str], unit: str | None) -> str:
    if unit is None:
        back, action = url_for("business_units.index"), url_for("business_units.create")
    else:
        back, action = url_for("business_units.show", unit=unit), url_for("business_units.rename", unit=unit)
    return render_template(
        "business_units/form.html", section="units", given=given, errors=errors, unit=unit, back=back, action=action
    )


# --- companies from a file


@bp.get("/units/<unit>/import")
@needs(Permission.DIRECTORY)
def ask_file(unit: str) -> str:
    """Ask for the file."""
    return _import_page(unit)


@bp.post("/units/<unit>/import")
@needs(Permission.DIRECTORY)
def read_file(unit: str) -> Response | str | tuple[str, int]:
    """Show what the file would do; once that was seen, do it."""
    upload = request.files.get("file")
    file = upload.read() if upload is not None else request.form.get("text", "").encode()
    try:
        if "apply" in request.form:
            done = company_import.apply(actor(), unit, file)
            flash(f"{done.count(Effect.ADDED)} companies added, {done.count(Effect.CHANGED)} changed.")
            return redirect(url_for("business_units.show", unit=unit), 303)
        found = company_import.preview(actor(), unit, file)
    except Invalid as error:
        return _import_page(unit, error=error.problems[0].message), 422
    return _import_page(unit, found=found, text=file.decode("utf-8-sig"))


def _import_page(unit: str, **facts: object) -> str:
    one = business_units.find(actor(), unit)
    return render_template("business_units/import.html", section="units", unit=one, effects=Effect, **facts)
