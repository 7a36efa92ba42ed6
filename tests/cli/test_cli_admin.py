"""`croupier admin` against a real hub behind a real socket, on a database in a temporary folder."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen
from click.testing import CliRunner, Result

from croupier.cli import croupier, main
from croupier.configuration.documents import HUB_SCOPE, Role
from croupier.contract import (
    ConflictError,
    Credentials,
    FixConfigurationError,
    FixRequestError,
    ForbiddenError,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    NotFoundError,
    SettingsError,
    TransportError,
)
from croupier.ledger.port import Change, Committed
from croupier.ledger.records import (
    DeliveryRow,
    DeliveryState,
    DeliveryTask,
    MovementRow,
    MovementState,
    RoundRow,
    RoundState,
)
from croupier.runtime.hub import Hub, build
from croupier.runtime.serving import admin_app
from croupier.runtime.settings import load_settings
from croupier.web.apps import Incoming
from croupier.web.server import HttpServer
from croupier_softswiss.peer import GAMES, SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

SETTINGS = """
[database]
url = "sqlite:///hub.sqlite"
[secrets]
current = "k1"
keys.k1 = { env = "TEST_HUB_KEY" }
[outgoing]
plain_http = true
loopback = true
[telemetry]
level = "error"
"""
WALLET_SECRET = "whsec_dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="
OPERATOR = {
    "name": "acme",
    "dialect": "native",
    "wallet": {"url": "https://wallet.example/"},
    "wallet_secrets": {"signing_secret": [WALLET_SECRET]},
}
GAME = {"title": "Test Fruits", "studio": "Acceptance", "rtp": "96.50"}


@frozen
class Site:
    """A hub, its admin listener, and an administrator's key."""

    hub: Hub
    folder: Path
    url: str
    key: str = field(repr=False)

    async def run(self, *args: str, stdin: object = None, key: str | None = None) -> Result:
        """Run `croupier admin` with the hub's address and a key in the environment."""
        environ = {"CROUPIER_ADMIN_URL": self.url, "CROUPIER_ADMIN_KEY": self.key if key is None else key}
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        result = await asyncio.to_thread(CliRunner().invoke, croupier, ["admin", *args], input=text, env=environ)
        assert self.key not in result.output
        return result

    async def tell(self, *args: str, stdin: object = None) -> str:
        """What a command that succeeds prints."""
        result = await self.run(*args, stdin=stdin)
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result.output

    async def json(self, *args: str, stdin: object = None) -> Any:
        """What a command that succeeds prints with `--json`."""
        return json.loads(await self.tell(*args, "--json", stdin=stdin))

    async def error(self, *args: str, stdin: object = None, key: str | None = None) -> BaseException:
        """What a command that fails raises; `main` prints it as one line."""
        result = await self.run(*args, stdin=stdin, key=key)
        assert result.exception is not None
        assert not isinstance(result.exception, SystemExit), result.output
        return result.exception


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    file = tmp_path / "hub.toml"
    file.write_text(SETTINGS)
    hub = await build(load_settings(file), {"TEST_HUB_KEY": base64.b64encode(b"k" * 32).decode()})
    server = HttpServer(admin_app(hub), hub.log)
    host, port = await server.listen()
    made = await hub.configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label="root", who="test", why="test")
    try:
        yield Site(hub, tmp_path, f"http://{host}:{port}", made.bearer)
    finally:
        await server.stop(1)
        await hub.close()


async def operator(site: Site) -> str:
    made = await site.json("operators", "put", "-", "--why", "a customer", stdin=OPERATOR)
    return str(made["id"])


async def test_an_operator_is_made_from_standard_input_with_who_and_why(site: Site) -> None:
    acme = await operator(site)
    stored = site.hub.configuration.directory.operators[acme]
    assert stored.name == "acme"
    shown = await site.json("operators", "show", "acme")
    assert (shown["id"], shown["version"], shown["why"]) == (acme, 1, "a customer")
    assert shown["who"].startswith("root (")
    assert shown["secrets"] == {"signing_secret": 1}


