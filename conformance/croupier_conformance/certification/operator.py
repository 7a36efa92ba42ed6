"""A model of an operator behind the native wallet protocol: a page of rules, kept in memory, that a test may bend.

It is what scenarios compare with: its balances are the money. It checks no signatures, for what is certified here is
an adapter; a wallet's own rules are in `wallet_rules`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import define, field, frozen

from croupier.contract import DeclineReason, HttpRequest, HttpResponse, TransportError, TransportProblem

OPENING: Final = 100_000
"""What every player begins with, in minor units."""

CURRENCY: Final = "EUR"
"""What every player's account is kept in."""


@frozen(kw_only=True)
class Moved:
    """One movement that the operator holds.

    Attributes:
        transaction: The hub's id.
        player: The operator's id of the player.
        operation: `bet`, `win` or `rollback`.
        change: What it changed the balance by, in minor units.
    """

    transaction: str
    player: str
    operation: str
    change: int


class _RefusedError(Exception):
    def __init__(self, reason: DeclineReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@define(eq=False)
class ModelOperator:
    """Accounts, and what moved on them.

    Attributes:
        balances: Player to minor units; only these players exist.
        moves: Everything that was done, oldest first, by the hub's id.
        undone: Ids that were taken back, or may never be applied.
        refuses: Refuses bets for this reason, as long as it is set.
        keeps: Refuses rollbacks for this reason, as long as it is set.
        garbled: Does what it is asked (nothing, if it is `silent`) and answers with this, as long as it is set.
        knows_rollbacks_by_id: Knows a rollback again by its own id alone: another id for the same bet pays once more.
        silent: Does nothing and answers nothing, as long as it is set.
        mute: Does what it is asked and answers nothing, as long as it is set.
        asked: How many requests that move money came.
    """

    balances: dict[str, int] = field(factory=dict)
    moves: dict[str, Moved] = field(factory=dict)
    undone: set[str] = field(factory=set)
    refuses: DeclineReason | None = None
    keeps: DeclineReason | None = None
    garbled: bytes | None = None
    knows_rollbacks_by_id: bool = False
    silent: bool = False
    mute: bool = False
    asked: int = 0

    def open(self, player: str, minor: int = OPENING) -> None:
        """Give a player an account, if there is none."""
        self.balances.setdefault(player, minor)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one request of the hub; all of it is done, or nothing.

        Raises:
            TransportError: The wallet is silent.
        """
        if self.silent and self.garbled is not None:
            return HttpResponse.json(self.garbled)
        if self.silent:
            raise TransportError("the wallet is silent", problem=TransportProblem.NO_ANSWER)
        asked = json.loads(request.body)
        before = dict(self.balances), dict(self.moves), set(self.undone)
        try:
            told = self._answer(asked)
        except _RefusedError as refused:
            self.balances, self.moves, self.undone = before
            told = self._refusal(asked, refused.reason)
        if self.mute:
            raise TransportError("the wallet's answer is lost", problem=TransportProblem.NO_ANSWER)
        if self.garbled is not None:
            return HttpResponse.json(self.garbled)
        return HttpResponse.json(json.dumps(told))

    def standing(self) -> list[Moved]:
        """Bets and wins that stand."""
        return [move for move in self.moves.values() if move.operation != "rollback" and not self._is_undone(move)]

    def state(self) -> tuple[Any, ...]:
        """Equal before and after what moves nothing."""
        changes = tuple((move.transaction, move.change) for move in self.moves.values() if move.change)
        return tuple(sorted(self.balances.items())), changes

    def _is_undone(self, move: Moved) -> bool:
        return move.transaction in self.undone

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["player"] not in self.balances:
            raise _RefusedError(DeclineReason.PLAYER_UNKNOWN)
        if asked["currency"] != CURRENCY:
            raise _RefusedError(DeclineReason.CURRENCY_WRONG)
        match asked["operation"]:
            case "authenticate" | "balance":
                return {"status": "ok", "player": asked["player"], "balance": self._balance(asked)}
            case "status":
                return {"status": "ok", "transaction": asked["transaction"], "state": self._state(asked["transaction"])}
            case "batch":
                self.asked += 1
                movements = [self._move(asked, item) for item in asked["movements"]]
                told = {"batch": asked["batch"], "movements": movements}
                return {"status": "ok", **told, "balance": self._balance(asked)}
            case _:
                self.asked += 1
                return {"status": "ok", **self._move(asked, asked), "balance": self._balance(asked)}

    def _state(self, transaction: str) -> str:
        if transaction in self.undone:
            return "rolled_back"
        return "applied" if transaction in self.moves else "not_found"

    def _balance(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"cash": max(self.balances[asked["player"]], 0), "currency": CURRENCY}

    def _move(self, play: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
        transaction, nothing = item["transaction"], False
        if transaction in self.undone:
            raise _RefusedError(DeclineReason.ALREADY_ROLLED_BACK)
        if transaction not in self.moves:
            nothing = self._do(play["player"], item)
        told = {"transaction": transaction, "operator_transaction": f"op-{transaction}", "nothing_moved": nothing}
        return {**told, "amount": abs(self.moves[transaction].change)} if item["take_all"] else told

    def _do(self, player: str, item: dict[str, Any]) -> bool:
        """Do one movement; whether it is a rollback that had nothing to undo."""
        operation, nothing = item["operation"], False
        match operation:
            case "bet":
                change = -self._stake(player, item)
            case "win":
                change = item["amount"]
            case _:
                change, nothing = self._undo(player, item)
        moved = Moved(transaction=item["transaction"], player=player, operation=operation, change=change)
        self.moves[item["transaction"]] = moved
        self.balances[player] += change
        return nothing

    def _undo(self, player: str, item: dict[str, Any]) -> tuple[int, bool]:
        """What a rollback moves, and whether there was nothing to undo."""
        if self.keeps is not None:
            raise _RefusedError(self.keeps)
        target = self.moves.get(item["target"])
        if target is not None and (target.player, target.operation) != (player, item["undoes"]):
            raise _RefusedError(DeclineReason.CONFLICT)
        undone = item["target"] in self.undone and not self.knows_rollbacks_by_id
        self.undone.add(item["target"])
        return (0, True) if target is None or undone else (-target.change, False)

    def _stake(self, player: str, item: dict[str, Any]) -> int:
        if self.refuses is not None:
            raise _RefusedError(self.refuses)
        held, amount = max(self.balances[player], 0), int(item["amount"])
        if item["kind"] != "adjustment" and held < max(amount, item["funds_required"] or 0):
            raise _RefusedError(DeclineReason.INSUFFICIENT_FUNDS)
        return held if item["take_all"] else amount

    def _refusal(self, asked: dict[str, Any], reason: DeclineReason) -> dict[str, Any]:
        echo = next(name for name in ("batch", "transaction", "player") if name in asked)
        told = {"status": "refused", "reason": reason.value, echo: asked[echo]}
        known = asked["player"] in self.balances and asked["currency"] == CURRENCY
        return {**told, "balance": self._balance(asked)} if known else told
