"""Defects to plant, one at a time, so that it is seen that the three books notice each of them.

They live here and nowhere else: in a wallet that is worse than the example operator, and in the network before it. The
hub has no switch for any of them.

    python demo_sabotage.py DEFECT [options of operator_wallet.py]
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from sqlite3 import Row
from typing import Any

from attrs import evolve, frozen

import operator_wallet
from croupier_wallet_native.signing import sign
from demo_plan import Plan


class WithoutDedupe(operator_wallet.Book):
    """`no-dedupe`: a second copy of a bet or a win moves money again."""

    def _apply(self, play: operator_wallet.Json, change: operator_wallet.Json) -> operator_wallet.Json:
        known = self._movement(change["transaction"])
        result = super()._apply(play, change)
        if known is not None and change["operation"] != "rollback":
            copies = self._db.execute("SELECT COUNT(*) FROM movements").fetchone()[0]
            super()._apply(play, {**change, "transaction": f"{change['transaction']}/copy-{copies}"})
        return result


class WithoutTombstones(operator_wallet.Book):
    """`no-tombstone`: a rollback of something unknown is answered, and forgotten."""

    def _undo(self, play: operator_wallet.Json, change: operator_wallet.Json) -> tuple[int, bool]:
        if self._movement(change["target"]) is None:
            return 0, True
        return super()._undo(play, change)


class PaysEveryRollbackId(operator_wallet.Book):
    """The wallet of `double-rollback-id`: it knows a repeated rollback by the rollback's own id alone."""

    def _undo(self, play: operator_wallet.Json, change: operator_wallet.Json) -> tuple[int, bool]:
        target: Row | None = self._movement(change["target"])
        if target is not None and target["state"] == "rolled_back":
            return -target["moved"], False
        return super()._undo(play, change)


BOOKS: Mapping[str, type[operator_wallet.Book]] = {
    "no-dedupe": WithoutDedupe,
    "no-tombstone": WithoutTombstones,
    "double-rollback-id": PaysEveryRollbackId,
}


JSON: Mapping[str, str] = {"Content-Type": "application/json"}


@frozen
class Message:
    """A request on its way to the wallet."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@frozen
class Answer:
    """The wallet's answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = JSON


Forward = Callable[[Message], Awaitable[Answer | None]]


class LosesWins:
    """`lost-win`: one win in ten is answered as if it had been credited, and never reaches the wallet."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._seen: dict[str, bool] = {}
        self._wins = 0

    async def __call__(self, message: Message) -> Answer | None:
        asked = json.loads(message.body)
        if message.path != "win" or asked["amount"] == 0:
            return await self._forward(message)
        transaction = asked["transaction"]
        if transaction not in self._seen:
            self._wins += 1
            self._seen[transaction] = self._wins % 10 == 3
        if not self._seen[transaction]:
            return await self._forward(message)
        told = {"status": "ok", "transaction": transaction, "operator_transaction": f"lost-{self._wins}"}
        balance = {"cash": asked["amount"], "currency": asked["currency"]}
        return Answer(200, json.dumps({**told, "balance": balance}).encode())


class RenamesRollbacks:
    """`double-rollback-id`: a rollback that is sent again carries another id, as if the hub had made a new one.

    One in three is sent again at once, so that it happens even where the network loses nothing.
    """

    def __init__(self, forward: Forward, secret: str) -> None:
        self._forward = forward
        self._secret = secret
        self._sent: Counter[str] = Counter()

    async def __call__(self, message: Message) -> Answer | None:
        if message.path != "rollback":
            return await self._forward(message)
        transaction = json.loads(message.body)["transaction"]
        self._sent[transaction] += 1
        if self._sent[transaction] > 1:
            return await self._renamed(message, self._sent[transaction])
        answer = await self._forward(message)
        if len(self._sent) % 3 == 1:
            self._sent[transaction] += 1
            await self._renamed(message, self._sent[transaction])
        return answer

    async def _renamed(self, message: Message, attempt: int) -> Answer | None:
        asked = json.loads(message.body)
        body = json.dumps({**asked, "transaction": f"{asked['transaction']}/{attempt}"}).encode()
        proof = sign((self._secret,), f"renamed-{asked['transaction']}-{attempt}", datetime.now(UTC), body)
        headers = {**message.headers, **dict(proof.items)}
        answer = await self._forward(evolve(message, headers=headers, body=body))
        if answer is None or answer.status != 200:
            return answer
        told: dict[str, Any] = json.loads(answer.body)
        return Answer(answer.status, json.dumps({**told, "transaction": asked["transaction"]}).encode())


def defect_of_the_hop(plan: Plan, forward: Forward) -> Forward:
    """The way to the wallet, with the planted defect if it is one of the network's."""
    match plan.sabotage:
        case "lost-win":
            return LosesWins(forward)
        case "double-rollback-id":
            return RenamesRollbacks(forward, plan.wallet_secrets["signing_secret"])
        case _:
            return forward


if __name__ == "__main__":
    operator_wallet.Book = BOOKS[sys.argv.pop(1)]  # type: ignore[misc] # the wallet's own main, with a worse book
    operator_wallet.main()
