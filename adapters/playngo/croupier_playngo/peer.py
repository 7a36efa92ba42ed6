"""Play'n GO simulated: the requests it would send, and how it would read the answers.

What it serves to the hub stands in `croupier_playngo.peer_api`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from attrs import evolve

from croupier.contract import (
    AmountError,
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
    WireAmount,
)
from croupier_playngo import wire
from croupier_playngo.adapter import CAPABILITIES
from croupier_playngo.mapping import NO_ROUND
from croupier_playngo.peer_api import ServedApi
from croupier_playngo.settings import ACCESS_TOKEN, PlayngoSettings

_XML: Final = Headers((("Content-Type", "application/xml"),))

_METHODS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: "reserve",
    MovementKind.FREE_BET: "reserve",
    MovementKind.WIN: "release",
    MovementKind.FREE_WIN: "release",
    MovementKind.ROLLBACK: "cancelReserve",
}
_FREE: Final = frozenset({MovementKind.FREE_BET, MovementKind.FREE_WIN})

_OK: Final = "0"
_REFUSALS: Final = frozenset({"1", "3", "4", "5", "6", "7", "9", "10", "11", "12"})
"""Codes that say no. 2 (internal) and 8 (too many calls) say that the call failed: a reserve is cancelled then, and a
release or a cancelReserve sent again."""

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "authenticate": ("externalId", "userCurrency", "real", "externalGameSessionId"),
    "balance": ("real",),
    "reserve": ("externalTransactionId", "real"),
    "release": ("externalTransactionId", "real"),
    "cancelReserve": ("externalTransactionId",),
}
"""What must stand in a success."""


class PlayngoPeer(ServedApi, Peer):
    """The provider of a connection with these settings.

    Requests are pure. What it keeps are offers of free games.

    Args:
        settings: The settings of the connection on the other side.
    """

    capabilities = CAPABILITIES
    bet_on_silence = OnSilence.CANCELS
    rollback_key_is_target = True
    closes_by_call = True

    def __init__(self, settings: PlayngoSettings) -> None:
        super().__init__(settings)

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        """Build what the provider would send.

        Raises:
            UnsupportedOperationError: More or fewer than one movement, a kind of movement that the protocol has not, a
                round's end on a movement that pays nothing, or free games without a grant.
        """
        method, fields = _said(action, self.settings)
        fields |= {"productId": self.settings.product_id, wire.TOKEN_FIELD: credentials.current(ACCESS_TOKEN)}
        return HttpRequest("POST", f"/{method}", _XML, wire.written(method, fields.items()))

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        """Read the hub's answer: HTTP 200, the method's own root element, and for a success all that belongs to it."""
        if response.status != 200:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        method = _said(action, self.settings)[0]
        try:
            root, told = wire.read(response.body)
        except MalformedRequestError:
            return PeerAnswer(verdict=Verdict.RETRY, code="unreadable")
        code = told.get("statusCode")
        if root != method or not isinstance(code, str):
            return PeerAnswer(verdict=Verdict.RETRY, code="no answer to this")
        if code != _OK:
            return PeerAnswer(verdict=Verdict.REFUSED if code in _REFUSALS else Verdict.RETRY, code=code[:32])
        return _booked(action, method, told)


def _said(action: PeerAction, settings: PlayngoSettings) -> tuple[str, dict[str, str]]:
    match action:
        case PeerAuthenticate(player=player):
            return "authenticate", {
                "username": player.token,
                "clientIP": "198.51.100.9",
                "contextId": "1",
                "language": "en_GB",
                "gameId": player.game,
                "channel": "1",
                "CID": "1",
            }
        case PeerBalance(player=player):
            return "balance", _who(player)
        case PeerCloseRound(player=player) if action.round != NO_ROUND:
            fields = _who(player) | _amounts("0.00") | {"transactionId": f"closed-{action.round}"}
            return "release", _releasing(fields, action.round, state="1")
        case PeerPlay(moves=(move,)):
            return _moved(action, move, settings)
        case PeerPlay() | PeerCloseRound():
            raise UnsupportedOperationError("a request carries one movement, or ends a round", where="moves")


def _moved(play: PeerPlay, move: PeerMove, settings: PlayngoSettings) -> tuple[str, dict[str, str]]:
    method = _METHODS.get(move.kind)
    if method is None:
        raise UnsupportedOperationError("the protocol has no such movement", where=move.kind.value)
    if play.round == NO_ROUND:
        raise UnsupportedOperationError("what moves money belongs to a round", where="round")
    free = move.kind in _FREE
    if free is not (play.grant is not None) and method != "cancelReserve":
        raise UnsupportedOperationError("a freegameExternalId belongs to free games, and to all of them")
    pays_at_the_end = settings.credit_on_closed and method == "release" and move.amount
    if play.closes_round and not pays_at_the_end:
        raise UnsupportedOperationError("what ends a game session moves no money", where="closes_round")
    fields = _who(play.player) | {"freegameExternalId": play.grant or "", "roundId": play.round, "channel": "1"}
    amount = amount_text(move.amount)
    match method:
        case "reserve":
            charged = amount_text(Decimal(0)) if free else amount
            fields |= _amounts(charged, amount) | {"transactionId": move.id, "gameSessionId": "77"}
            return method, fields
        case "release":
            fields |= _amounts(amount) | {"transactionId": move.id}
            return method, _releasing(fields, play.round, state="1" if play.closes_round else "0", free=free)
        case _:
            if move.target is None:
                raise UnsupportedOperationError("a cancelReserve names its reserve", where="target")
            return method, fields | _amounts(amount) | {"transactionId": move.target}


def _releasing(fields: Mapping[str, str], round_id: str, *, state: str, free: bool = False) -> dict[str, str]:
    """What a release has beside who, what and how much."""
    nothing = dict.fromkeys(("jackpotGain", "jackpotLoss", "jackpotGainSeed"), "0.00")
    return {
        **fields,
        **nothing,
        "roundId": round_id,
        "gameSessionId": "77",
        "state": state,
        "type": "1" if free else "0",
        "jackpotGainId": "0",
        "channel": "1",
    }


def _who(player: PeerPlayer) -> dict[str, str]:
    session = {"externalGameSessionId": player.token} if player.token else {}
    return {"externalId": player.player, "currency": player.currency, "gameId": player.game, **session}


def _amounts(real: str, worth: str | None = None) -> dict[str, str]:
    return {"real": real, "actualValue": real if worth is None else worth}


def amount_text(amount: Decimal) -> str:
    """An exact amount with at least two digits after the point."""
    digits = amount.as_tuple().exponent
    return f"{amount:.2f}" if isinstance(digits, int) and digits > -2 else f"{amount:f}"


def _booked(action: PeerAction, method: str, told: Mapping[str, Any]) -> PeerAnswer:
    """What a success says; without one of its elements it is none."""
    texts = {name: text for name, text in told.items() if isinstance(text, str)}
    missing = [name for name in _NEEDS[method] if not texts.get(name)]
    if missing:
        return PeerAnswer(verdict=Verdict.RETRY, code=f"no {missing[0]}")
    try:
        balance = WireAmount.of(texts["real"]).value if "real" in texts else None
    except AmountError:
        return PeerAnswer(verdict=Verdict.RETRY, code="no balance")
    player = None
    if isinstance(action, PeerAuthenticate):
        player = evolve(
            action.player,
            player=texts["externalId"],
            currency=texts["userCurrency"],
            token=texts["externalGameSessionId"],
        )
    return PeerAnswer(
        verdict=Verdict.DONE,
        code=_OK,
        balance=balance,
        transaction=texts.get("externalTransactionId"),
        player=player,
    )
