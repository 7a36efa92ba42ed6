"""What a request of the provider means, and how it is answered: HTTP 200 always, the truth in `error`.

Facts: `reference/protocols/pragmatic.md`, sections "Wallet callbacks (provider -> operator)" and "Error codes".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from croupier.contract import calls, outcomes
from croupier.contract.calls import Call, Calls, Movement, MovementKey, MovementKind, Play, RoundFacts
from croupier.contract.errors import AmountError, MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.http import HttpResponse
from croupier.contract.money import Balance, WireAmount
from croupier.contract.outcomes import Applied, AuthenticateResult, Declined, NoticeResult, PlayResult, Result
from croupier.contract.strict_json import write_json
from croupier_pragmatic import codes
from croupier_pragmatic.settings import PragmaticSettings

REFERENCES: Final = "reference"
"""The key namespace of every transaction: `reference` is unique over all of them."""
REFUNDS: Final = "refund"
"""A refund carries the reference of its bet and none of its own."""
PROMOS: Final = "promo"
"""The promotion part of a `result`, and `promoWin`: one prize told on both ways is paid once."""

TOURNAMENT: Final = "T"
NOTHING_USED: Final = Decimal("0.00")
"""`usedPromo`: the hub is never told which part of a bet the operator took from bonus money."""

_MAX_TOKEN: Final = 1000
_NOTHING: Final = WireAmount.of("0")
_DETAILS: Final = tuple(
    """
    roundDetails platform jackpotDetails jackpotId campaignId campaignType promoCampaignID promoCampaignType dataType
    """.split()
)


def operation_of(path: str) -> str | None:
    """The operation of a path: `/bet.html`, `/bet` and `/bet/` are one."""
    name = path.strip("/").removesuffix(".html")
    return name if name in _READERS else None


def parse(path: str, fields: Mapping[str, str], settings: PragmaticSettings) -> Calls:
    """Say what a proven request asks for; an empty field counts as absent.

    Raises:
        UnsupportedOperationError: There is no such method.
        MalformedRequestError: A field is missing or wrong; a `providerId` that is not the connection's.
    """
    operation = operation_of(path)
    if operation is None:
        raise UnsupportedOperationError("there is no such method")
    reader, required = _READERS[operation]
    form = Fields.of_form(fields)
    if form.text("providerId") != settings.provider_id:
        raise MalformedRequestError("not the provider of this connection", where="providerId")
    for name in required:
        if name not in form.values and not (name == "roundDetails" and name in fields):
            raise MalformedRequestError("the field is missing", where=name)
    return reader(form, settings)


def _authenticate(form: Fields, settings: PragmaticSettings) -> Calls:
    call = calls.Authenticate(
        operation=codes.AUTHENTICATE,
        token=form.text("token", _MAX_TOKEN),
        game=form.optional_text("gameId"),
        rotate=settings.rotate_token,
        address=form.optional_text("ipAddress"),
    )
    return Calls((call,))


def _balance_query(operation: str, form: Fields) -> calls.BalanceQuery:
    return calls.BalanceQuery(operation=operation, player=form.text("userId"), session=_session(form))


def _bet(form: Fields, _settings: PragmaticSettings) -> Calls:
    grant, amount = form.optional_text("bonusCode"), form.amount("amount")
    if grant is not None and amount.value != 0:
        raise MalformedRequestError("a bet with a bonusCode is free: its amount must be 0", where="amount")
    contribution = form.optional_amount("jackpotContribution")
    facts = RoundFacts(jackpot_contribution=contribution, details=form.named(_DETAILS))
    kind = MovementKind.BET if grant is None else MovementKind.FREE_BET
    return _in_round(codes.BET, form, (_movement(kind, form, amount, facts, grant),), grant)


def _result(form: Fields, settings: PragmaticSettings) -> Calls:
    grant, amount, details = form.optional_text("bonusCode"), form.amount("amount"), form.named(_DETAILS)
    informs = grant is not None and settings.frb_credit_on == "bonusWin"
    kind = MovementKind.WIN if grant is None else MovementKind.FREE_WIN
    facts = RoundFacts(payout=amount, details=details)
    win = _movement(kind, form, _NOTHING if informs else amount, facts, grant)
    promo = form.optional_amount("promoWinAmount")
    if promo is None or promo.value == 0:
        return _in_round(codes.RESULT, form, (win,), grant)
    key = MovementKey(PROMOS, form.optional_text("promoWinReference") or win.reference)
    prize = Movement(MovementKind.PROMO_WIN, keys=(key,), amount=promo, facts=RoundFacts(details=details))
    return _in_round(codes.RESULT, form, (win, prize), grant)


def _jackpot_win(form: Fields, _settings: PragmaticSettings) -> Calls:
    amount = form.amount("amount")
    facts = RoundFacts(jackpot_win=amount, details=form.named(_DETAILS))
    return _in_round(codes.JACKPOT_WIN, form, (_movement(MovementKind.JACKPOT_WIN, form, amount, facts),))


def _adjustment(form: Fields, _settings: PragmaticSettings) -> Calls:
    facts = RoundFacts(valid_turnover=form.signed_amount("validBetAmount"), details=form.named(_DETAILS))
    amount = form.signed_amount("amount")
    movement = _movement(MovementKind.ADJUSTMENT, form, amount, facts)
    return _in_round(codes.ADJUSTMENT_DEBIT if amount.is_negative else codes.ADJUSTMENT, form, (movement,))


def _refund(form: Fields, _settings: PragmaticSettings) -> Calls:
    form.optional_amount("amount")  # an amount is checked like any other, and has no meaning: a refund is whole
    reference = form.text("reference")
    target = calls.Target(key=MovementKey(REFERENCES, reference))
    movement = Movement(MovementKind.ROLLBACK, keys=(MovementKey(REFUNDS, reference),), target=target)
    return _in_round(codes.REFUND, form, (movement,))


def _bonus_win(form: Fields, settings: PragmaticSettings) -> Calls:
    amount, grant, player = form.amount("amount"), form.optional_text("bonusCode"), form.text("userId")
    # The round and game are the last that was played; the total belongs to the grant, so they are facts only.
    details = {name: text for name in ("bonusCode", "roundId", "gameId") if (text := form.optional_text(name))}
    if settings.frb_credit_on == "result":
        facts, reference = {**details, "amount": form.text("amount")}, form.text("reference")
        notice = calls.Notice(
            operation=codes.BONUS_WIN, subject="free_rounds_total", reference=reference, player=player, facts=facts
        )
        return Calls((notice, _balance_query(codes.BONUS_WIN, form)))
    bonus = _movement(MovementKind.BONUS_WIN, form, amount, RoundFacts(details=details), "bonus")
    return _play(codes.BONUS_WIN, form, (bonus,), session=_session(form), grant=grant, closes_grant=grant is not None)


def _promo_win(form: Fields, _settings: PragmaticSettings) -> Calls:
    currency, reference = form.text("currency"), form.text("reference")
    movement = Movement(
        MovementKind.TOURNAMENT_WIN if form.text("campaignType") == TOURNAMENT else MovementKind.PROMO_WIN,
        keys=(MovementKey(REFERENCES, reference), MovementKey(PROMOS, reference)),
        amount=form.amount("amount", currency=currency),
        facts=RoundFacts(details=form.named(_DETAILS)),
    )
    return _play(codes.PROMO_WIN, form, (movement,), currency=currency)


def _end_round(form: Fields, _settings: PragmaticSettings) -> Calls:
    call = calls.CloseRound(
        operation=codes.END_ROUND,
        round=form.text("roundId"),
        player=form.text("userId"),
        session=_session(form),
        game=form.text("gameId"),
        facts=RoundFacts(payout=form.optional_amount("win"), details=form.named(_DETAILS)),
    )
    return Calls((call,))


def _session(form: Fields) -> str | None:
    return form.optional_text("token", _MAX_TOKEN)


def _movement(
    kind: MovementKind, form: Fields, amount: WireAmount, facts: RoundFacts, grant: str | None = None
) -> Movement:
    funding = calls.Funding.PLAYER if grant is None else calls.Funding.OPERATOR
    key = MovementKey(REFERENCES, form.text("reference"))
    return Movement(kind, keys=(key,), amount=amount, funding=funding, facts=facts)


def _in_round(operation: str, form: Fields, movements: tuple[Movement, ...], grant: str | None = None) -> Calls:
    place, game = form.optional_text("roundId"), form.optional_text("gameId")
    return _play(operation, form, movements, session=_session(form), round=place, game=game, grant=grant)


def _play(operation: str, form: Fields, movements: tuple[Movement, ...], **facts: Any) -> Calls:
    player, at = form.text("userId"), form.optional_moment("timestamp")
    return Calls((Play(operation=operation, movements=movements, player=player, provider_time=at, **facts),))


_ROUND: Final = ("gameId", "roundId", "timestamp")
# How each method is read, and the fields that it must have beside what its reader asks for; of these roundDetails alone
# may be empty.
_READERS: Final[Mapping[str, tuple[Callable[[Fields, PragmaticSettings], Calls], tuple[str, ...]]]] = {
    codes.AUTHENTICATE: (_authenticate, ()),
    codes.BALANCE: (lambda form, _settings: Calls((_balance_query(codes.BALANCE, form),)), ()),
    codes.BET: (_bet, (*_ROUND, "roundDetails")),
    codes.RESULT: (_result, (*_ROUND, "roundDetails")),
    codes.BONUS_WIN: (_bonus_win, ("timestamp",)),
    codes.JACKPOT_WIN: (_jackpot_win, (*_ROUND, "jackpotId")),
    codes.END_ROUND: (_end_round, ()),
    codes.REFUND: (_refund, ()),
    codes.PROMO_WIN: (_promo_win, ("campaignId", "timestamp")),
    codes.ADJUSTMENT: (_adjustment, _ROUND),
}


def answer(code: codes.Code, fields: Mapping[str, Any] | None = None) -> HttpResponse:
    """An answer with its error code and description."""
    told = {"error": int(code), "description": code.text}
    return HttpResponse.json(write_json({**fields, **told} if fields else told))


def render(asked: Calls, results: Sequence[Result], settings: PragmaticSettings) -> HttpResponse:
    """The answer to calls with their results; total, and the same for the same arguments."""
    call = asked.items[0]
    operation = call.operation
    again = codes.retry_code(operation)
    if len(results) != len(asked.items):
        return answer(again)
    outcome, balance = outcomes.outcome_of(results), outcomes.balance_of(results)
    if isinstance(outcome, Applied):
        fields = _success(call, results[0], balance, settings)
        return answer(again) if fields is None else answer(codes.Code.OK, fields)
    if isinstance(outcome, Declined):
        if operation == codes.END_ROUND and balance and outcome.reason is outcomes.DeclineReason.ROUND_CLOSED:
            return answer(codes.Code.OK, _cash(balance))  # a round that ended before has ended: endRound may come again
        return answer(codes.decline_code(operation, outcome.reason, settings))
    return answer(again)


def _success(call: Call, result: Result, balance: Balance | None, settings: PragmaticSettings) -> dict[str, Any] | None:
    """The fields of a success, or `None` where one of them is not known: it is never invented."""
    operation = call.operation
    if operation == codes.REFUND:
        return {"transactionId": _transaction(call, result)}
    if balance is None:
        return None
    if operation == codes.END_ROUND:
        return _cash(balance)
    money = {"currency": balance.code, **_cash(balance)}
    if operation == codes.AUTHENTICATE:
        return _player(call, result, money, settings)
    if operation == codes.BALANCE:
        return money
    used = {"usedPromo": NOTHING_USED} if operation == codes.BET else {}
    return {"transactionId": _transaction(call, result), **money, **used}


def _cash(balance: Balance) -> dict[str, Any]:
    return {"cash": balance.display(digits=2), "bonus": balance.display_bonus(digits=2)}


def _transaction(call: Call, result: Result) -> str:
    """The hub's id of the movement; the provider's own reference where nothing was recorded under an id."""
    if isinstance(result, PlayResult):
        for movement in result.movements[:1]:
            if isinstance(movement.outcome, Applied):
                return movement.outcome.transaction or movement.reference
    if isinstance(result, NoticeResult) and isinstance(result.outcome, Applied) and isinstance(call, calls.Notice):
        return result.outcome.transaction or call.reference
    return ""


def _player(call: Call, result: Result, money: Mapping[str, Any], settings: PragmaticSettings) -> dict[str, Any] | None:
    player = result.player if isinstance(result, AuthenticateResult) else None
    if player is None or not isinstance(call, calls.Authenticate):
        return None
    token, limits = player.session or call.token, _limits(player) if settings.send_bet_limits else {}
    told = {"userId": player.alias, **money, "usedPromo": NOTHING_USED, "token": token}
    known = {"country": player.country, "jurisdiction": player.jurisdiction, "betLimits": limits}
    return told | {name: value for name, value in known.items() if value}


def _limits(player: outcomes.PlayerFacts) -> dict[str, Decimal]:
    limits = {}
    for name, text in player.bet_limits.items():
        with suppress(AmountError):  # a limit that is no number cannot be told in this protocol
            limits[name] = WireAmount.of(text).value
    return limits
