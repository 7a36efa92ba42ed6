"""An operator's SOFTSWISS-style wallet, simulated: accounts, actions, tombstones, and batches that are all or nothing.

Source: `reference/protocols/softswiss.md`, sections "Wallet callbacks" and "Idempotency & rollback".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from attrs import define, evolve, field

from croupier.contract import (
    AmountError,
    BookWalletPeer,
    Credentials,
    Fields,
    HeldAccount,
    HeldTransaction,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    RollbackShortfall,
    hmac_hex,
    iso_utc,
    read_json_object,
    same_secret,
    write_json,
)
from croupier_wallet_softswiss.amounts import Amounts
from croupier_wallet_softswiss.codes import (
    BAD_REQUEST,
    CONFLICT,
    CURRENCY,
    FORBIDDEN,
    MESSAGES,
    NOT_ENOUGH_FUNDS,
    NOT_FOUND,
    PLAYER_INVALID,
    REFUSED_STATUS,
)
from croupier_wallet_softswiss.dialect import AUTH_TOKEN, SIGNATURE_HEADER
from croupier_wallet_softswiss.settings import SoftswissWalletSettings

_OWN_STATUS: Final = frozenset({BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT})


class _Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A definite no: whatever the request did so far is forgotten."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@define(kw_only=True)
class _Row(HeldTransaction):
    """An action as it was recorded."""

    own_id: str


@define
class _Book:
    """What one request changes, kept apart until all of it is done."""

    balance: int
    rows: dict[str, _Row] = field(factory=dict)


class SoftswissWalletPeer(BookWalletPeer[_Row]):
    """A simulated wallet.

    Args:
        settings: The settings of the dialect it plays the other side of.
        shortfall: What it does when a win is rolled back that the player has spent: `record` leaves the money, any
            other takes it and shows a deficit as zero.
    """

    def __init__(
        self, settings: SoftswissWalletSettings, shortfall: RollbackShortfall = RollbackShortfall.DEFICIT
    ) -> None:
        super().__init__()
        self._settings = settings
        self._amounts = Amounts(settings)
        self._shortfall = shortfall
        self._count = 0
        self.finished: set[str] = set()

    def answer(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        if not _is_proven(request, credentials):
            return _refusal(FORBIDDEN)
        account: HeldAccount | None = None
        try:
            operation = self._operation(request)
            fields = Fields(read_json_object(request.body))
            account = self._account(fields)
            return HttpResponse.json(write_json(self._done(operation, account, fields, now)))
        except _Refusal as refusal:
            told = {"balance": self._told(account)} if account and refusal.code == NOT_ENOUGH_FUNDS else {}
            return _refusal(refusal.code, told)
        except (MalformedRequestError, UnicodeEncodeError):
            return _refusal(BAD_REQUEST)

    def _operation(self, request: HttpRequest) -> str:
        if request.method == "POST":
            path = request.path
            paths = {"play": self._settings.play_path, "rollback": self._settings.rollback_path}
            for operation, ending in paths.items():
                if path.endswith(ending):
                    return operation
        raise _Refusal(NOT_FOUND)

    def _account(self, fields: Fields) -> HeldAccount:
        account = self.held.get(fields.text("user_id"))
        if account is None:
            raise _Refusal(PLAYER_INVALID)
        if fields.text("currency") != account.currency.code:
            raise _Refusal(CURRENCY)
        return account

    def _done(self, operation: str, account: HeldAccount, fields: Fields, now: datetime) -> Mapping[str, Any]:
        actions = fields.optional_objects("actions")
        if operation == "rollback" and not actions:
            raise MalformedRequestError("a rollback has actions", where="actions")
        if actions:
            return self._acted(operation, account, fields, actions, now)
        if fields.flag("finished"):
            self.finished.add(fields.text("game_id"))
        return {"balance": self._told(account)}

    def _acted(
        self, operation: str, account: HeldAccount, fields: Fields, actions: Sequence[Fields], now: datetime
    ) -> Mapping[str, Any]:
        fields.text("game")
        round_id, is_last = fields.text("game_id"), fields.flag("finished")
        counted = self._count
        book = _Book(account.balance)
        try:
            rows = [self._act(operation, account, fields, action, book) for action in actions]
        except BaseException:
            self._count = counted
            raise
        account.balance = book.balance
        self.rows |= book.rows
        if is_last:
            self.finished.add(round_id)
        at = iso_utc(now, 3)
        told = [{"action_id": row.transaction, "tx_id": row.own_id, "processed_at": at} for row in rows]
        return {"balance": self._told(account), "game_id": round_id, "transactions": told}

    def _act(self, operation: str, account: HeldAccount, fields: Fields, action: Fields, book: _Book) -> _Row:
        kind, action_id = action.text("action"), action.text("action_id")
        if kind not in ({"rollback"} if operation == "rollback" else {"bet", "win"}):
            raise MalformedRequestError("no such action here", where="action")
        amount = 0 if kind == "rollback" else self._amount(action, account)
        target = action.text("original_action_id") if kind == "rollback" else None
        content: tuple[Any, ...] = (account.player, kind, target)
        if kind != "rollback":
            content = (*content, amount, fields.text("game"), fields.text("game_id"))
        known = self._find(action_id, book)
        if known is not None:
            if known.state == "tombstone" and known.player == account.player and kind != "rollback":
                return known  # its rollback came first: accepted, and nothing moves
            if known.content != content:
                raise _Refusal(CONFLICT)
            return known
        row = self._row(account, fields, action_id, kind, amount=amount, content=content, target=target)
        if kind == "rollback":
            self._undo(account, fields, row, book)
        else:
            self._move(account, fields, row, book)
        book.rows[action_id] = row
        return row

    def _amount(self, action: Fields, account: HeldAccount) -> int:
        value = action.values.get("amount")
        below_zero = value < 0 if type(value) is int else isinstance(value, str) and value.startswith("-")
        if below_zero:
            raise MalformedRequestError("below zero", where="amount")
        try:
            return self._amounts.exactly(value, account.currency)
        except AmountError:
            # 64 bits are more than any balance here: a bet of more is one that cannot be paid.
            if type(value) is int and action.text("action") == "bet":
                raise _Refusal(NOT_ENOUGH_FUNDS) from None
            raise

    def _move(self, account: HeldAccount, fields: Fields, row: _Row, book: _Book) -> None:
        if row.operation == "bet":
            session = fields.optional_text("session_id")
            if session is not None and (not self.is_session_of(account.player, session) or self.has_ended(session)):
                raise _Refusal(PLAYER_INVALID)
            if book.balance < row.amount:
                raise _Refusal(NOT_ENOUGH_FUNDS)
        row.moved = -row.amount if row.operation == "bet" else row.amount
        book.balance += row.moved

    def _undo(self, account: HeldAccount, fields: Fields, row: _Row, book: _Book) -> None:
        assert row.target is not None  # noqa: S101 # a rollback has one
        original = self._find(row.target, book)
        if original is None:
            # The kind of what is yet to come is not told: the tombstone takes whichever comes.
            buried = self._row(account, fields, row.target, "bet")
            book.rows[row.target] = evolve(buried, state="tombstone")
        elif original.player == account.player and original.operation != "rollback" and original.state == "applied":
            back = -original.moved
            if self._shortfall is RollbackShortfall.RECORD and book.balance + back < 0:
                row.own_id = ""
                return
            book.rows[original.transaction] = evolve(original, state="rolled_back")
            book.balance += back
            row.amount, row.moved = original.amount, back
            return
        row.own_id = ""

    def _find(self, action_id: str, book: _Book) -> _Row | None:
        return book.rows.get(action_id) or self.rows.get(action_id)

    def _row(
        self,
        account: HeldAccount,
        fields: Fields,
        action_id: str,
        action: str,
        *,
        amount: int = 0,
        content: tuple[Any, ...] = (),
        target: str | None = None,
    ) -> _Row:
        self._count += 1
        return _Row(
            transaction=action_id,
            player=account.player,
            operation=action,
            amount=amount,
            own_id=f"tx-{self._count}",
            content=content,
            target=target,
            round=fields.text("game_id"),
            game=fields.text("game"),
            currency=account.currency.code,
        )

    def _told(self, account: HeldAccount) -> int | str:
        return self._amounts.write(Money(max(account.balance, 0), account.currency))


def _is_proven(request: HttpRequest, credentials: Credentials) -> bool:
    given = request.headers.all(SIGNATURE_HEADER)
    if len(given) != 1 or not given[0].isascii():
        return False
    candidates = [hmac_hex(token, request.body) for token in credentials.every(AUTH_TOKEN) if token]
    return True in [same_secret(candidate, given[0].lower()) for candidate in candidates]


def _refusal(code: int, more: Mapping[str, Any] = MappingProxyType({})) -> HttpResponse:
    status = code if code in _OWN_STATUS else REFUSED_STATUS
    return HttpResponse.json(write_json({"code": code, "message": MESSAGES[code], **more}), status)
