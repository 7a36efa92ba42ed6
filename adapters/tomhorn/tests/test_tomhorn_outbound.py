"""What the hub asks of the provider, in both codecs, with the simulated provider on the other side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from attrs import evolve

from croupier.contract import (
    Credentials,
    Currency,
    Effect,
    FixRequestError,
    Flow,
    FreeRoundsQuery,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    NotFoundError,
    PeerPlayer,
    ProviderRefusedError,
    ReplayQuery,
    UpstreamError,
    read_json_object,
)
from croupier_tomhorn.adapter import TomhornAdapter
from croupier_tomhorn.peer import TomhornPeer
from croupier_tomhorn.peer_api import GAMES, SESSION
from croupier_tomhorn.settings import SECRET, TomhornSettings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = Credentials({SECRET: ("a test key",)})
EUR = Currency("EUR", 2)
JSON = TomhornSettings(partner_id="Partner01", api_url="https://tomhorn.example/")
SOAP = evolve(JSON, encoding="soap", integration_namespace="http://tomhorn.example/integration")
BOTH = pytest.mark.parametrize("settings", [JSON, SOAP], ids=["json", "soap"])
QUERY = LaunchQuery(
    game="VSlotBM",
    currency="EUR",
    scale=EUR,
    player="p-1",
    token="token-1",  # it opens nothing
    language="it-IT",
    return_url="https://casino.example/lobby?a=1&b=2",
)
GRANT = FreeRoundsQuery(
    grant="grant-1",
    player="p-1",
    games=("VSlotBM",),
    rounds=10,
    currency="EUR",
    scale=EUR,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=7),
)
PLAYER = PeerPlayer(player="p-1", token="", game="VSlotBM", currency="EUR")


class Desk:
    """An adapter and a peer, and what went from one to the other."""

    def __init__(self, settings: TomhornSettings) -> None:
        self.adapter = TomhornAdapter(settings)
        self.peer = TomhornPeer(settings)
        self.sent: list[HttpRequest] = []

    def served(self, flow: Flow[Any], keys: Credentials = KEYS) -> Any:
        return self.answered(flow, lambda request: self.peer.serve(request, keys, NOW))

    def answered(self, flow: Flow[Any], answer: Callable[[HttpRequest], HttpResponse]) -> Any:
        try:
            request = next(flow)
            while True:
                self.sent.append(request)
                request = flow.send(answer(request))
        except StopIteration as done:
            return done.value

    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [
            request.path.rpartition("/")[2]
            if "Rest" in request.path
            else (request.headers.get("SOAPAction") or "").strip('"').rpartition("/")[2]
            for request in self.sent
        ]

    def launch(self, query: LaunchQuery = QUERY) -> Launched:
        launched = self.served(self.adapter.launch(query, KEYS, NOW, "nonce"))
        assert isinstance(launched, Launched)
        return launched

    def issue(self, query: FreeRoundsQuery = GRANT) -> Any:
        return self.served(self.adapter.issue_free_rounds(query, KEYS, NOW, "nonce"))


# --- launches ---------------------------------------------------------------------------------------------------------


@BOTH
def test_a_launch_makes_the_player_and_a_session_and_yields_parameters(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    launched = desk.launch()
    assert desk.operations() == ["CreateIdentity", "CreateSession", "GetModuleInfo"]
    assert (launched.url, launched.html, launched.session) == (None, None, "669357")
    assert launched.parameters["width"] == "800"
    assert desk.peer.started(launched) == evolve(PLAYER, session="669357")


@BOTH
def test_a_second_launch_closes_the_session_that_is_open(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    first = desk.launch()
    desk.sent.clear()
    second = desk.launch(evolve(QUERY, game="VS243Crystal_TNP"))
    assert desk.operations() == ["CreateIdentity", "CreateSession", "CloseSession", "CreateSession", "GetModuleInfo"]
    assert first.session != second.session
    assert desk.peer.started(second).game == "VS243Crystal_TNP"
    assert list(desk.peer.sessions.values()) == ["p-1"]


@BOTH
def test_play_money_needs_no_player(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    launched = desk.launch(evolve(QUERY, demo=True, player="", token=""))
    assert desk.operations() == ["GetPlayMoneyModuleInfo"]
    assert desk.peer.started(launched).player == ""
    assert not desk.peer.identities


@BOTH
def test_a_launcher_is_an_address_with_a_security_token(settings: TomhornSettings) -> None:
    desk = Desk(evolve(settings, launch="launcher"))
    launched = desk.launch()
    assert desk.operations() == ["CreateIdentity", "GetGameLaunchToken"]
    assert launched.url is not None
    parts = urlsplit(launched.url)
    assert (parts.netloc, parts.path) == ("tomhorn.example", "/Integration/Partner01/GameLauncher")
    assert dict(parse_qsl(parts.query)) == {
        "gameId": "VSlotBM",
        "lang": "it",
        "currency": "EUR",
        "clientrender": "iframe",
        "moneyType": "1",
        "playerId": "p-1",
        "token": "security-669357",
        "exitUrl": "https://casino.example/lobby?a=1&b=2",
    }
    assert desk.peer.started(launched) == evolve(PLAYER, token="security-669357")  # the peer made it up


def test_the_launch_token_of_the_hub_is_not_sent() -> None:
    desk = Desk(JSON)
    desk.launch()
    assert not any(b"token-1" in request.body for request in desk.sent)


def test_what_a_module_is_asked_for_carries_language_and_home() -> None:
    desk = Desk(JSON)
    desk.launch()
    told = read_json_object(desk.sent[-1].body)
    assert (told["language"], told["homeUrl"]) == ("it-IT", "https://casino.example/lobby?a=1&b=2")
    assert (told["sessionID"], told["module"]) == (669357, "VSlotBM")


@pytest.mark.parametrize("game", ["nothing", ""])
def test_a_game_that_there_is_not_is_refused_with_the_providers_code(game: str) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        Desk(JSON).launch(evolve(QUERY, game=game))
    assert refused.value.provider_code in {"1007", "11"}


def test_a_launch_that_nobody_made_is_not_found() -> None:
    peer = TomhornPeer(JSON)
    for launch in (
        Launched(url="https://tomhorn.example/Integration/Partner01/GameLauncher?gameId=VSlotBM&token=x"),
        Launched(url="https://elsewhere.example/"),
        Launched(parameters={SESSION: "1"}),
        Launched(html="<p>"),
    ):
        with pytest.raises(NotFoundError):
            peer.started(launch)


def test_an_open_session_that_is_not_named_cannot_be_closed() -> None:
    desk = Desk(JSON)
    answers = {"CreateIdentity": b'{"Code":1014}', "CreateSession": b'{"Code":1005}'}
    flow = desk.adapter.launch(QUERY, KEYS, NOW, "nonce")
    with pytest.raises(UpstreamError):
        desk.answered(flow, lambda request: HttpResponse.json(answers[request.path.rpartition("/")[2]]))


# --- games and rounds -------------------------------------------------------------------------------------------------


@BOTH
def test_the_games_are_listed_as_html5_has_them(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    listed = desk.served(desk.adapter.game_list(KEYS, NOW))
    assert [(game.code, game.name) for game in listed] == list(GAMES.items())
    assert {(game.studio, game.category) for game in listed} == {("Tom Horn", "Video Slot")}


@BOTH
def test_a_round_is_shown_by_the_report_service(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    shown = desk.served(desk.adapter.replay(ReplayQuery(player="p-1", round="1599", game="VSlotBM"), KEYS, NOW))
    assert shown.url.startswith("https://games.tomhorn.example/GMS/Audit/Game.ashx")
    assert "CustomerReportService.svc" in desk.sent[0].url
    assert desk.operations() == ["GetGameRoundDetails"]


# --- free games -------------------------------------------------------------------------------------------------------


@BOTH
def test_free_games_are_a_campaign_that_is_created_and_then_assigned(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    issued = desk.issue()
    assert desk.operations() == ["GetCustomerCampaigns", "CreateCampaign", "CreateIdentity", "AssignPlayerToCampaign"]
    (campaign,) = desk.peer.campaigns.values()
    assert (issued.reference, issued.rounds) == (campaign.code, 10)
    assert (campaign.name, campaign.module, campaign.games, campaign.players) == ("grant-1", "VSlotBM", 10, {"p-1"})
    assert desk.served(desk.adapter.list_free_rounds("p-1", KEYS, NOW)) == (issued,)


@BOTH
def test_the_same_grant_again_creates_and_assigns_nothing(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    first = desk.issue()
    desk.sent.clear()
    assert desk.issue() == first
    assert desk.operations() == ["GetCustomerCampaigns", "GetCampaigns"]
    assert len(desk.peer.campaigns) == 1


def test_a_campaign_without_its_player_is_assigned_when_the_grant_comes_again() -> None:
    desk = Desk(JSON)
    desk.issue()
    (campaign,) = desk.peer.campaigns.values()
    campaign.players.clear()
    assert desk.issue().reference == campaign.code
    assert campaign.players == {"p-1"}


def test_only_the_creation_of_a_campaign_may_never_be_repeated() -> None:
    desk = Desk(JSON)
    desk.issue(evolve(GRANT, bet=90))
    effects = dict(zip(desk.operations(), [request.effect for request in desk.sent], strict=True))
    assert [name for name, effect in effects.items() if effect is Effect.ONCE] == ["CreateCampaign"]


@BOTH
@pytest.mark.parametrize(("game", "coin"), [("VSlotBM", "0.90"), ("VS243Crystal_TNP", "0.10")])
def test_the_coin_follows_from_the_bet_and_the_games_way_to_count(
    settings: TomhornSettings, game: str, coin: str
) -> None:
    desk = Desk(settings)
    desk.issue(evolve(GRANT, games=(game,), bet=90))
    (campaign,) = desk.peer.campaigns.values()
    assert campaign.coin_size is not None
    assert Decimal(campaign.coin_size) == Decimal(coin)


def test_a_bet_that_cannot_be_parted_among_the_lines_is_refused_before_anything_is_created() -> None:
    desk = Desk(JSON)
    with pytest.raises(FixRequestError, match="9 lines"):
        desk.issue(evolve(GRANT, games=("VS243Crystal_TNP",), bet=100))
    assert not desk.peer.campaigns


@pytest.mark.parametrize("games", [(), ("VSlotBM", "VS243Crystal_TNP")])
def test_a_campaign_is_for_one_game(games: tuple[str, ...]) -> None:
    with pytest.raises(FixRequestError):
        Desk(JSON).issue(evolve(GRANT, games=games))


def test_moments_are_told_in_utc_without_a_zone() -> None:
    desk = Desk(JSON)
    desk.issue()
    told = read_json_object(desk.sent[1].body)
    assert (told["timeFrom"], told["timeTo"]) == ("2026-01-01T12:00:00", "2026-01-08T12:00:00")


@BOTH
def test_free_games_are_taken_back_by_their_campaign(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    issued = desk.issue()
    desk.served(desk.adapter.cancel_free_rounds(issued.reference, "p-1", KEYS, NOW))
    assert not desk.peer.campaigns[issued.reference].running
    assert desk.served(desk.adapter.list_free_rounds("p-1", KEYS, NOW)) == ()
    with pytest.raises(ProviderRefusedError):
        desk.served(desk.adapter.cancel_free_rounds("no-such", "p-1", KEYS, NOW))


# --- answers that are none --------------------------------------------------------------------------------------------


@BOTH
def test_another_key_is_refused(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    with pytest.raises(ProviderRefusedError):
        desk.served(desk.adapter.game_list(KEYS, NOW), Credentials({SECRET: ("another test key",)}))


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse.json('{"Code":1,"Message":"general"}'),
        HttpResponse.json("{}"),
        HttpResponse.json('{"Code":0}'),
        HttpResponse.json('{"Code":0,"GameModules":[{"Name":"no key"}]}'),
        HttpResponse(500, body=b'{"Code":0,"GameModules":[]}'),
        HttpResponse(200, body=b"<html/>"),
    ],
)
def test_what_tells_no_result_may_be_asked_again(response: HttpResponse) -> None:
    desk = Desk(JSON)
    with pytest.raises(UpstreamError):
        desk.answered(desk.adapter.game_list(KEYS, NOW), lambda _request: response)


@BOTH
def test_the_peer_answers_nothing_that_it_does_not_offer(settings: TomhornSettings) -> None:
    desk = Desk(settings)
    next_request = next(desk.adapter.game_list(KEYS, NOW))
    body = next_request.body.replace(b"GetGameModules", b"GetNothing")
    other = evolve(next_request, url=next_request.url.replace("GetGameModules", "GetNothing"), body=body)
    assert desk.peer.serve(other, KEYS, NOW).status == 404
    assert desk.peer.serve(evolve(next_request, body=b"\xff"), KEYS, NOW).status == 400