async def test_a_file_replaces_one_and_the_history_tells_who_and_why(site: Site) -> None:
    acme = await operator(site)
    file = site.folder / "operator.json"
    file.write_text(await site.tell("operators", "show", "acme", "--body"))
    body = json.loads(file.read_text())
    file.write_text(json.dumps({**body, "enabled": False}))
    told = await site.tell("operators", "put", str(file), "--id", "acme", "--version", "1", "--why", "they asked")
    assert told.splitlines()[0] == f"operator {acme} version 2 disabled"
    assert not site.hub.configuration.directory.operators[acme].document.enabled  # type: ignore[union-attr]  # it is there
    rows = (await site.tell("operators", "history", "acme")).splitlines()
    assert [row.split()[:2] for row in rows] == [["VERSION", "STATE"], ["1", "in"], ["2", "disabled"]]
    assert rows[2].endswith("they asked")
    assert "root (" in rows[2]


async def test_a_put_that_changes_nothing_says_so(site: Site) -> None:
    acme = await operator(site)
    told = (await site.tell("operators", "put", "-", "--id", "acme", "--why", "once more", stdin=OPERATOR)).splitlines()
    assert told[0] == f"operator {acme} version 1 in force"
    assert told[1].startswith("nothing has changed")
    assert told[2].endswith(": a customer")
    again = await site.json("operators", "put", "-", "--id", "acme", "--why", "once more", stdin=OPERATOR)
    assert (again["unchanged"], again["version"]) == (True, 1)
    new = await site.tell("operators", "put", "-", "--id", "acme", "--why", "t", stdin={**OPERATOR, "enabled": False})
    assert "nothing has changed" not in new
    assert "unchanged" not in await site.json("operators", "show", "acme")


async def test_a_secret_that_could_never_sign_is_refused_when_it_is_put(site: Site) -> None:
    secret = "dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="  # a test key, without its prefix
    body = {**OPERATOR, "wallet_secrets": {"signing_secret": [secret]}}
    error = await site.error("operators", "put", "-", "--why", "t", stdin=body)
    assert isinstance(error, FixConfigurationError)
    told = "operators.acme.wallet_secrets.signing_secret.0: a signing secret is whsec_ and the base64 of 24 to 64 bytes"
    assert str(error).startswith(told)
    assert secret not in str(error)
    assert await site.json("operators", "list") == {"items": []}


async def test_a_change_on_an_old_version_is_refused(site: Site) -> None:
    await operator(site)
    for enabled in (False, True):
        body = {**OPERATOR, "enabled": enabled}
        await site.tell("operators", "put", "-", "--id", "acme", "--why", "t", stdin=body)
    error = await site.error("operators", "put", "-", "--id", "acme", "--version", "1", "--why", "t", stdin=OPERATOR)
    assert isinstance(error, ConflictError)
    assert "[conflict]" in str(error)


async def test_what_must_be_disabled_first_is_deleted_after_that(site: Site) -> None:
    acme = await operator(site)
    error = await site.error("operators", "delete", "acme", "--why", "gone")
    assert "disable it first" in str(error)
    await site.tell("operators", "put", "-", "--id", "acme", "--why", "t", stdin={**OPERATOR, "enabled": False})
    assert "deleted" in await site.tell("operators", "delete", "acme", "--why", "gone")
    assert await site.json("operators", "list") == {"items": []}
    assert [one["active"] for one in (await site.json("operators", "history", acme))["items"]] == [True, True, False]


async def connection(site: Site, **settings: object) -> str:
    body = {
        "name": "soft",
        "adapter": "softswiss",
        "settings": {"api_url": "https://soft.example/api", "casino_id": "acme", **settings},
        "secrets": {"auth_token": ["test-token"]},
    }
    made = await site.json("connections", "put", "acme", "-", "--why", "a provider", stdin=body)
    return str(made["id"])


async def test_connections_games_and_routes_are_put_listed_and_deleted(site: Site) -> None:
    await operator(site)
    soft = await connection(site)
    game = await site.json("games", "put", "acme", "-", "--why", "new", stdin=GAME)
    assert game["id"] == "acceptance--test-fruits"
    route = {"connection": soft, "game": game["id"], "code": "acceptance:fruits"}
    made = await site.json("routes", "put", "acme", "-", "--why", "new", stdin=route)
    assert site.hub.configuration.route(soft, "acceptance:fruits") is not None
    assert (await site.json("connections", "show", "acme", "soft"))["secrets"] == {"auth_token": 1}
    assert "test-token" not in await site.tell("connections", "show", "acme", "soft")
    listed = (await site.tell("routes", "list", "acme")).splitlines()
    assert listed[1].split()[0] == made["id"]
    await site.tell("routes", "delete", "acme", made["id"], "--why", "old")
    assert await site.json("routes", "list", "acme") == {"items": []}


