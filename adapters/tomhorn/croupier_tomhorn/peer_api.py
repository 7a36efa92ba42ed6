"""Tom Horn Gaming simulated: the services that it offers to the hub, in both codecs.

Facts: `reference/protocols/tomhorn.md`, section "Operator -> provider". Of the provider's own codes only 1005 and 1014
have a meaning in public material; what stands for the others here is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from attrs import define, field

from croupier.contract.errors import AuthenticationError, CroupierError, MalformedRequestError, NotFoundError
from croupier.contract.flows import Launched
from croupier.contract.http import Headers, HttpRequest, HttpResponse
from croupier.contract.peer import PeerPlayer
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object, write_json
from croupier_tomhorn.codec import SERVICES
from croupier_tomhorn.settings import TomhornSettings
from croupier_tomhorn.sign import ORDERS, REPORT_SIGN, SIGN, prove
from croupier_tomhorn.soap import REPORTS, XML, content_of, elements, envelope, fields_of, local

GAMES: Final[Mapping[str, str]] = {"VSlotBM": "Black Mummy", "VS243Crystal_TNP": "243 Crystal Fruits"}
"""What the peer offers, key to name."""
LINES: Final = 9
SESSION: Final = "param:session"
"""The parameter by which a loader's session is known here."""

_OK: Final = 0
_WRONG: Final = 11
_BAD_SIGN: Final = 12
_UNKNOWN: Final = 1003
_SESSION_OPEN: Final = 1005
_NO_SESSION: Final = 1006
_NO_MODULE: Final = 1007
_IDENTITY_EXISTS: Final = 1014

Told = tuple[int, dict[str, Any]]


@define(kw_only=True)
class Campaign:
    """Free games in one game.

    Attributes:
        code: The provider's code of it.
        name: The name that it was created by.
        module: The game.
        currency: The currency's code.
        games: How many each player has.
        coin_size: The coin, if one was told.
        players: Who was assigned.
        running: Whether it was not cancelled.
    """

    code: str
    name: str
    module: str
    currency: str
    games: int
    coin_size: str | None = None
    players: set[str] = field(factory=set)
    running: bool = True


