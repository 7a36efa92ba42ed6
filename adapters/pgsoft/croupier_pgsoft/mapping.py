"""What a request of the provider means, and how it is answered: HTTP 200 always, `data` or `error`.

Facts: `reference/protocols/pgsoft.md`, sections "Wallet callbacks" and "Idempotency, rounds, rollback".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from croupier.contract import calls
from croupier.contract.calls import Calls, Movement, MovementKey, MovementKind, Play, RoundFacts
from croupier.contract.errors import MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.http import HttpResponse
from croupier.contract.money import MAJOR, WireAmount
from croupier.contract.outcomes import Applied, AuthenticateResult, Declined, Result, balance_of, outcome_of
from croupier.contract.strict_json import write_json
from croupier.contract.times import epoch_ms
from croupier_pgsoft import codes, wire
from croupier_pgsoft.settings import PgsoftSettings

SPINS: Final = "spin"
"""The namespace of `bet_id` in transfers of type 106; those of another type have one of their own."""
TRANSACTIONS: Final = "transaction"
"""The namespace of a `transaction_id` that is not put together as documented."""
ADJUSTMENTS: Final = "adjustment"
"""The namespace of `adjustment_transaction_id`."""

SPIN_TYPE: Final = "106"
_CONVERSIONS: Final = frozenset({"400", "403"})  # of a bonus game's money to cash, of a free game's
_NOT_CASH: Final = frozenset({"B", "G"})

_MAX_SESSION: Final = 1000
_NOTHING: Final = WireAmount.of("0")
_AGAIN: Final = ("is_validate_bet", "is_adjustment")
_FLAGS: Final = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}
_SPIN_DETAILS: Final = ("transaction_id", "wallet_type", "platform", "is_feature_buy", "free_game_id", "bonus_id")
_ADJUSTMENT_DETAILS: Final = ("adjustment_id", "transaction_type", "promotion_id", "promotion_type")


def parse(path: str, fields: Mapping[str, str], settings: PgsoftSettings) -> Calls:
    """Say what a proven request asks for; an empty field counts as absent.

    Raises:
        UnsupportedOperationError: There is no such method.
        MalformedRequestError: A field is missing or wrong, or the amounts contradict each other.
    """
    reader = _READERS.get(path.rstrip("/"))
    if reader is None:
        raise UnsupportedOperationError("there is no such method")
    try:
        return reader(Fields.of_form(fields), settings)
    except MalformedRequestError as error:
        if any(_FLAGS.get(fields.get(name) or "False") is not False for name in _AGAIN):
            error.hint = codes.MAY_STAND
        raise


def _verify_session(form: Fields, _settings: PgsoftSettings) -> Calls:
    token = form.text("operator_player_session", _MAX_SESSION)
    game, address = form.optional_text("game_id"), form.optional_text("ip")
    return Calls((calls.Authenticate(operation=codes.VERIFY, token=token, game=game, address=address),))


def _get(form: Fields, _settings: PgsoftSettings) -> Calls:
    player, session, game = form.text("player_name"), _session(form), form.optional_text("game_id")
    return Calls((calls.BalanceQuery(operation=codes.BALANCE, player=player, session=session, game=game),))


def _transfer(form: Fields, settings: PgsoftSettings) -> Calls:
    currency = form.text("currency_code")
    stake, payout = form.amount("bet_amount", MAJOR, currency), form.amount("win_amount", MAJOR, currency)
    net = form.signed_amount("transfer_amount", MAJOR, currency).value
    if net + stake.value != payout.value:
        raise MalformedRequestError(codes.WRONG_SUM, where="transfer_amount")
    real = _real_amount(form, net, currency, settings)
    if form.values.get("wallet_type", "C") not in {"C", *_NOT_CASH}:
        raise MalformedRequestError("expected C, B or G", where="wallet_type")
    if form.values.get("bet_type", "1") != "1":
        raise MalformedRequestError("only games for money move it", where="bet_type")
    parent = form.text("parent_bet_id")
    operation, movement = _spin(form, parent, stake, payout, settings)
    converts = operation == codes.CONVERSION
    free = converts or operation == codes.FREE_SPIN
    play = Play(
        operation=operation,
        movements=(movement,),
        player=form.text("player_name"),
        session=_session(form),
        round=parent,
        game=form.text("game_id"),
        currency=currency,
        closes_round=_ends_round(form),
        grant=_grant(form, settings) if free else None,
        closes_grant=converts,
        provider_time=_moment(form, "create_time"),
        resend=any(_flag(form, name) is True for name in _AGAIN),
    )
    _moment(form, "updated_time")
    echo = {"updated_time": form.values["updated_time"]}
    return Calls((play,), echo if real is None else {**echo, "real_transfer_amount": real})


def _spin(
    form: Fields, parent: str, stake: WireAmount, payout: WireAmount, settings: PgsoftSettings
) -> tuple[str, Movement]:
    """The operation and the movement of a transfer."""
    bet, transaction = form.text("bet_id"), form.text("transaction_id")
    kind = _type_of(transaction, bet, parent)
    key = _key(kind, bet, transaction)
    contribution, jackpot = map(form.optional_amount, ("jackpot_rtp_contribution_amount", "jackpot_win_amount"))
    details = form.named(_SPIN_DETAILS)
    if kind in _CONVERSIONS or form.values.get("wallet_type") in _NOT_CASH:
        return _of_free_game(key, stake, payout, details, pays=settings.free_games_pay, converts=kind in _CONVERSIONS)
    facts = RoundFacts(jackpot_contribution=contribution, jackpot_win=jackpot, details=details)
    if stake.value:
        if payout.value:
            both = Movement(MovementKind.BET_AND_WIN, keys=(key,), amount=stake, win_amount=payout, facts=facts)
            return codes.TRANSFER, both
        return codes.TRANSFER, Movement(MovementKind.BET, keys=(key,), amount=stake, facts=facts)
    never_staked = bet == parent or _flag(form, "is_parent_zero_stake") is True
    operation = codes.FREE_PAYOUT if never_staked else codes.PAYOUT
    return operation, Movement(MovementKind.WIN, keys=(key,), amount=payout, facts=facts)


def _of_free_game(
    key: MovementKey, stake: WireAmount, payout: WireAmount, details: Mapping[str, str], *, pays: str, converts: bool
) -> tuple[str, Movement]:
    """A spin that cash does not pay for, or what such spins won: one of the two pays, the other only informs."""
    if stake.value and converts:
        raise MalformedRequestError("a conversion to cash stakes nothing", where="bet_amount")
    movement = Movement(
        MovementKind.BONUS_WIN if converts else MovementKind.FREE_WIN,
        keys=(key,),
        amount=payout if converts is (pays == "conversion") else _NOTHING,
        stake=stake if stake.value else None,
        funding=calls.Funding.OPERATOR,
        facts=RoundFacts(payout=payout, details=details),
    )
    return codes.CONVERSION if converts else codes.FREE_SPIN, movement


def _adjustment(form: Fields, settings: PgsoftSettings) -> Calls:
    currency = form.text("currency_code")
    amount = form.signed_amount("transfer_amount", MAJOR, currency)
    _real_amount(form, amount.value, currency, settings)
    form.text("adjustment_id")
    kind = settings.adjustment_kinds.get(form.text("transaction_type"), MovementKind.ADJUSTMENT)
    movement = Movement(
        MovementKind.ADJUSTMENT if amount.is_negative else kind,
        keys=(MovementKey(ADJUSTMENTS, form.text("adjustment_transaction_id")),),
        amount=amount,
        facts=RoundFacts(details=form.named(_ADJUSTMENT_DETAILS)),
    )
    play = Play(
        operation=codes.ADJUSTMENT_DEBIT if amount.is_negative else codes.ADJUSTMENT,
        movements=(movement,),
        player=form.text("player_name"),
        currency=currency,
        provider_time=_moment(form, "adjustment_time"),
    )
    return Calls((play,), {"updated_time": form.values["adjustment_time"], "amount": form.values["transfer_amount"]})


def _bet_detail(form: Fields, _settings: PgsoftSettings) -> Calls:
    reference = form.optional_text("updated_time") or ""
    return Calls((calls.Notice(operation=codes.BET_DETAIL, subject="bet_detail", reference=reference),))


def _type_of(transaction: str, bet: str, parent: str) -> str | None:
    """The type in `{bet}-{parent}-{type}-{balance}`; `None` where the id is put together otherwise."""
    start, parts = f"{bet}-{parent}-", transaction.split("-")
    if transaction.startswith(start):
        kind = transaction[len(start) :].partition("-")[0]
    else:  # its ids may be written otherwise than in the fields
        kind = parts[2] if len(parts) == 4 else ""
    return kind if kind.isdigit() and kind.isascii() else None


def _key(kind: str | None, bet: str, transaction: str) -> MovementKey:
    """What makes a repeat: of the id's parts only the last may differ when a transfer is sent again."""
    if kind == SPIN_TYPE:
        return MovementKey(SPINS, bet)
    return MovementKey(TRANSACTIONS, transaction) if kind is None else MovementKey(f"{SPINS}.{kind}", bet)


