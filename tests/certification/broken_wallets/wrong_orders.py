"""Wallets that break a rule of the silver tier."""

from __future__ import annotations

from typing import Any

from tests.certification.broken_wallets.sound import Clock, Json, Refused, Row, SoundWallet


class _NamesRepeatsAnew(SoundWallet):
    operation = ""

    def compare(self, row: Row, play: Json, change: Json) -> None:
        super().compare(row, play, change)
        if row.operation == self.operation:
            self.count += 1
            row.number = self.count


class NamesRepeatedBetsAnew(_NamesRepeatsAnew):
    operation = "bet"


class NamesRepeatedWinsAnew(_NamesRepeatsAnew):
    operation = "win"


class RefusesRepeatedRollbacks(SoundWallet):
    def compare(self, row: Row, play: Json, change: Json) -> None:
        super().compare(row, play, change)
        if change["operation"] == "rollback":
            raise Refused("already_rolled_back")


class ForgetsWhatItUndid(SoundWallet):
    def apply(self, play: Json, change: Json) -> Row:
        row = super().apply(play, change)
        if change["operation"] == "rollback" and not row.nothing_moved:
            del self.rows[change["target"]]
        return row


class ComparesNoAmounts(SoundWallet):
    def content(self, play: Json, change: Json) -> tuple[Any, ...]:
        return super().content(play, {**change, "amount": 0})


class HasIdsForEachPlayer(SoundWallet):
    def key_of(self, play: Json, transaction: str, operation: str) -> Any:
        return (play["player"], transaction)


class HasIdsForEachOperation(SoundWallet):
    def key_of(self, play: Json, transaction: str, operation: str) -> Any:
        return (operation, transaction)


class KnowsRollbacksByTheirIdAlone(SoundWallet):
    def is_undone(self, target: Row) -> bool:
        return target.state == "tombstone"


class HidesThatNothingMoved(SoundWallet):
    def result(self, row: Row, change: Json, *, repeated: bool) -> Json:
        return {**super().result(row, change, repeated=repeated), "nothing_moved": False}


class WritesBeforeItLooks(SoundWallet):
    def check_funds(self, play: Json, amount: int) -> None:
        try:
            super().check_funds(play, amount)
        except Refused:
            if "transaction" in play:
                self.remember(play["transaction"], self.row(play, play, -amount))
            raise


class PaysWhatTheRollbackNames(SoundWallet):
    def given_back(self, target: Row, change: Json) -> int:
        return int(change["amount"] if target.operation == "bet" else -change["amount"])


class PaysWhoeverAsks(SoundWallet):
    def may_undo(self, target: Row, play: Json, change: Json) -> bool:
        return True


class ForgetsDeficits(SoundWallet):
    def pay(self, player: str, moved: int) -> None:
        self.balances[player] = max(self.balances[player] + moved, 0)


class PaysWinsInSessionsOnly(SoundWallet):
    def prize(self, play: Json, change: Json) -> int:
        self.check_session(play)
        return super().prize(play, change)


class UndoesInSessionsOnly(SoundWallet):
    def undo(self, play: Json, change: Json) -> tuple[int, bool]:
        self.check_session(play)
        return super().undo(play, change)


class TakesBetsTwice(SoundWallet):
    """What no hub may send anything twice to."""

    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.copies = 0

    def find(self, play: Json, change: Json) -> Row | None:
        row = super().find(play, change)
        return None if row is not None and row.state == "applied" and change["operation"] == "bet" else row


BROKEN = {
    "repeated-bet-moves-once": (
        NamesRepeatedBetsAnew,
        {
            "repeated-bet-moves-once",
            "copies-at-once-move-once",
            "zero-amounts-are-accepted",
            "repeated-batch-moves-once",
        },
    ),
    "repeated-win-moves-once": (
        NamesRepeatedWinsAnew,
        {
            "repeated-win-moves-once",
            "copies-at-once-move-once",
            "zero-amounts-are-accepted",
            "repeated-batch-moves-once",
        },
    ),
    "repeated-rollback-moves-once": (
        RefusesRepeatedRollbacks,
        {"repeated-rollback-moves-once", "rollbacks-at-once-pay-once", "tombstone-outlives-repeats"},
    ),
    "repeat-after-the-rollback-moves-nothing": (
        ForgetsWhatItUndid,
        {"repeat-after-the-rollback-moves-nothing", "status-of-a-rolled-back-movement"},
    ),
    "conflicting-amount-is-refused": (ComparesNoAmounts, {"conflicting-amount-is-refused"}),
    "conflicting-player-is-refused": (HasIdsForEachPlayer, {"conflicting-player-is-refused"}),
    "conflicting-operation-is-refused": (HasIdsForEachOperation, {"conflicting-operation-is-refused"}),
    "second-rollback-id-pays-nothing": (
        KnowsRollbacksByTheirIdAlone,
        {"second-rollback-id-pays-nothing", "rollbacks-at-once-pay-once", "bet-and-rollback-at-once-agree"},
    ),
    "rollback-of-unknown-moves-nothing": (
        HidesThatNothingMoved,
        {"rollback-of-unknown-moves-nothing", "tombstone-outlives-repeats"},
    ),
    "rollback-of-a-refused-bet-moves-nothing": (
        WritesBeforeItLooks,
        {"rollback-of-a-refused-bet-moves-nothing", "status-of-an-unknown-movement"},
    ),
    "rollback-undoes-what-was-recorded": (PaysWhatTheRollbackNames, {"rollback-undoes-what-was-recorded"}),
    "rollback-by-another-player-moves-nothing": (PaysWhoeverAsks, {"rollback-by-another-player-moves-nothing"}),
    "rollback-of-a-spent-win-is-accepted": (
        ForgetsDeficits,
        {"rollback-of-a-spent-win-is-accepted", "adjustment-is-never-refused"},
    ),
    "win-after-the-session-is-paid": (PaysWinsInSessionsOnly, {"win-after-the-session-is-paid"}),
    "rollback-after-the-session-is-done": (UndoesInSessionsOnly, {"rollback-after-the-session-is-done"}),
}
