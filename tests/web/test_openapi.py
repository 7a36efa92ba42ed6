"""The documents about the JSON APIs: valid, complete, and true."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from croupier.web.openapi import shown
from croupier.web.problems import every_error

each_api = pytest.mark.parametrize("api", ["operator_app", "admin_app"])


async def document(desk: Any, api: str) -> Any:
    app = getattr(desk, api)
    (path,) = [path for path in app.documents if path.endswith("openapi.json")]
    return json.loads(app.documents[path]().body)


@each_api
async def test_the_document_is_valid_openapi(desk: Any, api: str) -> None:
    OpenAPIV31SpecValidator(await document(desk, api)).validate()


@each_api
async def test_every_endpoint_of_the_table_is_in_the_document_and_no_other(desk: Any, api: str) -> None:
    found = await document(desk, api)
    documented = {
        (method.upper(), path, one["operationId"])
        for path, methods in found["paths"].items()
        for method, one in methods.items()
    }
    table = getattr(desk, api).table.endpoints
    assert documented == {(one.method, one.path, one.operation) for one in table}
    assert len({one.operation for one in table}) == len(table)


@each_api
async def test_every_class_and_field_is_described(desk: Any, api: str) -> None:
    found = await document(desk, api)
    schemas = found["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, value in schema.get("properties", {}).items()
        if "description" not in value
    ]
    parameters = [
        f"{one['operationId']}.{parameter['name']}"
        for methods in found["paths"].values()
        for one in methods.values()
        for parameter in one.get("parameters", ())
        if parameter["in"] == "query" and "description" not in parameter
    ]
    assert silent + parameters == []
    assert [name for name, schema in schemas.items() if "properties" in schema and not schema["description"]] == []


@each_api
async def test_the_page_loads_nothing_and_has_every_operation_and_error(desk: Any, api: str) -> None:
    app = getattr(desk, api)
    (path,) = [path for path in app.documents if path.endswith("docs")]
    response = app.documents[path]()
    page = response.body.decode()
    assert "<script" not in page
    assert re.findall(r"(?:src|href)=\"(?!#|openapi\.json)[^\"]*", page) == []
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = response.headers.get("Content-Security-Policy")
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    for one in app.table.endpoints:
        assert f'id="{one.operation}"' in page
    for error in every_error():
        assert f'id="{error.code}"' in page


def test_the_wallet_protocol_is_shown_with_a_page_of_its_own() -> None:
    from croupier_wallet_native.dialect import SPEC

    assert SPEC.openapi is not None
    document = SPEC.openapi()
    found = shown(SPEC.openapi, "/wallets/native")
    assert json.loads(found["/wallets/native/openapi.json"]().body)["info"] == document["info"]
    page = found["/wallets/native/docs"]().body.decode()
    assert all(f"<code>{path}</code>" in page for path in document["paths"])
    assert "Bearer" not in page
    assert "<script" not in page
