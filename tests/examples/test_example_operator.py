"""The operator in one file keeps the money right, and speaks the dialect to the letter."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import (
    Balance,
    Credentials,
    Currency,
    DeclineReason,
    Funding,
    HttpRequest,
    HttpResponse,
    Money,
    PlayContext,
    TransactionState,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletPlayer,
    WalletRefused,
    WalletReply,
    WalletStatus,
    WalletStatusReply,
)
from croupier_wallet_native.dialect import NativeDialect, NativeSettings
from croupier_wallet_native.signing import sign

SCRIPT = Path(__file__).resolve().parents[2] / "examples/operator/operator_wallet.py"


def _load() -> Any:
    # One that is on the path is another: a defect is planted there (`make mutants`).
    spec = importlib.util.find_spec("operator_wallet") or importlib.util.spec_from_file_location(
        "operator_wallet", SCRIPT
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example: Any = _load()

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()  # a test key
KEYS = Credentials({"signing_secret": (SECRET,)})
NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
EUR = Currency("EUR", 2)
DIALECT = NativeDialect(NativeSettings(url="https://wallet.example"))
PLAYER = WalletPlayer(player="p-1", currency=EUR, session="s-1")
PLACE = PlayContext(
    provider="acme", connection="acme-main", game="acme:one", round="r-1", provider_round="77", grant=None
)
OPENING = 1000


class Wallet:
    """The example's book, asked through the dialect, so that every test is a round trip."""

    def __init__(self, path: str = ":memory:", **options: Any) -> None:
        self.book = example.Book(path, now=NOW.timestamp, **options)
        self.book.open_player("p-1", "EUR", OPENING, "s-1")

    def ask(self, call: WalletCall) -> WalletReply:
        request = DIALECT.request(call, KEYS, NOW)
        answer = self.book.handle(request.path.removeprefix("/"), json.loads(request.body))
        return DIALECT.reply(call, HttpResponse.json(json.dumps(answer)))

    def cash(self, player: WalletPlayer = PLAYER) -> int:
        reply = self.ask(WalletBalance(player=player))
        assert isinstance(reply, WalletApplied)
        assert reply.balance is not None
        return reply.balance.cash.minor

    def state(self, transaction: str) -> TransactionState:
        reply = self.ask(WalletStatus(player=PLAYER, transaction=transaction))
        assert isinstance(reply, WalletStatusReply)
        return reply.state

    def refused(self, call: WalletCall) -> DeclineReason:
        before = self.book.export()
        reply = self.ask(call)
        assert isinstance(reply, WalletRefused)
        assert self.book.export() == before
        return reply.reason

    def applied(self, call: WalletCall) -> WalletApplied:
        reply = self.ask(call)
        assert isinstance(reply, WalletApplied), reply
        return reply


@pytest.fixture
def wallet() -> Iterator[Wallet]:
    made = Wallet()
    yield made
    made.book.close()


def change(operation: str, transaction: str, minor: int = 0, **more: Any) -> WalletMovement:
    given = {"kind": operation, **more}
    return WalletMovement(
        operation=WalletOperation(operation), transaction=transaction, amount=Money(minor, EUR), **given
    )


def move(movement: WalletMovement, player: WalletPlayer = PLAYER) -> WalletMove:
    return WalletMove(player=player, context=PLACE, movement=movement)


def bet(transaction: str = "bet-1", minor: int = 150, **more: Any) -> WalletMove:
    return move(change("bet", transaction, minor, **more))


def win(transaction: str = "win-1", minor: int = 400, **more: Any) -> WalletMove:
    return move(change("win", transaction, minor, target="bet-1", **more))


def rollback(transaction: str = "back-1", target: str = "bet-1", undoes: str = "bet") -> WalletMove:
    return move(change("rollback", transaction, target=target, undoes=WalletOperation(undoes)))


def batch(*movements: WalletMove, name: str = "batch-1") -> WalletBatch:
    return WalletBatch(player=PLAYER, context=PLACE, batch=name, movements=tuple(call.movement for call in movements))


