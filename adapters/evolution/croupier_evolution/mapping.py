"""What a request of the provider means, and how it is answered: HTTP 200 always, the truth in `status`.

Facts: `reference/protocols/evolution.md`, sections "Wallet callbacks", "ids" and "Idempotency / rollback rules".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from croupier.contract import (
    Applied,
    AppliedEffect,
    Authenticate,
    AuthenticateResult,
    Balance,
    BalanceQuery,
    Call,
    Calls,
    Declined,
    DeclineReason,
    Fields,
    HttpResponse,
    MalformedRequestError,
    Movement,
    MovementKey,
    MovementKind,
    Play,
    Result,
    RoundFacts,
    Target,
    Unknown,
    UnknownCause,
    UnsupportedOperationError,
    balance_of,
    outcome_of,
    write_json,
)
from croupier_evolution import codes, wire
from croupier_evolution.settings import EvolutionSettings

BETS: Final = "bet"
"""The namespace of `refId`, by which a debit, its credit and its cancel find each other: it is the bet."""
CREDITS: Final = "credit"
"""The namespace of a credit's `transaction.id`."""
CANCELS: Final = "cancel"
"""A cancel has no id of its own: it carries the debit's, and is known by the same `refId`."""
PROMOS: Final = "promo"
"""The namespace of `promoTransaction.id`."""

JACKPOT: Final = "JackpotWin"
UUID: Final = "uuid"

_PROMO_FACTS: Final = ("type", "voucherId", "remainingRounds")
_OWED: Final = frozenset({codes.CREDIT, codes.CANCEL, codes.PROMO_PAYOUT})


def parse(path: str, body: Mapping[str, Any], settings: EvolutionSettings) -> Calls:
    """Say what a proven request asks for.

    Raises:
        UnsupportedOperationError: There is no such method.
        MalformedRequestError: A field is missing or wrong.
    """
    reader = _READERS.get(path.strip("/"))
    if reader is None:
        raise UnsupportedOperationError("there is no such method")
    fields = Fields(body)
    return Calls((reader(fields, settings),), {UUID: fields.text(UUID)})


def _check(fields: Fields, settings: EvolutionSettings) -> Call:
    return Authenticate(
        operation=codes.CHECK,
        token=fields.text("sid"),
        player=fields.text("userId"),
        rotate=settings.renew_sid != "never",
        renew=settings.renew_sid == "every",
    )


def _balance(fields: Fields, _settings: EvolutionSettings) -> Call:
    return BalanceQuery(
        operation=codes.BALANCE,
        player=fields.text("userId"),
        session=fields.text("sid"),
        currency=fields.text("currency"),
        game=_table(_optional(fields, "game")),
    )


def _debit(fields: Fields, _settings: EvolutionSettings) -> Call:
    transaction = _inner(fields, "transaction")
    currency, bet = fields.text("currency"), transaction.text("refId")
    movement = Movement(
        MovementKind.BET,
        keys=(MovementKey(BETS, bet),),
        amount=transaction.amount("amount", currency=currency),
        facts=RoundFacts(details={"transaction": transaction.text("id")}),
    )
    return _in_round(codes.DEBIT, fields, movement, currency)


def _credit(fields: Fields, _settings: EvolutionSettings) -> Call:
    transaction = _inner(fields, "transaction")
    currency = fields.text("currency")
    movement = Movement(
        MovementKind.WIN,
        keys=(MovementKey(CREDITS, transaction.text("id")),),
        amount=transaction.amount("amount", currency=currency),
        target=Target(key=MovementKey(BETS, transaction.text("refId"))),
    )
    return _in_round(codes.CREDIT, fields, movement, currency)


def _cancel(fields: Fields, _settings: EvolutionSettings) -> Call:
    transaction = _inner(fields, "transaction")
    transaction.optional_amount("amount")  # checked like any other, and without meaning: a cancel is whole
    bet = transaction.text("refId")
    movement = Movement(
        MovementKind.ROLLBACK, keys=(MovementKey(CANCELS, bet),), target=Target(key=MovementKey(BETS, bet))
    )
    return _in_round(codes.CANCEL, fields, movement, fields.text("currency"))


