"""The hub's calls to the provider.

Facts: `reference/protocols/pragmatic.md`, section "Operator -> provider".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from croupier.contract.adapter import Adapter
from croupier.contract.errors import FixRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.fields import Told, refuse_status, told_by
from croupier.contract.flows import (
    BetScale,
    Device,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    Launched,
    LaunchQuery,
    LogEntry,
    LogPage,
    LogQuery,
    ReplayQuery,
)
from croupier.contract.http import FORM_HEADERS, JSON_HEADERS, Effect, HttpRequest, HttpResponse
from croupier.contract.money import minor_to_decimal
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import write_json
from croupier.contract.times import epoch_seconds
from croupier_pragmatic import feeds
from croupier_pragmatic.codes import Code
from croupier_pragmatic.settings import SECRET, DemoStyle, FrbApi, FrbCancel, LaunchStyle, PragmaticSettings
from croupier_pragmatic.wire import HASH, sign

SERVICES: Final = "/IntegrationService/v3/http/"

GAME_URL: Final = "CasinoGameAPI/game/url/"
GAMES: Final = "CasinoGameAPI/getCasinoGames/"
BET_SCALES: Final = "CasinoGameAPI/getBetScales/"
TERMINATE: Final = "CasinoGameAPI/game/session/terminate/"
FRB_CREATE: Final = "FreeRoundsBonusAPI/v2/bonus/player/create/"
FRB_CANCEL: Final = "FreeRoundsBonusAPI/v2/bonus/cancel/"
FRB_REMOVE: Final = "FreeRoundsBonusAPI/v2/players/remove/"
FRB_CREATE_V1: Final = "FreeRoundsBonusAPI/createFRB/"
FRB_CANCEL_V1: Final = "FreeRoundsBonusAPI/cancelFRB/"
FRB_LIST: Final = "FreeRoundsBonusAPI/getPlayersFRB/"
GAME_ROUNDS: Final = "HistoryAPI/GetGameRounds/"
REPLAY: Final = "HistoryAPI/OpenHistoryExtended/"

_PLATFORMS: Final[Mapping[str, Device]] = {
    "WEB": Device.DESKTOP,
    "DESKTOP": Device.DESKTOP,
    "DOWNLOAD": Device.DESKTOP,
    "MOBILE": Device.MOBILE,
}


class ProviderApi(Adapter):
    """The half of the adapter that calls the provider.

    Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be
    used. Only `cancel_round` depends on a path that sources disagree about; it is a setting.

    Attributes:
        settings: The connection's settings.
    """

    settings: PragmaticSettings

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        if query.demo and self.settings.demo is DemoStyle.OPEN_GAME:
            return Launched(url=_open_game(query, self.settings))
        if not query.demo and self.settings.launch is LaunchStyle.PLAY_GAME:
            return Launched(url=_play_game(query, self.settings))
        fields = {
            "symbol": query.game,
            "language": _language(query.language),
            "token": None if query.demo else query.token,
            "externalPlayerId": None if query.demo else query.player,
            "currency": query.currency,
            "country": query.country,
            "platform": _platform(query.device, self.settings),
            "technology": "H5",
            "stylename": self.settings.style_name or self.settings.secure_login,
            "cashierUrl": query.deposit_url,
            "lobbyUrl": query.return_url,
            "playMode": "DEMO" if query.demo else "REAL",
        }
        told = yield from self._call(GAME_URL, fields, credentials, Effect.IDEMPOTENT)
        return Launched(url=told.address("gameURL"))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        fields = {"options": ",".join(self.settings.game_list_options)}
        told = yield from self._call(GAMES, fields, credentials, Effect.READ)
        return tuple(_listing(item) for item in told.objects("gameList"))

    def bet_scales(self, games: Sequence[str], credentials: Credentials, now: datetime) -> Flow[tuple[BetScale, ...]]:
        told = yield from self._call(BET_SCALES, {"gameIDs": ",".join(games)}, credentials, Effect.READ)
        return tuple(scale for item in told.objects("gameList") for scale in _scales(item))

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        fields = {
            "playerId": query.player,
            "currency": query.currency,
            "rounds": str(query.rounds),
            "bonusCode": query.grant,  # what makes a repeat give nothing more
            "expirationDate": _stamp(query.valid_until),
        }
        if self.settings.frb_api is FrbApi.V1:
            fields["gameIDList"] = ",".join(query.games)
            yield from self._call(FRB_CREATE_V1, fields, credentials, Effect.IDEMPOTENT)
        else:
            fields["startDate"] = _stamp(query.valid_from)
            yield from self._mixed_call(FRB_CREATE, fields, _bet_values(query), credentials)
        return FreeRoundsIssued(reference=query.grant, rounds=query.rounds)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        fields = {"bonusCode": grant}
        if self.settings.frb_api is FrbApi.V1:
            yield from self._call(FRB_CANCEL_V1, fields, credentials, Effect.IDEMPOTENT)
        elif self.settings.frb_cancel is FrbCancel.PLAYER:
            yield from self._mixed_call(FRB_REMOVE, fields, {"playerList": [player]}, credentials)
        else:
            yield from self._call(FRB_CANCEL, fields, credentials, Effect.IDEMPOTENT)

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        told = yield from self._call(FRB_LIST, {"playerId": player}, credentials, Effect.READ)
        return tuple(_issued(item) for item in told.objects("bonuses"))

    def replay(self, query: ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        fields = {"playerId": query.player, "gameId": query.game, "roundId": query.round}
        told = yield from self._call(REPLAY, fields, credentials, Effect.READ)
        return Launched(url=told.address("url"))

    def transaction_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        return feeds.transactions(query, self.settings, credentials)

    def round_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        return feeds.rounds(query, self.settings, credentials)

    def end_session(self, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        yield from self._call(TERMINATE, {"externalPlayerId": player}, credentials, Effect.IDEMPOTENT)

    def cancel_round(self, player: str, game: str, round: str, credentials: Credentials, now: datetime) -> Flow[None]:
        fields = {"externalPlayerId": player, "gameId": game, "roundId": round}
        yield from self._call(self.settings.cancel_round_path, fields, credentials, Effect.IDEMPOTENT)

    def game_rounds(
        self, player: str, game: str, day: date, credentials: Credentials, *, time_zone: str = "GMT"
    ) -> Flow[tuple[LogEntry, ...]]:
        """The rounds of one player in one game on one day (`GetGameRounds`).

        It is not in the contract: it is there for whoever searches for a single round.
        """
        fields = {"playerId": player, "gameId": game, "datePlayed": day.isoformat(), "timeZone": time_zone}
        told = yield from self._call(GAME_ROUNDS, fields, credentials, Effect.READ)
        return tuple(_played(item, player, game) for item in told.objects("rounds"))

    def _call(
        self, path: str, fields: Mapping[str, str | None], credentials: Credentials, effect: Effect
    ) -> Flow[Told]:
        body = self._signed(fields, credentials).encode("ascii")
        response = yield HttpRequest("POST", self._url(path), FORM_HEADERS, body, effect)
        return _told(response, path)

    def _mixed_call(
        self, path: str, fields: Mapping[str, str | None], body: Mapping[str, Any], credentials: Credentials
    ) -> Flow[Told]:
        """The form of API v2: signed parameters in the query, an unsigned JSON body."""
        url = f"{self._url(path)}?{self._signed(fields, credentials)}"
        response = yield HttpRequest("POST", url, JSON_HEADERS, write_json(body), Effect.IDEMPOTENT)
        return _told(response, path)

    def _signed(self, fields: Mapping[str, str | None], credentials: Credentials) -> str:
        sent = {name: value for name, value in fields.items() if value}
        sent["secureLogin"] = self.settings.secure_login
        return urlencode({**sent, HASH: sign(sent, credentials.current(SECRET))})

    def _url(self, path: str) -> str:
        return f"{self.settings.api_url.rstrip('/')}{SERVICES}{path}"


def _told(response: HttpResponse, where: str) -> Told:
    refuse_status(response, where)
    told = told_by(response, where)
    code = str(told.values.get("error", ""))  # sent as a text by several methods
    if code == str(int(Code.OK)):
        return told
    if code in {"", str(int(Code.RETRY))}:
        raise UpstreamError("the provider told no result", where=where)
    raise ProviderRefusedError("the provider refused", provider_code=code[:32], where=where)


def _played(item: Told, player: str, game: str) -> LogEntry:
    currency = item.word("currency")
    return LogEntry(
        round=item.code("roundId"),
        player=player,
        game=game,
        bet=item.signed_amount("betAmount", currency=currency),
        win=item.signed_amount("winAmount", currency=currency),
        state=item.word("roundStatus"),
    )


def _listing(item: Told) -> GameListing:
    code = item.code("gameID")
    platforms = {name.strip() for name in (item.word("platform") or "").upper().split(",")}
    return GameListing(
        code=code,
        name=item.word("gameName") or code,
        studio=item.word("studio"),
        category=item.word("typeDescription") or item.word("gameTypeID"),
        devices=frozenset(_PLATFORMS[name] for name in platforms & _PLATFORMS.keys()) or frozenset(Device),
        demo=item.values.get("demoGameAvailable") is True,
        free_rounds=item.values.get("frbAvailable") is True,
        lines=item.word("lines") if item.values.get("lines") else None,
        features=item.words("features"),
    )


def _scales(item: Told) -> Iterator[BetScale]:
    game = item.code("gameID")
    for scale in item.objects("betScaleList"):
        currency = scale.code("currency")
        bets = scale.amounts("totalBetScales", currency=currency)
        yield BetScale(game=game, currency=currency, total_bets=bets)


def _issued(item: Told) -> FreeRoundsIssued:
    given, played = item.values.get("rounds"), item.values.get("roundsPlayed", 0)
    known = type(given) is int and type(played) is int
    return FreeRoundsIssued(
        reference=item.code("bonusCode"), state=item.word("status"), rounds=given - played if known else None
    )


def _bet_values(query: FreeRoundsQuery) -> dict[str, Any]:
    if query.bet is None:
        raise FixRequestError("API v2 wants the value of one round", where="bet")
    values = [{"currency": query.currency, "totalBet": minor_to_decimal(query.bet, query.scale.scale)}]
    return {"gameList": [{"gameId": game, "betValues": values} for game in query.games]}


def _play_game(query: LaunchQuery, settings: PragmaticSettings) -> str:
    fields = {
        "token": query.token,
        "symbol": query.game,
        "technology": "H5",
        "platform": _platform(query.device, settings),
        "language": _language(query.language),
        "cashierUrl": query.deposit_url,
        "lobbyUrl": query.return_url,
    }
    pairs = {name: value for name, value in fields.items() if value}
    for name, value in pairs.items():
        if "&" in value:
            raise FixRequestError("this form of launch cannot carry an ampersand", where=name)
    key = "&".join(f"{name}={value}" for name, value in pairs.items())
    style = settings.style_name or settings.secure_login
    return f"https://{settings.game_host}/gs2c/playGame.do?{urlencode({'key': key, 'stylename': style})}"


def _open_game(query: LaunchQuery, settings: PragmaticSettings) -> str:
    fields = {
        "gameSymbol": query.game,
        "lang": _language(query.language),
        "cur": query.currency,
        "lobbyURL": query.return_url,
    }
    sent = {name: value for name, value in fields.items() if value}
    return f"https://{settings.demo_host}/gs2c/openGame.do?{urlencode(sent)}"


def _platform(device: Device, settings: PragmaticSettings) -> str:
    return "MOBILE" if device is Device.MOBILE else settings.desktop_platform


def _language(language: str) -> str:
    return language.partition("-")[0].lower()


def _stamp(moment: datetime) -> str:
    return str(epoch_seconds(moment))
