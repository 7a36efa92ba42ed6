"""The document that operators implement says what the dialect does."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from croupier_wallet_native.messages import REASONS, Operation
from croupier_wallet_native.openapi import openapi

DOCUMENT = openapi()


def conforms(schema: dict[str, Any], value: Any) -> bool:
    return bool(OAS31Validator({**schema, "components": DOCUMENT["components"]}).is_valid(value))


def post(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][f"/{operation.value}"]["post"]
    return found


def request_content(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = post(operation)["requestBody"]["content"]["application/json"]
    return found


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_operation_has_its_path() -> None:
    assert set(DOCUMENT["paths"]) == {f"/{operation.value}" for operation in Operation}


@pytest.mark.parametrize("operation", list(Operation))
def test_every_example_is_of_its_schema(operation: Operation) -> None:
    content = request_content(operation)
    answers = post(operation)["responses"]["200"]["content"]["application/json"]
    assert set(answers["examples"]) == {"ok", "refused"}
    for part in (content, answers):
        for example in part["examples"].values():
            assert conforms(part["schema"], example["value"])


@pytest.mark.parametrize("operation", list(Operation))
def test_a_body_for_another_path_is_not_of_the_schema(operation: Operation) -> None:
    content = request_content(operation)
    other = "win" if operation is not Operation.WIN else "bet"
    assert not conforms(content["schema"], {**content["examples"][operation.value]["value"], "operation": other})


def test_a_rollback_without_its_target_is_not_of_the_schema() -> None:
    content = request_content(Operation.ROLLBACK)
    example = content["examples"]["rollback"]["value"]
    for field in ("target", "undoes"):
        assert not conforms(content["schema"], {**example, field: None})


@pytest.mark.parametrize("amount", [-1, 1.5, "150", True, None, 2**63])
def test_an_amount_that_is_no_whole_number_is_not_of_the_schema(amount: Any) -> None:
    content = request_content(Operation.BET)
    assert not conforms(content["schema"], {**content["examples"]["bet"]["value"], "amount": amount})


def test_every_schema_and_every_field_has_words() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if schema.get("type") != "object":
            continue
        assert schema["description"], name
        assert all(field["description"] for field in schema["properties"].values()), name


def test_the_reasons_are_those_that_the_dialect_takes_for_a_refusal() -> None:
    schema = DOCUMENT["components"]["schemas"]["Refusal"]["properties"]["reason"]
    assert schema["enum"] == list(REASONS)
    assert "duplicate" not in schema["enum"]


def test_the_document_is_printed_by_the_module() -> None:
    done = subprocess.run([sys.executable, "-m", "croupier_wallet_native"], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == DOCUMENT
