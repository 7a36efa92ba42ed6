"""What the hub asks: launches, tables, the history and pictures, against the simulated provider and by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Credentials,
    Currency,
    Device,
    Effect,
    Flow,
    HttpRequest,
    HttpResponse,
    LaunchQuery,
    LogPage,
    LogQuery,
    MalformedRequestError,
    MovementKind,
    NotFoundError,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    ProviderRefusedError,
    ReplayQuery,
    UpstreamError,
)
from croupier_evolution.adapter import EvolutionAdapter
from croupier_evolution.peer import EvolutionPeer
from croupier_evolution.settings import EvolutionSettings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOKENS = {"auth_token": "auth", "ua_token": "ua", "lobby_token": "tok", "history_token": "hist"}
KEYS = Credentials({name: (value,) for name, value in TOKENS.items()})
SETTINGS = EvolutionSettings(api_url="https://evolution.example", casino_key="acme0001", brand_id="1", brand_skin="2")
EUR = Currency("EUR", 2)
TABLE = "roulette0000001"
PLAYER = PeerPlayer(player="p-1", token="sid-1", game=TABLE, currency="EUR")
QUERY = LaunchQuery(
    game=TABLE,
    currency="EUR",
    scale=EUR,
    player="p-1",
    token="sid-1",
    language="de-AT",
    country="AT",
    address="192.0.2.7",
    return_url="https://casino.example/lobby",
    deposit_url="https://casino.example/cashier",
    history_url="https://casino.example/history",
    person={"first_name": "First", "last_name": "Last", "nickname": "nick"},
)

adapter = EvolutionAdapter(SETTINGS)
Answer = Callable[[HttpRequest], HttpResponse]


def driven(flow: Flow[Any], answer: Answer) -> tuple[Any, list[HttpRequest]]:
    sent: list[HttpRequest] = []
    try:
        request = next(flow)
        while True:
            sent.append(request)
            request = flow.send(answer(request))
    except StopIteration as done:
        return done.value, sent


def served(flow: Flow[Any], peer: EvolutionPeer | None = None) -> tuple[Any, list[HttpRequest]]:
    known = peer or EvolutionPeer(SETTINGS)
    return driven(flow, lambda request: known.serve(request, KEYS, NOW))


def answered(flow: Flow[Any], body: Any, status: int = 200) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return driven(flow, lambda _: HttpResponse(status, body=text.encode()))[0]


def launch(query: LaunchQuery = QUERY, settings: EvolutionSettings = SETTINGS) -> Flow[Any]:
    return EvolutionAdapter(settings).launch(query, KEYS, NOW, "nonce-1")


# --- launch -----------------------------------------------------------------------------------------------------------


def test_a_launch_says_who_plays_what_under_which_session_id() -> None:
    peer = EvolutionPeer(SETTINGS)
    launched, (request,) = served(launch(), peer)
    assert (request.method, request.url) == ("POST", "https://evolution.example/ua/v1/acme0001/ua")
    assert request.effect is Effect.ONCE
    assert json.loads(request.body) == {
        "uuid": "nonce-1",
        "player": {
            "id": "p-1",
            "update": True,
            "firstName": "First",
            "lastName": "Last",
            "nickname": "nick",
            "country": "AT",
            "language": "de",
            "currency": "EUR",
            "session": {"id": "sid-1", "ip": "192.0.2.7"},
        },
        "config": {
            "brand": {"id": "1", "skin": "2"},
            "game": {"playMode": "real_money", "table": {"id": TABLE}},
            "channel": {"wrapped": False, "mobile": False},
            "urls": {
                "cashier": "https://casino.example/cashier",
                "lobby": "https://casino.example/lobby",
                "gameHistory": "https://casino.example/history",
            },
        },
    }
    assert peer.launched(launched.url) == PLAYER


def test_the_games_address_is_the_hosts_with_the_entry_behind() -> None:
    answer = {"entry": "/entry?params=x", "entryEmbedded": "/entry?params=x&embedded"}
    assert answered(launch(), answer).url == "https://evolution.example/entry?params=x"
    embedded = evolve(SETTINGS, embedded=True)
    assert answered(launch(settings=embedded), answer).url == "https://evolution.example/entry?params=x&embedded"


def test_the_lobbys_code_opens_no_table() -> None:
    _, (request,) = served(launch(evolve(QUERY, game="lobby")))
    assert "game" not in json.loads(request.body)["config"]


def test_options_of_a_launch_arrive_where_they_belong() -> None:
    options = {
        "category": "roulette",
        "interface": "view1",
        "seat": "3",
        "group": "vip",
        "wrapped": "true",
        "session_timeout_url": "https://casino.example/timeout",
        "responsible_gaming_url": "https://casino.example/rg",
        "reality_check_url": "https://casino.example/rc",
    }
    _, (request,) = served(launch(evolve(QUERY, options=options, device=Device.MOBILE)))
    body = json.loads(request.body)
    assert body["config"]["game"] == {
        "playMode": "real_money",
        "category": "roulette",
        "interface": "view1",
        "table": {"id": TABLE, "seat": "3"},
    }
    assert body["config"]["channel"] == {"wrapped": True, "mobile": True}
    assert body["config"]["urls"]["realityCheckURL"] == "https://casino.example/rc"
    assert body["player"]["group"] == {"id": "vip", "action": "assign"}


def test_a_player_without_a_name_is_launched_under_the_alias() -> None:
    _, (request,) = served(launch(evolve(QUERY, person={}, country=None, address=None)))
    player = json.loads(request.body)["player"]
    assert (player["firstName"], player["lastName"]) == ("p-1", "p-1")
    assert "country" not in player
    assert player["session"] == {"id": "sid-1"}


def test_play_money_has_no_player() -> None:
    peer = EvolutionPeer(SETTINGS)
    demo = LaunchQuery(game=TABLE, currency="EUR", scale=EUR, demo=True)
    launched, (request,) = served(launch(demo), peer)
    body = json.loads(request.body)
    assert "player" not in body
    assert body["demo"] == {"language": "en", "currency": "EUR"}
    assert body["config"]["game"] == {"playMode": "demo", "table": {"id": TABLE}}
    assert peer.launched(launched.url).player == ""


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize("code", ["G.2", "G.9", "V.7"])
def test_a_refused_launch_names_the_providers_code(code: str, status: int) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        answered(launch(), {"errors": [{"code": code, "message": "no"}]}, status)
    assert refused.value.provider_code == code


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"errors": [{"code": "G.0", "message": "system"}]}, 400),
        ({"entry": "https://elsewhere.example/"}, 200),
        ({"entry": 7}, 200),
        ({}, 200),
        ("<html>", 200),
        ({"entry": "/entry"}, 500),
        ("<html>", 503),
    ],
)
def test_an_answer_to_a_launch_that_cannot_be_used_is_no_launch(body: Any, status: int) -> None:
    with pytest.raises(UpstreamError):
        answered(launch(), body, status)


@pytest.mark.parametrize(
    ("settings", "keys", "game", "code"),
    [
        (evolve(SETTINGS, casino_key="other"), KEYS, TABLE, "G.1"),
        (SETTINGS, Credentials({**KEYS.values, "ua_token": ("wrong",)}), TABLE, "G.2"),
        (SETTINGS, KEYS, "no-table", "G.11"),
    ],
)
def test_the_provider_refuses_a_stranger_and_an_unknown_table(
    settings: EvolutionSettings, keys: Credentials, game: str, code: str
) -> None:
    flow = EvolutionAdapter(settings).launch(evolve(QUERY, game=game), keys, NOW, "nonce-1")
    with pytest.raises(ProviderRefusedError) as refused:
        served(flow)
    assert refused.value.provider_code == code


def test_an_address_that_was_never_launched_starts_nothing() -> None:
    with pytest.raises(NotFoundError):
        EvolutionPeer(SETTINGS).launched("https://evolution.example/entry?params=0")


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_tables_are_listed_once_with_what_is_known_of_them() -> None:
    games, (request,) = served(adapter.game_list(KEYS, NOW))
    assert request.url == "https://evolution.example/api/lobby/v1/acme0001/state"
    assert request.headers.get("Authorization") == "Basic YWNtZTAwMDE6dG9r"
    first = games[0]
    assert (first.code, first.name, first.category, first.studio) == (TABLE, "Peer Roulette", "roulette", "evolution")
    assert first.thumbnail == "https://images.evolution.example/roulette0000001.jpg"


def test_one_kind_of_games_is_asked_for_where_the_setting_says_so() -> None:
    flow = EvolutionAdapter(evolve(SETTINGS, game_vertical="live")).game_list(KEYS, NOW)
    _, (request,) = served(flow)
    assert request.query == (("gameVertical", "live"),)


def test_tables_may_come_as_a_list_and_without_anything_but_their_id() -> None:
    (game,) = answered(adapter.game_list(KEYS, NOW), {"tables": [{"id": "t-1", "videoSnapshot": "no"}]})
    assert (game.code, game.name, game.thumbnail) == ("t-1", "t-1", None)


@pytest.mark.parametrize("body", [{}, {"tables": 7}, {"tables": [{}]}, "no"])
def test_a_state_without_tables_is_no_list(body: Any) -> None:
    with pytest.raises(UpstreamError):
        answered(adapter.game_list(KEYS, NOW), body)


def test_another_token_lists_nothing() -> None:
    keys = Credentials({**KEYS.values, "lobby_token": ("wrong",)})
    with pytest.raises(ProviderRefusedError):
        served(adapter.game_list(keys, NOW))


# --- history ----------------------------------------------------------------------------------------------------------


def log(peer: EvolutionPeer, minutes: int = 30) -> list[LogPage]:
    pages: list[LogPage] = []
    query = LogQuery(since=NOW - timedelta(minutes=minutes), until=NOW)
    while not pages or pages[-1].cursor is not None:
        cursor = pages[-1].cursor if pages else None
        page, _ = served(adapter.round_log(evolve(query, cursor=cursor), KEYS, NOW), peer)
        pages.append(page)
    return pages


def played(kind: MovementKind, id_: str, amount: str, of: str | None = None, player: PeerPlayer = PLAYER) -> PeerPlay:
    move = PeerMove(kind=kind, id=id_, amount=Decimal(amount), target=of)
    return PeerPlay(player=player, round="round-1", moves=(move,))


def test_the_history_has_a_row_for_each_player_of_a_round_with_all_bets_in_it() -> None:
    peer = EvolutionPeer(SETTINGS)
    other = evolve(PLAYER, player="p-2")
    at = NOW - timedelta(minutes=15)
    for play in (
        played(MovementKind.BET, "b1", "1.10"),
        played(MovementKind.BET, "b2", "2.20"),
        played(MovementKind.BET, "b3", "9.00"),
        played(MovementKind.ROLLBACK, "b3", "0", "b3"),
        played(MovementKind.WIN, "w1", "5.5", "b1"),
        played(MovementKind.PROMO_WIN, "p1", "100"),
        played(MovementKind.BET, "b4", "4", player=other),
    ):
        peer.record(play, at)
    pages = log(peer)
    assert [len(page.entries) for page in pages] == [0, 2, 0]
    mine, theirs = pages[1].entries
    assert (mine.player, mine.round, mine.game, mine.state, mine.at) == ("p-1", "round-1", TABLE, "Resolved", at)
    assert mine.bet is not None
    assert mine.win is not None
    assert (mine.bet.value, mine.win.value, mine.bet.currency) == (Decimal("3.30"), Decimal("5.5"), "EUR")
    assert theirs.player == "p-2"
    assert theirs.win is not None
    assert theirs.win.value == 0


def test_a_window_begins_where_the_last_one_ended_and_none_is_longer_than_the_setting() -> None:
    query = LogQuery(since=NOW - timedelta(minutes=15), until=NOW)
    first, (asked,) = served(adapter.round_log(query, KEYS, NOW))
    assert dict(asked.query) == {"startDate": "2026-01-01T11:45:00.000Z", "endDate": "2026-01-01T11:55:00.000Z"}
    last, (again,) = served(adapter.round_log(evolve(query, cursor=first.cursor), KEYS, NOW))
    assert dict(again.query) == {"startDate": "2026-01-01T11:55:00.000Z", "endDate": "2026-01-01T12:00:00.000Z"}
    assert last.cursor is None


def test_a_window_that_lies_behind_the_end_asks_nothing() -> None:
    query = LogQuery(since=NOW, until=NOW)
    assert driven(adapter.round_log(query, KEYS, NOW), lambda _: HttpResponse(500)) == (LogPage(entries=()), [])


@pytest.mark.parametrize("cursor", ["", "x", "-1", "2026-01-01"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(MalformedRequestError):
        served(adapter.round_log(LogQuery(since=NOW, until=NOW, cursor=cursor), KEYS, NOW))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ({"data": {}}, 200),
        ({"data": [{"games": [{"id": "r", "participants": [{"playerId": "p", "bets": [{"stake": "x"}]}]}]}]}, 200),
        ("Data could not be found.", 500),
        ("", 200),
    ],
)
def test_a_history_that_cannot_be_read_is_no_history(body: Any, status: int) -> None:
    query = LogQuery(since=NOW - timedelta(minutes=5), until=NOW)
    with pytest.raises(UpstreamError):
        answered(adapter.round_log(query, KEYS, NOW), body, status)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_rounds_picture_is_a_page() -> None:
    flow = adapter.replay(ReplayQuery(player="p-1", round="round 1", game=TABLE), KEYS, NOW)
    launched, (request,) = served(flow)
    assert request.url == "https://evolution.example/api/render/v1/details?gameId=round+1"
    assert launched.html.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("body", ["", "not a page", '{"error":1}'])
def test_what_is_no_page_is_no_picture(body: str) -> None:
    flow = adapter.replay(ReplayQuery(player="p-1", round="r", game=TABLE), KEYS, NOW)
    with pytest.raises(UpstreamError):
        answered(flow, body)


def test_other_addresses_are_not_served() -> None:
    response = EvolutionPeer(SETTINGS).serve(HttpRequest("GET", "https://evolution.example/other"), KEYS, NOW)
    assert response.status == 404
