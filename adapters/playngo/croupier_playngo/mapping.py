"""What a wallet call means, and how it is answered.

Facts: `reference/protocols/playngo.md`, sections "Wallet callbacks", "Amounts" and "Idempotency, rollback, round".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from croupier.contract import (
    MAJOR,
    Applied,
    Authenticate,
    AuthenticateResult,
    BalanceQuery,
    Call,
    Calls,
    CloseRound,
    Declined,
    Fields,
    Funding,
    HttpResponse,
    MalformedRequestError,
    Movement,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    PlayResult,
    Result,
    RoundFacts,
    Route,
    Target,
    UnsupportedOperationError,
    Verified,
    WireAmount,
    balance_of,
    outcome_of,
)
from croupier_playngo import wire
from croupier_playngo.codes import AUTHENTICATE, BALANCE, CANCEL, RELEASE, RESERVE, Code, decline_code
from croupier_playngo.locales import locale
from croupier_playngo.settings import PlayngoSettings

RESERVES: Final = "reserve"
RELEASES: Final = "release"
CANCELS: Final = "cancel"
"""The namespaces of `transactionId`: it is unique per method, and a cancelReserve carries its reserve's."""

NO_ROUND: Final = "0"
"""The `roundId` of what belongs to no round: it never moves money."""
CLOSED: Final = "1"
"""The `state` of a game session that is over."""
FREE: Final = "1"
"""The `type` of a win of free games."""

SESSION_CLOSED: Final = "game_session_closed"
"""The subject of a notice about a `release` that tells an amount and moves none."""

_ZERO: Final = Decimal(0)
_ONE_OR_NONE: Final[Mapping[str | None, bool]] = {"1": True, "true": True, "0": False, "false": False, None: False}
_TOLD: Final = ("roundId", "real", "currency", "state", "type", "gameId", "gameSessionId")


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
    ticket = fields.text("username")
    call = Authenticate(
        operation=AUTHENTICATE,
        token=ticket,
        game=fields.optional_text("gameId"),
        rotate=True,  # the ticket stood in an address; externalGameSessionId is what counts from now on
        address=fields.optional_text("clientIP"),
    )
    return Calls((call,))


def _balance(fields: Fields, _settings: PlayngoSettings) -> Calls:
    return Calls((_balance_query(BALANCE, fields),))


def _balance_query(operation: str, fields: Fields) -> BalanceQuery:
    return BalanceQuery(
        operation=operation,
        player=fields.text("externalId"),
        session=fields.optional_text("externalGameSessionId"),
        game=fields.optional_text("gameId"),
        currency=fields.text("currency"),
    )


def _reserve(fields: Fields, _settings: PlayngoSettings) -> Calls:
    currency = fields.text("currency")
    keys = (MovementKey(RESERVES, fields.text("transactionId")),)
    real = fields.amount("real", MAJOR, currency)
    if fields.optional_text("freegameExternalId") is None:
        bet = Movement(MovementKind.BET, keys=keys, amount=real, facts=_facts(fields, currency))
    else:
        worth = fields.optional_amount("actualValue", MAJOR, currency)
        bet = Movement(
            MovementKind.FREE_BET,
            keys=keys,
            amount=WireAmount(_ZERO, MAJOR, currency),
            stake=worth if worth is not None and worth.value else real,
            funding=Funding.OPERATOR,
            facts=_facts(fields, currency),
        )
    return _played(RESERVE, fields, bet, currency)


def _release(fields: Fields, settings: PlayngoSettings) -> Calls:
    currency = fields.text("currency")
    amount = fields.amount("real", MAJOR, currency)
    closed, free = _bit(fields, "state") == CLOSED, _bit(fields, "type") == FREE
    if fields.text("roundId") == NO_ROUND:
        return _told_only(fields, _balance_query(RELEASE, fields))
    if closed and not (settings.credit_on_closed and amount.value):
        close = CloseRound(
            operation=RELEASE,
            round=fields.text("roundId"),
            player=fields.text("externalId"),
            session=fields.optional_text("externalGameSessionId"),
            game=fields.optional_text("gameId"),
            currency=currency,
        )
        return _told_only(fields, close) if amount.value else Calls((close,), _echo(fields))
    win = Movement(
        MovementKind.FREE_WIN if free or fields.optional_text("freegameExternalId") else MovementKind.WIN,
        keys=(MovementKey(RELEASES, fields.text("transactionId")),),
        amount=amount,
        facts=_facts(fields, currency),
    )
    return _played(RELEASE, fields, win, currency, closes_round=closed)


