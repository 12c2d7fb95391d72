"""The audit log."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from app.errors import Invalid, Refused
from app.services import api_keys, audit, business_units, webhooks
from app.services.audit import AuditQuery
from app.web.audit import ACTIONS
from tests.support.pages import words

APP = Path(audit.__file__).parents[1]


def actions_in_the_code():
    """Every action that the code puts on record."""
    call = re.compile(r"record(?:_own)?\([^()]*?((?:\"[a-z_]+\.[a-z_]+\"[^\",]*?)+)[,)]", re.DOTALL)
    found = (call.findall(file.read_text(encoding="utf-8")) for file in APP.rglob("*.py"))
    return {action for each in found for text in each for action in re.findall(r'"([a-z_]+\.[a-z_]+)"', text)}


def test_every_action_has_its_words():
    recorded = actions_in_the_code()

    assert {"webhook.turned_on", "webhook.paused", "company.imported", "member.removed"} <= recorded
    assert recorded - set(ACTIONS) == set()


def test_it_tells_who_changed_what_from_what_to_what(ada, owner):
    business_units.put(owner, "north", "North")
    business_units.put(owner, "north", "Far north")

    page = words(ada.look("/audit"))

    assert "Ada 198.51.100.7 Renamed business unit Far north name: North → Far north" in page


def test_secrets_are_not_in_it(ada, owner, make_webhook, receiver):
    hook = make_webhook(url=receiver.url)
    webhooks.edit(owner, hook.id, {"auth": {"type": "basic", "username": "u", "password": "hunter2-hunter2"}})

    page = ada.look("/audit").text

    assert "auth:" in words(ada.look("/audit"))
    assert "hunter2-hunter2" not in page


def test_it_is_filtered_by_who_what_and_object(ada, owner, make_member):
    joao = make_member("joao", role="Admin").actor
    business_units.put(owner, "north", "North")
    business_units.put(joao, "south", "South")
    api_keys.create(joao, "Shop", ["events:read"])

    def found(**asked):
        return [entry.object_name for entry in audit.page(owner, AuditQuery(**asked)).entries]

    assert found(actor="Joao") == ["Shop", "South"]
    assert found(action="business_unit.created") == ["South", "North"]
    assert found(object="North") == ["North"]
    assert found(actor="Joao", action="business_unit.created") == ["South"]
    page = ada.look("/audit?actor=Joao&action=business_unit.created")
    assert "What: Added business unit" in words(page)
    assert "Nothing was changed that matches." in words(ada.look("/audit?actor=Nobody"))


def test_pages_follow_each_other_without_a_gap(owner, clock):
    for number in range(7):
        clock.advance(ms=number % 2)
        business_units.put(owner, f"u{number}", f"Unit {number}")

    found, cursor = [], None
    while True:
        page = audit.page(owner, AuditQuery(cursor=cursor), limit=3)
        found += [entry.object_name for entry in page.entries]
        cursor = page.next
        if cursor is None:
            break

    assert found == [f"Unit {number}" for number in reversed(range(7))]
    with pytest.raises(Invalid):
        audit.page(owner, AuditQuery(cursor="nonsense"))


def test_it_is_for_who_may_read_it_and_of_one_organization(owner, member, stranger, max_, sam):
    business_units.put(owner, "north", "North")

    assert max_.look("/audit").status_code == 403
    elsewhere = words(sam.look("/audit"))
    assert "North" not in elsewhere
    assert "Ada" not in elsewhere, "not even as a choice of the filter"
    with pytest.raises(Refused):
        audit.page(member, AuditQuery())


def test_it_is_filtered_by_time_in_the_viewers_zone(ada, owner, clock):
    for name in ("North", "South", "West"):
        clock.advance(seconds=3600)  # 10:00, 11:00, 12:00 UTC
        business_units.put(owner, name.lower(), name)
    ada.press("/account/prefer", zone="Europe/Madrid")

    page = words(ada.look("/audit?from=2026-11-21T11:30&to=2026-11-21T12:30"))

    assert ("North" in page, "South" in page, "West" in page) == (False, True, False)
    assert "From: 2026-11-21 11:30" in page
    assert ada.look("/audit?from=yesterday").status_code == 422


def test_it_is_exported_with_its_filters_and_without_formulas(ada, max_, owner):
    business_units.put(owner, "north", "=HYPERLINK(1)")
    business_units.put(owner, "north", 'North, "far"')
    for number in range(300):
        business_units.put(owner, f"u{number}", f"Unit {number}")

    rows = list(csv.DictReader(io.StringIO(ada.look("/audit.csv?action=business_unit.edited").text)))
    lines = [json.loads(line) for line in ada.look("/audit.ndjson?action=business_unit.created").text.splitlines()]

    assert [(row["at"], row["actor"], row["object"]) for row in rows] == [
        ("2026-11-21T09:00:00.000Z", "Ada", 'North, "far"')
    ]
    assert json.loads(rows[0]["changes"]) == {"name": {"before": "=HYPERLINK(1)", "after": 'North, "far"'}}
    assert len(lines) == 301
    assert lines[-1]["object"] == "=HYPERLINK(1)"
    assert "'=HYPERLINK(1)" in ada.look("/audit.csv?action=business_unit.created").text
    assert max_.look("/audit.csv").status_code == 403
