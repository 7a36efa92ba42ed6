"""What the hub asks of Hub88, with the simulated provider on the other side."""

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
    FreeRoundsIssued,
    FreeRoundsQuery,
    HttpRequest,
    HttpResponse,
    LaunchQuery,
    LogQuery,
    MalformedRequestError,
    MovementKind,
    PeerMove,
    PeerPlay,
    ProviderRefusedError,
    ReplayQuery,
    UnsupportedOperationError,
    UpstreamError,
    write_json,
)
from croupier_hub88.adapter import Hub88Adapter
from croupier_hub88.peer import Hub88Peer
from croupier_hub88.peer_api import prepaids
from croupier_hub88.peer_keys import HUB_TEST_KEY, NEXT_TEST_KEY, PROVIDER_TEST_PUBLIC_KEY
from croupier_hub88.settings import PRIVATE_KEY, PUBLIC_KEY, Hub88Settings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEYS = Credentials({PRIVATE_KEY: (HUB_TEST_KEY,), PUBLIC_KEY: (PROVIDER_TEST_PUBLIC_KEY,)})
EURO = Currency("EUR", 2)
SETTINGS = Hub88Settings(api_url="https://api.hub88.example/", operator_id=7, sub_partner_id="brand-1")
ADAPTER = Hub88Adapter(SETTINGS)
LAUNCH = LaunchQuery(
    game="clt_testfruits",
    currency="EUR",
    scale=EURO,
    player="john12345",
    token="f562a685-a160-4d17",
    language="en-GB",
    device=Device.MOBILE,
    country="EE",
    address="192.0.2.7",
    return_url="https://casino.example/lobby",
    deposit_url="https://casino.example/cashier",
)
GRANT = FreeRoundsQuery(
    grant="grant-1",
    player="john12345",
    games=("clt_testfruits",),
    rounds=5,
    currency="EUR",
    scale=EURO,
    bet=30,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=7),
)


class Line:
    """The way to the provider, which keeps what went over it."""

    def __init__(self, peer: Hub88Peer | None = None) -> None:
        self.peer = peer or Hub88Peer(SETTINGS)
        self.sent: list[HttpRequest] = []

    def run(self, flow: Flow[Any], answer: Callable[[HttpRequest], HttpResponse] | None = None) -> Any:
        try:
            request = next(flow)
            while True:
                self.sent.append(request)
                response = answer(request) if answer else self.peer.serve(request, KEYS, NOW)
                request = flow.send(response)
        except StopIteration as end:
            return end.value

    def bodies(self) -> list[tuple[str, dict[str, Any]]]:
        return [(request.path.rpartition("v2/")[2], json.loads(request.body)) for request in self.sent]

    def issue(self, query: FreeRoundsQuery = GRANT) -> FreeRoundsIssued:
        issued = self.run(ADAPTER.issue_free_rounds(query, KEYS, NOW, "nonce"))
        assert isinstance(issued, FreeRoundsIssued)
        return issued


def always(status: int, body: Any) -> Callable[[HttpRequest], HttpResponse]:
    return lambda _request: HttpResponse.json(write_json(body), status)


# --- games


def test_a_launch_says_who_plays_what_and_where_but_not_from_which_address() -> None:
    line = Line()
    launched = line.run(ADAPTER.launch(LAUNCH, KEYS, NOW, "nonce"))
    player = line.peer.launched(launched.url)
    assert (player.player, player.token, player.game) == ("john12345", "f562a685-a160-4d17", "clt_testfruits")
    assert line.sent[0].url == "https://api.hub88.example/operator/generic/v2/game/url"
    assert line.sent[0].effect is Effect.ONCE
    assert line.bodies()[0][1] == {
        "operator_id": 7,
        "user": "john12345",
        "token": "f562a685-a160-4d17",
        "sub_partner_id": "brand-1",
        "platform": "GPL_MOBILE",
        "lang": "en",
        "lobby_url": "https://casino.example/lobby",
        "deposit_url": "https://casino.example/cashier",
        "game_code": "clt_testfruits",
        "currency": "EUR",
        "country": "EE",
    }


def test_play_money_is_the_currency_xxx_without_a_player() -> None:
    line = Line()
    line.run(ADAPTER.launch(evolve(LAUNCH, demo=True, device=Device.DESKTOP), KEYS, NOW, "nonce"))
    body = line.bodies()[0][1]
    assert (body["currency"], body["platform"]) == ("XXX", "GPL_DESKTOP")
    assert not {"user", "token"} & set(body)


