"""What an action of the provider means, and how it is answered: plain JSON, HTTP 200, the truth in `status`.

Source: `reference/protocols/jdb.md`, sections "Wallet callbacks", "Amounts", "Idempotency & rollback" and "Rounds".

Transfer ids are told apart by action: whether two actions draw from one sequence is not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

from croupier.contract import calls as asks
from croupier.contract.calls import Call, Calls, Movement, MovementKey, MovementKind, RoundFacts, Target
from croupier.contract.errors import MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.http import HttpResponse
from croupier.contract.money import MAJOR, WireAmount
from croupier.contract.outcomes import Applied, Declined, Result, balance_of, outcome_of
from croupier.contract.strict_json import write_json
from croupier_jdb import codes
from croupier_jdb.codes import Status

WITHDRAWN: Final = "withdraw:"
"""A stake that was transferred out has no round on the wire: it makes one of its own, under its id."""

_EXACT: Final = Context(prec=120)
_NOTHING: Final = Decimal(0)
_PLAIN: Final = HttpResponse.text("no definite answer", 503)
_GAME_FACTS: Final = {
    "turnover": "bet",
    "valid_turnover": "validBet",
    "payout": "win",
    "rake": "tax",
    "jackpot_contribution": "jackpotContribute",
    "jackpot_win": "jackpot",
}
_STAKE_FACTS: Final = {"turnover": "totalBet", "payout": "totalWin"}
_EVENT_FACTS: Final = {"turnover": "accumulatedTurnover", "payout": "accumulatedWin"}
_DETAILS: Final = (
    *"historyId sessionNo systemSessionId roomType reportDate gameDate lastModifyTime".split(),
    *"activityNo activityName activityDate cashoutTime".split(),
)
_HISTORY: Final = tuple("eventId eventName gType mType mtype gameDate denom bet win historyId currency".split())
_TEXT_BALANCE: Final = frozenset({codes.BET, codes.SETTLE, codes.CANCEL_BET})
_NO_BALANCE: Final = frozenset({codes.WITHDRAW, codes.DEPOSIT, codes.CANCEL_WITHDRAW, codes.FREE_SPIN_HISTORY})


def number(fields: Fields, name: str) -> str:
    """An id that is a whole number from zero, or a text."""
    value = fields.values.get(name)
    return str(value) if type(value) is int and value >= 0 else fields.text(name)


def parse(values: Mapping[str, Any]) -> Calls:
    """Say what a decrypted request asks for.

    Raises:
        UnsupportedOperationError: There is no such action.
        MalformedRequestError: A field is missing or wrong.
    """
    action = values.get("action")
    operation = codes.ACTIONS.get(action) if type(action) is int else None
    if operation is None:
        raise UnsupportedOperationError("there is no such action", where="action")
    try:
        return Calls((_READERS[operation](operation, Fields(values)),))
    except MalformedRequestError as error:
        if operation == codes.CANCEL_BET_AND_SETTLE:
            error.hint = codes.MAY_STAND
        raise


def _balance(operation: str, fields: Fields) -> Call:
    return asks.BalanceQuery(operation=operation, player=_player(fields), currency=fields.text("currency"))


def _bet_and_settle(operation: str, fields: Fields) -> Call:
    currency = fields.text("currency")
    bet, net = size(fields, "bet", currency), fields.signed_amount("netWin", currency=currency).value
    # The balance changes by netWin, whatever tax or jackpot is in it; bet says what of that was staked.
    paid = _EXACT.add(net, bet.value)
    stake, payout = (bet.value, paid) if paid >= 0 else (net.copy_abs(), _NOTHING)
    least = None if fields.values.get("mb") is None else size(fields, "mb", currency)
    movement = Movement(
        MovementKind.BET_AND_WIN,
        keys=(_key(operation, fields),),
        amount=WireAmount(stake, MAJOR, currency),
        win_amount=WireAmount(payout, MAJOR, currency),
        funds_required=least if least is not None and least.value < bet.value else bet,
        facts=_facts(fields, currency, _GAME_FACTS),
    )
    return _play(operation, fields, movement, round=fields.text("historyId"))


def _stake(operation: str, fields: Fields) -> Call:
    key, amount = _key(operation, fields), fields.amount("amount", currency=fields.text("currency"))
    bet = operation == codes.BET
    movement = Movement(MovementKind.BET if bet else MovementKind.TRANSFER_OUT, keys=(key,), amount=amount)
    return _play(operation, fields, movement, round=fields.text("gameRoundSeqNo") if bet else WITHDRAWN + key.value)


def _settle(operation: str, fields: Fields) -> Call:
    currency, bets = fields.text("currency"), _references(fields, codes.BET)
    movement = Movement(
        MovementKind.WIN,
        keys=(_key(operation, fields),),
        amount=fields.amount("amount", currency=currency),
        # Of several bets none is named: the win then belongs to their round.
        target=Target(key=bets[0]) if len(bets) == 1 else None,
        facts=_facts(fields, currency, _GAME_FACTS),
    )
    closes = fields.values.get("roundClosed") is None or fields.flag("roundClosed")
    return _play(operation, fields, movement, round=fields.text("gameRoundSeqNo"), closes_round=closes)


def _cancel(operation: str, fields: Fields) -> Call:
    """A cancellation is of the whole; that of 8 has the id of what it cancels, and none of its own."""
    fields.optional_amount("amount")
    transfer = number(fields, "transferId")
    targets: tuple[MovementKey, ...]
    match operation:
        case codes.CANCEL_BET_AND_SETTLE:
            targets, place = (MovementKey(codes.BET_AND_SETTLE, transfer),), fields.optional_text("historyId")
        case codes.CANCEL_WITHDRAW:
            stake = number(fields, "refTransferId")
            targets, place = (MovementKey(codes.WITHDRAW, stake),), WITHDRAWN + stake
        case _:
            targets, place = _references(fields, codes.BET), fields.text("gameRoundSeqNo")
    names = [transfer] if len(targets) == 1 else [f"{transfer}:{target.value}" for target in targets]
    movements = [
        Movement(MovementKind.ROLLBACK, keys=(MovementKey(operation, name),), target=Target(key=target))
        for name, target in zip(names, targets, strict=True)
    ]
    return _play(operation, fields, *movements, round=place)


def _deposit(operation: str, fields: Fields) -> Call:
    currency, stakes = fields.text("currency"), _references(fields, codes.WITHDRAW)
    movement = Movement(
        MovementKind.TRANSFER_IN,
        keys=(_key(operation, fields),),
        amount=fields.amount("amount", currency=currency),
        target=Target(key=stakes[0]),
        facts=_facts(fields, currency, _STAKE_FACTS),
    )
    return _play(operation, fields, movement, round=WITHDRAWN + stakes[0].value)


def _reward(operation: str, fields: Fields) -> Call:
    """Outside of rounds: of an activity, or the total of free spins."""
    currency, spins = fields.text("currency"), operation == codes.FREE_SPIN_REWARD
    prize = Movement(
        MovementKind.BONUS_WIN if spins else MovementKind.PROMO_WIN,
        keys=(_key(operation, fields),),
        amount=fields.amount("amount", currency=currency),
        facts=_facts(fields, currency, _EVENT_FACTS),
    )
    event = number(fields, "eventId") if spins else None
    return _play(operation, fields, prize, gameless=True, grant=event, closes_grant=spins)


def _free_spin_history(operation: str, fields: Fields) -> Call:
    facts = {name: str(value)[:200] for name in _HISTORY if (value := fields.values.get(name)) is not None}
    reference = number(fields, "transferId")
    return asks.Notice(
        operation=operation, subject="free_spin", reference=reference, player=_player(fields), facts=facts
    )


def _play(operation: str, fields: Fields, *movements: Movement, gameless: bool = False, **facts: Any) -> asks.Play:
    return asks.Play(
        operation=operation,
        movements=movements,
        player=_player(fields),
        currency=fields.text("currency"),
        game=None if gameless else f"{number(fields, 'gType')}-{number(fields, 'mType')}",
        provider_time=fields.optional_moment("ts"),
        **facts,
    )


def _player(fields: Fields) -> str:
    return fields.text("uid", 50)


def _key(operation: str, fields: Fields) -> MovementKey:
    return MovementKey(operation, number(fields, "transferId"))


def _references(fields: Fields, namespace: str) -> tuple[MovementKey, ...]:
    """What a message refers to: at least one, and none twice."""
    items = fields.items("refTransferIds")
    keys = tuple([MovementKey(namespace, number(Fields({"refTransferIds": item}), "refTransferIds")) for item in items])
    if not keys or len(set(keys)) != len(keys):
        raise MalformedRequestError("expected at least one id, and none twice", where="refTransferIds")
    return keys


def size(fields: Fields, name: str, currency: str) -> WireAmount:
    """An amount without its sign: stakes come as negative numbers, or not."""
    return WireAmount(fields.signed_amount(name, currency=currency).value.copy_abs(), MAJOR, currency)


def _facts(fields: Fields, currency: str, names: Mapping[str, str]) -> RoundFacts:
    told = {fact: size(fields, name, currency) for fact, name in names.items() if fields.values.get(name) is not None}
    return RoundFacts(**told, details=fields.named(_DETAILS))


_READERS: Final[Mapping[str, Callable[[str, Fields], Call]]] = {
    codes.BALANCE: _balance,
    codes.BET_AND_SETTLE: _bet_and_settle,
    codes.SETTLE: _settle,
    codes.DEPOSIT: _deposit,
    codes.FREE_SPIN_HISTORY: _free_spin_history,
    **dict.fromkeys((codes.BET, codes.WITHDRAW), _stake),
    **dict.fromkeys((codes.ACTIVITY_REWARD, codes.FREE_SPIN_REWARD), _reward),
    **dict.fromkeys((codes.CANCEL_BET_AND_SETTLE, codes.CANCEL_BET, codes.CANCEL_WITHDRAW), _cancel),
}


def render(calls: Calls, results: Sequence[Result]) -> HttpResponse:
    """The answer to a call with its result; total, and the same for the same arguments.

    Where nothing is definite the answer to a stake must be no correct one, for only then JDB cancels it: a status would
    be a failure to it, and it might leave alone what was taken. All else is asked again while it is in process.
    """
    operation, outcome, balance = calls.items[0].operation, outcome_of(results), balance_of(results)
    if isinstance(outcome, Declined):
        return answer(codes.decline_status(operation, outcome.reason))
    if isinstance(outcome, Applied):
        if operation in _NO_BALANCE or (balance is None and operation == codes.CANCEL_BET_AND_SETTLE):
            return answer(Status.OK)
        if balance is not None:
            return answer(Status.OK, balance=balance.text() if operation in _TEXT_BALANCE else balance.display())
    return _PLAIN if operation in codes.STAKES else answer(Status.IN_PROCESS)


def answer(status: Status, text: str | None = None, *, balance: str | Decimal | None = None) -> HttpResponse:
    """An answer with its code."""
    told: dict[str, Any] = {"status": status.wire}
    if balance is not None:
        told["balance"] = balance
    told["err_text"] = status.text if text is None else text
    return HttpResponse.json(write_json(told))
