"""The OpenAPI document, the page to browse it, and that the calls keep what it says."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import re
from collections import defaultdict
from importlib.resources import files

import hypothesis
import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from app.api import schemas
from app.api.auth import documented
from app.api.schemas.deliveries import LogQuery

KEPT = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture
def document(client) -> dict:
    """The document, which needs no key."""
    return client.get("/api/v1/openapi.json").json


def operations(document):
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"

    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_is_in_the_document_and_nothing_else(app, document):
    routes = {
        (method, re.sub(r"<([^>]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.endpoint != "api_openapi"
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    assert set(operations(document)) == routes


def test_no_two_shapes_share_a_name():
    """The document has one entry a name: of two, one would be told wrongly."""
    found = defaultdict(set)
    for file in pkgutil.iter_modules(schemas.__path__):
        for model in vars(importlib.import_module(f"{schemas.__name__}.{file.name}")).values():
            if isinstance(model, type) and issubclass(model, BaseModel):
                found[model.__name__].add(model.__module__)

    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_every_call_has_a_name_of_its_own_a_summary_and_the_scope_it_needs(document):
    found = operations(document).values()

    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+[A-Za-z]+", name) for name in names)
    assert all(operation["summary"].endswith(".") for operation in found)
    assert all(operation["security"][0]["api_key"] for operation in found)
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"


def test_errors_are_documented_as_problem_documents(document):
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (operation["operationId"], status)


def test_a_body_that_may_be_left_out_is_documented_as_such(document):
    wanted = {
        operation["operationId"]: operation["requestBody"]["required"]
        for operation in operations(document).values()
        if "requestBody" in operation
    }

    left_out = {
        "disableWebhook",
        "testWebhook",
        "rotateSecret",
        "replayDelivery",
        "sendMissed",
        "stopReplay",
        "deactivateMember",
    }
    assert {name for name, required in wanted.items() if not required} == left_out


def test_calls_are_tried_out_below_the_path_that_the_server_lies_at(client):
    answer = client.get("/api/v1/openapi.json", environ_overrides={"SCRIPT_NAME": "/postroom"})

    assert answer.json["servers"] == [{"url": "/postroom"}]


def test_a_documented_view_gets_no_models(client):
    @documented(body=LogQuery)
    def view() -> str:
        return "bytes"

    assert view.__annotations__["body"] is LogQuery
    assert view.__delay_validate_request__ is True


def test_the_schema_of_a_query_is_made_once():
    assert LogQuery.model_json_schema() is LogQuery.model_json_schema()


# --- the page


def test_the_page_runs_under_a_policy_without_exceptions(client):
    page = client.get("/api/docs")

    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|style=| on\w+=", page.text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert address.startswith(("/api/docs/", "/static/"))
        with client.get(address) as file:
            assert file.status_code == 200


def test_the_pages_files_are_those_of_the_package(client):
    folder = files("flask_openapi_swagger") / "templates" / "swagger" / "js"
    wanted = hashlib.sha256((folder / "swagger-ui-bundle.js").read_bytes()).digest()

    with client.get("/api/docs/swagger-ui-bundle.js") as file:
        assert hashlib.sha256(file.data).digest() == wanted
    assert client.get("/api/docs/other.js").status_code == 404


# --- the promises, held against generated calls


def test_generated_calls_are_answered_as_the_document_says(app, api):
    """A few examples for each call, good and bad ones; every answer must be one that is documented."""
    api.post("/event-types", {"name": "job.created"})
    api.put("/business-units/north", {"name": "North"})
    hook = api.post("/webhooks", {"name": "A", "url": "http://127.0.0.1:9999/", "enabled": True}).json
    event = api.post("/events", {"type": "job.created", "data": {"id": 1}}).json
    known = {"webhooks": hook["id"], "events": event["id"], "deliveries": hook["test_delivery"]}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)

    for result in schema.get_all_operations():
        _try_out(result.ok(), known, {"Authorization": f"Bearer {api.key}"})


def _try_out(operation, known, headers):
    known_id = known.get(operation.path.split("/")[3])

    @hypothesis.settings(
        max_examples=4,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(), is_known=hypothesis.strategies.booleans())
    def call(case, is_known):
        if is_known and known_id and "id" in case.path_parameters and case.method != "DELETE":
            case.path_parameters["id"] = known_id
        case.call_and_validate(headers=headers, checks=KEPT)

    call()
