"""Evolution simulated: what it answers to the hub's calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from croupier.contract import (
    Credentials,
    CroupierError,
    HttpRequest,
    HttpResponse,
    MovementKind,
    NotFoundError,
    PeerPlay,
    PeerPlayer,
    digest_hex,
    iso_utc,
    read_json_object,
    same_secret,
    write_json,
)
from croupier_evolution.settings import HISTORY_TOKEN, LOBBY_TOKEN, UA_TOKEN, EvolutionSettings
from croupier_evolution.wire import basic

TABLES: Final[Mapping[str, str]] = {
    "roulette0000001": "Peer Roulette",
    "blackjack000001": "Peer Blackjack",
    "baccarat0000001": "Peer Baccarat",
}
"""What the peer offers, table id to name; no real table."""

_URLS: Final = frozenset(
    {"cashier", "responsibleGaming", "lobby", "sessionTimeout", "gameHistory", "realityCheckURL"},
)


@define(kw_only=True)
class _Round:
    """A player's part in a round."""

    player: PeerPlayer
    round: str
    started: datetime
    settled: datetime
    bets: dict[str, Decimal] = field(factory=dict)
    payouts: dict[str, Decimal] = field(factory=dict)

    def told(self) -> dict[str, Any]:
        who = self.player
        bets = [
            {
                "code": f"BET_{place}",
                "stake": stake,
                "payout": self.payouts.get(bet, Decimal(0)),
                "placedOn": iso_utc(self.started),
                "description": "a bet",
                "transactionId": bet,
            }
            for place, (bet, stake) in enumerate(self.bets.items())
        ]
        participant = {
            "playerId": who.player,
            "screenName": "player",
            "sessionId": "provider-session",
            "casinoSessionId": "hidden",
            "currency": who.currency,
            "bets": bets,
        }
        return {
            "id": self.round,
            "startedAt": iso_utc(self.started),
            "settledAt": iso_utc(self.settled),
            "status": "Resolved",
            "gameType": "table",
            "gameSubType": None,
            "dealer": {"uid": "dealer-1", "name": "Dealer"},
            "table": {"id": who.game, "name": TABLES.get(who.game, who.game)},
            "result": {},
            "participants": [participant],
        }


