"""Requests generated from the documents: whatever is sent, the answer is one that the document names."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from requests import Request

from croupier.contract import Headers, HttpRequest
from croupier.web.admin_api import admin_table
from croupier.web.admin_api.table import DESCRIPTION as ADMIN
from croupier.web.apps import Incoming
from croupier.web.openapi import openapi
from croupier.web.operator_api import operator_table
from croupier.web.operator_api.table import DESCRIPTION as OPERATOR

OPERATOR_DOCUMENT = openapi(OPERATOR, operator_table(cast("Any", None)))
ADMIN_DOCUMENT = openapi(ADMIN, admin_table(cast("Any", None)))


def cases(document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Cases of every operation, right ones and wrong ones."""
    schema = schemathesis.openapi.from_dict(document)
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    operations: list[Any] = [found.ok() for found in cast("Any", schema.get_all_operations())]
    return st.one_of([operation.as_strategy(generation_mode=mode) for operation in operations for mode in modes])


def request_of(case: Any, key: str) -> HttpRequest:
    """A generated case as it comes out of a socket."""
    arguments = case.as_transport_kwargs(base_url="http://hub.example")
    known = {name: arguments.get(name) for name in ("method", "url", "params", "json", "data", "cookies")}
    prepared = Request(**known).prepare()
    body: Any = prepared.body or b""
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    fields = (("Authorization", f"Bearer {key}"), ("Content-Type", "application/json"))
    return HttpRequest(prepared.method or "", prepared.path_url, Headers(fields if raw else fields[:1]), raw)


async def answered_as_documented(app: Any, document: dict[str, Any], request: HttpRequest) -> None:
    response = await app.answer(Incoming(request=request, source="198.51.100.7"))
    assert response.status < 500, response.body
    if response.headers.get("Content-Type") != "application/json":
        return
    name = "ProblemAnswer"
    if response.status < 300:
        endpoint, _ = app.table.find(request)
        assert response.status == endpoint.status
        name = endpoint.answer.__name__
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    OAS31Validator(schema).validate(json.loads(response.body))


generated = settings(
    max_examples=150,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


@pytest.mark.filterwarnings("default")
@generated
@given(case=cases(OPERATOR_DOCUMENT))
async def test_the_operator_api_answers_as_its_document_says(desk: Any, case: Any) -> None:
    await answered_as_documented(desk.operator_app, OPERATOR_DOCUMENT, request_of(case, desk.keys["acme"]))


@pytest.mark.filterwarnings("default")
@generated
@given(case=cases(ADMIN_DOCUMENT))
async def test_the_admin_api_answers_as_its_document_says(desk: Any, case: Any) -> None:
    await answered_as_documented(desk.admin_app, ADMIN_DOCUMENT, request_of(case, "bootstrap-test-key"))
