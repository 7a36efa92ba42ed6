"""PG Soft simulated: the requests it would send, and how it would read the answers.

What it serves to the hub stands in `croupier_pgsoft.peer_api`. Written from `reference/protocols/pgsoft.md`.
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
from croupier.contract.http import FORM_HEADERS, Headers, HttpRequest, HttpResponse
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
from croupier.contract.secrets import Credentials, digest_hex
from croupier.contract.strict_json import read_json_object
from croupier.contract.times import epoch_ms
from croupier_pgsoft.adapter import PgsoftAdapter
from croupier_pgsoft.peer_api import ServedApi
from croupier_pgsoft.settings import SALT, SECRET, PgsoftSettings
from croupier_pgsoft.wire import signed_headers

HUB_HOST: Final = "hub.operator.example"
"""The host that the hub has, to the provider."""
AGAIN: Final = "1200"
CODES: Final = frozenset(
    "1034 1035 1204 1300 1305 1307 1308 1400 3001 3004 3005 3021 3032 3033 3034 3073 3107 3202".split()
)
"""The codes of errors that make a spin void."""

_CASH: Final = "C"
_FREE_GAME: Final = "G"
_SPIN: Final = "106"
_TO_CASH: Final = "403"
_ADJUSTMENTS: Final[Mapping[MovementKind, str]] = {
    MovementKind.ADJUSTMENT: "900",
    MovementKind.TOURNAMENT_WIN: "901",
}
_OF_GRANTS: Final = frozenset({MovementKind.FREE_WIN, MovementKind.BONUS_WIN})
_ZERO: Final = Decimal(0)


class PgsoftPeer(ServedApi, Peer):
    """The provider of a connection with these settings.

    Requests are pure. What it keeps are launches, free games and, through `record`, the log that it shows.

    Args:
        settings: The settings of the connection on the other side.
    """

    bet_on_silence = OnSilence.RESENDS
    nets = True
    loses_by_bet = True

    def __init__(self, settings: PgsoftSettings) -> None:
        super().__init__(settings)
        self.capabilities = PgsoftAdapter(settings).spec.capabilities

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        """Build and prove what the provider would send.

        Raises:
            UnsupportedOperationError: More or fewer than one movement, a kind of movement that the protocol has not, a
                spin without a stake that is no win, or free games without a grant.
        """
        path, fields = self._said(action, now)
        proof = {"operator_token": self.settings.operator_token, SECRET: credentials.current(SECRET)}
        body = urlencode({**proof, **fields}).encode("ascii")
        headers = FORM_HEADERS
        if self.settings.require_hash:
            host = self.settings.hash_host or HUB_HOST
            signed = signed_headers(self.settings, host, body, now, credentials.current(SALT))
            headers = Headers((("Host", host), *signed.items))
        sign = digest_hex(body, "md5")
        trace = f"{sign[:8]}-{sign[8:12]}-{sign[12:16]}-{sign[16:20]}-{sign[20:]}"
        return HttpRequest("POST", f"{path}?trace_id={trace}", headers, body)

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        """Read the hub's answer: JSON with either data or a known error; all else is no answer."""
        if response.status != 200:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        try:
            told = read_json_object(response.body)
        except MalformedRequestError:
            return PeerAnswer(verdict=Verdict.RETRY, code="not JSON")
        error, data = told.get("error"), told.get("data")
        if isinstance(error, dict):
            code = error.get("code")
            final = isinstance(code, str) and code in CODES and data is None
            return PeerAnswer(verdict=Verdict.REFUSED if final else Verdict.RETRY, code=str(code)[:32])
        if error is not None or not isinstance(data, dict):
            return PeerAnswer(verdict=Verdict.RETRY, code="neither data nor error")
        return _booked(action, data)

    def _said(self, action: PeerAction, now: datetime) -> tuple[str, dict[str, str]]:
        match action:
            case PeerAuthenticate(player=player):
                return "/VerifySession", {"operator_player_session": player.token, "game_id": player.game}
            case PeerBalance(player=player):
                return "/Cash/Get", _who(player)
            case PeerPlay(moves=(move,)) if move.kind in _ADJUSTMENTS and not action.closes_round:
                return "/Cash/Adjustment", self._adjusted(action, move, now)
            case PeerPlay(moves=(move,)):
                return "/Cash/TransferInOut", self._moved(action, move, now)
            case PeerPlay() | PeerCloseRound():
                raise UnsupportedOperationError("a request is one spin, and its flag ends the round")

    def _moved(self, play: PeerPlay, move: PeerMove, now: datetime) -> dict[str, str]:
        stake, payout = _amounts(move)
        free = move.kind in _OF_GRANTS
        if free is not (play.grant is not None):
            raise UnsupportedOperationError("a grant belongs to free games, and to all of them", where=move.kind.value)
        net, at, game = payout - stake, str(epoch_ms(now)), play.player.game
        kind = _TO_CASH if move.kind is MovementKind.BONUS_WIN else _SPIN
        # When a transfer is sent again, only the last part of its id may be another one.
        transaction = f"{move.id}-{play.round}-{kind}-{2 if play.resend else 1}"
        fields = {
            **_who(play.player),
            "game_id": game,
            "parent_bet_id": play.round,
            "bet_id": move.id,
            "bet_type": "1",
            "currency_code": play.player.currency,
            "bet_amount": amount_text(stake),
            "win_amount": amount_text(payout),
            "transfer_amount": amount_text(net),
            "real_transfer_amount": amount_text(net * self.settings.ratio(play.player.currency)),
            "transaction_id": transaction,
            "wallet_type": _FREE_GAME if free else _CASH,
            "create_time": at,
            "updated_time": at,
            "is_validate_bet": str(play.resend),
            "is_adjustment": "False",
            "is_parent_zero_stake": "False",
            "is_feature": str(move.kind is MovementKind.WIN),
            "is_wager": str(stake != _ZERO),
            "is_end_round": str(play.closes_round),
        }
        if play.grant is not None:
            fields |= {self.settings.grant_field: play.grant, "free_game_id": "1", "is_minus_count": "True"}
        return fields

    def _adjusted(self, play: PeerPlay, move: PeerMove, now: datetime) -> dict[str, str]:
        currency = play.player.currency
        return {
            "player_name": play.player.player,
            "currency_code": currency,
            "transfer_amount": amount_text(move.amount),
            "real_transfer_amount": amount_text(move.amount * self.settings.ratio(currency)),
            "adjustment_id": move.id,
            "adjustment_transaction_id": move.id,
            "adjustment_time": str(epoch_ms(now)),
            "transaction_type": _ADJUSTMENTS[move.kind],
            "bet_type": "1",
        }


