"""Members: the list, adding, role and business units, removing; and the page behind an invitation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.core.access import Permission
from app.errors import Conflict, Invalid, Throttled, Unavailable
from app.services import business_units, invitations, mails, members, roles
from app.web import needs, public
from app.web.permissions import role_words
from app.web.viewer import actor, begin_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from werkzeug.wrappers import Response

    from app.services.members import MemberView

bp = Blueprint("members", __name__)

PER_PAGE = 100


@bp.get("/members")
@needs(Permission.MEMBERS)
def index() -> str:
    """The list, or those who are searched for."""
    asked = {name: request.args.get(name, "").strip() for name in ("q", "role")}
    found = members.list_all(actor(), q=asked["q"], role=asked["role"])
    page = _page_number(request.args.get("page", ""), -(-len(found) // PER_PAGE))
    begin = (page - 1) * PER_PAGE
    return render_template(
        "members/index.html",
        section="members",
        members=found[begin : begin + PER_PAGE],
        total=len(found),
        asked=asked,
        roles=[(role.name, role.name) for role in roles.list_all(actor())],
        newer=_list_address(asked, page - 1) if page > 1 else "",
        older=_list_address(asked, page + 1) if begin + PER_PAGE < len(found) else "",
    )


def _page_number(text: str, last: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    return max(1, min(number, last))


def _list_address(asked: Mapping[str, str], page: int) -> str:
    return url_for("members.index", q=asked["q"] or None, role=asked["role"] or None, page=page)


@bp.get("/members/new")
@needs(Permission.MEMBERS)
def new() -> str:
    """The form."""
    return _new({"role": "Member"}, {})


@bp.post("/members/new")
@needs(Permission.MEMBERS)
def create() -> Response | tuple[str, int]:
    """Add somebody; the next page has the link to send them."""
    given: dict[str, Any] = {name: request.form.get(name, "").strip() for name in ("name", "email", "role")}
    given["units"] = request.form.getlist("units")
    try:
        made = members.add(actor(), given["email"], name=given["name"], role=given["role"], units=given["units"])
    except Invalid as error:
        return _new(given, {problem.field: problem.message for problem in error.problems}), 422
    except Conflict as error:
        return _new(given, {"email": error.message}), 409
    if mails.is_set_up() and not made.has_password:
        _mail_invitation(made.id)
    return redirect(url_for("members.show", public_id=made.id), 303)


@bp.post("/members/<public_id>/invite")
@needs(Permission.MEMBERS)
def invite(public_id: str) -> Response:
    """Send the invitation by mail, again."""
    _mail_invitation(public_id)
    return redirect(url_for("members.show", public_id=public_id), 303)


def _mail_invitation(public_id: str) -> None:
    """Send it and say so; where that fails, the page has the link to copy."""
    try:
        flash(f"An invitation was sent to {invitations.mail_link(actor(), public_id)}.")
    except (Conflict, Throttled, Unavailable) as error:
        flash(f"No invitation was sent: {error.message}")


@bp.get("/members/<public_id>")
@needs(Permission.MEMBERS)
def show(public_id: str) -> str:
    """One member: role, business units, webhooks; the invitation while there is no password."""
    return _page(public_id)


@bp.post("/members/<public_id>")
@needs(Permission.MEMBERS)
def save(public_id: str) -> Response | str | tuple[str, int]:
    """Change role and business units; asks first when webhooks would hear of less."""
    member = members.find(actor(), public_id)
    role, units = request.form.get("role", member.role), request.form.getlist("units")
    lost = _lost(member, role, units)
    if lost and "sure" not in request.form:
        return render_template(
            "members/less.html",
            section="members",
            member=member,
            lost=lost,
            given={"role": role, "units": units},
            action=url_for("members.save", public_id=public_id),
            back=url_for("members.show", public_id=public_id),
        )
    try:
        members.change(actor(), public_id, role=role, units=units)
    except Invalid as error:
        return _page(public_id, {problem.field: problem.message for problem in error.problems}), 422
    except Conflict as error:
        return _page(public_id, {"role": error.message}), 409
    flash(f"{member.name} was changed.")
    return redirect(url_for("members.show", public_id=public_id), 303)


def _lost(member: MemberView, role: str, units: list[str]) -> list[str]:
    """The business units whose events the member's webhooks would no longer get."""
    sees_all = {each.name: each.sees_everything for each in roles.list_all(actor())}
    if not member.webhooks or sees_all.get(role, False):
        return []
    all_units = [(unit.public_id, unit.name) for unit in business_units.list_all(actor())]
    before = all_units if member.sees_everything else [(unit.id, unit.name) for unit in member.units]
    return [name for unit, name in before if unit not in units]


