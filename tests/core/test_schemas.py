"""JSON Schema for event types: problems by field, nothing fetched, nothing that explodes."""

from __future__ import annotations

import json
import time

import pytest

from app.core.schemas import MOST_PROBLEMS, SchemaError, problem, problems
from app.errors import Problem

ORDER = json.dumps(
    {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "integer"},
            "total": {"type": "number", "minimum": 0},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        },
        "$defs": {"item": {"type": "object", "required": ["price"]}},
        "additionalProperties": False,
    }
).encode()


def as_json(schema: object) -> bytes:
    return json.dumps(schema).encode()


def chain(length: int) -> bytes:
    """A schema in which each reference is followed twice: 2**length applications."""
    steps = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(length)}
    return as_json({"$ref": "#/$defs/d0", "$defs": {**steps, f"d{length}": {"type": "integer"}}})


def test_data_that_fits_has_no_problems() -> None:
    assert problem(ORDER) is None
    assert problems(ORDER, b'{"id":42,"total":1.50,"items":[{"price":null}]}') == []


def test_each_fault_is_named_by_its_field() -> None:
    found = problems(ORDER, b'{"id":1.5,"total":-1,"items":[{"price":1},{}],"extra":1}')

    assert sorted(found, key=lambda item: item.field) == [
        Problem("data", "Additional properties are not allowed ('extra' was unexpected)"),
        Problem("data.id", '1.5 is not of type "integer"'),
        Problem("data.items[1]", '"price" is a required property'),
        Problem("data.total", "-1 is less than the minimum of 0"),
    ]


@pytest.mark.parametrize("number", [b"1e400", b"9" * 5000, b"12345678901234567890", b"1.50", b"-0"])
def test_160_numbers_beyond_a_double_are_numbers(number: bytes) -> None:
    assert problems(as_json({"properties": {"n": {"type": "number"}}}), b'{"n":%s}' % number) == []
    assert len(problems(as_json({"properties": {"n": {"type": "string"}}}), b'{"n":%s}' % number)) == 1


def test_the_list_of_problems_and_each_message_are_bounded() -> None:
    found = problems(
        as_json({"additionalProperties": {"type": "integer"}}), as_json({str(n): "x" * 5000 for n in range(99)})
    )

    assert len(found) == MOST_PROBLEMS
    assert all(len(item.message) <= 200 for item in found)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "http://127.0.0.1:1/x"}, "http://127.0.0.1:1/x lies outside the schema"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "lies outside the schema"),
        ({"$ref": "file:///etc/passwd"}, "file:///etc/passwd lies outside the schema"),
        ({"properties": {"a": {"items": [{"$dynamicRef": "other.json"}]}}}, "other.json lies outside the schema"),
        ({"$id": "http://x.test/a", "$ref": "b"}, "b lies outside the schema"),
        ({"$ref": "#/$defs/none"}, "#/$defs/none is not in the schema"),
        ({"$ref": "#/a/b", "a": 5}, "#/a/b is not in the schema"),
        ({"properties": {"a": {"$id": "http://x.test/"}}}, "Take $id out"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "Draft 2020-12"),
        ({"$schema": 7}, "Draft 2020-12"),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "properties/a/pattern: this pattern can't be used"),
        ({"pattern": r"(a)\1"}, "pattern: this pattern can't be used"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "pattern: this pattern can't be used"),
        ({"type": "strnig"}, 'type: "strnig" is not valid'),
        ({"a": "x" * 65536}, "A schema can have 64 KiB."),
        ([], "A schema is a JSON object."),
        (True, "A schema is a JSON object."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_155_a_schema_that_reaches_out_or_cannot_be_used_is_refused(schema: object, words: str) -> None:
    assert words in (problem(as_json(schema)) or "")
    with pytest.raises(SchemaError):
        problems(as_json(schema), b"{}")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 5000, b'{"not":' * 300 + b"{}" + b"}" * 300])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    assert problem(text)


def test_155_a_regex_that_would_backtrack_runs_in_linear_time() -> None:
    schema = as_json({"properties": {"a": {"pattern": "(a+)+$"}}})
    began = time.perf_counter()

    assert len(problems(schema, as_json({"a": "a" * 100_000 + "b"}))) == 1
    assert time.perf_counter() - began < 1


def test_references_that_multiply_are_refused() -> None:
    assert problem(chain(8)) is None
    assert problem(chain(30)) == "The schema's references multiply beyond 10,000 steps. Simplify it."


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]},
        {"$ref": "#node", "$defs": {"n": {"$anchor": "node", "type": "object"}}},
        {"$ref": "#/%24defs/a~1b", "$defs": {"a/b": {"type": "object"}}},
        {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}},
        {"const": {"$ref": "http://127.0.0.1:1/"}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://a.test/x"},
    ],
    ids=str,
)
def test_references_within_the_schema_are_followed(schema: object) -> None:
    assert problem(as_json(schema)) is None


def test_a_recursive_schema_judges_at_every_depth() -> None:
    tree = as_json({"properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]})

    assert problems(tree, b'{"name":1,"children":[{"name":1,"children":[{}]}]}') == [
        Problem("data.children[0].children[0]", '"name" is a required property')
    ]