def _amounts(move: PeerMove) -> tuple[Decimal, Decimal]:
    """What a spin stakes and what it pays."""
    match move.kind:
        case MovementKind.BET if move.amount:
            return move.amount, _ZERO
        case MovementKind.BET_AND_WIN if move.amount and move.win_amount:
            return move.amount, move.win_amount
        case MovementKind.WIN | MovementKind.FREE_WIN | MovementKind.BONUS_WIN:
            return _ZERO, move.amount
        case _:
            raise UnsupportedOperationError("the protocol has no such spin", where=move.kind.value)


def _who(player: PeerPlayer) -> dict[str, str]:
    who = {"player_name": player.player, "game_id": player.game}
    return {**who, "operator_player_session": player.token} if player.token else who


def amount_text(amount: Decimal) -> str:
    """An exact amount with at least two digits after the point."""
    digits = amount.as_tuple().exponent
    return f"{amount:.2f}" if isinstance(digits, int) and digits > -2 else f"{amount:f}"


def _booked(action: PeerAction, data: Mapping[str, Any]) -> PeerAnswer:
    """What a success says; without one of its fields it is none."""
    if isinstance(action, PeerAuthenticate):
        name, currency = data.get("player_name"), data.get("currency")
        if not isinstance(name, str) or not isinstance(currency, str) or not isinstance(data.get("nickname"), str):
            return PeerAnswer(verdict=Verdict.RETRY, code="no player")
        known = evolve(action.player, player=name, currency=currency)
        return PeerAnswer(verdict=Verdict.DONE, code="", player=known)
    adjusts = isinstance(action, PeerPlay) and action.moves[0].kind in _ADJUSTMENTS
    names = ("balance_after", "balance_before", "adjust_amount") if adjusts else ("balance_amount",)
    amounts = [data.get(name) for name in names]
    if any(isinstance(value, bool) or not isinstance(value, int | Decimal) for value in amounts):
        return PeerAnswer(verdict=Verdict.RETRY, code="no balance")
    if type(data.get("updated_time")) is not int:
        return PeerAnswer(verdict=Verdict.RETRY, code="no updated_time")
    if not adjusts and data.get("currency_code") != action.player.currency:
        return PeerAnswer(verdict=Verdict.RETRY, code="another currency")
    return PeerAnswer(verdict=Verdict.DONE, code="", balance=Decimal(amounts[0] or 0))
