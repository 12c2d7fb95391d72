"""Every organization of this server, for its operators. What is in one is reached with a key of its own."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.paging import page_of_all
from app.api.schemas import organizations as schemas
from app.api.schemas.deliveries import ById
from app.api.schemas.shapes import Listed
from app.core.access import Scope
from app.services import all_organizations

calls = Calls("organizations", "Organizations")
OPERATOR = Scope.OPERATOR
ONE = "/organizations/<id>"


@calls.call("GET", "/organizations", OPERATOR, name="listOrganizations", answers={200: schemas.Organizations})
def index(query: Listed) -> Response:
    """List every organization of this server, the oldest first."""
    found = all_organizations.list_all(actor())
    return bodies.answer(page_of_all(found, query, serialize.organization, lambda each: each.row_id))


@calls.call("POST", "/organizations", OPERATOR, name="addOrganization", answers={201: schemas.OrganizationAdded})
def create(body: schemas.OrganizationNew) -> Response:
    """Add an organization with its first admin."""
    made = all_organizations.add(actor(), body.name, body.admin_email, body.admin_name, with_key=body.with_api_key)
    link = all_organizations.invitation_of(actor(), made.to_invite) if made.to_invite else None
    shape = serialize.organization(made.organization)
    return bodies.answer(shape | {"invitation": link, "api_key": made.api_key}, 201)


@calls.call("PATCH", ONE, OPERATOR, name="renameAnyOrganization", answers={200: schemas.OrganizationListed})
def rename(path: ById, body: schemas.OrganizationName) -> Response:
    """Give an organization another name."""
    all_organizations.rename(actor(), path.id, body.name)
    return bodies.answer(serialize.organization(all_organizations.find(actor(), path.id)))
