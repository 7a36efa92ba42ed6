"""The SOFTSWISS-style wallet as the hub calls it: the hub plays the provider's part towards the operator.

Source: `reference/protocols/softswiss.md`, sections "Wallet callbacks", "Auth (EXACT)" and "Idempotency & rollback".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, assert_never

from croupier.contract import (
    AmountError,
    Balance,
    Credentials,
    DeclineReason,
    Dialect,
    DialectSpec,
    Effect,
    Headers,
    HttpRequest,
    HttpResponse,
    LateOriginal,
    MalformedRequestError,
    Money,
    MovementKind,
    SecretField,
    UnsupportedOperationError,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletRefused,
    WalletReply,
    WalletStatus,
    WalletUnknown,
    hmac_hex,
    read_json_object,
    write_json,
)
from croupier_wallet_softswiss.amounts import Amounts
from croupier_wallet_softswiss.codes import NOT_FOUND, reason_of
from croupier_wallet_softswiss.settings import SoftswissWalletSettings

AUTH_TOKEN: Final = "auth_token"  # noqa: S105 - the name of the secret, not its value
SIGNATURE_HEADER: Final = "X-REQUEST-SIGN"
MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_ID: Final = 200

_JSON_BOTH_WAYS: Final = (("Content-Type", "application/json"), ("Accept", "application/json"))
_BET: Final = WalletOperation.BET
_WIN: Final = WalletOperation.WIN
_ROLLBACK: Final = WalletOperation.ROLLBACK
_ACTIONS: Final = {operation: operation.value for operation in WalletOperation}
_JACKPOT: Final = MovementKind.JACKPOT_WIN.value


class _DistrustError(Exception):
    """The answer is not exactly what was expected; the text names what is wrong, never a value of the answer."""


class SoftswissWalletDialect(Dialect):
    """The SOFTSWISS-style wallet protocol with one operator's settings."""

    def __init__(self, settings: SoftswissWalletSettings) -> None:
        self.spec = SPEC
        self._play = settings.address(settings.play_path)
        self._rollback = settings.address(settings.rollback_path)
        self._amounts = Amounts(settings)
        self._zero_wins = settings.zero_wins
        self._lobby = settings.lobby

    # --- requests -----------------------------------------------------------------------------------------------------

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        """Write and sign the request.

        Raises:
            AmountError: The wire has fewer digits for the currency than the amount.
            MalformedRequestError: The call contradicts itself.
            UnsupportedOperationError: The protocol cannot say it: a status, bets and rollbacks in one call, an amount
                that the wallet decides, funds that are required beyond the amount.
            SettingsError: There is no token to sign with.
        """
        url, effect = self._play, Effect.IDEMPOTENT
        match call:
            case WalletMove() | WalletBatch():
                body = self._moving(call)
                if _is_rollback(_movements(call)):
                    url = self._rollback
            case WalletAuthenticate() | WalletBalance():
                body, effect = self._who(call, call.game, names_session=True), Effect.READ
            case WalletStatus():
                raise UnsupportedOperationError("the protocol tells no status", where="status")
            case _:
                assert_never(call)
        return _signed(url, write_json(body), credentials, effect)

    def signed_anew(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpRequest:
        """Sign a request whose body was changed.

        Raises:
            SettingsError: There is no token to sign with.
        """
        return _signed(request.url, request.body, credentials, request.effect)

    def _who(self, call: WalletCall, game: str | None, *, names_session: bool) -> dict[str, Any]:
        player = call.player
        body: dict[str, Any] = {"user_id": player.player, "currency": player.currency.code}
        # The hub's ids of games are `provider--game`, the protocol's `provider:game`.
        body["game"] = game.replace("--", ":", 1) if game else self._lobby
        if names_session and player.session is not None:
            body["session_id"] = player.session
        return body

    def _moving(self, call: WalletMove | WalletBatch) -> dict[str, Any]:
        context = call.context
        # Only a bet needs a live session: a wallet that sees none cannot refuse a win because it ended.
        takes = any(one.operation is _BET for one in _movements(call))
        body = self._who(call, context.game, names_session=takes)
        body["game_id"] = context.round
        body["finished"] = context.round_closed
        if not _movements(call):
            raise MalformedRequestError("a batch has at least one movement", where="movements")
        sent = self._sent(call)
        if sent:
            body["actions"] = [self._action(movement, call) for movement in sent]
        return body

    def _sent(self, call: WalletMove | WalletBatch) -> Sequence[WalletMovement]:
        """The movements that are told as actions."""
        movements = _movements(call)
        if self._zero_wins:
            return movements
        return [one for one in movements if one.operation is not _WIN or one.amount.minor != 0]

    def _action(self, movement: WalletMovement, call: WalletMove | WalletBatch) -> dict[str, Any]:
        amount, currency = movement.amount, call.player.currency
        if amount.currency is not currency and amount.currency != currency:
            raise MalformedRequestError("the amount is not in the player's currency", where="amount")
        if amount.minor < 0:
            raise MalformedRequestError("the amount is below zero", where="amount")
        action: dict[str, Any] = {"action": _ACTIONS[movement.operation]}
        if movement.operation is _ROLLBACK:
            if movement.target is None or movement.undoes in {None, _ROLLBACK}:
                raise MalformedRequestError("a rollback names the bet or win that it undoes", where="target")
            action["action_id"], action["original_action_id"] = movement.transaction, movement.target
            return action
        if movement.operator_decides:
            raise UnsupportedOperationError("the protocol has no bet of everything", where="operator_decides")
        if _needs_more(movement):
            raise UnsupportedOperationError("the protocol cannot ask for funds beyond a bet", where="funds_required")
        action["amount"] = self._amounts.write(amount)
        action["action_id"] = movement.transaction
        if movement.kind == _JACKPOT and movement.operation is _WIN:
            action["jackpot_win"] = action["amount"]
        return action

    # --- answers ------------------------------------------------------------------------------------------------------

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        """Read the answer. Total: what is not exactly right is `WalletUnknown`."""
        try:
            data = _answer_object(response)
            if response.status != 200:
                return self._refused(call, response.status, data)
            return self._accepted(call, data)
        except _DistrustError as error:
            return WalletUnknown(detail=str(error))

    def _accepted(self, call: WalletCall, data: dict[str, Any]) -> WalletApplied:
        if data.get("code") and not data.get("transactions"):  # section "Error codes": it has a status of its own
            raise _DistrustError("the wallet's answer is a refusal with the status of a success")
        balance = self._balance(call, data.get("balance"))
        match call:
            case WalletMove() | WalletBatch():
                return self._moved(call, data, balance)
            case WalletAuthenticate() | WalletBalance():
                return WalletApplied(balance=balance)
            case WalletStatus():
                raise _DistrustError("the protocol tells no status")
            case _:
                assert_never(call)

    def _balance(self, call: WalletCall, value: object) -> Balance:
        currency = call.player.currency
        try:
            return Balance(Money(self._amounts.read(value, currency), currency))
        except AmountError:
            raise _DistrustError("the wallet's balance is not of the form") from None

    def _moved(self, call: WalletMove | WalletBatch, data: dict[str, Any], balance: Balance) -> WalletApplied:
        sent = self._sent(call)
        if not sent:
            return WalletApplied(balance=balance)
        if data.get("game_id") != call.context.round:
            raise _DistrustError("the wallet's answer speaks of another round")
        told = data.get("transactions")
        if not isinstance(told, list) or len(told) != len(sent):
            raise _DistrustError("the wallet's answer has another number of transactions")
        ids = {}
        for movement, transaction in zip(sent, told, strict=True):
            ids[movement.transaction] = _own_id(movement, transaction)
        undone = [ids[one.transaction] for one in sent if one.operation is _ROLLBACK]
        return WalletApplied(
            balance=balance,
            operator_transactions={transaction: own for transaction, own in ids.items() if own},
            nothing_moved=bool(undone) and not any(undone),
        )

    def _refused(self, call: WalletCall, status: int, data: dict[str, Any]) -> WalletReply:
        code = _code(data)
        told = data.get("balance")
        balance = None if told is None else self._balance(call, told)
        movements = _movements(call)
        if code == NOT_FOUND and any(one.operation is _ROLLBACK for one in movements):
            # Nothing in it says whose answer it is: it may be that of a path that is not there, too.
            raise _DistrustError("404 is no answer to a rollback: what is unknown is accepted and remembered")
        reason = reason_of(code, status)
        if reason is None:
            raise _DistrustError(f"the code {code} with HTTP {status} is no definite refusal")
        if reason is DeclineReason.TARGET_UNKNOWN and not movements:
            reason = DeclineReason.OTHER
        return WalletRefused(reason=reason, balance=balance)


SPEC: Final = DialectSpec(
    slug="softswiss",
    name="SOFTSWISS-style wallet",
    capabilities=frozenset(
        {
            WalletCapability.ATOMIC_BATCH,
            WalletCapability.TOMBSTONES,
            WalletCapability.ZERO_AMOUNT,
            WalletCapability.ROUND_END,
        }
    ),
    secrets=(
        SecretField(
            AUTH_TOKEN,
            "Signs every request to the wallet (HMAC-SHA256). The first of several is signed with: give the wallet the "
            "new one before the hub.",
        ),
    ),
    settings=SoftswissWalletSettings,
    create=SoftswissWalletDialect,
    late_original=LateOriginal.ACCEPT,
    proves_time=False,
)


def _signed(url: str, body: bytes, credentials: Credentials, effect: Effect) -> HttpRequest:
    proof = hmac_hex(credentials.current(AUTH_TOKEN), body)
    return HttpRequest("POST", url, Headers((*_JSON_BOTH_WAYS, (SIGNATURE_HEADER, proof))), body, effect)


def _movements(call: WalletCall) -> tuple[WalletMovement, ...]:
    if isinstance(call, WalletMove):
        return (call.movement,)
    return call.movements if isinstance(call, WalletBatch) else ()


def _is_rollback(movements: Sequence[WalletMovement]) -> bool:
    """Whether these are rollbacks, which have a path of their own.

    Raises:
        UnsupportedOperationError: Some are and some are not.
    """
    rollbacks = [movement.operation is _ROLLBACK for movement in movements]
    if any(rollbacks) and not all(rollbacks):
        raise UnsupportedOperationError("bets and rollbacks have different paths", where="movements")
    return any(rollbacks)


def _needs_more(movement: WalletMovement) -> bool:
    required = movement.funds_required
    if required is None:
        return False
    return required > (movement.amount.minor if movement.operation is _BET else 0)


def _answer_object(response: HttpResponse) -> dict[str, Any]:
    status = response.status
    if status != 200 and not 400 <= status < 500:
        raise _DistrustError(f"the wallet answered with HTTP {status}")
    if len(response.body) > MAX_ANSWER_BYTES:
        raise _DistrustError("the wallet's answer is too large")
    try:
        return read_json_object(response.body)
    except MalformedRequestError:
        raise _DistrustError(f"the wallet's answer with HTTP {status} is not a JSON object") from None


def _own_id(movement: WalletMovement, told: object) -> str:
    """The wallet's own id of a movement; empty for a rollback that had nothing to undo (section "Idempotency")."""
    if not isinstance(told, dict) or told.get("action_id") != movement.transaction:
        raise _DistrustError("the wallet's answer speaks of another transaction")
    own = told.get("tx_id")
    if type(own) is int:
        own = str(own)
    if own == "" and movement.operation is _ROLLBACK:
        return ""
    if not isinstance(own, str) or not 0 < len(own) <= MAX_ID or not own.isprintable():
        raise _DistrustError("the wallet's own id is missing or no text")
    return own


def _code(data: dict[str, Any]) -> int:
    """The code of a refusal; in the variant that answers in Twirp's form it stands in `meta`."""
    code, meta = data.get("code"), data.get("meta")
    if isinstance(meta, dict) and type(code) is not int:
        code = meta.get("api_code")
        if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 6:
            code = int(code)
    if type(code) is not int:
        raise _DistrustError("the wallet's refusal has no code")
    return code