def test_options_of_a_launch_go_to_the_supplier() -> None:
    line = Line()
    line.run(ADAPTER.launch(evolve(LAUNCH, options={"table": "7"}), KEYS, NOW, "nonce"))
    assert line.bodies()[0][1]["meta"] == {"table": "7"}


def test_an_unknown_game_is_refused_with_the_providers_code() -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        Line().run(ADAPTER.launch(evolve(LAUNCH, game="clt_gone"), KEYS, NOW, "nonce"))
    assert caught.value.provider_code == "404"


def test_the_provider_believes_nobody_but_the_hub() -> None:
    others = Credentials({PRIVATE_KEY: (NEXT_TEST_KEY,)})
    with pytest.raises(ProviderRefusedError) as caught:
        Line().run(ADAPTER.launch(LAUNCH, others, NOW, "nonce"))
    assert caught.value.provider_code == "401"


def test_another_operators_number_is_refused() -> None:
    other = Hub88Adapter(evolve(SETTINGS, operator_id=8))
    with pytest.raises(ProviderRefusedError) as caught:
        Line().run(other.game_list(KEYS, NOW))
    assert caught.value.provider_code == "401"


def test_the_list_has_every_enabled_game_with_what_is_known_of_it() -> None:
    games = Line().run(ADAPTER.game_list(KEYS, NOW))
    assert [game.code for game in games] == ["clt_testfruits", "clt_testwheel", "clt_testdice"]
    fruits, _, dice = games
    assert (fruits.name, fruits.studio, fruits.category, fruits.rtp) == (
        "Test Fruits",
        "Test Studio",
        "Video Slots",
        "96.5",
    )
    assert (fruits.volatility, fruits.lines, fruits.blocked_countries) == ("3", "20", frozenset({"US"}))
    assert (fruits.free_rounds, dice.free_rounds) == (True, False)


def test_what_a_game_does_not_tell_is_left_open() -> None:
    rows = [
        {"game_code": "a", "name": None, "blocked_countries": None, "platforms": []},
        {"game_code": "a", "name": "B"},
    ]
    (game,) = Line().run(ADAPTER.game_list(KEYS, NOW), always(200, rows))
    assert (game.code, game.name, game.devices, game.rtp) == ("a", "a", frozenset(Device), None)


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, {"error": "too often"}), (500, []), (200, {}), (200, ["a"]), (200, [{"name": "no code"}])],
)
def test_a_list_that_cannot_be_used_is_no_list(status: int, body: Any) -> None:
    with pytest.raises(UpstreamError):
        Line().run(ADAPTER.game_list(KEYS, NOW), always(status, body))


@pytest.mark.parametrize("transaction", ["16d2dcfe-b89e-11e7", None])
def test_a_round_is_shown_again_by_its_id_and_a_transactions(transaction: str | None) -> None:
    line = Line()
    query = ReplayQuery(player="john12345", round="r-1", game="clt_testfruits", transaction=transaction)
    launched = line.run(ADAPTER.replay(query, KEYS, NOW))
    assert launched.url.startswith("https://play.hub88.example/rounds/")
    named = {} if transaction is None else {"transaction_uuid": transaction}
    assert line.bodies() == [("game/round", {"operator_id": 7, "user": "john12345", "round": "r-1"} | named)]


# --- the log


def played(line: Line, id: str, kind: MovementKind, at: datetime, target: str | None = None) -> None:
    launched = line.run(ADAPTER.launch(LAUNCH, KEYS, NOW, "nonce"))
    move = PeerMove(kind=kind, id=id, amount=Decimal("3.56"), target=target)
    line.peer.record(PeerPlay(player=line.peer.launched(launched.url), round="r-1", moves=(move,)), at)