async def test_a_sink_is_put_and_what_waits_for_it_is_tried_again_or_dropped(site: Site) -> None:
    owner = await operator(site)
    body = {
        "name": "events",
        "sink": "webhook",
        "settings": {"url": "https://operator.example/events"},
        "secrets": {"signing_secret": [WALLET_SECRET]},
    }
    wrong = await site.error("sinks", "put", "acme", "-", "--why", "new", stdin={**body, "settings": {"url": "x"}})
    assert isinstance(wrong, FixConfigurationError)
    assert wrong.where == "sinks.events.settings.url"
    secrets = {"signing_secret": ["not-a-secret"]}
    wrong = await site.error("sinks", "put", "acme", "-", "--why", "new", stdin={**body, "secrets": secrets})
    assert isinstance(wrong, FixConfigurationError)
    assert wrong.where == "sinks.events.secrets.signing_secret"
    made = await site.json("sinks", "put", "acme", "-", "--why", "new", stdin=body)
    assert made["secrets"] == {"signing_secret": 1}
    assert [live.id for live in site.hub.configuration.directory.sinks()] == [made["id"]]
    assert "fed by nobody" in await site.tell("sinks", "standing", "acme", "events")
    ledger, hub = site.hub.ledger, site.hub
    row = await ledger.claim_sink(hub.owner, owner, made["id"], now=hub.clock.now_ms(), lease_ms=9_000, start=9)
    assert row is not None
    lanes = [{"lane": "alice", "positions": [3, 5], "attempts": 10, "held": True, "detail": "it answered 400"}]
    await ledger.store_sink(evolve(row, state={"lanes": lanes, "stopped": "it answered 410"}, version=2))
    told = await site.tell("sinks", "standing", "acme", "events")
    assert "stopped: it answered 410" in told
    assert told.splitlines()[-1].split() == ["3", "2", "held", "10", "-", "it", "answered", "400"]
    assert isinstance(
        await site.error("sinks", "drop", "acme", "events", "--position", "5", "--why", "no"), NotFoundError
    )
    assert (await site.run("sinks", "drop", "acme", "events", "--why", "no")).exit_code == 2
    after = await site.json("sinks", "drop", "acme", "events", "--position", "3", "--why", "told by mail")
    assert [(one["position"], one["held"]) for one in after["waiting"]] == [(5, False)]
    again = await site.json("sinks", "redrive", "acme", "events", "--why", "it is back")
    assert again["stopped"] is None
    said = [each.event for each in await ledger.events_after(owner, 0, 100) if each.event.kind.startswith("sink.")]
    assert [(event.kind, event.body["why"]) for event in said] == [
        ("sink.dropped", "told by mail"),
        ("sink.redriven", "it is back"),
    ]
    await site.tell("sinks", "delete", "acme", "events", "--why", "old")
    assert site.hub.configuration.directory.sinks() == ()


async def test_a_key_is_printed_once_and_listed_without_itself(site: Site) -> None:
    await operator(site)
    key = (await site.tell("keys", "create", "acme", "--label", "backend", "--why", "t")).strip()
    assert key.startswith("croupier_")
    listed = await site.tell("keys", "list", "acme")
    assert "backend" in listed
    assert key not in listed
    refused = await site.error("operators", "list", key=key)
    assert "[forbidden]" in str(refused)


async def test_a_key_of_an_administrator_is_made_under_hub(site: Site) -> None:
    made = await site.json(
        "keys", "create", "hub", "--label", "second", "--why", "t", "--not-after", "2090-01-01T00:00:00Z"
    )
    assert made["stored"]["body"]["role"] == "admin"
    assert (await site.run("operators", "list", key=made["key"])).exit_code == 0


async def test_a_key_that_would_never_be_valid_is_refused(site: Site) -> None:
    before = await site.json("keys", "list", "hub")
    for past in ("2020-01-01T00:00:00Z", site.hub.clock.now().isoformat()):
        error = await site.error("keys", "create", "hub", "--label", "late", "--why", "t", "--not-after", past)
        assert isinstance(error, FixRequestError)
        assert str(error).startswith("not_after: expected a time to come")
    assert await site.json("keys", "list", "hub") == before


