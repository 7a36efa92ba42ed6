"""Pragmatic Play simulated: the requests it would send, and how it would read the answers.

What it serves to the hub stands in `croupier_pragmatic.peer_api`, its logs in `croupier_pragmatic.peer_feeds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from attrs import evolve

from croupier.contract.calls import MovementKind
from croupier.contract.errors import MalformedRequestError, UnsupportedOperationError
from croupier.contract.http import Headers, HttpRequest, HttpResponse
from croupier.contract.peer import (
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier.contract.policy import OnSilence
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object
from croupier.contract.times import epoch_ms
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.codes import (
    ADJUSTMENT,
    AUTHENTICATE,
    BALANCE,
    BET,
    BONUS_WIN,
    END_ROUND,
    JACKPOT_WIN,
    PROMO_WIN,
    REFUND,
    RESULT,
    Code,
)
from croupier_pragmatic.mapping import TOURNAMENT
from croupier_pragmatic.peer_api import ServedApi
from croupier_pragmatic.settings import SECRET, PragmaticSettings
from croupier_pragmatic.wire import HASH, sign

FORM: Final = Headers((("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),))
AGAIN: Final = frozenset({Code.RETRY, Code.RETRY_END_ROUND})

_METHODS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: BET,
    MovementKind.FREE_BET: BET,
    MovementKind.WIN: RESULT,
    MovementKind.FREE_WIN: RESULT,
    MovementKind.BONUS_WIN: BONUS_WIN,
    MovementKind.JACKPOT_WIN: JACKPOT_WIN,
    MovementKind.PROMO_WIN: PROMO_WIN,
    MovementKind.TOURNAMENT_WIN: PROMO_WIN,
    MovementKind.ADJUSTMENT: ADJUSTMENT,
    MovementKind.ROLLBACK: REFUND,
}
_WITH_BONUS_CODE: Final = frozenset({MovementKind.FREE_BET, MovementKind.FREE_WIN, MovementKind.BONUS_WIN})
_WITHOUT_BALANCE: Final = frozenset({REFUND})


class PragmaticPeer(ServedApi, Peer):
    """The provider of a connection with these settings.

    Requests are pure. What it keeps are launches, free rounds and, through `record`, the log that its feeds show.

    Args:
        settings: The settings of the connection on the other side.
    """

    bet_on_silence = OnSilence.CANCELS
    rollback_key_is_target = True
    closes_by_call = True
    combines = False

    def __init__(self, settings: PragmaticSettings) -> None:
        super().__init__(settings)
        self.capabilities = PragmaticAdapter(settings).spec.capabilities

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        """Build and sign what the provider would send.

        Raises:
            UnsupportedOperationError: More or fewer than one movement, a kind of movement that the protocol has not, a
                round's end on a movement, or free rounds without a grant.
        """
        method, fields = _said(action, now)
        signed = {**fields, "providerId": self.settings.provider_id}
        signed[HASH] = sign(signed, credentials.current(SECRET))
        return HttpRequest("POST", f"/{method}.html", FORM, urlencode(signed).encode("ascii"))

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        """Read the hub's answer: HTTP 200, JSON, a known code, and for a success every field that belongs to it."""
        if response.status != 200:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        try:
            told = read_json_object(response.body)
        except MalformedRequestError:
            return PeerAnswer(verdict=Verdict.RETRY, code="not JSON")
        error = told.get("error")
        if type(error) is not int or error not in set(Code):
            return PeerAnswer(verdict=Verdict.RETRY, code=str(error)[:32])
        if error != Code.OK:
            verdict = Verdict.RETRY if error in AGAIN else Verdict.REFUSED
            return PeerAnswer(verdict=verdict, code=str(error))
        return _booked(action, told)


