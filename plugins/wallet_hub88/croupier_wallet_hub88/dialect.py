"""The Hub88-style wallet as the hub calls it: the hub plays the aggregator's part towards the operator.

Source: `reference/protocols/hub88.md`, sections "Wallet callbacks", "Auth (EXACT)" and "Idempotency".
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, assert_never

from attrs import evolve

from croupier.contract import (
    AmountError,
    Balance,
    Credentials,
    CroupierError,
    DeclineReason,
    Dialect,
    DialectSpec,
    Effect,
    Funding,
    Headers,
    HttpRequest,
    HttpResponse,
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
    epoch_ms,
    read_json_object,
    write_json,
)
from croupier_wallet_hub88 import amounts
from croupier_wallet_hub88.settings import AuthenticateBy, Hub88WalletSettings
from croupier_wallet_hub88.signing import PRIVATE_KEY, load_private_key, sign
from croupier_wallet_hub88.statuses import (
    DOES_NOT_EXIST,
    INVALID_TOKEN,
    OK,
    REASONS,
    ROLLED_BACK,
    TOKEN_EXPIRED,
    WRONG_CURRENCY,
)

MAX_ANSWER_BYTES: Final = 256 * 1024
KEYS_KEPT: Final = 4

_JSON_BOTH_WAYS: Final = (("Content-Type", "application/json"), ("Accept", "application/json"))
_BET: Final = WalletOperation.BET
_WIN: Final = WalletOperation.WIN
_ROLLBACK: Final = WalletOperation.ROLLBACK
_OPERATIONS: Final = {operation: operation.value for operation in WalletOperation}
_FREE: Final = frozenset({MovementKind.FREE_BET.value, MovementKind.FREE_WIN.value})
_ATTEMPTS: Final = 2**48 - 1
_ATTEMPT: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-")
_FACT_LENGTH: Final = 64
_COUNTRY_LENGTH: Final = 2


class _DistrustError(Exception):
    """The answer is not exactly what was expected; the text names what is wrong, never a value of the answer."""


class Hub88WalletDialect(Dialect):
    """The Hub88-style wallet protocol with one operator's settings."""

    def __init__(self, settings: Hub88WalletSettings) -> None:
        self.spec = SPEC
        if settings.late_original is not SPEC.late_original:
            self.spec = evolve(SPEC, late_original=settings.late_original)
        self._addresses = {name: settings.address(name) for name in ("info", "balance", "bet", "win", "rollback")}
        self._header = settings.signature_header
        self._asks_info = settings.authenticate is AuthenticateBy.INFO
        self._key = lru_cache(maxsize=KEYS_KEPT)(load_private_key)  # to read a PEM costs more than to sign with it

    # --- requests -----------------------------------------------------------------------------------------------------

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        """Write and sign the request.

        Raises:
            AmountError: The amount has more than five digits after the point, or is too large for the wire.
            MalformedRequestError: The call contradicts itself.
            UnsupportedOperationError: The protocol cannot say it: a batch, a status, an amount that the wallet decides,
                funds that are required beyond the amount.
            SettingsError: There is no private key, or none that can be used.
        """
        operation, raw, content = self._written(call)
        # The first 48 bits are the attempt's, the rest the call's: a wallet that keeps its answer to an attempt cannot
        # give it to the next one, and the answer is still known to be that of this call.
        attempt = f"{epoch_ms(now) & _ATTEMPTS:012x}"
        body = raw[:-1] + f',"request_uuid":"{attempt[:8]}-{attempt[8:]}-{content}"}}'.encode()
        effect = Effect.IDEMPOTENT if isinstance(call, WalletMove) else Effect.READ
        return self._signed(self._addresses[operation], body, credentials, effect)

    def signed_anew(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpRequest:
        """Sign a request whose body was changed.

        Raises:
            SettingsError: There is no private key, or none that can be used.
        """
        return self._signed(request.url, request.body, credentials, request.effect)

    def _signed(self, url: str, body: bytes, credentials: Credentials, effect: Effect) -> HttpRequest:
        proof = sign(self._key(credentials.current(PRIVATE_KEY)), body)
        return HttpRequest("POST", url, Headers((*_JSON_BOTH_WAYS, (self._header, proof))), body, effect)

    def _written(self, call: WalletCall) -> tuple[str, bytes, str]:
        """The operation, the body without its `request_uuid`, and the part of that which follows from the body."""
        operation, fields = self._fields(call)
        raw = write_json(fields)
        digits = sha256(operation.encode() + raw).hexdigest()
        return operation, raw, f"8{digits[:3]}-a{digits[3:6]}-{digits[6:18]}"

    def _fields(self, call: WalletCall) -> tuple[str, dict[str, Any]]:
        match call:
            case WalletMove():
                return _OPERATIONS[call.movement.operation], _moving(call)
            case WalletAuthenticate() if self._asks_info:
                return "info", {"user": call.player.player}
            case WalletAuthenticate() | WalletBalance():
                return "balance", {
                    "user": call.player.player,
                    "token": call.player.session or "",
                    "game_code": call.game,
                }
            case WalletBatch():
                raise UnsupportedOperationError("the protocol moves one amount a call", where="batch")
            case WalletStatus():
                raise UnsupportedOperationError("the protocol tells no status", where="status")
            case _:
                assert_never(call)

    # --- answers ------------------------------------------------------------------------------------------------------

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        """Read the answer. Total: what is not exactly right is `WalletUnknown`."""
        try:
            operation, _, content = self._written(call)
            data = _answer_object(response)
            _check_echo(data.get("request_uuid"), content)
            status = data.get("status")
            if status == OK:
                return _accepted(call, data, operation)
            return _refused(call, data, status)
        except _DistrustError as error:
            return WalletUnknown(detail=str(error))
        except CroupierError as error:
            return WalletUnknown(detail=f"an answer to what cannot be asked: {error.code}")


SPEC: Final = DialectSpec(
    slug="hub88",
    name="Hub88-style wallet",
    capabilities=frozenset(
        {WalletCapability.TOMBSTONES, WalletCapability.ZERO_AMOUNT, WalletCapability.ROUND_END},
    ),
    secrets=(
        SecretField(
            PRIVATE_KEY,
            "The hub's own RSA private key in PEM, 2048 bits or more; the wallet has the public key. The first of "
            "several is signed with.",
            check=load_private_key,
        ),
    ),
    settings=Hub88WalletSettings,
    create=Hub88WalletDialect,
    proves_operation=False,
    proves_time=False,
    wins_name_a_bet=True,
    balance_needs_session=True,
)


def _moving(call: WalletMove) -> dict[str, Any]:
    player, context, movement = call.player, call.context, call.movement
    _check(movement, call)
    fields: dict[str, Any] = {
        "user": player.player,
        "transaction_uuid": movement.transaction,
        "token": player.session or "",
        "round": context.round,
        "round_closed": context.round_closed,
        "game_code": context.game,
    }
    if movement.operation is _ROLLBACK:
        fields["reference_transaction_uuid"] = movement.target
        return fields
    fields["currency"] = player.currency.code
    fields["amount"] = amounts.write(movement.amount)
    if movement.operation is _WIN:
        fields["reference_transaction_uuid"] = movement.target
        fields["is_supplier_promo"] = movement.target is None
    fields["is_free"] = _is_free(movement)
    fields["is_aggregated"] = False
    fields["reward_uuid"] = context.grant
    fields["meta"] = {
        "provider": context.provider,
        "connection": context.connection,
        "provider_round": context.provider_round,
        "kind": movement.kind,
        "stake": movement.stake,
        "funding": movement.funding.value,
    }
    return fields


def _is_free(movement: WalletMovement) -> bool:
    """Whether it is of free rounds. A bet that takes money is none: a wallet charges nothing for a free one."""
    if movement.operation is _BET and movement.amount.minor:
        return False
    return movement.kind in _FREE or movement.funding is not Funding.PLAYER


def _check(movement: WalletMovement, call: WalletMove) -> None:
    """Refuse what contradicts itself, and what the protocol has no words for."""
    amount, currency = movement.amount, call.player.currency
    if amount.currency is not currency and amount.currency != currency:
        raise MalformedRequestError("the amount is not in the player's currency", where="amount")
    if amount.minor < 0:
        raise MalformedRequestError("the amount is below zero", where="amount")
    if movement.operation is _ROLLBACK and (movement.target is None or movement.undoes in {None, _ROLLBACK}):
        raise MalformedRequestError("a rollback names the bet or win that it undoes", where="target")
    if movement.operator_decides:
        raise UnsupportedOperationError("the protocol has no bet of everything", where="operator_decides")
    taken = amount.minor if movement.operation is _BET else 0
    if movement.funds_required is not None and movement.funds_required > taken:
        raise UnsupportedOperationError("the protocol cannot ask for funds beyond a bet", where="funds_required")


def _answer_object(response: HttpResponse) -> dict[str, Any]:
    if response.status != 200:
        raise _DistrustError(f"the wallet answered with HTTP {response.status}")
    if len(response.body) > MAX_ANSWER_BYTES:
        raise _DistrustError("the wallet's answer is too large")
    try:
        return read_json_object(response.body)
    except MalformedRequestError:
        raise _DistrustError("the wallet's answer is not a JSON object") from None


def _check_echo(given: object, content: str) -> None:
    """Distrust the answer to another call; that to another attempt of this one is as good."""
    if not (isinstance(given, str) and _ATTEMPT.fullmatch(given[: -len(content)]) and given.endswith(content)):
        raise _DistrustError("the wallet's answer speaks of another request")


def _same(given: object, sent: str, name: str) -> None:
    if given != sent:
        raise _DistrustError(f"the wallet's answer speaks of another {name}")


def _balance(call: WalletCall, data: dict[str, Any]) -> Balance:
    currency = call.player.currency
    _same(data.get("currency"), currency.code, "currency")
    try:
        return Balance(Money(amounts.read(data.get("balance"), currency), currency))
    except AmountError:
        raise _DistrustError("the wallet's balance is not of the form") from None


def _accepted(call: WalletCall, data: dict[str, Any], operation: str) -> WalletApplied:
    _same(data.get("user"), call.player.player, "player")
    if operation != "info":
        return WalletApplied(balance=_balance(call, data))
    # What is told of the player may come without money.
    balance = _balance(call, data) if data.get("balance") is not None else None
    return WalletApplied(balance=balance, facts=_facts(data))


def _facts(data: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name in ("country", "jurisdiction"):
        value = data.get(name)
        if isinstance(value, str) and 0 < len(value) <= _FACT_LENGTH and value.isprintable():
            found[name] = value
    country = found.get("country", "")
    if not (len(country) == _COUNTRY_LENGTH and country.isascii() and country.isalpha() and country.isupper()):
        found.pop("country", None)
    return found


def _refused(call: WalletCall, data: dict[str, Any], status: object) -> WalletReply:
    reason = REASONS.get(status) if isinstance(status, str) else None
    if reason is None:
        raise _DistrustError("the wallet's status is no definite answer")
    if data.get("user") is not None:
        _same(data["user"], call.player.player, "player")
    # A balance in the player's own currency says nothing to a call in another one.
    is_told = data.get("balance") is not None and status != WRONG_CURRENCY
    balance = _balance(call, data) if is_told else None
    operation = call.movement.operation if isinstance(call, WalletMove) else None
    if operation is _ROLLBACK and status in {DOES_NOT_EXIST, ROLLED_BACK}:
        # What was rolled back before is known to the wallet: no late original of it can come.
        return WalletApplied(balance=balance, nothing_moved=status == DOES_NOT_EXIST)
    if operation in {_WIN, _ROLLBACK} and status in {INVALID_TOKEN, TOKEN_EXPIRED}:
        raise _DistrustError("a session is no reason to refuse a win or a rollback")
    if operation is not _WIN and reason is DeclineReason.TARGET_UNKNOWN:
        raise _DistrustError("the wallet misses a transaction that was not named")
    return WalletRefused(reason=reason, balance=balance)
