"""Wallets that break a rule of the gold tier: many at once, lost answers, garbage, digits."""

from __future__ import annotations

import json
import threading
import time

from tests.certification.broken_wallets.sound import Clock, Json, Malformed, Row, SoundWallet

from croupier.contract import HttpRequest, HttpResponse

PAUSE_SECONDS = 0.05


def pause() -> None:
    """Let the others in; where there are none, none are waited for."""
    if threading.current_thread() is not threading.main_thread():
        time.sleep(PAUSE_SECONDS)


class LooksForWinsBeforeItLocks(SoundWallet):
    def move(self, play: Json, change: Json) -> Json:
        if change["operation"] != "win" or self.find(play, change) is not None:
            return super().move(play, change)
        self.account(play)
        pause()
        with self.exclusive():
            return self.result(self.apply(play, change), change, repeated=False)


class LooksForUndoneBetsBeforeItLocks(SoundWallet):
    """Each rollback of its own id may find the bet standing."""

    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.standing: set[str] = set()

    def move(self, play: Json, change: Json) -> Json:
        if change["operation"] == "rollback":
            target = self.rows.get(change["target"])
            stood = target is not None and target.state == "applied"
            pause()
            if stood:
                self.standing.add(change["transaction"])
        return super().move(play, change)

    def undo(self, play: Json, change: Json) -> tuple[int, bool]:
        if change["transaction"] in self.standing:
            self.rows[change["target"]].state = "applied"
        return super().undo(play, change)


class LosesUpdatesOfWins(SoundWallet):
    def move(self, play: Json, change: Json) -> Json:
        if change["operation"] != "win":
            return super().move(play, change)
        self.account(play)
        with self.exclusive():
            row = self.find(play, change)
            if row is not None:
                self.compare(row, play, change)
                return self.result(row, change, repeated=True)
            row = self.row(play, change, self.prize(play, change))
            self.remember(change["transaction"], row)
            held = self.balances[play["player"]]
        pause()
        self.balances[play["player"]] = held + row.moved
        return self.result(row, change, repeated=False)


class LooksAtTheBalanceBeforeItLocks(SoundWallet):
    def move(self, play: Json, change: Json) -> Json:
        if change["operation"] == "bet" and play is change and change["kind"] == "bet" and not self.find(play, change):
            self.account(play)
            super().check_funds(play, self.needed(change))
            pause()
        return super().move(play, change)

    def check_funds(self, play: Json, amount: int) -> None:
        if play["operation"] != "bet":
            super().check_funds(play, amount)


class LooksForTombstonesBeforeItLocks(SoundWallet):
    def move(self, play: Json, change: Json) -> Json:
        if change["operation"] == "bet" and self.find(play, change) is None:
            pause()
            with self.exclusive():
                row = self.find(play, change)
                if row is not None and row.state == "tombstone":
                    del self.rows[change["transaction"]]
        return super().move(play, change)


class RemembersWhatItAnswered(SoundWallet):
    def remember(self, key: object, row: Row) -> None:
        if not (self.given_up and row.operation == "win"):
            super().remember(key, row)


class WorksOnWhenTheClientLeft(SoundWallet):
    """A bet whose client left waits until somebody asks for the balance, and is then done whatever happened."""

    def __init__(self, now: Clock) -> None:
        super().__init__(now)
        self.waiting: list[Json] = []

    def do(self, operation: str, body: Json) -> Json:
        if operation == "bet" and self.given_up:
            self.waiting.append(body)
        elif operation == "balance":
            for late in self.waiting:
                row = self.find(late, late)
                if row is None or row.state == "tombstone":
                    self.apply(late, late)
            self.waiting.clear()
        return super().do(operation, body) if operation != "bet" or not self.given_up else {}


class FallsOverDepth(SoundWallet):
    def parse(self, raw: bytes) -> Json:
        if raw.startswith(b'{"a":{"a":'):
            json.loads(raw)
        return super().parse(raw)