class ServedApi:
    """The provider's side of User Authentication and of the casino's read APIs.

    Args:
        settings: The settings of the connection on the other side.
    """

    def __init__(self, settings: EvolutionSettings) -> None:
        self.settings = settings
        self._launches: dict[str, PeerPlayer] = {}
        self._rounds: dict[tuple[str, str], _Round] = {}

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub, token checked."""
        path = request.path.removeprefix(urlsplit(self.settings.api_url).path.rstrip("/"))
        key = self.settings.casino_key
        match request.method, path.strip("/").split("/"):
            case "POST", ["ua", "v1", casino, token]:
                if casino != key:
                    return _errors("G.1")
                if not same_secret(token, credentials.current(UA_TOKEN)):
                    return _errors("G.2")
                try:
                    return self._launch(read_json_object(request.body))
                except (CroupierError, KeyError, TypeError, AttributeError):
                    return _errors("V.1")
            case "GET", ["api", "lobby", "v1", casino, "state"] if casino == key:
                return self._if_known(request, credentials, LOBBY_TOKEN) or self._state()
            case "GET", ["api", "gamehistory", "v1", "casino", "games"]:
                return self._if_known(request, credentials, HISTORY_TOKEN) or self._history(dict(request.query))
            case "GET", ["api", "render", "v1", "details"]:
                return self._if_known(request, credentials, HISTORY_TOKEN) or self._render(dict(request.query))
            case _:
                return HttpResponse.text("not found", 404)

    def launched(self, url: str) -> PeerPlayer:
        """The player that a launch's address stands for.

        Raises:
            NotFoundError: This peer launched no such thing.
        """
        player = self._launches.get(url)
        if player is None:
            raise NotFoundError("this peer launched no such game", where="url")
        return player

    def record(self, play: PeerPlay, at: datetime) -> None:
        """Book a play into the history: what was staked and paid, bet by bet."""
        for move in play.moves:
            bet = move.id if move.kind is MovementKind.BET else move.target
            if bet is None:
                continue  # a payout of a promotion is in no round
            known = self._rounds.setdefault(
                (play.player.player, play.round),
                _Round(player=play.player, round=play.round, started=at, settled=at),
            )
            known.settled = at
            match move.kind:
                case MovementKind.BET:
                    known.bets[bet] = move.amount
                case MovementKind.WIN:
                    known.payouts[bet] = move.amount
                case _:
                    known.bets.pop(bet, None)

    def _if_known(self, request: HttpRequest, credentials: Credentials, token: str) -> HttpResponse | None:
        """The refusal of a caller who is not the casino."""
        wanted = basic(self.settings.casino_key, credentials.current(token)).get("Authorization") or ""
        if same_secret(request.headers.get("Authorization") or "", wanted):
            return None
        return HttpResponse.text("unauthorized", 401)

    def _launch(self, body: Mapping[str, Any]) -> HttpResponse:
        config = body["config"]
        table = (config.get("game") or {}).get("table", {}).get("id")
        if table is not None and table not in TABLES:
            return _errors("G.11")
        if not set(config.get("urls", {})) <= _URLS or type(config["channel"]["mobile"]) is not bool:
            return _errors("V.2")
        demo = body.get("demo")
        if demo is None:
            who = body["player"]
            if not (who["firstName"] and who["lastName"] and len(who["language"]) == 2 and who["update"] is True):
                return _errors("V.3")
            player = PeerPlayer(
                player=who["id"],
                token=who["session"]["id"],
                game=table or next(iter(TABLES)),
                currency=who["currency"],
            )
        else:
            if "player" in body or config["game"]["playMode"] != "demo":
                return _errors("V.4")
            player = PeerPlayer(player="", token="", game=table or next(iter(TABLES)), currency=demo["currency"])
        ticket = digest_hex(f"{self.settings.casino_key}/{len(self._launches) + 1}")[:32]
        entry = f"/entry?params={ticket}"
        self._launches[self.settings.api_url.rstrip("/") + entry] = player
        return _json({"entry": entry, "entryEmbedded": f"{entry}&embedded"})

    def _state(self) -> HttpResponse:
        tables = {
            code: {
                "name": name,
                "gameType": code.rstrip("0123456789"),
                "gameVertical": "live",
                "provider": "evolution",
                "open": True,
                "betLimits": {"EUR": {"min": Decimal("0.10"), "max": 5000}},
                "videoSnapshot": {"thumbnails": {"L": f"https://images.evolution.example/{code}.jpg"}},
            }
            for code, name in TABLES.items()
        }
        return _json({"tables": tables})

    def _history(self, query: Mapping[str, str]) -> HttpResponse:
        since, until = query["startDate"], query["endDate"]
        found = [item for item in self._rounds.values() if since <= iso_utc(item.settled) < until]
        if not found:
            return HttpResponse.text("Data could not be found.", 404)
        return _json({"uuid": "history", "timestamp": until, "data": _by_day(found)})

    def _render(self, query: Mapping[str, str]) -> HttpResponse:
        page = f"<!DOCTYPE html><html><body><h1>Round</h1><p>{query.get('gameId', '').encode().hex()}</p></body></html>"
        return HttpResponse.text(page, content_type="text/html; charset=utf-8")


def _by_day(rounds: Sequence[_Round]) -> list[dict[str, Any]]:
    days: dict[str, list[dict[str, Any]]] = {}
    for item in rounds:
        days.setdefault(iso_utc(item.settled)[:10], []).append(item.told())
    return [{"date": day, "games": games} for day, games in days.items()]


def _errors(code: str) -> HttpResponse:
    return HttpResponse.json(write_json({"errors": [{"code": code, "message": "refused"}]}), 400)


def _json(value: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse.json(write_json(value))
