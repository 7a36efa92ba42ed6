"""An operator's Hub88-style wallet, simulated: accounts, transactions and tombstones.

Source: `reference/protocols/hub88.md`, sections "Wallet callbacks", "Statuses" and "Idempotency".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from attrs import define

from croupier.contract import (
    AmountError,
    BookWalletPeer,
    Credentials,
    CroupierError,
    Currency,
    Fields,
    HeldAccount,
    HeldTransaction,
    HttpRequest,
    HttpResponse,
    LateOriginal,
    MalformedRequestError,
    Money,
    RollbackShortfall,
    read_json_object,
    write_json,
)
from croupier_wallet_hub88 import amounts
from croupier_wallet_hub88.settings import PATHS, Hub88WalletSettings
from croupier_wallet_hub88.signing import PRIVATE_KEY, is_proven, load_private_key
from croupier_wallet_hub88.statuses import (
    DOES_NOT_EXIST,
    DUPLICATE_TRANSACTION,
    INVALID_SIGNATURE,
    INVALID_TOKEN,
    INVALID_USER,
    NOT_ENOUGH_MONEY,
    OK,
    ROLLED_BACK,
    TOKEN_EXPIRED,
    WRONG_CURRENCY,
    WRONG_SYNTAX,
    WRONG_TYPES,
)

_FACTS: Final = {"country": "MT", "jurisdiction": "MGA"}


class _Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A definite no: nothing moved."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@define(kw_only=True)
class _Row(HeldTransaction):
    """A transaction as it was recorded."""

    found_nothing: bool = False


class Hub88WalletPeer(BookWalletPeer[_Row]):
    """A simulated wallet.

    Args:
        settings: The settings of the dialect it plays the other side of.
        shortfall: What it does when a win is rolled back that the player has spent: `record` refuses with
            `RS_ERROR_NOT_ENOUGH_MONEY`, any other takes it and shows a deficit as zero.
    """

    def __init__(self, settings: Hub88WalletSettings, shortfall: RollbackShortfall = RollbackShortfall.DEFICIT) -> None:
        super().__init__()
        self._settings = settings
        self._shortfall = shortfall
        self._key = lru_cache(maxsize=4)(load_private_key)
        self.closed: set[str] = set()

    def answer(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        operation = next((name for name in PATHS if request.path.endswith(self._settings.path(name))), None)
        if operation is None or request.method != "POST":
            return HttpResponse.text("not found", 404)
        if not self._is_proven(request, credentials):
            return _told(INVALID_SIGNATURE, {})
        try:
            fields = Fields(read_json_object(request.body))
        except MalformedRequestError:
            return _told(WRONG_SYNTAX, {})
        return self._answered(operation, fields)

    def _answered(self, operation: str, fields: Fields) -> HttpResponse:
        echo: dict[str, Any] = {}
        account: HeldAccount | None = None
        status = OK
        more: Mapping[str, Any] = {}
        try:
            echo["request_uuid"] = fields.text("request_uuid")
            account = self._account(fields)
            more = self._done(operation, account, fields)
        except _Refusal as refusal:
            status = refusal.status
        except (MalformedRequestError, UnicodeEncodeError):
            status = WRONG_TYPES
        if account is not None:
            shown = amounts.write(Money(max(account.balance, 0), account.currency))
            echo |= {"user": account.player, "currency": account.currency.code, "balance": shown}
        return _told(status, {**echo, **more})

    def _is_proven(self, request: HttpRequest, credentials: Credentials) -> bool:
        given = request.headers.all(self._settings.signature_header)
        if len(given) != 1:
            return False
        try:
            keys = [self._key(pem).public_key() for pem in credentials.every(PRIVATE_KEY)]
        except CroupierError:
            return False
        return any(is_proven(key, request.body, given[0]) for key in keys)

    def _account(self, fields: Fields) -> HeldAccount:
        account = self.held.get(fields.text("user"))
        if account is None:
            raise _Refusal(INVALID_USER)
        return account

    def _done(self, operation: str, account: HeldAccount, fields: Fields) -> Mapping[str, Any]:
        if operation == "info":
            return _FACTS
        token = self._token(fields)
        if operation == "balance":
            fields.optional_text("game_code")
            self._check_token(account, token)
            return {}
        if operation != "rollback" and fields.text("currency") != account.currency.code:
            raise _Refusal(WRONG_CURRENCY)
        self._transact(operation, account, fields, token)
        if fields.flag("round_closed"):
            self.closed.add(fields.text("round"))
        return {}

    @staticmethod
    def _token(fields: Fields) -> str:
        token = fields.values.get("token")
        if not isinstance(token, str):
            raise MalformedRequestError("expected a text", where="token")
        return token

    def _check_token(self, account: HeldAccount, token: str) -> None:
        if not self.is_session_of(account.player, token):
            raise _Refusal(INVALID_TOKEN)
        if self.has_ended(token):
            raise _Refusal(TOKEN_EXPIRED)

    def _transact(self, operation: str, account: HeldAccount, fields: Fields, token: str) -> None:
        row = self._row(operation, account, fields)
        known = self.rows.get(row.transaction)
        if known is not None:
            self._repeat(known, row)
        elif operation == "rollback":
            self._undo(account, row)
        else:
            self._move(account, fields, row, token)

    def _row(self, operation: str, account: HeldAccount, fields: Fields) -> _Row:
        amount, target = 0, fields.optional_text("reference_transaction_uuid")
        content: tuple[Any, ...] = (account.player, operation, target)
        if operation == "rollback":
            fields.text("reference_transaction_uuid")
        else:
            amount = _amount(fields, account.currency)
            content = (*content, amount, fields.text("round"), fields.text("game_code"))
        return _Row(
            transaction=fields.text("transaction_uuid"),
            player=account.player,
            operation=operation,
            content=content,
            amount=amount,
            target=target,
            round=fields.text("round"),
            game=fields.text("game_code"),
            currency=account.currency.code,
        )

    def _repeat(self, known: _Row, row: _Row) -> None:
        buried = known.state == "tombstone" and known.player == row.player and row.operation != "rollback"
        if known.content != row.content and not buried:
            raise _Refusal(DUPLICATE_TRANSACTION)
        if known.state != "applied" and self._settings.late_original is LateOriginal.DECLINE:
            raise _Refusal(ROLLED_BACK)
        if known.found_nothing:
            raise _Refusal(DOES_NOT_EXIST)

    def _move(self, account: HeldAccount, fields: Fields, row: _Row, token: str) -> None:
        if row.operation == "bet":
            self._check_token(account, token)
            if account.balance < row.amount:
                raise _Refusal(NOT_ENOUGH_MONEY)
            row.moved = -row.amount
        else:
            self._check_reference(fields, row)
            row.moved = row.amount
        account.balance += row.moved
        self.rows[row.transaction] = row

    def _check_reference(self, fields: Fields, row: _Row) -> None:
        """A win names its bet, but for a promotion (`reference/wallet-semantics.md`, section 1.2)."""
        if row.target is None:
            if not fields.flag("is_supplier_promo"):
                raise _Refusal(WRONG_SYNTAX)
            return
        bet = self.rows.get(row.target)
        if bet is None or bet.player != row.player or bet.operation != "bet":
            raise _Refusal(DOES_NOT_EXIST)
        if bet.state != "applied":
            raise _Refusal(ROLLED_BACK)

    def _undo(self, account: HeldAccount, row: _Row) -> None:
        assert row.target is not None  # noqa: S101 # a rollback has one
        original = self.rows.get(row.target)
        if original is None:
            # Of what is yet to come the kind is not told: the tombstone takes whichever comes.
            self.rows[row.target] = _Row(
                transaction=row.target,
                player=row.player,
                operation="bet",
                state="tombstone",
                round=row.round,
                game=row.game,
                currency=row.currency,
            )
        elif original.player != row.player or original.operation == "rollback":
            raise _Refusal(DOES_NOT_EXIST)
        elif original.state == "applied":
            if self._shortfall is RollbackShortfall.RECORD and account.balance < original.moved:
                raise _Refusal(NOT_ENOUGH_MONEY)
            original.state = "rolled_back"
            row.amount, row.moved = original.amount, -original.moved
            account.balance += row.moved
        row.found_nothing = original is None or original.state == "tombstone"
        self.rows[row.transaction] = row
        if row.found_nothing:
            raise _Refusal(DOES_NOT_EXIST)


def _amount(fields: Fields, currency: Currency) -> int:
    value = fields.steps("amount").value
    wire = int(value)
    minor = amounts.read(wire, currency)
    if amounts.write(Money(minor, currency)) != wire:
        raise AmountError("the currency has fewer digits", where="amount")
    return minor


def _told(status: str, more: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse.json(write_json({"status": status, **more}))