def books_balance(book: Any) -> bool:
    told = book.export()
    moved: dict[str, int] = {}
    for row in told["movements"]:
        moved[row["player"]] = moved.get(row["player"], 0) + row["moved"]
    return all(row["balance"] == row["opening"] + moved.get(row["player"], 0) for row in told["accounts"])


# --- one movement -----------------------------------------------------------------------------------------------------


def test_a_bet_takes_and_a_win_credits(wallet: Wallet) -> None:
    assert wallet.applied(bet()).balance == Balance(Money(850, EUR))
    assert wallet.applied(win()).balance == Balance(Money(1250, EUR))
    assert books_balance(wallet.book)


def test_a_repeat_moves_nothing_and_is_answered_alike(wallet: Wallet) -> None:
    for call in (bet(), win(), rollback(), rollback("back-2", "never-seen")):
        first = wallet.applied(call)
        cash = wallet.cash()
        again = wallet.applied(call)
        assert again.operator_transactions == first.operator_transactions
        assert again.nothing_moved == first.nothing_moved
        assert wallet.cash() == cash


def test_a_repeat_shows_the_balance_of_now(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.applied(win())
    assert wallet.applied(bet()).balance == Balance(Money(1250, EUR))


def test_a_repeat_may_come_from_another_session_or_in_a_batch(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.applied(evolve(bet(), player=evolve(PLAYER, session=None)))
    wallet.applied(batch(bet()))
    assert wallet.cash() == 850


@pytest.mark.parametrize(
    "other",
    [
        bet(minor=151),
        bet(kind="tip"),
        bet(operator_decides=True),
        evolve(bet(), context=evolve(PLACE, round="r-2")),
        evolve(bet(), context=evolve(PLACE, game="acme:two")),
        move(change("win", "bet-1", 150)),
        move(change("bet", "bet-1", 150), evolve(PLAYER, player="p-2", session=None)),
        rollback("bet-1", "bet-0"),
    ],
)
def test_an_id_with_other_content_is_a_conflict_and_moves_nothing(wallet: Wallet, other: WalletMove) -> None:
    wallet.book.open_player("p-2", "EUR", OPENING)
    wallet.applied(bet())
    assert wallet.refused(other) is DeclineReason.CONFLICT


def test_a_bet_without_funds_is_refused_and_may_succeed_later(wallet: Wallet) -> None:
    assert wallet.refused(bet(minor=1001)) is DeclineReason.INSUFFICIENT_FUNDS
    assert wallet.state("bet-1") is TransactionState.NOT_FOUND
    wallet.applied(win(minor=1))
    wallet.applied(bet(minor=1001))
    assert wallet.cash() == 0


def test_a_refusal_shows_the_balance(wallet: Wallet) -> None:
    reply = wallet.ask(bet(minor=1001))
    assert isinstance(reply, WalletRefused)
    assert reply.balance == Balance(Money(OPENING, EUR))
    assert reply.message


@pytest.mark.parametrize("operation", ["bet", "win"])
def test_funds_that_are_required_must_be_there(wallet: Wallet, operation: str) -> None:
    assert wallet.refused(move(change(operation, "a", 1, funds_required=1001))) is DeclineReason.INSUFFICIENT_FUNDS
    wallet.applied(move(change(operation, "a", 1, funds_required=1000)))


def test_a_free_bet_takes_nothing(wallet: Wallet) -> None:
    wallet.applied(bet(minor=0, kind="free_bet", stake=20, funding=Funding.PROVIDER))
    assert wallet.cash() == OPENING
    assert wallet.state("bet-1") is TransactionState.APPLIED


def test_a_correction_is_taken_even_if_the_player_has_too_little(wallet: Wallet) -> None:
    wallet.applied(bet(minor=1200, kind="adjustment"))
    assert wallet.cash() == 0
    wallet.applied(win(minor=300))
    assert wallet.cash() == 100


def test_take_all_takes_all_once_and_a_rollback_returns_it(wallet: Wallet) -> None:
    call = bet(minor=10, operator_decides=True)
    assert wallet.applied(call).amounts == {"bet-1": OPENING}
    wallet.applied(win(minor=5))
    assert wallet.applied(call).amounts == {"bet-1": OPENING}
    wallet.applied(rollback())
    assert wallet.cash() == OPENING + 5
    assert wallet.refused(bet("bet-2", 2000, operator_decides=True)) is DeclineReason.INSUFFICIENT_FUNDS


# --- rollbacks --------------------------------------------------------------------------------------------------------


def test_a_rollback_returns_a_bet_once_under_one_id(wallet: Wallet) -> None:
    wallet.applied(bet())
    assert not wallet.applied(rollback()).nothing_moved
    wallet.applied(rollback())
    assert wallet.cash() == OPENING
    assert wallet.state("bet-1") is TransactionState.ROLLED_BACK


def test_a_rollback_returns_a_bet_once_under_two_ids(wallet: Wallet) -> None:
    wallet.applied(bet())
    assert not wallet.applied(rollback("back-1")).nothing_moved
    assert wallet.applied(rollback("back-2")).nothing_moved
    assert wallet.cash() == OPENING


def test_a_bet_that_was_rolled_back_cannot_be_repeated(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.applied(rollback())
    assert wallet.refused(bet()) is DeclineReason.ALREADY_ROLLED_BACK


@pytest.mark.parametrize("late", [bet(), win("bet-1"), batch(bet()), batch(bet("bet-0"), bet())])
def test_what_arrives_after_its_rollback_moves_nothing(wallet: Wallet, late: WalletCall) -> None:
    assert wallet.applied(rollback()).nothing_moved
    assert wallet.state("bet-1") is TransactionState.ROLLED_BACK
    assert wallet.refused(late) is DeclineReason.ALREADY_ROLLED_BACK
    assert wallet.applied(rollback("back-2")).nothing_moved
    assert wallet.cash() == OPENING


def test_a_rollback_undoes_what_was_recorded_whatever_amount_it_names(wallet: Wallet) -> None:
    wallet.applied(bet())
    wrong = rollback()
    wallet.applied(evolve(wrong, movement=evolve(wrong.movement, amount=Money(999, EUR))))
    assert wallet.cash() == OPENING


def test_a_rollback_by_the_hub_is_the_same_as_one_by_the_provider(wallet: Wallet) -> None:
    wallet.applied(bet())
    by_provider = rollback()
    by_hub = evolve(by_provider, context=evolve(PLACE, round="unknown", round_closed=True))
    wallet.applied(by_provider)
    assert not wallet.applied(by_hub).nothing_moved
    assert wallet.cash() == OPENING


def test_a_rollback_of_another_players_bet_or_of_the_wrong_operation_is_a_conflict(wallet: Wallet) -> None:
    wallet.book.open_player("p-2", "EUR", OPENING)
    wallet.applied(bet())
    wallet.applied(win())
    assert wallet.refused(rollback(undoes="win")) is DeclineReason.CONFLICT
    assert wallet.refused(rollback(target="win-1")) is DeclineReason.CONFLICT
    foreign = evolve(rollback(), player=evolve(PLAYER, player="p-2"))
    assert wallet.refused(foreign) is DeclineReason.CONFLICT


def test_a_win_that_was_spent_is_rolled_back_into_a_deficit_that_credits_pay_first(wallet: Wallet) -> None:
    wallet.applied(win(minor=400))
    wallet.applied(bet(minor=1300))
    assert wallet.cash() == 100
    assert not wallet.applied(rollback(target="win-1", undoes="win")).nothing_moved
    assert wallet.cash() == 0
    assert wallet.book.export()["accounts"][0]["balance"] == -300
    assert wallet.refused(bet("bet-2", 1)) is DeclineReason.INSUFFICIENT_FUNDS
    assert wallet.applied(bet("bet-3", 0)).balance == Balance(Money(0, EUR))
    wallet.applied(win("win-2", 250))
    assert wallet.cash() == 0
    wallet.applied(win("win-3", 250))
    assert wallet.cash() == 200
    assert books_balance(wallet.book)


def test_an_operator_may_record_such_a_rollback_and_leave_the_money() -> None:
    wallet = Wallet(shortfall="record")
    wallet.applied(win(minor=400))
    wallet.applied(bet(minor=1300))
    assert wallet.applied(rollback(target="win-1", undoes="win")).nothing_moved
    assert wallet.cash() == 100
    assert wallet.state("win-1") is TransactionState.APPLIED
    wallet.book.close()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("copies", [1, 2])
def test_bet_win_and_rollback_in_any_order_and_number_end_alike(order: tuple[int, ...], copies: int) -> None:
    wallet = Wallet()
    calls = [bet(minor=150), win(minor=400), rollback()]
    for _ in range(copies):
        for index in order:
            wallet.ask(calls[index])
    assert wallet.cash() == OPENING + 400
    assert wallet.state("bet-1") is TransactionState.ROLLED_BACK
    assert books_balance(wallet.book)
    wallet.book.close()


# --- sessions, players, reads -----------------------------------------------------------------------------------------


def test_authenticate_and_balance_tell_the_balance(wallet: Wallet) -> None:
    for call in (WalletAuthenticate(player=PLAYER), WalletBalance(player=PLAYER)):
        assert wallet.applied(call).balance == Balance(Money(OPENING, EUR))


def test_after_the_session_only_bets_and_authenticate_are_refused(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.applied(bet("bet-2"))
    wallet.book.end_session("s-1")
    assert wallet.refused(bet("bet-3")) is DeclineReason.SESSION_EXPIRED
    assert wallet.refused(WalletAuthenticate(player=PLAYER)) is DeclineReason.SESSION_EXPIRED
    wallet.applied(win())
    wallet.applied(rollback(target="bet-2"))
    wallet.applied(bet())
    assert wallet.cash() == OPENING - 150 + 400


def test_a_session_of_another_player_opens_nothing(wallet: Wallet) -> None:
    wallet.book.open_player("p-2", "EUR", OPENING, "s-2")
    stranger = evolve(PLAYER, session="s-2")
    assert wallet.refused(evolve(bet(), player=stranger)) is DeclineReason.SESSION_UNKNOWN
    assert wallet.refused(WalletAuthenticate(player=stranger)) is DeclineReason.SESSION_UNKNOWN


def test_an_unknown_player_and_a_foreign_currency_are_refused_everywhere(wallet: Wallet) -> None:
    sek = Currency("SEK", 2)
    for player, reason in (
        (evolve(PLAYER, player="nobody"), DeclineReason.PLAYER_UNKNOWN),
        (evolve(PLAYER, currency=sek), DeclineReason.CURRENCY_WRONG),
    ):
        movement = evolve(bet().movement, amount=Money(1, player.currency))
        calls: list[WalletCall] = [
            WalletAuthenticate(player=player),
            WalletBalance(player=player),
            WalletStatus(player=player, transaction="bet-1"),
            WalletMove(player=player, context=PLACE, movement=movement),
            WalletBatch(player=player, context=PLACE, batch="b", movements=(movement,)),
        ]
        for call in calls:
            assert wallet.refused(call) is reason


def test_the_status_of_another_players_transaction_is_not_told(wallet: Wallet) -> None:
    wallet.book.open_player("p-2", "EUR", OPENING)
    wallet.applied(bet())
    assert wallet.state("bet-1") is TransactionState.APPLIED
    reply = wallet.ask(WalletStatus(player=evolve(PLAYER, player="p-2"), transaction="bet-1"))
    assert reply == WalletStatusReply(state=TransactionState.NOT_FOUND)


def test_opening_a_player_again_leaves_the_balance(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.book.open_player("p-1", "EUR", 5_000_000, "s-9")
    assert wallet.cash() == 850


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_done_in_order(wallet: Wallet) -> None:
    call = batch(bet(minor=1000), win(minor=400), bet("bet-2", 300))
    told = wallet.applied(call)
    assert told.balance == Balance(Money(100, EUR))
    assert set(told.operator_transactions) == {"bet-1", "win-1", "bet-2"}
    assert wallet.applied(call).operator_transactions == told.operator_transactions
    assert wallet.cash() == 100


def test_a_batch_is_done_wholly_or_not_at_all(wallet: Wallet) -> None:
    too_much = batch(bet(minor=600), win(minor=100), bet("bet-2", 501))
    assert wallet.refused(too_much) is DeclineReason.INSUFFICIENT_FUNDS
    for transaction in ("bet-1", "win-1", "bet-2"):
        assert wallet.state(transaction) is TransactionState.NOT_FOUND


def test_a_tombstone_of_a_refused_batch_is_not_kept(wallet: Wallet) -> None:
    assert wallet.refused(batch(rollback(target="bet-9"), bet(minor=1001))) is DeclineReason.INSUFFICIENT_FUNDS
    wallet.applied(bet("bet-9"))
    assert wallet.cash() == 850


def test_a_batch_completes_what_was_sent_in_part(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.applied(batch(bet(), win()))
    assert wallet.cash() == 1250


def test_a_batch_of_rollbacks_of_nothing_says_so(wallet: Wallet) -> None:
    assert wallet.applied(batch(rollback())).nothing_moved
    wallet.applied(bet("bet-2"))
    assert not wallet.applied(batch(rollback("b-2", "bet-2"), rollback("b-3", "x"))).nothing_moved


# --- many at once, and crashes ----------------------------------------------------------------------------------------


def _at_once(path: Path, calls: list[WalletCall]) -> list[WalletReply]:
    replies: list[WalletReply] = []
    barrier = threading.Barrier(len(calls))

    def run(call: WalletCall) -> None:
        mine = Wallet(str(path))
        barrier.wait()
        replies.append(mine.ask(call))
        mine.book.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == len(calls)
    return replies


def test_copies_at_the_same_moment_move_money_once(tmp_path: Path) -> None:
    wallet = Wallet(str(tmp_path / "book.sqlite"))
    replies = _at_once(tmp_path / "book.sqlite", [bet()] * 8)
    assert {r.operator_transactions["bet-1"] for r in replies if isinstance(r, WalletApplied)} == {"op-1"}
    assert wallet.cash() == 850
    wallet.book.close()


def test_bets_at_the_same_moment_never_spend_more_than_there_is(tmp_path: Path) -> None:
    wallet = Wallet(str(tmp_path / "book.sqlite"))
    replies = _at_once(tmp_path / "book.sqlite", [bet(f"bet-{number}", 300) for number in range(8)])
    assert sum(isinstance(reply, WalletApplied) for reply in replies) == 3
    assert wallet.cash() == 100
    wallet.book.close()


def test_a_bet_and_its_rollbacks_at_the_same_moment_leave_the_balance(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / f"book-{attempt}.sqlite"
        wallet = Wallet(str(path))
        _at_once(path, [bet(), rollback(), bet(), rollback("back-2"), bet(), rollback()])
        assert wallet.cash() == OPENING
        assert wallet.state("bet-1") is TransactionState.ROLLED_BACK
        wallet.book.close()


def test_a_failure_in_the_middle_leaves_nothing_behind(wallet: Wallet) -> None:
    before = wallet.book.export()
    request = DIALECT.request(batch(bet(), win()), KEYS, NOW)
    body = json.loads(request.body)
    body["movements"][1]["amount"] = -1
    with pytest.raises(example.MalformedError):
        wallet.book.handle("batch", body)
    assert wallet.book.export() == before


STEP = st.tuples(
    st.sampled_from(["bet", "win", "undo bet", "undo win", "undo bet again", "both"]),
    st.integers(0, 3),
)


@given(steps=st.lists(STEP, max_size=25))
def test_whatever_is_sent_in_whatever_order_the_books_balance(steps: list[tuple[str, int]]) -> None:
    wallet = Wallet()
    for what, number in steps:
        one, other = bet(f"bet-{number}", 100 * number), win(f"win-{number}", 70 * number)
        calls: dict[str, WalletCall] = {
            "bet": one,
            "win": other,
            "undo bet": rollback(f"undo-bet-{number}", f"bet-{number}"),
            "undo bet again": rollback(f"undo-bet-{number}-2", f"bet-{number}"),
            "undo win": rollback(f"undo-win-{number}", f"win-{number}", "win"),
            "both": batch(one, other, name=f"batch-{number}"),
        }
        reply = wallet.ask(calls[what])
        assert isinstance(reply, WalletApplied | WalletRefused)
    told = wallet.book.export()
    kept = {row["transaction"]: row for row in told["movements"] if row["operation"] in {"bet", "win"}}
    sign_of = {"bet": -1, "win": 1}
    expected = sum(sign_of[row["operation"]] * row["amount"] for row in kept.values() if row["state"] == "applied")
    assert told["accounts"][0]["balance"] == OPENING + expected
    assert books_balance(wallet.book)
    wallet.book.close()


# --- the book's shape and bad requests --------------------------------------------------------------------------------


def test_the_book_tells_every_movement_once_and_goes_on_from_a_position(wallet: Wallet) -> None:
    wallet.applied(bet())
    wallet.applied(rollback("back-1", "never"))
    rows = wallet.book.export()["movements"]
    assert [(row["transaction"], row["kind"], row["amount"], row["state"]) for row in rows] == [
        ("bet-1", "bet", 150, "applied"),
        ("never", None, 0, "tombstone"),
        ("back-1", "rollback", 0, "applied"),
    ]
    assert {row["at"] for row in rows} == {int(NOW.timestamp())}
    assert wallet.book.export(after=rows[1]["position"])["movements"] == rows[2:]


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ("win", {}),
        ("export", {}),
        ("bet", {"operation": "win"}),
        ("bet", {"operation": None}),
        ("bet", {"amount": -1}),
        ("bet", {"amount": 1.0}),
        ("bet", {"amount": True}),
        ("bet", {"amount": "150"}),
        ("bet", {"amount": None}),
        ("bet", {"funds_required": -1}),
    ],
)
def test_what_is_not_of_the_protocol_moves_nothing(wallet: Wallet, operation: str, changed: dict[str, Any]) -> None:
    body = {**json.loads(DIALECT.request(bet(), KEYS, NOW).body), **changed}
    with pytest.raises(example.MalformedError):
        wallet.book.handle(operation, body)
    assert wallet.cash() == OPENING


def test_a_request_without_one_of_its_fields_moves_nothing(wallet: Wallet) -> None:
    body = json.loads(DIALECT.request(bet(), KEYS, NOW).body)
    for field in ("player", "session", "currency", "game", "round", "transaction", "amount", "kind", "take_all"):
        with pytest.raises(example.MalformedError):
            wallet.book.handle("bet", {key: value for key, value in body.items() if key != field})
    assert wallet.cash() == OPENING


# --- HTTP -------------------------------------------------------------------------------------------------------------


async def _post(app: Any, request: HttpRequest, path: str | None = None, body: bytes | None = None) -> HttpResponse:
    from aiohttp.test_utils import TestClient, TestServer

    async with TestClient(TestServer(app)) as client:
        answer = await client.post(
            path or request.path, data=request.body if body is None else body, headers=list(request.headers)
        )
        return HttpResponse(answer.status, body=await answer.read())


def _app(wallet: Wallet, **options: Any) -> Any:
    return example.make_app(wallet.book, (SECRET,), now=NOW.timestamp, **options)


async def test_a_signed_bet_over_http_is_applied(wallet: Wallet) -> None:
    response = await _post(_app(wallet), DIALECT.request(bet(), KEYS, NOW))
    assert isinstance(DIALECT.reply(bet(), response), WalletApplied)
    assert wallet.cash() == 850


async def test_an_unsigned_tampered_or_old_request_is_refused_before_it_is_read(wallet: Wallet) -> None:
    request = DIALECT.request(bet(), KEYS, NOW)
    unsigned = HttpRequest("POST", request.url, body=request.body)
    old = DIALECT.request(bet(), KEYS, NOW - timedelta(seconds=301))
    tampered = request.body.replace(b"150", b"151")
    for response in (
        await _post(_app(wallet), unsigned),
        await _post(_app(wallet), old),
        await _post(_app(wallet), request, body=tampered),
        await _post(_app(wallet), request, body=b"not json"),
    ):
        assert response.status == 401
    assert wallet.cash() == OPENING


async def test_a_request_replayed_to_another_path_is_refused(wallet: Wallet) -> None:
    request = DIALECT.request(bet(), KEYS, NOW)
    for path in ("/win", "/rollback", "/batch", "/status", "/anything"):
        assert (await _post(_app(wallet), request, path)).status == 400
    assert wallet.cash() == OPENING


async def test_a_request_replayed_within_the_window_moves_nothing(wallet: Wallet) -> None:
    request = DIALECT.request(bet(), KEYS, NOW)
    for _ in range(3):
        assert (await _post(_app(wallet), request)).status == 200
    assert wallet.cash() == 850


async def test_signed_bytes_that_are_no_object_are_malformed(wallet: Wallet) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        request = HttpRequest("POST", "/bet", sign((SECRET,), "id-1", NOW, body), body)
        assert (await _post(_app(wallet), request)).status == 400


async def test_without_admin_nobody_can_make_money_or_read_the_book(wallet: Wallet) -> None:
    from aiohttp.test_utils import TestClient, TestServer

    async with TestClient(TestServer(_app(wallet))) as client:
        assert (await client.post("/players", json={"player": "p-9"})).status == 401
        assert (await client.get("/book")).status in {404, 405}
        assert (await client.delete("/sessions/s-1")).status == 404


async def test_admin_opens_players_ends_sessions_and_reads_the_book(wallet: Wallet) -> None:
    from aiohttp.test_utils import TestClient, TestServer

    async with TestClient(TestServer(_app(wallet, admin=True, initial_balance=77))) as client:
        made = await client.post("/players", json={"player": "p-9", "session": "s-9"})
        assert made.status == 201
        assert (await made.json())["balance"] == {"cash": 77, "currency": "EUR"}
        assert (await client.delete("/sessions/s-9")).status == 204
        told = await (await client.get("/book")).json()
        assert [row["player"] for row in told["accounts"]] == ["p-1", "p-9"]
    nine = WalletPlayer(player="p-9", currency=EUR, session="s-9")
    assert wallet.refused(evolve(bet(minor=1), player=nine)) is DeclineReason.SESSION_EXPIRED


def _start(database: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(SCRIPT), "--port", str(port), "--database", str(database), "--secret", SECRET]
    process = subprocess.Popen([*command, "--admin"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
        else:
            return process, port
    process.kill()
    raise AssertionError("the example did not start")


def _send(port: int, call: WalletCall) -> WalletReply:
    dialect = NativeDialect(NativeSettings(url=f"http://127.0.0.1:{port}"))
    request = dialect.request(call, KEYS, datetime.now(UTC))
    sent = urllib.request.Request(request.url, request.body, dict(request.headers))  # noqa: S310 - own address
    with urllib.request.urlopen(sent, timeout=10) as answer:  # noqa: S310 - own address
        return dialect.reply(call, HttpResponse(answer.status, body=answer.read()))


def test_what_the_script_answered_survives_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "wallet.sqlite"
    book = example.Book(str(database))
    book.open_player("p-1", "EUR", OPENING, "s-1")
    book.close()
    process, port = _start(database)
    first = _send(port, bet())
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    process, port = _start(database)
    try:
        assert _send(port, bet()) == first
        assert isinstance(first, WalletApplied)
        assert first.balance == Balance(Money(850, EUR))
    finally:
        process.terminate()
        process.wait(timeout=10)
