"""Members: adding, inviting, changing, removing."""

from __future__ import annotations

import re

import pytest

from app.services import members, webhooks
from tests.conftest import PASSWORD
from tests.support.pages import Person, words

LINK = re.compile(r"http://[^\s<\"]+(/invite/[\w.-]+)")


@pytest.fixture
def invite(ada):
    """Add somebody and return where their page is and their link."""

    def run(**given):
        ada.look("/members/new")
        page = ada.press("/members/new", **{"name": "Ben Roe", "email": "Ben@acme.test", "role": "Support", **given})
        found = LINK.search(ada.look(page.location).text)
        return page.location, found[1] if found else ""

    return run


def test_a_new_member_gets_a_link_chooses_a_password_and_is_in(app, invite, make_unit):
    _, link = invite(units=[make_unit("north").public_id])
    ben = Person(app.test_client())
    page = words(ben.look(link))
    assert "Join Acme" in page

    answer = ben.press(link, password="nine purple boats")

    assert (answer.status_code, answer.location) == (303, "/")
    assert ben.look("/log").status_code == 200
    again = Person(app.test_client())
    assert again.sign_in("ben@acme.test", "nine purple boats").status_code == 303


def test_an_invitation_works_once(app, invite):
    _, link = invite()
    ben, thief = Person(app.test_client()), Person(app.test_client())
    thief.look(link)
    ben.look(link)
    ben.press(link, password="nine purple boats")

    answer = thief.press(link, password="ten purple boats")

    assert answer.status_code == 409
    assert "This link was used or is too old." in words(answer)
    assert thief.look("/account").status_code == 302


def test_an_invitation_works_for_a_week(app, invite, clock):
    _, link = invite()
    ben = Person(app.test_client())

    clock.advance(seconds=7 * 86_400 - 1)
    assert ben.look(link).status_code == 200
    clock.advance(seconds=2)

    assert ben.look(link).status_code == 409


def test_an_invitation_that_was_changed_opens_nothing(app, invite):
    _, link = invite()
    ben = Person(app.test_client())

    changed = link[:-9] + ("A" if link[-9] != "A" else "B") + link[-8:]  # the last one has bits that count for nothing

    assert ben.look(changed).status_code == 409
    assert ben.look("/invite/x").status_code == 409


def test_a_weak_password_is_refused_and_the_link_stays_good(app, invite):
    _, link = invite()
    ben = Person(app.test_client())
    ben.look(link)

    answer = ben.press(link, password="short")

    assert answer.status_code == 422
    assert ben.look(link).status_code == 200


def test_whoever_has_a_password_gets_no_link(ada, member, owner):
    max_id = next(each.id for each in members.list_all(owner) if each.email == "max@acme.test")

    assert not LINK.search(ada.look(f"/members/{max_id}").text)


