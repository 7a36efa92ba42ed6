"""The native wallet protocol as the hub speaks it: requests written and signed, answers read with distrust."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeVar, assert_never

import msgspec
from attrs import field, frozen

from croupier.contract import (
    Balance,
    Credentials,
    Currency,
    DeclineReason,
    Dialect,
    DialectSpec,
    Effect,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    SecretField,
    SettingsError,
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
    WalletStatusReply,
    WalletUnknown,
    check_base_address,
    check_path,
    digest_hex,
    read_json_object,
)
from croupier_wallet_native.messages import (
    NOT_A_REFUSAL,
    AnyRequest,
    AuthenticateAnswer,
    AuthenticateRequest,
    BalanceAnswer,
    BalanceNow,
    BalanceRequest,
    BatchAnswer,
    BatchedAnswer,
    BatchedMovement,
    BatchRequest,
    MoveAnswer,
    MoveRequest,
    Operation,
    Refusal,
    StatusAnswer,
    StatusRequest,
)
from croupier_wallet_native.openapi import openapi
from croupier_wallet_native.signing import decode_secret, sign

SIGNING_SECRET: Final = "signing_secret"  # noqa: S105 - the name of the secret's field, not a secret
MAX_ANSWER_BYTES: Final = 256 * 1024

AnswerClass = TypeVar("AnswerClass")

_encode: Final = msgspec.json.Encoder().encode
_JSON_BOTH_WAYS: Final = (("Content-Type", "application/json"), ("Accept", "application/json"))
_BET: Final = WalletOperation.BET
_ROLLBACK: Final = WalletOperation.ROLLBACK
_OPERATIONS: Final = {operation: Operation(operation.value) for operation in WalletOperation}
_REASONS: Final = {reason.value: reason for reason in DeclineReason}


@frozen(kw_only=True)
class NativeSettings:
    """Where an operator's wallet is.

    Attributes:
        url: The absolute address under which the operations are, without query.
        paths: Operation name to its path under `url`, for those that are not `/` and the operation's name.
    """

    url: str = field()
    paths: Mapping[str, str] = field(factory=dict)

    @url.validator
    def _url_is_absolute(self, _attribute: object, value: str) -> None:
        check_base_address(value, "url")

    @paths.validator
    def _paths_are_of_operations(self, _attribute: object, value: Mapping[str, str]) -> None:
        known = {operation.value for operation in Operation}
        for name, path in value.items():
            if name not in known:
                raise SettingsError(
                    "there is no such operation", where=f"paths.{name}", hint=f"known: {', '.join(sorted(known))}"
                )
            check_path(path, f"paths.{name}")

    def address(self, operation: Operation) -> str:
        """The absolute address of an operation."""
        return self.url.rstrip("/") + self.paths.get(operation.value, f"/{operation.value}")


class _DistrustError(Exception):
    """The answer is not exactly what was expected; the text names what is wrong, never a value of the answer."""


class NativeDialect(Dialect):
    """The native wallet protocol with one operator's settings."""

    def __init__(self, settings: NativeSettings) -> None:
        self.spec = SPEC
        self._addresses = {operation: settings.address(operation) for operation in Operation}

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        """Write and sign the request.

        Raises:
            MalformedRequestError: The call contradicts itself (a rollback without its target, another currency).
            SettingsError: No signing secret, or one of the wrong form.
        """
        secrets = credentials.every(SIGNING_SECRET) or (credentials.current(SIGNING_SECRET),)
        message = _message(call)
        body = _encode(message)
        if isinstance(call, WalletMove):
            effect, message_id = Effect.IDEMPOTENT, call.movement.transaction
        elif isinstance(call, WalletBatch):
            effect, message_id = Effect.IDEMPOTENT, call.batch
        else:
            effect, message_id = Effect.READ, f"read_{digest_hex(body)[:40]}"
        headers = Headers((*_JSON_BOTH_WAYS, *sign(secrets, message_id, now, body).items))
        return HttpRequest("POST", self._addresses[message.operation], headers, body, effect)

    def signed_anew(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpRequest:
        """Sign a request whose body was changed, under the message id that it has.

        Raises:
            MalformedRequestError: It has no message id.
            SettingsError: No signing secret, or one of the wrong form.
        """
        secrets = credentials.every(SIGNING_SECRET) or (credentials.current(SIGNING_SECRET),)
        proof = sign(secrets, request.headers.get("webhook-id") or "", now, request.body)
        headers = Headers((*_JSON_BOTH_WAYS, *proof.items))
        return HttpRequest(request.method, request.url, headers, request.body, request.effect)

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        """Read the answer. Total: what is not exactly right is `WalletUnknown`."""
        try:
            data = _answer_object(response)
            if data.get("status") == "refused":
                return _refused(call, _convert(data, Refusal))
            return _accepted(call, data)
        except _DistrustError as error:
            return WalletUnknown(detail=str(error))


SPEC: Final = DialectSpec(
    slug="native",
    name="Croupier native wallet",
    capabilities=frozenset(WalletCapability),
    secrets=(
        SecretField(
            SIGNING_SECRET,
            "Signs every request to the wallet: whsec_ and the base64 of 24 to 64 random bytes. "
            "Two values may be valid at once.",
            check=decode_secret,
        ),
    ),
    settings=NativeSettings,
    create=NativeDialect,
    openapi=openapi,
)


# --- requests ---------------------------------------------------------------------------------------------------------


def _message(call: WalletCall) -> AnyRequest:
    if isinstance(call, WalletMove):
        return _move(call)
    if isinstance(call, WalletBatch):
        if not call.movements:
            raise MalformedRequestError("a batch has at least one movement", where="movements")
        movements = tuple([_batched(movement, call.player.currency) for movement in call.movements])
        return BatchRequest(
            operation=Operation.BATCH, batch=call.batch, movements=movements, **_who(call), **_place(call)
        )
    match call:
        case WalletAuthenticate():
            return AuthenticateRequest(
                operation=Operation.AUTHENTICATE, provider=call.provider, game=call.game, **_who(call)
            )
        case WalletBalance():
            return BalanceRequest(operation=Operation.BALANCE, game=call.game, **_who(call))
        case WalletStatus():
            return StatusRequest(operation=Operation.STATUS, transaction=call.transaction, **_who(call))
        case _:
            assert_never(call)


def _who(call: WalletCall) -> dict[str, Any]:
    player = call.player
    return {"player": player.player, "session": player.session, "currency": player.currency.code}


def _place(call: WalletBatch) -> dict[str, Any]:
    context = call.context
    return {
        "provider": context.provider,
        "connection": context.connection,
        "game": context.game,
        "round": context.round,
        "provider_round": context.provider_round,
        "round_closed": context.round_closed,
        "grant": context.grant,
    }


def _move(call: WalletMove) -> MoveRequest:
    player, context, movement = call.player, call.context, call.movement
    _check(movement, player.currency)
    return MoveRequest(
        operation=_OPERATIONS[movement.operation],
        player=player.player,
        session=player.session,
        currency=player.currency.code,
        provider=context.provider,
        connection=context.connection,
        game=context.game,
        round=context.round,
        provider_round=context.provider_round,
        round_closed=context.round_closed,
        grant=context.grant,
        transaction=movement.transaction,
        amount=movement.amount.minor,
        kind=movement.kind,
        target=movement.target,
        undoes=_undone(movement),
        stake=movement.stake,
        funding=movement.funding,
        funds_required=movement.funds_required,
        take_all=movement.operator_decides,
    )


def _batched(movement: WalletMovement, currency: Currency) -> BatchedMovement:
    _check(movement, currency)
    return BatchedMovement(
        operation=movement.operation,
        transaction=movement.transaction,
        amount=movement.amount.minor,
        kind=movement.kind,
        target=movement.target,
        undoes=_undone(movement),
        stake=movement.stake,
        funding=movement.funding,
        funds_required=movement.funds_required,
        take_all=movement.operator_decides,
    )


def _check(movement: WalletMovement, currency: Currency) -> None:
    """Refuse a movement that contradicts itself."""
    amount = movement.amount
    if amount.currency is not currency and amount.currency != currency:
        raise MalformedRequestError("the amount is not in the player's currency", where="amount")
    if amount.minor < 0:
        raise MalformedRequestError("the amount is below zero", where="amount")
    if movement.operation is _ROLLBACK and (movement.target is None or movement.undoes in {None, _ROLLBACK}):
        raise MalformedRequestError("a rollback names the bet or win that it undoes", where="target")
    if movement.operator_decides and movement.operation is not _BET:
        raise MalformedRequestError("only the amount of a bet can be the operator's", where="operator_decides")


def _undone(movement: WalletMovement) -> Literal["bet", "win"] | None:
    if movement.operation is not _ROLLBACK:
        return None
    return "bet" if movement.undoes is _BET else "win"


# --- answers ----------------------------------------------------------------------------------------------------------


def _answer_object(response: HttpResponse) -> dict[str, Any]:
    if response.status != 200:
        raise _DistrustError(f"the wallet answered with HTTP {response.status}")
    if len(response.body) > MAX_ANSWER_BYTES:
        raise _DistrustError("the wallet's answer is too large")
    try:
        data = read_json_object(response.body)
        if b"\\u" in response.body:
            # An escaped lone surrogate is JSON, but no text: nothing behind this could store it.
            _encode(data)
    except (MalformedRequestError, UnicodeEncodeError):
        raise _DistrustError("the wallet's answer is not a JSON object") from None
    return data


def _convert(data: dict[str, Any], form: type[AnswerClass]) -> AnswerClass:
    try:
        return msgspec.convert(data, form, strict=True)
    except msgspec.ValidationError as error:
        # "Expected `int`, got `str` - at `$.balance.cash`": types and places; only of an enum the value, cut out here.
        told = re.sub(r"^Invalid enum value .*(?= - at `)", "Unexpected value", str(error), flags=re.DOTALL)
        raise _DistrustError(f"the wallet's answer is not of the form: {told}") from None


def _same(given: object, sent: object, name: str) -> None:
    if given != sent:
        raise _DistrustError(f"the wallet's answer speaks of another {name}")


def _balance(call: WalletCall, balance: BalanceNow) -> Balance:
    currency = call.player.currency
    _same(balance.currency, currency.code, "currency")
    bonus = None if balance.bonus is None else Money(balance.bonus, currency)
    return Balance(Money(balance.cash, currency), bonus)


def _refused(call: WalletCall, refusal: Refusal) -> WalletRefused:
    match call:
        case WalletMove():
            _same(refusal.transaction, call.movement.transaction, "transaction")
        case WalletStatus():
            _same(refusal.transaction, call.transaction, "transaction")
        case WalletBatch():
            _same(refusal.batch, call.batch, "batch")
        case WalletAuthenticate() | WalletBalance():
            _same(refusal.player, call.player.player, "player")
        case _:
            assert_never(call)
    reason = _REASONS.get(refusal.reason, DeclineReason.OTHER)
    if reason in NOT_A_REFUSAL:
        raise _DistrustError(f"{reason.value} is not a refusal: money may have moved before")
    balance = None if refusal.balance is None else _balance(call, refusal.balance)
    return WalletRefused(reason=reason, message=refusal.message, balance=balance)


def _accepted(call: WalletCall, data: dict[str, Any]) -> WalletApplied | WalletStatusReply:
    if isinstance(call, WalletMove):
        return _moved(call, _convert(data, MoveAnswer))
    match call:
        case WalletAuthenticate():
            return _authenticated(call, _convert(data, AuthenticateAnswer))
        case WalletBalance():
            answer = _convert(data, BalanceAnswer)
            _same(answer.player, call.player.player, "player")
            return WalletApplied(balance=_balance(call, answer.balance))
        case WalletBatch():
            return _batch_moved(call, _convert(data, BatchAnswer))
        case WalletStatus():
            told = _convert(data, StatusAnswer)
            _same(told.transaction, call.transaction, "transaction")
            return WalletStatusReply(
                state=told.state, balance=None if told.balance is None else _balance(call, told.balance)
            )
        case _:
            assert_never(call)


def _authenticated(call: WalletAuthenticate, answer: AuthenticateAnswer) -> WalletApplied:
    _same(answer.player, call.player.player, "player")
    facts = {
        "country": answer.country,
        "language": answer.language,
        "jurisdiction": answer.jurisdiction,
        "display_name": answer.display_name,
    }
    return WalletApplied(
        balance=_balance(call, answer.balance),
        facts={name: value for name, value in facts.items() if value is not None},
    )


def _moved(call: WalletMove, answer: MoveAnswer) -> WalletApplied:
    amount = _checked(call.movement, answer)
    return WalletApplied(
        balance=_balance(call, answer.balance),
        operator_transactions={answer.transaction: answer.operator_transaction},
        amounts={} if amount is None else {answer.transaction: amount},
        nothing_moved=answer.nothing_moved,
    )


def _batch_moved(call: WalletBatch, answer: BatchAnswer) -> WalletApplied:
    _same(answer.batch, call.batch, "batch")
    if len(answer.movements) != len(call.movements):
        raise _DistrustError("the wallet's answer has another number of movements")
    amounts = {}
    for movement, result in zip(call.movements, answer.movements, strict=True):
        amount = _checked(movement, result)
        if amount is not None:
            amounts[result.transaction] = amount
    undone = [
        result.nothing_moved
        for movement, result in zip(call.movements, answer.movements, strict=True)
        if movement.operation is _ROLLBACK
    ]
    return WalletApplied(
        balance=_balance(call, answer.balance),
        operator_transactions={result.transaction: result.operator_transaction for result in answer.movements},
        amounts=amounts,
        nothing_moved=bool(undone) and all(undone),
    )


def _checked(movement: WalletMovement, answer: MoveAnswer | BatchedAnswer) -> int | None:
    """The amount that the operator decided, if it was to decide; an answer that does not fit is distrusted."""
    _same(answer.transaction, movement.transaction, "transaction")
    if answer.nothing_moved and movement.operation is not _ROLLBACK:
        raise _DistrustError("nothing_moved belongs to a rollback")
    if movement.operator_decides:
        if answer.amount is None or answer.amount < movement.amount.minor:
            raise _DistrustError("the wallet does not tell an amount that it was allowed to take")
        return answer.amount
    if answer.amount is not None and movement.operation is not _ROLLBACK:
        _same(answer.amount, movement.amount.minor, "amount")
    return None
