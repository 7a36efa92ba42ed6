"""Pragmatic Play simulated: what it answers to the hub's calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from attrs import evolve, frozen

from croupier.contract.errors import AuthenticationError, MalformedRequestError, NotFoundError
from croupier.contract.flows import GameListing
from croupier.contract.forms import read_form
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.peer import PeerCloseRound, PeerPlay, PeerPlayer
from croupier.contract.secrets import Credentials, digest_hex
from croupier.contract.strict_json import read_json_object, write_json
from croupier_pragmatic import wire
from croupier_pragmatic.peer_feeds import Feeds
from croupier_pragmatic.settings import PragmaticSettings
from croupier_pragmatic.wire import prove

GAME_HOST: Final = "games.pragmatic-peer.example"
GAMES: Final = (
    GameListing(code="vs20doghouse", name="The Dog House", category="Video Slots", free_rounds=True, lines="20"),
    GameListing(code="vs5aztecgems", name="Aztec Gems", category="Video Slots", free_rounds=True, lines="5"),
    GameListing(code="401", name="Baccarat", category="Live games"),
)
TOTAL_BETS: Final = (Decimal("0.20"), Decimal("0.50"), Decimal("1.00"), Decimal("5.00"))

_LOGIN_FAILED: Final = "2"
_NO_SUCH_BONUS: Final = "17"
_BAD_HASH: Final = "5"
_BAD_FIELD: Final = "7"
_FEEDS: Final = "/IntegrationService/v3/DataFeeds/"


@frozen(kw_only=True)
class Bonus:
    """Free rounds that were given.

    Attributes:
        code: The `bonusCode`.
        player: The alias.
        rounds: How many were given.
        games: In which games.
        currency: The currency's code.
        total_bet: The value of one round, where it was told.
        active: Whether they were not taken back.
    """

    code: str
    player: str
    rounds: int
    games: tuple[str, ...]
    currency: str
    total_bet: Decimal | None = None
    active: bool = True


class ServedApi:
    """The provider's own interfaces, with the proof of every call checked.

    Attributes:
        settings: The settings of the connection on the other side.
        bonuses: Free rounds by their code.
        ended: Players whose sessions were ended.
        cancelled: Rounds that were to be voided, as (player, game, round).
        feeds: The logs.
    """

    def __init__(self, settings: PragmaticSettings) -> None:
        self.settings = settings
        self.bonuses: dict[str, Bonus] = {}
        self.ended: list[str] = []
        self.cancelled: list[tuple[str, str, str]] = []
        self.feeds = Feeds()
        self._launched: dict[str, PeerPlayer] = {}
        self._methods: Mapping[str, Callable[[Mapping[str, str], bytes], dict[str, Any]]] = {
            wire.GAME_URL: self._game_url,
            wire.GAMES: self._games,
            wire.BET_SCALES: self._bet_scales,
            wire.FRB_CREATE: self._create,
            wire.FRB_CREATE_V1: self._create_v1,
            wire.FRB_CANCEL: self._cancel,
            wire.FRB_CANCEL_V1: self._cancel,
            wire.FRB_REMOVE: self._remove,
            wire.FRB_LIST: self._list,
            wire.REPLAY: self._replay,
            wire.TERMINATE: self._terminate,
            settings.cancel_round_path: self._cancel_round,
        }

    def record(self, action: PeerPlay | PeerCloseRound, at: datetime) -> None:
        """Book what was played into the logs, as the provider does once an answer told success.

        Args:
            action: What was booked.
            at: When (UTC).
        """
        self.feeds.record(action, at)

    def launched(self, url: str) -> PeerPlayer:
        """The player of a launch. Of an address that the hub wrote itself only the token and the game are known.

        Raises:
            NotFoundError: No such launch.
        """
        known = self._launched.get(url)
        if known is not None:
            return known
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/gs2c/playGame.do" and "key" in query:
            key = dict(pair.partition("=")[::2] for pair in query["key"].split("&"))
            if key.get("token") and key.get("symbol"):
                return PeerPlayer(player="", token=key["token"], game=key["symbol"], currency="")
        if parts.path == "/gs2c/openGame.do" and query.get("gameSymbol"):
            return PeerPlayer(player="", token="", game=query["gameSymbol"], currency=query.get("cur", ""))
        raise NotFoundError("no such launch")

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub as the provider would."""
        if request.path.startswith(_FEEDS):
            return self._feed(request, credentials, now)
        method = self._methods.get(request.path.rpartition(wire.SERVICES)[2])
        if request.method != "POST" or method is None:
            return HttpResponse.text("no such method", 404)
        mixed = (request.headers.get("content-type") or "").startswith("application/json")
        try:
            fields = read_form(request.query_string.encode("ascii") if mixed else request.body)
            prove(fields, credentials)
            if fields.get("secureLogin") != self.settings.secure_login:
                return _refused(_LOGIN_FAILED)
            told = method(fields, request.body)
        except AuthenticationError:
            return _refused(_BAD_HASH)
        except (MalformedRequestError, KeyError, ValueError):
            return _refused(_BAD_FIELD)
        except NotFoundError:
            return _refused(_NO_SUCH_BONUS)
        return HttpResponse.json(write_json({"error": "0", "description": "OK", **told}))

    def _feed(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        fields = dict(request.query)
        known = fields.get("login") == self.settings.secure_login
        if not known or fields.get("password", "") not in credentials.every("secret_key"):
            return HttpResponse.text("no such login", 401)
        name = request.path.removeprefix(_FEEDS).strip("/")
        try:
            page = self.feeds.page(name, int(fields["timepoint"]), now)
        except (KeyError, ValueError):
            return HttpResponse.text("bad parameters", 400)
        return HttpResponse.text(page, content_type="text/csv; charset=utf-8")

    def _game_url(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        demo = fields["playMode"] == "DEMO"
        player = PeerPlayer(
            player="" if demo else fields["externalPlayerId"],
            token="" if demo else fields["token"],
            game=fields["symbol"],
            currency=fields["currency"],
        )
        mark = digest_hex(json.dumps([player.player, player.token, player.game, player.currency]))[:32]
        url = f"https://{GAME_HOST}/gs2c/html5Game.do?mgckey={mark}"
        self._launched[url] = player
        return {"gameURL": url}

    def _games(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        options = fields.get("options", "").split(",")
        return {"gameList": [_listed(game, options) for game in GAMES]}

    def _bet_scales(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        asked = fields["gameIDs"].split(",")
        scales = [{"currency": code, "totalBetScales": TOTAL_BETS} for code in ("EUR", "USD")]
        known = [game.code for game in GAMES if game.code in asked]
        return {"gameList": [{"gameID": code, "betScaleList": scales} for code in known]}

    def _create(self, fields: Mapping[str, str], body: bytes) -> dict[str, Any]:
        games = read_json_object(body)["gameList"]
        if int(fields["startDate"]) >= int(fields["expirationDate"]):
            raise ValueError
        return self._give(
            Bonus(
                code=fields["bonusCode"],
                player=fields["playerId"],
                rounds=int(fields["rounds"]),
                games=tuple(game["gameId"] for game in games),
                currency=fields["currency"],
                total_bet=Decimal(games[0]["betValues"][0]["totalBet"]),
            )
        )

    def _create_v1(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        return self._give(
            Bonus(
                code=fields["bonusCode"],
                player=fields["playerId"],
                rounds=int(fields["rounds"]),
                games=tuple(fields["gameIDList"].split(",")),
                currency=fields["currency"],
            )
        )

    def _give(self, bonus: Bonus) -> dict[str, Any]:
        self.bonuses.setdefault(bonus.code, bonus)
        return {"bonusCode": bonus.code}

    def _cancel(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        return self._take(fields["bonusCode"])

    def _remove(self, fields: Mapping[str, str], body: bytes) -> dict[str, Any]:
        bonus = self.bonuses.get(fields["bonusCode"])
        if bonus is None or bonus.player not in read_json_object(body)["playerList"]:
            raise NotFoundError("no such bonus")
        return self._take(bonus.code)

    def _take(self, code: str) -> dict[str, Any]:
        if code not in self.bonuses:
            raise NotFoundError("no such bonus")
        self.bonuses[code] = evolve(self.bonuses[code], active=False)
        return {}

    def _list(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        found = [bonus for bonus in self.bonuses.values() if bonus.active and bonus.player == fields["playerId"]]
        return {
            "bonuses": [
                {
                    "bonusCode": bonus.code,
                    "currency": bonus.currency,
                    "gameIDList": ",".join(bonus.games),
                    "rounds": bonus.rounds,
                    "roundsPlayed": self.feeds.free_bets(bonus.code),
                }
                for bonus in found
            ]
        }

    def _replay(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        mark = digest_hex(json.dumps([fields["playerId"], fields["gameId"], fields["roundId"]]))[:32]
        return {"url": f"https://{GAME_HOST}/history/{mark}"}

    def _terminate(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        self.ended.append(fields["externalPlayerId"])
        return {}

    def _cancel_round(self, fields: Mapping[str, str], _body: bytes) -> dict[str, Any]:
        self.cancelled.append((fields["externalPlayerId"], fields["gameId"], fields["roundId"]))
        return {}


def _listed(game: GameListing, options: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "gameID": game.code,
        "gameName": game.name,
        "gameTypeID": "vs",
        "typeDescription": game.category,
        "technology": "html5",
        "platform": "MOBILE,DOWNLOAD,WEB",
        "demoGameAvailable": game.demo,
    }
    if "GetFrbDetails" in options:
        told["frbAvailable"] = game.free_rounds
    if "GetLines" in options and game.lines:
        told["lines"] = int(game.lines)
    return told


def _refused(code: str) -> HttpResponse:
    return HttpResponse.json(write_json({"error": code, "description": "refused"}))