def test_the_log_is_read_window_by_window() -> None:
    line = Line()
    since = NOW - timedelta(minutes=90)
    played(line, "bet-1", MovementKind.BET, NOW - timedelta(minutes=80))
    played(line, "win-1", MovementKind.WIN, NOW - timedelta(minutes=5), "bet-1")
    line.sent.clear()
    first = line.run(ADAPTER.transaction_log(LogQuery(since=since, until=NOW), KEYS, NOW))
    second = line.run(ADAPTER.transaction_log(LogQuery(since=since, until=NOW, cursor=first.cursor), KEYS, NOW))
    assert second.cursor is None
    assert line.bodies() == [
        ("transactions/list", {"operator_id": 7, "sub_partner_id": "brand-1", "start_time": start, "end_time": end})
        for start, end in (
            ("2026-01-02T01:34:05Z", "2026-01-02T02:34:05Z"),
            ("2026-01-02T02:34:05Z", "2026-01-02T03:04:05Z"),
        )
    ]
    (bet,), (win,) = first.entries, second.entries
    assert (bet.key.value, bet.kind, bet.state, bet.player) == ("bet-1", MovementKind.BET, "TS_SUCCESS", "john12345")
    assert (bet.amount.to_minor(EURO), bet.round, bet.game) == (356, "r-1", "clt_testfruits")
    assert bet.at == NOW - timedelta(minutes=80)
    assert (win.key.value, win.kind) == ("win-1", MovementKind.WIN)


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("TK_ROLLBACK", MovementKind.ROLLBACK),
        ("TK_FREE_BET", MovementKind.FREE_BET),
        ("TK_JP_WIN", MovementKind.JACKPOT_WIN),
        ("TK_NEG_BET", None),
        ("TK_NEW", None),
    ],
)
def test_a_row_of_a_kind_that_nobody_knows_is_a_row(kind: str, meant: MovementKind | None) -> None:
    row = {"transaction_uuid": "t-1", "kind": kind, "status": "TS_DECLINED", "amount": None}
    page = Line().run(ADAPTER.transaction_log(LogQuery(since=NOW, until=NOW), KEYS, NOW), always(200, [row]))
    (entry,) = page.entries
    assert (entry.kind, entry.state, entry.amount, entry.at) == (meant, "TS_DECLINED", None, None)


def test_a_row_without_its_id_is_no_row() -> None:
    with pytest.raises(UpstreamError):
        Line().run(
            ADAPTER.transaction_log(LogQuery(since=NOW, until=NOW), KEYS, NOW), always(200, [{"kind": "TK_BET"}])
        )


def test_a_cursor_is_a_moment() -> None:
    with pytest.raises(MalformedRequestError):
        Line().run(ADAPTER.transaction_log(LogQuery(since=NOW, until=NOW, cursor="page 2"), KEYS, NOW))


# --- free rounds


def test_free_rounds_are_made_of_a_template_that_leaves_open_what_is_asked_for() -> None:
    line = Line()
    issued = line.issue()
    assert (issued.state, issued.rounds) == ("FRS_ACTIVE", 5)
    paths = [path for path, _ in line.bodies()]
    assert paths == ["freebet/rewards/list", "freebet/prepaids/list", "freebet/rewards/create"]
    assert line.sent[2].effect is Effect.ONCE
    open_one = prepaids("clt_testfruits", "EUR")[2]
    assert line.bodies()[2][1] == {
        "operator_id": 7,
        "user": "john12345",
        "sub_partner_id": "brand-1",
        "prepaid_uuid": open_one["prepaid_uuid"],
        "game_code": "clt_testfruits",
        "currency": "EUR",
        "bet_count": 5,
        "bet_value": 30_000,
        "start_time": "2026-01-02T03:04:05Z",
        "end_time": "2026-01-09T03:04:05Z",
        "operator_reference": "grant-1",
    }


@pytest.mark.parametrize("bet", [20, None])
def test_a_template_that_fixes_what_is_asked_for_is_taken_and_one_for_a_bought_bonus_never(bet: int | None) -> None:
    line = Line()
    line.issue(evolve(GRANT, rounds=10, bet=bet))
    assert line.bodies()[2][1]["prepaid_uuid"] == prepaids("clt_testfruits", "EUR")[1]["prepaid_uuid"]


def test_where_no_template_fits_nothing_is_made() -> None:
    line = Line()
    with pytest.raises(ProviderRefusedError) as caught:
        line.issue(evolve(GRANT, bet=None))  # only the open one has five rounds, and that wants a value
    assert caught.value.provider_code == "no prepaid"
    with pytest.raises(ProviderRefusedError):
        line.issue(evolve(GRANT, games=("clt_testdice",)))
    assert not line.peer.api.rewards


