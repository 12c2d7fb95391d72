"""Event packs: every type of the five catalogues, with examples that their own schemas accept."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from app import datafiles
from app.core import raw
from app.core.packs import DataFileError, PackType, load_packs

PACKS = load_packs(datafiles.packs(Path("/nowhere")).items())
TYPES = [(pack.name, each) for pack in PACKS.values() for each in pack.types]

NAMES = {
    "contracts": "contractCreated contractSigned contractReminder",
    "jobs": "job.created job.updated job.assigned job.image_created job.document_created job.status_changed"
    " estimate.created estimate.updated signed_document.signed signable_document.signed",
    "vomo": "project.created project.updated project.deleted user.created user.updated organization.updated",
    "integrations": "webhook_test integration_new_data_model integration_updated_data_model"
    " integration_deleted_data_model integration_installed integration_import_done"
    " integration_cannot_refresh_oauth_token integration_oauth_token_fixed",
    "reporting": "transaction.create transaction.update transaction.send transaction.review transaction.expired",
    "postroom": "postroom.webhook_failing postroom.webhook_warning postroom.webhook_turned_off"
    " postroom.webhook_recovered",
}
PAYLOADS = {
    "webhook_test": ["test"],
    "integration_new_data_model": ["id", "resource_id", "type"],
    "integration_updated_data_model": ["id", "resource_id", "type", "diff", "data"],
    "integration_deleted_data_model": ["id", "resource_id", "type"],
    "integration_installed": ["id", "connector_type", "metadata", "state"],
    "integration_import_done": ["id", "connector_type"],
    "integration_cannot_refresh_oauth_token": ["id", "error"],
    "integration_oauth_token_fixed": ["id"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_holds_exactly_its_types(name: str):
    assert [each.name for each in PACKS[name].types] == NAMES[name].split()
    assert set(PACKS) == set(NAMES)


def test_the_kinds_are_called_as_forms_show_them():
    assert [kind.title for kind in PACKS["jobs"].kinds] == [
        "Job Events", "Estimate Events", "Signed Document Events", "Signable Document Events"
    ]  # fmt: skip
    for pack in PACKS.values():
        assert [kind.name for kind in pack.kinds] == list(dict.fromkeys(each.kind for each in pack.types))
    job = [each.title for each in PACKS["jobs"].types if each.kind == "job"]
    assert job == ["Created", "Updated", "Assigned", "Image created", "Document created", "Status changed"]


@pytest.mark.parametrize("name", PAYLOADS)
def test_an_integrations_payload_has_exactly_these_keys(name: str):
    each = next(each for each in PACKS["integrations"].types if each.name == name)

    assert [member.name for member in raw.members(each.example)] == PAYLOADS[name]
    required = set(json.loads(each.schema or b"{}")["required"])
    assert required == set(PAYLOADS[name]) - {"diff"}, "the producer doesn't send the difference"


@pytest.mark.parametrize(("pack", "each"), TYPES, ids=[each.name for _, each in TYPES])
def test_an_example_is_what_its_schema_demands(pack: str, each: PackType):
    assert each.schema is not None
    validator = jsonschema_rs.Draft202012Validator(json.loads(each.schema))
    example = json.loads(each.example)

    validator.validate(example)

    for name in json.loads(each.schema)["required"]:
        assert not validator.is_valid({key: value for key, value in example.items() if key != name})
    assert set(example) <= set(json.loads(each.schema)["properties"]), "the example shows what the schema doesn't know"


@pytest.mark.parametrize(("pack", "each"), TYPES, ids=[each.name for _, each in TYPES])
def test_a_type_says_in_one_sentence_what_happened_and_what_can_be_searched(pack: str, each: PackType):
    assert each.description.endswith(".")
    assert each.description.count(". ") == 0
    for path in each.searchable:
        value = json.loads(each.example)
        for part in path.split("."):
            value = value[part]
        assert isinstance(value, str | int)


def test_public_events_have_names_of_their_own():
    assert {each.name: each.public for _, each in TYPES if each.public} == {
        "project.created": "project.public.created",
        "project.updated": "project.public.updated",
        "project.deleted": "project.public.deleted",
    }


def test_one_type_asks_for_the_difference_between_two_models():
    declared = {each.name: each.diff for _, each in TYPES if each.diff}

    assert declared == {"integration_updated_data_model": ("data", "diff")}


def test_amounts_of_the_examples_are_kept_as_written():
    estimate = next(each for each in PACKS["jobs"].types if each.name == "estimate.created")

    assert b'"total":5112.00' in estimate.example


@pytest.mark.parametrize("name", ["contractCreated", "contractSigned", "contractReminder"])
def test_a_contract_event_names_the_contract_its_other_party_and_its_template(name: str):
    example = json.loads(next(each for each in PACKS["contracts"].types if each.name == name).example)

    assert example["contract"]["name"]
    assert example["co_contractor"]["name"]
    assert example["template"]["name"]
    assert name != "contractSigned" or (example["signatories"] and example["signed_at"])
    assert name != "contractReminder" or example["reminder"]["linked_to"] in ("end", "renewal")


OWN = """
title = "Own"

