"""The webhook form between its controls and the wire."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import MultiDict

from app.core.redaction import MASK
from app.web import form_changes, form_summaries, forms, waits
from app.web.forms import Row, WebhookForm

SETTINGS = {
    "preset": "standard",
    "name": "Billing",
    "url": "https://hooks.acme.test/in",
    "events": ["estimate.*", "job.created"],
    "business_units": ["north"],
    "owner": "ada@acme.test",
    "auth": {"type": "basic", "username": "u", "password": MASK},
    "content_type": "application/json",
    "verify_ssl": True,
    "data_mode": "everything",
    "extra_fields": ["region"],
    "field_mapping": [{"field": "a.b", "property": "c"}, {"field": "d", "property": None}],
    "only_mapped_fields": False,
    "headers": {"X-Env": "prod"},
    "filter": None,
    "signature": {"scheme": "standard", "header": None},
    "retry": {"delays": [5, 300, 7200], "timeout": 15, "jitter": 0.2, "on_exhausted": "keep"},
    "rate_limit": None,
    "max_in_flight": 4,
    "ordered": False,
    "success_codes": ["2xx", "304"],
    "ca": None,
    "client_certificate": None,
    "alert_addresses": ["ops@acme.test"],
}


def test_what_is_shown_and_sent_back_unchanged_is_what_it_was():
    wire, problems = forms.given(forms.shown(SETTINGS))

    assert problems == []
    wire["events"].sort(reverse=False)
    assert {name: wire[name] for name in SETTINGS if name in wire} == {
        name: value for name, value in SETTINGS.items() if name in wire
    }
    assert set(SETTINGS) - set(wire) == {"client_certificate"}


def test_a_stored_secret_is_not_in_the_form_and_stays_when_its_field_is_left_empty():
    form = forms.shown(SETTINGS)

    assert MASK not in repr(form)
    assert form.stored == {"auth.password"}
    assert forms.given(form)[0]["auth"] == {"type": "basic", "username": "u", "password": MASK}


def test_a_secret_that_was_never_stored_is_sent_as_typed():
    form = WebhookForm(auth_type="bearer", auth={"token": "t0k"}, stored=frozenset({"auth.password"}))

    assert forms.given(form)[0]["auth"] == {"type": "bearer", "token": "t0k"}


def test_a_row_that_is_left_out_keeps_the_others_at_their_place():
    posted = MultiDict(
        [
            ("mapping_field", "a"),
            ("mapping_property", "x"),
            ("mapping_field", "b"),
            ("mapping_property", ""),
            ("mapping_field", "c"),
            ("mapping_property", "z"),
            ("mapping_leave", "1"),
        ]
    )

    assert forms.read(posted).mapping == (Row("a", "x"), Row("b", "", leave_out=True), Row("c", "z"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("row.up.1", "bac"),
        ("row.up.0", "abc"),
        ("row.down.1", "acb"),
        ("row.down.2", "abc"),
        ("row.remove.1", "ac"),
        ("row.remove.9", "abc"),
        ("row.reset", ""),
        ("row.add", "abc "),
        ("row.up.x", "abc"),
        ("nonsense", "abc"),
    ],
)
def test_rows_move_where_they_are_told(asked, expected):
    form = WebhookForm(mapping=tuple(Row(name) for name in "abc"))

    assert "".join(row.field or " " for row in form_changes.changed(form, asked).mapping) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5 s, 5 min, 2 h", [5, 300, 7200]),
        ("5, 300", [5, 300]),
        ("1.5 h", [5400]),
        ("0.5 s", [0.5]),
        ("2 days", [172_800]),
        ("", []),
        ("soon", None),
        ("5 s,, 6", [5, 6]),
        ("-5 s", None),
    ],
)
def test_waits_are_read_with_their_units(text, seconds):
    assert waits.seconds_of(text) == seconds


def test_a_ladder_reads_back_as_it_was_written():
    delays = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, 90, 0.25]

    assert waits.seconds_of(waits.ladder(delays)) == delays


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("timeout", "fast", "retry.timeout"),
        ("timeout", "nan", "retry.timeout"),
        ("timeout", "inf", "retry.timeout"),
        ("jitter", "-1", "retry.jitter"),
        ("delays", "soon", "retry.delays"),
        ("max_in_flight", "4.5", "max_in_flight"),
        ("max_in_flight", "²", "max_in_flight"),
        ("rate_limit", "many", "rate_limit"),
        ("headers", "X-Env prod", "headers"),
        ("headers", "A: 1\nA: 2", "headers"),
    ],
)
def test_what_cant_be_read_is_named_by_its_field(field, value, problem):
    form = WebhookForm(**{field: value})

    assert [found.field for found in forms.given(form)[1]] == [problem]


def test_only_some_units_without_one_is_a_problem_not_all_units():
    wire, problems = forms.given(WebhookForm(which_units="only"))

    assert [problem.field for problem in problems] == ["business_units"]
    assert wire["business_units"] == []


def test_another_preset_fills_in_what_was_not_touched_and_nothing_else():
    other = {**SETTINGS, "retry": {**SETTINGS["retry"], "delays": [10], "timeout": 3}, "success_codes": ["2xx"]}
    form = forms.shown(SETTINGS)
    touched = WebhookForm(**{**{n: getattr(form, n) for n in WebhookForm.__slots__}, "timeout": "20", "preset": "vomo"})

    filled = form_changes.refilled(touched, SETTINGS, {**other, "preset": "vomo"}, asks_units=False)

    assert (filled.delays, filled.timeout, filled.success_codes) == ("10 s", "20", "2xx")
    assert (filled.name, filled.url, filled.preset) == ("Billing", "https://hooks.acme.test/in", "vomo")


def test_summaries_say_the_result_in_words():
    form = forms.shown(SETTINGS)

    assert form_summaries.delivery_summary(form) == "up to 4 attempts within about 2 h · 15 s each"
    assert form_summaries.advanced_summary(form) == "no filter · 1 header · success is 2xx, 304 · alerts by mail"
    assert form_summaries.delivery_summary(WebhookForm(delays="")) == "a single attempt · 15 s"
