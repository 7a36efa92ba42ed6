"""What the hub asks of JDB, against the simulated provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

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
    LaunchQuery,
    LogEntry,
    LogQuery,
    MalformedRequestError,
    MovementKind,
    NotFoundError,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    ProviderRefusedError,
    ReplayQuery,
    SettingsError,
    UnknownCurrencyError,
    UpstreamError,
    WireAmount,
    read_json_object,
)
from croupier_jdb import cipher
from croupier_jdb.adapter import JdbAdapter
from croupier_jdb.outbound import event_id, split_game
from croupier_jdb.peer import JdbPeer
from croupier_jdb.settings import JdbSettings

NOW = datetime(2026, 1, 10, 12, 30, 40, tzinfo=UTC)
EUR = Currency("EUR", 2)
KEYS = Credentials({"key": ("a test key",), "iv": ("a test iv",)})
SETTINGS = JdbSettings(
    api_url="https://api.jdb.example/",
    domain="acme",
    agents={"EUR": "agent_eur", "RB": "agent_rb"},
    languages={"zh": "ch"},
)
LAUNCH = LaunchQuery(
    game="0-8001",
    currency="RB",
    scale=Currency("CNY", 2),
    player="john",
    token="token",
    language="en-GB",
    return_url="https://casino.example/lobby",
)
GRANT = FreeRoundsQuery(
    grant="grant-1",
    player="john",
    games=("0-8001",),
    rounds=5,
    currency="EUR",
    scale=EUR,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=1),
    bet=250,
)


class World:
    """An adapter and its provider."""

    def __init__(self, settings: JdbSettings = SETTINGS) -> None:
        self.adapter = JdbAdapter(settings)
        self.peer = JdbPeer(settings)
        self.requests: list[HttpRequest] = []

    def served(self, flow: Flow[Any], late: timedelta = timedelta(0)) -> Any:
        """What a flow comes to."""
        try:
            request = next(flow)
            while True:
                self.requests.append(request)
                request = flow.send(self.peer.serve(request, KEYS, NOW + late))
        except StopIteration as done:
            return done.value

    def launch(self, **changes: Any) -> Any:
        return self.served(self.adapter.launch(evolve(LAUNCH, **changes), KEYS, NOW, "nonce"))

    def issue(self, **changes: Any) -> Any:
        return self.served(self.adapter.issue_free_rounds(evolve(GRANT, **changes), KEYS, NOW, "nonce"))

    def log(self, **query: Any) -> Any:
        return self.served(self.adapter.round_log(LogQuery(**query), KEYS, NOW))


def answering(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse.json(body, status)


def test_a_launch_is_sealed_and_names_the_agent_of_the_currency() -> None:
    world = World()
    launched = world.launch()
    (request,) = world.requests
    body = read_json_object(request.body)
    assert (request.method, request.url, request.effect) == (
        "POST",
        "https://api.jdb.example/apiRequest.do",
        Effect.ONCE,
    )
    assert set(body) == {"dc", "x"}
    assert body["dc"] == "acme"
    assert cipher.prove(body["x"], KEYS) == {
        "action": 21,
        "ts": 1768048240000,
        "parent": "agent_rb",
        "uid": "john",
        "lang": "en",
        "gType": "0",
        "mType": "8001",
        "windowMode": "2",
        "lobbyURL": "https://casino.example/lobby",
    }
    assert world.peer.launched(launched.url) == PeerPlayer(player="john", token="", game="0-8001", currency="RB")
    with pytest.raises(NotFoundError):
        world.peer.launched("https://elsewhere.example/")


def test_a_demo_has_no_player() -> None:
    world = World()
    launched = world.launch(demo=True, player="", token="", language="zh")
    assert world.peer.launched(launched.url).player == ""
    (asked,) = world.peer.asked
    assert (asked["action"], asked["lang"], "uid" in asked) == (47, "ch", False)


def test_agents_with_keys_of_their_own_are_named_beside_the_envelope() -> None:
    world = World(evolve(SETTINGS, own_keys=True))
    world.launch()
    assert read_json_object(world.requests[0].body)["parent"] == "agent_rb"


def test_a_currency_without_an_agent_is_refused_before_anything_is_sent() -> None:
    world = World()
    with pytest.raises(UnknownCurrencyError):
        world.launch(currency="SEK")
    assert world.requests == []


def test_a_game_that_there_is_not_is_refused() -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        World().launch(game="0-9")
    assert refused.value.provider_code == "8000"


@pytest.mark.parametrize("code", ["fruits", "0", "0-", "-8001", "0-8001-1", "\uff10-8001"])
def test_a_code_that_is_no_game_of_jdb_is_refused(code: str) -> None:
    with pytest.raises(FixRequestError):
        split_game(code)


def test_a_call_that_arrives_late_has_expired_and_may_be_made_again() -> None:
    world = World()
    with pytest.raises(UpstreamError):
        world.served(world.adapter.game_list(KEYS, NOW), late=timedelta(seconds=31))
    assert world.served(world.adapter.game_list(KEYS, NOW), late=timedelta(seconds=29))


def test_the_games_are_listed_by_type_and_machine() -> None:
    world = World()
    games = {game.code: game for game in world.served(world.adapter.game_list(KEYS, NOW))}
    assert [(code, game.category, game.free_rounds) for code, game in games.items()] == [
        ("0-8001", "slot", True),
        ("7-7001", "fish", False),
        ("18-18001", "card", False),
    ]
    assert world.peer.asked[0]["parent"] == "agent_eur"


@pytest.mark.parametrize("status", ["9005", "9009", "9013", "9017", "9999"])
def test_a_fault_of_the_provider_is_no_refusal(status: str) -> None:
    flow = World().adapter.game_list(KEYS, NOW)
    next(flow)
    with pytest.raises(UpstreamError):
        flow.send(answering(b'{"status":"%s"}' % status.encode()))


def test_free_spins_are_an_event_for_one_player() -> None:
    world = World()
    issued = world.issue()
    assert (issued.reference, issued.rounds) == ("grant_1", 5)
    (asked,) = world.peer.asked
    assert {name: asked[name] for name in ("parent", "bet", "times", "type", "players", "machineTypes")} == {
        "parent": "agent_eur",
        "bet": "2.50",
        "times": 5,
        "type": "NORMAL",
        "players": ["john"],
        "machineTypes": [8001],
    }
    assert asked["startTime"] == "2026-01-10T12:30:40.000+00:00"
    assert (asked["minWithdrawal"], asked["maxWithdrawal"]) == ("-1", "-1")


def test_free_spins_that_are_given_again_are_given_once() -> None:
    world = World()
    assert world.issue() == world.issue()
    assert [asked["action"] for asked in world.peer.asked] == [72, 72, 71]
    (listed,) = world.served(world.adapter.list_free_rounds("john", KEYS, NOW))
    assert (listed.reference, listed.state, listed.rounds) == ("grant_1", "ACTIVE", 5)


def test_an_event_of_another_player_is_not_taken_for_the_grant() -> None:
    world = World()
    world.issue(player="mary")
    with pytest.raises(ProviderRefusedError):
        world.issue()


def test_free_spins_need_the_value_of_a_round() -> None:
    with pytest.raises(FixRequestError):
        World().issue(bet=None)


@pytest.mark.parametrize("currency", ["EUR", "RB"])
def test_free_spins_are_taken_back_from_whichever_agent_gave_them(currency: str) -> None:
    world = World()
    world.issue(currency=currency)
    for _ in range(2):
        world.served(world.adapter.cancel_free_rounds("grant-1", "john", KEYS, NOW))
    assert world.peer.events["grant_1"].state == "TERMINATED"
    with pytest.raises(ProviderRefusedError):
        world.served(world.adapter.cancel_free_rounds("grant-2", "john", KEYS, NOW))


def test_the_id_of_an_event_follows_from_the_grant() -> None:
    assert event_id("ab-12_c") == "ab_12_c"
    strange = [event_id(grant) for grant in ("a" * 51, "a b", "\u00e4", "-" * 60)]
    assert len(set(strange)) == 4
    assert all(len(one) == 50 and one.isalnum() for one in strange)
    assert event_id(strange[0]) == strange[0]


def test_a_round_is_shown_again() -> None:
    world = World()
    query = ReplayQuery(player="john", round="5250228497993", game="0-8001")
    shown = world.served(world.adapter.replay(query, KEYS, NOW))
    assert shown.url == "https://detail.jdb-peer.example/john/8001/5250228497993"


def test_a_round_without_a_page_is_no_launch() -> None:
    flow = World().adapter.replay(ReplayQuery(player="john", round="1", game="0-8001"), KEYS, NOW)
    next(flow)
    with pytest.raises(UpstreamError):
        flow.send(answering(b'{"status":"0000","data":[]}'))


def settled(world: World, round: str, at: datetime, currency: str = "EUR") -> None:
    player = PeerPlayer(player="john", token="", game="0-8001", currency=currency)
    move = PeerMove(kind=MovementKind.BET_AND_WIN, id=round, amount=Decimal("1.20"), win_amount=Decimal("3.40"))
    world.peer.record(PeerPlay(player=player, round=round, moves=(move,)), at)


def pages(world: World, **query: Any) -> list[LogEntry]:
    entries: list[LogEntry] = []
    cursor = None
    while True:
        page = world.log(**query, cursor=cursor)
        entries += page.entries
        cursor = page.cursor
        if cursor is None:
            return entries


def test_the_log_is_read_window_by_window_up_to_its_lag() -> None:
    world = World()
    settled(world, "old", NOW - timedelta(minutes=50))
    settled(world, "edge", datetime(2026, 1, 10, 12, 15, tzinfo=UTC))
    settled(world, "young", NOW - timedelta(minutes=2))
    entries = pages(world, since=NOW - timedelta(hours=1), until=NOW)
    assert [entry.round for entry in entries] == ["old", "edge"]
    assert entries[0] == LogEntry(
        round="old",
        player="john",
        game="0-8001",
        bet=WireAmount.of("1.20", currency="EUR"),
        win=WireAmount.of("3.40", currency="EUR"),
        at=NOW - timedelta(minutes=50),
    )
    windows = [(asked["action"], asked["starttime"], asked["endtime"]) for asked in world.peer.asked]
    assert windows == [
        (29, "10-01-2026 07:30:00", "10-01-2026 07:45:00"),
        (29, "10-01-2026 07:45:00", "10-01-2026 08:00:00"),
        (29, "10-01-2026 08:00:00", "10-01-2026 08:15:00"),
        (29, "10-01-2026 08:15:00", "10-01-2026 08:27:00"),
    ]


def test_what_is_older_is_read_in_smaller_windows_from_the_other_log() -> None:
    world = World()
    settled(world, "yesterday", NOW - timedelta(days=1))
    settled(world, "today", NOW - timedelta(minutes=100))
    since = NOW - timedelta(days=1, minutes=2)
    assert [one.round for one in pages(world, since=since, until=since + timedelta(minutes=8))] == ["yesterday"]
    assert [asked["action"] for asked in world.peer.asked] == [64, 64]
    entries = pages(world, since=NOW - timedelta(hours=3), until=NOW)
    assert [one.round for one in entries] == ["today"]
    assert {asked["action"] for asked in world.peer.asked} == {64, 29}


def test_each_agent_has_a_log_of_its_own() -> None:
    world = World()
    settled(world, "in-rb", NOW - timedelta(minutes=10), "RB")
    since = NOW - timedelta(minutes=20)
    assert pages(world, since=since, until=NOW) == []
    assert [one.round for one in pages(world, since=since, until=NOW, stream="RB")] == ["in-rb"]


def test_what_lags_behind_is_not_asked_for() -> None:
    world = World()
    assert pages(world, since=NOW - timedelta(minutes=3), until=NOW) == []
    assert world.requests == []


@pytest.mark.parametrize("cursor", ["", "soon", "1", "-60000", "\uff11"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(MalformedRequestError):
        World().log(since=NOW - timedelta(hours=1), until=NOW, cursor=cursor)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"api_url": "api"}, "settings.api_url"),
        ({"api_url": "https://a.example/?x"}, "settings.api_url"),
        ({"domain": ""}, "settings.domain"),
        ({"agents": {}}, "settings.agents"),
        ({"agents": {"EUR": ""}}, "settings.agents"),
        ({"agents": {"EUR": "a", "RB": "a"}}, "settings.agents"),
        ({"currencies": {"RB": ""}}, "settings.currencies"),
        ({"report_offset_hours": 15}, "settings.report_offset_hours"),
        ({"min_withdrawal": "none"}, "settings.min_withdrawal"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as refused:
        JdbAdapter(evolve(SETTINGS, **changes))
    assert refused.value.where == where


def test_the_providers_codes_of_currencies_are_the_policys() -> None:
    alias = JdbAdapter(SETTINGS).policies.of("bet").wire_currency("RB")
    assert alias is not None
    assert (alias.currency, alias.ratio) == ("CNY", Decimal(1))
