"""A wallet that holds every rule, in memory, made to be broken in one place at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve

from croupier.contract import (
    AuthenticationError,
    Credentials,
    Currency,
    Headers,
    HttpRequest,
    HttpResponse,
    TransportError,
    TransportProblem,
)
from croupier_conformance.certification.wallet_subject import TestPlayer, WalletSubject
from croupier_wallet_native.dialect import NativeDialect, NativeSettings
from croupier_wallet_native.signing import verify

Json = dict[str, Any]

SECRET = "whsec_dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="  # a test key
EUR = Currency("EUR", 2)
DIALECT = NativeDialect(NativeSettings(url="https://wallet.example"))
TEXTS = ("operation", "player", "currency", "transaction", "round", "kind", "batch")


class Refused(Exception):  # noqa: N818 - a refusal is an answer
    """A definite no."""


class Malformed(Exception):  # noqa: N818 - what a peer did wrong, not the wallet
    """No message of the protocol."""


class Clock:
    """A second passes with every look, so that no two requests have one time stamp."""

    def __init__(self) -> None:
        self.time = datetime(2026, 5, 17, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


@define
class Row:
    """A movement, or the tombstone of one."""

    number: int
    player: str
    operation: str
    content: tuple[Any, ...]
    moved: int
    nothing_moved: bool
    round: str
    state: str = "applied"


class SoundWallet:
    """Accounts, sessions and movements; a broken wallet replaces one method or two."""

    def __init__(self, now: Clock) -> None:
        self.now = now
        self.balances = {"p-1": 20_000, "p-2": 1_000}
        self.sessions = {"s-1": "p-1", "s-2": "p-2"}
        self.rows: dict[Any, Row] = {}
        self.count = 0
        self.given_up = False
        self.lock = threading.RLock()

    # --- HTTP

    def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        """Answer; who gives up soon hears nothing."""
        self.given_up = timeout_seconds < 1
        response = self.answer(request)
        if self.given_up:
            self.given_up = False
            raise TransportError("nobody waited", problem=TransportProblem.NO_ANSWER)
        return response

    def answer(self, request: HttpRequest) -> HttpResponse:
        try:
            self.verify(request)
            body = self.parse(request.body)
            return HttpResponse.json(json.dumps(self.handle(request.path.strip("/"), body)))
        except AuthenticationError:
            return HttpResponse.text("not proven", 401)
        except Malformed as error:
            return HttpResponse.text(str(error), 400)
        except (UnicodeEncodeError, RecursionError) as error:
            return HttpResponse.text(type(error).__name__, 500)

    def verify(self, request: HttpRequest) -> None:
        verify(request.headers, request.body, (SECRET,), self.now.time)

    def parse(self, raw: bytes) -> Json:
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise Malformed("no JSON") from None
        if not isinstance(body, dict):
            raise Malformed("no object")
        return body

    # --- operations

    def handle(self, path: str, body: Json) -> Json:
        self.check_path(path, body)
        self.check(body)
        try:
            return self.do(body["operation"], body)
        except Refused as refusal:
            return self.refusal(body, refusal)

    def check_path(self, path: str, body: Json) -> None:
        if body.get("operation") != path:
            raise Malformed("another operation")

    def check(self, body: Json) -> None:
        for name in TEXTS:
            if name in body and not isinstance(body[name], str):
                raise Malformed(f"{name} is text")
        self.check_text(body)
        for movement in body.get("movements", [body]):
            if "transaction" in movement and body["operation"] != "status":
                self.check_amount(movement)
        if "player" not in body or (body["operation"] in {"bet", "win", "rollback"} and "transaction" not in body):
            raise Malformed("something is missing")

    def check_text(self, body: Json) -> None:
        try:
            body.get("player", "").encode()
        except UnicodeEncodeError:
            raise Malformed("half a character") from None

    def check_amount(self, movement: Json) -> None:
        if type(movement.get("amount")) is not int or movement["amount"] < 0:
            raise Malformed("no amount")

    def do(self, operation: str, body: Json) -> Json:
        match operation:
            case "batch":
                return self.batch(body)
            case "status":
                self.account(body)
                return {"status": "ok", "transaction": body["transaction"], "state": self.status(body)}
            case "bet" | "win" | "rollback":
                return {"status": "ok", **self.move(body, body), "balance": self.balance(body)}
            case _:
                self.account(body)
                if operation == "authenticate":
                    self.check_session(body)
                return {"status": "ok", "player": body["player"], "balance": self.balance(body)}

    def batch(self, body: Json) -> Json:
        with self.exclusive():
            before = (dict(self.balances), {key: evolve(row) for key, row in self.rows.items()})
            try:
                results = self.members(body)
            except Refused:
                self.take_back(*before)
                raise
            return {"status": "ok", "batch": body["batch"], "movements": results, "balance": self.balance(body)}

    def members(self, body: Json) -> list[Json]:
        return [self.move(body, movement) for movement in body["movements"]]

    def take_back(self, balances: dict[str, int], rows: dict[Any, Row]) -> None:
        self.balances, self.rows = balances, rows

    def status(self, body: Json) -> str:
        row = self.rows.get(self.key_of(body, body["transaction"], "bet"))
        row = row or self.rows.get(self.key_of(body, body["transaction"], "win"))
        if row is None or not self.tells(row, body):
            return "not_found"
        return "applied" if row.state == "applied" else "rolled_back"

    def tells(self, row: Row, body: Json) -> bool:
        return bool(row.player == body["player"])

    # --- movements

    def move(self, play: Json, change: Json) -> Json:
        self.account(play)
        with self.exclusive():
            row = self.find(play, change)
            if row is None:
                row = self.apply(play, change)
            else:
                self.compare(row, play, change)
        return self.result(row, change, repeated=False)

    def find(self, play: Json, change: Json) -> Row | None:
        return self.rows.get(self.key_of(play, change["transaction"], change["operation"]))

    def compare(self, row: Row, play: Json, change: Json) -> None:
        """Refuse what is not a repeat of the row."""
        if row.state == "tombstone":
            raise Refused("already_rolled_back")
        if row.content != self.content(play, change):
            raise Refused("conflict")
        if row.state != "applied":
            raise Refused("already_rolled_back")

    def apply(self, play: Json, change: Json) -> Row:
        nothing = False
        match change["operation"]:
            case "bet":
                moved = -self.stake(play, change)
            case "win":
                moved = self.prize(play, change)
            case _:
                moved, nothing = self.undo(play, change)
        row = self.row(play, change, moved, nothing_moved=nothing)
        self.remember(self.key_of(play, change["transaction"], change["operation"]), row)
        self.pay(play["player"], moved)
        return row

    def row(self, play: Json, change: Json, moved: int, *, nothing_moved: bool = False) -> Row:
        self.count += 1
        content = self.content(play, change)
        return Row(
            self.count, play["player"], change["operation"], content, moved, nothing_moved, play.get("round", "")
        )

    def remember(self, key: Any, row: Row) -> None:
        self.rows[key] = row

    def stake(self, play: Json, change: Json) -> int:
        amount = int(change["amount"])
        if change["kind"] != "adjustment":
            self.check_session(play)
            self.check_funds(play, self.needed(change))
        return self.balances[play["player"]] if self.is_of_everything(change) else amount

    def needed(self, change: Json) -> int:
        return max(int(change["amount"]), change["funds_required"] or 0)

    def is_of_everything(self, change: Json) -> bool:
        return bool(change["take_all"])

    def check_funds(self, play: Json, amount: int) -> None:
        if self.balances[play["player"]] < amount:
            raise Refused("insufficient_funds")

    def prize(self, play: Json, change: Json) -> int:
        if change["funds_required"] is not None:
            self.check_funds(play, change["funds_required"])
        return int(change["amount"])

    def undo(self, play: Json, change: Json) -> tuple[int, bool]:
        key = self.key_of(play, change["target"], change["undoes"])
        target = self.rows.get(key)
        if target is None:
            self.bury(key, play, change)
            return 0, True
        if self.is_undone(target):
            return 0, True
        if not self.may_undo(target, play, change):
            raise Refused("conflict")
        target.state = "rolled_back"
        return self.given_back(target, change), False

    def is_undone(self, target: Row) -> bool:
        return target.state != "applied"

    def may_undo(self, target: Row, play: Json, change: Json) -> bool:
        return (target.player, target.operation) == (play["player"], change["undoes"])

    def given_back(self, target: Row, change: Json) -> int:
        return -target.moved

    def bury(self, key: Any, play: Json, change: Json) -> None:
        """Leave a tombstone."""
        row = self.row(play, change, 0)
        row.state = "tombstone"
        self.remember(key, row)

    def pay(self, player: str, moved: int) -> None:
        self.balances[player] += moved

    # --- what is known

    def key_of(self, play: Json, transaction: str, operation: str) -> Any:
        return transaction

    def content(self, play: Json, change: Json) -> tuple[Any, ...]:
        if change["operation"] == "rollback":
            return (play["player"], change["target"], change["undoes"])
        return (play["player"], play["currency"], change["operation"], change["amount"], change["kind"])

    def account(self, body: Json) -> None:
        if body["player"] not in self.balances:
            raise Refused("player_unknown")
        if body["currency"] != "EUR":
            raise Refused("currency_wrong")

    def check_session(self, body: Json) -> None:
        if self.sessions.get(body["session"]) != body["player"]:
            raise Refused("session_expired")

    def balance(self, body: Json) -> Json:
        return {"cash": max(self.balances[body["player"]], 0), "currency": body["currency"]}

    def result(self, row: Row, change: Json, *, repeated: bool) -> Json:
        told = {
            "transaction": change["transaction"],
            "operator_transaction": f"op-{row.number}",
            "nothing_moved": row.nothing_moved,
        }
        return {**told, "amount": abs(row.moved)} if change["take_all"] else told

    def refusal(self, body: Json, refusal: Refused) -> Json:
        echo = next(name for name in ("batch", "transaction", "player") if name in body)
        return {"status": "refused", "reason": str(refusal), echo: body[echo]}

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self.lock:
            yield


def subject_of(make: Callable[[Clock], SoundWallet]) -> WalletSubject:
    """A wallet as it is certified, without a socket."""
    clock = Clock()
    wallet = make(clock)
    return WalletSubject(
        name="in memory",
        dialect=DIALECT,
        credentials=Credentials({"signing_secret": (SECRET,)}),
        capabilities=DIALECT.spec.capabilities,
        send=wallet.send,
        players=[
            TestPlayer(player="p-1", currency=EUR, session="s-1"),
            TestPlayer(player="p-2", currency=EUR, session="s-2"),
        ],
        now=clock,
    )


def with_header(response: HttpResponse, name: str, value: str) -> HttpResponse:
    return HttpResponse(response.status, Headers((*response.headers.items, (name, value))), response.body)
