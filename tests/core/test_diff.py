"""What changed between two models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.diff import diff, model_of, with_diff

trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abé"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    max_leaves=8,
)
models = st.dictionaries(st.text("ab", min_size=1), trees, max_size=3)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('{"address":{"city":"Lyon"}}', '{"address":{"city":"Nice"}}', '{"address.city":{"old":"Lyon","new":"Nice"}}'),
        ('{"a":1}', '{"a":1,"b":2}', '{"b":{"old":null,"new":2}}'),
        ('{"a":1,"b":{"c":2}}', '{"a":1}', '{"b":{"old":{"c":2},"new":null}}'),
        ('{"l":[1,{"x":1},3]}', '{"l":[1,{"x":2}]}', '{"l.1.x":{"old":1,"new":2},"l.2":{"old":3,"new":null}}'),
        ('{"l":[]}', '{"l":["a"]}', '{"l.0":{"old":null,"new":"a"}}'),
        ('{"a":[1]}', '{"a":{"0":1}}', '{"a":{"old":[1],"new":{"0":1}}}'),
        ('{"a":"1"}', '{"a":1}', '{"a":{"old":"1","new":1}}'),
        ('{"a":true}', '{"a":1}', '{"a":{"old":true,"new":1}}'),
        ('{"a":1.50}', '{"a":1e400}', '{"a":{"old":1.50,"new":1e400}}'),
        ('{"a":1.50,"b":1}', '{"b":1.0,"a":1.5}', "{}"),
        ('{"a":1e99999999999999999999}', '{"a":1e99999999999999999998}',
         '{"a":{"old":1e99999999999999999999,"new":1e99999999999999999998}}'),
        ('{"a":123456789012345678901234567890}', '{"a":123456789012345678901234567891}',
         '{"a":{"old":123456789012345678901234567890,"new":123456789012345678901234567891}}'),
    ],
)  # fmt: skip
def test_a_difference_is_told_by_dotted_path(old: str, new: str, expected: str):
    assert diff(old.encode(), new.encode()) == expected.encode()


@given(models)
def test_a_model_does_not_differ_from_itself(model: Any):
    assert diff(json.dumps(model).encode(), json.dumps(model, sort_keys=True).encode()) == b"{}"


@given(models, models)
def test_turned_round_the_same_paths_differ_with_old_and_new_changed_over(one: Any, other: Any):
    there = json.loads(diff(json.dumps(one).encode(), json.dumps(other).encode()))
    back = json.loads(diff(json.dumps(other).encode(), json.dumps(one).encode()))

    assert back == {path: {"old": change["new"], "new": change["old"]} for path, change in there.items()}


DATA = b'{"id":"int_1","resource_id":7,"type":"customer","data":{"total":1.50,"total":2.50}}'


def test_the_difference_goes_in_front_of_the_model_and_nothing_else_is_touched():
    assert with_diff(DATA, "data", "diff", b'{"total":1.00}') == (
        b'{"id":"int_1","resource_id":7,"type":"customer","diff":{"total":{"old":1.00,"new":2.50}},'
        b'"data":{"total":1.50,"total":2.50}}'
    )
    assert model_of(DATA, "data") == b'{"total":1.50,"total":2.50}'


def test_a_first_version_has_an_empty_difference_or_the_producers_own():
    own = DATA.replace(b'"data"', b'"diff":{"x":1},"data"')

    assert with_diff(DATA, "data", "diff", None) == DATA.replace(b'"data"', b'"diff":{},"data"')
    assert with_diff(own, "data", "diff", None) == own
    assert with_diff(own, "data", "diff", b'{"total":2.5}') == DATA.replace(b'"data"', b'"diff":{},"data"')


def test_data_without_a_model_is_left_alone():
    assert with_diff(b'{"id":1}', "data", "diff", b"{}") == b'{"id":1}'
    assert model_of(b'{"id":1}', "data") is None