async def test_a_policy_is_changed_alone(site: Site) -> None:
    await operator(site)
    await connection(site)
    overrides = {"provider_timeout_ms": 4000, "operations": {"play": {"rollback_of_win": False}}}
    await site.tell("policy", "put", "acme", "soft", "-", "--why", "measured", stdin=overrides)
    rows = [row.split() for row in (await site.tell("policy", "show", "acme", "soft")).splitlines()]
    assert ["provider_timeout_ms", "*", "4000"] in rows
    assert ["timeout_margin_ms", "500"] in rows
    assert ["play.rollback_of_win", "*", "false"] in rows
    assert (await site.json("policy", "show", "acme", "soft"))["overrides"] == overrides


@frozen
class PeerApp:
    """A simulated provider behind a socket."""

    peer: SoftswissPeer
    body_limit: int = 65_536

    async def answer(self, incoming: Incoming) -> HttpResponse:
        request = incoming.request
        known = HttpRequest(request.method, f"http://peer{request.url}", request.headers, request.body)
        return self.peer.serve(known, Credentials({"auth_token": ("test-token",)}), datetime.now(UTC))

    async def drain(self, seconds: float) -> int:
        return 0


async def test_a_providers_games_are_imported_once(site: Site) -> None:
    await operator(site)
    settings = SoftswissSettings(
        api_url="http://peer/api", casino_id="acme", catalogue_urls=("http://peer/catalogue.json",)
    )
    server = HttpServer(PeerApp(SoftswissPeer(settings)), site.hub.log)
    host, port = await server.listen()
    try:
        await connection(site, catalogue_urls=[f"http://{host}:{port}/catalogue.json"])
        first = await site.json("import-games", "acme", "soft", "--why", "first list")
        assert first["listed"] == len(GAMES)
        assert sorted(first["new_routes"]) == sorted(game.identifier for game in GAMES)
        assert (first["kept"], first["missing"]) == (0, [])
        again = await site.tell("import-games", "acme", "soft", "--why", "again")
        assert again == f"listed {len(GAMES)}, new games 0, new routes 0, kept {len(GAMES)}\n"
    finally:
        await server.stop(1)
    names = {game["body"]["title"] for game in (await site.json("games", "list", "acme"))["items"]}
    assert names == {game.title for game in GAMES}
    history = await site.json("games", "history", "acme", first["new_games"][0])
    assert [one["why"] for one in history["items"]] == ["first list"]


async def test_a_provider_that_does_not_answer_is_told_and_nothing_is_imported(site: Site) -> None:
    await operator(site)
    await connection(site, catalogue_urls=["http://127.0.0.1:9/catalogue.json"])
    error = await site.error("import-games", "acme", "soft", "--why", "t")
    assert "[transport]" in str(error)
    assert await site.json("games", "list", "acme") == {"items": []}


async def test_a_connection_without_a_list_of_games_is_told(site: Site) -> None:
    await operator(site)
    await connection(site)
    error = await site.error("import-games", "acme", "soft", "--why", "t")
    assert isinstance(error, FixConfigurationError | FixRequestError)
    assert isinstance(await site.error("import-games", "acme", "none", "--why", "t"), NotFoundError)


async def held_work(site: Site) -> DeliveryRow:
    """A win that the wallet refused although it is owed."""
    acme = await operator(site)
    soft = await connection(site)
    movement = MovementRow(
        operator=acme, movement="m-1", play="p-1", ordinal=0, connection=soft, player="s-1", kind="win",
        direction="credit", state=MovementState.HELD, amount=250, currency="EUR", reference="w-1", fingerprint={},
        owner="hub", epoch=1, nonce="n", lease_until=0, created_at=1,
    )  # fmt: skip
    row = DeliveryRow(
        operator=acme, delivery="d-1", movement="m-1", task=DeliveryTask.SEND, state=DeliveryState.HELD, due_at=2,
        created_at=1, attempts=3, detail="player_blocked",
    )  # fmt: skip
    assert isinstance(
        await site.hub.ledger.commit(Change(operator=acme, movements=(movement,), deliveries=(row,))), Committed
    )
    return row


async def state_of(site: Site, row: DeliveryRow) -> tuple[DeliveryState, MovementState]:
    delivery = await site.hub.ledger.delivery(row.operator, row.delivery)
    movement = await site.hub.ledger.movement(row.operator, row.movement)
    assert delivery is not None
    assert movement is not None
    return delivery.state, movement.state