[[kind]]
name = "thing"
title = "Thing Events"

[[type]]
name = "thing.made"
kind = "thing"
title = "Made"
description = "A thing was made."
public = "thing.public.made"
searchable = ["id"]
diff = { model = "thing", into = "diff" }
resource = { type = "sort", id = "id" }
example = { id = 1, sort = "x", thing = { size = 1.5 } }
"""


def test_an_own_pack_is_read_beside_the_shipped_ones_and_may_give_its_example_as_a_table(tmp_path: Path):
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "own.toml").write_text(OWN)

    packs = load_packs(datafiles.packs(tmp_path).items())

    assert set(packs) == {*PACKS, "own"}
    made = packs["own"].types[0]
    assert (made.example, made.schema) == (b'{"id":1,"sort":"x","thing":{"size":1.5}}', None)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("searchable", "serchable", "own.toml: type[0].serchable: there is no such key here; did you mean searchable?"),
        ('kind = "thing"', 'kind = "think"', "own.toml: type[0].kind: there is no kind 'think'; did you mean thing?"),
        ("thing.made", "thing.*", "own.toml: type[0].name: 'thing.*' must be words"),
        ("thing.made", "a" * 129, "own.toml: type[0].name: "),
        ("thing.public.made", "thing.made", "own.toml: type: the name 'thing.made' is there twice"),
        ('model = "thing"', 'model = "thin"',
         "own.toml: type[0].diff.model: the example has no member 'thin'; did you mean thing?"),
        ('into = "diff"', 'into = "thing"', "own.toml: type[0].diff.into: it must be another member"),
        ('type = "sort"', 'type = "soot"',
         "own.toml: type[0].resource.type: the example has no member 'soot'; did you mean sort?"),
        ("example = {", "example = 3 # {", "own.toml: type[0].example: it must be a table"),
        ("[[kind]]", "[kind]", "own.toml: kind: it must be a list"),
        ('["id"]', "[1]", "own.toml: type[0].searchable[0]: it must be a text"),
    ],
)  # fmt: skip
def test_a_wrong_pack_is_refused_with_file_key_and_the_nearest_key(old: str, new: str, says: str):
    assert old in OWN

    with pytest.raises(DataFileError) as caught:
        load_packs([("own", OWN.replace(old, new, 1).encode())])

    assert str(caught.value).startswith(says)


def test_data_models_name_their_resource_in_the_data():
    declared = {each.name: each.resource for _, each in TYPES if each.resource}

    assert declared == {
        f"integration_{verb}_data_model": ("type", "resource_id") for verb in ("new", "updated", "deleted")
    }
