"""A model of an operator's wallet: small enough to be read as the definition of right, with the field's variants.

It speaks a dialect of its own, so that the money path can be tried without any wire protocol. Each variant is a wallet
that exists: without tombstones, without batches, one that dedupes rollbacks by their id alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from croupier.contract import (
    Balance,
    Credentials,
    Currency,
    DeclineReason,
    Dialect,
    DialectSpec,
    HttpRequest,
    HttpResponse,
    Money,
    TransactionState,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletRefused,
    WalletReply,
    WalletStatus,
    WalletStatusReply,
    WalletUnknown,
)


@frozen
class ModelSettings:
    """The model has no settings but the address that every dialect has."""

    url: str = "https://wallet.example"


class ModelDialect(Dialect):
    """The calls as JSON, as they are."""

    def __init__(self, settings: ModelSettings) -> None:
        self.spec = SPEC
        self._url = settings.url

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        return HttpRequest("POST", self._url, body=json.dumps(_written(call)).encode())

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        if response.status != 200:
            return WalletUnknown(detail=f"status {response.status}")
        said = json.loads(response.body)
        currency = call.player.currency
        balance = _balance(said.get("balance"), currency)
        if "refused" in said:
            return WalletRefused(reason=DeclineReason(said["refused"]), balance=balance)
        if "state" in said:
            return WalletStatusReply(state=TransactionState(said["state"]), balance=balance)
        return WalletApplied(
            balance=balance,
            nothing_moved=said.get("nothing", False),
            operator_transactions=said.get("ids", {}),
            amounts=said.get("amounts", {}),
        )


SPEC = DialectSpec(
    slug="model",
    name="Model wallet",
    capabilities=frozenset(WalletCapability),
    secrets=(),
    settings=ModelSettings,
    create=ModelDialect,
)


def _balance(minor: int | None, currency: Currency) -> Balance | None:
    return None if minor is None else Balance(Money(minor, currency))


def _written(call: WalletCall) -> dict[str, Any]:
    match call:
        case WalletAuthenticate() | WalletBalance():
            return {"do": "balance", "player": call.player.player}
        case WalletStatus():
            return {"do": "status", "player": call.player.player, "id": call.transaction}
        case WalletMove():
            return {"do": "move", "player": call.player.player, "moves": [_move(call.movement)]}
        case WalletBatch():
            return {"do": "move", "player": call.player.player, "moves": [_move(item) for item in call.movements]}


def _move(movement: WalletMovement) -> dict[str, Any]:
    return {
        "op": movement.operation.value,
        "id": movement.transaction,
        "amount": movement.amount.minor,
        "target": movement.target,
        "everything": movement.operator_decides,
    }


@define
class ModelWallet:
    """An operator's book, and the rules by which it moves.

    Attributes:
        balances: Player to minor units.
        applied: Bet or win id to (player, signed minor units).
        undone: Ids of bets and wins that were rolled back, or may never be applied.
        rollbacks: Rollback ids that were seen.
        tombstones: Whether a rollback of something unknown is remembered.
        refuse_shortfall: Whether the rollback of a win that the player no longer has is refused.
        by_rollback_id_alone: Whether rollbacks are recognised by their own id only: two ids for one bet pay twice.
        dedupes: Whether the same bet or win twice moves money once.
        refuse: Refuses credits, for as long as it is set.
        refuse_undo: Refuses rollbacks, for as long as it is set.
        garbage: Answers with this instead of the truth, for as long as it is set.
    """

    balances: dict[str, int] = field(factory=dict)
    applied: dict[str, tuple[str, int]] = field(factory=dict)
    undone: set[str] = field(factory=set)
    rollbacks: set[str] = field(factory=set)
    tombstones: bool = True
    refuse_shortfall: bool = False
    by_rollback_id_alone: bool = False
    dedupes: bool = True
    refuse: DeclineReason | None = None
    refuse_undo: DeclineReason | None = None
    garbage: bytes | None = None
    calls: list[dict[str, Any]] = field(factory=list)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one call; a batch is applied whole or not at all."""
        answer = self._answer(request)
        return answer if self.garbage is None else HttpResponse(200, body=self.garbage)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        said = json.loads(request.body)
        self.calls.append(said)
        player = said["player"]
        if player not in self.balances:
            return _json({"refused": DeclineReason.PLAYER_UNKNOWN.value})
        match said["do"]:
            case "balance":
                return _json({"balance": self.balances[player]})
            case "status":
                return _json({"state": self._state(said["id"]), "balance": self.balances[player]})
            case _:
                return self._moves(player, said["moves"])

    def _state(self, transaction: str) -> str:
        if transaction in self.undone:
            return str(TransactionState.ROLLED_BACK.value)
        state = TransactionState.APPLIED if transaction in self.applied else TransactionState.NOT_FOUND
        return str(state.value)

    def _moves(self, player: str, moves: list[dict[str, Any]]) -> HttpResponse:
        before = (dict(self.balances), dict(self.applied), set(self.undone), set(self.rollbacks))
        nothing = True
        for move in moves:
            outcome = self._one(player, move)
            if isinstance(outcome, DeclineReason):
                self.balances, self.applied, self.undone, self.rollbacks = before
                return _json({"refused": outcome.value, "balance": self.balances[player]})
            nothing = nothing and not outcome
        ids = {move["id"]: f"op-{move['id']}" for move in moves}
        amounts = {move["id"]: abs(self.applied[move["id"]][1]) for move in moves if move["everything"]}
        return _json({"balance": self.balances[player], "nothing": nothing, "ids": ids, "amounts": amounts})

    def _one(self, player: str, move: dict[str, Any]) -> bool | DeclineReason:
        """Apply one movement; whether anything moved, or why not."""
        if move["op"] == WalletOperation.ROLLBACK.value:
            return self.refuse_undo or self._rollback(player, move)
        if move["id"] in self.undone:
            return DeclineReason.ALREADY_ROLLED_BACK
        if move["id"] in self.applied and self.dedupes:
            return True
        debit = move["op"] == WalletOperation.BET.value
        amount = max(self.balances[player], move["amount"]) if move["everything"] else move["amount"]
        signed = -amount if debit else amount
        if not debit and self.refuse is not None:
            return self.refuse
        if debit and self.balances[player] < amount:
            return DeclineReason.INSUFFICIENT_FUNDS
        self.applied[move["id"]] = (player, signed)
        self.balances[player] += signed
        return True

    def _rollback(self, player: str, move: dict[str, Any]) -> bool | DeclineReason:
        target = move["target"]
        if move["id"] in self.rollbacks:
            return False
        if not self.by_rollback_id_alone and target in self.undone:
            return False
        if target not in self.applied:
            if self.tombstones:
                self.rollbacks.add(move["id"])
                self.undone.add(target)
            return False
        if self.refuse_shortfall and self.balances[player] < self.applied[target][1]:
            return DeclineReason.INSUFFICIENT_FUNDS
        self.rollbacks.add(move["id"])
        self.undone.add(target)
        self.balances[player] -= self.applied[target][1]
        return True


def _json(value: dict[str, Any]) -> HttpResponse:
    return HttpResponse.json(json.dumps(value))
