"""Looking for a text inside payloads: what is found, how far is looked, and how long."""

from __future__ import annotations

import pytest

from app.errors import Invalid, Refused
from app.services import inside, log
from app.services.log import LogQuery


@pytest.fixture
def payloads(owner, receiver, make_webhook, make_type, publish, deliver, clock):
    """Deliveries of three events, one of them of a webhook that renames a field."""
    make_type("job.mapped"), make_type("job.created")
    make_webhook(
        url=receiver.url, by=owner, field_mapping=[{"field": "customer", "property": "client"}], events=["job.mapped"]
    )
    make_webhook(url=receiver.url, by=owner, events=["job.created"])
    for number, (kind, data) in enumerate(
        [
            ("job.created", b'{"said":"needle"}'),
            ("job.created", b'{"said":"M\\u00fcller"}'),
            ("job.mapped", b'{"customer":"hay"}'),
            ("job.created", b'{"said":"hay"}'),
        ]
    ):
        clock.advance(seconds=1)
        publish(kind, data, id=f"n{number}")
    deliver()


def found(actor, text, **more):
    return [row.event_type for row in inside.page(actor, LogQuery(q=text, inside=True, **more)).rows]


def test_a_text_is_found_in_data_as_written_or_escaped_and_in_what_was_sent(payloads, owner):
    assert len(found(owner, "needle")) == 1
    assert len(found(owner, "Müller")) == 1
    assert found(owner, "client") == ["job.mapped"]
    assert found(owner, "hay") == ["job.created", "job.mapped"]
    assert found(owner, "hay", oldest_first=True) == ["job.mapped", "job.created"]
    assert found(owner, "hay", event_type=("job.mapped",)) == ["job.mapped"]
    assert found(owner, "job.mapped") == ["job.mapped"]  # what matches by itself is there too
    assert found(owner, "Needle") == []


def test_pages_lead_on_and_back(payloads, owner, monkeypatch):
    monkeypatch.setattr(inside, "SLICE", 1)
    asked = {"q": '"', "inside": True, "limit": 3}

    first = inside.page(owner, LogQuery(**asked))
    second = inside.page(owner, LogQuery(**asked, cursor=first.older))
    back = inside.page(owner, LogQuery(**asked, cursor=second.newer, newer=True))

    assert (len(first.rows), len(second.rows), second.older) == (3, 1, None)
    assert back.rows == first.rows
    assert first.looked_to is None


def test_it_stops_when_time_is_up_says_how_far_it_looked_and_goes_on_from_there(payloads, owner, monkeypatch):
    monkeypatch.setattr(inside, "SLICE", 1)
    monkeypatch.setattr(inside, "LONGEST_S", 0)
    newest = log.page(owner, LogQuery()).rows[0]

    page = inside.page(owner, LogQuery(q="needle", inside=True))

    assert (page.rows, page.ran_out_of_time, page.looked_to) == ((), True, newest.created_at)
    rows = []
    while page.older:
        page = inside.page(owner, LogQuery(q="needle", inside=True, cursor=page.older))
        rows += page.rows
    assert len(rows) == 1


def test_it_needs_the_permission_to_see_payloads_and_is_for_the_list_alone(payloads, owner, make_member):
    asked = LogQuery(q="needle", inside=True)

    with pytest.raises(Refused):
        inside.page(make_member("sue", role="Support").actor, asked)
    with pytest.raises(Invalid) as refused:
        log.count(owner, asked)
    assert "in the list alone" in refused.value.problems[0].message