def _real_amount(form: Fields, amount: Decimal, currency: str, settings: PgsoftSettings) -> str | None:
    """The amount in the player's own currency as it was sent, if it was: for currencies counted in thousands."""
    if "real_transfer_amount" not in form.values:
        return None
    if form.signed_amount("real_transfer_amount").value != amount * settings.ratio(currency):
        raise MalformedRequestError(codes.WRONG_REAL_AMOUNT, where="real_transfer_amount")
    return str(form.values["real_transfer_amount"])


def _ends_round(form: Fields) -> bool:
    """Whether the round ends; accounts name the flag in one of two ways, and where it is missing every spin ends it."""
    one, other = _flag(form, "is_end_round"), _flag(form, "is_round_end")
    if one is not None and other is not None and one is not other:
        raise MalformedRequestError("it contradicts is_end_round", where="is_round_end")
    return one if one is not None else other is not False


def _flag(form: Fields, name: str) -> bool | None:
    value = form.values.get(name)
    flag = _FLAGS.get(value or "")
    if value is not None and flag is None:
        raise MalformedRequestError("expected True or False", where=name)
    return flag


def _moment(form: Fields, name: str) -> datetime:
    moment = form.optional_moment(name)
    if moment is None:
        raise MalformedRequestError(codes.ABSENT, where=name)
    return moment