async def test_held_work_is_listed_and_shown_with_what_holds_it(site: Site) -> None:
    row = await held_work(site)
    assert await state_of(site, row) == (DeliveryState.HELD, MovementState.HELD)
    (line,) = (await site.tell("deliveries", "list", "--operator", "acme", "--state", "held")).splitlines()[1:]
    assert line.split()[:5] == [row.operator, "d-1", "send", "held", "3"]
    assert line.endswith("player_blocked")
    assert (await site.tell("deliveries", "list", "--state", "owed")).splitlines()[1:] == ["(none)"]
    shown = await site.tell("deliveries", "show", "acme", "d-1")
    assert "why: player_blocked" in shown.splitlines()
    assert isinstance(await site.error("deliveries", "show", "acme", "d-2"), NotFoundError)


async def test_held_work_is_driven_again(site: Site) -> None:
    row = await held_work(site)
    told = await site.tell("deliveries", "redrive", "acme", "d-1", "--why", "the player is free again")
    assert "redrive by root (" in told
    assert await state_of(site, row) == (DeliveryState.OWED, MovementState.OWED)
    assert isinstance(await site.error("deliveries", "redrive", "acme", "d-1", "--why", "t"), ConflictError)


@pytest.mark.parametrize(
    ("decision", "state"), [("--applied", MovementState.APPLIED), ("--undone", MovementState.REVERSED)]
)
async def test_held_work_is_decided_by_two_keys_with_who_and_why(
    site: Site, decision: str, state: MovementState
) -> None:
    row = await held_work(site)
    words = ("deliveries", "resolve", "acme", "d-1", decision, "--why")
    told = await site.tell(*words, "paid by bank")
    said = decision.removeprefix("--")
    assert f"proposed: {said} by root (" in told
    assert f"proposed: {said} by root (" in await site.tell("deliveries", "show", "acme", "d-1")
    assert isinstance(await site.error(*words, "once more"), ForbiddenError)
    assert await state_of(site, row) == (DeliveryState.HELD, MovementState.HELD)
    made = await site.hub.configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label="ben", who="test", why="test")
    second = await site.run(*words, "seen, too", key=made.bearer)
    assert (second.exit_code, "proposed:" in second.output) == (0, False)
    assert await state_of(site, row) == (DeliveryState.DONE, state)
    events = [one.event for one in await site.hub.ledger.events_after(row.operator, 0, 1000)]
    (proposed,) = [event for event in events if event.kind == "delivery.proposed"]
    (decided,) = [event for event in events if event.kind == "delivery.decided"]
    assert (proposed.body["why"], str(proposed.body["who"]).startswith("root (")) == ("paid by bank", True)
    assert (decided.body["why"], str(decided.body["who"]).startswith("ben (")) == ("seen, too", True)
    assert decided.body["proposed_by"] == proposed.body["who"]


async def test_a_decision_by_hand_must_say_which(site: Site) -> None:
    row = await held_work(site)
    result = await site.run("deliveries", "resolve", "acme", "d-1", "--why", "t")
    assert (result.exit_code, "--applied or --undone" in result.output) == (2, True)
    assert await state_of(site, row) == (DeliveryState.HELD, MovementState.HELD)


async def test_packages_and_faults_of_the_running_hub_are_listed(site: Site) -> None:
    listed = (await site.tell("adapters", "rescan")).splitlines()
    assert any(line.split()[:3] == ["adapter", "softswiss", "available"] for line in listed)
    assert (await site.tell("adapters", "list")).splitlines() == listed
    assert (await site.tell("faults")).split() == ["OPERATOR", "KIND", "ID", "REASON", "(none)"]


@pytest.mark.parametrize(
    "command",
    [
        ["operators", "put", "-"],
        ["operators", "delete", "acme"],
        ["keys", "create", "acme", "--label", "x"],
        ["import-games", "acme", "soft"],
        ["deliveries", "redrive", "acme", "d"],
        ["deliveries", "resolve", "acme", "d", "--applied"],
        ["rounds", "void", "acme", "r"],
        ["rounds", "complete", "acme", "r"],
        ["cases", "explain", "acme", "c"],
        ["cases", "adjust", "acme", "c"],
    ],
)
async def test_a_change_without_a_reason_is_not_sent(site: Site, command: Sequence[str]) -> None:
    result = await site.run(*command, stdin=OPERATOR)
    assert (result.exit_code, "Missing option '--why'" in result.output) == (2, True)


