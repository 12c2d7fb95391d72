"""Business units and their companies, by hand and from a file."""

from __future__ import annotations

import io

import pytest

from app.services import business_units, companies
from tests.support.pages import words
from tests.support.rows import audited


@pytest.fixture
def north(owner):
    business_units.put(owner, "north", "North")
    return "north"


def test_a_unit_is_added_renamed_and_listed_with_its_counts(ada, owner, make_member, make_webhook, receiver):
    ada.look("/units/new")
    assert ada.press("/units/new", name="North", external_id="north").location == "/units/north"
    companies.put(owner, "north", "c-1", "Ferreira", {})
    make_webhook(url=receiver.url, name="Bound", business_units=["north"])
    make_webhook(url=receiver.url, name="Of all")

    ada.press("/units/north/rename", name="Far north")

    (listed,) = business_units.overview(owner)
    assert (listed.unit.name, listed.companies, listed.members, listed.bound, listed.listening) == (
        "Far north",
        1,
        0,
        ("Bound",),
        2,
    )
    assert "Far north" in words(ada.look("/units"))


@pytest.mark.parametrize(
    ("name", "external_id", "says"),
    [("", "x", "A name has"), ("X", "a/b", "An external id has"), ("X", "north", "with this external id already")],
)
def test_what_is_wrong_with_a_unit_is_said(ada, owner, north, name, external_id, says):
    ada.look("/units/new")

    answer = ada.press("/units/new", name=name, external_id=external_id)

    assert answer.status_code in (409, 422)
    assert says in words(answer)
    assert business_units.find(owner, "north").name == "North"


def test_deleting_names_what_would_go_silent_and_is_refused_meanwhile(ada, owner, north, make_webhook, receiver):
    make_webhook(url=receiver.url, name="Warehouse", business_units=["north"])

    asked = ada.look("/units/north/delete")
    answer = ada.press("/units/north/delete")

    assert "1 webhook has chosen it and would go silent or hear of everything: Warehouse." in words(asked)
    assert "Delete business unit" not in words(asked)
    assert answer.status_code == 409
    assert business_units.find(owner, "north")


def test_a_unit_that_nobody_needs_goes_with_its_companies(ada, owner, north):
    companies.put(owner, "north", "c-1", "Ferreira", {})
    assert "Its 1 company is deleted with it." in words(ada.look("/units/north/delete"))

    assert ada.press("/units/north/delete").status_code == 303

    assert business_units.list_all(owner) == []


def test_fields_are_columns_the_first_six_and_the_rest_behind_a_fold(ada, owner, north):
    companies.put(owner, "north", "c-1", "Ferreira", {f"field{n}": n for n in range(8)})

    page = words(ada.look("/units/north"))

    assert "Company field0 field1 field2 field3 field4 field5 More" in page
    assert "2 more field6 6 field7 7" in page


def test_a_company_is_added_and_changed_and_numbers_stay_numbers(ada, owner, north):
    ada.look("/units/north/companies/new")
    ada.press("/units/north/companies/new", name="Ferreira", external_id="c-1", field=["region", ""], value=["EU", ""])
    companies.put(owner, "north", "c-1", "Ferreira", {"region": "EU", "employees": 12, "vip": True})

    answer = ada.press(
        "/companies/c-1",
        name="Ferreira & Filhos",
        field=["region", "employees", "", "zip"],
        value=["UK", "13", "true", "0123"],
    )

    assert answer.status_code == 303
    found = companies.find(owner, "north", "c-1")
    assert (found.name, found.fields) == ("Ferreira & Filhos", {"region": "UK", "employees": 13, "zip": "0123"})
    (entry,) = [each for each in audited("company.edited") if each.actor == "Ada" and each.address == "127.0.0.1"]
    assert entry.changes["name"] == ["Ferreira", "Ferreira & Filhos"]


def test_more_rows_are_added_without_losing_what_was_typed(ada, owner, north):
    ada.look("/units/north/companies/new")

    page = ada.press(
        "/units/north/companies/new", name="New one", external_id="c-9", field=["a"], value=["1"], more="1"
    )

    assert page.status_code == 200
    assert 'value="New one"' in page.text
    assert page.text.count('name="field"') == 6
    assert not companies.is_known(owner, "c-9")


