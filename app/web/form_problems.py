"""What is wrong with a webhook's form: in the order of its fields, and all that is wrong with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.errors import Problem

ORDER = (
    "name",
    "url",
    "auth",
    "events",
    "business_units",
    "owner",
    "data_mode",
    "content_type",
    "extra_fields",
    "field_mapping",
    "signature",
    "secret",
    "verify_ssl",
    "retry",
    "rate_limit",
    "max_in_flight",
    "ordered",
    "filter",
    "success_codes",
    "headers",
    "alert_addresses",
    "ca",
    "client_certificate",
)


def top_of(problem: Problem) -> str:
    """The field of the form, or the group of fields: `retry.delays` -> `retry`."""
    return problem.field.partition(".")[0].partition("[")[0]


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems as their fields stand on the page; what belongs to no field comes last."""
    places = {name: place for place, name in enumerate(ORDER)}
    return sorted(problems, key=lambda problem: places.get(top_of(problem), len(places)))


def by_field(problems: Iterable[Problem]) -> dict[str, str]:
    """All that is wrong with each field, as one text."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.field, []).append(problem.message)
    return {field: " ".join(messages) for field, messages in found.items()}
