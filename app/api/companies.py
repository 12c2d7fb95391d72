"""Companies of business units, whose fields webhooks can report."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of, place_of
from app.api.schemas import directory as schemas
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import companies, company_import

calls = Calls("companies", "Companies")
READ, WRITE = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE
IMPORT = "/business-units/<unit>/companies/import"
ALL, ONE = "/business-units/<unit>/companies", "/business-units/<unit>/companies/<company>"


@calls.call("GET", ALL, READ, name="listCompanies", answers={200: schemas.Companies})
def index(path: schemas.ByUnit, query: Listed) -> Response:
    """List a unit's companies in the order they were added."""
    place = place_of(query.cursor)
    found = companies.page(actor(), path.unit, limit=query.limit, after=place[1] if place else None)
    return bodies.answer(page_of(found, query, serialize.company, lambda company: (0, company.row_id)))


@calls.call("GET", ONE, READ, name="getCompany", answers={200: schemas.Company})
def show(path: schemas.ByCompany) -> Response:
    """Return one company."""
    return bodies.answer(serialize.company(companies.find(actor(), path.unit, path.company)))


@calls.call("PUT", ONE, WRITE, name="putCompany", answers={200: schemas.Company, 201: schemas.Company}, clashes=True)
def put(path: schemas.ByCompany, body: schemas.CompanyPut) -> Response:
    """Add a company (201), or replace what is known of it (200)."""
    company, is_new = companies.put(actor(), path.unit, path.company, body.name, body.fields)
    return bodies.answer(serialize.company(company), 201 if is_new else 200)


@calls.call("DELETE", ONE, WRITE, name="deleteCompany", answers={204: None})
def delete(path: schemas.ByCompany) -> tuple[str, int]:
    """Delete a company."""
    companies.delete(actor(), path.unit, path.company)
    return "", 204


@calls.call("POST", IMPORT, WRITE, name="importCompanies", answers={200: schemas.Imported})
def read_file(path: schemas.ByUnit, body: schemas.CompaniesFile) -> Response:
    """Add and change companies by a CSV file, all rows that can be; with `dry_run` say what it would do."""
    read = company_import.preview if body.dry_run else company_import.apply
    return bodies.answer(serialize.company_import(read(actor(), path.unit, body.csv.encode("utf-8", "replace"))))