def _told_only(fields: Fields, asks: BalanceQuery | CloseRound) -> Calls:
    """An amount that moves nothing is kept where a person finds it; what is asked beside that is the balance."""
    notice = Notice(
        operation=RELEASE,
        subject=SESSION_CLOSED,
        reference=fields.text("transactionId"),
        player=fields.text("externalId"),
        facts=fields.named(_TOLD),
    )
    return Calls((notice, asks), _echo(fields))


def _cancel(fields: Fields, _settings: PlayngoSettings) -> Calls:
    reserve = fields.text("transactionId")
    undo = Movement(
        MovementKind.ROLLBACK,
        keys=(MovementKey(CANCELS, reserve),),
        target=Target(key=MovementKey(RESERVES, reserve)),
    )
    return _played(CANCEL, fields, undo, fields.text("currency"))


def _played(operation: str, fields: Fields, movement: Movement, currency: str, *, closes_round: bool = False) -> Calls:
    play = Play(
        operation=operation,
        movements=(movement,),
        player=fields.text("externalId"),
        session=fields.optional_text("externalGameSessionId"),
        round=fields.text("roundId"),
        game=fields.text("gameId"),
        currency=currency,
        closes_round=closes_round,
        grant=fields.optional_text("freegameExternalId"),
        closes_grant=_ends_grant(fields),
    )
    return Calls((play,))


def _ends_grant(fields: Fields) -> bool:
    ends = _ONE_OR_NONE.get(fields.optional_text("freegameFinished"))
    if ends is None:
        raise MalformedRequestError("expected 0 or 1", where="freegameFinished")
    return ends


def _bit(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if value not in {"0", "1"}:
        raise MalformedRequestError("expected 0 or 1", where=name)
    return value


def _echo(fields: Fields) -> Mapping[str, str]:
    return {"transactionId": fields.text("transactionId")}


def _facts(fields: Fields, currency: str) -> RoundFacts | None:
    """What is told beside the money. Jackpot amounts are no money of their own: `real` has them."""
    lost, won, turnover = (
        fields.optional_amount(name, MAJOR, currency) for name in ("jackpotLoss", "jackpotGain", "turnover")
    )
    if not (lost or won or turnover):
        return None
    return RoundFacts(turnover=turnover, jackpot_contribution=lost, jackpot_win=won)


_READERS: Final[Mapping[str, Callable[[Fields, PlayngoSettings], Calls]]] = {
    AUTHENTICATE: _authenticate,
    BALANCE: _balance,
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
    call = asked.items[-1]
    outcome, method = outcome_of(results), call.operation
    if isinstance(outcome, Declined):
        return wire.answer(method, decline_code(method, outcome.reason))
    fields = _success(call, results, asked.echo, settings) if isinstance(outcome, Applied) else None
    return wire.answer(method, Code.INTERNAL) if fields is None else wire.answer(method, Code.OK, fields)


def _success(
    call: Call, results: Sequence[Result], echo: Mapping[str, str], settings: PlayngoSettings
) -> dict[str, str] | None:
    """The elements of a success, or `None` where one of them is not known: it is never invented."""
    balance, last = balance_of(results), results[-1]
    if balance is None:
        known = isinstance(last, PlayResult) and call.operation == CANCEL
        return {"externalTransactionId": _transaction(last, echo)} if known else None
    real = balance.text(digits=2)
    if call.operation == AUTHENTICATE:
        return _player(last, real, settings)
    money = {"real": real, "currency": balance.code}
    return money if call.operation == BALANCE else {"externalTransactionId": _transaction(last, echo), **money}


def _transaction(result: Result, echo: Mapping[str, str]) -> str:
    """The hub's id of the movement; the provider's own where nothing was recorded under an id."""
    if isinstance(result, PlayResult):
        movement = result.movements[0]
        outcome = movement.outcome
        return (outcome.transaction if isinstance(outcome, Applied) else "") or movement.reference
    return echo.get("transactionId", "")


def _player(result: Result, real: str, settings: PlayngoSettings) -> dict[str, str] | None:
    player = result.player if isinstance(result, AuthenticateResult) else None
    if player is None or not player.session:
        return None
    told = {
        "externalId": player.alias,
        "userCurrency": player.currency,
        "nickname": player.display_name or player.alias,
        "country": player.country,
        "language": locale(player.language, settings.locales) if player.language else None,
        "affiliateId": settings.affiliate_id,
        "real": real,
        "externalGameSessionId": player.session,
    }
    return {name: text for name, text in told.items() if text}
