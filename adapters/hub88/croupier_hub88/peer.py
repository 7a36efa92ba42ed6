"""Hub88 itself, simulated: what it sends, and how it reads the answers.

What it serves to the hub stands in `croupier_hub88.peer_api`.

Source: `reference/protocols/hub88.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, Final
from uuid import UUID, uuid5

from croupier.contract import (
    AmountError,
    AuthenticationError,
    Credentials,
    Effect,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    MovementKind,
    NotFoundError,
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
    read_json_object,
)
from croupier_hub88.adapter import CAPABILITIES
from croupier_hub88.codes import CLEAN, Status
from croupier_hub88.peer_api import GAMES, PeerApi, PeerGame
from croupier_hub88.peer_keys import PROVIDER_TEST_KEYS
from croupier_hub88.settings import PUBLIC_KEY, Hub88Settings
from croupier_hub88.wire import Keys, signed

BALANCE: Final = "/user/balance"
BET: Final = "/transaction/bet"
WIN: Final = "/transaction/win"
ROLLBACK: Final = "/transaction/rollback"

_PATHS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: BET,
    MovementKind.FREE_BET: BET,
    MovementKind.WIN: WIN,
    MovementKind.PROMO_WIN: WIN,
    MovementKind.FREE_WIN: WIN,
    MovementKind.ROLLBACK: ROLLBACK,
}
_FREE: Final = frozenset({MovementKind.FREE_BET, MovementKind.FREE_WIN})
_REQUESTS: Final = UUID("b89e11e7-16d2-4cfe-854a-58404eea6d16")
_EXACT: Final = Context(prec=60)
_LARGEST: Final = 2**63 - 1
_STATUSES: Final = frozenset(Status)


class Hub88Peer(Peer):
    """A simulated Hub88. Requests are pure; launches, rewards and, through `record`, the log are kept.

    Args:
        settings: The settings of the connection it plays the other side of.
        games: Its catalogue.
        signing_keys: What it can sign with: a public key as the hub may be configured with, to its private half.
        rolls_back_refusals: Whether it rolls a bet back after every refusal but a lack of money or a limit, as one
            version of the documents has it; else after RS_ERROR_UNKNOWN alone.
    """

    capabilities = CAPABILITIES
    bet_on_silence = OnSilence.CANCELS

    def __init__(
        self,
        settings: Hub88Settings,
        games: Sequence[PeerGame] = GAMES,
        signing_keys: Mapping[str, str] = PROVIDER_TEST_KEYS,
        *,
        rolls_back_refusals: bool = False,
    ) -> None:
        self.settings = settings
        self._final = CLEAN if rolls_back_refusals else _STATUSES - {Status.UNKNOWN}
        self.api = PeerApi(settings, games)
        self._keys = Keys()
        self._signing = {public.strip(): private for public, private in signing_keys.items()}

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        path, body = _said(action)
        private = self._signing.get(credentials.current(PUBLIC_KEY).strip())
        if private is None:
            raise AuthenticationError("this peer has no private half of the key", where=PUBLIC_KEY)
        return signed(self._keys.private(private, "signing_keys"), path, body, Effect.ONCE)

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        if response.status != 200:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        try:
            told = read_json_object(response.body)
        except MalformedRequestError:
            return PeerAnswer(verdict=Verdict.RETRY, code="no JSON")
        path, asked = _said(action)
        status, balance = told.get("status"), told.get("balance")
        if status not in _STATUSES or told.get("request_uuid") != asked["request_uuid"]:
            return PeerAnswer(verdict=Verdict.RETRY, code=str(status)[:64])
        shown = _EXACT.scaleb(Decimal(balance), -5) if type(balance) is int else None
        if status == Status.OK:
            mine = told.get("user") == action.player.player and told.get("currency") == action.player.currency
            verdict = Verdict.DONE if mine and shown is not None else Verdict.RETRY
        else:
            # To a win and to a rollback every status is an answer; a bet may be rolled back after one.
            verdict = Verdict.RETRY if path == BET and status not in self._final else Verdict.REFUSED
        return PeerAnswer(verdict=verdict, code=str(status), balance=shown)

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        return self.api.serve(request, credentials, now)

    def record(self, play: PeerPlay, at: datetime, status: str = "TS_SUCCESS") -> None:
        """Put a play into the log that `transactions/list` shows."""
        for move in play.moves:
            self.api.record(play, move, wire_amount(move.amount), status, at)

    def launched(self, url: str) -> PeerPlayer:
        player = self.api.launches.get(url)
        if player is None:
            raise NotFoundError("this peer launched no such game", where="url")
        return player


def wire_amount(amount: Decimal) -> int:
    """Major units as the wire has them: whole hundred-thousandths, 64 bits.

    Raises:
        AmountError: The wire cannot hold it.
    """
    steps = _EXACT.scaleb(amount, 5)
    if steps != _EXACT.to_integral_value(steps) or steps > _LARGEST:
        raise AmountError("the wire keeps whole hundred-thousandths of 64 bits", where="amount")
    return int(steps)


def _said(action: PeerAction) -> tuple[str, dict[str, Any]]:
    match action:
        case PeerBalance(player=player):
            return BALANCE, _signed_by(action, {"user": player.player, "token": player.token, "game_code": player.game})
        case PeerPlay(moves=(move,)) if move.kind in _PATHS:
            return _PATHS[move.kind], _signed_by(action, _moved(action, move))
        case PeerPlay():
            raise UnsupportedOperationError("one request is one bet, win or rollback", where="moves")
        case PeerAuthenticate() | PeerCloseRound():
            raise UnsupportedOperationError("the protocol has no such request", where="action")


def _signed_by(action: PeerAction, body: dict[str, Any]) -> dict[str, Any]:
    """The body with its `request_uuid`: one action has one, so that a resend is the same request."""
    name = body.get("transaction_uuid") or f"balance {action.player.player} {action.player.token}"
    return {**body, "request_uuid": str(uuid5(_REQUESTS, name))}


def _moved(play: PeerPlay, move: PeerMove) -> dict[str, Any]:
    player = play.player
    body: dict[str, Any] = {
        "user": player.player,
        "transaction_uuid": move.id,
        "supplier_transaction_id": f"s-{play.round}",
        "token": player.token,
        "round_closed": play.closes_round,
        "round": play.round,
        "game_code": player.game,
    }
    promo = move.kind is MovementKind.PROMO_WIN
    if _PATHS[move.kind] != BET:
        if move.target is None and not promo:
            raise UnsupportedOperationError("it names the transaction that it belongs to", where=move.id)
        body["reference_transaction_uuid"] = move.target
    if move.kind is MovementKind.ROLLBACK:
        return body
    free = move.kind in _FREE
    if free is not (play.grant is not None):
        raise UnsupportedOperationError("a reward belongs to free bets and their wins", where="grant")
    if promo:
        body["is_supplier_promo"] = True
    return body | {
        "supplier_user": player.player,
        "reward_uuid": play.grant,
        "is_free": free,
        "is_aggregated": False,
        "currency": player.currency,
        "bet": None,
        "amount": wire_amount(move.amount),
        "meta": None,
    }
