"""The states of a delivery: what may follow what."""

from __future__ import annotations

from app.core.states import FINISHED, MOVES, UNDELIVERED, DeliveryState

S = DeliveryState


def followers():
    pairs = {(before, after) for froms, tos in MOVES.values() for before in froms for after in tos}
    return {state: {after for before, after in pairs if before is state} for state in (None, *S)}


def test_a_delivery_begins_pending_or_skipped_and_no_other_way():
    assert followers()[None] == {S.PENDING, S.SKIPPED}


def test_what_was_delivered_or_skipped_never_moves_again():
    assert followers()[S.DELIVERED] == set()
    assert followers()[S.SKIPPED] == set()


def test_only_a_person_brings_back_what_failed_or_was_canceled():
    leaving = {name for name, (froms, _) in MOVES.items() if froms & {S.FAILED, S.CANCELED}}

    assert leaving == {"requeue"}


def test_what_is_being_sent_cannot_be_canceled():
    assert S.CANCELED not in followers()[S.SENDING]


def test_every_state_can_be_reached_and_every_unfinished_one_left():
    reached = set().union(*followers().values())

    assert reached == set(S)
    assert all(followers()[state] for state in set(S) - FINISHED)


def test_a_delivery_is_counted_as_undelivered_as_long_as_somebody_may_have_to_look_at_it():
    assert set(S) - FINISHED | {S.FAILED} == UNDELIVERED