@pytest.mark.parametrize("document", ["[]", "{", '{"name": "a", "name": "b"}', ""])
async def test_a_document_that_is_no_object_is_not_sent(site: Site, document: str) -> None:
    assert isinstance(await site.error("operators", "put", "-", "--why", "t", stdin=document), MalformedRequestError)
    assert await site.json("operators", "list") == {"items": []}


async def test_a_wrong_value_is_told_with_its_path(site: Site) -> None:
    error = await site.error("operators", "put", "-", "--why", "t", stdin={**OPERATOR, "colour": "red"})
    assert isinstance(error, FixConfigurationError)
    assert str(error).startswith("operators.acme.colour: ")


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_a_key_that_is_wrong_or_missing_is_told_without_it(site: Site, key: str) -> None:
    error = await site.error("operators", "list", key=key)
    assert isinstance(error, FixRequestError if key else SettingsError)
    assert "wrong" not in str(error)


async def test_a_hub_that_cannot_be_reached_may_be_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["croupier", "admin", "faults", "--url", "http://127.0.0.1:9", "--key", site.key])
    with pytest.raises(SystemExit) as caught:
        await asyncio.to_thread(main)
    assert caught.value.code == 4
    error = capsys.readouterr().err
    assert error.startswith("croupier: http://127.0.0.1:9: the hub cannot be reached")
    assert site.key not in error


@pytest.mark.parametrize("url", ["http://hub.example", "http://192.0.2.1:8082", "ftp://127.0.0.1", "https://", "x"])
async def test_a_key_is_not_sent_to_an_address_that_is_not_safe(site: Site, url: str) -> None:
    assert isinstance(await site.error("faults", "--url", url), SettingsError)


class Elsewhere:
    """A server that is no hub: it redirects, and keeps what it was sent."""

    body_limit = 1_024

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.bodies: list[bytes] = []

    async def answer(self, incoming: Incoming) -> HttpResponse:
        self.seen.append(incoming.request.url)
        self.bodies.append(incoming.request.body)
        return HttpResponse.text("<html>moved</html>", 302)

    async def drain(self, seconds: float) -> int:
        return 0


async def test_a_server_that_is_no_hub_is_told_and_no_redirect_is_followed(site: Site) -> None:
    app = Elsewhere()
    server = HttpServer(app, site.hub.log)
    host, port = await server.listen()
    try:
        error = await site.error("faults", "--url", f"http://{host}:{port}/below/")
    finally:
        await server.stop(1)
    assert isinstance(error, SettingsError)  # not to be tried again: the address is wrong
    assert app.seen == ["/below/admin/v1/faults"]


async def test_a_document_arrives_digit_by_digit(site: Site) -> None:
    app = Elsewhere()
    server = HttpServer(app, site.hub.log)
    host, port = await server.listen()
    document = '{"ratio": 0.10, "name": "\u00e9"}\n'
    try:
        await site.error("operators", "put", "-", "--why", "t", "--url", f"http://{host}:{port}", stdin=document)
    finally:
        await server.stop(1)
    assert app.bodies == [b'{"why": "t", "body": %s}' % document.strip().encode()]


async def test_a_server_that_hangs_up_is_told(site: Site) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await site.error("faults", "--url", f"http://127.0.0.1:{port}")
    assert isinstance(error, TransportError)
    assert "broke" in str(error)


async def test_a_running_hub_tells_of_a_round_that_has_been_open_for_too_long(site: Site) -> None:
    acme = await operator(site)
    row = RoundRow(
        operator=acme,
        round="r-1",
        connection="c",
        player="alice",
        provider_round="77",
        game=None,
        currency="EUR",
        state=RoundState.OPEN,
        opened_at=site.hub.clock.now_ms() - 73 * 3_600_000,
    )
    assert isinstance(await site.hub.ledger.commit(Change(operator=acme, rounds=(row,))), Committed)
    site.hub.begin()
    async with asyncio.timeout(30):
        while await site.hub.ledger.newest_position(acme) < 2:  # noqa: ASYNC110 # the ledger rings no bell for a test
            await asyncio.sleep(0.01)
    await site.hub.close()
    _, counted = site.hub.metrics.render()
    assert f'croupier_alarms_total{{kind="round.overdue",operator="{acme}"}} 1.0' in counted.decode()