def _said(action: PeerAction, now: datetime) -> tuple[str, dict[str, str]]:
    match action:
        case PeerAuthenticate(player=player):
            return AUTHENTICATE, {"token": player.token, "gameId": player.game, "launchingType": "N"}
        case PeerBalance(player=player):
            return BALANCE, _who(player)
        case PeerCloseRound(player=player):
            return END_ROUND, {**_who(player), "gameId": player.game, "roundId": action.round, "platform": "WEB"}
        case PeerPlay(moves=(move,), closes_round=False):
            return _movement(action, move, now)
        case PeerPlay():
            raise UnsupportedOperationError("a request carries one movement, and none ends a round")


def _movement(play: PeerPlay, move: PeerMove, now: datetime) -> tuple[str, dict[str, str]]:
    method = _METHODS.get(move.kind)
    if method is None:
        raise UnsupportedOperationError("the protocol has no such movement", where=move.kind.value)
    if (move.kind in _WITH_BONUS_CODE) is not (play.grant is not None) and method != REFUND:
        raise UnsupportedOperationError("a bonusCode belongs to free rounds, and to all of them", where=move.kind.value)
    if method == REFUND:
        return REFUND, _refund(play, move)
    player = play.player
    fields = {
        **_who(player),
        "amount": "0.00" if move.kind is MovementKind.FREE_BET else amount_text(move.amount),
        "reference": move.id,
        "timestamp": str(epoch_ms(now)),
    }
    if method == PROMO_WIN:
        fields.pop("token", None)
        letter = TOURNAMENT if move.kind is MovementKind.TOURNAMENT_WIN else "B"
        return PROMO_WIN, {**fields, "campaignId": "1", "campaignType": letter, "currency": player.currency}
    fields |= {"gameId": player.game, "roundId": play.round}
    if play.grant is not None:
        fields["bonusCode"] = play.grant
    if method in {BET, RESULT}:
        fields |= {"roundDetails": "spin", "platform": "WEB"}
    if method == JACKPOT_WIN:
        fields["jackpotId"] = "1"
    if method == ADJUSTMENT:
        fields["validBetAmount"] = "0.00"
    return method, fields


def _refund(play: PeerPlay, move: PeerMove) -> dict[str, str]:
    if move.target is None:
        raise UnsupportedOperationError("a refund names its bet", where="target")
    return {
        **_who(play.player),
        "reference": move.target,
        "gameId": play.player.game,
        "roundId": play.round,
        "platform": "WEB",
    }


def _who(player: PeerPlayer) -> dict[str, str]:
    return {"userId": player.player, "token": player.token} if player.token else {"userId": player.player}


def amount_text(amount: Decimal) -> str:
    """An exact amount with at least two digits after the point."""
    digits = amount.as_tuple().exponent
    return f"{amount:.2f}" if isinstance(digits, int) and digits > -2 else f"{amount:f}"


def _booked(action: PeerAction, told: Mapping[str, Any]) -> PeerAnswer:
    refund = isinstance(action, PeerPlay) and _METHODS.get(action.moves[0].kind) in _WITHOUT_BALANCE
    cash, transaction = told.get("cash"), told.get("transactionId")
    if not refund and (isinstance(cash, bool) or not isinstance(cash, Decimal | int)):
        return PeerAnswer(verdict=Verdict.RETRY, code="no cash")
    if isinstance(action, PeerPlay) and not isinstance(transaction, str | int):
        return PeerAnswer(verdict=Verdict.RETRY, code="no transactionId")
    player = None
    if isinstance(action, PeerAuthenticate):
        user, currency = told.get("userId"), told.get("currency")
        if not isinstance(user, str) or not isinstance(currency, str):
            return PeerAnswer(verdict=Verdict.RETRY, code="no player")
        token = told.get("token")
        player = evolve(
            action.player,
            player=user,
            currency=currency,
            token=token if isinstance(token, str) and token else action.player.token,
        )
    return PeerAnswer(
        verdict=Verdict.DONE,
        code=str(int(Code.OK)),
        balance=None if refund else Decimal(cash or 0),
        transaction=None if transaction is None else str(transaction),
        player=player,
    )