def _promo_payout(fields: Fields, _settings: EvolutionSettings) -> Call:
    promo, game = _inner(fields, "promoTransaction"), _optional(fields, "game")
    currency, kind = fields.text("currency"), promo.text("type")
    details = {name: text for name in _PROMO_FACTS if (text := _word(promo.values.get(name)))}
    table = None
    if game is not None:  # where it came from: it belongs to no bet of that round, and is refused over none of this
        details |= {"round": id_} if (id_ := _word(game.values.get("id"))) else {}
        with suppress(MalformedRequestError):
            table = _table(game)
    movement = Movement(
        MovementKind.JACKPOT_WIN if kind == JACKPOT else MovementKind.PROMO_WIN,
        keys=(MovementKey(PROMOS, promo.text("id")),),
        amount=promo.amount("amount", currency=currency),
        facts=RoundFacts(details=details),
    )
    return Play(
        operation=codes.PROMO_PAYOUT,
        movements=(movement,),
        player=fields.text("userId"),
        session=fields.text("sid"),
        game=table,
        currency=currency,
    )


def _in_round(operation: str, fields: Fields, movement: Movement, currency: str) -> Play:
    game = _inner(fields, "game")
    return Play(
        operation=operation,
        movements=(movement,),
        player=fields.text("userId"),
        session=fields.text("sid"),
        round=game.text("id"),
        game=_table(game),
        currency=currency,
    )


def _table(game: Fields | None) -> str | None:
    """The code of a game: its table's id. The same under a virtual table, whose `vid` only tells them apart."""
    return None if game is None else _inner(_inner(game, "details"), "table").text("id")


def _inner(fields: Fields, name: str) -> Fields:
    value = fields.values.get(name)
    if type(value) is dict:
        return Fields(value, f"{fields.path}.{name}" if fields.path else name)
    problem = "the field is missing" if value is None else "expected an object"
    raise MalformedRequestError(problem, where=fields.where(name))


def _optional(fields: Fields, name: str) -> Fields | None:
    return None if fields.values.get(name) is None else _inner(fields, name)


def _word(value: Any) -> str:
    return value[:200] if isinstance(value, str) else str(value) if type(value) is int else ""


_READERS: Final[Mapping[str, Callable[[Fields, EvolutionSettings], Call]]] = {
    codes.CHECK: _check,
    codes.BALANCE: _balance,
    codes.DEBIT: _debit,
    codes.CREDIT: _credit,
    codes.CANCEL: _cancel,
    codes.PROMO_PAYOUT: _promo_payout,
}


def render(asked: Calls, results: Sequence[Result], settings: EvolutionSettings) -> HttpResponse:
    """The answer to a call with its result; total, and the same for the same arguments."""
    call, uuid = asked.items[0], asked.echo.get(UUID)
    outcome, operation = outcome_of(results), call.operation
    if not isinstance(outcome, Applied):
        return wire.refusal(_refusal(operation, outcome), uuid)
    told = _checked(call, results[0]) if operation == codes.CHECK else _booked(operation, outcome, results, settings)
    if told is None:
        return wire.refusal(codes.TEMPORARY, uuid)
    return HttpResponse.json(write_json({**told, UUID: uuid}))


def _refusal(operation: str, outcome: Declined | Unknown) -> str:
    if isinstance(outcome, Unknown):
        return codes.IN_PROCESS if outcome.cause is UnknownCause.IN_PROGRESS else codes.TEMPORARY
    if operation in _OWED and outcome.reason is DeclineReason.SESSION_UNKNOWN and outcome.transaction:
        return codes.TEMPORARY  # the wallet's word on its own session, and no fault of the session id
    return codes.STATUSES[operation][outcome.reason]


def _checked(call: Call, result: Result) -> dict[str, Any] | None:
    player = result.player if isinstance(result, AuthenticateResult) else None
    if player is None or not isinstance(call, Authenticate):
        return None
    return {"status": codes.OK, "sid": player.session or call.token}


def _booked(
    operation: str, outcome: Applied, results: Sequence[Result], settings: EvolutionSettings
) -> dict[str, Any] | None:
    """The fields of a success, or `None` where the balance is not known: it is never invented."""
    balance = balance_of(results)
    if balance is None:
        return None
    status = _REPEATED.get(operation, codes.OK) if outcome.effect is AppliedEffect.REPEATED else codes.OK
    return {"status": status, **_money(balance, settings.balance_digits)}


_REPEATED: Final = {codes.DEBIT: codes.BET_EXISTS, codes.CREDIT: codes.BET_SETTLED, codes.CANCEL: codes.BET_SETTLED}
"""What the provider hears of a movement that was done before: it takes both for done."""


def _money(balance: Balance, digits: int) -> dict[str, Any]:
    return {"balance": balance.display(digits=digits), "bonus": balance.display_bonus(digits=digits)}
