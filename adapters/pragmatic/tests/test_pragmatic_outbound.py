"""The hub's calls to the provider, driven by hand against the simulated one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from attrs import evolve

from croupier.contract.calls import MovementKey, MovementKind
from croupier.contract.errors import (
    FixRequestError,
    MalformedRequestError,
    NotFoundError,
    ProviderRefusedError,
    UpstreamError,
)
from croupier.contract.flows import (
    Device,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    LaunchQuery,
    LogPage,
    LogQuery,
    ReplayQuery,
)
from croupier.contract.http import Effect, HttpRequest, HttpResponse
from croupier.contract.money import Currency, WireAmount
from croupier.contract.peer import PeerCloseRound, PeerMove, PeerPlay, PeerPlayer
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.peer import PragmaticPeer
from croupier_pragmatic.settings import (
    SECRET,
    PragmaticSettings,
)
from croupier_pragmatic.wire import sign

T = TypeVar("T")

KEYS = Credentials({SECRET: ("test-secret", "old-secret")})
STRANGE = Credentials({SECRET: ("another-test-secret",)})
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EUR = Currency("EUR", 2)
SETTINGS = PragmaticSettings(
    secure_login="acme_login",
    api_url="https://api.pp.example/",
    frb_credit_on="result",
    game_host="game.pp.example",
    demo_host="demo.pp.example",
)
ADAPTER = PragmaticAdapter(SETTINGS)
LAUNCH = LaunchQuery(
    game="vs20doghouse",
    player="alias1",
    token="tok-1",
    currency="EUR",
    scale=EUR,
    language="en-GB",
    country="DE",
    return_url="https://casino.example/lobby?a=1&b=ü",
    deposit_url="https://casino.example/cash",
)
GRANT = FreeRoundsQuery(
    grant="frb-1",
    player="alias1",
    games=("vs20doghouse", "vs5aztecgems"),
    rounds=10,
    currency="EUR",
    scale=EUR,
    bet=50,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=7),
)
PLAYER = PeerPlayer(player="alias1", token="tok-1", game="vs20doghouse", currency="EUR")


def driven(
    flow: Flow[T], peer: PragmaticPeer, keys: Credentials = KEYS, now: datetime = NOW
) -> tuple[T, list[HttpRequest]]:
    sent = []
    try:
        request = next(flow)
        while True:
            sent.append(request)
            request = flow.send(peer.serve(request, keys, now))
    except StopIteration as done:
        return done.value, sent


def replied(flow: Flow[T], response: HttpResponse) -> T:
    next(flow)
    try:
        flow.send(response)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("the flow wants more")


def made(**settings: Any) -> tuple[PragmaticAdapter, PragmaticPeer]:
    changed = evolve(SETTINGS, **settings)
    return PragmaticAdapter(changed), PragmaticPeer(changed)


def test_a_launch_is_signed_and_leads_to_the_same_player_at_the_provider() -> None:
    adapter, peer = made()
    launched, (request,) = driven(adapter.launch(LAUNCH, KEYS, NOW, "n"), peer)
    assert request.url == "https://api.pp.example/IntegrationService/v3/http/CasinoGameAPI/game/url/"
    assert (request.method, request.effect) == ("POST", Effect.IDEMPOTENT)
    fields = dict(parse_qsl(request.body.decode()))
    assert fields.pop("hash") == sign(fields, "test-secret")
    assert fields == {
        "secureLogin": "acme_login",
        "symbol": "vs20doghouse",
        "language": "en",
        "token": "tok-1",
        "externalPlayerId": "alias1",
        "currency": "EUR",
        "country": "DE",
        "platform": "WEB",
        "technology": "H5",
        "stylename": "acme_login",
        "cashierUrl": "https://casino.example/cash",
        "lobbyUrl": "https://casino.example/lobby?a=1&b=ü",
        "playMode": "REAL",
    }
    assert launched.url is not None
    assert peer.launched(launched.url) == PLAYER


def test_a_repeated_launch_leads_to_the_same_address() -> None:
    adapter, peer = made()
    assert driven(adapter.launch(LAUNCH, KEYS, NOW, "1"), peer) == driven(adapter.launch(LAUNCH, KEYS, NOW, "2"), peer)


@pytest.mark.parametrize(("device", "platform"), [(Device.MOBILE, "MOBILE"), (Device.DESKTOP, "DOWNLOAD")])
def test_the_platform_is_named_as_the_account_wants_it(device: Device, platform: str) -> None:
    adapter, peer = made(desktop_platform="DOWNLOAD", style_name="acme_brand")
    _, (request,) = driven(adapter.launch(evolve(LAUNCH, device=device), KEYS, NOW, "n"), peer)
    fields = dict(parse_qsl(request.body.decode()))
    assert (fields["platform"], fields["stylename"]) == (platform, "acme_brand")


def test_a_demo_launch_names_no_player() -> None:
    adapter, peer = made()
    query = evolve(LAUNCH, demo=True, player="", token="", country=None)
    launched, (request,) = driven(adapter.launch(query, KEYS, NOW, "n"), peer)
    fields = dict(parse_qsl(request.body.decode()))
    assert fields["playMode"] == "DEMO"
    assert not {"token", "externalPlayerId", "country"} & set(fields)
    assert launched.url is not None
    assert peer.launched(launched.url).token == ""


def test_the_older_launch_is_an_address_with_its_pairs_escaped_once() -> None:
    adapter, peer = made(launch="play_game")
    query = evolve(LAUNCH, return_url="https://casino.example/lobby?a=1")
    launched, sent = driven(adapter.launch(query, KEYS, NOW, "n"), peer)
    assert sent == []
    assert launched.url is not None
    parts = urlsplit(launched.url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "game.pp.example", "/gs2c/playGame.do")
    key = (
        "token=tok-1&symbol=vs20doghouse&technology=H5&platform=WEB&language=en"
        "&cashierUrl=https://casino.example/cash&lobbyUrl=https://casino.example/lobby?a=1"
    )
    assert parse_qs(parts.query) == {"key": [key], "stylename": ["acme_login"]}
    assert peer.launched(launched.url) == PeerPlayer(player="", token="tok-1", game="vs20doghouse", currency="")


def test_the_older_launch_refuses_what_it_cannot_carry() -> None:
    adapter, peer = made(launch="play_game")
    with pytest.raises(FixRequestError):
        driven(adapter.launch(LAUNCH, KEYS, NOW, "n"), peer)


def test_the_older_demo_is_an_address() -> None:
    adapter, peer = made(demo="open_game")
    launched, sent = driven(adapter.launch(evolve(LAUNCH, demo=True), KEYS, NOW, "n"), peer)
    assert sent == []
    assert launched.url == (
        "https://demo.pp.example/gs2c/openGame.do?gameSymbol=vs20doghouse&lang=en&cur=EUR"
        "&lobbyURL=https%3A%2F%2Fcasino.example%2Flobby%3Fa%3D1%26b%3D%C3%BC"
    )
    assert peer.launched(launched.url).game == "vs20doghouse"


@pytest.mark.parametrize(
    "url", ["https://x.example/", "https://x.example/gs2c/playGame.do?key=a", "https://x.example/gs2c/openGame.do"]
)
def test_a_launch_that_never_was_is_not_found(url: str) -> None:
    with pytest.raises(NotFoundError):
        PragmaticPeer(SETTINGS).launched(url)


def test_the_game_list_is_read_with_its_options() -> None:
    adapter, peer = made()
    games, (request,) = driven(adapter.game_list(KEYS, NOW), peer)
    assert "GetFrbDetails" in dict(parse_qsl(request.body.decode()))["options"]
    assert request.effect is Effect.READ
    first = games[0]
    assert (first.code, first.name, first.free_rounds, first.demo) == ("vs20doghouse", "The Dog House", True, True)
    assert first.devices == frozenset(Device)
    assert first.lines == "20"
    assert [game.free_rounds for game in games] == [True, True, False]


def test_a_game_list_says_what_the_provider_told_and_no_more() -> None:
    listing = b"""{"error":"0","gameList":[
        {"gameID":"a","platform":"MOBILE","technology":"html5","features":["Buy",1],"studio":"PP"},
        {"gameID":7,"gameName":"Seven","platform":"TV","lines":0,"frbAvailable":"yes"}]}"""
    one, seven = replied(ADAPTER.game_list(KEYS, NOW), HttpResponse.json(listing))
    assert (one.name, one.devices, one.features, one.studio) == ("a", frozenset({Device.MOBILE}), ("Buy",), "PP")
    assert not one.demo
    assert (seven.code, seven.devices, seven.lines, seven.free_rounds) == ("7", frozenset(Device), None, False)


def test_bet_scales_are_exact() -> None:
    adapter, peer = made()
    scales, (request,) = driven(adapter.bet_scales(["vs20doghouse", "nosuch"], KEYS, NOW), peer)
    assert dict(parse_qsl(request.body.decode()))["gameIDs"] == "vs20doghouse,nosuch"
    assert {(scale.game, scale.currency) for scale in scales} == {("vs20doghouse", "EUR"), ("vs20doghouse", "USD")}
    assert scales[0].total_bets[0] == WireAmount.of("0.20", currency="EUR")


def test_free_rounds_are_given_with_a_signed_query_and_an_exact_bet() -> None:
    adapter, peer = made()
    issued, (request,) = driven(adapter.issue_free_rounds(GRANT, KEYS, NOW, "n"), peer)
    assert issued == FreeRoundsIssued(reference="frb-1", rounds=10)
    assert request.path == "/IntegrationService/v3/http/FreeRoundsBonusAPI/v2/bonus/player/create/"
    query = dict(request.query)
    assert query.pop("hash") == sign(query, "test-secret")
    assert query == {
        "secureLogin": "acme_login",
        "playerId": "alias1",
        "currency": "EUR",
        "rounds": "10",
        "bonusCode": "frb-1",
        "startDate": "1772366400",
        "expirationDate": "1772971200",
    }
    assert b'"totalBet":0.50' in request.body
    assert read_json_object(request.body)["gameList"][1] == {
        "gameId": "vs5aztecgems",
        "betValues": [{"currency": "EUR", "totalBet": Decimal("0.50")}],
    }
    assert request.effect is Effect.IDEMPOTENT
    assert peer.bonuses["frb-1"].total_bet == Decimal("0.50")


def test_the_same_grant_twice_gives_free_rounds_once() -> None:
    adapter, peer = made()
    for rounds in (10, 99):
        driven(adapter.issue_free_rounds(evolve(GRANT, rounds=rounds), KEYS, NOW, "n"), peer)
    assert [bonus.rounds for bonus in peer.bonuses.values()] == [10]


def test_free_rounds_without_a_bet_cannot_be_given_by_the_newer_interface() -> None:
    adapter, peer = made()
    with pytest.raises(FixRequestError):
        driven(adapter.issue_free_rounds(evolve(GRANT, bet=None), KEYS, NOW, "n"), peer)


def test_free_rounds_are_given_and_taken_back_by_the_older_interface() -> None:
    adapter, peer = made(frb_api="v1")
    _, (created,) = driven(adapter.issue_free_rounds(evolve(GRANT, bet=None), KEYS, NOW, "n"), peer)
    assert created.path.endswith("/createFRB/")
    assert dict(parse_qsl(created.body.decode()))["gameIDList"] == "vs20doghouse,vs5aztecgems"
    assert peer.bonuses["frb-1"].active
    _, (cancelled,) = driven(adapter.cancel_free_rounds("frb-1", "alias1", KEYS, NOW), peer)
    assert cancelled.path.endswith("/cancelFRB/")
    assert not peer.bonuses["frb-1"].active


@pytest.mark.parametrize(("way", "path"), [("bonus", "/v2/bonus/cancel/"), ("player", "/v2/players/remove/")])
def test_free_rounds_are_taken_back(way: str, path: str) -> None:
    adapter, peer = made(frb_cancel=way)
    driven(adapter.issue_free_rounds(GRANT, KEYS, NOW, "n"), peer)
    _, (request,) = driven(adapter.cancel_free_rounds("frb-1", "alias1", KEYS, NOW), peer)
    assert request.path.endswith(path)
    assert not peer.bonuses["frb-1"].active


@pytest.mark.parametrize("way", ["bonus", "player"])
def test_free_rounds_that_never_were_cannot_be_taken_back(way: str) -> None:
    adapter, peer = made(frb_cancel=way)
    with pytest.raises(ProviderRefusedError) as refused:
        driven(adapter.cancel_free_rounds("frb-1", "alias1", KEYS, NOW), peer)
    assert refused.value.provider_code == "17"


def test_free_rounds_are_listed_with_what_is_left_of_them() -> None:
    adapter, peer = made()
    driven(adapter.issue_free_rounds(GRANT, KEYS, NOW, "n"), peer)
    driven(adapter.issue_free_rounds(evolve(GRANT, grant="frb-2", player="alias2"), KEYS, NOW, "n"), peer)
    spin = PeerMove(kind=MovementKind.FREE_BET, id="b1")
    peer.record(PeerPlay(player=PLAYER, round="1", moves=(spin,), grant="frb-1"), NOW)
    listed, _ = driven(adapter.list_free_rounds("alias1", KEYS, NOW), peer)
    assert listed == (FreeRoundsIssued(reference="frb-1", rounds=9),)


def test_a_round_is_shown_again() -> None:
    adapter, peer = made()
    query = ReplayQuery(player="alias1", round="51", game="vs20doghouse")
    shown, (request,) = driven(adapter.replay(query, KEYS, NOW), peer)
    assert shown.url is not None
    assert shown.url.startswith("https://")
    assert request.path.endswith("/HistoryAPI/OpenHistoryExtended/")


def test_sessions_end_and_rounds_are_voided() -> None:
    adapter, peer = made(cancel_round_path="CasinoGameAPI/round/cancel/")
    driven(adapter.end_session("alias1", KEYS, NOW), peer)
    driven(adapter.cancel_round("alias1", "vs20doghouse", "51", KEYS, NOW), peer)
    assert peer.ended == ["alias1"]
    assert peer.cancelled == [("alias1", "vs20doghouse", "51")]


@pytest.mark.parametrize("keys", [STRANGE, Credentials({SECRET: ("old-secret",)})])
def test_the_provider_checks_the_hash(keys: Credentials) -> None:
    adapter, peer = made()
    for flow in (adapter.end_session("a", keys, NOW), adapter.issue_free_rounds(GRANT, keys, NOW, "n")):
        if keys is STRANGE:
            with pytest.raises(ProviderRefusedError) as refused:
                driven(flow, peer)
            assert refused.value.provider_code == "5"
        else:
            driven(flow, peer)
    assert peer.ended == ([] if keys is STRANGE else ["a"])


def test_the_provider_checks_the_login_and_its_fields() -> None:
    _, peer = made()
    other = PragmaticAdapter(evolve(SETTINGS, secure_login="somebody"))
    with pytest.raises(ProviderRefusedError) as refused:
        driven(other.end_session("a", KEYS, NOW), peer)
    assert refused.value.provider_code == "2"
    late = evolve(GRANT, valid_until=NOW - timedelta(days=1))
    with pytest.raises(ProviderRefusedError) as refused:
        driven(ADAPTER.issue_free_rounds(late, KEYS, NOW, "n"), peer)
    assert refused.value.provider_code == "7"
    assert peer.serve(HttpRequest("POST", "https://x.example/IntegrationService/v3/http/No/"), KEYS, NOW).status == 404


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse.text("busy", 503),
        HttpResponse.text("busy", 429),
        HttpResponse.text("moved", 302),
        HttpResponse.text("<html>"),
        HttpResponse.json(b"[]"),
        HttpResponse.json(b"{}"),
        HttpResponse.json(b'{"error":100}'),
        HttpResponse.json(b'{"error":"0"}'),
        HttpResponse.json(b'{"error":"0","gameURL":"javascript:alert(1)"}'),
        HttpResponse.json(b'{"error":"0","gameURL":"https://[x"}'),
        HttpResponse.json(b'{"error":"0","gameURL":7}'),
        HttpResponse.json(b'{"error":"0","error":"0"}'),
        HttpResponse.json(b"\xff"),
    ],
)
def test_an_answer_that_cannot_be_used_is_no_launch_and_no_refusal(response: HttpResponse) -> None:
    with pytest.raises(UpstreamError):
        replied(ADAPTER.launch(LAUNCH, KEYS, NOW, "n"), response)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (HttpResponse.json(b'{"error":"7","description":"bad"}'), "7"),
        (HttpResponse.json(b'{"error":2}'), "2"),
        (HttpResponse.text("no", 403), "403"),
    ],
)
def test_a_refusal_carries_the_providers_code(response: HttpResponse, code: str) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        replied(ADAPTER.launch(LAUNCH, KEYS, NOW, "n"), response)
    assert refused.value.provider_code == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"0","gameList":7}',
        b'{"error":"0","gameList":[7]}',
        b'{"error":"0","gameList":[{}]}',
        b'{"error":"0","gameList":[{"gameID":true}]}',
        b'{"error":"0","gameList":[{"gameID":"a","betScaleList":[{"currency":"EUR","totalBetScales":["x"]}]}]}',
        b'{"error":"0","gameList":[{"gameID":"a","betScaleList":[{"currency":"EUR","totalBetScales":7}]}]}',
    ],
)
def test_bet_scales_that_cannot_be_read_are_none(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        replied(ADAPTER.bet_scales(["a"], KEYS, NOW), HttpResponse.json(body))


def move(kind: MovementKind, id: str, amount: str = "0", target: str | None = None) -> PeerMove:
    return PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target)


def played(peer: PragmaticPeer) -> None:
    """Two rounds within a quarter of an hour: one won, one refunded."""
    for minute, round_id, one in (
        (1, "51", move(MovementKind.BET, "b1", "10.50")),
        (2, "51", move(MovementKind.WIN, "w1", "99999999.99")),
        (14, "52", move(MovementKind.BET, "b2", "1.00")),
        (15, "52", move(MovementKind.ROLLBACK, "r2", target="b2")),
        (16, "53", move(MovementKind.BET, "b3", "2.00")),
    ):
        peer.record(PeerPlay(player=PLAYER, round=round_id, moves=(one,)), NOW + timedelta(minutes=minute))
    peer.record(PeerCloseRound(player=PLAYER, round="51"), NOW + timedelta(minutes=2))


LATER = NOW + timedelta(minutes=30)


def pages(adapter: PragmaticAdapter, peer: PragmaticPeer, *, rounds: bool) -> list[LogPage]:
    query = LogQuery(since=NOW, until=NOW + timedelta(minutes=25))
    found = []
    while True:
        flow = adapter.round_log(query, KEYS, LATER) if rounds else adapter.transaction_log(query, KEYS, LATER)
        page, _ = driven(flow, peer, now=LATER)
        found.append(page)
        if page.cursor is None:
            return found
        query = evolve(query, cursor=page.cursor)


def test_the_log_of_transactions_is_read_page_by_page_to_its_end() -> None:
    adapter, peer = made()
    played(peer)
    found = pages(adapter, peer, rounds=False)
    assert [len(page.entries) for page in found] == [2, 3, 0]
    rows = [entry for page in found for entry in page.entries]
    assert [row.key for row in rows] == [
        MovementKey("reference", "b1"),
        MovementKey("reference", "w1"),
        MovementKey("reference", "b2"),
        MovementKey("refund", "b2"),
        MovementKey("reference", "b3"),
    ]
    assert [row.kind for row in rows][:4] == [
        MovementKind.BET,
        MovementKind.WIN,
        MovementKind.BET,
        MovementKind.ROLLBACK,
    ]
    assert rows[1].amount == WireAmount.of("99999999.99", currency="EUR")
    assert (rows[0].player, rows[0].round, rows[0].game) == ("alias1", "51", "vs20doghouse")
    assert rows[0].at == NOW + timedelta(minutes=1)


def test_the_log_of_rounds_sums_them_up() -> None:
    adapter, peer = made()
    played(peer)
    rows = [entry for page in pages(adapter, peer, rounds=True) for entry in page.entries]
    assert [(row.round, row.state) for row in rows] == [("51", "C"), ("52", "F"), ("53", "I")]
    assert (rows[0].bet, rows[0].win) == (
        WireAmount.of("10.50", currency="EUR"),
        WireAmount.of("99999999.99", currency="EUR"),
    )
    assert rows[0].at == NOW + timedelta(minutes=2)
    assert rows[2].at == NOW + timedelta(minutes=16)


@pytest.mark.parametrize(("feed", "states"), [("gamerounds/finished", ["C", "F"]), ("gamerounds/incomplete", ["I"])])
def test_the_feed_of_rounds_is_a_setting(feed: str, states: list[str]) -> None:
    adapter, peer = made(rounds_feed=feed)
    played(peer)
    rows = [entry for page in pages(adapter, peer, rounds=True) for entry in page.entries]
    assert [row.state for row in rows] == states


def test_a_feed_is_asked_with_its_login_time_and_type() -> None:
    query = LogQuery(since=NOW, until=LATER, stream="LC")
    request = next(ADAPTER.transaction_log(query, KEYS, NOW))
    assert (request.method, request.effect) == ("GET", Effect.READ)
    assert request.path == "/IntegrationService/v3/DataFeeds/transactions/"
    assert dict(request.query) == {
        "login": "acme_login",
        "password": "test-secret",
        "timepoint": "1772366400000",
        "dataType": "LC",
    }


def test_the_provider_checks_the_login_of_a_feed() -> None:
    adapter, peer = made()
    with pytest.raises(ProviderRefusedError) as refused:
        driven(adapter.transaction_log(LogQuery(since=NOW, until=LATER), STRANGE, NOW), peer)
    assert refused.value.provider_code == "401"


HEADER = b"playerID,extPlayerID,gameID,playSessionID,timestamp,referenceID,type,amount,currency\n"


def log(body: bytes, **query: str) -> LogPage:
    asked = LogQuery(since=NOW, until=LATER, cursor=query.get("cursor"))
    return replied(ADAPTER.transaction_log(asked, KEYS, NOW), HttpResponse(200, body=body))


def test_an_empty_window_is_not_the_end_of_the_log() -> None:
    assert log(b"timepoint=1772366460000\n" + HEADER) == LogPage(entries=(), cursor="1772366460000")
    assert log(b"timepoint=1772366460000") == LogPage(entries=(), cursor="1772366460000")


def test_the_log_ends_where_time_stands_still_or_enough_was_read() -> None:
    assert log(b"timepoint=1772366400000\n" + HEADER).cursor is None
    assert log(b"timepoint=1872366400000\n" + HEADER).cursor is None
    assert log(b"timepoint=1772366460000\n" + HEADER, cursor="1772366460000").cursor is None


def test_columns_are_found_by_name_and_unknown_letters_are_kept() -> None:
    body = (
        b"\xef\xbb\xbftimepoint=1772366460000\r\n"
        b"type,playerID,extPlayerID,gameID,playSessionID,timestamp,referenceID,amount,currency,roundDetails\r\n"
        b'J,1,alias1,null,null,1772366400500,ref-1,5,EUR,"{""a"":""b,c""}"\r\n'
        b"W,1,alias1,g,7,whenever,ref-2,0.00,EUR,\r\n"
    )
    one, two = log(body).entries
    assert (one.kind, one.state, one.game, one.round) == (None, "J", None, None)
    assert one.key == MovementKey("reference", "ref-1")
    assert one.at == NOW + timedelta(milliseconds=500)
    assert two.at is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"error":"2"}',
        b"timepoint=soon\n" + HEADER,
        b"timepoint=1\nplayerID,amount\n1,2\n",
        b"timepoint=1\n" + HEADER + b"1,2,3\n",
        b"timepoint=1\n" + HEADER + b"1,p,g,r,t,ref,B,NaN,EUR\n",
        b"timepoint=1\n" + HEADER + b"1,p,g,r,t,ref,B,1e3,EUR\n",
        b"timepoint=1\n" + HEADER + b"1,p,g,r,t,,B,1,EUR\n",
        b"timepoint=1\n" + HEADER + b'1,p,g,r,t,"ref"x,B,1,EUR\n',
    ],
)
def test_a_log_that_cannot_be_read_is_no_log(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        log(body)


def test_a_cursor_that_is_none_is_refused() -> None:
    with pytest.raises(MalformedRequestError):
        log(b"", cursor="yesterday")
