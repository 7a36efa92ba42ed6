"""The hub's calls to the provider, driven by hand against the simulated one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from attrs import evolve

from croupier.contract import (
    Credentials,
    Currency,
    Effect,
    FixRequestError,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    LogPage,
    LogQuery,
    MalformedRequestError,
    MovementKey,
    MovementKind,
    NotFoundError,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    ProviderRefusedError,
    ReplayQuery,
    UpstreamError,
)
from croupier_pgsoft.adapter import PgsoftAdapter
from croupier_pgsoft.peer import PgsoftPeer
from croupier_pgsoft.settings import SALT, SECRET, PgsoftSettings

T = TypeVar("T")

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EUR = Currency("EUR", 2)
KEYS = Credentials({SECRET: ("test-secret",), SALT: ("test-salt",)})
SETTINGS = PgsoftSettings(
    operator_token="acme", api_url="https://api.pgsoft.example/", history_url="https://public.pgsoft.example"
)
LAUNCH = LaunchQuery(
    game="126",
    currency="EUR",
    scale=EUR,
    player="p-1",
    token="token-1",
    language="pt-BR",
    address="192.0.2.7",
    return_url="https://casino.example/lobby?a=b&c=d",
    options={"oc": "1", "unknown": "x"},
)
GRANT = FreeRoundsQuery(
    grant="grant-1",
    player="p-1",
    games=("126", "98"),
    rounds=5,
    currency="EUR",
    scale=EUR,
    bet=20,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=1),
)
PLAYER = PeerPlayer(player="p-1", token="token-1", game="126", currency="EUR")


def carried(flow: Flow[T], peer: PgsoftPeer, sent: list[HttpRequest] | None = None) -> T:
    try:
        request = next(flow)
        while True:
            if sent is not None:
                sent.append(request)
            request = flow.send(peer.serve(request, KEYS, NOW))
    except StopIteration as done:
        value: T = done.value
        return value


def answered(flow: Flow[T], body: str, status: int = 200) -> T:
    try:
        next(flow)
        flow.send(HttpResponse(status, body=body.encode()))
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it asks again")


def pair(**changes: Any) -> tuple[PgsoftAdapter, PgsoftPeer]:
    settings = evolve(SETTINGS, **changes)
    return PgsoftAdapter(settings), PgsoftPeer(settings)


def test_a_launch_is_the_page_that_the_provider_returns() -> None:
    adapter, peer = pair()
    sent: list[HttpRequest] = []
    launched = carried(adapter.launch(LAUNCH, KEYS, NOW, "nonce"), peer, sent)
    assert launched.url is None
    assert launched.html is not None
    assert "<html" in launched.html
    assert peer.started(launched) == evolve(PLAYER, player="", currency="")
    (request,) = sent
    fields = dict(parse_qsl(request.body.decode()))
    assert fields["path"] == "/126/index.html"
    assert (fields["url_type"], fields["client_ip"]) == ("game-entry", "192.0.2.7")
    assert dict(parse_qsl(fields["extra_args"])) == {
        "btt": "1",
        "ops": "token-1",
        "l": "pt",
        "f": "https://casino.example/lobby?a=b&c=d",
        "oc": "1",
    }
    assert "secret_key" not in fields


def test_two_launches_are_two_pages_and_two_traces() -> None:
    adapter, peer = pair()
    sent: list[HttpRequest] = []
    pages = {carried(adapter.launch(LAUNCH, KEYS, NOW, nonce), peer, sent).html for nonce in ("a", "b")}
    assert len(pages) == 2
    traces = [dict(request.query)["trace_id"] for request in sent]
    assert len(set(traces)) == 2
    assert [len(part) for part in traces[0].split("-")] == [8, 4, 4, 4, 12]


def test_a_launch_for_play_money_has_no_player() -> None:
    adapter, peer = pair()
    demo = evolve(LAUNCH, demo=True, player="", token="")
    player = peer.started(carried(adapter.launch(demo, KEYS, NOW, "nonce"), peer))
    assert (player.player, player.token, player.game) == ("", "", "126")


def test_a_launch_of_an_older_account_is_an_address() -> None:
    adapter, peer = pair(launch="direct", game_url="https://m.pgsoft.example")
    launched = carried(adapter.launch(LAUNCH, KEYS, NOW, "nonce"), peer)
    assert launched.url is not None
    parts = urlsplit(launched.url)
    assert (parts.netloc, parts.path) == ("m.pgsoft.example", "/126/index.html")
    assert dict(parse_qsl(parts.query))["ot"] == "acme"
    assert peer.started(launched) == evolve(PLAYER, player="", currency="")
    demo = carried(adapter.launch(evolve(LAUNCH, demo=True), KEYS, NOW, "nonce"), peer)
    assert dict(parse_qsl(urlsplit(demo.url or "").query))["btt"] == "2"
    assert peer.started(demo).token == ""


def test_a_page_or_address_that_was_not_given_starts_nothing() -> None:
    _, peer = pair()
    for launched in (Launched(html="<html></html>"), Launched(url="https://m.pgsoft.example/126/lobby.html?btt=1")):
        with pytest.raises(NotFoundError):
            peer.started(launched)


def test_a_game_that_there_is_not_is_refused() -> None:
    adapter, peer = pair()
    with pytest.raises(ProviderRefusedError) as refused:
        carried(adapter.launch(evolve(LAUNCH, game="1"), KEYS, NOW, "nonce"), peer)
    assert refused.value.provider_code == "1034"


def test_a_token_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(FixRequestError):
        next(pair()[0].launch(evolve(LAUNCH, token="t" * 201), KEYS, NOW, "nonce"))


@pytest.mark.parametrize("body", ["", "not a page", "{", '{"data":{},"error":null}', '{"data":null,"error":3001}'])
def test_a_launch_without_a_page_is_none(body: str) -> None:
    with pytest.raises(UpstreamError):
        answered(pair()[0].launch(LAUNCH, KEYS, NOW, "nonce"), body)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"data":null,"error":{"code":"1200","message":"later"}}', UpstreamError),
        ('{"data":null,"error":{"code":"1034","message":"no"}}', ProviderRefusedError),
        ('{"data":null,"error":null}', UpstreamError),
        ('{"data":[{"gameName":"without an id"}],"error":null}', UpstreamError),
    ],
)
def test_an_answer_without_games_is_an_error(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        answered(pair()[0].game_list(KEYS, NOW), body)


def test_the_games_are_those_that_can_be_played() -> None:
    adapter, peer = pair()
    games = carried(adapter.game_list(KEYS, NOW), peer)
    assert [(game.code, game.name) for game in games] == [("126", "Fortune Tiger"), ("98", "Fortune Ox")]
    closed = '{"data":[{"gameId":1,"gameName":"a","status":0},{"gameId":2,"gameCode":"b"}],"error":null}'
    assert [(game.code, game.name) for game in answered(adapter.game_list(KEYS, NOW), closed)] == [("2", "b")]


def test_a_call_carries_name_and_secret_and_signed_header_fields_where_set() -> None:
    adapter, peer = pair(send_hash=True)
    sent: list[HttpRequest] = []
    carried(adapter.game_list(KEYS, NOW), peer, sent)
    (request,) = sent
    assert (request.headers.get("x-date"), request.effect) == ("20260301", Effect.READ)
    assert request.url.startswith("https://api.pgsoft.example/external/Game/v2/Get?trace_id=")
    wrong = Credentials({SECRET: ("test-secret",), SALT: ("another",)})
    assert b'"1204"' in peer.serve(request, wrong, NOW).body


def test_the_wrong_secret_is_refused() -> None:
    adapter, peer = pair()
    request = next(adapter.game_list(Credentials({SECRET: ("another",)}), NOW))
    assert b'"1204"' in peer.serve(request, KEYS, NOW).body


def test_free_games_are_given_once_a_grant() -> None:
    adapter, peer = pair()
    for _ in range(2):
        assert carried(adapter.issue_free_rounds(GRANT, KEYS, NOW, "nonce"), peer) == FreeRoundsIssued(
            reference="grant-1"
        )
    (given,) = peer.free_games.values()
    assert (given.player, given.rounds, given.games, given.bet) == ("p-1", 5, ("126", "98"), Decimal("0.20"))


def test_free_games_repeat_the_name_of_a_field_for_each_game() -> None:
    request = next(pair()[0].issue_free_rounds(GRANT, KEYS, NOW, "nonce"))
    assert parse_qs(request.body.decode())["game_ids"] == ["126", "98"]
    assert request.effect is Effect.IDEMPOTENT


def test_free_games_need_a_value() -> None:
    with pytest.raises(FixRequestError):
        next(pair()[0].issue_free_rounds(evolve(GRANT, bet=None), KEYS, NOW, "nonce"))


@pytest.mark.parametrize(("spin", "shown_spin"), [("1001", "1001"), (None, "1000")])
def test_a_round_is_shown_by_a_page_whose_key_is_asked_for(spin: str | None, shown_spin: str) -> None:
    adapter, peer = pair()
    query = ReplayQuery(player="p-1", round="1000", game="126", transaction=spin)
    launched = carried(adapter.replay(query, KEYS, NOW), peer)
    parts = urlsplit(launched.url or "")
    assert (parts.netloc, parts.path) == ("public.pgsoft.example", "/history/redirect.html")
    shown = dict(parse_qsl(parts.query))
    assert (shown["t"], shown["psid"], shown["sid"]) == ("peer-operator-session", "1000", shown_spin)
    assert shown["type"] == "operator"


def test_a_player_is_kicked() -> None:
    adapter, peer = pair()
    carried(adapter.end_session("p-1", KEYS, NOW), peer)
    assert peer.kicked == ["p-1"]


def log(cursor: str | None = None) -> LogQuery:
    return LogQuery(since=NOW - timedelta(hours=2), until=NOW, cursor=cursor)


def booked(peer: PgsoftPeer, kind: MovementKind, number: int, minutes: int, grant: str | None = None) -> None:
    won = Decimal(2) if kind is MovementKind.BET_AND_WIN else None
    move = PeerMove(kind=kind, id=str(number), amount=Decimal(1), win_amount=won)
    peer.record(PeerPlay(player=PLAYER, round="1", moves=(move,), grant=grant), NOW - timedelta(minutes=minutes))


def test_the_log_has_a_row_a_spin() -> None:
    adapter, peer = pair()
    booked(peer, MovementKind.BET, 1, 60)
    booked(peer, MovementKind.BET_AND_WIN, 2, 50)
    booked(peer, MovementKind.WIN, 3, 40)
    booked(peer, MovementKind.FREE_WIN, 4, 30, "grant-1")
    booked(peer, MovementKind.BET, 5, 1)
    page = carried(adapter.transaction_log(log(), KEYS, NOW), peer)
    assert page.cursor is None
    kinds = [MovementKind.BET, MovementKind.BET_AND_WIN, MovementKind.WIN, MovementKind.FREE_WIN]
    assert [entry.kind for entry in page.entries] == kinds
    both = page.entries[1]
    assert both.bet is not None
    assert both.win is not None
    assert (both.key, both.round, both.player) == (MovementKey("spin", "2"), "1", "p-1")
    assert (both.bet.value, both.win.value, both.bet.currency) == (Decimal(1), Decimal(2), "EUR")
    assert both.at == NOW - timedelta(minutes=50)


def row(version: int) -> str:
    return (
        f'{{"betId":{version},"parentBetId":1,"playerName":"p","gameId":126,"currency":"EUR","transactionType":1,'
        f'"betAmount":0.1,"winAmount":0,"rowVersion":{version},"betEndTime":1772366400000}}'
    )


def page_of(versions: list[int], query: LogQuery) -> LogPage:
    rows = ",".join(map(row, versions))
    return answered(pair(page_size=1500)[0].transaction_log(query, KEYS, NOW), f'{{"data":[{rows}],"error":null}}')


def test_a_full_page_of_the_log_goes_on_behind_its_newest_row() -> None:
    begin = 1772359200000
    page = page_of(list(range(begin + 1, begin + 1501)), log())
    assert page.cursor == str(begin + 1500)
    assert len(page.entries) == 1500


@pytest.mark.parametrize("versions", [[], [1772359200001], [1772359200000] * 1500, [1772366400000] * 1500])
def test_the_log_ends_where_there_is_no_full_page_of_news(versions: list[int]) -> None:
    assert page_of(versions, log()).cursor is None


def test_the_log_is_read_from_its_cursor_and_from_its_own_domain() -> None:
    adapter, _ = pair(feed_url="https://feed.pgsoft.example")
    request = next(adapter.transaction_log(log("5"), KEYS, NOW))
    assert request.url.startswith("https://feed.pgsoft.example/external-datagrabber/Bet/v4/GetHistory?trace_id=")
    assert b"&count=5000&bet_type=1&row_version=5" in request.body
    with pytest.raises(MalformedRequestError):
        next(adapter.transaction_log(log("later"), KEYS, NOW))


@pytest.mark.parametrize("changes", [('"rowVersion":5', '"rowVersion":"x"'), ('"betAmount":0.1', '"betAmount":"x"')])
def test_a_row_that_cannot_be_read_is_no_log(changes: tuple[str, str]) -> None:
    body = f'{{"data":[{row(5).replace(*changes)}],"error":null}}'
    with pytest.raises(UpstreamError):
        answered(pair()[0].transaction_log(log(), KEYS, NOW), body)
