"""Who may claim how much: nobody can starve the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from app.core.fairness import Line, share


def line(webhook_id, *, room=4, organization=1, retrying=False, served=0, replaying=False):
    return Line(webhook_id, organization, room, retrying, served, replaying)


def test_whoever_was_served_longest_ago_comes_first():
    assert list(share([line(1, served=9), line(2, served=3), line(3, served=5)], free=100)) == [2, 3, 1]


def test_of_those_never_served_the_older_webhook_comes_first():
    assert list(share([line(7), line(3), line(5)], free=100)) == [3, 5, 7]


def test_a_line_gets_no_more_than_its_room():
    assert share([line(1, room=4), line(2, room=60)], free=500) == {1: 4, 2: 60}


def test_nothing_is_handed_out_when_nothing_is_free():
    assert share([line(1)], free=0) == {}


def test_hundreds_of_lines_all_get_some_before_any_gets_all_it_has_room_for():
    shares = share([line(number, room=64) for number in range(1, 1001)], free=756)

    assert len(shares) == 95
    assert set(shares.values()) == {8, 4}


def test_what_even_portions_leave_goes_to_the_first():
    assert share([line(1, room=64), line(2, room=5), line(3, room=64)], free=100) == {1: 62, 2: 5, 3: 33}


def test_a_line_without_room_is_passed_over():
    assert share([line(1, room=0), line(2)], free=4) == {2: 4}


def test_retries_get_half_of_the_places_together_and_leave_the_rest_to_first_tries():
    lines = [line(1, room=60, retrying=True), line(2, room=60, retrying=True), line(3, room=60, served=9)]

    shares = share(lines, free=100)

    assert shares[1] + shares.get(2, 0) == 50
    assert shares[3] == 50


def test_replays_get_a_quarter_of_the_places_together_while_others_wait():
    replays = [line(1, room=60, replaying=True), line(2, room=60, replaying=True)]

    shares = share([*replays, line(3, room=200, served=9)], free=100)

    assert shares == {1: 25, 3: 75}
    assert share(replays, free=100) == {1: 50, 2: 50}


def test_one_organization_gets_half_of_the_places_while_another_waits():
    greedy = [line(number, room=50, organization=1) for number in range(1, 5)]
    modest = line(9, room=50, organization=2, served=99)

    shares = share([*greedy, modest], free=100)

    assert sum(shares.get(number, 0) for number in range(1, 5)) == 50
    assert shares[9] == 50


def test_an_organization_that_waits_alone_gets_all():
    assert sum(share([line(number, room=50) for number in (1, 2)], free=100).values()) == 100


def test_one_place_can_go_to_a_retry():
    assert share([line(1, retrying=True)], free=1) == {1: 1}


lines = some.lists(
    some.builds(
        Line,
        webhook_id=some.integers(1, 50),
        organization_id=some.integers(1, 3),
        room=some.integers(0, 64),
        retrying=some.booleans(),
        last_served=some.integers(0, 20),
        replaying=some.booleans(),
    ),
    unique_by=lambda each: each.webhook_id,
    max_size=20,
)


@given(lines, some.integers(0, 200))
def test_no_bound_is_ever_passed(waiting, free):
    shares = share(waiting, free)

    by_id = {each.webhook_id: each for each in waiting}
    half = max(1, free // 2)
    wanting = {each.organization_id for each in waiting if each.room}
    assert sum(shares.values()) <= free
    assert all(0 < places <= by_id[webhook].room for webhook, places in shares.items())
    assert sum(places for webhook, places in shares.items() if by_id[webhook].retrying) <= half
    if any(each.room and not each.replaying for each in waiting):
        assert sum(n for webhook, n in shares.items() if by_id[webhook].replaying) <= max(1, free // 4)
    for organization in wanting if len(wanting) > 1 else ():
        assert sum(n for webhook, n in shares.items() if by_id[webhook].organization_id == organization) <= half


@given(lines, some.integers(2, 200))
def test_something_is_claimed_while_anything_has_room(waiting, free):
    assert bool(share(waiting, free)) is any(each.room for each in waiting)
