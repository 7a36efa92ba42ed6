"""The Pragmatic Play adapter: "Seamless Wallet" in, CasinoGameAPI and its sisters out.

Built from public material (`reference/protocols/pragmatic.md`); not endorsed or certified by Pragmatic Play.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from attrs import evolve

from croupier.contract import flows
from croupier.contract.adapter import Adapter, AdapterSpec, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError, FixRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.fields import Told, refuse_status, told_by
from croupier.contract.flows import Device, Flow, FreeRoundsIssued, FreeRoundsQuery, Launched, LaunchQuery
from croupier.contract.forms import read_form
from croupier.contract.http import FORM_HEADERS, JSON_HEADERS, Effect, HttpRequest, HttpResponse
from croupier.contract.money import minor_to_decimal
from croupier.contract.outcomes import Result
from croupier.contract.redaction import safe_form
from croupier.contract.secrets import Credentials, SecretField
from croupier.contract.strict_json import write_json
from croupier.contract.times import epoch_seconds
from croupier_pragmatic import codes, feeds, mapping, wire
from croupier_pragmatic.settings import SECRET, PragmaticSettings, check

_UNSAFE_FIELDS: Final = frozenset("userId token previousToken ipAddress jackpotDetails chosenBalance".split())
_SAFE_FIELDS: Final = wire.FIELDS - _UNSAFE_FIELDS
_ROUTES: Final = tuple(
    [Route("POST", f"/{name}{ending}", name) for name in codes.OPERATIONS for ending in (".html", "")]
)
Form = Mapping[str, str | None]

_MOBILE: Final = "MOBILE"
_DESKTOPS: Final = frozenset({"WEB", "DESKTOP", "DOWNLOAD"})


class PragmaticAdapter(Adapter):
    """The protocol with one connection's settings.

    Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be
    used. Only `cancel_round` depends on a path that sources disagree about; it is a setting.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: The settings do not fit together.
    """

    def __init__(self, settings: PragmaticSettings) -> None:
        self.settings = check(settings)
        self.policies = codes.policies(settings)
        bonus_wins = {Capability.BONUS_WIN} if settings.frb_credit_on == "result" else set()
        self.spec = evolve(SPEC, capabilities=SPEC.capabilities - bonus_wins)

    def routes(self) -> Sequence[Route]:
        return _ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        fields = read_form(request.body)
        wire.refuse_ambiguous(fields)
        wire.prove(fields, credentials)
        return Verified(request, fields)

    def parse(self, verified: Verified) -> Calls:
        return mapping.parse(verified.request.path, verified.fields, self.settings)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return mapping.render(calls, results, self.settings)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return mapping.answer(codes.error_code(mapping.operation_of(request.path), error))

    def redact(self, request: HttpRequest) -> HttpRequest:
        return HttpRequest(request.method, request.path, body=safe_form(request.body, _SAFE_FIELDS))

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        if query.demo and self.settings.demo == "open_game":
            return Launched(url=_open_game(query, self.settings))
        if not query.demo and self.settings.launch == "play_game":
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
        told = yield from self._call(wire.GAME_URL, fields, credentials)
        return Launched(url=told.address("gameURL"))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[flows.GameListing, ...]]:
        fields = {"options": ",".join(self.settings.game_list_options)}
        told = yield from self._call(wire.GAMES, fields, credentials, Effect.READ)
        return tuple(_listing(item) for item in told.objects("gameList"))

    def bet_scales(
        self, games: Sequence[str], credentials: Credentials, now: datetime
    ) -> Flow[tuple[flows.BetScale, ...]]:
        told = yield from self._call(wire.BET_SCALES, {"gameIDs": ",".join(games)}, credentials, Effect.READ)
        return tuple(scale for item in told.objects("gameList") for scale in _scales(item))

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        fields = {
            "playerId": query.player,
            "currency": query.currency,
            "rounds": str(query.rounds),
            "bonusCode": query.grant,  # what makes a repeat give nothing more
            "expirationDate": str(epoch_seconds(query.valid_until)),
        }
        if self.settings.frb_api == "v1":
            fields["gameIDList"] = ",".join(query.games)
            yield from self._call(wire.FRB_CREATE_V1, fields, credentials)
        else:
            fields["startDate"] = str(epoch_seconds(query.valid_from))
            yield from self._call(wire.FRB_CREATE, fields, credentials, body=_bet_values(query))
        return FreeRoundsIssued(reference=query.grant, rounds=query.rounds)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        fields = {"bonusCode": grant}
        if self.settings.frb_api == "v1":
            yield from self._call(wire.FRB_CANCEL_V1, fields, credentials)
        elif self.settings.frb_cancel == "player":
            yield from self._call(wire.FRB_REMOVE, fields, credentials, body={"playerList": [player]})
        else:
            yield from self._call(wire.FRB_CANCEL, fields, credentials)

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        told = yield from self._call(wire.FRB_LIST, {"playerId": player}, credentials, Effect.READ)
        return tuple(_issued(item) for item in told.objects("bonuses"))

    def replay(self, query: flows.ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        fields = {"playerId": query.player, "gameId": query.game, "roundId": query.round}
        told = yield from self._call(wire.REPLAY, fields, credentials, Effect.READ)
        return Launched(url=told.address("url"))

    def transaction_log(self, query: flows.LogQuery, credentials: Credentials, now: datetime) -> Flow[flows.LogPage]:
        return feeds.transactions(query, self.settings, credentials)

    def round_log(self, query: flows.LogQuery, credentials: Credentials, now: datetime) -> Flow[flows.LogPage]:
        return feeds.rounds(query, self.settings, credentials)

    def end_session(self, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        yield from self._call(wire.TERMINATE, {"externalPlayerId": player}, credentials)

    def cancel_round(self, player: str, game: str, round: str, credentials: Credentials, now: datetime) -> Flow[None]:
        fields = {"externalPlayerId": player, "gameId": game, "roundId": round}
        yield from self._call(self.settings.cancel_round_path, fields, credentials)

    def _call(
        self, path: str, fields: Form, keys: Credentials, effect: Effect = Effect.IDEMPOTENT, body: Any = None
    ) -> Flow[Told]:
        """Send signed parameters: as a form or, in API v2, in the query of a request with an unsigned JSON body."""
        sent = _present({**fields, "secureLogin": self.settings.secure_login})
        signed = urlencode({**sent, wire.HASH: wire.sign(sent, keys.current(SECRET))})
        url = f"{self.settings.api_url.rstrip('/')}{wire.SERVICES}{path}"
        if body is None:
            response = yield HttpRequest("POST", url, FORM_HEADERS, signed.encode("ascii"), effect)
        else:
            response = yield HttpRequest("POST", f"{url}?{signed}", JSON_HEADERS, write_json(body), effect)
        return _told(response, path)


def _told(response: HttpResponse, where: str) -> Told:
    refuse_status(response, where)
    told = told_by(response, where)
    code = str(told.values.get("error", ""))  # sent as a text by several methods
    if code == str(int(codes.Code.OK)):
        return told
    if code in {"", str(int(codes.Code.RETRY))}:
        raise UpstreamError("the provider told no result", where=where)
    raise ProviderRefusedError("the provider refused", provider_code=code[:32], where=where)


def _listing(item: Told) -> flows.GameListing:
    code = item.code("gameID")
    platforms = {name.strip() for name in (item.word("platform") or "").upper().split(",")}
    runs_on = {Device.MOBILE: _MOBILE in platforms, Device.DESKTOP: bool(_DESKTOPS & platforms)}
    return flows.GameListing(
        code=code,
        name=item.word("gameName") or code,
        studio=item.word("studio"),
        category=item.word("typeDescription") or item.word("gameTypeID"),
        devices=frozenset(device for device, known in runs_on.items() if known) or frozenset(Device),
        demo=item.values.get("demoGameAvailable") is True,
        free_rounds=item.values.get("frbAvailable") is True,
        lines=item.word("lines") if item.values.get("lines") else None,
        features=item.words("features"),
    )


def _scales(item: Told) -> Iterator[flows.BetScale]:
    game = item.code("gameID")
    for scale in item.objects("betScaleList"):
        currency = scale.code("currency")
        bets = scale.amounts("totalBetScales", currency=currency)
        yield flows.BetScale(game=game, currency=currency, total_bets=bets)


def _issued(item: Told) -> FreeRoundsIssued:
    given, played = item.values.get("rounds"), item.values.get("roundsPlayed", 0)
    left = given - played if type(given) is int and type(played) is int else None
    return FreeRoundsIssued(reference=item.code("bonusCode"), state=item.word("status"), rounds=left)


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
    pairs = _present(fields)
    for name, value in pairs.items():
        if "&" in value:
            raise FixRequestError("this form of launch cannot carry an ampersand", where=name)
    key = "&".join(f"{name}={value}" for name, value in pairs.items())
    style = settings.style_name or settings.secure_login
    return f"https://{settings.game_host}/gs2c/playGame.do?{urlencode({'key': key, 'stylename': style})}"


def _open_game(query: LaunchQuery, settings: PragmaticSettings) -> str:
    language = _language(query.language)
    fields = {"gameSymbol": query.game, "lang": language, "cur": query.currency, "lobbyURL": query.return_url}
    return f"https://{settings.demo_host}/gs2c/openGame.do?{urlencode(_present(fields))}"


def _present(fields: Form) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _platform(device: Device, settings: PragmaticSettings) -> str:
    return _MOBILE if device is Device.MOBILE else settings.desktop_platform


def _language(language: str) -> str:
    return language.partition("-")[0].lower()


SPEC: Final = AdapterSpec(
    slug="pragmatic",
    name="Pragmatic Play",
    proof=Proof.FIELD_MAC,
    capabilities=Capability.of(
        """
        authenticate balance bet win rollback_bet adjustment close_round promo_win jackpot_win bonus_win free_bet
        launch launch_demo game_list bet_scales free_rounds_issue free_rounds_cancel free_rounds_list round_replay
        transaction_log round_log end_session cancel_round
        """
    ),
    secrets=(SecretField(SECRET, "The secret key that the provider gives with the account: it makes every hash."),),
    settings=PragmaticSettings,
    create=PragmaticAdapter,
    documentation="Built from public material, collected in reference/protocols/pragmatic.md: "
    "not endorsed or certified by Pragmatic Play.",
    omissions={
        "GetBalancePerGame": "no public source shows its fields",
        "GetGameRounds": "one day of one player in one game; the feeds of game rounds tell the same of all",
        "balance transfer": "another integration, in which the provider keeps the money",
        "v2/players/add": "the hub gives free rounds to one player at a time",
    },
)