class Services:
    """The provider's services, with the proof of every call checked; it keeps identities, sessions and campaigns.

    Attributes:
        settings: The settings of the connection on the other side.
        identities: Player to currency.
        sessions: Open sessions, id to player.
        campaigns: By code.
    """

    def __init__(self, settings: TomhornSettings) -> None:
        self.settings = settings
        self.identities: dict[str, str] = {}
        self.sessions: dict[int, str] = {}
        self.campaigns: dict[str, Campaign] = {}
        self._launches: dict[str, PeerPlayer] = {}
        self._numbers = 669_356
        self._operations: Mapping[str, Callable[[Mapping[str, Any]], Told]] = {
            "CreateIdentity": self._create_identity,
            "CreateSession": self._create_session,
            "CloseSession": self._close_session,
            "GetModuleInfo": self._module_info,
            "GetPlayMoneyModuleInfo": self._play_money,
            "GetModuleSettings": self._module_settings,
            "GetGameLaunchToken": self._launch_token,
            "GetGameModules": self._game_modules,
            "CreateCampaign": self._create_campaign,
            "AssignPlayerToCampaign": self._assign,
            "CancelCampaign": self._cancel,
            "GetCampaigns": self._campaigns_of_player,
            "GetCustomerCampaigns": self._all_campaigns,
            "GetGameRoundDetails": self._round_details,
        }

    def launch_of(self, launch: Launched) -> PeerPlayer:
        """The player whose game starts by an address or by parameters.

        Raises:
            NotFoundError: No such launch.
        """
        known = self._launches.get(launch.url or launch.parameters.get(SESSION, ""))
        if known is None:
            raise NotFoundError("this peer launched no such game", where="launch")
        return known

    def answer_to(self, request: HttpRequest, credentials: Credentials) -> HttpResponse:
        """Answer a call of the hub."""
        service = request.path.rpartition(f"{SERVICES}/")[2]
        try:
            if service.startswith("Rest"):
                operation, fields = service.rpartition("/")[2], read_json_object(request.body)
            else:
                element = content_of(request.body)
                name = local(element)
                operation = name.removesuffix("Request") if service.startswith("CustomerReport") else name
                fields = fields_of(element)
        except MalformedRequestError:
            return HttpResponse.text("bad request", 400)
        if operation not in ORDERS or operation not in self._operations:
            return HttpResponse.text("no such operation", 404)
        code, told = self._result(operation, fields, credentials)
        answer = {"Code": code, "Message": None if code == _OK else "refused", **told}
        if service.startswith("Rest"):
            return HttpResponse.json(write_json(answer))
        inner = elements(answer)
        namespace = REPORTS if service.startswith("CustomerReport") else self.settings.integration_namespace
        wrapped = f"<{operation}Result>{inner}</{operation}Result>"
        body = envelope(f'<{operation}Response xmlns="{namespace}">{wrapped}</{operation}Response>')
        return HttpResponse(200, Headers((("Content-Type", XML),)), body)

    def _result(self, operation: str, fields: Mapping[str, Any], credentials: Credentials) -> Told:
        report = operation == "GetGameRoundDetails"
        try:
            prove(operation, fields, credentials, REPORT_SIGN if report else SIGN)
            if fields["PartnerID" if report else "partnerID"] != self.settings.partner_id:
                return _WRONG, {}
            return self._operations[operation](fields)
        except AuthenticationError:
            return _BAD_SIGN, {}
        except (CroupierError, KeyError, ValueError):
            return _WRONG, {}

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _create_identity(self, fields: Mapping[str, Any]) -> Told:
        if fields["name"] in self.identities:
            return _IDENTITY_EXISTS, {}
        self.identities[fields["name"]] = fields["currency"]
        return _OK, {"Identity": {"Name": fields["name"], "State": 1}}

    def _create_session(self, fields: Mapping[str, Any]) -> Told:
        player = fields["name"]
        if player not in self.identities:
            return _UNKNOWN, {}
        for number, name in self.sessions.items():
            if name == player:
                return _SESSION_OPEN, {"Session": _session(number, player)}
        number = self._next()
        self.sessions[number] = player
        return _OK, {"Session": _session(number, player)}

    def _close_session(self, fields: Mapping[str, Any]) -> Told:
        player = self.sessions.pop(int(fields["sessionID"]), None)
        return (_NO_SESSION, {}) if player is None else (_OK, {})

    def _module_info(self, fields: Mapping[str, Any]) -> Told:
        number = int(fields["sessionID"])
        player = self.sessions.get(number)
        if player is None:
            return _NO_SESSION, {}
        return self._started(
            PeerPlayer(
                player=player,
                token="",
                game=fields["module"],
                currency=self.identities[player],
                session=str(number),
            )
        )

    def _play_money(self, fields: Mapping[str, Any]) -> Told:
        number = str(self._next())
        return self._started(
            PeerPlayer(player="", token="", game=fields["module"], currency=fields["currency"], session=number)
        )

    def _started(self, player: PeerPlayer) -> Told:
        if player.game not in GAMES:
            return _NO_MODULE, {}
        self._launches[player.session] = player
        parameters = {"width": "800", "height": "600", "param:module": player.game, SESSION: player.session}
        return _OK, {"Parameters": [{"Key": key, "Value": value} for key, value in parameters.items()]}

    def _launch_token(self, fields: Mapping[str, Any]) -> Told:
        player, currency = fields["name"], fields["currency"]
        if player not in self.identities:
            return _UNKNOWN, {}
        token = f"security-{self._next()}"
        for game in GAMES:
            known = PeerPlayer(player=player, token=token, game=game, currency=currency)
            self._launches[f"{game} {token}"] = known
        return _OK, {"Session": {"SecurityToken": token}}

    def _module_settings(self, fields: Mapping[str, Any]) -> Told:
        key = fields["gameModuleKey"]
        if key not in GAMES:
            return _NO_MODULE, {}
        way = "TotalBet" if key == "VSlotBM" else "LineBet"
        told: dict[str, Any] = {"Key": key, "GameType": way, "Currency": fields["currency"], "CoinSizes": "0.5;1;2"}
        return _OK, {**told, "WinLineCount": LINES}

    def _game_modules(self, fields: Mapping[str, Any]) -> Told:
        modules = [
            {"Id": number, "Key": key, "Name": name, "Provider": "Tom Horn", "Type": "Video Slot", "Channel": channel}
            for number, (key, name) in enumerate(GAMES.items(), 1)
            for channel in (fields.get("channel") or "Flash;Html5").split(";")
        ]
        return _OK, {"BaseURL": "https://games.tomhorn.example/", "GameModules": modules}

    def _create_campaign(self, fields: Mapping[str, Any]) -> Told:
        if fields["module"] not in GAMES or fields["timeFrom"] >= fields["timeTo"]:
            return _WRONG, {}
        coin = fields.get("coinSize")
        made = Campaign(
            code=f"campaign{self._next()}",
            name=fields["campaignName"],
            module=fields["module"],
            currency=fields["currency"],
            games=int(fields["gamesPerPlayer"]),
            coin_size=None if coin is None else str(coin),
        )
        self.campaigns[made.code] = made
        return _OK, {"Campaign": {"Code": made.code, "Name": made.name}}

    def _assign(self, fields: Mapping[str, Any]) -> Told:
        campaign = self.campaigns.get(fields["campaignCode"])
        if campaign is None or campaign.currency != fields["currency"]:
            return _WRONG, {}
        players = set(fields["players"].split(";"))
        if not players <= self.identities.keys():
            return _UNKNOWN, {}
        campaign.players |= players
        return _OK, {}

    def _cancel(self, fields: Mapping[str, Any]) -> Told:
        campaign = self.campaigns.get(fields["campaignCode"])
        if campaign is None:
            return _WRONG, {}
        campaign.running = False
        return _OK, {}

    def _campaigns_of_player(self, fields: Mapping[str, Any]) -> Told:
        found = [one for one in self.campaigns.values() if one.running and fields["name"] in one.players]
        shown = [
            {
                "Name": one.name,
                "Code": one.code,
                "GameModuleKey": one.module,
                "GamesPerPlayer": one.games,
                "GamesRemaining": one.games,
            }
            for one in found
        ]
        return _OK, {"Campaigns": shown}

    def _all_campaigns(self, fields: Mapping[str, Any]) -> Told:
        shown = [
            {
                "Code": one.code,
                "Name": one.name,
                "Currencies": one.currency,
                "State": "Running" if one.running else "Cancelled",
                "PlayersCount": len(one.players),
            }
            for one in self.campaigns.values()
        ]
        return _OK, {"Campaigns": shown}

    def _round_details(self, fields: Mapping[str, Any]) -> Told:
        query = urlencode({"player": fields["PlayerName"], "gameID": fields["RoundId"]})
        return _OK, {
            "GameID": fields["RoundId"],
            "RoundReport": f"https://games.tomhorn.example/GMS/Audit/Game.ashx?{query}",
        }


def _session(number: int, player: str) -> dict[str, Any]:
    return {"ID": number, "Name": player, "State": "Open"}
