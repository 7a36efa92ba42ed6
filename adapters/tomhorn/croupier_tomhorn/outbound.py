"""What the hub asks of Tom Horn Gaming: launches, games, free games, one round's report.

Facts: `reference/protocols/tomhorn.md`, section "Operator -> provider", and the provider's help centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlencode

from croupier.contract.errors import FixRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.fields import Told, refuse_status
from croupier.contract.flows import (
    Device,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    Launched,
    LaunchQuery,
    ReplayQuery,
)
from croupier.contract.http import Effect
from croupier.contract.money import minor_to_decimal
from croupier.contract.secrets import Credentials
from croupier.contract.times import iso_utc
from croupier_tomhorn.codec import INTEGRATION, REPORT, Codec, Question
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import REPORT_SIGN, SIGN, sign, signed_text

OK: Final = "0"
GENERAL: Final = "1"
SESSION_OPEN: Final = "1005"
IDENTITY_EXISTS: Final = "1014"
FREE_GAMES: Final = "FreeGamesBonus"
"""The type of every campaign that the hub makes."""

TOTAL_BET: Final = "totalbet"
LINE_BET: Final = "linebet"
_MOBILE_CHANNELS: Final = frozenset({"html5"})


class Provider:
    """The provider's services, asked with one connection's settings.

    Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be
    used.

    Args:
        settings: The connection's settings.
        codec: How calls are written.
    """

    def __init__(self, settings: TomhornSettings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._url = settings.api_url.rstrip("/")

    def launch(self, query: LaunchQuery, keys: Credentials) -> Flow[Launched]:
        """Start a game, for play money or with the player's identity made where it is missing."""
        if query.demo:
            fields = {"module": query.game, "currency": query.currency}
            told = yield from self._ask("GetPlayMoneyModuleInfo", fields, keys, Effect.READ)
            return Launched(parameters=_parameters(told))
        if self._settings.launch == "launcher":
            return (yield from self._launcher(query, keys))
        identity = {"name": query.player, "currency": query.currency}
        yield from self._ask("CreateIdentity", identity, keys, accepted=IDENTITY_EXISTS)
        session = yield from self._session(query.player, keys)
        module = {"sessionID": session, "module": query.game, "language": query.language, "homeUrl": query.return_url}
        told = yield from self._ask("GetModuleInfo", module, keys, Effect.READ)
        return Launched(parameters=_parameters(told), session=str(session))

    def game_list(self, keys: Credentials) -> Flow[tuple[GameListing, ...]]:
        """The games; one that is there for several channels stands once."""
        channels = ";".join(self._settings.channels) or None
        told = yield from self._ask("GetGameModules", {"channel": channels}, keys, Effect.READ)
        games: dict[str, GameListing] = {}
        for module in told.objects("GameModules"):
            listing = _listing(module)
            known = games.get(listing.code)
            if known is None or Device.MOBILE in listing.devices:
                games[listing.code] = listing
        return tuple(games.values())

    def issue_free_rounds(self, query: FreeRoundsQuery, keys: Credentials) -> Flow[FreeRoundsIssued]:
        """Create a campaign of the grant's name, if there is none, and assign the player to it."""
        if len(query.games) != 1:
            raise FixRequestError("a campaign is for one game", where="games")
        told = yield from self._ask("GetCustomerCampaigns", {"type": FREE_GAMES}, keys, Effect.READ)
        known = [one.text("Code") for one in told.optional_objects("Campaigns") if one.word("Name") == query.grant]
        if known:
            code, listed = known[0], (yield from self._of_player(query.player, keys))
            if any(one.reference == code for one in listed):
                return FreeRoundsIssued(reference=code, rounds=query.rounds)
        else:
            code = yield from self._campaign(query, keys)
        assigned = {"players": query.player, "campaignCode": code, "currency": query.currency}
        yield from self._ask("AssignPlayerToCampaign", assigned, keys)
        return FreeRoundsIssued(reference=code, rounds=query.rounds)

    def cancel_free_rounds(self, campaign: str, keys: Credentials) -> Flow[None]:
        """Cancel a campaign, which holds one player."""
        yield from self._ask("CancelCampaign", {"campaignCode": campaign}, keys)

    def list_free_rounds(self, player: str, keys: Credentials) -> Flow[tuple[FreeRoundsIssued, ...]]:
        """The campaigns that are open to a player."""
        return (yield from self._of_player(player, keys))

    def replay(self, query: ReplayQuery, keys: Credentials) -> Flow[Launched]:
        """The address of a round's report."""
        fields = {"PlayerName": query.player, "RoundId": query.round}
        told = yield from self._ask("GetGameRoundDetails", fields, keys, Effect.READ, service=REPORT)
        return Launched(url=told.address("RoundReport"))

    def _launcher(self, query: LaunchQuery, keys: Credentials) -> Flow[Launched]:
        identity = {"name": query.player, "currency": query.currency}
        told = yield from self._ask("GetGameLaunchToken", identity, keys)
        parameters = {
            "gameId": query.game,
            "lang": query.language.partition("-")[0].lower(),
            "currency": query.currency,
            "clientrender": "iframe",
            "moneyType": "1",
            "playerId": query.player,
            "token": _object(told, "Session").text("SecurityToken"),
            "exitUrl": query.return_url,
        }
        partner = quote(self._settings.partner_id, safe="")
        return Launched(url=f"{self._url}/Integration/{partner}/GameLauncher?{urlencode(_present(parameters))}")

    def _session(self, player: str, keys: Credentials) -> Flow[int]:
        """A new session of the player; one that is open still is closed first."""
        fields = {"name": player}
        told = yield from self._ask("CreateSession", fields, keys, accepted=SESSION_OPEN)
        if told.code("Code") == SESSION_OPEN:
            yield from self._ask("CloseSession", {"sessionID": _session_id(told)}, keys)
            told = yield from self._ask("CreateSession", fields, keys)
        return _session_id(told)

    def _campaign(self, query: FreeRoundsQuery, keys: Credentials) -> Flow[str]:
        fields = {
            "campaignName": query.grant,
            "module": query.games[0],
            "currency": query.currency,
            "gamesPerPlayer": query.rounds,
            "coinSize": None if query.bet is None else (yield from self._coin_size(query, query.bet, keys)),
            "timeFrom": _moment(query.valid_from),
            "timeTo": _moment(query.valid_until),
        }
        told = yield from self._ask("CreateCampaign", fields, keys, Effect.ONCE)
        return _object(told, "Campaign").text("Code")

    def _coin_size(self, query: FreeRoundsQuery, bet: int, keys: Credentials) -> Flow[Decimal]:
        """The size of a coin that makes a round worth the bet: by the game's own way to count."""
        fields = {"gameModuleKey": query.games[0], "currency": query.currency}
        told = yield from self._ask("GetModuleSettings", fields, keys, Effect.READ)
        way = (told.word("GameType") or "").lower()
        if way not in {TOTAL_BET, LINE_BET}:
            raise FixRequestError("the game has no free games", where="games")
        lines = _count(told.word("WinLineCount")) if way == LINE_BET else 1
        if not lines:
            raise UpstreamError("the game's number of lines is not told", where="WinLineCount")
        if bet % lines:
            raise FixRequestError(f"the bet cannot be parted among {lines} lines", where="bet")
        return minor_to_decimal(bet // lines, query.scale.scale)

    def _of_player(self, player: str, keys: Credentials) -> Flow[tuple[FreeRoundsIssued, ...]]:
        told = yield from self._ask("GetCampaigns", {"name": player, "type": FREE_GAMES}, keys, Effect.READ)
        return tuple([_issued(campaign) for campaign in told.optional_objects("Campaigns")])

    def _ask(
        self,
        operation: str,
        fields: Mapping[str, Any],
        keys: Credentials,
        effect: Effect = Effect.IDEMPOTENT,
        *,
        accepted: str = OK,
        service: str = INTEGRATION,
    ) -> Flow[Told]:
        """Ask, and accept nothing but success or one other code."""
        integrates = service == INTEGRATION
        partner, proof = ("partnerID", SIGN) if integrates else ("PartnerID", REPORT_SIGN)
        sent = {partner: self._settings.partner_id, **_present(fields)}
        sent[proof] = sign(signed_text(operation, sent), keys.current(SECRET))
        question = Question(service=service, operation=operation, fields=sent, effect=effect)
        response = yield self._codec.ask(self._url, question)
        refuse_status(response, operation)
        told = self._codec.told(response, operation)
        code = told.code("Code")
        if code == GENERAL:
            raise UpstreamError("the provider failed", where=operation)
        if code not in {OK, accepted}:
            raise ProviderRefusedError("the provider refused", provider_code=code[:32], where=operation)
        return told


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _object(told: Told, name: str) -> Told:
    value = told.values.get(name)
    if not isinstance(value, dict):
        raise UpstreamError("the answer lacks it", where=told.where(name))
    return Told(value, told.where(name))


def _session_id(told: Told) -> int:
    session = _count(_object(told, "Session").word("ID"))
    if not session:
        raise UpstreamError("the answer names no session", where=told.where("Session.ID"))
    return session


def _count(word: str | None) -> int | None:
    return int(word) if word is not None and word.isascii() and word.isdigit() and len(word) <= 19 else None


def _moment(moment: datetime) -> str:
    return iso_utc(moment, 0).removesuffix("Z")


def _parameters(told: Told) -> dict[str, str]:
    """What the loader needs, key to value."""
    parameters = {one.text("Key"): one.word("Value") or "" for one in told.objects("Parameters")}
    if not parameters:
        raise UpstreamError("the answer has no parameters", where=told.where("Parameters"))
    return parameters


def _listing(module: Told) -> GameListing:
    code, channel = module.text("Key"), (module.word("Channel") or "html5").lower()
    return GameListing(
        code=code,
        name=module.word("Name") or code,
        studio=module.word("Provider"),
        category=module.word("Type"),
        devices=frozenset(Device) if channel in _MOBILE_CHANNELS else frozenset({Device.DESKTOP}),
    )


def _issued(campaign: Told) -> FreeRoundsIssued:
    return FreeRoundsIssued(reference=campaign.text("Code"), rounds=_count(campaign.word("GamesRemaining")))
