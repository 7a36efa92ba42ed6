"""The operator API on a real ledger: what it starts, shows and refuses, and that nobody sees another's."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from croupier.configuration.documents import Kind, Role
from croupier.contract import (
    HttpResponse,
    ProviderRefusedError,
    TransportError,
    TransportProblem,
)
from croupier.ledger.port import Change
from croupier.ledger.records import AdjustmentRow

LAUNCH = {"game": "toy--book-of-toys", "currency": "EUR", "player": "ann-1"}
FREE = {
    "reference": "welcome-1",
    "player": "ann-1",
    "games": ["toy--book-of-toys"],
    "rounds": 10,
    "currency": "EUR",
    "bet": 20,
    "valid_from": "2026-10-01T00:00:00Z",
    "valid_until": "2026-10-08T00:00:00Z",
}
SILENCE = TransportError("no answer", problem=TransportProblem.NO_ANSWER)
REFUSAL = ProviderRefusedError("no", provider_code="17")


async def launched(desk: Any, operator: str = "acme", player: str = "ann-1") -> str:
    answer = await desk.ask("POST", "/v1/launches", {**LAUNCH, "player": player}, operator=operator)
    assert answer.status == 201
    return str(answer.json["session"])


# --- who may ask


@pytest.mark.parametrize("key", ["", "wrong", "croupier_" + "0" * 43])
async def test_without_a_valid_key_every_address_answers_alike(desk: Any, key: str) -> None:
    answers = [await desk.ask("GET", url, key=key) for url in ("/v1/games", "/v1/sessions/x", "/v1/nonsense")]
    assert {(answer.status, answer.raw) for answer in answers} == {(401, answers[0].raw)}
    assert answers[0].code == "authentication"
    assert answers[0].headers.get("WWW-Authenticate") == "Bearer"


async def test_an_administrators_key_is_no_operators(desk: Any) -> None:
    made = await desk.configuration.create_key("hub", role=Role.ADMIN, label="root", who="t", why="t")
    assert (await desk.ask("GET", "/v1/games", key=made.bearer)).code == "forbidden"


async def test_a_key_that_was_deleted_or_expired_is_refused(desk: Any) -> None:
    operator = desk.operators["acme"]
    soon = desk.clock.now_ms() + 1_000
    made = await desk.configuration.create_key(
        operator, role=Role.OPERATOR, label="second", who="t", why="t", not_after=soon
    )
    assert (await desk.ask("GET", "/v1/games", key=made.bearer)).status == 200
    desk.clock.seconds += 2
    assert (await desk.ask("GET", "/v1/games", key=made.bearer)).status == 401
    (first,) = [one for one in desk.configuration.list(operator, Kind.KEY) if one.id != made.stored.id]
    await desk.configuration.delete(operator, Kind.KEY, first.id, who="t", why="t")
    assert (await desk.ask("GET", "/v1/games")).status == 401


async def test_two_authorization_fields_are_none(desk: Any) -> None:
    from croupier.contract import Headers, HttpRequest
    from croupier.web.apps import Incoming

    twice = Headers((("Authorization", f"Bearer {desk.keys['acme']}"),) * 2)
    response = await desk.operator_app.answer(
        Incoming(request=HttpRequest("GET", "/v1/games", twice), source="198.51.100.7")
    )
    assert response.status == 401


# --- how it is asked


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"game": 1}, "body.game", "Expected `str`"),
        ({"game": None}, "body.game", "Expected `str`"),
        ({"gane": "x"}, "body.gane", "there is no such field"),
        ({"currency": "E"}, "body.currency", "Expected `str`"),
        ({"demo": "yes"}, "body.demo", "Expected `bool`"),
        ({"demo": 1}, "body.demo", "Expected `bool`"),
        ({"return_url": "javascript:alert(1)"}, "body.return_url", "Expected `str`"),
        ({"person": {"email": 1}}, "body.person[...]", "Expected `str`"),
        ({"player": "a\u0000b"}, "body.player", "control characters"),
        ({"player": "a\ud800"}, "body.player", "control characters"),
        ({"player": "x" * 201}, "body.player", "Expected `str`"),
        ({"device": "fridge"}, "body.device", "Invalid enum value"),
        ({"lifetime_seconds": 1.5}, "body.lifetime_seconds", "Expected `int"),
        ({"player": None}, "body.player", "expected the player"),
        ({"player": "ann@example.com"}, "player", "e-mail"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_path(
    desk: Any, change: dict[str, Any], where: str, message: str
) -> None:
    answer = await desk.ask("POST", "/v1/launches", LAUNCH | change)
    assert answer.status == 400
    assert answer.json["error"]["where"] == where
    assert message in answer.json["error"]["message"]
    assert desk.provider.sent == []


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"game":"a","game":"a"}', "application/json"),
        (b'{"game":"toy--book-of-toys","currency":"EUR","demo":NaN}', "application/json"),
        (b'{"game":"toy--book-of-toys","currency":"EUR","demo":true}', "text/plain"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(desk: Any, raw: bytes, kind: str) -> None:
    answer = await desk.ask("POST", "/v1/launches", raw=raw, kind=kind)
    assert (answer.status, answer.code) == (400, "malformed")


async def test_limits_and_methods_and_addresses_are_refused_as_json(desk: Any) -> None:
    assert (await desk.ask("POST", "/v1/launches", raw=b"x" * 300_000)).status == 413
    wrong = await desk.ask("PATCH", "/v1/launches")
    assert (wrong.status, wrong.headers.get("Allow")) == (405, "POST")
    assert (await desk.ask("GET", "/v1/nonsense")).status == 404
    assert (await desk.ask("GET", "/v1/sessions/")).status == 404
    assert (await desk.ask("GET", "/v1/sessions/%ff")).code == "malformed"
    assert (await desk.ask("GET", "/v1/sessions/%00")).code == "malformed"
    assert (await desk.ask("GET", "/v1/games", {"a": 1})).code == "malformed"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=1&limit=2",
        "nonsense=1",
        "cursor=%21%21",
        "cursor=MQ==",
        "cursor=",
        "x",
    ],
)
async def test_a_wrong_query_is_refused(desk: Any, query: str) -> None:
    answer = await desk.ask("GET", f"/v1/sessions?{query}")
    assert answer.status == 400
    assert answer.json["error"]["where"].startswith("query.")


async def test_a_fault_inside_is_told_without_any_detail(desk: Any) -> None:
    desk.provider.answers["/launch"] = ZeroDivisionError("the secret is hush")
    answer = await desk.ask("POST", "/v1/launches", LAUNCH)
    assert (answer.status, answer.code) == (500, "internal")
    assert b"hush" not in answer.raw
    assert "hush" not in repr(desk.log.lines)
    assert desk.log.of("api_call_failed")[0]["fault"] == "ZeroDivisionError"
    (session,) = (await desk.ask("GET", "/v1/sessions")).json["sessions"]
    assert session["state"] == "ended"


async def test_an_error_says_where_to_read_more(desk: Any) -> None:
    answer = await desk.ask("GET", "/v1/sessions/none")
    assert answer.json == {
        "error": {
            "code": "not_found",
            "message": "there is no such session",
            "where": None,
            "hint": None,
            "docs": "/docs#not_found",
            "provider_code": None,
        }
    }


# --- games


async def test_games_are_searched_filtered_and_paged(desk: Any) -> None:
    everything = (await desk.ask("GET", "/v1/games")).json
    assert [game["title"] for game in everything["games"]] == ["Book of Toys", "Toy Roulette"]
    assert everything["games"][0]["routes"] == [
        {"connection": "toy", "provider": "toy", "demo": True, "free_rounds": True}
    ]
    assert [game["id"] for game in (await desk.ask("GET", "/v1/games?text=roul")).json["games"]] == [
        "toy--toy-roulette"
    ]
    first = (await desk.ask("GET", "/v1/games?limit=1")).json
    second = (await desk.ask("GET", f"/v1/games?limit=1&cursor={first['next_cursor']}")).json
    assert [first["games"][0]["id"], second["games"][0]["id"]] == ["toy--book-of-toys", "toy--toy-roulette"]
    assert second["next_cursor"] is None
    assert (await desk.ask("GET", "/v1/games/toy--toy-roulette")).json["title"] == "Toy Roulette"
    assert (await desk.ask("GET", "/v1/games/nothing")).status == 404


# --- launches


async def test_a_launch_opens_a_session_and_answers_where_to_play(desk: Any) -> None:
    answer = await desk.ask("POST", "/v1/launches", {**LAUNCH, "person": {"first_name": "Ann"}, "country": "DE"})
    assert answer.status == 201
    assert answer.json["url"] == "https://play.example/launch"
    assert (answer.json["html"], answer.json["parameters"], answer.json["provider"]) == (None, None, "toy")
    told = json.loads(desk.provider.sent_to("/launch")[0])
    assert (told["game"], told["currency"], told["person"]) == ("book", "EUR", {"first_name": "Ann"})
    assert told["player"] != "ann-1"
    row = await desk.ledger.session(desk.operators["acme"], answer.json["session"])
    assert row is not None
    assert (row.game, row.route, row.currency, row.facts["country"]) == ("toy--book-of-toys", "w-book", "EUR", "DE")
    assert "Ann" not in repr(row) + repr(desk.log.lines)
    session = (await desk.ask("GET", f"/v1/sessions/{row.session}")).json
    assert (session["player"], session["state"], session["connection"]) == ("ann-1", "launched", "toy")


async def test_a_demo_needs_no_player_and_gives_no_token(desk: Any) -> None:
    answer = await desk.ask("POST", "/v1/launches", {"game": "toy--book-of-toys", "currency": "EUR", "demo": True})
    assert answer.status == 201
    told = json.loads(desk.provider.sent_to("/launch")[0])
    assert (told["demo"], told["player"], told["token"]) == (True, "", "")
    assert (await desk.ask("GET", f"/v1/sessions/{answer.json['session']}")).json["player"] is None


async def test_a_provider_is_told_its_own_name_of_a_currency(desk: Any) -> None:
    await desk.ask("POST", "/v1/launches", LAUNCH | {"currency": "CNY"})
    assert json.loads(desk.provider.sent_to("/launch")[0])["currency"] == "RMB"


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(REFUSAL, 422, "provider_refused"), (SILENCE, 503, "transport"), (HttpResponse(200), 502, "upstream")],
)
async def test_a_launch_that_fails_leaves_no_live_session(desk: Any, answer: Any, status: int, code: str) -> None:
    desk.provider.answers["/launch"] = answer
    told = await desk.ask("POST", "/v1/launches", LAUNCH)
    assert (told.status, told.code) == (status, code)
    (session,) = (await desk.ask("GET", "/v1/sessions")).json["sessions"]
    assert session["state"] == "ended"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"game": "nothing"}, 404, "not_found"),
        ({"currency": "QQQ"}, 400, "unknown_currency"),
        ({"connection": "nothing"}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_launched_is_refused_before_the_provider_hears(
    desk: Any, change: dict[str, str], status: int, code: str
) -> None:
    answer = await desk.ask("POST", "/v1/launches", LAUNCH | change)
    assert (answer.status, answer.code) == (status, code)
    assert desk.provider.sent == []


async def test_a_game_without_a_working_connection_is_declined(desk: Any) -> None:
    operator, connection = desk.operators["acme"], desk.connections["acme"]
    stored = desk.configuration.get(operator, Kind.CONNECTION, connection)
    body = {**stored.body, "enabled": False}
    await desk.configuration.put(operator, Kind.CONNECTION, body, id=connection, who="t", why="t")
    answer = await desk.ask("POST", "/v1/launches", LAUNCH)
    assert (answer.status, answer.code) == (409, "declined")


async def test_ending_a_session_tells_the_provider_and_may_be_repeated(desk: Any) -> None:
    session = await launched(desk)
    ended = await desk.ask("DELETE", f"/v1/sessions/{session}")
    assert (ended.json["session"]["state"], ended.json["provider_told"]) == ("ended", True)
    desk.provider.answers["/end"] = SILENCE
    again = await desk.ask("DELETE", f"/v1/sessions/{session}")
    assert (again.json["session"]["state"], again.json["provider_told"]) == ("ended", False)


# --- rounds, transactions, history


async def test_a_round_shows_its_movements_with_exact_amounts(desk: Any) -> None:
    session = await launched(desk)
    played, movements = await desk.play(session, count=2)
    answer = (await desk.ask("GET", f"/v1/rounds/{played}")).json
    assert (answer["round"]["player"], answer["round"]["bets"], answer["round"]["state"]) == ("ann-1", 2, "open")
    assert [one["id"] for one in answer["transactions"]] == movements
    assert answer["transactions"][0]["amount"] == {"amount": 1050, "currency": "EUR", "scale": 2}
    assert answer["transactions"][0]["balance"] == {"amount": 9000, "currency": "EUR", "scale": 2}
    one = (await desk.ask("GET", f"/v1/transactions/{movements[1]}")).json
    assert (one["amount"]["amount"], one["player"], one["round"]) == (1051, "ann-1", played)


async def test_a_transaction_shows_how_people_have_decided_that_it_is_to_be_read(desk: Any) -> None:
    played, (first, second) = await desk.play(await launched(desk), count=2)
    acme, adjusted = desk.operators["acme"], []
    for case, movement, amount in (("c-1", first, 1050), ("c-2", second, 7)):  # the second has changed since
        adjusted.append(
            AdjustmentRow(
                operator=acme, case=case, book="operator", reference=movement, movement=movement,
                before={"kind": "bet", "amount": amount, "currency": "EUR", "state": "applied"},
                kind="bet", amount=10_500, currency="EUR", state="rolled_back", at=1, made_at=2,
                proposed_by="ann", who="ben", why="a test",
            )
        )  # fmt: skip
    elsewhere = attrs.evolve(adjusted[0], case="c-3", book=desk.connections["acme"], amount=1)
    other = attrs.evolve(adjusted[0], operator=desk.operators["other"], amount=2)
    await desk.ledger.commit(Change(operator=acme, adjustments=(*adjusted, elsewhere)))
    await desk.ledger.commit(Change(operator=desk.operators["other"], adjustments=(other,)))
    told = {
        "kind": "bet",
        "state": "rolled_back",
        "amount": {"amount": 10_500, "currency": "EUR", "scale": 2},
        "case": "c-1",
        "made_at": "1970-01-01T00:00:00.002000Z",
    }
    one = (await desk.ask("GET", f"/v1/transactions/{first}")).json
    assert (one["adjusted"], one["state"], one["amount"]["amount"]) == (told, "applied", 1050)
    for path in ("/v1/transactions", f"/v1/rounds/{played}", "/v1/players/ann-1/transactions"):
        rows = (await desk.ask("GET", path)).json["transactions"]
        assert {row["id"]: row["adjusted"] for row in rows} == {first: told, second: None}


async def test_pages_of_transactions_together_are_the_list_without_gap_or_repeat(desk: Any) -> None:
    session = await launched(desk)
    _, movements = await desk.play(session, count=7)
    for limit in (1, 2, 3, 7, 100):
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await desk.ask("GET", f"/v1/transactions?limit={limit}{cursor}")).json
            assert len(page["transactions"]) <= limit
            seen += [one["id"] for one in page["transactions"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert sorted(seen) == sorted(movements)


async def test_transactions_are_filtered(desk: Any) -> None:
    first, second = await launched(desk), await launched(desk, player="bob-2")
    played, bets = await desk.play(first)
    desk.clock.seconds += 3600
    _, later = await desk.play(second)

    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await desk.ask("GET", f"/v1/transactions?{query}")).json["transactions"]]

    assert await ids("player=ann-1") == bets
    assert await ids("player=nobody") == []
    assert await ids(f"round={played}") == bets
    assert sorted(await ids("connection=toy&state=applied")) == sorted(bets + later)
    assert await ids("connection=nothing") == []
    assert await ids("state=held") == []
    at = (await desk.ask("GET", f"/v1/transactions/{later[0]}")).json["created_at"]
    assert await ids(f"since={at}") == later
    assert await ids(f"until={at}") == bets
    assert (await desk.ask("GET", "/v1/transactions?since=2026-01-01T00:00:00")).code == "malformed"


async def test_a_players_history_is_the_players_own(desk: Any) -> None:
    played, bets = await desk.play(await launched(desk))
    await desk.play(await launched(desk, player="bob-2"))
    rounds = (await desk.ask("GET", "/v1/players/ann-1/rounds")).json["rounds"]
    assert [one["id"] for one in rounds] == [played]
    transactions = (await desk.ask("GET", "/v1/players/ann-1/transactions")).json["transactions"]
    assert [one["id"] for one in transactions] == bets
    assert (await desk.ask("GET", "/v1/players/nobody/rounds")).status == 404


async def test_a_round_is_shown_again_by_the_provider(desk: Any) -> None:
    session = await launched(desk)
    played, _ = await desk.play(session)
    alias = json.loads(desk.provider.sent_to("/launch")[0])["player"]
    for answer in (
        await desk.ask("GET", f"/v1/rounds/{played}/replay?language=de"),
        await desk.ask("POST", f"/v1/rounds/{played}/replay", {"language": "de"}),
    ):
        assert answer.json["html"] == "https://play.example/replay"
        assert answer.json["session"] is None
    assert desk.provider.sent_to("/replay") == [f"{alias} pr-1 book de ref-0".encode()] * 2


# --- free rounds


async def test_free_rounds_are_on_record_before_the_provider_hears_of_them(desk: Any) -> None:
    desk.provider.answers["/free"] = SILENCE
    assert (await desk.ask("POST", "/v1/free-rounds", FREE)).code == "transport"
    (row,) = (await desk.ask("GET", "/v1/free-rounds?player=ann-1")).json["free_rounds"]
    assert (row["reference"], row["state"], row["rounds"]) == ("welcome-1", "issuing", 10)
    assert row["bet"] == {"amount": 20, "currency": "EUR", "scale": 2}


async def test_the_same_reference_again_names_the_same_grant_and_gives_no_second_set(desk: Any) -> None:
    desk.provider.answers["/free"] = SILENCE
    await desk.ask("POST", "/v1/free-rounds", FREE)
    desk.provider.answers["/free"] = HttpResponse(200)
    given = await desk.ask("POST", "/v1/free-rounds", FREE)
    assert (given.status, given.json["state"]) == (201, "active")
    again = await desk.ask("POST", "/v1/free-rounds", FREE)
    assert again.json == given.json
    told = desk.provider.sent_to("/free")
    assert len(told) == 2
    assert told[0] == told[1] == given.json["provider_reference"].encode()
    assert len((await desk.ask("GET", "/v1/free-rounds")).json["free_rounds"]) == 1


@pytest.mark.parametrize("change", [{"rounds": 11}, {"player": "bob-2"}, {"bet": 21}, {"currency": "USD"}])
async def test_a_reference_with_other_content_is_a_conflict(desk: Any, change: dict[str, Any]) -> None:
    desk.provider.answers["/free"] = HttpResponse(200)
    await desk.ask("POST", "/v1/free-rounds", FREE)
    answer = await desk.ask("POST", "/v1/free-rounds", FREE | change)
    assert (answer.status, answer.code) == (409, "conflict")
    assert len(desk.provider.sent_to("/free")) == 1


async def test_a_provider_with_a_reference_of_its_own_is_found_by_both(desk: Any) -> None:
    desk.provider.answers["/free"] = HttpResponse.text("provider-77")
    given = (await desk.ask("POST", "/v1/free-rounds", FREE)).json
    assert (given["reference"], given["provider_reference"]) == ("welcome-1", "provider-77")
    stored = await desk.ledger.grant(desk.operators["acme"], desk.connections["acme"], "provider-77")
    assert stored is not None
    assert stored.state == "active"
    assert (await desk.ask("GET", "/v1/free-rounds/welcome-1")).json == given
    assert (await desk.ask("POST", "/v1/free-rounds", FREE)).json == given
    assert (await desk.ask("GET", "/v1/free-rounds")).json["free_rounds"] == [given]
    cancelled = await desk.ask("DELETE", "/v1/free-rounds/welcome-1")
    assert cancelled.json["state"] == "cancelled"
    assert desk.provider.sent_to("/cancel") == [b"provider-77"]
    assert (await desk.ask("DELETE", "/v1/free-rounds/welcome-1")).json["state"] == "cancelled"
    assert len(desk.provider.sent_to("/cancel")) == 1


async def test_a_first_refusal_ends_a_grant_and_one_after_silence_does_not(desk: Any) -> None:
    desk.provider.answers["/free"] = REFUSAL
    refused = await desk.ask("POST", "/v1/free-rounds", FREE)
    assert (refused.status, refused.json["error"]["provider_code"]) == (422, "17")
    assert (await desk.ask("GET", "/v1/free-rounds/welcome-1")).json["state"] == "cancelled"
    desk.provider.answers["/free"] = SILENCE
    await desk.ask("POST", "/v1/free-rounds", FREE | {"reference": "second"})
    desk.provider.answers["/free"] = REFUSAL
    await desk.ask("POST", "/v1/free-rounds", FREE | {"reference": "second"})
    assert (await desk.ask("GET", "/v1/free-rounds/second")).json["state"] == "issuing"


@pytest.mark.parametrize(
    ("currency", "bet", "wire", "counted"),
    [
        ("EUR", 20, "EUR", "20"),
        ("CNY", 20, "RMB", "20"),
        ("IDR", 500_000, "IDR2", "500"),  # 5000.00 rupiah are 5.00 thousands
        ("BTC", 3, "mBTC", "3000"),
    ],
)
async def test_the_value_of_a_free_round_is_told_as_the_provider_counts_its_currency(
    desk: Any, currency: str, bet: int, wire: str, counted: str
) -> None:
    desk.provider.answers["/free"] = HttpResponse(200)
    given = (await desk.ask("POST", "/v1/free-rounds", FREE | {"currency": currency, "bet": bet})).json
    (told,) = [request.query for request in desk.provider.sent if request.path == "/free"]
    assert told == (("currency", wire), ("bet", counted))
    assert (given["state"], given["bet"]["amount"], given["bet"]["currency"]) == ("active", bet, currency)


async def test_free_rounds_of_a_value_that_the_provider_cannot_count_are_refused_and_not_stored(desk: Any) -> None:
    answer = await desk.ask("POST", "/v1/free-rounds", FREE | {"currency": "IDR", "bet": 500_500})
    assert (answer.status, answer.json["error"]["where"]) == (400, "body.bet")
    assert desk.provider.sent_to("/free") == []
    assert (await desk.ask("GET", "/v1/free-rounds")).json["free_rounds"] == []


async def test_free_rounds_must_end_after_they_begin(desk: Any) -> None:
    answer = await desk.ask("POST", "/v1/free-rounds", FREE | {"valid_until": FREE["valid_from"]})
    assert answer.json["error"]["where"] == "body.valid_until"


# --- nobody sees another's


async def test_another_operators_ids_answer_like_ids_that_do_not_exist(desk: Any) -> None:
    desk.provider.answers["/free"] = HttpResponse(200)
    session = await launched(desk, player="only-acme")
    played, (movement,) = await desk.play(session)
    await desk.ask("POST", "/v1/free-rounds", FREE | {"player": "only-acme"})
    acme, connection = desk.operators["acme"], desk.connections["acme"]
    named: list[tuple[str, str, Any]] = [
        ("GET", f"/v1/sessions/{session}", None),
        ("DELETE", f"/v1/sessions/{session}", None),
        ("GET", f"/v1/rounds/{played}", None),
        ("GET", f"/v1/rounds/{played}/replay", None),
        ("POST", f"/v1/rounds/{played}/replay", {}),
        ("GET", f"/v1/transactions/{movement}", None),
        ("GET", "/v1/players/only-acme/rounds", None),
        ("GET", "/v1/players/only-acme/transactions", None),
        ("GET", "/v1/free-rounds/welcome-1", None),
        ("DELETE", "/v1/free-rounds/welcome-1", None),
        ("POST", "/v1/launches", LAUNCH | {"connection": connection}),
        ("GET", f"/v1/games?connection={connection}", None),
    ]
    before = len(desk.provider.sent)
    for method, url, body in named:
        foreign = await desk.ask(method, url, body, operator="other")
        nothing = url.replace(session, "0").replace(played, "0").replace(movement, "0").replace(connection, "0")
        nothing = nothing.replace("only-acme", "nobody").replace("welcome-1", "nothing")
        missing = await desk.ask(
            method, nothing, {**body, "connection": "0"} if body and "connection" in body else body, operator="other"
        )
        assert (foreign.status, foreign.raw) == (404, missing.raw), url
    assert len(desk.provider.sent) == before
    lists = {
        "/v1/sessions": "sessions",
        "/v1/sessions?player=only-acme": "sessions",
        "/v1/rounds": "rounds",
        "/v1/rounds?player=only-acme&state=open": "rounds",
        "/v1/transactions": "transactions",
        f"/v1/transactions?connection={connection}": "transactions",
        f"/v1/transactions?round={played}": "transactions",
        "/v1/free-rounds": "free_rounds",
    }
    for url, name in lists.items():
        assert (await desk.ask("GET", url, operator="other")).json[name] == [], url
    row = await desk.ledger.session(acme, session)
    assert row is not None
    assert row.state.value == "launched"


async def test_every_named_endpoint_is_in_the_isolation_test(desk: Any) -> None:
    with_ids = {one.operation for one in desk.operator_app.table.endpoints if one.parameters}
    assert with_ids == {
        "games.get",  # ids of games are made of public titles: both operators have the same
        "sessions.get",
        "sessions.end",
        "rounds.get",
        "rounds.replay",
        "rounds.begin_replay",
        "players.rounds",
        "players.transactions",
        "transactions.get",
        "free_rounds.get",
        "free_rounds.cancel",
    }


async def test_the_log_names_operation_and_operator_and_no_player(desk: Any) -> None:
    await launched(desk)
    await desk.ask("GET", "/v1/players/ann-1/rounds")
    lines = desk.log.of("api_call")
    assert [(line["operation"], line["status"]) for line in lines] == [
        ("launches.create", 201),
        ("players.rounds", 200),
    ]
    assert lines[0]["caller"] == desk.operators["acme"]
    assert "ann-1" not in repr(desk.log.lines)
    assert desk.keys["acme"] not in repr(desk.log.lines)
    assert desk.metrics.api[0] == {"api": "operator", "operation": "launches.create", "status": 201}
