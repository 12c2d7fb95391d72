"""Members: who belongs to the organization, in which role and business units."""

from __future__ import annotations

from flask import Response

from app.api import bodies, serialize
from app.api.auth import Calls, actor, documented
from app.api.paging import page_of_all
from app.api.schemas import people as schemas
from app.core.access import Scope
from app.errors import Invalid, Problem
from app.services import business_units, invitations, members

calls = Calls("members", "Members")
ADMIN = Scope.ADMIN


@calls.call("GET", "/members", ADMIN, name="listMembers", answers={200: schemas.Members})
def index(query: schemas.MembersListed) -> Response:
    """List members in the order they were added."""
    found = members.list_all(actor(), q=query.q, role=query.role)
    return bodies.answer(page_of_all(found, query, serialize.member, lambda member: member.row_id))


@calls.call("POST", "/members", ADMIN, name="addMember", answers={201: schemas.Member}, clashes=True)
def create(body: schemas.MemberNew) -> Response:
    """Add somebody; a link to choose a password is had from the invitation."""
    units = _units(body.business_units)
    made = members.add(actor(), body.email, name=body.name, role=body.role, units=units)
    return bodies.answer(serialize.member(made), 201, location=f"/api/v1/members/{made.id}")


@calls.call("GET", "/members/<member>", ADMIN, name="getMember", answers={200: schemas.Member})
def show(path: schemas.ByMember) -> Response:
    """Return one member."""
    return bodies.answer(serialize.member(members.find(actor(), path.member)))


@calls.call("PATCH", "/members/<member>", ADMIN, name="editMember", answers={200: schemas.Member}, clashes=True)
def edit(path: schemas.ByMember, body: schemas.MemberChange) -> Response:
    """Give a member another role, other business units, or both."""
    members.find(actor(), path.member)
    units = _units(body.business_units) if body.business_units is not None else None
    return bodies.answer(serialize.member(members.change(actor(), path.member, role=body.role, units=units)))


@calls.call("DELETE", "/members/<member>", ADMIN, name="removeMember", answers={204: None}, clashes=True)
def delete(path: schemas.ByMember, query: schemas.HeirQuery) -> tuple[str, int]:
    """Remove a member. Their webhooks go to somebody else or are turned off."""
    members.remove(actor(), path.member, heir=query.give_webhooks_to)
    return "", 204


@calls.call(
    "POST",
    "/members/<member>/deactivate",
    ADMIN,
    name="deactivateMember",
    answers={200: schemas.Member},
    clashes=True,
    needs_body=False,
)
@documented(path=schemas.ByMember, body=schemas.Deactivation)
def deactivate(member: str) -> Response:
    """Keep a member from signing in. Their webhooks as when they are removed."""
    body = bodies.read_optional(schemas.Deactivation)
    return bodies.answer(serialize.member(members.deactivate(actor(), member, heir=body.give_webhooks_to)))


@calls.call("POST", "/members/<member>/activate", ADMIN, name="activateMember", answers={200: schemas.Member})
def activate(path: schemas.ByMember) -> Response:
    """Let a member sign in again."""
    return bodies.answer(serialize.member(members.activate(actor(), path.member)))


@calls.call(
    "POST",
    "/members/<member>/invitation",
    ADMIN,
    name="inviteMember",
    answers={201: schemas.Invitation},
    clashes=True,
)
def invite(path: schemas.ByMember) -> Response:
    """Make a link with which a member who has no password chooses one."""
    return bodies.answer({"link": invitations.link_for(actor(), path.member)}, 201)


def _units(external_ids: list[str]) -> list[str]:
    known = {unit.external_id: unit.public_id for unit in business_units.list_all(actor())}
    unknown = [name for name in external_ids if name not in known]
    if unknown:
        raise Invalid([Problem("business_units", f"There is no business unit {unknown[0]}.")])
    return [known[name] for name in external_ids]