@bp.get("/members/<public_id>/remove")
@needs(Permission.MEMBERS)
def ask_remove(public_id: str) -> str:
    """Ask who gets their webhooks."""
    return _leaving_page("remove", public_id)


@bp.post("/members/<public_id>/remove")
@needs(Permission.MEMBERS)
def remove(public_id: str) -> Response | tuple[str, int]:
    """Remove a member."""
    name = members.find(actor(), public_id).name
    try:
        members.remove(actor(), public_id, heir=request.form.get("heir") or None)
    except (Invalid, Conflict) as error:
        return _refused_leaving("remove", public_id, error)
    flash(f"{name} was removed.")
    return redirect(url_for("members.index"), 303)


@bp.get("/members/<public_id>/deactivate")
@needs(Permission.MEMBERS)
def ask_deactivate(public_id: str) -> str:
    """Ask who gets the webhooks of somebody who is to be kept out."""
    return _leaving_page("deactivate", public_id)


@bp.post("/members/<public_id>/deactivate")
@needs(Permission.MEMBERS)
def deactivate(public_id: str) -> Response | tuple[str, int]:
    """Keep somebody from signing in."""
    try:
        member = members.deactivate(actor(), public_id, heir=request.form.get("heir") or None)
    except (Invalid, Conflict) as error:
        return _refused_leaving("deactivate", public_id, error)
    flash(f"{member.name} can't sign in any more.")
    return redirect(url_for("members.show", public_id=public_id), 303)


@bp.post("/members/<public_id>/activate")
@needs(Permission.MEMBERS)
def activate(public_id: str) -> Response:
    """Let somebody sign in again."""
    flash(f"{members.activate(actor(), public_id).name} can sign in again.")
    return redirect(url_for("members.show", public_id=public_id), 303)


def _refused_leaving(act: str, public_id: str, error: Invalid | Conflict) -> tuple[str, int]:
    if isinstance(error, Invalid):
        return _leaving_page(act, public_id, error.problems[0].message), 422
    return _leaving_page(act, public_id, error.message), 409


def _leaving_page(act: str, public_id: str, error: str = "") -> str:
    """The question before `act`: remove or deactivate."""
    member = members.find(actor(), public_id)
    may_own = {role.name for role in roles.list_all(actor()) if Permission.WEBHOOKS in role.permissions}
    heirs = [
        (each.id, each.name) for each in members.list_all(actor()) if each.role in may_own and each.id != member.id
    ]
    return render_template(
        f"members/{act}.html",
        section="members",
        member=member,
        heirs=heirs,
        error=error,
        action=url_for(f"members.{act}", public_id=public_id),
        back=url_for("members.show", public_id=public_id),
    )


def _page(public_id: str, errors: Mapping[str, str] | None = None) -> str:
    member = members.find(actor(), public_id)
    is_invited = member.is_active and not member.has_password
    return render_template(
        "members/show.html",
        section="members",
        member=member,
        link=invitations.link_for(actor(), public_id) if is_invited else "",
        has_mail=mails.is_set_up(),
        errors=errors or {},
        **_offered(),
    )


def _new(given: Mapping[str, Any], errors: Mapping[str, str]) -> str:
    return render_template(
        "members/new.html", section="members", given=given, errors=errors, has_mail=mails.is_set_up(), **_offered()
    )


def _offered() -> dict[str, Any]:
    """The roles and units to choose from."""
    offered = [(role.name, role.name, role_words(role)) for role in roles.list_all(actor())]
    return {"roles": offered, "units": [(unit.public_id, unit.name) for unit in business_units.list_all(actor())]}


# --- behind the link


@bp.get("/invite/<token>")
@public
def invited(token: str) -> str | tuple[str, int]:
    """Ask for a password, or say that the link is over."""
    return _invitation(token, {})


@bp.post("/invite/<token>")
@public
def accept(token: str) -> Response | str | tuple[str, int]:
    """Set the password and sign in."""
    try:
        begin_session(invitations.accept(token, request.form.get("password", "")))
    except Invalid as error:
        return _invitation(token, {problem.field: problem.message for problem in error.problems}, 422)
    except Conflict:
        return _invitation(token, {})
    return redirect(url_for("start.home"), 303)


def _invitation(token: str, errors: Mapping[str, str], code: int = 200) -> tuple[str, int]:
    try:
        found = invitations.find(token)
    except Conflict as error:
        return render_template("members/over.html", words=error.message), 409
    return render_template("members/invited.html", token=token, found=found, errors=errors), code
