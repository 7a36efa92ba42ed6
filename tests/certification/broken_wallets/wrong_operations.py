"""Wallets that break a rule of the bronze tier."""

from __future__ import annotations

import json
from typing import Any

from tests.certification.broken_wallets.sound import SECRET, Clock, Json, Refused, Row, SoundWallet

from croupier.contract import AuthenticationError, Headers, HttpRequest
from croupier_wallet_native.signing import verify


class TellsNoBalanceLater(SoundWallet):
    def do(self, operation: str, body: Json) -> Json:
        if operation == "balance":
            self.account(body)
            self.check_session(body)
        return super().do(operation, body)


class UsesUpSessions(SoundWallet):
    def do(self, operation: str, body: Json) -> Json:
        told = super().do(operation, body)
        if operation == "authenticate":
            del self.sessions[body["session"]]
        return told

    def check_session(self, body: Json) -> None:
        if body["operation"] == "authenticate":
            super().check_session(body)


class TellsTheBalanceBeforeTheBet(SoundWallet):
    def do(self, operation: str, body: Json) -> Json:
        before = self.balances.get(body["player"], 0)
        told = super().do(operation, body)
        if operation == "bet":
            told["balance"]["cash"] = before
        return told


class PaysOneWinOfABet(SoundWallet):
    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.paid: set[str] = set()

    def prize(self, play: Json, change: Json) -> int:
        if change["target"] in self.paid:
            return 0
        if change["target"]:
            self.paid.add(change["target"])
        return super().prize(play, change)


class UndoesTheWholeRound(SoundWallet):
    def given_back(self, target: Row, change: Json) -> int:
        if target.operation != "bet":
            return super().given_back(target, change)
        others = [row for row in self.rows.values() if row.round == target.round and row.operation == "bet"]
        standing = [row for row in others if row.state == "applied"]
        for row in standing:
            row.state = "rolled_back"
        return -sum(row.moved for row in standing) - target.moved


class PaysWinsTwiceOnRollback(SoundWallet):
    def given_back(self, target: Row, change: Json) -> int:
        return abs(target.moved)


class HasOneIdForAll(SoundWallet):
    def result(self, row: Row, change: Json, *, repeated: bool) -> Json:
        return {**super().result(row, change, repeated=repeated), "operator_transaction": f"op-of-{row.player}"}


class LendsOneCent(SoundWallet):
    def check_funds(self, play: Json, amount: int) -> None:
        super().check_funds(play, amount - 1)


class OpensAccountsForAll(SoundWallet):
    def account(self, body: Json) -> None:
        self.balances.setdefault(body["player"], 0)
        super().account(body)


class LooksAtNoCurrency(SoundWallet):
    def account(self, body: Json) -> None:
        super().account({**body, "currency": "EUR"})


class TellsBalancesToAll(SoundWallet):
    def verify(self, request: HttpRequest) -> None:
        if request.path != "/balance":
            super().verify(request)


class BelievesWhatIsNotSigned(SoundWallet):
    def verify(self, request: HttpRequest) -> None:
        if request.headers.get("webhook-signature") is not None:
            super().verify(request)


class ChecksNoWins(SoundWallet):
    def verify(self, request: HttpRequest) -> None:
        if request.path != "/win":
            super().verify(request)


class LooksAtNoTime(SoundWallet):
    def verify(self, request: HttpRequest) -> None:
        verify(request.headers, request.body, (SECRET,), self.now.time, tolerance_seconds=10**9)


class KnowsRepeatsByTheirTime(SoundWallet):
    """It forgets a movement when the very same message comes again."""

    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.heard: set[Headers] = set()

    def verify(self, request: HttpRequest) -> None:
        super().verify(request)
        if request.headers in self.heard and request.path == "/win":
            self.rows.pop(json.loads(request.body)["transaction"], None)
        self.heard.add(request.headers)


class BelievesThePath(SoundWallet):
    def check_path(self, path: str, body: Json) -> None:
        body["operation"] = path


class RefusesZero(SoundWallet):
    def apply(self, play: Json, change: Json) -> Row:
        if change["amount"] == 0:
            raise Refused("amount_invalid")
        return super().apply(play, change)


class AnswersForgeriesWithAFault(SoundWallet):
    """It refuses, but as if it were in trouble."""

    def answer(self, request: HttpRequest) -> Any:
        try:
            self.verify(request)
        except AuthenticationError:
            from croupier.contract import HttpResponse

            return HttpResponse.text("fault", 500)
        return super().answer(request)


BROKEN = {
    "balance-is-told": (TellsNoBalanceLater, {"balance-is-told"}),
    "session-is-confirmed": (UsesUpSessions, {"session-is-confirmed"}),
    "bet-takes-its-amount": (
        TellsTheBalanceBeforeTheBet,
        {"bet-takes-its-amount", "win-pays-its-amount", "rollback-of-a-bet-gives-back"},
    ),
    "win-pays-its-amount": (PaysOneWinOfABet, {"win-pays-its-amount"}),
    "rollback-of-a-bet-gives-back": (UndoesTheWholeRound, {"rollback-of-a-bet-gives-back"}),
    "rollback-of-a-win-takes-back": (
        PaysWinsTwiceOnRollback,
        {
            "rollback-of-a-win-takes-back",
            "repeated-rollback-moves-once",
            "repeat-after-the-rollback-moves-nothing",
            "second-rollback-id-pays-nothing",
            "rollback-of-a-spent-win-is-accepted",
            "large-amounts-are-exact",
        },
    ),
    "own-ids-differ": (HasOneIdForAll, {"own-ids-differ", "batch-is-done-in-order"}),
    "insufficient-funds-are-refused": (
        LendsOneCent,
        {
            "insufficient-funds-are-refused",
            "status-of-an-unknown-movement",
            "take-all-takes-everything",
            "required-funds-are-held",
        },
    ),
    "unknown-player-is-refused": (OpensAccountsForAll, {"unknown-player-is-refused"}),
    "foreign-currency-is-refused": (LooksAtNoCurrency, {"foreign-currency-is-refused"}),
    "forged-signature-is-refused": (TellsBalancesToAll, {"forged-signature-is-refused"}),
    "unsigned-is-refused": (BelievesWhatIsNotSigned, {"unsigned-is-refused"}),
    "tampered-body-is-refused": (ChecksNoWins, {"tampered-body-is-refused", "forged-signature-is-refused"}),
    "old-message-is-refused": (LooksAtNoTime, {"old-message-is-refused"}),
    "replayed-message-moves-nothing": (KnowsRepeatsByTheirTime, {"replayed-message-moves-nothing"}),
    "message-for-another-path-is-refused": (BelievesThePath, {"message-for-another-path-is-refused"}),
    "zero-amounts-are-accepted": (RefusesZero, {"zero-amounts-are-accepted"}),
}