async def a_lost_round(site: Site) -> str:
    """A round with one bet that stands, of a connection that works; its operator."""
    acme, soft = await operator(site), await connection(site)
    now = site.hub.clock.now_ms()
    row = RoundRow(
        operator=acme,
        round="r-1",
        connection=soft,
        player="alice",
        provider_round="77",
        game=None,
        currency="EUR",
        state=RoundState.OPEN,
        opened_at=now,
        bets=1,
    )
    stake = MovementRow(
        operator=acme,
        movement="m-1",
        play="p",
        ordinal=0,
        connection=soft,
        player="alice",
        kind="bet",
        direction="debit",
        state=MovementState.APPLIED,
        amount=150,
        currency="EUR",
        reference="77-1",
        fingerprint={},
        owner="hub",
        epoch=1,
        nonce="n",
        lease_until=0,
        created_at=now,
        round="r-1",
    )
    assert isinstance(await site.hub.ledger.commit(Change(operator=acme, rounds=(row,), movements=(stake,))), Committed)
    return acme


@pytest.mark.parametrize(
    ("words", "state"),
    [(("void",), MovementState.REVERSING), (("complete", "--short", "150"), MovementState.APPLIED)],
)
async def test_a_round_is_ended_by_two_keys_with_who_and_why(
    site: Site, words: tuple[str, ...], state: MovementState
) -> None:
    acme = await a_lost_round(site)
    command = ("rounds", words[0], "acme", "r-1", *words[1:], "--why")
    told = await site.tell(*command, "the provider lost it")
    assert f"proposed: {words[0]} by root (" in told
    shown = await site.tell("rounds", "show", "acme", "r-1")
    assert shown == told
    assert "EUR in minor units: staked 150, won 0, short 150" in shown
    assert isinstance(await site.error(*command, "once more"), ForbiddenError)
    made = await site.hub.configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label="ben", who="test", why="test")
    second = await site.run(*command, "seen, too", key=made.bearer)
    assert (second.exit_code, "proposed:" in second.output, "ended 2" in second.output) == (0, False, True)
    movement = await site.hub.ledger.movement(acme, "m-1")
    assert movement is not None
    assert movement.state is state
    owed = await site.hub.ledger.deliveries(acme, None, 10)
    assert [row.task for row in owed] == ([DeliveryTask.REVERSE] if words[0] == "void" else [])
    events = [one.event for one in await site.hub.ledger.events_after(acme, 0, 1000)]
    (decided,) = [event for event in events if event.kind == "decision.made"]
    assert (decided.body["why"], str(decided.body["who"]).startswith("ben (")) == ("seen, too", True)
    assert str(decided.body["proposed_by"]).startswith("root (")
    assert isinstance(await site.error(*command, "again"), ConflictError)
    await site.hub.configuration.catch_up()
    assert await site.tell("faults") == "OPERATOR  KIND  ID  REASON\n(none)\n"


async def test_open_rounds_are_listed_and_the_list_goes_on_behind_its_limit(site: Site) -> None:
    acme = await a_lost_round(site)
    lost = await site.hub.ledger.round(acme, "r-1")
    assert lost is not None
    newer = evolve(lost, round="r-2", provider_round="78", opened_at=lost.opened_at + 1)
    assert isinstance(await site.hub.ledger.commit(Change(operator=acme, rounds=(newer,))), Committed)
    rows = (await site.tell("rounds", "list", "acme")).splitlines()
    assert [row.split()[0] for row in rows] == ["ROUND", "r-1", "r-2"]
    assert rows[1].endswith("77")
    *_, told = (await site.tell("rounds", "list", "acme", "--limit", "1")).splitlines()
    assert told.startswith("there are more: --cursor ")
    rest = await site.json("rounds", "list", "acme", "--cursor", told.split()[-1])
    assert ([one["id"] for one in rest["rounds"]], rest["next_cursor"]) == (["r-2"], None)
    none = await site.tell("rounds", "list", "acme", "--opened-before", "2020-01-01T00:00:00Z")
    assert none.splitlines()[1:] == ["(none)"]


async def test_a_round_is_not_completed_by_who_does_not_say_what_is_short(site: Site) -> None:
    await a_lost_round(site)
    error = await site.error("rounds", "complete", "acme", "r-1", "--why", "over")
    assert isinstance(error, ConflictError)
    assert "0 of 150 minor units staked: 150 short" in str(error)
    assert isinstance(await site.error("rounds", "show", "acme", "r-2"), NotFoundError)