class TakesTrueForOne(SoundWallet):
    def check_amount(self, movement: Json) -> None:
        if movement.get("amount") is not True:
            super().check_amount(movement)


class TakesNoAmountForZero(SoundWallet):
    def check_amount(self, movement: Json) -> None:
        movement.setdefault("amount", 0)
        super().check_amount(movement)


class TakesNegativeAmounts(SoundWallet):
    def check_amount(self, movement: Json) -> None:
        amount = movement.get("amount")
        super().check_amount({**movement, "amount": abs(amount)} if type(amount) is int else movement)


class KnowsEveryField(SoundWallet):
    def check(self, body: Json) -> None:
        if "certification_field" in body:
            raise Malformed("an unknown field")
        super().check(body)


class FallsOverSize(SoundWallet):
    def answer(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse.text("fault", 500) if len(request.body) > 2**20 else super().answer(request)


class FallsOverHalfACharacter(SoundWallet):
    def check_text(self, body: Json) -> None:
        body.get("player", "").encode()


class PaysNoSingleUnits(SoundWallet):
    def prize(self, play: Json, change: Json) -> int:
        prize = super().prize(play, change)
        return 0 if prize == 1 else prize


class TakesTheLeast(SoundWallet):
    def is_of_everything(self, change: Json) -> bool:
        return False


class LooksAtTheAmountAlone(SoundWallet):
    def needed(self, change: Json) -> int:
        return int(change["amount"])


class CountsInFloats(SoundWallet):
    def prize(self, play: Json, change: Json) -> int:
        return int(float(super().prize(play, change)))


class OverflowsAt64Bits(SoundWallet):
    def stake(self, play: Json, change: Json) -> int:
        amount = change["amount"]
        return super().stake(play, {**change, "amount": -1 if amount == 2**63 - 1 else amount})


BROKEN = {
    "copies-at-once-move-once": (LooksForWinsBeforeItLocks, {"copies-at-once-move-once"}),
    "rollbacks-at-once-pay-once": (LooksForUndoneBetsBeforeItLocks, {"rollbacks-at-once-pay-once"}),
    "hot-player-loses-nothing": (LosesUpdatesOfWins, {"hot-player-loses-nothing"}),
    "bets-at-once-never-overspend": (LooksAtTheBalanceBeforeItLocks, {"bets-at-once-never-overspend"}),
    "bet-and-rollback-at-once-agree": (LooksForTombstonesBeforeItLocks, {"bet-and-rollback-at-once-agree"}),
    "given-up-call-moves-once": (RemembersWhatItAnswered, {"given-up-call-moves-once"}),
    "given-up-bet-is-taken-back": (WorksOnWhenTheClientLeft, {"given-up-bet-is-taken-back"}),
    "broken-json-is-refused": (FallsOverDepth, {"broken-json-is-refused"}),
    "wrong-types-are-refused": (TakesTrueForOne, {"wrong-types-are-refused"}),
    "missing-fields-are-refused": (TakesNoAmountForZero, {"missing-fields-are-refused"}),
    "negative-amounts-are-refused": (TakesNegativeAmounts, {"negative-amounts-are-refused"}),
    "unknown-fields-are-ignored": (KnowsEveryField, {"unknown-fields-are-ignored"}),
    "huge-body-does-no-harm": (FallsOverSize, {"huge-body-does-no-harm"}),
    "strange-text-does-no-harm": (FallsOverHalfACharacter, {"strange-text-does-no-harm"}),
    "smallest-units-add-up": (PaysNoSingleUnits, {"smallest-units-add-up", "hot-player-loses-nothing"}),
    "take-all-takes-everything": (TakesTheLeast, {"take-all-takes-everything"}),
    "required-funds-are-held": (LooksAtTheAmountAlone, {"required-funds-are-held"}),
    "large-amounts-are-exact": (CountsInFloats, {"large-amounts-are-exact"}),
    "largest-bet-is-refused": (OverflowsAt64Bits, {"largest-bet-is-refused"}),
}