def _session(form: Fields) -> str | None:
    return form.optional_text("operator_player_session", _MAX_SESSION)


def _grant(form: Fields, settings: PgsoftSettings) -> str | None:
    return form.optional_text(settings.grant_field) or form.optional_text("bonus_name")


_READERS: Final[Mapping[str, Callable[[Fields, PgsoftSettings], Calls]]] = {
    wire.VERIFY_SESSION: _verify_session,
    wire.GET: _get,
    wire.TRANSFER: _transfer,
    wire.ADJUSTMENT: _adjustment,
    wire.BET_DETAIL: _bet_detail,
}

_REFUSALS: Final = {
    code: HttpResponse.json(write_json({"data": None, "error": {"code": str(int(code)), "message": code.text}}))
    for code in codes.Code
}


def refusal(code: codes.Code) -> HttpResponse:
    """The answer of an error code."""
    return _REFUSALS[code]


def render(asked: Calls, results: Sequence[Result], now: datetime) -> HttpResponse:
    """The answer to a call with its result; total, and the same for the same arguments."""
    call = asked.items[0]
    outcome = outcome_of(results)
    if isinstance(outcome, Declined):
        code = codes.decline_code(call.operation, outcome.reason)
        stands = code is codes.Code.BET_EXISTS and isinstance(call, Play) and call.resend
        return refusal(codes.Code.AGAIN if stands else code)
    if not isinstance(outcome, Applied):
        return refusal(codes.Code.AGAIN)
    if isinstance(call, calls.Notice):
        return _success({"is_success": True})
    balance = balance_of(results)
    if isinstance(call, calls.Authenticate):
        return _player(results[0])
    if balance is None:
        return refusal(codes.Code.AGAIN)  # a balance is never invented
    shown = balance.display(digits=2)
    if call.operation in {codes.ADJUSTMENT, codes.ADJUSTMENT_DEBIT}:
        amount = Decimal(asked.echo["amount"])
        told: dict[str, Any] = {"adjust_amount": amount, "balance_before": shown - amount, "balance_after": shown}
    else:
        told = {"currency_code": balance.code, "balance_amount": shown}
    told["updated_time"] = int(asked.echo["updated_time"]) if isinstance(call, Play) else epoch_ms(now)
    if "real_transfer_amount" in asked.echo:
        told["real_transfer_amount"] = Decimal(asked.echo["real_transfer_amount"])
    return _success(told)


def _success(data: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse.json(write_json({"data": data, "error": None}))


def _player(result: Result) -> HttpResponse:
    player = result.player if isinstance(result, AuthenticateResult) else None
    if player is None:
        return refusal(codes.Code.AGAIN)
    name = player.display_name or player.alias
    return _success({"player_name": player.alias, "nickname": name, "currency": player.currency})
