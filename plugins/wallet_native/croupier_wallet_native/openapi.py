"""The OpenAPI 3.1 document of what an operator implements, made from the messages themselves.

Schemas come from the classes of messages, the text of every field from their docstrings, and examples are real
messages: the document cannot say anything else than the dialect does. `python -m croupier_wallet_native` prints it.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

import msgspec

from croupier.contract import Funding, TransactionState, WalletOperation
from croupier_wallet_native import messages
from croupier_wallet_native.messages import (
    AuthenticateAnswer,
    AuthenticateRequest,
    BalanceAnswer,
    BalanceNow,
    BalanceRequest,
    BatchAnswer,
    BatchedAnswer,
    BatchedMovement,
    BatchRequest,
    MoveAnswer,
    MoveRequest,
    Operation,
    Refusal,
    StatusAnswer,
    StatusRequest,
)

VERSION: Final = "1.0.0"

_BET: Final = "6f2b8f3a-5d55-5e0c-9d59-2f0c1d7c8a01"
_WIN: Final = "0c1b6a0e-2f7e-5a43-8a11-6f0f4f0b7c02"
_ROLLBACK: Final = "b7f0a1c4-93d6-5f0e-8e0b-1d2c3b4a5d03"
_BATCH: Final = "d41e7a90-0b6c-5c1f-9a7d-7e6f5a4b3c04"

_WHO: Final[dict[str, Any]] = {"player": "p-1001", "session": "s-77f0", "currency": "EUR"}
_PLACE: Final[dict[str, Any]] = {
    "provider": "acme",
    "connection": "acme-main",
    "game": "acme:book-of-tests",
    "round": "r-2041",
    "provider_round": "88412005",
    "grant": None,
}
_ORDINARY: Final[dict[str, Any]] = {
    "stake": None,
    "funding": Funding.PLAYER,
    "funds_required": None,
    "take_all": False,
}
_BALANCE: Final = BalanceNow(cash=9850, bonus=0, currency="EUR")

_SUMMARIES: Final = {
    Operation.AUTHENTICATE: "Confirm a session and tell who plays",
    Operation.BALANCE: "Tell the balance",
    Operation.BET: "Take a stake",
    Operation.WIN: "Credit a win; never refused for the session's sake",
    Operation.ROLLBACK: "Undo a bet or a win, whole; remembered even if there is nothing to undo",
    Operation.BATCH: "Several movements, all or none",
    Operation.STATUS: "Tell what became of a transaction",
}


def openapi() -> dict[str, Any]:
    """The document, as JSON-ready values. Each call makes a new one."""
    _, schemas = msgspec.json.schema_components(messages.MESSAGES, ref_template="#/components/schemas/{name}")
    for name, schema in schemas.items():
        _describe(schema, getattr(messages, name, None))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Croupier wallet protocol",
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "What an operator's wallet implements: the hub is the client. " + _text(messages),
        },
        "servers": [
            {
                "url": "{wallet}",
                "description": "Your wallet, as configured at the hub.",
                "variables": {"wallet": {"default": "https://wallet.operator.example/croupier"}},
            }
        ],
        "security": [{"signature": []}],
        "paths": {f"/{operation.value}": {"post": _operation(operation)} for operation in Operation},
        "components": {
            "schemas": schemas,
            "parameters": _header_parameters(),
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "Standard Webhooks, symmetric v1. Verify before you parse.",
                }
            },
        },
    }


def examples() -> dict[Operation, tuple[Any, Any]]:
    """For each operation a request and the answer that accepts it, as values."""
    bet: dict[str, Any] = {"transaction": _BET, "amount": 150, "kind": "bet", "target": None, "undoes": None}
    win: dict[str, Any] = {"transaction": _WIN, "amount": 400, "kind": "win", "target": _BET, "undoes": None}
    undo: dict[str, Any] = {
        "transaction": _ROLLBACK,
        "amount": 150,
        "kind": "rollback",
        "target": _BET,
        "undoes": "bet",
    }
    return {
        Operation.AUTHENTICATE: (
            AuthenticateRequest(operation=Operation.AUTHENTICATE, provider="acme", game=_PLACE["game"], **_WHO),
            AuthenticateAnswer(status="ok", player="p-1001", balance=_BALANCE, country="SE", language="sv"),
        ),
        Operation.BALANCE: (
            BalanceRequest(operation=Operation.BALANCE, **_WHO),
            BalanceAnswer(status="ok", player="p-1001", balance=_BALANCE),
        ),
        Operation.BET: (_move(Operation.BET, bet, closed=False), _moved(_BET, "op-501", 9850)),
        Operation.WIN: (_move(Operation.WIN, win, closed=True), _moved(_WIN, "op-502", 10250)),
        Operation.ROLLBACK: (_move(Operation.ROLLBACK, undo, closed=True), _moved(_ROLLBACK, "op-503", 10000)),
        Operation.BATCH: (
            BatchRequest(
                operation=Operation.BATCH,
                batch=_BATCH,
                round_closed=True,
                movements=(
                    BatchedMovement(operation=WalletOperation.BET, **bet, **_ORDINARY),
                    BatchedMovement(operation=WalletOperation.WIN, **win, **_ORDINARY),
                ),
                **_WHO,
                **_PLACE,
            ),
            BatchAnswer(
                status="ok",
                batch=_BATCH,
                movements=(
                    BatchedAnswer(transaction=_BET, operator_transaction="op-501"),
                    BatchedAnswer(transaction=_WIN, operator_transaction="op-502"),
                ),
                balance=BalanceNow(cash=10250, currency="EUR"),
            ),
        ),
        Operation.STATUS: (
            StatusRequest(operation=Operation.STATUS, transaction=_BET, **_WHO),
            StatusAnswer(status="ok", transaction=_BET, state=TransactionState.APPLIED),
        ),
    }


def _move(operation: Operation, change: dict[str, Any], *, closed: bool) -> MoveRequest:
    return MoveRequest(operation=operation, round_closed=closed, **_WHO, **_PLACE, **change, **_ORDINARY)


def _moved(transaction: str, operator_transaction: str, cash: int) -> MoveAnswer:
    balance = BalanceNow(cash=cash, currency="EUR")
    return MoveAnswer(status="ok", transaction=transaction, operator_transaction=operator_transaction, balance=balance)


def _refusal(operation: Operation) -> Refusal:
    match operation:
        case Operation.BET:
            return Refusal(status="refused", reason="insufficient_funds", transaction=_BET, message="Not enough money.")
        case Operation.WIN:
            return Refusal(status="refused", reason="player_unknown", transaction=_WIN)
        case Operation.ROLLBACK:
            return Refusal(status="refused", reason="conflict", transaction=_ROLLBACK)
        case Operation.BATCH:
            return Refusal(status="refused", reason="already_rolled_back", batch=_BATCH, transaction=_BET)
        case Operation.STATUS:
            return Refusal(status="refused", reason="player_unknown", transaction=_BET)
        case Operation.AUTHENTICATE | Operation.BALANCE:
            return Refusal(status="refused", reason="session_expired", player="p-1001")


def _operation(operation: Operation) -> dict[str, Any]:
    request, answer = examples()[operation]
    body: dict[str, Any] = {
        "allOf": [_reference(request), {"properties": {"operation": {"const": operation.value}}}],
    }
    if operation is Operation.ROLLBACK:
        body["allOf"].append(
            {"properties": {"target": {"type": "string"}, "undoes": {"enum": ["bet", "win"]}}},
        )
    reads = operation in {Operation.AUTHENTICATE, Operation.BALANCE, Operation.STATUS}
    return {
        "operationId": operation.value,
        "summary": _SUMMARIES[operation],
        "description": _text(type(request)),
        "parameters": [
            {"$ref": "#/components/parameters/webhook-id"},
            {"$ref": "#/components/parameters/webhook-timestamp"},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "examples": {operation.value: _example(request)}}},
        },
        "responses": {
            "200": {
                "description": "A definite answer: done, or refused and nothing moved.",
                "content": {
                    "application/json": {
                        "schema": {"oneOf": [_reference(answer), _reference(_refusal(operation))]},
                        "examples": {"ok": _example(answer), "refused": _example(_refusal(operation))},
                    }
                },
            },
            "400": {"description": "The body is malformed, or its operation is not that of the path."},
            "401": {"description": "The signature or its time stamp is wrong. Nothing was read, nothing moved."},
            "default": {
                "description": "Anything else tells the hub nothing. "
                + (
                    "It may ask again."
                    if reads
                    else "It sends the same again, asks for the status, or rolls back, until an answer is definite."
                )
            },
        },
    }


def _example(message: Any) -> dict[str, Any]:
    # As it stands on the wire: a request writes its nulls out, an answer may leave out what it has not.
    value = msgspec.json.decode(msgspec.json.encode(message))
    is_request = "operation" in value
    return {"value": value if is_request else {key: item for key, item in value.items() if item is not None}}


def _reference(message: Any) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{type(message).__name__}"}


def _header_parameters() -> dict[str, Any]:
    fields = {
        "webhook-id": "The transaction or batch; of a read, a digest of the body. Equal for every repeat: do not "
        "answer a repeated read from a store by it, its balance would be old.",
        "webhook-timestamp": "Unix seconds of this attempt. Refuse what is more than 300 seconds away.",
    }
    return {
        name: {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in fields.items()
    }


def _text(documented: Any) -> str:
    """A docstring without its section of attributes, in one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\nAttributes:")[0].split())


def _describe(schema: dict[str, Any], owner: type | None) -> None:
    """Give a schema and its properties the words of the class and of its bases."""
    if owner is None:
        schema.pop("description", None)
        return
    schema["description"] = _text(owner)
    words: dict[str, str] = {}
    bases = reversed(owner.__mro__[:-1])
    for base in (MoveRequest, owner) if owner is BatchedMovement else bases:
        section = (inspect.cleandoc(base.__doc__ or "")).partition("Attributes:\n")[2]
        for name, text in re.findall(r"(?ms)^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", section):
            words[name] = " ".join(text.split())
    for name, field in schema.get("properties", {}).items():
        field["description"] = words[name]
