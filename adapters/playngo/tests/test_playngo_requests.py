"""What the provider's requests mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve

from croupier.contract import (
    AmountError,
    Authenticate,
    AuthenticationError,
    BalanceQuery,
    Call,
    CloseRound,
    Credentials,
    Currency,
    Funding,
    HttpRequest,
    MalformedRequestError,
    Movement,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    Target,
    UnsupportedOperationError,
    WireAmount,
)
from croupier_playngo.adapter import PlayngoAdapter
from croupier_playngo.settings import ACCESS_TOKEN, PlayngoSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EUR = Currency("EUR", 2)
KEYS = Credentials({ACCESS_TOKEN: ("shared",)})
SETTINGS = PlayngoSettings(
    product_id="1", game_host="games.playngo.example", api_url="https://api.playngo.example/service", api_user="test"
)

# The example of the sheet, element by element.
RESERVE = {
    "externalId": "421",
    "productId": "1",
    "transactionId": "1001",
    "real": "1.50",
    "currency": "EUR",
    "gameId": "100310",
    "gameSessionId": "77",
    "accessToken": "shared",
    "roundId": "9001",
    "externalGameSessionId": "sess-1",
    "channel": "1",
    "freegameExternalId": "",
    "actualValue": "1.50",
}
RELEASE = {**RESERVE, "transactionId": "2001", "real": "4.00", "state": "0", "type": "0", "jackpotGain": "0.00"}


def document(root: str, fields: Mapping[str, str]) -> bytes:
    return f"<{root}>{''.join(f'<{name}>{text}</{name}>' for name, text in fields.items())}</{root}>".encode()


def request(root: str, fields: Mapping[str, str], path: str | None = None) -> HttpRequest:
    return HttpRequest("POST", path or f"/{root}", body=document(root, fields))


def calls(sent: HttpRequest, settings: PlayngoSettings = SETTINGS) -> tuple[Call, ...]:
    adapter = PlayngoAdapter(settings)
    return adapter.parse(adapter.verify(sent, KEYS, NOW)).items


def played(root: str, fields: Mapping[str, str], settings: PlayngoSettings = SETTINGS) -> tuple[Play, Movement]:
    (play,) = calls(request(root, fields), settings)
    assert isinstance(play, Play)
    (movement,) = play.movements
    return play, movement


def minor(amount: object) -> int:
    assert isinstance(amount, WireAmount)
    return amount.to_minor(EUR)


def test_a_reserve_is_a_bet() -> None:
    play, bet = played("reserve", RESERVE)
    assert (play.player, play.session, play.round, play.game, play.currency) == (
        "421",
        "sess-1",
        "9001",
        "100310",
        "EUR",
    )
    assert (bet.kind, bet.keys, minor(bet.amount)) == (MovementKind.BET, (MovementKey("reserve", "1001"),), 150)
    assert (play.grant, play.closes_round, bet.facts) == (None, False, None)


def test_a_reserve_without_the_hubs_session_is_found_by_its_player() -> None:
    play, _ = played("reserve", {name: text for name, text in RESERVE.items() if name != "externalGameSessionId"})
    assert (play.session, play.player) == (None, "421")


@pytest.mark.parametrize(("real", "worth", "stake"), [("0.00", "0.20", 20), ("0.20", "0.20", 20), ("0.20", "0.00", 20)])
def test_a_reserve_of_free_games_charges_nothing(real: str, worth: str, stake: int) -> None:
    fields = {**RESERVE, "freegameExternalId": "grant-1", "real": real, "actualValue": worth}
    play, bet = played("reserve", fields)
    assert (bet.kind, minor(bet.amount), minor(bet.stake), play.grant) == (MovementKind.FREE_BET, 0, stake, "grant-1")
    assert bet.funding is Funding.OPERATOR


def test_a_release_is_a_win() -> None:
    play, win = played("release", RELEASE)
    assert (win.kind, win.keys, minor(win.amount)) == (MovementKind.WIN, (MovementKey("release", "2001"),), 400)
    assert (play.round, play.closes_round, win.target) == ("9001", False, None)


def test_a_lost_round_is_a_win_of_nothing() -> None:
    _, win = played("release", {**RELEASE, "real": "0.00"})
    assert (win.kind, minor(win.amount)) == (MovementKind.WIN, 0)


@pytest.mark.parametrize(("ended", "closes"), [("1", True), ("true", True), ("0", False), ("", False), ("7", False)])
def test_a_win_of_free_games_needs_no_bet_and_may_end_its_grant(ended: str, closes: bool) -> None:
    free = {"type": "1", "freegameExternalId": "grant-1", "freegameFinished": ended}
    play, win = played("release", {**RELEASE, **free})
    assert (win.kind, minor(win.amount), play.grant, play.closes_grant) == (
        MovementKind.FREE_WIN,
        400,
        "grant-1",
        closes,
    )


def test_a_win_of_free_games_without_a_grant_is_one_all_the_same() -> None:
    play, win = played("release", {**RELEASE, "type": "1"})
    assert (win.kind, play.grant) == (MovementKind.FREE_WIN, None)


def test_jackpots_and_turnover_are_facts_and_no_money() -> None:
    told = {"jackpotGain": "100.00", "jackpotLoss": "0.015", "turnover": "1.50"}
    _, win = played("release", {**RELEASE, **told})
    assert win.facts is not None
    assert (minor(win.amount), minor(win.facts.jackpot_win), minor(win.facts.turnover)) == (400, 10_000, 150)
    assert win.facts.jackpot_contribution == WireAmount(Decimal("0.015"), currency="EUR")


@pytest.mark.parametrize("name", ["jackpotGain", "jackpotLoss", "turnover"])
@pytest.mark.parametrize("text", ["1E-05", "0,01", "-1.00", "much"])
def test_no_win_is_refused_over_a_fact_that_cannot_be_read(name: str, text: str) -> None:
    told = {"jackpotGain": "7.00", "jackpotLoss": "7.00", "turnover": "7.00", name: text}
    _, win = played("release", {**RELEASE, **told})
    assert minor(win.amount) == 400
    assert win.facts is not None
    facts = (win.facts.jackpot_win, win.facts.jackpot_contribution, win.facts.turnover)
    assert [fact is None for fact in facts] == [given == text for given in told.values()]


def test_no_win_is_refused_over_elements_inside_a_fact() -> None:
    body = document("release", RELEASE).replace(b"</release>", b"<freegameFinished><a/></freegameFinished></release>")
    (play,) = calls(HttpRequest("POST", "/release", body=body))
    assert isinstance(play, Play)
    assert not play.closes_grant


def test_a_list_of_jackpots_is_read_over() -> None:
    jackpots = (
        b"<jackpots><jackpot><id>1</id><loss>0.01</loss><win>0</win></jackpot><jackpot><id>2</id></jackpot></jackpots>"
    )
    body = document("reserve", RESERVE).replace(b"</reserve>", jackpots + b"</reserve>")
    (play,) = calls(HttpRequest("POST", "/reserve", body=body))
    assert isinstance(play, Play)
    assert minor(play.movements[0].amount) == 150


def test_the_end_of_a_game_session_ends_its_round_and_pays_nothing() -> None:
    (close,) = calls(request("release", {**RELEASE, "state": "1", "real": "0.00"}))
    assert isinstance(close, CloseRound)
    assert (close.round, close.player, close.session) == ("9001", "421", "sess-1")


def test_an_amount_at_the_end_of_a_game_session_is_told_and_moves_nothing() -> None:
    notice, close = calls(request("release", {**RELEASE, "state": "1"}))
    assert isinstance(notice, Notice)
    assert isinstance(close, CloseRound)
    assert (notice.reference, notice.player) == ("2001", "421")
    assert [notice.facts[name] for name in ("externalId", "roundId", "real", "state")] == ["421", "9001", "4.00", "1"]


def test_an_amount_at_the_end_of_a_game_session_is_a_win_where_the_account_says_so() -> None:
    settings = evolve(SETTINGS, credit_on_closed=True)
    play, win = played("release", {**RELEASE, "state": "1"}, settings)
    assert (win.kind, minor(win.amount), play.closes_round) == (MovementKind.WIN, 400, True)
    (close,) = calls(request("release", {**RELEASE, "state": "1", "real": "0.00"}), settings)
    assert isinstance(close, CloseRound)


@pytest.mark.parametrize("credit_on_closed", [False, True])
@pytest.mark.parametrize("state", ["0", "1"])
def test_what_belongs_to_no_round_never_moves_money(credit_on_closed: bool, state: str) -> None:
    settings = evolve(SETTINGS, credit_on_closed=credit_on_closed)
    notice, balance = calls(request("release", {**RELEASE, "roundId": "0", "state": state}), settings)
    assert isinstance(notice, Notice)
    assert isinstance(balance, BalanceQuery)
    assert (notice.facts["roundId"], balance.player) == ("0", "421")


def test_a_cancel_undoes_the_reserve_of_its_id() -> None:
    play, undo = played("cancelReserve", RESERVE)
    assert (undo.kind, undo.keys) == (MovementKind.ROLLBACK, (MovementKey("cancelReserve", "1001"),))
    assert (undo.target, play.player) == (Target(key=MovementKey("reserve", "1001")), "421")


def test_a_ticket_is_exchanged_for_a_session_of_its_own() -> None:
    fields = {"username": "ticket-1", "productId": "1", "clientIP": "198.51.100.9", "accessToken": "shared"}
    (call,) = calls(request("authenticate", {**fields, "gameId": "100310"}))
    assert isinstance(call, Authenticate)
    assert (call.token, call.game, call.rotate, call.address) == ("ticket-1", "100310", True, "198.51.100.9")


def test_a_balance_is_asked_for() -> None:
    (call,) = calls(request("balance", RESERVE))
    assert isinstance(call, BalanceQuery)
    assert (call.player, call.session, call.currency) == ("421", "sess-1", "EUR")


@pytest.mark.parametrize("path", ["/reserve", "/reserve/", "/Reserve", "/cancelReserve", "/cancelreserve"])
def test_addresses_are_found_in_the_cases_that_operators_write(path: str) -> None:
    root = "reserve" if "eserve" in path[:9] else "cancelReserve"
    assert calls(request(root, RESERVE, path))


@pytest.mark.parametrize("token", ["Shared", "shared ", "", "share"])
def test_another_access_token_is_not_believed(token: str) -> None:
    with pytest.raises(AuthenticationError):
        calls(request("reserve", {**RESERVE, "accessToken": token}))


def test_a_request_of_another_product_group_is_refused() -> None:
    with pytest.raises(MalformedRequestError, match="productId"):
        calls(request("reserve", {**RESERVE, "productId": "2"}))


def test_a_document_at_another_methods_address_is_refused() -> None:
    with pytest.raises(MalformedRequestError, match="root element"):
        calls(request("release", RELEASE, "/reserve"))


def test_an_address_of_no_method_is_refused() -> None:
    with pytest.raises(UnsupportedOperationError):
        calls(request("reserve", RESERVE, "/deposit"))


@pytest.mark.parametrize("name", ["externalId", "transactionId", "currency", "gameId", "roundId"])
@pytest.mark.parametrize("root", ["reserve", "release", "cancelReserve"])
def test_what_every_movement_needs_must_be_there(root: str, name: str) -> None:
    fields = RELEASE if root == "release" else RESERVE
    with pytest.raises(MalformedRequestError, match=name):
        calls(request(root, {**fields, name: ""}))


@pytest.mark.parametrize(("root", "name"), [("reserve", "real"), ("release", "real"), ("release", "state")])
def test_what_some_movements_need_must_be_there(root: str, name: str) -> None:
    fields = RELEASE if root == "release" else RESERVE
    with pytest.raises(MalformedRequestError, match=name):
        calls(request(root, {**fields, name: ""}))


@pytest.mark.parametrize("changes", [{"state": "2"}, {"state": ""}, {"type": "free"}])
def test_a_flag_of_another_value_is_refused(changes: Mapping[str, str]) -> None:
    with pytest.raises(MalformedRequestError, match=next(iter(changes))):
        calls(request("release", {**RELEASE, **changes}))


@pytest.mark.parametrize("amount", ["-1.00", "1,50", "NaN", "1e3", "0x10", " 1.50"])
def test_an_amount_that_is_none_is_refused(amount: str) -> None:
    with pytest.raises((AmountError, MalformedRequestError), match="real"):
        calls(request("reserve", {**RESERVE, "real": amount}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"reserve",
        b"<reserve>",
        b'<!DOCTYPE reserve [<!ENTITY a "b">]><reserve><accessToken>shared</accessToken></reserve>',
        b"<!DOCTYPE reserve><reserve><accessToken>shared</accessToken></reserve>",
        b'<?xml version="1.0" encoding="no-such"?><reserve><accessToken>shared</accessToken></reserve>',
        b"<reserve>text<accessToken>shared</accessToken></reserve>",
        b"<reserve><accessToken>shared</accessToken>text</reserve>",
        b"<reserve><accessToken>other</accessToken><accessToken>shared</accessToken></reserve>",
        b"<reserve><jackpots><jackpot><id><deep/></id></jackpot></jackpots><accessToken>shared</accessToken></reserve>",
        pytest.param(b"<reserve><accessToken>shared</accessToken></reserve>" + b" " * 70_000, id="too long"),
    ],
)
def test_what_is_no_document_of_the_protocol_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        PlayngoAdapter(SETTINGS).verify(HttpRequest("POST", "/reserve", body=body), KEYS, NOW)


def test_a_document_may_be_laid_out_and_escaped() -> None:
    body = b"<?xml version='1.0' encoding='utf-8'?>\n" + document("reserve", {**RESERVE, "roundId": "a&amp;b"})
    body = body.replace(b"><", b">\n  <").replace(b">\n  </freegame", b"></freegame")
    (play,) = calls(HttpRequest("POST", "/reserve", body=body))
    assert isinstance(play, Play)
    assert play.round == "a&b"


def test_what_is_kept_of_a_request_holds_no_token_and_no_player() -> None:
    kept = PlayngoAdapter(SETTINGS).redact(request("reserve", RESERVE))
    assert kept.body == (
        b"<reserve><productId>1</productId><transactionId>1001</transactionId><real>1.50</real><currency>EUR</currency>"
        b"<gameId>100310</gameId><roundId>9001</roundId><channel>1</channel><actualValue>1.50</actualValue></reserve>"
    )


@pytest.mark.parametrize(
    "body", [b"", b"no XML", pytest.param(b"<a>" * 70_000, id="deep"), b"<e:Envelope xmlns:e='e'/>", b"<a-b/>"]
)
def test_what_cannot_be_read_is_not_kept(body: bytes) -> None:
    kept = PlayngoAdapter(SETTINGS).redact(HttpRequest("POST", "/reserve?a=b", body=body))
    assert (kept.url, kept.body) == ("/reserve", b"")
