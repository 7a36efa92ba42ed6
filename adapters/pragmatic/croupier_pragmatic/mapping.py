"""What a request of the provider means.

Facts: `reference/protocols/pragmatic.md`, section "Wallet callbacks (provider -> operator)".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from croupier.contract.calls import (
    Authenticate,
    BalanceQuery,
    Calls,
    CloseRound,
    Funding,
    Movement,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    RoundFacts,
    Target,
)
from croupier.contract.errors import MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.money import WireAmount
from croupier_pragmatic import codes
from croupier_pragmatic.settings import FrbCreditOn, PragmaticSettings

REFERENCES: Final = "reference"
"""The key namespace of every transaction: `reference` is unique over all of them."""
REFUNDS: Final = "refund"
"""A refund carries the reference of its bet and none of its own."""
PROMOS: Final = "promo"
"""The promotion part of a `result`, and `promoWin`: one prize told on both ways is paid once."""

TOURNAMENT: Final = "T"

_MAX_TOKEN: Final = 1000
_NOTHING: Final = WireAmount.of("0")
_DETAILS: Final = tuple(
    """
    roundDetails platform jackpotDetails jackpotId campaignId campaignType promoCampaignID promoCampaignType dataType
    """.split()
)
# Looked up once: every bet or result needs two of them.
_BET, _FREE_BET, _WIN, _FREE_WIN = (
    MovementKind.BET,
    MovementKind.FREE_BET,
    MovementKind.WIN,
    MovementKind.FREE_WIN,
)
_PLAYER, _OPERATOR = Funding.PLAYER, Funding.OPERATOR


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
    call = Authenticate(
        operation=codes.AUTHENTICATE,
        token=form.text("token", _MAX_TOKEN),
        game=form.optional_text("gameId"),
        rotate=settings.rotate_token,
        address=form.optional_text("ipAddress"),
    )
    return Calls((call,))


def _balance(form: Fields, _settings: PragmaticSettings) -> Calls:
    return Calls((_balance_query(codes.BALANCE, form),))


def _balance_query(operation: str, form: Fields) -> BalanceQuery:
    return BalanceQuery(
        operation=operation, player=form.text("userId"), session=form.optional_text("token", _MAX_TOKEN)
    )


def _bet(form: Fields, _settings: PragmaticSettings) -> Calls:
    grant, amount = form.optional_text("bonusCode"), form.amount("amount")
    if grant is not None and amount.value != 0:
        raise MalformedRequestError("a bet with a bonusCode is free: its amount must be 0", where="amount")
    contribution = form.optional_amount("jackpotContribution")
    facts = RoundFacts(jackpot_contribution=contribution, details=form.named(_DETAILS))
    movement = _movement(_BET if grant is None else _FREE_BET, form, amount, facts, _payer(grant))
    return _in_round(codes.BET, form, (movement,), grant)


def _result(form: Fields, settings: PragmaticSettings) -> Calls:
    grant, amount, details = form.optional_text("bonusCode"), form.amount("amount"), form.named(_DETAILS)
    informs = grant is not None and settings.frb_credit_on is FrbCreditOn.BONUS_WIN
    kind, paid = _WIN if grant is None else _FREE_WIN, _NOTHING if informs else amount
    win = _movement(kind, form, paid, RoundFacts(payout=amount, details=details), _payer(grant))
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
    movement = _movement(MovementKind.ADJUSTMENT, form, form.signed_amount("amount"), facts)
    return _in_round(codes.ADJUSTMENT, form, (movement,))


def _refund(form: Fields, _settings: PragmaticSettings) -> Calls:
    form.optional_amount("amount")  # an amount is checked like any other, and has no meaning: a refund is whole
    reference = form.text("reference")
    target = Target(key=MovementKey(REFERENCES, reference))
    movement = Movement(MovementKind.ROLLBACK, keys=(MovementKey(REFUNDS, reference),), target=target)
    return _in_round(codes.REFUND, form, (movement,))


def _bonus_win(form: Fields, settings: PragmaticSettings) -> Calls:
    amount, grant, player = form.amount("amount"), form.optional_text("bonusCode"), form.text("userId")
    # The round and game are the last that was played; the total belongs to the grant, so they are facts only.
    details = {name: text for name in ("bonusCode", "roundId", "gameId") if (text := form.optional_text(name))}
    if settings.frb_credit_on is FrbCreditOn.RESULT:
        notice = Notice(
            operation=codes.BONUS_WIN,
            subject="free_rounds_total",
            reference=form.text("reference"),
            player=player,
            facts={**details, "amount": form.text("amount")},
        )
        return Calls((notice, _balance_query(codes.BONUS_WIN, form)))
    play = Play(
        operation=codes.BONUS_WIN,
        movements=(_movement(MovementKind.BONUS_WIN, form, amount, RoundFacts(details=details), _OPERATOR),),
        player=player,
        session=form.optional_text("token", _MAX_TOKEN),
        grant=grant,
        closes_grant=grant is not None,
        provider_time=form.optional_moment("timestamp"),
    )
    return Calls((play,))


def _promo_win(form: Fields, _settings: PragmaticSettings) -> Calls:
    currency, reference = form.text("currency"), form.text("reference")
    tournament = form.text("campaignType") == TOURNAMENT
    movement = Movement(
        MovementKind.TOURNAMENT_WIN if tournament else MovementKind.PROMO_WIN,
        keys=(MovementKey(REFERENCES, reference), MovementKey(PROMOS, reference)),
        amount=form.amount("amount", currency=currency),
        facts=RoundFacts(details=form.named(_DETAILS)),
    )
    play = Play(
        operation=codes.PROMO_WIN,
        movements=(movement,),
        player=form.text("userId"),
        currency=currency,
        provider_time=form.optional_moment("timestamp"),
    )
    return Calls((play,))


def _end_round(form: Fields, _settings: PragmaticSettings) -> Calls:
    call = CloseRound(
        operation=codes.END_ROUND,
        round=form.text("roundId"),
        player=form.text("userId"),
        session=form.optional_text("token", _MAX_TOKEN),
        game=form.text("gameId"),
        facts=RoundFacts(payout=form.optional_amount("win"), details=form.named(_DETAILS)),
    )
    return Calls((call,))


def _payer(grant: str | None) -> Funding:
    return _PLAYER if grant is None else _OPERATOR


def _movement(
    kind: MovementKind, form: Fields, amount: WireAmount, facts: RoundFacts, funding: Funding = _PLAYER
) -> Movement:
    key = MovementKey(REFERENCES, form.text("reference"))
    return Movement(kind, keys=(key,), amount=amount, funding=funding, facts=facts)


def _in_round(operation: str, form: Fields, movements: tuple[Movement, ...], grant: str | None = None) -> Calls:
    play = Play(
        operation=operation,
        movements=movements,
        player=form.text("userId"),
        session=form.optional_text("token", _MAX_TOKEN),
        round=form.optional_text("roundId"),
        game=form.optional_text("gameId"),
        grant=grant,
        provider_time=form.optional_moment("timestamp"),
    )
    return Calls((play,))


_ROUND: Final = ("userId", "gameId", "roundId", "amount", "reference", "timestamp")
_PROMO: Final = ("userId", "campaignId", "campaignType", "amount", "currency", "reference", "timestamp")
# How each method is read, and the fields that it must have; of these, roundDetails alone may be empty.
_READERS: Final[Mapping[str, tuple[Callable[[Fields, PragmaticSettings], Calls], tuple[str, ...]]]] = {
    codes.AUTHENTICATE: (_authenticate, ("token",)),
    codes.BALANCE: (_balance, ("userId",)),
    codes.BET: (_bet, (*_ROUND, "roundDetails")),
    codes.RESULT: (_result, (*_ROUND, "roundDetails")),
    codes.BONUS_WIN: (_bonus_win, ("userId", "amount", "reference", "timestamp")),
    codes.JACKPOT_WIN: (_jackpot_win, (*_ROUND, "jackpotId")),
    codes.END_ROUND: (_end_round, ("userId", "gameId", "roundId")),
    codes.REFUND: (_refund, ("userId", "reference")),
    codes.PROMO_WIN: (_promo_win, _PROMO),
    codes.ADJUSTMENT: (_adjustment, (*_ROUND, "validBetAmount")),
}
