"""Acme Games itself, simulated by its document: what it sends, how it reads the answers, and how it answers the hub."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from croupier.contract import (
    AuthenticationError,
    Capability,
    Credentials,
    Effect,
    Fields,
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
    Told,
    UnsupportedOperationError,
    UpstreamError,
    Verdict,
    read_json_object,
    told_by,
    write_json,
)
from croupier_acme.settings import AcmeSettings
from croupier_acme.wire import prove, signed

GAMES: Final[Mapping[str, str]] = {"anvil": "Anvil Drop", "rocket": "Rocket Skates"}

_PATHS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: "/debit",
    MovementKind.WIN: "/credit",
    MovementKind.ROLLBACK: "/cancel",
}
_REFUSALS: Final = frozenset(
    ["NO_FUNDS", "NO_SESSION", "LIMIT", "NOT_ALLOWED", "ROUND", "CANCELLED", "CONFLICT", "BAD_REQUEST", "BAD_SIGNATURE"]
)


class AcmePeer(Peer):
    """A simulated Acme; it keeps the launches.

    Args:
        settings: The settings of the connection that it plays the other side of.
    """

    capabilities = Capability.of("authenticate balance bet win rollback_bet launch launch_demo game_list")
    bet_on_silence = OnSilence.CANCELS
    rollback_key_is_target = True

    def __init__(self, settings: AcmeSettings) -> None:
        self.settings = settings
        self._launches: dict[str, PeerPlayer] = {}

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        path, fields = _said(action)
        return signed("POST", path, fields, credentials, now, effect=Effect.ONCE)

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        if response.status != 200:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        try:
            told = told_by(response)
            if told.text("status") == "OK":
                return _booked(action, told)
            error = told.text("error")
            return PeerAnswer(verdict=Verdict.REFUSED if error in _REFUSALS else Verdict.RETRY, code=error)
        except UpstreamError:
            return PeerAnswer(verdict=Verdict.RETRY, code="unreadable")

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        try:
            prove(request, credentials, now)
            match request.method, request.url.removeprefix(self.settings.api_url.rstrip("/")):
                case "GET", "/games":
                    games = [{"gameId": code, "title": title} for code, title in GAMES.items()]
                    return HttpResponse.json(write_json({"status": "OK", "games": games}))
                case "POST", "/games/open":
                    return self._open(Fields(read_json_object(request.body)))
                case _:
                    return _refused("BAD_REQUEST")
        except AuthenticationError:
            return _refused("BAD_SIGNATURE")
        except MalformedRequestError:
            return _refused("BAD_REQUEST")

    def launched(self, url: str) -> PeerPlayer:
        player = self._launches.get(url)
        if player is None:
            raise NotFoundError("this peer launched no such game", where="url")
        return player

    def _open(self, fields: Fields) -> HttpResponse:
        if fields.text("casinoId") != self.settings.casino_id or fields.text("gameId") not in GAMES:
            return _refused("NOT_ALLOWED")
        real = fields.text("mode") == "real"
        player = PeerPlayer(
            player=fields.text("playerId") if real else "",
            token=fields.text("sessionToken") if real else "",
            game=fields.text("gameId"),
            currency=fields.text("currency"),
        )
        url = f"https://play.acme.example/{len(self._launches) + 1}"
        self._launches[url] = player
        return HttpResponse.json(write_json({"status": "OK", "url": url}))


def _said(action: PeerAction) -> tuple[str, dict[str, Any]]:
    match action:
        case PeerAuthenticate(player=player):
            return "/session", {"sessionToken": player.token, "gameId": player.game}
        case PeerBalance(player=player):
            return "/balance", {"playerId": player.player, "currency": player.currency}
        case PeerPlay(moves=(move,), grant=None) if move.kind in _PATHS:
            return _PATHS[move.kind], _moved(action, move)
        case PeerPlay() | PeerCloseRound():
            raise UnsupportedOperationError("one request is one debit, credit or cancel", where="moves")


def _moved(play: PeerPlay, move: PeerMove) -> dict[str, Any]:
    player = play.player
    fields: dict[str, Any] = {
        "playerId": player.player,
        "gameId": player.game,
        "roundId": play.round,
        "currency": player.currency,
        "roundClosed": play.closes_round,
    }
    if move.kind is MovementKind.ROLLBACK:
        if move.target is None:
            raise UnsupportedOperationError("a cancel names its debit", where=move.id)
        return fields | {"txId": move.target}
    if move.kind is MovementKind.BET:
        fields["sessionToken"] = player.token
    return fields | {"txId": move.id, "amount": f"{move.amount:f}"}


def _booked(action: PeerAction, told: Told) -> PeerAnswer:
    """What a success says; without one of its fields it is none."""
    currency, balance = told.text("currency"), told.signed_amount("balance").value
    player = None
    if isinstance(action, PeerAuthenticate):
        player = evolve(action.player, player=told.text("playerId"), currency=currency)
    transaction = told.text("walletTxId") if isinstance(action, PeerPlay) else None
    return PeerAnswer(verdict=Verdict.DONE, code="OK", balance=balance, transaction=transaction, player=player)


def _refused(error: str) -> HttpResponse:
    return HttpResponse.json(write_json({"status": "ERROR", "error": error}))
