"""The admin API: changes with who and why, keys shown once, owed work decided by people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from croupier.configuration.documents import Role
from croupier.ledger.port import Change, Committed
from croupier.ledger.records import DeliveryRow, DeliveryState, DeliveryTask, ExchangeRow, RoundRow, RoundState


async def admin_key(desk: Any) -> str:
    made = await desk.configuration.create_key("hub", role=Role.ADMIN, label="root", who="t", why="t")
    return str(made.bearer)


@pytest.mark.parametrize("key", ["", "wrong", "bootstrap-test-key2"])
async def test_without_an_administrators_key_nothing_is_shown(desk: Any, key: str) -> None:
    assert (await desk.admin("GET", "/admin/v1/operators", key=key)).status == 401
    assert (await desk.admin("GET", "/admin/v1/operators", key=desk.keys["acme"])).status == 403


async def test_a_key_made_for_an_administrator_works_and_signs_what_it_changes(desk: Any) -> None:
    key = await admin_key(desk)
    named = {"name": "third", "dialect": "toywallet"}
    body = {"body": named, "why": "a new customer"}
    made = await desk.admin("POST", "/admin/v1/operators", body, key=key)
    assert made.status == 201
    assert made.json["version"] == 1
    assert made.json["who"].startswith("root (")
    assert made.json["why"] == "a new customer"
    bootstrapped = await desk.admin("POST", "/admin/v1/operators", {**body, "body": {**named, "name": "fourth"}})
    assert bootstrapped.json["who"] == "bootstrap"


async def test_a_change_without_a_reason_is_refused(desk: Any) -> None:
    body = {"name": "third", "dialect": "toywallet"}
    for sent in ({"body": body}, {"body": body, "why": ""}):
        answer = await desk.admin("POST", "/admin/v1/operators", sent)
        assert answer.json["error"]["where"] == "body.why"
    operator = desk.operators["acme"]
    answer = await desk.admin("DELETE", f"/admin/v1/operators/{operator}")
    assert answer.json["error"]["where"] == "query.why"


async def test_a_thing_is_made_read_changed_and_deleted_and_its_history_stays(desk: Any) -> None:
    games = f"/admin/v1/operators/{desk.operators['acme']}/games"
    made = await desk.admin("POST", games, {"body": {"title": "New", "studio": "Toy"}, "why": "new"})
    one = f"{games}/{made.json['id']}"
    assert (await desk.admin("GET", one)).json["body"]["title"] == "New"
    changed = {"body": {"title": "Newer", "studio": "Toy"}, "why": "newer", "version": 1}
    assert (await desk.admin("PUT", one, changed)).json["version"] == 2
    stale = await desk.admin("PUT", one, changed)
    assert (stale.status, stale.code) == (409, "conflict")
    assert len((await desk.admin("GET", games)).json["items"]) == 3
    assert (await desk.admin("DELETE", f"{one}?why=old")).json["active"] is False
    assert len((await desk.admin("GET", games)).json["items"]) == 2
    history = (await desk.admin("GET", f"{one}/history")).json["items"]
    assert [(entry["version"], entry["active"], entry["why"]) for entry in history] == [
        (1, True, "new"),
        (2, True, "newer"),
        (3, False, "old"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"name": "Big Name", "dialect": "toywallet"}, 422, "operators.Big Name.name"),
        ({"name": "third", "dialect": "none"}, 422, "dialects.none"),
        ({"name": "third", "dialect": "toywallet", "nonsense": 1}, 422, "operators.third.nonsense"),
    ],
)
async def test_a_wrong_body_is_refused_by_its_path(desk: Any, body: dict[str, Any], status: int, where: str) -> None:
    answer = await desk.admin("POST", "/admin/v1/operators", {"body": body, "why": "t"})
    assert (answer.status, answer.json["error"]["where"]) == (status, where)


async def test_secrets_are_counted_and_never_shown(desk: Any) -> None:
    operator, connection = desk.operators["acme"], desk.connections["acme"]
    one = f"/admin/v1/operators/{operator}/connections/{connection}"
    answer = await desk.admin("GET", one)
    assert answer.json["secrets"] == {"key": 1}
    everything = answer.raw + (await desk.admin("GET", f"{one}/history")).raw
    everything += (await desk.admin("GET", f"/admin/v1/operators/{operator}/events?limit=1000")).raw
    assert b"test-key-of-the-toy-provider" not in everything


async def test_a_secret_may_have_lines_and_nothing_else_may(desk: Any) -> None:
    """A key in PEM has."""
    operator, connection = desk.operators["acme"], desk.connections["acme"]
    one = f"/admin/v1/operators/{operator}/connections/{connection}"
    body = (await desk.admin("GET", one)).json["body"]
    pem = "-----BEGIN TEST KEY-----\r\nnone\n-----END TEST KEY-----\n"
    kept = await desk.admin("PUT", one, {"body": {**body, "secrets": {"key": [pem]}}, "why": "t"})
    assert (kept.status, kept.json["secrets"]) == (200, {"key": 1})
    live = desk.configuration.directory.connection_by_name("acme", body["name"])
    assert live.credentials.every("key") == (pem,)
    for wrong in ({**body, "secrets": {"key": ["a\x00b"]}}, {**body, "name": "a\nb"}):
        refused = await desk.admin("PUT", one, {"body": wrong, "why": "t"})
        assert (refused.status, refused.code) == (400, "malformed")


async def test_a_list_in_place_of_an_optional_number_is_refused_by_its_place(desk: Any) -> None:
    one = f"/admin/v1/operators/{desk.operators['acme']}/connections"
    for wrong in ([None, ""], {"a": 1}):
        refused = await desk.admin("POST", one, {"body": {}, "why": "t", "version": wrong})
        assert (refused.status, refused.code) == (400, "malformed")
        assert refused.json["error"]["where"].startswith("body.version")


async def test_a_key_is_shown_once_and_works(desk: Any) -> None:
    keys = f"/admin/v1/operators/{desk.operators['acme']}/keys"
    made = await desk.admin("POST", keys, {"label": "second", "role": "operator", "why": "rotation"})
    assert made.status == 201
    bearer = made.json["key"]
    assert (await desk.ask("GET", "/v1/games", key=bearer)).status == 200
    shown = (await desk.admin("GET", keys)).raw + (await desk.admin("GET", f"{keys}/{made.json['stored']['id']}")).raw
    assert bearer.encode() not in shown
    assert bearer not in repr(desk.log.lines)
    third = await desk.admin("POST", keys, {"label": "third", "role": "operator", "why": "rotation"})
    assert third.code == "conflict"
    await desk.admin("DELETE", f"{keys}/{made.json['stored']['id']}?why=rotated")
    assert (await desk.ask("GET", "/v1/games", key=bearer)).status == 401


async def test_a_role_belongs_to_its_place(desk: Any) -> None:
    body = {"label": "x", "role": "admin", "why": "t"}
    acme = await desk.admin("POST", f"/admin/v1/operators/{desk.operators['acme']}/keys", body)
    assert acme.json["error"]["where"] == "body.role"
    made = await desk.admin("POST", "/admin/v1/operators/hub/keys", body)
    assert (await desk.admin("GET", "/admin/v1/operators", key=made.json["key"])).status == 200
    assert (await desk.admin("POST", "/admin/v1/operators/hub/keys", body | {"role": "operator"})).status == 400
    assert (await desk.admin("GET", "/admin/v1/operators/hub/games")).status == 404


async def test_a_policy_is_changed_alone_and_shown_as_it_is_in_force(desk: Any) -> None:
    operator, connection = desk.operators["acme"], desk.connections["acme"]
    path = f"/admin/v1/operators/{operator}/connections/{connection}/policy"
    before = (await desk.admin("GET", path)).json
    assert before["effective"]["provider_timeout_ms"] == 2000
    assert before["effective"]["currencies"] == [
        {"code": "RMB", "currency": "CNY", "ratio": "1"},
        {"code": "IDR2", "currency": "IDR", "ratio": "1000"},
        {"code": "mBTC", "currency": "BTC", "ratio": "0.001"},
    ]
    new = {"max_bet_minor": {"EUR": 500}, "operations": {"move": {"provider_timeout_ms": 900}}}
    after = await desk.admin("PUT", path, {"policy": new, "why": "calmer"})
    assert after.json["overrides"] == new
    assert after.json["effective"]["max_bet_minor"] == {"EUR": 500}
    assert after.json["operations"] == {"move": {"provider_timeout_ms": 900}}
    wrong = await desk.admin("PUT", path, {"policy": {"nonsense": 1}, "why": "t"})
    assert (wrong.status, wrong.code) == (422, "settings")
    assert desk.configuration.directory.live_connection(connection).credentials.every("key")


async def test_packages_are_listed_and_looked_for_again(desk: Any) -> None:
    listed = (await desk.admin("GET", "/admin/v1/packages")).json
    assert [(one["slug"], one["state"]) for one in listed["adapters"]] == [("toy", "loaded")]
    assert (await desk.admin("POST", "/admin/v1/packages/rescan")).status == 200
    assert (await desk.admin("GET", "/admin/v1/faults")).json == {"faults": []}


async def test_held_work_is_listed_and_decided_by_people(desk: Any) -> None:
    acme = desk.operators["acme"]
    launch = {"game": "toy--book-of-toys", "currency": "EUR", "player": "ann-1"}
    session = (await desk.ask("POST", "/v1/launches", launch)).json["session"]
    _, (movement,) = await desk.play(session)
    row = DeliveryRow(
        operator=acme,
        delivery="d-1",
        movement=movement,
        task=DeliveryTask.SEND,
        due_at=1,
        created_at=1_790_000_000_000,
        state=DeliveryState.HELD,
        detail="refused: player_blocked",
    )
    assert isinstance(await desk.ledger.commit(Change(operator=acme, deliveries=(row,))), Committed)
    desk.deliveries.rows["d-1"] = row
    listed = (await desk.admin("GET", f"/admin/v1/deliveries?operator={acme}&state=held")).json["deliveries"]
    assert [(one["id"], one["detail"]) for one in listed] == [("d-1", "refused: player_blocked")]
    assert (await desk.admin("GET", "/admin/v1/deliveries?state=owed")).json["deliveries"] == []
    path = f"/admin/v1/operators/{acme}/deliveries/d-1"
    assert (await desk.admin("POST", f"{path}/redrive", {"why": "unblocked"})).status == 200
    assert (await desk.admin("POST", f"{path}/resolve", {"why": "paid by hand", "applied": True})).status == 200
    assert (await desk.admin("POST", f"{path}/resolve", {"why": "no decision"})).status == 400
    assert (await desk.admin("POST", f"{path}x/redrive", {"why": "t"})).status == 404
    assert desk.deliveries.decided == [
        {"delivery": "d-1", "who": "bootstrap", "why": "unblocked"},
        {"delivery": "d-1", "who": "bootstrap", "why": "paid by hand", "applied": True},
    ]


async def test_a_round_is_shown_proposed_for_and_not_confirmed_by_the_same_key(desk: Any) -> None:
    acme = desk.operators["acme"]
    row = RoundRow(
        operator=acme,
        round="r-1",
        connection=desk.connections["acme"],
        player="alice",
        provider_round="77",
        game=None,
        currency="EUR",
        state=RoundState.OPEN,
        opened_at=1_000,
    )
    await desk.ledger.commit(Change(operator=acme, rounds=(row,)))
    path = f"/admin/v1/operators/{acme}/rounds/r-1"
    before = (await desk.admin("GET", path)).json
    assert (before["state"], before["staked"], before["won"], before["proposed"]) == ("open", 0, 0, None)
    assert before["opened_at"] == "1970-01-01T00:00:01Z"
    said = (await desk.admin("POST", f"{path}/void", {"why": "lost"})).json
    assert (said["proposed"], said["proposed_by"]) == ("void", "bootstrap")
    assert (await desk.admin("POST", f"{path}/void", {"why": "lost"})).status == 403
    assert (await desk.admin("POST", f"{path}/complete", {"why": "over", "short": -1})).status == 400
    assert (await desk.admin("POST", f"{path}/complete", {"why": "over", "short": 7})).status == 409
    assert (await desk.admin("POST", f"{path}/complete", {"why": "over"})).json["proposed"] == "complete"
    assert (await desk.admin("POST", f"{path}x/void", {"why": "lost"})).status == 404
    assert (await desk.admin("GET", path)).json["state"] == "open"


async def test_open_rounds_are_listed_by_age_and_page_by_page(desk: Any) -> None:
    acme = desk.operators["acme"]
    rows = [
        RoundRow(
            operator=acme,
            round=f"r-{opened}",
            connection=desk.connections["acme"],
            player="alice",
            provider_round=str(opened),
            game=None,
            currency="EUR",
            state=RoundState.CLOSED if opened == 3 else RoundState.OPEN,
            opened_at=opened * 1_000,
            closed_at=9_000 if opened == 3 else None,
        )
        for opened in (5, 1, 3, 2, 4)
    ]
    await desk.ledger.commit(Change(operator=acme, rounds=tuple(rows)))
    path = f"/admin/v1/operators/{acme}/rounds"
    first = (await desk.admin("GET", f"{path}?limit=3")).json
    assert [one["id"] for one in first["rounds"]] == ["r-1", "r-2", "r-4"]
    assert first["rounds"][0]["opened_at"] == "1970-01-01T00:00:01Z"
    assert "alice" not in str(first)
    rest = (await desk.admin("GET", f"{path}?limit=3&cursor={first['next_cursor']}")).json
    assert ([one["id"] for one in rest["rounds"]], rest["next_cursor"]) == (["r-5"], None)
    times = "opened_since=1970-01-01T00:00:02Z&opened_before=1970-01-01T00:00:04Z"
    assert [one["id"] for one in (await desk.admin("GET", f"{path}?{times}")).json["rounds"]] == ["r-2"]
    other = (await desk.admin("GET", f"/admin/v1/operators/{desk.operators['other']}/rounds")).json
    assert other == {"rounds": [], "next_cursor": None}
    assert (await desk.admin("GET", f"{path}?cursor=x")).status == 400
    assert (await desk.admin("GET", "/admin/v1/operators/nobody/rounds")).status == 404


async def test_events_are_read_in_order_and_on_from_a_position(desk: Any) -> None:
    path = f"/admin/v1/operators/{desk.operators['acme']}/events"
    first = (await desk.admin("GET", f"{path}?limit=2")).json
    rest = (await desk.admin("GET", f"{path}?after={first['position']}")).json
    positions = [one["position"] for one in first["events"] + rest["events"]]
    assert positions == list(range(1, len(positions) + 1))
    assert first["events"][0]["kind"] == "configuration.changed"
    end = (await desk.admin("GET", f"{path}?after={rest['position']}")).json
    assert end == {"events": [], "position": rest["position"]}


async def test_the_messages_of_a_trace_are_shown(desk: Any) -> None:
    acme = desk.operators["acme"]
    desk.ledger.note(
        ExchangeRow(
            operator=acme, exchange="e", side="provider_in", operation="move", started_at=5, duration_us=7, trace="t-1"
        )
    )
    await desk.admin("POST", "/admin/v1/operators", {"body": {"name": "x1", "dialect": "toywallet"}, "why": "commit"})
    path = f"/admin/v1/operators/{acme}/exchanges"
    shown = (await desk.admin("GET", f"{path}?trace=t-1")).json["exchanges"]
    assert [(one["operation"], one["duration_us"]) for one in shown] == [("move", 7)]
    assert (await desk.admin("GET", path)).status == 400
    assert (await desk.admin("GET", f"{path}?trace=a&movement=b")).status == 400


async def test_both_apis_show_documents_to_everybody(desk: Any) -> None:
    for ask, prefix in ((desk.ask, ""), (desk.admin, "/admin")):
        document = await ask("GET", f"{prefix}/openapi.json", key="")
        assert json.loads(document.raw)["openapi"] == "3.1.0"
        page = await ask("GET", f"{prefix}/docs", key="")
        assert page.raw.startswith(b"<!doctype html>")
