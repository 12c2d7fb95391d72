"""Which webhooks hear of an event, and the order in which the reasons are told."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from app.core.access import EVERYTHING, View
from app.core.routing import Routed, Target, obstacles, patterns_for, route
from app.core.states import Reason

NORTH, SOUTH = 1, 2
EVENT = Routed(type="job.image.created", unit=NORTH, visible_to=None, data=b'{"total":12}', created_at=0)
TARGET = Target(
    webhook_id=1,
    public_id="whk_1",
    patterns=frozenset({"*"}),
    units=frozenset(),
    owner=EVERYTHING,
    filter=None,
    is_on=True,
    url="https://hooks.acme.test/in",
    attempts_allowed=3,
    created_at=0,
)
IN_THE_WAY = {
    Reason.EVENT_TYPE_NOT_SELECTED: {"patterns": frozenset({"estimate.*"})},
    Reason.BUSINESS_UNIT_NOT_SELECTED: {"units": frozenset({SOUTH})},
    Reason.OWNER_CANNOT_SEE: {"owner": View("max@acme.test", sees_everything=False)},
    Reason.FILTERED_OUT: {"filter": "data.total > `100`"},
    Reason.WEBHOOK_OFF: {"is_on": False},
}


def test_an_event_that_nothing_stops_is_sent():
    assert route(EVENT, TARGET) is None


def test_a_type_is_selected_by_all_by_itself_and_by_each_of_its_leading_parts():
    assert set(patterns_for("job.image.created")) == {"*", "job.image.created", "job.*", "job.image.*"}
    assert set(patterns_for("contractSigned")) == {"*", "contractSigned"}


@pytest.mark.parametrize(
    ("pattern", "is_selected"),
    [
        ("*", True),
        ("job.*", True),
        ("job.image.*", True),
        ("job.image.created", True),
        ("job.image", False),
        ("job.image.created.*", False),
        ("jo*", False),
        ("*.created", False),
        ("JOB.*", False),
    ],
)
def test_a_pattern_selects_whole_parts_from_the_left(pattern, is_selected):
    target = replace(TARGET, patterns=frozenset({pattern}))

    assert (route(EVENT, target) is None) is is_selected


@pytest.mark.parametrize("reason", IN_THE_WAY)
def test_each_rule_alone_stops_an_event_with_its_reason(reason):
    target = replace(TARGET, **IN_THE_WAY[reason])

    assert list(obstacles(EVENT, target)) == [reason]


@pytest.mark.parametrize("reasons", list(combinations(IN_THE_WAY, 2)))
def test_of_several_reasons_the_most_telling_comes_first_and_being_off_last(reasons):
    settings = {name: value for reason in reasons for name, value in IN_THE_WAY[reason].items()}

    assert tuple(obstacles(EVENT, replace(TARGET, **settings))) == reasons
    assert route(EVENT, replace(TARGET, **settings)) is reasons[0]


def test_a_webhook_bound_to_units_hears_nothing_of_events_without_one():
    target = replace(TARGET, units=frozenset({NORTH}))

    assert route(EVENT, target) is None
    assert route(replace(EVENT, unit=None), target) is Reason.BUSINESS_UNIT_NOT_SELECTED


def test_a_webhook_whose_owner_has_left_hears_nothing():
    assert route(EVENT, replace(TARGET, owner=None)) is Reason.OWNER_CANNOT_SEE


def test_the_owner_is_asked_again_for_each_event():
    target = replace(TARGET, owner=View("max@acme.test", sees_everything=False, units=frozenset({NORTH})))
    signed = replace(EVENT, visible_to=frozenset({"eva@acme.test"}))

    assert route(EVENT, target) is None
    assert route(signed, target) is Reason.OWNER_CANNOT_SEE


@pytest.mark.parametrize(
    ("expression", "is_sent"), [("data.total > `10`", True), ("data.total > `12`", False), ("data.gone", False)]
)
def test_a_filter_looks_into_the_data(expression, is_sent):
    assert (route(EVENT, replace(TARGET, filter=expression)) is None) is is_sent
