"""What a wallet call means, and how it is answered.

A `transactionId` is unique per method: methods are the namespaces of keys. A cancelReserve carries its reserve's.

Facts: `reference/protocols/playngo.md`, sections "Wallet callbacks", "Amounts" and "Idempotency, rollback, round".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from croupier.contract import calls, outcomes
from croupier.contract.adapter import Route, Verified
from croupier.contract.calls import BalanceQuery, Calls, CloseRound, Movement, MovementKey, MovementKind, Play
from croupier.contract.errors import MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.http import HttpResponse
from croupier.contract.money import MAJOR, WireAmount
from croupier.contract.outcomes import Applied, Declined, PlayResult, Result
from croupier_playngo import wire
from croupier_playngo.codes import AUTHENTICATE, BALANCE, CANCEL, DECLINES, RELEASE, RESERVE, Code
from croupier_playngo.settings import PlayngoSettings

NO_ROUND: Final = "0"
"""The `roundId` of what belongs to no round: it never moves money."""
SESSION_CLOSED: Final = "game_session_closed"
"""The subject of a notice about a `release` that tells an amount and moves none."""

_FACTS: Final = (("jackpotLoss", "jackpot_contribution"), ("jackpotGain", "jackpot_win"), ("turnover", "turnover"))
_FLAGS: Final[Mapping[str | None, bool]] = {"1": True, "true": True, "0": False, "false": False}
_TOLD: Final = ("externalId", "roundId", "real", "currency", "state", "type", "gameId", "gameSessionId")


def parse(verified: Verified, settings: PlayngoSettings) -> Calls:
    """Say what a proven document asks for.

    Raises:
        UnsupportedOperationError: Its address is no method's.
        MalformedRequestError: An element is missing or wrong.
    """
    method = method_of(verified.request.path)
    if method is None:
        raise UnsupportedOperationError("the protocol has no such method", where="path")
    fields = Fields(verified.fields)
    if fields.text("productId") != settings.product_id:
        raise MalformedRequestError("another product group's", where="productId")
    return _READERS[method](fields, settings)


def _authenticate(fields: Fields, _settings: PlayngoSettings) -> Calls:
    call = calls.Authenticate(
        operation=AUTHENTICATE,
        token=fields.text("username"),
        game=fields.optional_text("gameId"),
        rotate=True,  # the ticket stood in an address; externalGameSessionId is what counts from now on
        address=fields.optional_text("clientIP"),
    )
    return Calls((call,))


def _who(fields: Fields) -> dict[str, Any]:
    return {
        "player": fields.text("externalId"),
        "session": fields.optional_text("externalGameSessionId"),
        "game": fields.text("gameId"),
        "currency": fields.text("currency"),
    }


def _reserve(fields: Fields, _settings: PlayngoSettings) -> Calls:
    currency = fields.text("currency")
    real = fields.amount("real", MAJOR, currency)
    free = fields.optional_text("freegameExternalId") is not None
    worth = fields.optional_amount("actualValue", MAJOR, currency) if free else None
    bet = Movement(
        MovementKind.FREE_BET if free else MovementKind.BET,
        keys=(MovementKey(RESERVE, fields.text("transactionId")),),
        amount=WireAmount.of(0, MAJOR, currency) if free else real,
        stake=(worth if worth and worth.value else real) if free else None,
        funding=calls.Funding.OPERATOR if free else calls.Funding.PLAYER,
        facts=_facts(fields, currency),
    )
    return _played(RESERVE, fields, bet)


def _release(fields: Fields, settings: PlayngoSettings) -> Calls:
    currency = fields.text("currency")
    amount = fields.amount("real", MAJOR, currency)
    closed, free = _flag(fields, "state"), _flag(fields, "type")
    if fields.text("roundId") == NO_ROUND:
        return _unpaid(fields, BalanceQuery(operation=RELEASE, **_who(fields)))
    if closed and not (settings.credit_on_closed and amount.value):
        close = CloseRound(operation=RELEASE, round=fields.text("roundId"), **_who(fields))
        return _unpaid(fields, close, told=amount.value > 0)
    win = Movement(
        MovementKind.FREE_WIN if free or fields.optional_text("freegameExternalId") else MovementKind.WIN,
        keys=(MovementKey(RELEASE, fields.text("transactionId")),),
        amount=amount,
        facts=_facts(fields, currency),
    )
    return _played(RELEASE, fields, win, closes_round=closed)


def _unpaid(fields: Fields, asks: BalanceQuery | CloseRound, *, told: bool = True) -> Calls:
    """What moves nothing: an amount that it tells all the same is kept where a person finds it."""
    id_, who, facts = fields.text("transactionId"), fields.text("externalId"), fields.named(_TOLD)
    notice = calls.Notice(operation=RELEASE, subject=SESSION_CLOSED, reference=id_, player=who, facts=facts)
    return Calls((notice, asks) if told else (asks,), {"transactionId": id_})


def _cancel(fields: Fields, _settings: PlayngoSettings) -> Calls:
    reserve = fields.text("transactionId")
    target = calls.Target(key=MovementKey(RESERVE, reserve))
    undo = Movement(MovementKind.ROLLBACK, keys=(MovementKey(CANCEL, reserve),), target=target)
    return _played(CANCEL, fields, undo)


def _played(operation: str, fields: Fields, movement: Movement, *, closes_round: bool = False) -> Calls:
    play = Play(
        operation=operation,
        movements=(movement,),
        round=fields.text("roundId"),
        closes_round=closes_round,
        grant=fields.optional_text("freegameExternalId"),
        closes_grant=fields.values.get("freegameFinished") in ("1", "true"),
        **_who(fields),
    )
    return Calls((play,))


def _flag(fields: Fields, name: str) -> bool:
    value = _FLAGS.get(fields.optional_text(name))
    if value is None:
        raise MalformedRequestError("expected 0 or 1", where=name)
    return value


def _facts(fields: Fields, currency: str) -> calls.RoundFacts | None:
    """What is told beside the money (`real` has the jackpots'); over what cannot be read here no payout is refused."""
    told: dict[str, Any] = {}
    for name, fact in _FACTS:
        with suppress(MalformedRequestError):
            told[fact] = fields.optional_amount(name, MAJOR, currency)
    return calls.RoundFacts(**told) if any(told.values()) else None


_READERS: Final[Mapping[str, Callable[[Fields, PlayngoSettings], Calls]]] = {
    AUTHENTICATE: _authenticate,
    BALANCE: lambda fields, _settings: Calls((BalanceQuery(operation=BALANCE, **_who(fields)),)),
    RESERVE: _reserve,
    RELEASE: _release,
    CANCEL: _cancel,
}

_METHODS: Final[Mapping[str, str]] = {
    f"/{spelled}": name for name in _READERS for spelled in (name, name.lower(), name[0].upper() + name[1:])
}

ROUTES: Final = tuple([Route("POST", path, name) for path, name in _METHODS.items()])
"""One address a method; operators write them in different cases."""


def method_of(path: str) -> str | None:
    """The method of an address."""
    return _METHODS.get(path.rstrip("/"))


def render(asked: Calls, results: Sequence[Result], settings: PlayngoSettings) -> HttpResponse:
    """The answer to calls with their results; total, and the same for the same arguments."""
    outcome, method = outcomes.outcome_of(results), asked.items[-1].operation
    if isinstance(outcome, Declined):
        return wire.answer(method, DECLINES[method][outcome.reason])
    fields = _success(method, results, asked.echo, settings) if isinstance(outcome, Applied) else None
    return wire.answer(method, Code.INTERNAL) if fields is None else wire.answer(method, Code.OK, fields)


def _success(
    method: str, results: Sequence[Result], echo: Mapping[str, str], settings: PlayngoSettings
) -> Mapping[str, str] | None:
    """The elements of a success, or `None` where one of them is not known: it is never invented."""
    balance, last = outcomes.balance_of(results), results[-1]
    if balance is None and method != CANCEL:
        return None
    money = {} if balance is None else {"real": balance.text(digits=2), "currency": balance.code}
    if method == AUTHENTICATE:
        return _player(last, money["real"], settings)
    return money if method == BALANCE else {"externalTransactionId": _transaction(last, echo), **money}


def _transaction(result: Result, echo: Mapping[str, str]) -> str:
    """The hub's id of the movement; the provider's own where nothing was recorded under an id."""
    if not isinstance(result, PlayResult):
        return echo.get("transactionId", "")
    movement = result.movements[0]
    return (movement.outcome.transaction if isinstance(movement.outcome, Applied) else None) or movement.reference


def _player(result: Result, real: str, settings: PlayngoSettings) -> dict[str, str] | None:
    player = result.player if isinstance(result, outcomes.AuthenticateResult) else None
    if player is None or not player.session:
        return None
    told = {
        "externalId": player.alias,
        "userCurrency": player.currency,
        "nickname": player.display_name or player.alias,
        "country": player.country,
        "language": settings.locale(player.language) if player.language else None,
        "affiliateId": settings.affiliate_id,
        "real": real,
        "externalGameSessionId": player.session,
    }
    return {name: text for name, text in told.items() if text}