def test_one_field_twice_and_one_company_twice_are_refused(ada, owner, north):
    companies.put(owner, "north", "c-1", "Ferreira", {})
    ada.look("/companies/c-1")

    twice = ada.press("/companies/c-1", name="Ferreira", field=["a", "a"], value=["1", "2"])
    known = ada.press("/units/north/companies/new", name="Other", external_id="c-1", field=[], value=[])

    assert (twice.status_code, known.status_code) == (422, 409)
    assert "Two rows are named a. Keep one." in words(twice)
    assert companies.find(owner, "north", "c-1").name == "Ferreira"


def test_a_company_says_which_webhooks_report_its_fields(ada, owner, north, make_webhook, receiver):
    companies.put(owner, "north", "c-1", "Ferreira", {"region": "EU"})
    make_webhook(url=receiver.url, name="Partner feed", extra_fields=["region"])

    assert "reported by Partner feed" in words(ada.look("/companies/c-1"))
    assert "by Ada." in words(ada.look("/companies/c-1"))
    assert "Partner feed no longer reports it." in words(ada.look("/companies/c-1/delete"))
    ada.press("/companies/c-1/delete")

    assert not companies.is_known(owner, "c-1")


FILE = """\
id;name;region;employees
c-1;Ferreira & Filhos;EU;12
c-2;Maple;NA;
c-3;Harbour;UK;7
;Nobody;UK;1
c-2;Maple again;;
s-1;Elsewhere;;
"""


@pytest.fixture
def upload(ada, owner, north):
    """Choose a file on the import page."""
    companies.put(owner, "north", "c-1", "Ferreira", {"region": "EU", "employees": 12})
    companies.put(owner, "north", "c-3", "Harbour", {"region": "UK", "employees": 7, "kept": "yes"})
    business_units.put(owner, "south", "South")
    companies.put(owner, "south", "s-1", "Southern", {})
    ada.look("/units/north/import")

    def run(text):
        data = text if isinstance(text, bytes) else text.encode()
        return ada.press("/units/north/import", file=(io.BytesIO(data), "companies.csv"))

    return run


def test_a_file_is_shown_row_by_row_before_anything_is_imported(upload, owner):
    page = words(upload(FILE))

    assert "1 new, 1 changed, 1 as they are, 3 refused. Nothing is imported yet." in page
    assert "name: Ferreira → Ferreira & Filhos" in page
    assert "Line 3 has the same id." in page
    assert "This company belongs to South." in page
    assert not companies.is_known(owner, "c-2")


def test_what_was_shown_is_what_is_imported(ada, upload, owner):
    upload(FILE)

    answer = ada.press("/units/north/import", text=FILE, apply="1")

    assert answer.status_code == 303
    found = {company.external_id: (company.name, company.fields) for company in companies.page(owner, "north")}
    assert found == {
        "c-1": ("Ferreira & Filhos", {"region": "EU", "employees": 12}),
        "c-2": ("Maple", {"region": "NA"}),
        "c-3": ("Harbour", {"region": "UK", "employees": 7, "kept": "yes"}),
    }
    (entry,) = audited("company.imported")
    assert entry.changes == {"added": [None, 1], "changed": [None, 1]}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("", "The file has no rows."),
        ("number,name\n1,a\n", "must name the columns id and name"),
        ("id,name,x,x\n1,a,b,c\n", "Two columns have the same name."),
        ("id,name\n1,M\xfcller\n".encode("latin-1"), "isn't in UTF-8"),
        ("id,name\n" + "1,a\n" * 100_000, "larger than 256 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(upload, file, says):
    answer = upload(file)

    assert answer.status_code == 422
    assert says in words(answer)


def test_a_short_row_has_empty_cells(upload):
    page = words(upload("id,region,name,zip\nc-9,EU,Short\n"))

    assert "1 new" in page


def test_who_has_no_directory_finds_none_of_it(max_, sam, owner, north):
    companies.put(owner, "north", "c-1", "Ferreira", {})

    assert {max_.look(path).status_code for path in ("/units", "/units/north", "/companies/c-1")} == {403}
    assert {sam.look(path).status_code for path in ("/units/north", "/companies/c-1", "/units/north/import")} == {404}
    assert sam.press("/companies/c-1/delete").status_code == 404
    assert "North" not in words(sam.look("/units"))
