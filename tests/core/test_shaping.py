"""Bodies: what is selected, added, moved and wrapped, and what stays exactly as it was published."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import envelope
from app.core.encoding import ContentType
from app.core.envelope import TemplateError, compile_envelope, compile_text, moment
from app.core.shaping import Company, DataMode, EventFacts, Shape, ShapeError, headers, mapping_problems, shape

FACTS = EventFacts(
    id="evt_1",
    type="job.status_changed",
    created_at=1_700_000_000_123,
    occurred_at=1_699_999_999_000,
    data=b'{"id":42,"name":"Roof","total":1.50,"customer":{"name":"Moor","vat":null},"tags":["a"]}',
    organization_id="org_1",
    webhook_id="whk_1",
    delivery_id="dlv_1",
    status="open",
    resource_type="job",
    resource_id="42",
    business_unit="north",
    context=b'{"customer_id":"c-9","state":{"n":1.50},"nothing":null}',
)
AT = 1_700_000_060_500
NORTH = Company("c1", 'Moor & "Sons"', b'{"region":"EU","vat_number":"GB1","score":1.50}')
SOUTH = Company("c2", "Süd", b"{}")
WRAPPED = compile_envelope({"id": "{event.id}", "data": "{selection}"})


def body(data: bytes = FACTS.data, **settings: Any) -> bytes:
    return shape(replace(FACTS, data=data), Shape(**settings), AT)


# select and extra fields


def test_everything_is_the_data_as_published():
    data = b'{"z":1.50,"a":1e400,"a":"\\u00e9\\/\\u0000","n":123456789012345678901234567890}'

    assert body(data) == data
    assert body(data, envelope=WRAPPED) == b'{"id":"evt_1","data":' + data + b"}"


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.text('ab\\"{}[],:é')))
def test_any_data_stands_in_the_envelope_byte_for_byte(tree: dict[str, Any]):
    data = json.dumps(tree, separators=(",", ":")).encode()

    assert body(data, envelope=WRAPPED) == b'{"id":"evt_1","data":' + data + b"}"
    assert json.loads(body(data, extra_fields=("x",))) == tree | {"companies": []}


def test_only_the_status_tells_nothing_of_the_data():
    assert body(data_mode=DataMode.STATUS_ONLY) == (
        b'{"resource":{"type":"job","id":"42"},"status":"open","occurred_at":"2023-11-14T22:13:19.000Z"}'
    )
    nothing = replace(FACTS, status=None, resource_type=None, resource_id=None)
    assert shape(nothing, Shape(data_mode=DataMode.STATUS_ONLY), AT) == (
        b'{"resource":null,"status":null,"occurred_at":"2023-11-14T22:13:19.000Z"}'
    )


@pytest.mark.parametrize("mode", list(DataMode))
def test_extra_fields_are_told_of_each_company_in_both_data_modes(mode: DataMode):
    facts = replace(FACTS, companies=(NORTH, SOUTH))

    told = shape(facts, Shape(data_mode=mode, extra_fields=("region", "score", "missing")), AT)

    assert told.endswith(
        b',"companies":[{"id":"c1","name":"Moor & \\"Sons\\"","fields":{"region":"EU","score":1.50,"missing":null}},'
        b'{"id":"c2","name":"S\xc3\xbcd","fields":{"region":null,"score":null,"missing":null}}]}'
    )
    assert told.startswith(FACTS.data[:-1] if mode is DataMode.EVERYTHING else b'{"resource":')


def test_without_extra_fields_companies_are_not_mentioned():
    assert b"companies" not in shape(replace(FACTS, companies=(NORTH,)), Shape(), AT)


def test_companies_fit_into_empty_data_and_replace_a_member_of_their_name():
    assert body(b"{}", extra_fields=("x",)) == b'{"companies":[]}'
    assert body(b'{"companies":"theirs","a":1.0}', extra_fields=("x",)) == b'{"a":1.0,"companies":[]}'


# field mapping


def test_a_field_is_moved_to_its_property():
    assert body(field_mapping=(("customer.name", "client"), ("total", "sum.net"))) == (
        b'{"id":42,"name":"Roof","customer":{"vat":null},"tags":["a"],"client":"Moor","sum":{"net":1.50}}'
    )


def test_a_property_takes_the_place_of_a_member_that_no_row_moves():
    assert body(b'{"a":1,"b":2,"c":3}', field_mapping=(("a", "b"),)) == b'{"c":3,"b":1}'


def test_a_field_can_be_left_out_and_a_missing_one_is_null():
    assert body(field_mapping=(("customer", None), ("gone.away", "x"), ("customer.vat.code", "y"))) == (
        b'{"id":42,"name":"Roof","total":1.50,"tags":["a"],"x":null,"y":null}'
    )


def test_only_mapped_fields_drops_the_rest():
    assert (
        body(field_mapping=(("id", "id"), ("customer.name", "who")), only_mapped_fields=True)
        == b'{"id":42,"who":"Moor"}'
    )
    assert body(only_mapped_fields=True) == b"{}"


def test_two_fields_can_change_places_and_one_can_go_to_two_properties():
    assert body(b'{"a":1,"b":2,"c":3}', field_mapping=(("a", "b"), ("b", "a"))) == b'{"c":3,"b":1,"a":2}'
    assert body(b'{"a":1.50}', field_mapping=(("a", "x"), ("a", "y"))) == b'{"x":1.50,"y":1.50}'


def test_an_inner_field_can_leave_an_object_that_is_moved_itself():
    data = b'{"customer":{"name":"Moor","vat":1}}'

    for rows in ((("customer", "c"), ("customer.name", "n")), (("customer.name", "n"), ("customer", "c"))):
        assert json.loads(body(data, field_mapping=rows)) == {"c": {"vat": 1}, "n": "Moor"}


def test_companies_can_be_mapped_like_any_other_field():
    told = shape(
        replace(FACTS, data=b'{"id":1}', companies=(SOUTH,)),
        Shape(extra_fields=("region",), field_mapping=(("companies", "firms"),)),
        AT,
    )

    assert json.loads(told) == {"id": 1, "firms": [{"id": "c2", "name": "Süd", "fields": {"region": None}}]}


def test_numbers_and_texts_that_a_mapping_passes_by_keep_their_value():
    data = b'{"a":1.50,"b":[1e400,-0,{"c":123456789012345678901234567890}],"t":"\\u0000\\u00e9","m":1}'

    assert body(data, field_mapping=(("m", "n"),)) == (
        '{"a":1.50,"b":[1e400,-0,{"c":123456789012345678901234567890}],"t":"\\u0000é","n":1}'.encode()
    )


def test_dunder_names_are_plain_keys():
    assert body(b'{"a":1}', field_mapping=(("a", "__proto__.x"),)) == b'{"__proto__":{"x":1}}'


@pytest.mark.parametrize(
    ("row", "path", "says"),
    [
        (("tags.0", "x"), "tags", "*tags* is a list"),
        (("name.first", "x"), "name", "*name* is a value"),
        (("customer.name.first", None), "customer.name", "*customer.name* is a value"),
        (("id", "name.code"), "name", "*name* is a value, so *name.code* can't be placed inside it."),
        (("id", "tags.first"), "tags", "*tags* is a value"),
    ],
)
def test_a_path_through_a_value_names_step_and_path(row: tuple[str, str | None], path: str, says: str):
    with pytest.raises(ShapeError) as caught:
        body(field_mapping=(row,))

    assert (caught.value.step, caught.value.path) == ("mapping", path)
    assert says in caught.value.message


def test_rows_that_place_a_field_inside_itself_end_in_a_shape_error():
    with pytest.raises(ShapeError, match="inside itself"):
        body(field_mapping=(("customer", "p"), ("customer", "p.q")))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([("a", "client"), ("b", "client")], (1, "property", "Two rows send *client*. Keep one.")),
        ([("a", "s"), ("b", "s.c")], (1, "property", "*s* is a value, so *s.c* can't be placed inside it.")),
        ([("a", "s.c"), ("b", "s")], (1, "property", "*s* is a value, so *s.c* can't be placed inside it.")),
        ([("a", "id")], (0, "property", "*id* is sent by the preset; choose another name.")),
        ([("a..b", "x")], (0, "field", "Enter a name, with dots between the levels: customer.name.")),
        ([("", None)], (0, "field", "Enter a name.")),
        ([("a", "")], (0, "property", "Enter a name.")),
        ([("a", ".".join("x" * 21))], (0, "property", "A path may have at most 20 levels.")),
        ([(f"f{n}", None) for n in range(201)], (200, "field", "A mapping may have at most 200 rows.")),
    ],
)
def test_a_mapping_that_can_never_work_is_named_before_it_is_used(rows: list[Any], problem: tuple[int, str, str]):
    assert mapping_problems(rows, WRAPPED) == [problem]


def test_a_mapping_may_keep_a_name_and_use_what_the_preset_lifts():
    lifting = compile_envelope({"id": "{event.id}", "companies": "{selection.companies?}", "t": "{selection}"})

    assert mapping_problems([("id", "id"), ("firms", "companies"), ("x", None), ("y", None)], lifting) == []
    assert mapping_problems([("a", "id")], None) == []


# envelope


def test_every_placeholder_becomes_its_value_with_its_type():
    values = {
        "{event.id}": "evt_1",
        "{event.type}": "job.status_changed",
        "{event.type.last}": "status_changed",
        "{event.created_at}": "2023-11-14T22:13:20.123Z",
        "{event.created_at.seconds}": 1_700_000_000,
        "{event.occurred_at}": "2023-11-14T22:13:19.000Z",
        "{event.occurred_at.seconds}": 1_699_999_999,
        "{event.status}": "open",
        "{event.resource.id}": "42",
        "{event.resource.type}": "job",
        "{event.business_unit}": "north",
        "{context.customer_id}": "c-9",
        "{context.state}": {"n": 1.5},
        "{context.nothing}": None,
        "{context.missing}": None,
        "{organization.id}": "org_1",
        "{webhook.id}": "whk_1",
        "{delivery.id}": "dlv_1",
        "{attempt.seconds}": 1_700_000_060,
        "{selection.tags}": ["a"],
        "{selection.missing}": None,
        "{selection}": {"id": 42, "name": "Roof", "total": 1.5, "customer": {"name": "Moor", "vat": None}},
    }

    sent = json.loads(body(envelope=compile_envelope({key: key for key in values})))

    assert sent == values
    assert list(sent) == list(values)
    assert set(envelope._PLACEHOLDERS) <= {key.strip("{}") for key in values}, "a placeholder isn't tested"


def test_the_last_part_of_a_type_is_what_follows_the_last_dot():
    last = compile_envelope({"t": "{event.type.last}"})

    for type_, part in (("project.public.updated", "updated"), ("contractSigned", "contractSigned")):
        assert json.loads(shape(replace(FACTS, type=type_), Shape(envelope=last), AT)) == {"t": part}


def test_literals_and_nested_tables_and_lists_are_themselves():
    members = {"v": "1.0", "n": 3, "f": 0.5, "t": True, "braces": "{}", "o": {"x": {"id": "{event.id}"}, "e": {}},
               "l": ["a", "{event.status}", "{context.missing?}"]}  # fmt: skip

    assert body(envelope=compile_envelope(members)) == (
        b'{"v":"1.0","n":3,"f":0.5,"t":true,"braces":"{}","o":{"x":{"id":"evt_1"},"e":{}},"l":["a","open"]}'
    )


def test_a_member_with_a_question_mark_is_left_out_when_there_is_none():
    template = compile_envelope(
        {"a": "{event.status?}", "b": {"c": "{context.missing?}"}, "d": "{selection.x?}", "n": "{context.nothing?}"}
    )

    assert body(envelope=template) == b'{"a":"open","b":{},"n":null}'
    assert shape(replace(FACTS, status=None, context=None), Shape(envelope=template), AT) == b'{"b":{}}'


def test_what_is_lifted_out_leaves_the_selection():
    template = compile_envelope({"transaction": "{selection}", "companies": "{selection.companies?}"})
    facts = replace(FACTS, data=b'{"a":1.50}', companies=(SOUTH,))

    assert shape(facts, Shape(envelope=template), AT) == b'{"transaction":{"a":1.50}}'
    assert shape(facts, Shape(envelope=template, extra_fields=("r",)), AT) == (
        '{"transaction":{"a":1.50},"companies":[{"id":"c2","name":"Süd","fields":{"r":null}}]}'.encode()
    )


def test_a_body_is_the_same_on_every_attempt_unless_the_envelope_tells_the_attempts_second():
    timed = compile_envelope({"at": "{attempt.seconds}"})

    assert shape(FACTS, Shape(envelope=WRAPPED), AT) == shape(FACTS, Shape(envelope=WRAPPED), AT + 60_000)
    assert shape(FACTS, Shape(envelope=timed), AT) != shape(FACTS, Shape(envelope=timed), AT + 60_000)
    assert (WRAPPED.uses_attempt, timed.uses_attempt) == (False, True)


@pytest.mark.parametrize(
    ("members", "key", "says"),
    [
        ({"a": {"b": "{event.idd}"}}, "a.b", "did you mean event.id?"),
        ({"a": "{Event.id}"}, "a", "did you mean event.id?"),
        ({"a": ["{selektion}"]}, "a[0]", "did you mean selection?"),
        ({"a": "x {event.id}"}, "a", "must be the whole text"),
        ({"a": float("nan")}, "a", "can stand here"),
    ],
)
def test_an_envelope_that_cannot_be_filled_is_refused(members: dict[str, Any], key: str, says: str):
    with pytest.raises(TemplateError, match=says.replace("?", r"\?")) as caught:
        compile_envelope(members)

    assert caught.value.key == key


def test_a_form_has_the_leaves_of_the_json():
    sent = body(b'{"items":[{"n":1.50,"ok":true}],"none":null}', envelope=WRAPPED, content_type=ContentType.FORM)

    assert parse_qsl(sent.decode(), keep_blank_values=True) == [
        ("id", "evt_1"), ("data[items][0][n]", "1.50"), ("data[items][0][ok]", "true"), ("data[none]", "")
    ]  # fmt: skip


def test_data_as_deep_as_it_may_be_can_still_be_sent_as_a_form():
    deepest = b'{"a":' * 99 + b"1" + b"}" * 99

    assert shape(replace(FACTS, data=deepest), Shape(envelope=WRAPPED, content_type=ContentType.FORM), AT).endswith(
        b"=1"
    )
    assert body(deepest, field_mapping=(("x", ".".join("y" * 20)),))


# headers


def test_headers_begin_with_the_content_type_and_fill_placeholders_in_text():
    templates = [
        ("X-Event", compile_text("{event.type} of {context.customer_id}, {context.state}")),
        ("X-A", compile_text("a")),
    ]

    assert headers(templates, FACTS, ContentType.JSON, AT) == [
        ("Content-Type", "application/json"),
        ("X-Event", 'job.status_changed of c-9, {"n":1.50}'),
        ("X-A", "a"),
    ]


def test_a_presets_own_content_type_holds_for_json_and_a_form_is_called_a_form():
    templates = [("Content-Type", compile_text("application/cloudevents+json"))]

    assert headers(templates, FACTS, ContentType.JSON, AT) == [("Content-Type", "application/cloudevents+json")]
    assert headers(templates, FACTS, ContentType.FORM, AT) == [("Content-Type", "application/x-www-form-urlencoded")]


def test_a_header_without_a_value_is_empty_or_left_out():
    templates = [("X-A", compile_text("{context.nothing}")), ("X-B", compile_text("b{context.missing?}"))]

    assert headers(templates, FACTS, ContentType.JSON, AT)[1:] == [("X-A", "")]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "é", "a" * 1025, " a"])
def test_no_published_value_can_make_a_header_of_its_own(value: str):
    facts = replace(FACTS, context=json.dumps({"v": value}).encode())

    with pytest.raises(ShapeError, match="X-A can't be sent"):
        headers([("X-A", compile_text("{context.v}"))], facts, ContentType.JSON, AT)


def test_the_selection_can_stand_in_no_header():
    with pytest.raises(TemplateError):
        compile_text("{selection.id}")
    with pytest.raises(TemplateError, match=r"event\.id"):
        compile_text("{event.idd}")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_moments_are_rfc_3339_with_milliseconds(at: int, text: str):
    assert moment(at) == text