def test_removing_the_invited_ends_the_link(app, ada, invite):
    place, link = invite()
    ada.look(f"{place}/remove")
    ada.press(f"{place}/remove")

    assert Person(app.test_client()).look(link).status_code == 409


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"email": "nobody"}, "e-mail"),
        ({"name": ""}, "Give a name"),
        ({"email": "ada@acme.test"}, "is a member already."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(ada, owner, given, says):
    ada.look("/members/new")
    answer = ada.press("/members/new", **{"name": "Ben Roe", "email": "ben@acme.test", "role": "Support", **given})

    assert answer.status_code in (409, 422)
    assert says in words(answer)
    assert [each.name for each in members.list_all(owner)] == ["Ada"]


def test_a_role_and_units_are_changed(ada, owner, member, make_unit):
    north = make_unit("north")
    place = next(each.id for each in members.list_all(owner) if each.email == "max@acme.test")
    ada.look(f"/members/{place}")

    ada.press(f"/members/{place}", role="Support", units=[north.public_id])

    found = members.find(owner, place)
    assert (found.role, [unit.name for unit in found.units]) == ("Support", ["North"])


def test_taking_a_unit_from_an_owner_of_webhooks_asks_first(ada, owner, make_member, make_unit, make_webhook, receiver):
    north = make_unit("north")
    max_ = make_member("max", role="Developer", units=[north])
    make_webhook(url=receiver.url, name="Warehouse", by=max_.actor)
    ada.look(f"/members/{max_.id}")

    asked = ada.press(f"/members/{max_.id}", role="Developer")

    assert asked.status_code == 200
    assert "Max's webhook Warehouse will no longer get events of North." in words(asked)
    assert members.find(owner, max_.id).units
    ada.press(f"/members/{max_.id}", role="Developer", sure="1")
    assert not members.find(owner, max_.id).units


def test_who_leaves_gives_their_webhooks_to_somebody(ada, owner, make_member, make_webhook, receiver):
    max_ = make_member("max", role="Developer")
    hook = make_webhook(url=receiver.url, name="Warehouse", by=max_.actor)
    heir = next(each.id for each in members.list_all(owner) if each.email == "ada@acme.test")
    asked = words(ada.look(f"/members/{max_.id}/remove"))
    assert "Max owns 1 webhook: Warehouse. Give it to somebody or it is turned off." in asked

    assert ada.press(f"/members/{max_.id}/remove", heir=heir).status_code == 303

    found = webhooks.find(owner, hook.id)
    assert (found.enabled, found.owner_name) == (True, "Ada")


def test_without_an_heir_the_webhooks_are_turned_off(ada, owner, make_member, make_webhook, receiver):
    max_ = make_member("max", role="Developer")
    hook = make_webhook(url=receiver.url, name="Warehouse", by=max_.actor)
    ada.look(f"/members/{max_.id}/remove")

    ada.press(f"/members/{max_.id}/remove", heir="")

    assert not webhooks.find(owner, hook.id).enabled


def test_the_last_admin_is_neither_removed_nor_demoted(ada, owner):
    me = members.list_all(owner)[0].id
    ada.look(f"/members/{me}")

    demoted = ada.press(f"/members/{me}", role="Member")
    removed = ada.press(f"/members/{me}/remove")

    assert (demoted.status_code, removed.status_code) == (409, 409)
    assert "is the last admin" in words(demoted)
    assert "is the last admin" in words(removed)
    assert members.find(owner, me).role == "Admin"


def test_who_was_kept_from_signing_in_is_let_in_again(ada, owner, make_member):
    max_ = make_member("max", role="Developer")
    members.deactivate(owner, max_.id)
    assert "Can't sign in" in words(ada.look("/members"))

    ada.press(f"/members/{max_.id}/activate")

    assert members.find(owner, max_.id).is_active


def test_members_are_only_for_who_manages_them(owner, max_, sam):
    me = members.list_all(owner)[0].id

    assert {max_.look(path).status_code for path in ("/members", f"/members/{me}", "/members/new")} == {403}
    assert sam.look(f"/members/{me}").status_code == 404
    assert sam.press(f"/members/{me}/remove").status_code == 404
    assert "ada@acme.test" not in words(sam.look("/members"))


def test_somebody_is_kept_out_and_their_webhook_goes_off_with_the_reason(app, ada, make_member, make_webhook):
    max_member = make_member("max", role="Developer")
    make_webhook(url="http://127.0.0.1:4999/in", by=max_member.actor)
    at_work = Person(app.test_client())
    assert at_work.sign_in("max@acme.test", PASSWORD).status_code == 303

    asked = words(ada.look(f"/members/{max_member.id}/deactivate"))
    assert "Max owns 1 webhook" in asked
    answer = ada.press(f"/members/{max_member.id}/deactivate", heir="")

    assert answer.status_code == 303
    assert at_work.look("/log").status_code == 302, "the session went on"
    assert "its owner left" in words(ada.look("/webhooks"))
    assert "Let sign in again" in words(ada.look(f"/members/{max_member.id}"))
