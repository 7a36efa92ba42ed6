"""What the hub asks of Tom Horn Gaming: launches, games, free games, one round's report.

Facts: `reference/protocols/tomhorn.md`, section "Operator -> provider", and the provider's help centre.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlencode

from croupier.contract import flows
from croupier.contract.adapter import Adapter
from croupier.contract.errors import FixRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.fields import Told, refuse_status
from croupier.contract.flows import Flow, FreeRoundsIssued, FreeRoundsQuery, GameListing, Launched, LaunchQuery
from croupier.contract.http import Effect
from croupier.contract.money import minor_to_decimal
from croupier.contract.secrets import Credentials
from croupier.contract.times import iso_utc
from croupier_tomhorn.codec import INTEGRATION, REPORT, SERVICES, JsonCodec, Values
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import REPORT_SIGN, SIGN, sign, signed_text

_OK: Final = "0"
_GENERAL: Final = "1"
_SESSION_OPEN: Final = "1005"
_IDENTITY_EXISTS: Final = "1014"
_FREE_GAMES: Final = "FreeGamesBonus"
_DETAILS: Final = "GetGameRoundDetails"


class TomhornServices(Adapter):
    """The hub's own calls; a definite refusal is a `ProviderRefusedError`, what cannot be used an `UpstreamError`.

    Args:
        settings: The connection's settings.
        codec: How calls are written.
    """

    def __init__(self, settings: TomhornSettings, codec: JsonCodec) -> None:
        self._settings = settings
        self._asks = codec
        self._url = settings.api_url.rstrip("/")

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        if query.demo:
            fields = {"module": query.game, "currency": query.currency}
            told = yield from self._ask("GetPlayMoneyModuleInfo", fields, credentials, Effect.READ)
            return Launched(parameters=_parameters(told))
        yield from self._identity(query.player, query.currency, credentials)
        if self._settings.launch == "launcher":
            return (yield from self._launcher(query, credentials))
        session = yield from self._session(query.player, credentials)
        module = {"sessionID": session, "module": query.game, "language": query.language, "homeUrl": query.return_url}
        told = yield from self._ask("GetModuleInfo", module, credentials, Effect.READ)
        return Launched(parameters=_parameters(told), session=str(session))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        told = yield from self._ask("GetGameModules", {"channel": "Html5"}, credentials, Effect.READ)
        return tuple([_listing(module) for module in told.objects("GameModules")])

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        if len(query.games) != 1:
            raise FixRequestError("a campaign is for one game", where="games")
        told = yield from self._ask("GetCustomerCampaigns", {"type": _FREE_GAMES}, credentials, Effect.READ)
        known = [one.text("Code") for one in told.optional_objects("Campaigns") if one.word("Name") == query.grant]
        if known:
            code = known[0]
            listed = yield from self.list_free_rounds(query.player, credentials, now)
            if any(one.reference == code for one in listed):
                return FreeRoundsIssued(reference=code, rounds=query.rounds)
        else:
            code = yield from self._campaign(query, credentials)
        yield from self._identity(query.player, query.currency, credentials)
        assigned = {"players": query.player, "campaignCode": code, "currency": query.currency}
        yield from self._ask("AssignPlayerToCampaign", assigned, credentials)
        return FreeRoundsIssued(reference=code, rounds=query.rounds)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        yield from self._ask("CancelCampaign", {"campaignCode": grant}, credentials)

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        told = yield from self._ask("GetCampaigns", {"name": player, "type": _FREE_GAMES}, credentials, Effect.READ)
        found = [(one.text("Code"), _count(one, "GamesRemaining")) for one in told.optional_objects("Campaigns")]
        return tuple([FreeRoundsIssued(reference=code, rounds=left) for code, left in found])

    def replay(self, query: flows.ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        asked = {"PlayerName": query.player, "RoundId": query.round}
        return Launched(url=(yield from self._ask(_DETAILS, asked, credentials, Effect.READ)).address("RoundReport"))

    def _launcher(self, query: LaunchQuery, keys: Credentials) -> Flow[Launched]:
        told = yield from self._ask("GetGameLaunchToken", {"name": query.player, "currency": query.currency}, keys)
        parameters = {
            "gameId": query.game,
            "lang": query.language.partition("-")[0].lower(),
            "currency": query.currency,
            "clientrender": "iframe",
            "moneyType": "1",
            "playerId": query.player,
            "token": _inside(told, "Session").text("SecurityToken"),
            "exitUrl": query.return_url,
        }
        partner = quote(self._settings.partner_id, safe="")
        return Launched(url=f"{self._url}/Integration/{partner}/GameLauncher?{urlencode(_present(parameters))}")

    def _identity(self, player: str, currency: str, keys: Credentials) -> Flow[None]:
        """Make the player known; one that is known already stays as it is."""
        yield from self._ask("CreateIdentity", {"name": player, "currency": currency}, keys, accepted=_IDENTITY_EXISTS)

    def _session(self, player: str, keys: Credentials) -> Flow[int]:
        """A new session of the player; one that is open still is closed first."""
        told = yield from self._ask("CreateSession", {"name": player}, keys, accepted=_SESSION_OPEN)
        if told.code("Code") == _SESSION_OPEN:
            opened = int(_inside(told, "Session").amount("ID").value)
            yield from self._ask("CloseSession", {"sessionID": opened}, keys)
            told = yield from self._ask("CreateSession", {"name": player}, keys)
        return int(_inside(told, "Session").amount("ID").value)

    def _campaign(self, query: FreeRoundsQuery, keys: Credentials) -> Flow[str]:
        fields = {
            "campaignName": query.grant,
            "module": query.games[0],
            "currency": query.currency,
            "gamesPerPlayer": query.rounds,
            "coinSize": None if query.bet is None else (yield from self._coin_size(query, query.bet, keys)),
            "timeFrom": iso_utc(query.valid_from, 0).removesuffix("Z"),
            "timeTo": iso_utc(query.valid_until, 0).removesuffix("Z"),
        }
        told = yield from self._ask("CreateCampaign", fields, keys, Effect.ONCE)
        return _inside(told, "Campaign").text("Code")

    def _coin_size(self, query: FreeRoundsQuery, bet: int, keys: Credentials) -> Flow[Decimal]:
        """The size of a coin that makes a round worth the bet: by the game's own way to count."""
        fields = {"gameModuleKey": query.games[0], "currency": query.currency}
        told = yield from self._ask("GetModuleSettings", fields, keys, Effect.READ)
        lines = {"totalbet": 1, "linebet": _count(told, "WinLineCount")}.get((told.word("GameType") or "").lower())
        if not lines:
            raise FixRequestError("the game has no free games of a chosen bet", where="games")
        if bet % lines:
            raise FixRequestError(f"the bet cannot be parted among {lines} lines", where="bet")
        return minor_to_decimal(bet // lines, query.scale.scale)

    def _ask(
        self, operation: str, fields: Values, keys: Credentials, effect: Effect = Effect.IDEMPOTENT, accepted: str = _OK
    ) -> Flow[Told]:
        """Ask, and accept nothing but success or one other code."""
        service = REPORT if operation == _DETAILS else INTEGRATION
        partner, proof = ("PartnerID", REPORT_SIGN) if service == REPORT else ("partnerID", SIGN)
        sent = {partner: self._settings.partner_id, **_present(fields)}
        sent[proof] = sign(signed_text(operation, sent), keys.current(SECRET))
        response = yield self._asks.ask(f"{self._url}{SERVICES}", service, operation, sent, effect)
        refuse_status(response, operation)
        told = self._asks.told(response, operation)
        code = told.code("Code")
        if code == _GENERAL:
            raise UpstreamError("the provider failed", where=operation)
        if code not in {_OK, accepted}:
            raise ProviderRefusedError("the provider refused", provider_code=code[:32], where=operation)
        return told


def _present(fields: Values) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _inside(told: Told, name: str) -> Told:
    value = told.values.get(name)
    return Told(value if isinstance(value, dict) else {}, told.where(name))


def _count(told: Told, name: str) -> int | None:
    word = told.word(name) or ""
    return int(word) if word.isdecimal() and len(word) < 20 else None


def _parameters(told: Told) -> dict[str, str]:
    parameters = {one.text("Key"): one.word("Value") or "" for one in told.objects("Parameters")}
    if not parameters:
        raise UpstreamError("the answer has no parameters", where=told.where("Parameters"))
    return parameters


def _listing(module: Told) -> GameListing:
    code, maker, kind = module.text("Key"), module.word("Provider"), module.word("Type")
    return GameListing(code=code, name=module.word("Name") or code, studio=maker, category=kind)
