"""Data of events as the five source systems would publish them: the packs' own examples, filled with other lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

VARIANTS = 60
"""How many bodies are made up for each event type; numbers and moments then make each event its own."""

NUMBER = 987_650_000
"""Stands for the number of an event's subject until the event is made."""
MOMENT = "@moment@"

_PEOPLE = (
    *("Helen Moor", "Dan Whitby", "Priya Nair", "Owen Brightwell", "Maria Silva", "João Reis", "Anke Thiel"),
    *("Tomasz Zieliński", "Siobhán O’Neill", "Kwame Mensah", "Ingrid Sørensen", "Yuki Tanaka", "Léa Fontaine"),
    *("Matteo Bianchi", "Zeynep Yılmaz", "Ana Kovač", "Ruben de Vries", "Grace Okafor", "Noor Haddad", "Ben Ashdown"),
)
_COMPANIES = (
    *("Nordlicht GmbH", "Südwind AG", "Brightwell Services Ltd", "Atelier Dumas", "Harrow & Finch LLP"),
    *("Caledonia Renewables", "Ponte Nova Lda", "Kestrel Logistics", "Maison Lavande SARL", "Ostsee Reederei KG"),
    *("Tyne Valley Roofing", "Green Quarter Housing", "Bluebird Dental", "Lindqvist & Söner AB"),
)
_STREETS = ("12 Mill Lane", "4 quai Lunel", "1 Harbour Road", "22 Market Square", "7 Foundry Street", "31 Elm Grove")
_CITIES = (("Leeds", "LS1 4DY"), ("York", "YO1 7HH"), ("Porto", "4000-001"), ("Nice", "06300"), ("Kiel", "24103"))
_JOBS = (
    *("Roof repair", "Boiler replacement", "Loft insulation", "Kitchen refit", "Gutter cleaning", "Rewiring"),
    *("Solar panels, 12 modules", "Damp survey", "Garden wall", "Bathroom, ground floor", "Heat pump installation"),
)
_CONTRACTS = (
    *("Office cleaning 2027", "Fleet leasing, 14 vans", "Lift maintenance", "Data processing agreement"),
    *("Framework agreement, facilities", "Cloud hosting, 3 years", "Catering, site North", "Non-disclosure agreement"),
)
_PROJECTS = (
    *("River clean-up", "Reading hour", "Food bank, Saturday shift", "Tree planting", "Repair café"),
    *("Swim coaching", "Night shelter, breakfast", "Beach survey"),
)
_FILES = ("ridge-north", "boiler-plate", "scope-of-work", "floor-plan", "before-start", "meter-reading")
_STATUS = {
    "job": ("lead", "quoted", "approved", "in_progress", "completed", "invoiced"),
    "estimate": ("draft", "sent", "accepted", "declined"),
    "project": ("active", "active", "active", "full", "archived"),
    "transaction": ("draft", "sent", "reviewed", "signed", "expired"),
}
_CONNECTORS = ("accounting", "crm", "hr", "ticketing", "payments")


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: its data, still without number and moments, and the status that it tells."""

    data: bytes
    status: str | None

    def told(self, number: int, moment: bytes) -> bytes:
        """Return the data of event `number`, with `moment` (RFC 3339) as every moment in them."""
        return self.data.replace(b"987650000", b"%d" % number).replace(b"@moment@", moment)


def subjects_of(examples: Mapping[str, bytes], chance: random.Random) -> dict[str, list[Subject]]:
    """Return some variants of each event type's example, by type."""
    return {name: [_subject(name, example, chance) for _ in range(VARIANTS)] for name, example in examples.items()}


def _subject(name: str, example: bytes, chance: random.Random) -> Subject:
    """One variant. A person, a company and a job stay the same throughout it."""
    kind = name.partition(".")[0]
    words = _Words(kind, chance)
    data = words.fill(orjson.loads(example), "")
    status = data.get("status")
    return Subject(orjson.dumps(data), status if isinstance(status, str) else None)


class _Words:
    """The replacements of one variant, by the name of a member and of what it lies in."""

    def __init__(self, kind: str, chance: random.Random) -> None:
        self._chance = chance
        self._person, self._other = chance.sample(_PEOPLE, 2)
        self._company = chance.choice(_COMPANIES)
        self._city, self._postal_code = chance.choice(_CITIES)
        street = chance.choice(_STREETS)
        self._status = _STATUS.get(kind, ("open", "closed"))
        self._names: dict[str, str] = {
            "job": f"{chance.choice(_JOBS)}, {street}",
            "contract": chance.choice(_CONTRACTS),
            "project": chance.choice(_PROJECTS),
            "customer": self._company if kind == "transaction" else self._person,
            "co_contractor": self._company,
            "data": self._company,
            "assigned_to": self._other,
            "created_by": self._other,
            "signers": self._person,
            "signatories": self._person,
            "organization": f"{self._city} Helps",
        }
        self._names[""] = self._names.get(kind, "")
        self._rules: dict[str, Callable[[str, Any], Any]] = {
            "name": lambda inside, old: self._names.get(inside) or old,
            "email": lambda inside, _: _email(self._names.get(inside) or self._person),
            "first_name": lambda *_: self._person.partition(" ")[0],
            "last_name": lambda *_: self._person.partition(" ")[2],
            "street": lambda *_: street,
            "city": lambda *_: self._city,
            "postal_code": lambda *_: self._postal_code,
            "status": lambda *_: chance.choice(self._status),
            "previous_status": lambda *_: self._status[0],
            "connector_type": lambda *_: chance.choice(_CONNECTORS),
            "company_name": lambda *_: self._company,
            "file_name": lambda _, old: f"{chance.choice(_FILES)}.{old.rpartition('.')[2]}",
            "resource_id": lambda *_: f"cus_{chance.randrange(55_000, 55_060)}",
            "number": lambda _, old: f"{old.rpartition('-')[0]}-{NUMBER}",
            "reference": lambda *_: f"2026-{NUMBER}",
        }

    def fill(self, value: Any, inside: str, name: str = "") -> Any:
        """Return `value`, the member `name` of what `inside` names, with what is told replaced."""
        if isinstance(value, dict):
            inner = name or inside
            return {key: self.fill(each, inner, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, name or inside, name) for each in value]
        if name == "id":
            return self._id(value, inside)
        rule = self._rules.get(name)
        if rule is not None and value is not None:
            return rule(inside, value)
        if name.endswith("_at") and isinstance(value, str):
            return MOMENT
        if isinstance(value, float):
            return round(value * self._chance.uniform(0.2, 3.4), 2)
        return value

    def _id(self, value: Any, inside: str) -> Any:
        """The subject's own number; those of people and templates stay."""
        if inside not in ("", "job", "contract"):
            return value
        return NUMBER if isinstance(value, int) else f"{str(value).partition('_')[0]}_{NUMBER}"


def _email(name: str) -> str:
    plain = name.lower().replace("’", "").replace(" ", ".")
    ascii_only = plain.translate(str.maketrans("ãåäáéèíłńóöøüçčşžïıi", "aaaaeeilnooouccsziii"))
    return f"{ascii_only}@mail.test"