def test_a_template_that_the_operator_names_needs_no_list() -> None:
    line = Line()
    line.issue(evolve(GRANT, template=prepaids("clt_testfruits", "EUR")[2]["prepaid_uuid"]))
    assert [path for path, _ in line.bodies()] == ["freebet/rewards/list", "freebet/rewards/create"]


def test_one_grant_is_given_once_however_many_rewards_the_player_has() -> None:
    line = Line()
    issued = [line.issue(evolve(GRANT, grant=f"grant-{number}")).reference for number in range(90)]
    assert len(set(issued)) == 90
    assert line.issue(evolve(GRANT, grant="grant-85")).reference == issued[85]
    assert len(line.peer.api.rewards) == 90


def test_a_reward_that_failed_is_made_again() -> None:
    line = Line()
    first = line.issue().reference
    line.peer.api.rewards[first]["status"] = "FRS_FAILED"
    assert line.issue().reference != first


def test_the_field_of_the_reference_is_what_the_setting_says() -> None:
    settings = evolve(SETTINGS, reward_reference="operator_reward_ref")
    line, adapter = Line(Hub88Peer(settings)), Hub88Adapter(settings)
    first = line.run(adapter.issue_free_rounds(GRANT, KEYS, NOW, "nonce"))
    again = line.run(adapter.issue_free_rounds(GRANT, KEYS, NOW, "nonce"))
    assert first == again
    assert line.bodies()[2][1]["operator_reward_ref"] == "grant-1"


def test_free_rounds_are_for_one_game() -> None:
    line = Line()
    with pytest.raises(UnsupportedOperationError):
        line.issue(evolve(GRANT, games=("clt_testfruits", "clt_testwheel")))
    assert not line.sent


@pytest.mark.parametrize(
    ("currency", "bet", "value"),
    [(Currency("JPY", 0), 3, 300_000), (Currency("KWD", 3), 5, 500), (Currency("BTC", 8), 7000, 7)],
)
def test_the_worth_of_a_round_is_told_in_the_wires_steps(currency: Currency, bet: int, value: int) -> None:
    line = Line()
    line.issue(evolve(GRANT, currency=currency.code, scale=currency, bet=bet))
    assert line.bodies()[2][1]["bet_value"] == value


@pytest.mark.parametrize("query", [
    evolve(GRANT, currency="BTC", scale=Currency("BTC", 8), bet=7001),
    evolve(GRANT, currency="KEUR"),
])  # fmt: skip
def test_a_worth_that_cannot_be_told_exactly_is_not_told(query: FreeRoundsQuery) -> None:
    with pytest.raises(UnsupportedOperationError):
        Line().issue(query)


def test_free_rounds_are_taken_back_by_the_providers_name_also_twice() -> None:
    line = Line()
    reward = line.issue().reference
    for _ in range(2):
        assert line.run(ADAPTER.cancel_free_rounds(reward, "john12345", KEYS, NOW)) is None
    assert line.peer.api.rewards[reward]["status"] == "FRS_CANCELLED"


def test_free_rounds_that_were_played_or_never_given_are_not_taken_back() -> None:
    line = Line()
    reward = line.issue().reference
    line.peer.api.rewards[reward]["status"] = "FRS_FINISHED"
    for name, code in ((reward, "400"), ("grant-1", "404")):
        with pytest.raises(ProviderRefusedError) as caught:
            line.run(ADAPTER.cancel_free_rounds(name, "john12345", KEYS, NOW))
        assert caught.value.provider_code == code


def test_an_answer_about_other_free_rounds_is_no_answer() -> None:
    with pytest.raises(UpstreamError):
        Line().run(ADAPTER.cancel_free_rounds("r-1", "john12345", KEYS, NOW), always(200, {"reward_uuid": "r-2"}))


def test_a_players_free_rounds_are_listed_and_nobody_elses() -> None:
    line = Line()
    mine = line.issue()
    line.issue(evolve(GRANT, player="ann-1234", grant="grant-2"))
    assert line.run(ADAPTER.list_free_rounds("john12345", KEYS, NOW)) == (mine,)


@pytest.mark.parametrize("cursor", [17, "1"])
def test_a_list_that_leads_nowhere_is_left(cursor: object) -> None:
    page = {"rewards": [], "pagination": {"next_cursor": cursor}}
    with pytest.raises(UpstreamError):
        Line().run(ADAPTER.list_free_rounds("john12345", KEYS, NOW), always(200, page))
