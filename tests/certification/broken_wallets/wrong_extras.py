"""Wallets that break a rule of the platinum tier: batches, tombstones, statuses."""

from __future__ import annotations

from typing import Any

from tests.certification.broken_wallets.sound import Clock, Json, Refused, Row, SoundWallet, with_header

from croupier.contract import HttpRequest, HttpResponse


class DoesBetsBeforeWins(SoundWallet):
    def members(self, body: Json) -> list[Json]:
        body["movements"].sort(key=lambda movement: movement["operation"])
        return super().members(body)


class CommitsEachMember(SoundWallet):
    def take_back(self, balances: dict[str, int], rows: dict[Any, Row]) -> None:
        pass


class RemembersBatchesOnly(SoundWallet):
    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.done: dict[str, list[Json]] = {}

    def members(self, body: Json) -> list[Json]:
        if body["batch"] not in self.done:
            for movement in body["movements"]:
                self.rows.pop(movement["transaction"], None)
            self.done[body["batch"]] = super().members(body)
        return self.done[body["batch"]]


class RefusesBatchesThatAreHalfDone(SoundWallet):
    def members(self, body: Json) -> list[Json]:
        known = [movement["transaction"] in self.rows for movement in body["movements"]]
        if any(known) and not all(known):
            raise Refused("conflict")
        return super().members(body)


class BuriesNoWins(SoundWallet):
    def bury(self, key: Any, play: Json, change: Json) -> None:
        if change["undoes"] != "win":
            super().bury(key, play, change)


class UndoesTombstones(SoundWallet):
    def undo(self, play: Json, change: Json) -> tuple[int, bool]:
        target = self.rows.get(change["target"])
        if target is not None and target.state == "tombstone":
            del self.rows[change["target"]]
            return 0, True
        return super().undo(play, change)


class TellsStatusesLate(SoundWallet):
    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.asked: set[str] = set()

    def status(self, body: Json) -> str:
        state = super().status(body)
        if state == "applied" and body["transaction"] not in self.asked:
            self.asked.add(body["transaction"])
            return "not_found"
        return state


class TellsWhetherAnIdIsKnown(SoundWallet):
    def status(self, body: Json) -> str:
        return "not_found" if super().status(body) == "not_found" else "applied"


class TellsOthersTheStatus(SoundWallet):
    def tells(self, row: Row, body: Json) -> bool:
        return True


class RefusesAdjustments(SoundWallet):
    def stake(self, play: Json, change: Json) -> int:
        self.check_funds(play, change["amount"])
        return super().stake(play, change)


class ClosesConnections(SoundWallet):
    def answer(self, request: HttpRequest) -> HttpResponse:
        return with_header(super().answer(request), "Connection", "close")


BROKEN = {
    "batch-is-done-in-order": (DoesBetsBeforeWins, {"batch-is-done-in-order"}),
    "batch-is-all-or-none": (CommitsEachMember, {"batch-is-all-or-none"}),
    "repeated-batch-moves-once": (RemembersBatchesOnly, {"repeated-batch-moves-once", "batch-completes-what-was-sent"}),
    "batch-completes-what-was-sent": (RefusesBatchesThatAreHalfDone, {"batch-completes-what-was-sent"}),
    "late-bet-moves-nothing": (BuriesNoWins, {"late-bet-moves-nothing"}),
    "tombstone-outlives-repeats": (UndoesTombstones, {"tombstone-outlives-repeats"}),
    "status-of-an-applied-movement": (TellsStatusesLate, {"status-of-an-applied-movement"}),
    "status-of-a-rolled-back-movement": (TellsWhetherAnIdIsKnown, {"status-of-a-rolled-back-movement"}),
    "status-of-an-unknown-movement": (TellsOthersTheStatus, {"status-of-an-unknown-movement"}),
    "adjustment-is-never-refused": (RefusesAdjustments, {"adjustment-is-never-refused"}),
    "connections-are-kept": (ClosesConnections, {"connections-are-kept"}),
}
