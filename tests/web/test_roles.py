"""Roles and members, at the pages."""

from __future__ import annotations

from app.core.access import Permission
from app.services import roles
from tests.support.pages import words


def test_a_role_is_added_changed_and_deleted_with_its_members_moved(ada, owner, make_member):
    assert "Developer Webhooks, Bodies, Catalogue" in words(ada.look("/roles"))
    assert ada.press("/roles/new", name=" ", permissions="org.log").status_code == 422
    ada.press("/roles/new", name="Auditor", permissions=["org.log", "org.audit"])
    make_member("pat", role="Auditor")

    assert "Applies at once to 1 member." in words(ada.look("/roles/Auditor"))
    ada.press("/roles/Auditor", name="Auditor", permissions="org.audit", sees_everything="1")
    assert roles.find(owner, "Auditor").permissions == {Permission.AUDIT}
    assert "permissions: Log and events, Audit log → Audit log" in words(ada.look("/audit?action=role.edited"))

    assert "1 member has it" in words(ada.look("/roles/Auditor/delete"))
    refused = ada.press("/roles/Auditor/delete")
    assert (refused.status_code, "Choose the role that its members get." in words(refused)) == (422, True)
    assert ada.press("/roles/Auditor/delete", move_to="Member").status_code == 303
    assert ada.look("/roles/Auditor").status_code == 404


def test_admin_is_shown_and_can_not_be_changed(ada):
    page = ada.look("/roles/Admin")
    assert "It stays so" in words(page)
    assert ada.press("/roles/Admin", name="Boss").status_code == 409


def test_who_manages_members_alone_sees_their_pages(app, owner, make_member):
    from tests.web.conftest import signed_in

    roles.create(owner, "Manager", ["org.members"])
    mia = make_member("mia", role="Manager")
    person = signed_in(app, "mia@acme.test")

    for path in ("/members", f"/members/{mia.id}", "/members/new", "/roles", "/roles/new", "/roles/Developer"):
        assert person.look(path).status_code == 200, path
    assert "You don't hold this" in words(person.look("/roles/new"))
    assert person.press("/roles/new", name="Wide", permissions="org.keys").status_code == 403


def test_members_are_found_by_name_e_mail_and_role(ada, make_member):
    for number in range(120):
        make_member(f"p{number:03}", role="Support")

    page = words(ada.look("/members"))
    assert "121 members" in page
    assert ("P098 " in page, "P099 " in page) == (True, False)
    assert "P119" in words(ada.look("/members?page=2"))
    assert "1 member " in words(ada.look("/members?q=ADA@acme"))
    assert "1 member " in words(ada.look("/members?role=Admin"))
    assert "Nobody here is called that" in words(ada.look("/members?q=%25"))
    assert ada.look("/members?page=99999").status_code == 200
