"""The catalogue through the API."""

from __future__ import annotations


def test_an_event_type_is_added_shown_and_listed(api, clock):
    draft = {
        "name": "job.created",
        "kind": "Job Events",
        "title": "Job created",
        "description": "A job was made.",
        "example": {"id": 42},
        "schema": {"type": "object"},
        "schema_mode": "reject",
        "public_name": "job.public.created",
        "searchable": ["id"],
    }

    made = api.post("/event-types", draft)

    assert made.status_code == 201
    assert made.json == {**draft, "pack": None, "created_at": "2026-11-21T09:00:00.000Z"}
    assert api.get("/event-types/job.created").json == made.json
    assert api.get("/event-types").json == {"items": [made.json], "next": None}


def test_what_is_left_out_has_a_plain_default(api):
    made = api.post("/event-types", {"name": "job.created"}).json

    assert (made["kind"], made["title"], made["example"]) == ("Own events", "job.created", {})
    assert (made["schema"], made["schema_mode"], made["public_name"]) == (None, "warn", None)


def test_an_examples_numbers_stay_as_they_are_written(api):
    api.post("/event-types", b'{"name":"job.created", "example": {"total": 1.50, "big": 1e400}}')

    assert b'"example":{"total":1.50,"big":1e400}' in api.get("/event-types/job.created").data


def test_what_is_given_is_changed_and_all_else_stays(api):
    api.post("/event-types", {"name": "job.created", "title": "Job created", "schema": {"type": "object"}})

    edited = api.patch("/event-types/job.created", {"description": "New.", "schema": None, "example": {"a": 1}})

    assert edited.status_code == 200
    assert (edited.json["title"], edited.json["description"]) == ("Job created", "New.")
    assert (edited.json["schema"], edited.json["example"]) == (None, {"a": 1})


def test_a_name_that_is_taken_is_a_conflict(api):
    api.post("/event-types", {"name": "job.created"})

    assert api.post("/event-types", {"name": "job.created"}).status_code == 409


BROKEN_RULES = [
    ("name", "job created"),
    ("name", "job.*"),
    ("name", ""),
    ("name", "x" * 129),
    ("schema", {"type": "nothing"}),
    ("schema", {"$ref": "http://127.0.0.1/x.json"}),
    ("schema_mode", "sometimes"),
    ("example", [1]),
    ("title", ""),
    ("kind", "a\nb"),
    ("public_name", "a b"),
    ("searchable", [1]),
]


def test_what_breaks_a_rule_is_refused(api):
    for member, value in BROKEN_RULES:
        answer = api.post("/event-types", {"name": "job.created", member: value})

        assert answer.status_code == 422, (member, answer.json)
        assert answer.json["errors"][0]["field"].startswith(member)


def test_another_organizations_event_types_are_not_there(api, foreign):
    api.post("/event-types", {"name": "job.created"})

    assert foreign.get("/event-types/job.created").status_code == 404
    assert foreign.patch("/event-types/job.created", {"title": "x"}).status_code == 404
    assert foreign.get("/event-types").json["items"] == []


def test_event_types_are_listed_in_pages(api):
    names = [f"a.b{number}" for number in range(5)]
    for name in names:
        api.post("/event-types", {"name": name})

    first = api.get("/event-types?limit=3").json
    second = api.get(f"/event-types?limit=3&cursor={first['next']}").json

    assert [row["name"] for row in first["items"] + second["items"]] == names
    assert second["next"] is None


def test_a_pack_is_installed_and_its_types_can_be_published(api):
    packs = {pack["name"]: pack for pack in api.get("/event-packs").json["items"]}
    assert {"contracts", "jobs", "vomo", "integrations", "reporting"} <= set(packs)
    names = {kind["name"] for kind in packs["jobs"]["types"]}
    assert "job.created" in names

    installed = api.post("/event-packs/jobs/install")

    assert installed.json == {"name": "jobs", "added": len(names)}
    assert {row["name"] for row in api.get("/event-types?limit=250").json["items"]} == names
    assert api.post("/events", {"type": "job.created", "data": {}}).status_code == 202
    assert api.post("/event-packs/jobs/install").json["added"] == 0


def test_a_pack_that_is_not_there_cannot_be_installed(api):
    assert api.post("/event-packs/nothing/install").status_code == 404
