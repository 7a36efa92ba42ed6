"""The hub's own calls: launches, free spins and the catalogue, driven by hand against the simulated provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

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
    GameListing,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    Money,
    Notice,
    PeerPlayer,
    Play,
    ProviderRefusedError,
    SettingsError,
    UnsupportedOperationError,
    UpstreamError,
    WireAmount,
)
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.mapping import PROVIDER_REFUSALS
from croupier_softswiss.peer import PeerGame, SoftswissPeer
from croupier_softswiss.settings import CatalogueFormat, SoftswissSettings
from croupier_softswiss.wire import sign

T = TypeVar("T")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("test",)})
EUR = Currency("EUR", 2)
SETTINGS = SoftswissSettings(
    api_url="https://provider.example/api/",
    casino_id="acme",
    catalogue_urls=("https://files.example/games.json",),
    subunits={"ETH": 18, "BTC": 8},
)
ADAPTER = SoftswissAdapter(SETTINGS)
QUERY = LaunchQuery(
    game="acceptance:test",
    currency="EUR",
    scale=EUR,
    player="p-1",
    token="launch-token",
    session="hub-session",
    language="de",
    device=Device.MOBILE,
    country="DE",
    jurisdiction="MGA",
    address="203.0.113.7",
    return_url="https://casino.example/lobby",
    deposit_url="https://casino.example/cashier",
    balance=Money(12345, EUR),
    person={
        "first_name": "Test",
        "last_name": "Person",
        "email": "test@person.example",
        "birth_date": "1990-01-02",
        "gender": "Female",
        "city": "Berlin",
        "nickname": "tester",
        "registered_at": "2020-01-01T00:00:00Z",
        "unknown": "not sent",
    },
)
GRANT = FreeRoundsQuery(
    grant="i-1",
    player="p-1",
    games=("acceptance:test", "acceptance:fruits"),
    rounds=10,
    currency="EUR",
    scale=EUR,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=7),
    bet_level=2,
    person={"email": "test@person.example"},
)


def drive(flow: Flow[T], answer: Callable[[HttpRequest], HttpResponse]) -> tuple[T, list[HttpRequest]]:
    """Run a flow to its end; its value, and what it sent."""
    sent: list[HttpRequest] = []
    try:
        sent.append(next(flow))
        while True:
            sent.append(flow.send(answer(sent[-1])))
    except StopIteration as stop:
        return stop.value, sent


def served_by(peer: SoftswissPeer) -> Callable[[HttpRequest], HttpResponse]:
    return lambda request: peer.serve(request, KEYS, NOW)


def always(status: int, body: Any) -> Callable[[HttpRequest], HttpResponse]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _request: HttpResponse.json(raw, status)


def launch(query: LaunchQuery, answer: Callable[[HttpRequest], HttpResponse]) -> tuple[Launched, HttpRequest]:
    launched, (request,) = drive(ADAPTER.launch(query, KEYS, NOW, "nonce"), answer)
    return launched, request


def test_a_launch_sends_what_the_provider_asks_for_and_signs_it() -> None:
    _, request = launch(QUERY, served_by(SoftswissPeer(SETTINGS)))
    assert (request.method, request.url) == ("POST", "https://provider.example/api/sessions")
    assert request.effect is Effect.ONCE
    assert request.headers.get("X-REQUEST-SIGN") == sign("test", request.body)
    assert json.loads(request.body) == {
        "casino_id": "acme",
        "game": "acceptance:test",
        "currency": "EUR",
        "locale": "de",
        "ip": "203.0.113.7",
        "client_type": "mobile",
        "balance": 12345,
        "urls": {"return_url": "https://casino.example/lobby", "deposit_url": "https://casino.example/cashier"},
        "user": {
            "id": "p-1",
            "email": "test@person.example",
            "firstname": "Test",
            "lastname": "Person",
            "nickname": "tester",
            "city": "Berlin",
            "country": "DE",
            "date_of_birth": "1990-01-02",
            "gender": "f",
            "registered_at": "2020-01-01T00:00:00Z",
        },
        "jurisdiction": "MGA",
    }


def test_a_launch_makes_the_player_known_to_the_provider() -> None:
    peer = SoftswissPeer(SETTINGS)
    launched, _ = launch(QUERY, served_by(peer))
    assert launched.url is not None
    assert peer.launched(launched.url) == PeerPlayer(
        player="p-1", token="", game="acceptance:test", currency="EUR", session=launched.session or ""
    )
    again, _ = launch(QUERY, served_by(peer))
    assert again.url != launched.url


def test_a_demo_carries_neither_player_nor_balance() -> None:
    _, request = launch(evolve(QUERY, demo=True), served_by(SoftswissPeer(SETTINGS)))
    assert request.url == "https://provider.example/api/demo"
    assert {"user", "balance"} & set(json.loads(request.body)) == set()


def test_absent_facts_are_left_out_and_not_invented() -> None:
    query = LaunchQuery(game="acceptance:test", currency="EUR", scale=EUR, player="p-1", person={"gender": "x"})
    _, request = launch(query, served_by(SoftswissPeer(SETTINGS)))
    assert json.loads(request.body) == {
        "casino_id": "acme",
        "game": "acceptance:test",
        "currency": "EUR",
        "locale": "en",
        "client_type": "desktop",
        "urls": {},
        "user": {"id": "p-1"},
    }


@pytest.mark.parametrize(
    ("currency", "money", "sent"),
    [
        ("ETH", Money(1_500_000_000, Currency("ETH", 9)), 1_500_000_000_000_000_000),
        ("JPY", Money(500, Currency("JPY", 0)), 500),
        ("IDR2", Money(500_000, Currency("IDR", 2)), None),
    ],
)
def test_the_balance_of_a_launch_is_in_the_wires_subunits_or_absent(
    currency: str, money: Money, sent: int | None
) -> None:
    query = evolve(QUERY, currency=currency, scale=money.currency, balance=money)
    _, request = launch(query, served_by(SoftswissPeer(SETTINGS)))
    assert json.loads(request.body).get("balance") == sent


@pytest.mark.parametrize(
    ("device", "options", "url"),
    [
        (Device.DESKTOP, {"game_url": "https://g.example/1", "strategy": "iframe"}, "https://g.example/1"),
        (
            Device.DESKTOP,
            {"desktop_url": "https://g.example/d", "mobile_url": "https://g.example/m"},
            "https://g.example/d",
        ),
        (
            Device.MOBILE,
            {"desktop_url": "https://g.example/d", "mobile_url": "https://g.example/m"},
            "https://g.example/m",
        ),
        (Device.MOBILE, {"desktop_url": "https://g.example/d", "mobile_url": None}, "https://g.example/d"),
    ],
)
def test_the_games_address_is_found_in_either_form_of_the_answer(
    device: Device, options: dict[str, Any], url: str
) -> None:
    answer = always(200, {"launch_options": options, "session_id": "s-9"})
    launched, _ = launch(evolve(QUERY, device=device), answer)
    assert launched == Launched(url=url, session="s-9")


UNUSABLE: tuple[tuple[int, Any], ...] = (
    (200, {}),
    (200, {"launch_options": "x"}),
    (200, {"launch_options": {}}),
    (200, {"launch_options": {"game_url": "javascript:alert(1)"}}),
    (200, b"<html>"),
    (200, b""),
    (302, b""),
    (404, b""),
    (412, {"message": "no code"}),
    (412, {"code": "610"}),
    (412, {"code": 504}),
    (500, {"code": 500}),
    (502, b"bad gateway"),
    (503, {"code": 503, "message": "later"}),
    (500, {"code": 9999}),
)


@pytest.mark.parametrize(("status", "body"), UNUSABLE)
def test_an_answer_that_cannot_be_used_is_no_refusal(status: int, body: Any) -> None:
    with pytest.raises(UpstreamError):
        launch(QUERY, always(status, body))


@pytest.mark.parametrize("code", [*sorted(PROVIDER_REFUSALS), 9999])
def test_every_definite_refusal_keeps_the_providers_code_and_no_word_of_its_text(code: int) -> None:
    answer = always(412, {"code": code, "message": "player test@person.example is no good"})
    flows: tuple[Callable[[], Flow[Any]], ...] = (
        lambda: ADAPTER.launch(QUERY, KEYS, NOW, ""),
        lambda: ADAPTER.launch(evolve(QUERY, demo=True), KEYS, NOW, ""),
        lambda: ADAPTER.issue_free_rounds(GRANT, KEYS, NOW, ""),
        lambda: ADAPTER.cancel_free_rounds("i-1", "p-1", KEYS, NOW),
    )
    for flow in flows:
        with pytest.raises(ProviderRefusedError) as caught:
            drive(flow(), answer)
        assert caught.value.provider_code == str(code)
        assert "person" not in str(caught.value)


@pytest.mark.parametrize("code", [600, 601, 602, 605, 606, 607, 610, 611, 620, 700])
def test_the_documented_refusals_of_the_provider_are_definite_under_any_status(code: int) -> None:
    for status in (200, 400, 412, 500):
        with pytest.raises(ProviderRefusedError):
            launch(QUERY, always(status, {"code": code}))


def test_the_peer_refuses_the_launch_of_a_game_it_does_not_have() -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        launch(evolve(QUERY, game="acceptance:none"), served_by(SoftswissPeer(SETTINGS)))
    assert caught.value.provider_code == "405"


def test_the_peer_refuses_another_casinos_name() -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        launch(QUERY, served_by(SoftswissPeer(evolve(SETTINGS, casino_id="other"))))
    assert caught.value.provider_code == "403"


def test_without_a_token_nothing_is_sent() -> None:
    with pytest.raises(SettingsError, match=r"secrets\.auth_token"):
        drive(ADAPTER.launch(QUERY, Credentials(), NOW, ""), always(200, {}))


def issue(peer: SoftswissPeer, query: FreeRoundsQuery = GRANT) -> HttpRequest:
    issued, (request,) = drive(ADAPTER.issue_free_rounds(query, KEYS, NOW, "nonce"), served_by(peer))
    assert issued == FreeRoundsIssued(reference=query.grant)
    return request


def test_free_spins_are_issued_under_the_hubs_own_reference() -> None:
    request = issue(SoftswissPeer(SETTINGS))
    assert request.url == "https://provider.example/api/freespins/issue"
    assert request.effect is Effect.IDEMPOTENT
    assert request.headers.get("X-REQUEST-SIGN") == sign("test", request.body)
    assert json.loads(request.body) == {
        "casino_id": "acme",
        "issue_id": "i-1",
        "currency": "EUR",
        "games": ["acceptance:test", "acceptance:fruits"],
        "freespins_quantity": 10,
        "bet_level": 2,
        "valid_until": "2026-01-09T03:04:05Z",
        "user": {"id": "p-1", "email": "test@person.example"},
    }


def test_a_repeat_of_the_same_grant_sends_the_same_bytes_and_makes_no_second() -> None:
    peer = SoftswissPeer(SETTINGS)
    assert issue(peer) == issue(peer)
    assert list(peer.issues) == ["i-1"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (evolve(GRANT, rounds=11), "610"),
        (evolve(GRANT, grant="i-2", games=()), "602"),
        (evolve(GRANT, grant="i-2", games=("acceptance:none",)), "405"),
        (evolve(GRANT, grant="i-2", games=("acceptance:wheel",)), "601"),
        (evolve(GRANT, grant="i-2", games=("acceptance:test", "other:dice")), "607"),
        (evolve(GRANT, grant="i-2", rounds=0), "610"),
        (evolve(GRANT, grant="i-2", valid_until=NOW), "611"),
    ],
)
def test_the_peer_refuses_free_spins_as_the_provider_would(query: FreeRoundsQuery, code: str) -> None:
    peer = SoftswissPeer(SETTINGS)
    issue(peer)
    with pytest.raises(ProviderRefusedError) as caught:
        drive(ADAPTER.issue_free_rounds(query, KEYS, NOW, ""), served_by(peer))
    assert caught.value.provider_code == code
    assert list(peer.issues) == ["i-1"]


def test_free_spins_whose_total_could_not_be_read_are_not_issued() -> None:
    wei = evolve(GRANT, currency="ETH", scale=Currency("ETH", 9))
    with pytest.raises(UnsupportedOperationError):
        drive(ADAPTER.issue_free_rounds(wei, KEYS, NOW, ""), always(200, {}))
    issue(SoftswissPeer(SETTINGS), evolve(GRANT, currency="BTC", scale=Currency("BTC", 8)))


def cancel(peer: SoftswissPeer) -> HttpRequest:
    _, (request,) = drive(ADAPTER.cancel_free_rounds("i-1", "p-1", KEYS, NOW), served_by(peer))
    return request


def test_free_spins_are_cancelled_and_a_repeat_changes_nothing() -> None:
    peer = SoftswissPeer(SETTINGS)
    issue(peer)
    request = cancel(peer)
    assert cancel(peer) == request
    assert request.effect is Effect.IDEMPOTENT
    assert (request.url, json.loads(request.body)) == (
        "https://provider.example/api/freespins/cancel",
        {"casino_id": "acme", "issue_id": "i-1"},
    )
    assert peer.issues["i-1"].state == "canceled"


@pytest.mark.parametrize("status", [302, 404, 500, 502])
def test_free_spins_without_a_success_are_neither_issued_nor_cancelled(status: int) -> None:
    with pytest.raises(UpstreamError):
        drive(ADAPTER.issue_free_rounds(GRANT, KEYS, NOW, ""), always(status, b""))
    with pytest.raises(UpstreamError):
        drive(ADAPTER.cancel_free_rounds("i-1", "p-1", KEYS, NOW), always(status, b""))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"issue_id":"i-1"}'])
def test_any_success_without_a_code_issues_free_spins(body: bytes) -> None:
    issued, _ = drive(ADAPTER.issue_free_rounds(GRANT, KEYS, NOW, ""), always(201, body))
    assert issued == FreeRoundsIssued(reference="i-1")


def test_free_spins_that_were_played_or_never_issued_cannot_be_cancelled() -> None:
    peer = SoftswissPeer(SETTINGS)
    with pytest.raises(ProviderRefusedError) as unknown:
        cancel(peer)
    issue(peer)
    peer.freespins_ended("i-1", Decimal("1.50"), KEYS)
    with pytest.raises(ProviderRefusedError) as played:
        cancel(peer)
    assert (unknown.value.provider_code, played.value.provider_code) == ("404", "620")


def test_the_end_of_issued_free_spins_reaches_the_hub_with_their_total() -> None:
    peer = SoftswissPeer(SETTINGS)
    issue(peer)
    going_on = peer.freespins_ended("i-1", Decimal("0.75"), KEYS, status="active")
    (notice,) = ADAPTER.parse(ADAPTER.verify(going_on, KEYS, NOW)).items
    assert isinstance(notice, Notice)
    (play,) = ADAPTER.parse(ADAPTER.verify(peer.freespins_ended("i-1", Decimal("1.50"), KEYS), KEYS, NOW)).items
    assert isinstance(play, Play)
    assert (play.grant, play.closes_grant) == ("i-1", True)
    amount = play.movements[0].amount
    assert isinstance(amount, WireAmount)
    assert amount.to_minor(EUR) == 150


ENTRY: dict[str, Any] = {
    "identifier": "acceptance:test",
    "identifier2": "test",
    "title": "Acceptance Test",
    "provider": "acceptance",
    "producer": "studio",
    "category": "slots",
    "feature_group": "basic",
    "devices": ["desktop", "watch"],
    "has_freespins": True,
    "payout": "96.50",
    "volatility_rating": "high",
    "hd": True,
    "restrictions": {"default": {"blacklist": ["us", "FR", "not a country", 7]}},
    "lines": 20,
}
LISTED = GameListing(
    code="acceptance:test",
    name="Acceptance Test",
    studio="studio",
    category="slots",
    devices=frozenset({Device.DESKTOP}),
    free_rounds=True,
    rtp="96.50",
    volatility="high",
    lines="20",
    blocked_countries=frozenset({"US", "FR"}),
    features=("basic",),
)


def games(
    answer: Callable[[HttpRequest], HttpResponse], settings: SoftswissSettings = SETTINGS
) -> tuple[GameListing, ...]:
    return drive(SoftswissAdapter(settings).game_list(KEYS, NOW), answer)[0]


def test_the_catalogue_is_downloaded_without_a_proof() -> None:
    _, (request,) = drive(ADAPTER.game_list(KEYS, NOW), always(200, []))
    assert request == HttpRequest("GET", "https://files.example/games.json", effect=Effect.READ)


@pytest.mark.parametrize("form", CatalogueFormat)
def test_the_peers_catalogue_is_read_in_either_form(form: CatalogueFormat) -> None:
    peer = SoftswissPeer(SETTINGS, games=(PeerGame(identifier="acceptance:test", title="Test", has_freespins=False),))
    assert games(served_by(peer), evolve(SETTINGS, catalogue_format=form)) == (
        GameListing(
            code="acceptance:test",
            name="Test",
            studio="acceptance",
            category="slots",
            rtp="96.5",
            volatility="medium",
            lines="20",
            blocked_countries=frozenset({"US"}),
            features=("basic",),
        ),
    )


@pytest.mark.parametrize("document", [[ENTRY], {"games": [ENTRY]}])
def test_an_entry_of_the_catalogue_is_read_in_full(document: Any) -> None:
    assert games(always(200, document)) == (LISTED,)


def test_descriptive_fields_that_make_no_sense_are_left_out() -> None:
    entry: dict[str, Any] = {
        "identifier": "a:b",
        "title": None,
        "devices": "all",
        "payout": "high",
        "volatility_rating": True,
        "restrictions": [],
        "has_freespins": "no",
        "ways": 243,
        "category": {},
    }
    assert games(always(200, [entry])) == (GameListing(code="a:b", name="a:b", lines="243"),)


@pytest.mark.parametrize(("payout", "rtp"), [(b"96.50", "96.50"), (b'"96.5%"', "96.5"), (b"97", "97"), (b"null", None)])
def test_the_return_to_player_is_exact_text(payout: bytes, rtp: str | None) -> None:
    (game,) = games(always(200, b'[{"identifier":"a:b","payout":' + payout + b"}]"))
    assert game.rtp == rtp


def test_several_files_are_read_and_a_game_is_listed_once() -> None:
    settings = evolve(SETTINGS, catalogue_urls=("https://files.example/1", "https://files.example/2"))
    files = {
        "https://files.example/1": [ENTRY, {"identifier": "a:b"}],
        "https://files.example/2": [{**ENTRY, "title": "Another"}, {"identifier": "c:d"}],
    }
    found = games(lambda request: always(200, files[request.url])(request), settings)
    assert [(game.code, game.name) for game in found] == [
        ("acceptance:test", "Acceptance Test"),
        ("a:b", "a:b"),
        ("c:d", "c:d"),
    ]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, []),
        (200, b""),
        (200, b"{"),
        (200, {"items": []}),
        (200, ["a game"]),
        (200, [ENTRY, {"title": "No identifier"}]),
        (200, [{"identifier": ""}]),
    ],
)
def test_half_a_catalogue_is_no_catalogue(status: int, body: Any) -> None:
    with pytest.raises(UpstreamError):
        games(always(status, body))


def test_without_an_address_there_is_no_catalogue() -> None:
    with pytest.raises(SettingsError, match=r"settings\.catalogue_urls"):
        games(always(200, []), evolve(SETTINGS, catalogue_urls=()))


YAML = b"""
---
- identifier: acceptance:test
  title: "Acceptance Test"
  producer: studio
  category: slots
  feature_group: basic
  devices: [desktop, watch]
  has_freespins: true
  payout: 96.50
  volatility_rating: high
  lines: 20
  restrictions:
    default:
      blacklist:
      - US
      - FR
- identifier: 'a:b'
  title: ~
  payout:
"""
YAML_SETTINGS = evolve(SETTINGS, catalogue_format=CatalogueFormat.YAML)


def test_a_yaml_catalogue_is_read_without_any_float() -> None:
    assert games(always(200, YAML), YAML_SETTINGS) == (LISTED, GameListing(code="a:b", name="a:b"))


HOSTILE = {
    "empty": b"",
    "not UTF-8": b"\xff",
    "broken": b"- {",
    "a key twice": b"- identifier: a:b\n  title: A\n  title: B\n",
    "a key that is no text": b"- identifier: a:b\n  ? [a]\n  : 1\n",
    "an alias": b"- &x {identifier: a}\n- *x\n",
    "deep list": b"[" * 100_000,
    "deep block": b"- " * 100_000 + b"a",
    "deep mapping": b"{a: " * 5_000,
    "no list": b"identifier: a",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_yaml_file_that_is_broken_or_hostile_is_no_catalogue(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        games(always(200, body), YAML_SETTINGS)
