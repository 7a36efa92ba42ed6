"""What the hub asks of the provider, against the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from attrs import evolve

from croupier.contract import (
    Credentials,
    Currency,
    Device,
    Effect,
    FixRequestError,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    HttpRequest,
    HttpResponse,
    LaunchQuery,
    NotFoundError,
    PeerPlayer,
    ProviderRefusedError,
    SettingsError,
    UpstreamError,
)
from croupier_playngo.adapter import PlayngoAdapter
from croupier_playngo.peer import PlayngoPeer
from croupier_playngo.settings import ACCESS_TOKEN, API_PASSWORD, PlayngoSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EUR = Currency("EUR", 2)
KEYS = Credentials({ACCESS_TOKEN: ("test token",), API_PASSWORD: ("test password",)})
SETTINGS = PlayngoSettings(
    product_id="1",
    game_host="games.playngo.example",
    api_url="https://api.playngo.example/CasinoGameTPService",
    api_user="test",
)
FRUITS = "100310-peerfruits"
DIAMONDS = "100311-peerdiamonds"
LAUNCH = LaunchQuery(game=FRUITS, currency="EUR", scale=EUR, player="p-1", token="ticket-1")
GRANT = FreeRoundsQuery(
    grant="grant-1",
    player="p-1",
    games=(FRUITS,),
    rounds=5,
    currency="EUR",
    scale=EUR,
    bet=20,
    valid_from=NOW,
    valid_until=datetime(2026, 1, 8, tzinfo=UTC),
)

Answer = Callable[[HttpRequest], HttpResponse]


class World:
    """An adapter and the provider on the other side."""

    def __init__(self, **settings: Any) -> None:
        self.settings = evolve(SETTINGS, **settings)
        self.adapter = PlayngoAdapter(self.settings)
        self.peer = PlayngoPeer(self.settings)
        self.sent: list[HttpRequest] = []

    def serve(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        return self.peer.serve(request, KEYS, NOW)

    def value(self, flow: Flow[Any], answer: Answer | None = None) -> Any:
        """What a flow comes to."""
        try:
            request = next(flow)
            while True:
                request = flow.send((answer or self.serve)(request))
        except StopIteration as done:
            return done.value

    def launch(self, query: LaunchQuery) -> str:
        return str(self.value(self.adapter.launch(query, KEYS, NOW, "nonce")).url)

    def issue(self, **changes: Any) -> Any:
        return self.value(self.adapter.issue_free_rounds(evolve(GRANT, **changes), KEYS, NOW, "nonce"))

    def listed(self, player: str = "p-1") -> Any:
        return self.value(self.adapter.list_free_rounds(player, KEYS, NOW))


def query_of(url: str) -> Mapping[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_a_launch_is_an_address_with_the_token_as_its_ticket() -> None:
    query = evolve(LAUNCH, device=Device.MOBILE, language="en", return_url="https://casino.example/lobby?a=b")
    url = World().launch(query)
    assert url.startswith("https://games.playngo.example/casino/ContainerLauncher?")
    assert query_of(url) == {
        "pid": "1",
        "gid": "peerfruits",
        "lang": "en_GB",
        "practice": "0",
        "ticket": "ticket-1",
        "channel": "mobile",
        "origin": "https://casino.example",
    }


def test_a_launch_tells_what_the_account_has() -> None:
    world = World(brand="b&b", context_id="7", origin="https://lobby.example", locales={"en": "en_MT"})
    query = query_of(world.launch(LAUNCH))
    assert (query["brand"], query["contextId"], query["origin"]) == ("b&b", "7", "https://lobby.example")
    assert (query["lang"], query["channel"]) == ("en_MT", "desktop")


def test_a_launch_is_for_the_player_of_the_ticket_in_the_game_of_the_wallet() -> None:
    world = World()
    assert world.peer.launched(world.launch(LAUNCH)) == PeerPlayer(
        player="", token="ticket-1", game="100310", currency=""
    )
    assert not world.sent


def test_play_money_has_no_ticket_of_a_player() -> None:
    world = World()
    url = world.launch(LaunchQuery(game=DIAMONDS, currency="EUR", scale=EUR, demo=True))
    assert (query_of(url)["practice"], query_of(url)["ticket"]) == ("1", "demo")
    assert world.peer.launched(url) == PeerPlayer(player="", token="", game="100311", currency="")


@pytest.mark.parametrize("game", ["peerfruits", "100310", "100310-", "-peerfruits", "١-peerfruits"])
def test_a_games_code_has_both_ids(game: str) -> None:
    with pytest.raises(FixRequestError, match="game"):
        World().launch(evolve(LAUNCH, game=game))


@pytest.mark.parametrize(
    "change",
    [
        ("pid=1", "pid=2"),
        ("gid=peerfruits", "gid=other"),
        ("https:", "http:"),
        ("ticket=ticket-1", "ticket=demo"),
        ("practice=0", "practice=2"),
        ("channel=desktop", "channel=tv"),
    ],
)
def test_the_provider_knows_no_other_launch(change: tuple[str, str]) -> None:
    world = World()
    url = world.launch(LAUNCH)
    assert change[0] in url
    with pytest.raises(NotFoundError):
        world.peer.launched(url.replace(*change))


@pytest.mark.parametrize(
    ("language", "told"), [("en", "en_GB"), ("en-US", "en_US"), ("sv", "sv_SE"), ("DE", "de_DE"), ("pt-br", "pt_BR")]
)
def test_languages_are_told_in_the_providers_style(language: str, told: str) -> None:
    assert SETTINGS.locale(language) == told


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_games_are_listed_with_both_ids_page_by_page(page_size: int) -> None:
    world = World(page_size=page_size)
    fruits, diamonds = world.value(world.adapter.game_list(KEYS, NOW))
    assert (fruits.code, fruits.wallet_code, fruits.name, fruits.lines) == (FRUITS, "100310", "Peer Fruits", "10")
    assert (diamonds.code, diamonds.wallet_code, diamonds.free_rounds) == (DIAMONDS, "100311", True)
    assert {request.effect for request in world.sent} == {Effect.READ}


def test_pages_that_stand_still_are_no_list() -> None:
    world = World(page_size=1)
    first = world.peer.serve(next(world.adapter.game_list(KEYS, NOW)), KEYS, NOW)
    with pytest.raises(UpstreamError, match="page"):
        world.value(world.adapter.game_list(KEYS, NOW), lambda _request: first)


def test_a_game_without_a_name_to_launch_it_by_is_left_out() -> None:
    world = World()

    def nameless(request: HttpRequest) -> HttpResponse:
        answer = world.serve(request)
        return evolve(answer, body=answer.body.replace(b"<GId>peerfruits</GId>", b"<GId/>"))

    assert [game.code for game in world.value(world.adapter.game_list(KEYS, NOW), nameless)] == [DIAMONDS]


def test_games_are_listed_from_json_where_there_is_an_address() -> None:
    world = World(games_url="https://api.playngo.example/games")
    fruits, _ = world.value(world.adapter.game_list(KEYS, NOW))
    assert (fruits.code, fruits.wallet_code, fruits.name, fruits.category) == (FRUITS, "100310", "Peer Fruits", "Slot")
    (request,) = world.sent
    assert (request.method, request.url, request.headers.get("pid")) == ("GET", world.settings.games_url, "1")


@pytest.mark.parametrize(
    "body", [b"{}", b"[1]", b"[", b'[{"gid":"g"}]', b'[{"gameId":"x","gid":"g"}]', b'[{"gameId":1}]']
)
def test_a_json_list_of_something_else_is_no_list(body: bytes) -> None:
    world = World(games_url="https://api.playngo.example/games")
    with pytest.raises(UpstreamError):
        world.value(world.adapter.game_list(KEYS, NOW), lambda _request: HttpResponse.json(body))


def test_a_call_is_signed_by_name_and_password() -> None:
    world = World()
    request = next(world.adapter.game_list(KEYS, NOW))
    assert request.headers.get("Authorization") == "Basic dGVzdDp0ZXN0IHBhc3N3b3Jk"
    assert request.headers.get("SOAPAction") == '"http://playngo.com/v1/CasinoGameTPService/GetGamesConfigurations"'
    assert b"test password" not in request.body
    assert not world.adapter.redact(request).headers.get("Authorization")


def test_another_password_is_refused_and_none_is_a_setting_that_is_missing() -> None:
    world = World()
    other = Credentials({API_PASSWORD: ("another test password",)})
    with pytest.raises(ProviderRefusedError) as refused:
        world.value(world.adapter.game_list(other, NOW))
    assert refused.value.provider_code == "401"
    with pytest.raises(SettingsError, match="api_password"):
        world.value(world.adapter.game_list(Credentials({}), NOW))


def test_free_games_are_offered_once_a_grant() -> None:
    world = World()
    assert world.issue() == world.issue() == FreeRoundsIssued(reference="grant-1", rounds=5)
    (offer,) = world.peer.offers.values()
    assert (offer.user, offer.request, offer.external, offer.games) == ("p-1", "grant-1", "grant-1", ("100310",))
    assert (offer.bet, offer.expires) == (("10", "1", "0.02"), "2026-01-08T00:00:00Z")


def test_a_provider_that_does_not_know_a_request_again_gives_no_second_set_of_free_games() -> None:
    world = World()
    first = world.issue()
    assert world.sent[-1].effect is Effect.ONCE
    world.peer.offers["forgotten"] = world.peer.offers.pop("grant-1")
    assert world.issue() == first
    assert list(world.peer.offers) == ["forgotten"]


@pytest.mark.parametrize(
    ("lines", "changes", "bet"),
    [
        ({}, {"bet": 100}, ("10", "1", "0.10")),
        ({}, {"bet": 100, "bet_level": 2}, ("10", "2", "0.05")),
        ({"100310": 5}, {"bet": 100}, ("5", "1", "0.20")),
        ({}, {"bet": 40, "games": (DIAMONDS,)}, ("20", "1", "0.02")),
    ],
)
def test_the_worth_of_a_round_is_lines_by_coins_by_value(
    lines: Mapping[str, int], changes: Mapping[str, Any], bet: tuple[str, str, str]
) -> None:
    world = World(lines=lines)
    world.issue(**changes)
    assert world.peer.offers["grant-1"].bet == bet
    assert [b"GetGamesConfigurations" in request.body for request in world.sent].count(True) == (0 if lines else 1)


@pytest.mark.parametrize("changes", [{"bet": 25}, {"bet": 5}, {"bet": None}, {"bet": 20, "bet_level": 3}])
def test_a_worth_that_no_coin_makes_is_not_offered(changes: Mapping[str, Any]) -> None:
    world = World()
    with pytest.raises(FixRequestError, match="bet"):
        world.issue(**changes)
    assert not world.peer.offers


def test_games_of_different_lines_have_no_free_games_together() -> None:
    world = World()
    with pytest.raises(FixRequestError, match="lines"):
        world.issue(games=(FRUITS, DIAMONDS))
    assert not world.peer.offers


def test_games_of_equal_lines_have_free_games_together() -> None:
    world = World()
    with pytest.raises(ProviderRefusedError) as refused:
        World(lines={"100310": 5, "100311": 5}).issue(games=(FRUITS, DIAMONDS))
    assert refused.value.provider_code == "InvalidGame"
    world.issue(games=(FRUITS, FRUITS))
    assert world.peer.offers["grant-1"].games == ("100310", "100310")


def test_a_game_that_the_service_does_not_know_has_no_free_games() -> None:
    with pytest.raises(FixRequestError, match="games"):
        World().issue(games=("100399-other",))


def test_a_template_is_a_trigger_and_decides_about_the_bet() -> None:
    world = World()
    world.issue(template="4770", bet=None)
    assert world.peer.offers["grant-1"].bet == ("", "", "")
    assert b"<v1:TriggerId>4770</v1:TriggerId>" in world.sent[-1].body
    with pytest.raises(FixRequestError, match="template"):
        world.issue(template="summer", grant="grant-2")


def test_elements_stand_in_the_order_of_the_service() -> None:
    world = World()
    world.issue()
    body = world.sent[-1].body.decode()
    names = "UserId Lines Coins Denomination Rounds ExpireTime FreegameExternalId RequestId GameIdList".split()
    places = [body.index(f"<v1:{name}>") for name in names]
    assert places == sorted(places)
    assert "<v1:GameIdList><arr:int>100310</arr:int></v1:GameIdList>" in body


def test_what_is_kept_of_an_offer_holds_no_player() -> None:
    world = World()
    world.issue()
    kept = world.adapter.redact(world.sent[-1])
    assert kept.url == "/CasinoGameTPService"
    assert kept.body.startswith(b"<AddFreegameOffers><Lines>10</Lines><Coins>1</Coins>")
    assert b"p-1" not in kept.body


def test_free_games_are_listed_until_they_are_taken_back() -> None:
    world = World()
    world.issue()
    world.issue(grant="grant-2")
    assert [(one.reference, one.rounds) for one in world.listed()] == [("grant-1", 5), ("grant-2", 5)]
    assert world.listed("p-2") == ()
    assert world.value(world.adapter.cancel_free_rounds("grant-1", "p-1", KEYS, NOW)) is None
    assert [one.reference for one in world.listed()] == ["grant-2"]


def test_many_offers_are_listed_page_by_page() -> None:
    world = World(lines={"100310": 10})
    for number in range(205):
        world.issue(grant=f"grant-{number}")
    world.sent.clear()
    assert len({one.reference for one in world.listed()}) == 205
    assert len(world.sent) == 3


def test_free_games_that_were_never_given_cannot_be_taken_back() -> None:
    world = World()
    with pytest.raises(ProviderRefusedError) as refused:
        world.value(world.adapter.cancel_free_rounds("grant-9", "p-1", KEYS, NOW))
    assert refused.value.provider_code == "InvalidID"


def fault(detail: str, status: int = 500) -> HttpResponse:
    inner = f"<s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring>{detail}</s:Fault>"
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    body = f'<s:Envelope xmlns:s="{soap}"><s:Body>{inner}</s:Body></s:Envelope>'
    return HttpResponse(status, body=body.encode())


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        (
            '<detail><ServiceFault xmlns="http://playngo.com/v1"><ErrorId>UnknownUser</ErrorId></ServiceFault></detail>',
            "UnknownUser",
        ),
        ('<detail><ValidationFault xmlns="urn:other"><Details/></ValidationFault></detail>', "ValidationFault"),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_a_fault_about_the_request_is_a_refusal(detail: str, code: str, status: int) -> None:
    world = World()
    with pytest.raises(ProviderRefusedError) as refused:
        world.value(world.adapter.game_list(KEYS, NOW), lambda _request: fault(detail, status))
    assert refused.value.provider_code == code


@pytest.mark.parametrize("error", ["InternalError", "ServerFull", "Timeout", "Unknown", ""])
def test_a_fault_of_the_service_is_no_refusal(error: str) -> None:
    detail = f'<detail><ServiceFault xmlns="http://playngo.com/v1"><ErrorId>{error}</ErrorId></ServiceFault></detail>'
    world = World()
    with pytest.raises(UpstreamError):
        world.value(world.adapter.game_list(KEYS, NOW), lambda _request: fault(detail))


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(200),
        HttpResponse(200, body=b"<html/>"),
        HttpResponse(503, body=b"<html/>"),
        HttpResponse(200, body=b"<!DOCTYPE a><a/>"),
        HttpResponse(
            200,
            body=b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            b'<CancelFreegameResponse xmlns="http://playngo.com/v1"/></s:Body></s:Envelope>',
        ),
    ],
)
def test_an_answer_to_something_else_is_none(answer: HttpResponse) -> None:
    world = World()
    with pytest.raises(UpstreamError):
        world.value(world.adapter.game_list(KEYS, NOW), lambda _request: answer)


def test_an_offer_that_is_not_told_is_not_known_to_be_given() -> None:
    world = World(lines={"100310": 10})
    body = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        b'<AddFreegameOffersResponse xmlns="http://playngo.com/v1"/></s:Body></s:Envelope>'
    )

    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, body=body) if b"AddFreegameOffers" in request.body else world.serve(request)

    with pytest.raises(UpstreamError, match="offer"):
        world.value(world.adapter.issue_free_rounds(GRANT, KEYS, NOW, "nonce"), answer)


@pytest.mark.parametrize(
    "bend",
    [
        lambda request: evolve(request, method="GET"),
        lambda request: evolve(request, url="https://api.playngo.example/other"),
        lambda request: evolve(request, body=b"no XML"),
        lambda request: evolve(request, body=request.body.replace(b"GetGames", b"GetAll")),
        lambda request: evolve(request, body=request.body.replace(b">1<", b">2<")),
        lambda request: evolve(request, body=request.body.replace(b">200<", b">many<")),
    ],
)
def test_the_provider_refuses_what_is_no_call_of_its_service(bend: Callable[[HttpRequest], HttpRequest]) -> None:
    world = World()
    request = next(world.adapter.game_list(KEYS, NOW))
    bent = bend(request)
    assert bent != request
    assert world.peer.serve(bent, KEYS, NOW).status in {400, 404, 500}
