"""Evolution simulated: the requests it would send, and how it would read the answers.

What it serves to the hub stands in `croupier_evolution.peer_api`. Source: `reference/protocols/evolution.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from attrs import evolve

from croupier.contract import (
    Credentials,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    MovementKind,
    OnSilence,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    UnsupportedOperationError,
    Verdict,
    digest_hex,
    read_json_object,
    write_json,
)
from croupier_evolution.adapter import CAPABILITIES
from croupier_evolution.peer_api import ServedApi
from croupier_evolution.settings import AUTH_TOKEN

JSON: Final = Headers((("Content-Type", "application/json"),))

_METHODS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: "debit",
    MovementKind.WIN: "credit",
    MovementKind.ROLLBACK: "cancel",
    MovementKind.PROMO_WIN: "promo_payout",
    MovementKind.JACKPOT_WIN: "promo_payout",
}
_TYPES: Final[Mapping[MovementKind, str]] = {
    MovementKind.PROMO_WIN: "RewardGamePlayableSpent",
    MovementKind.JACKPOT_WIN: "JackpotWin",
}
_AGAIN: Final = frozenset({"TEMPORARY_ERROR", "OPERATION_IN_PROCESS"})
_FINAL: Final = frozenset(
    """
    INVALID_TOKEN_ID INVALID_SID ACCOUNT_LOCKED FATAL_ERROR_CLOSE_USER_SESSION UNKNOWN_ERROR INVALID_PARAMETER
    BET_ALREADY_EXIST BET_ALREADY_SETTLED BET_DOES_NOT_EXIST INSUFFICIENT_FUNDS FINAL_ERROR_ACTION_FAILED
    SESSION_ALREADY_CLOSED SESSION_DOES_NOT_EXIST CASINO_LIMIT_EXCEEDED_TURNOVER CASINO_LIMIT_EXCEEDED_SESSION_TIME
    CASINO_LIMIT_EXCEEDED_STAKE CASINO_LIMIT_EXCEEDED_LOSS
    """.split()
)
_AS_DONE: Final[Mapping[str, str]] = {
    "debit": "BET_ALREADY_EXIST",
    "credit": "BET_ALREADY_SETTLED",
    "cancel": "BET_ALREADY_SETTLED",
}
"""What is taken for done, where the answer is a whole one: it tells the balance. Without it the bet was settled by
something else, and what was asked for is not booked. A cancel of what is not there is done as well."""


class EvolutionPeer(ServedApi, Peer):
    """The provider of a connection with these settings.

    Requests are pure. What it keeps are launches and, through `record`, the history of games.

    Args:
        settings: The settings of the connection on the other side.
    """

    capabilities = CAPABILITIES
    bet_on_silence = OnSilence.CANCELS
    rollback_key_is_target = True

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        """Build what the provider would send. That a play ends its round is not said: the protocol has no word for it.

        Raises:
            UnsupportedOperationError: More or fewer than one movement, a kind of movement that the protocol has not,
                or a credit or cancel that names no bet.
        """
        method, fields = _said(action)
        player = action.player
        body = {"sid": player.token, "userId": player.player, "uuid": uuid_of(action), **fields}
        token = urlencode({"authToken": credentials.current(AUTH_TOKEN)})
        return HttpRequest("POST", f"/{method}?{token}", JSON, write_json(body))

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        """Read the hub's answer: HTTP 200, JSON, a known status, and for a success all that belongs to it."""
        if response.status != 200:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        try:
            told = read_json_object(response.body)
        except MalformedRequestError:
            return PeerAnswer(verdict=Verdict.RETRY, code="not JSON")
        status, balance = told.get("status"), _number(told.get("balance"))
        if not isinstance(status, str) or status in _AGAIN or told.get("retransmission") is True:
            return PeerAnswer(verdict=Verdict.RETRY, code=str(status)[:40])
        method = _method(action)
        nothing = method == "cancel" and status == "BET_DOES_NOT_EXIST"
        if not (status == "OK" or nothing or (balance is not None and status == _AS_DONE.get(method))):
            verdict = Verdict.REFUSED if status in _FINAL else Verdict.RETRY
            return PeerAnswer(verdict=verdict, code=status[:40], balance=balance)
        if told.get("uuid") != uuid_of(action):
            return PeerAnswer(verdict=Verdict.RETRY, code="another uuid")
        if isinstance(action, PeerAuthenticate):
            sid = told.get("sid")
            if not isinstance(sid, str) or not sid:
                return PeerAnswer(verdict=Verdict.RETRY, code="no sid")
            return PeerAnswer(verdict=Verdict.DONE, code=status, player=evolve(action.player, token=sid))
        if not nothing and (balance is None or _number(told.get("bonus")) is None):
            return PeerAnswer(verdict=Verdict.RETRY, code="no balance")
        return PeerAnswer(verdict=Verdict.DONE, code=status, balance=balance)


def uuid_of(action: PeerAction) -> str:
    """The request id: of an action, as its answer must echo it."""
    return str(UUID(hex=digest_hex(repr(action), "md5")))


def _method(action: PeerAction) -> str:
    return _METHODS.get(action.moves[0].kind, "") if isinstance(action, PeerPlay) else ""


def _said(action: PeerAction) -> tuple[str, dict[str, Any]]:
    match action:
        case PeerAuthenticate():
            return "check", {"channel": {"type": "P"}}
        case PeerBalance(player=player):
            return "balance", {"currency": player.currency, "game": None}
        case PeerPlay(moves=(move,), grant=None) if move.kind in _TYPES:
            return "promo_payout", _promo(action.player, move)
        case PeerPlay(moves=(move,), grant=None) if move.kind in _METHODS:
            return _METHODS[move.kind], _transaction(action, move)
        case PeerPlay():
            raise UnsupportedOperationError("a request is one debit, credit, cancel or payout", where="moves")
        case PeerCloseRound():
            raise UnsupportedOperationError("the protocol has no word for a round's end", where="round")


def _transaction(play: PeerPlay, move: PeerMove) -> dict[str, Any]:
    """A debit and its cancel carry one id; a credit has its own. All three name the bet by `refId`."""
    bet = move.id if move.kind is MovementKind.BET else move.target
    if bet is None:
        raise UnsupportedOperationError("a credit and a cancel name their bet", where="target")
    own = move.id if move.kind is MovementKind.WIN else f"D{bet}"
    player = play.player
    return {
        "currency": player.currency,
        "game": {
            "id": play.round,
            "type": "table",
            "details": {"table": {"id": player.game, "vid": None}},
        },
        "transaction": {"id": own, "refId": bet, "amount": _wire(move.amount)},
    }


def _promo(player: PeerPlayer, move: PeerMove) -> dict[str, Any]:
    promo = {"type": _TYPES[move.kind], "id": move.id, "amount": _wire(move.amount)}
    return {"currency": player.currency, "game": None, "promoTransaction": promo}


def _wire(amount: Decimal) -> Decimal:
    """An exact amount with at least two digits after the point."""
    exponent = amount.as_tuple().exponent
    return amount.quantize(Decimal("0.01")) if isinstance(exponent, int) and exponent > -2 else amount


def _number(value: Any) -> Decimal | None:
    return None if isinstance(value, bool) or not isinstance(value, Decimal | int) else Decimal(value)
