"""What a request of the provider means.

Facts: `reference/protocols/pragmatic.md`, section "Wallet callbacks (provider -> operator)".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

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
from croupier.contract.money import WireAmount
from croupier_pragmatic.codes import (
    ADJUSTMENT,
    AUTHENTICATE,
    BALANCE,
    BET,
    BONUS_WIN,
    END_ROUND,
    JACKPOT_WIN,
    OPERATIONS,
    PROMO_WIN,
    REFUND,
    RESULT,
)
from croupier_pragmatic.settings import FrbCreditOn, PragmaticSettings

REFERENCES: Final = "reference"
"""The key namespace of every transaction: `reference` is unique over all of them."""
REFUNDS: Final = "refund"
"""A refund carries the reference of its bet and none of its own."""
PROMOS: Final = "promo"
"""The promotion part of a `result`, and `promoWin`: one prize told on both ways is paid once."""

TOURNAMENT: Final = "T"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MAX_ID: Final = 200
_MAX_TOKEN: Final = 1000
_MAX_MOMENT: Final = 14
_ROUND: Final = ("userId", "gameId", "roundId", "amount", "reference", "timestamp")
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    AUTHENTICATE: ("token",),
    BALANCE: ("userId",),
    BET: (*_ROUND, "roundDetails"),
    RESULT: (*_ROUND, "roundDetails"),
    BONUS_WIN: ("userId", "amount", "reference", "timestamp"),
    JACKPOT_WIN: (*_ROUND, "jackpotId"),
    END_ROUND: ("userId", "gameId", "roundId"),
    REFUND: ("userId", "reference"),
    PROMO_WIN: ("userId", "campaignId", "campaignType", "amount", "currency", "reference", "timestamp"),
    ADJUSTMENT: (*_ROUND, "validBetAmount"),
}
_DETAILS: Final = (
    "roundDetails",
    "platform",
    "jackpotDetails",
    "jackpotId",
    "campaignId",
    "campaignType",
    "promoCampaignID",
    "promoCampaignType",
    "dataType",
)


def operation_of(path: str) -> str | None:
    """The operation of a path: `/bet.html`, `/bet` and `/bet/` are one."""
    name = path.strip("/").removesuffix(".html")
    return name if name in OPERATIONS else None


@frozen
class Form:
    """The fields of a proven request. An empty field counts as none."""

    fields: Mapping[str, str]

    def optional(self, name: str, longest: int = _MAX_ID) -> str | None:
        """An id or a code.

        Raises:
            MalformedRequestError: It is too long, or holds what cannot be printed.
        """
        text = self.fields.get(name) or None
        if text is not None and (len(text) > longest or not text.isprintable()):
            raise MalformedRequestError(f"expected at most {longest} printable characters", where=name)
        return text

    def required(self, name: str, longest: int = _MAX_ID) -> str:
        """An id or a code that must be there.

        Raises:
            MalformedRequestError: It is missing, too long, or holds what cannot be printed.
        """
        text = self.optional(name, longest)
        if text is None:
            raise MalformedRequestError("the field is missing", where=name)
        return text

    def amount(self, name: str, currency: str | None = None) -> WireAmount:
        """An exact amount in major units, of either sign.

        Raises:
            MalformedRequestError: It is missing or no plain decimal number.
        """
        return WireAmount.of(self.required(name), currency=currency)

    def credit(self, name: str, currency: str | None = None) -> WireAmount:
        """An exact amount in major units that is not below zero.

        Raises:
            MalformedRequestError: It is missing, no plain decimal number, or below zero.
        """
        amount = self.amount(name, currency)
        if amount.is_negative:
            raise MalformedRequestError("must not be negative", where=name)
        return amount

    def optional_credit(self, name: str) -> WireAmount | None:
        """Like `credit`, for a field that may be absent."""
        return self.credit(name) if self.fields.get(name) else None

    def moment(self) -> datetime | None:
        """The provider's time: `timestamp`, in milliseconds since 1970.

        Raises:
            MalformedRequestError: It is no such number.
        """
        text = self.optional("timestamp")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_MOMENT):
            raise MalformedRequestError("expected milliseconds since 1970", where="timestamp")
        return EPOCH + timedelta(milliseconds=int(text))

    def details(self) -> dict[str, str]:
        """The descriptive fields that were sent."""
        return {name: self.fields[name] for name in _DETAILS if self.fields.get(name)}


def parse(path: str, fields: Mapping[str, str], settings: PragmaticSettings) -> Calls:
    """Say what a proven request asks for.

    Raises:
        UnsupportedOperationError: There is no such method.
        MalformedRequestError: A field is missing or wrong; a `providerId` that is not the connection's.
    """
    operation = operation_of(path)
    if operation is None:
        raise UnsupportedOperationError("there is no such method")
    form = Form(fields)
    if form.required("providerId") != settings.provider_id:
        raise MalformedRequestError("not the provider of this connection", where="providerId")
    for name in _REQUIRED[operation]:
        if name not in fields or (not fields[name] and name != "roundDetails"):
            raise MalformedRequestError("the field is missing", where=name)
    return _PARSERS[operation](form, settings)


def _authenticate(form: Form, settings: PragmaticSettings) -> Calls:
    call = Authenticate(
        operation=AUTHENTICATE,
        token=form.required("token", _MAX_TOKEN),
        game=form.optional("gameId"),
        rotate=settings.rotate_token,
        address=form.optional("ipAddress"),
    )
    return Calls((call,))


def _balance(form: Form, _settings: PragmaticSettings) -> Calls:
    return Calls((_balance_query(BALANCE, form),))


def _balance_query(operation: str, form: Form) -> BalanceQuery:
    return BalanceQuery(operation=operation, player=form.required("userId"), session=form.optional("token", _MAX_TOKEN))


def _bet(form: Form, _settings: PragmaticSettings) -> Calls:
    grant, amount = form.optional("bonusCode"), form.credit("amount")
    if grant is not None and amount.value != 0:
        raise MalformedRequestError("a bet with a bonusCode is free: its amount must be 0", where="amount")
    movement = Movement(
        MovementKind.BET if grant is None else MovementKind.FREE_BET,
        keys=(_key(form),),
        amount=amount,
        funding=Funding.PLAYER if grant is None else Funding.OPERATOR,
        facts=RoundFacts(jackpot_contribution=form.optional_credit("jackpotContribution"), details=form.details()),
    )
    return _in_round(BET, form, (movement,), grant)


def _result(form: Form, settings: PragmaticSettings) -> Calls:
    grant, amount = form.optional("bonusCode"), form.credit("amount")
    informs = grant is not None and settings.frb_credit_on is FrbCreditOn.BONUS_WIN
    win = Movement(
        MovementKind.WIN if grant is None else MovementKind.FREE_WIN,
        keys=(_key(form),),
        amount=WireAmount.of("0") if informs else amount,
        funding=Funding.PLAYER if grant is None else Funding.OPERATOR,
        facts=RoundFacts(payout=amount, details=form.details()),
    )
    promo = form.optional_credit("promoWinAmount")
    if promo is None or promo.value == 0:
        return _in_round(RESULT, form, (win,), grant)
    reference = form.optional("promoWinReference") or win.reference
    prize = Movement(
        MovementKind.PROMO_WIN,
        keys=(MovementKey(PROMOS, reference),),
        amount=promo,
        facts=RoundFacts(details=form.details()),
    )
    return _in_round(RESULT, form, (win, prize), grant)


def _jackpot_win(form: Form, _settings: PragmaticSettings) -> Calls:
    amount = form.credit("amount")
    movement = Movement(
        MovementKind.JACKPOT_WIN,
        keys=(_key(form),),
        amount=amount,
        facts=RoundFacts(jackpot_win=amount, details=form.details()),
    )
    return _in_round(JACKPOT_WIN, form, (movement,))


def _adjustment(form: Form, _settings: PragmaticSettings) -> Calls:
    movement = Movement(
        MovementKind.ADJUSTMENT,
        keys=(_key(form),),
        amount=form.amount("amount"),
        facts=RoundFacts(valid_turnover=form.amount("validBetAmount"), details=form.details()),
    )
    return _in_round(ADJUSTMENT, form, (movement,))


def _refund(form: Form, _settings: PragmaticSettings) -> Calls:
    form.optional_credit("amount")  # an amount is checked like any other, and has no meaning: a refund is whole
    reference = form.required("reference")
    movement = Movement(
        MovementKind.ROLLBACK,
        keys=(MovementKey(REFUNDS, reference),),
        target=Target(key=MovementKey(REFERENCES, reference)),
    )
    return _in_round(REFUND, form, (movement,))


def _bonus_win(form: Form, settings: PragmaticSettings) -> Calls:
    amount, grant = form.credit("amount"), form.optional("bonusCode")
    # The round and game are the last that was played; the total belongs to the grant, so they are facts only.
    facts = {name: form.fields[name] for name in ("bonusCode", "roundId", "gameId") if form.optional(name)}
    if settings.frb_credit_on is FrbCreditOn.RESULT:
        notice = Notice(
            operation=BONUS_WIN,
            subject="free_rounds_total",
            reference=_key(form).value,
            player=form.required("userId"),
            facts={**facts, "amount": form.fields["amount"]},
        )
        return Calls((notice, _balance_query(BONUS_WIN, form)))
    movement = Movement(
        MovementKind.BONUS_WIN,
        keys=(_key(form),),
        amount=amount,
        funding=Funding.OPERATOR,
        facts=RoundFacts(details=facts),
    )
    play = Play(
        operation=BONUS_WIN,
        movements=(movement,),
        player=form.required("userId"),
        session=form.optional("token", _MAX_TOKEN),
        grant=grant,
        closes_grant=grant is not None,
        provider_time=form.moment(),
    )
    return Calls((play,))


def _promo_win(form: Form, _settings: PragmaticSettings) -> Calls:
    currency, reference = form.required("currency"), form.required("reference")
    tournament = form.required("campaignType") == TOURNAMENT
    movement = Movement(
        MovementKind.TOURNAMENT_WIN if tournament else MovementKind.PROMO_WIN,
        keys=(_key(form), MovementKey(PROMOS, reference)),
        amount=form.credit("amount", currency),
        facts=RoundFacts(details=form.details()),
    )
    play = Play(
        operation=PROMO_WIN,
        movements=(movement,),
        player=form.required("userId"),
        currency=currency,
        provider_time=form.moment(),
    )
    return Calls((play,))


def _end_round(form: Form, _settings: PragmaticSettings) -> Calls:
    call = CloseRound(
        operation=END_ROUND,
        round=form.required("roundId"),
        player=form.required("userId"),
        session=form.optional("token", _MAX_TOKEN),
        game=form.required("gameId"),
        facts=RoundFacts(payout=form.optional_credit("win"), details=form.details()),
    )
    return Calls((call,))


def _key(form: Form) -> MovementKey:
    return MovementKey(REFERENCES, form.required("reference"))


def _in_round(operation: str, form: Form, movements: tuple[Movement, ...], grant: str | None = None) -> Calls:
    play = Play(
        operation=operation,
        movements=movements,
        player=form.required("userId"),
        session=form.optional("token", _MAX_TOKEN),
        round=form.optional("roundId"),
        game=form.optional("gameId"),
        grant=grant,
        provider_time=form.moment(),
    )
    return Calls((play,))


_PARSERS: Final[Mapping[str, Callable[[Form, PragmaticSettings], Calls]]] = {
    AUTHENTICATE: _authenticate,
    BALANCE: _balance,
    BET: _bet,
    RESULT: _result,
    BONUS_WIN: _bonus_win,
    JACKPOT_WIN: _jackpot_win,
    END_ROUND: _end_round,
    REFUND: _refund,
    PROMO_WIN: _promo_win,
    ADJUSTMENT: _adjustment,
}
